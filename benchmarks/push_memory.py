"""How much memory a push takes at its peak, for a short and a long CSV file.

    python benchmarks/push_memory.py [--rows 100000] [--short 10000] [--most 120] [--growth 10]

Each push is a process of its own that upserts a file into an empty FakeZoho, limits off, with its state on disk; the
peak is what the system counted as resident (MB of 10^6 bytes). Exits 1 when a peak is above `--most`, or the long one
is more than `--growth` MB above the short one. 500,000 rows take their time: the lines say how many a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import KEY, Server, machine, server, write_csv


async def push(url: str, token: str, organization_id: str, file: Path, state: Path) -> dict[str, Any]:
    """The push itself, in the process whose memory is measured."""
    # Not above: the process that starts this one stays small, for Linux counts a parent's peak to its child.
    import resource

    from zoho_async import Limits, StaticToken, Zoho, bulk

    limits = Limits(per_minute=None)
    async with Zoho(
        StaticToken(token), organization_id=organization_id, limits=limits, api_url=url, accounts_url=url
    ) as zoho:
        run = bulk.push(zoho.books.contacts, bulk.open_rows(file), upsert_by=KEY, state=state)
        async for outcome in run:
            if outcome.status != "done":
                raise RuntimeError(outcome.sentence(file.name))
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak": peak, "rows": run.summary.sent, "seconds": run.summary.seconds}


def measured(fake: Server, rows: int, folder: Path) -> float:
    """Peak of a push of so many rows, in MB; prints it."""
    fake.reset()
    file = folder / f"{rows}.csv"
    write_csv(file, rows)
    state = folder / f"{rows}.sqlite"
    this = [sys.executable, __file__, "--push", fake.url, fake.token, fake.organization_id, str(file), str(state)]
    told = json.loads(subprocess.run(this, stdout=subprocess.PIPE, check=True).stdout)
    if told["rows"] != rows:
        raise RuntimeError(f"{told['rows']:,} of {rows:,} rows were sent")
    peak = told["peak"] / 1e6
    on_disk = sum(path.stat().st_size for path in folder.glob(f"{rows}.sqlite*")) / 1e6
    rate = rows / told["seconds"]
    print(f"{rows:>9,} rows: peak {peak:6.1f} MB, {rate:,.0f} rows a second, state {on_disk:.1f} MB", flush=True)
    return peak


def main() -> int:
    """Prints a line for each length; 1 when one takes too much or the long one more than the short one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--short", type=int, default=10_000)
    parser.add_argument("--most", type=float, default=120.0, help="MB")
    parser.add_argument("--growth", type=float, default=10.0, help="MB")
    parser.add_argument("--push", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.push is not None:
        import asyncio

        url, token, organization_id, file, state = given.push
        print(json.dumps(asyncio.run(push(url, token, organization_id, Path(file), Path(state)))))
        return 0
    print(machine(), flush=True)
    with server("--per-minute", "0") as fake, tempfile.TemporaryDirectory() as folder:
        peaks = [measured(fake, rows, Path(folder)) for rows in (given.short, given.rows)]
    print(f"growth {peaks[1] - peaks[0]:+.1f} MB, at most {given.growth:g}; peak at most {given.most:g} MB")
    return 1 if max(peaks) >= given.most or peaks[1] - peaks[0] > given.growth else 0


if __name__ == "__main__":
    raise SystemExit(main())
