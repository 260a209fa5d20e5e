"""How much memory a pull takes at its peak, for a short and a long list, and how many rows a second it writes.

    python benchmarks/pull_memory.py [--rows 200000] [--short 20000] [--most 120] [--growth 20]

Each pull is a process of its own that reads a list from a server on this machine, which makes its rows as they are
asked for, into SQLite, JSON Lines and CSV; limits off. The peak is what the system counted as resident (MB of 10^6
bytes). Exits 1 when a peak is above `--most`, or a long one is more than `--growth` MB above the short one. A million
rows take some minutes and some GB of disk: the lines give rows a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from list_server import ListServer
from measuring import machine

FORMATS = ("sqlite", "jsonl", "csv")
ORGANIZATION = "10234695"


async def serve(rows: int) -> None:
    """Runs the server until it is ended."""
    server = await ListServer(rows).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def pull(url: str, to: str) -> dict[str, Any]:
    """The pull itself, in the process whose memory is measured."""
    # Not above: the process that starts this one stays small, for Linux counts a parent's peak to its child.
    import resource

    from zoho_async import Limits, StaticToken, Zoho, bulk

    limits = Limits(per_minute=None)
    async with Zoho(
        StaticToken("token"), organization_id=ORGANIZATION, limits=limits, api_url=url, accounts_url=url
    ) as zoho:
        summary = await bulk.pull(zoho.books.contacts, to)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak": peak, "rows": summary.records, "calls": summary.reads, "seconds": summary.seconds}


def measured(rows: int, form: str, folder: Path) -> float:
    """Peak of a pull of so many rows, in MB; prints it."""
    server = [sys.executable, __file__, "--serve", str(rows)]
    to = folder / f"{rows}.{form}"
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            url = f"http://127.0.0.1:{serving.stdout.readline().strip()}"
            this = [sys.executable, __file__, "--pull", url, str(to)]
            found = json.loads(subprocess.run(this, stdout=subprocess.PIPE, check=True).stdout)
        finally:
            serving.terminate()
    if found["rows"] != rows:
        raise RuntimeError(f"{found['rows']:,} of {rows:,} rows were pulled")
    peak = found["peak"] / 1e6
    rate, size = rows / found["seconds"], to.stat().st_size / 1e6
    print(
        f"{form:>6} {rows:>9,} rows: peak {peak:6.1f} MB, {rate:,.0f} rows a second, {found['calls']:,} calls, "
        f"{size:,.0f} MB on disk",
        flush=True,
    )
    to.unlink()
    return peak


def main() -> int:
    """Prints a line for each format and length; 1 when one takes too much or a long one more than the short one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--short", type=int, default=20_000)
    parser.add_argument("--most", type=float, default=120.0, help="MB")
    parser.add_argument("--growth", type=float, default=20.0, help="MB")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pull", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
    if given.pull is not None:
        print(json.dumps(asyncio.run(pull(*given.pull))))
        return 0
    print(machine(), flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            short, long = (measured(rows, form, Path(folder)) for rows in (given.short, given.rows))
            failed |= max(short, long) >= given.most or long - short > given.growth
    print(f"growth at most {given.growth:g} MB; peak at most {given.most:g} MB: {'no' if failed else 'yes'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
