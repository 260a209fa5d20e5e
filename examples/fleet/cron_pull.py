"""A line in crontab: a copy of the contacts in SQLite, brought up to date with at most 200 calls a run.

    */15 * * * * cd /srv/zoho && python cron_pull.py contacts.sqlite

All processes of this host, the command line too, share one minute and one day through the folder of `FileLimiters`.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["zoho_async"]
# ///

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from zoho_async import FileLimiters, FileStore, QuotaExceededError, Zoho, bulk

# The folder of the command line, so that its calls count too.
STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zoho-async"


async def main(to: Path, state: Path = STATE) -> None:
    store, limiters = FileStore(state / "cron-token.json"), FileLimiters(state / "limits")
    async with Zoho.from_env(store=store, limiters=limiters) as zoho:
        try:
            summary = await bulk.pull(zoho.books.contacts, to, max_calls=200)
        except QuotaExceededError as error:
            print(f"the day is used up until {error.resets_at}; what was read is kept")
            return
        except bulk.InputError as error:
            # The run before this one still writes the file.
            print(error)
            return
    print(f"{summary.records} records, {summary.changed} written in {summary.reads} calls")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as folder:  # a trial leaves nothing in the home folder
            asyncio.run(main(Path(folder) / "contacts.sqlite", Path(folder)))
