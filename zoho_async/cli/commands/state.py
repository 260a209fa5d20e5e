"""`zoho-async runs` and `zoho-async ids`: what the state files of pushes know."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import bulk
from zoho_async.cli.console.exit_codes import DONE, ArgumentError
from zoho_async.cli.console.tables import is_terminal, write_rows
from zoho_async.cli.suggestions import resource_names


def state_files(given: Path | None) -> list[Path]:
    """The state file that was named, or all of this folder. InputError when there is none."""
    if given is not None:
        return [given]
    found = bulk.state_files()
    if not found:
        raise ArgumentError("there is no state file zoho-*.state.sqlite in this folder", "name one with --state FILE")
    return found


async def runs_command(state: Path | None, *, json: bool) -> int:
    """Lists runs."""
    found = [(path, run) for path in state_files(state) for run in await bulk.runs(path)]
    if not json and is_terminal():
        write_rows(_COLUMNS, [_row(run) for _, run in found])
        return DONE
    for path, run in found:
        sys.stdout.write(_json(path, run, {}) if json else f"{_line(run)}\n")
    return DONE


async def show_command(state: Path | None, number: int, *, json: bool) -> int:
    """Shows a run and the rows that it has left."""
    for path in await _files_with(state, number):
        (run,) = [run for run in await bulk.runs(path) if run.id == number]
        rows = [row async for row in bulk.rejected_rows(path, number)]
        if json:
            sys.stdout.write(_json(path, run, {"problems": rows}))
            continue
        given = ", ".join(f"{name} {value}" for name, value in run.options.items() if value)
        lines = [_line(run), f"  target: {run.target}", f"  state: {path}", f"  options: {given}", *_untried(run)]
        for row in rows:
            code = f" (code {row.code})" if row.code else ""
            lines.append(f"  row {row.number} {row.status}: {row.reason}{code}")
        sys.stdout.write("\n".join(lines) + "\n")
    return DONE


async def images_command(state: Path | None, run: int, to: Path) -> int:
    """Writes the records that a run has changed, as they were before."""
    files = await _files_with(state, run)
    if len(files) > 1:
        raise bulk.InputError(f"{' and '.join(map(str, files))} have a run {run} each: name one with --state")
    count = await bulk.save_before_images(files[0], run, to)
    sys.stdout.write(f"{to}: {count:,} records as they were before run {run} changed them\n")
    return DONE


async def ids_command(state: Path | None, to: Path) -> int:
    """Writes which row of the source is which record of Zoho, its persons and addresses included."""
    count = await bulk.save_ids(state_files(state), to)
    sys.stdout.write(f"{to}: {count:,} ids\n")
    return DONE


async def _files_with(state: Path | None, run: int) -> list[Path]:
    """The state files that have a run of that number. InputError when there is none."""
    found = [path for path in state_files(state) if run in {one.id for one in await bulk.runs(path)}]
    if not found:
        raise ArgumentError(f"there is no run {run}", "zoho-async runs lists them")
    return found


def _json(path: Path, run: bulk.RunReport, more: dict[str, Any]) -> str:
    members = msgspec.structs.asdict(run)
    members["undone"] = members.pop("rejected")
    return msgspec.json.encode({"state_file": str(path), **members, "untried": run.untried, **more}).decode() + "\n"


_OUTCOMES = ("created", "updated", "unchanged", "skipped", "failed", "unknown")
_COLUMNS = ("run", "started", "resource", "state", "file", *_OUTCOMES)


def _row(run: bulk.RunReport) -> list[object]:
    """A run for a table; outcomes that did not occur are left empty."""
    counts = [f"{run.summary[name]:,}" if run.summary.get(name) else "" for name in _OUTCOMES]
    return [run.id, _started(run), _resource(run), run.state, _nearby(run.source), *counts]


def _line(run: bulk.RunReport) -> str:
    summary = run.summary
    skipped = ("skipped",) if summary.get("skipped") else ()
    names = ("created", "updated", "unchanged", *skipped, "failed", "unknown")
    counts = ", ".join(f"{summary.get(name, 0):,} {name}" for name in names)
    return f"run {run.id}  {_started(run)}  {_resource(run)}  {run.state}  {_nearby(run.source)}  {counts}"


def _started(run: bulk.RunReport) -> str:
    return f"{run.started_at.astimezone():%Y-%m-%d %H:%M}"


def _resource(run: bulk.RunReport) -> str:
    last = run.target.rpartition(" ")[2]
    return last.replace(".", " ") if last in resource_names() else run.target


def _untried(run: bulk.RunReport) -> list[str]:
    if run.untried is None:
        # A running one has no end yet.
        return ["  how many rows were not tried is not known: it was killed"] if run.state != "running" else []
    return [f"  {run.untried:,} of {run.summary['of']:,} rows were not tried"] if run.untried else []


def _nearby(source: str) -> str:
    """The path relative to the working folder, where it lies in it."""
    path = Path(source)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else source
