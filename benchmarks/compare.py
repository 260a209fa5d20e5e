"""This library beside other ways to call Zoho Books, in one run.

    make bench                     the whole comparison, at most 20 minutes; writes docs/benchmarks.md and its plots
    make bench OPTIONS=--quick       two to three minutes, fewer sizes
    make bench-check               the quick one, held to benchmarks/goals.toml; exits 1 when a goal is missed

Every peer runs in a process of its own, and peers take turns in every round. A peer whose package is not installed is
left out, and the report says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comparing import goals, report, responses, running, server
from comparing.peers import CLIENTS

ROOT = Path(__file__).parents[1]
GOALS = ROOT / "benchmarks/goals.toml"
RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/benchmarks.md"
PLOTS = "benchmarks"
"""Folder of the plots beside the page."""


def machine() -> str:
    """What all of this was measured on."""
    names = [line.partition(":")[2].strip() for line in lines_of("/proc/cpuinfo") if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} cores of {names[0] if names else platform.machine()}, {platform.system()}, {python}"


def lines_of(path: str) -> list[str]:
    """Lines of a file; none where there is no such file."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def commit() -> str:
    """The commit that is measured; marked when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def measured(plan: running.Plan, parts: Sequence[str], command: str) -> dict[str, Any]:
    """Run the parts, and return the results."""
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = running.environment_of(folder)
        responses.record(folder)
        with server.running(folder, environment) as servers:
            run = running.Run(plan, folder, environment, servers)
            running.prepare(folder, run.note)
            for part in parts:
                if run.left() > 0:
                    running.PARTS[part](run)
                else:
                    run.note(f"out of time: {part} is left out")
            kind = servers.kind
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "seconds": round(time.monotonic() - began),
        "server": kind,
        "peers": run.peers,
        "measures": run.measures,
        "server_busy": run.server_busy,
        "notes": run.notes,
    }


def write(results: dict[str, Any], page: Path) -> None:
    """Write the page's part between its markers, and the plots."""
    text = report.markdown(results, goals.read(GOALS), PLOTS)
    replace(page, report.inserted(page.read_text(encoding="utf-8"), text))
    folder = page.parent / PLOTS
    folder.mkdir(exist_ok=True)
    for name, plot in report.plots(results).items():
        replace(folder / name, plot)


def replace(path: Path, text: str) -> None:
    """Write a file as a whole: an interruption leaves the old one or the new one."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help="two to three minutes")
    parser.add_argument("--check", action="store_true", help="compare with the goals; writes nothing")
    parser.add_argument("--peers", default=",".join(CLIENTS), help="some of %(default)s")
    parser.add_argument("--parts", default=",".join(running.PARTS), help="some of %(default)s")
    parser.add_argument("--rounds", type=int, help="rounds of each measure")
    parser.add_argument("--minutes", type=float, help="when to end at the latest")
    parser.add_argument("--results", type=Path, help="file of the results; benchmarks/results/<full|quick>.json")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write into")
    parser.add_argument("--report", action="store_true", help="write the page from the results, measure nothing")
    options = parser.parse_args(given)
    options.peers, options.parts = options.peers.split(","), options.parts.split(",")
    for name, known in (("peers", CLIENTS), ("parts", running.PARTS)):
        if unknown := set(getattr(options, name)) - set(known):
            parser.error(f"--{name}: {', '.join(sorted(unknown))} is unknown")
    if options.results is None and not options.check:
        options.results = RESULTS / ("quick.json" if options.quick else "full.json")
    return options


def plan_of(options: argparse.Namespace) -> running.Plan:
    """How much to measure."""
    plan = running.QUICK if options.quick or options.check else running.FULL
    changes = {name: getattr(options, name) for name in ("rounds", "minutes") if getattr(options, name) is not None}
    return dataclasses.replace(plan, peers=options.peers, **changes)


def main() -> int:
    """Measure and write; with --check 1 when a goal is missed."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes of the run are ended, too
    if options.report:
        write(json.loads(options.results.read_text(encoding="utf-8")), options.page)
        return 0
    given = " ".join(one for one in sys.argv[1:] if one != "--check")
    command = "make bench-check" if options.check else "make bench" + (f" OPTIONS='{given}'" if given else "")
    try:
        results = measured(plan_of(options), options.parts, command)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    if options.results is not None:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        replace(options.results, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    held = goals.read(GOALS)
    if not options.check:
        write(results, options.page)
        print(report.markdown(results, held, PLOTS))
        return 0
    print("\n".join(goals.table(held, results["measures"])))
    missed = goals.missed(held, results["measures"])
    print("\n".join(["", f"{len(missed)} goals are missed:", *missed] if missed else ["", "all goals are met"]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
