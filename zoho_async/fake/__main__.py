"""`python -m zoho_async.fake`: a FakeZoho for anything that speaks HTTP."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from zoho_async.fake.http.serve import serve
from zoho_async.fake.rendering.shapes import SHAPES


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and serve; 0 after a clean end, 2 when the port cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m zoho_async.fake", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--organization", action="append", metavar="ID", help="may be given several times")
    parser.add_argument("--per-minute", type=int, default=100, metavar="N", help="0 is off")
    parser.add_argument("--per-day", type=int, default=0, metavar="N", help="0 is off")
    parser.add_argument("--concurrency", type=int, default=0, metavar="N", help="0 is off")
    parser.add_argument(
        "--unique", action="append", metavar="FIELD", help="custom field without duplicates, repeatable"
    )
    parser.add_argument("--shape", choices=SHAPES, default="live", help="how answers are written")
    parser.add_argument("--data-center", default="us", metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the throws for faults by probability")
    options = parser.parse_args(arguments)
    try:
        serve(
            host=options.host,
            port=options.port,
            organizations=options.organization or ["10234695"],
            per_minute=options.per_minute or None,
            per_day=options.per_day or None,
            concurrency=options.concurrency or None,
            unique=options.unique or ["cf_external_id"],
            shape=options.shape,
            data_center=options.data_center,
            seed=options.seed,
        )
    except OSError as error:
        sys.stderr.write(f"cannot listen: {error}\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
