"""What a call costs under limits in files: microseconds of CPU and of time for one start and one end of a call.

    python benchmarks/file_limiter.py [--calls 200] [--folder FOLDER]

No network. Each number is the best of five: once with one process, once with two more that do the same to the same
organisation all the while, and for comparison the limiter of one process. `--folder` chooses the file system.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import sys
import tempfile
import time

from zoho_async import FileLimiters, Limits
from zoho_async.transport.hooks import Limiters, Report
from zoho_async.transport.rate_limiter import ProcessLimiters

PLACE = ("us", "10234695")
PACE = Limits(per_minute=1_000_000_000, burst=1_000_000_000, concurrency=1000)


async def pairs(limiters: Limiters, calls: int) -> tuple[float, float]:
    """Microseconds of CPU and of time for a start and an end."""
    gatekeeper, report = limiters.of(PLACE, PACE), Report(sent=True, decision="done")
    times = []
    for _ in range(5):
        begun, used = time.perf_counter(), time.process_time()
        for _ in range(calls):
            (await gatekeeper.acquire()).done(report)
        times.append(((time.process_time() - used) / calls * 1e6, (time.perf_counter() - begun) / calls * 1e6))
    return min(cpu for cpu, _ in times), min(clock for _, clock in times)


def main(calls: int, folder: str) -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}, files in {folder}")
    cases: list[tuple[str, Limiters, int]] = [
        ("in this process", ProcessLimiters(), 0),
        ("in a file, one process", FileLimiters(folder), 0),
        ("in a file, three processes", FileLimiters(folder), 2),
    ]
    for name, limiters, others in cases:
        command = [sys.executable, __file__, "--calls", "1000000", "--folder", folder, "--endless"]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(others)]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
        cpu, clock = asyncio.run(pairs(limiters, calls))
        for process in running:
            process.kill()
            process.wait()
        print(f"{name}: {cpu:.1f} us of CPU, {clock:.1f} us")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--folder")
    parser.add_argument("--endless", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.endless:
        print("begun", flush=True)
        asyncio.run(pairs(FileLimiters(options.folder), options.calls))
    else:
        with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
            main(options.calls, temporary)
