"""`python -m tests.live`, or `make live LIVE="--organization-id ..."`."""

import asyncio
import sys

from zoho_async.cli.console.exit_codes import SetupError

from .program import main

if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1:])))
    except SetupError as error:
        sys.exit(str(error))
