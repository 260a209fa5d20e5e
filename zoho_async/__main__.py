"""`python -m zoho_async`: the command line, as `zoho-async`."""

from __future__ import annotations

from zoho_async.cli import main

if __name__ == "__main__":
    main()
