"""`zoho-async runs` and `zoho-async ids`: what the state files of pushes know."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import msgspec

from zoho_async._atomic_file import atomic_write
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import NATURAL_KEYS
from zoho_async.bulk.state import runs
from zoho_async.bulk.state.database import Database
from zoho_async.cli.console.exit_codes import DONE
from zoho_async.cli.console.runner import Interruption

COLUMNS = ("source_key", "target", "part", "part_key", "zoho_id")


def state_files(given: Path | None) -> list[Path]:
    """The state file that was named, or all of this folder. InputError when there is none."""
    if given is not None:
        if not given.exists():
            raise InputError(f"{given}: there is no such state file")
        return [given]
    found = sorted(Path().glob("zoho-*.state.sqlite"))
    if not found:
        raise InputError("there is no state file zoho-*.state.sqlite in this folder; name one with --state")
    return found


async def runs_command(state: Path | None, run: int | None, interruption: Interruption, *, json: bool) -> int:
    """Lists runs, or shows one with the rows it has left undone."""
    shown = 0
    for path in state_files(state):
        async with Database(path, create=False) as database:
            for one in await runs.runs(database):
                if run is not None and one.id != run:
                    continue
                shown += 1
                problems = [problem async for problem in runs.rejected_rows(database, one.id)]
                sys.stdout.write(_run_text(path, one, problems, whole=run is not None, json=json))
    if run is not None and not shown:
        raise InputError(f"there is no run {run}")
    return DONE


async def images_command(state: Path | None, run: int, to: Path, interruption: Interruption) -> int:
    """Writes the records that a run has changed, as they were before."""
    having: dict[Path, Database] = {}
    async with AsyncExitStack() as opened:
        for path in state_files(state):
            # Each once: looking on copies the file.
            database = await opened.enter_async_context(Database(path, create=False))
            if await runs.show(database, run) is not None:
                having[path] = database
        if not having:
            raise InputError(f"there is no run {run}")
        if len(having) > 1:
            raise InputError(f"{' and '.join(map(str, having))} have a run {run} each: name one with --state")
        (found,) = having.values()
        count = 0
        with _written(to) as file:
            async for image in runs.before_images(found, run):
                file.write(msgspec.json.encode(image).decode() + "\n")
                count += 1
    sys.stdout.write(f"{to}: {count:,} records as they were before run {run} changed them\n")
    return DONE


def _run_text(path: Path, run: runs.Run, problems: Sequence[Any], *, whole: bool, json: bool) -> str:
    if json:
        event: dict[str, Any] = {
            "state_file": str(path),
            **msgspec.structs.asdict(run),
            "undone": len(problems),
            "untried": run.untried,
        }
        if whole:
            event["problems"] = problems
        return msgspec.json.encode(event).decode() + "\n"
    summary = run.summary
    counts = ", ".join(
        f"{summary.get(name, 0):,} {name}" for name in ("created", "updated", "unchanged", "failed", "unknown")
    )
    started = f"{run.started_at.astimezone():%Y-%m-%d %H:%M}"
    last = run.target.rpartition(" ")[2]
    resource = last.replace(".", " ") if last in NATURAL_KEYS else run.target
    lines = [f"run {run.id}  {started}  {resource}  {run.state}  {_nearby(run.source)}  {counts}"]
    if whole:
        lines.append(f"  target: {run.target}")
        lines.append(f"  state: {path}")
        given = ", ".join(f"{name} {value}" for name, value in run.options.items() if value)
        lines.append(f"  options: {given}")
        lines += _untried(run)
        for one in problems:
            code = f" (code {one.code})" if one.code else ""
            lines.append(f"  row {one.number} {one.status}: {one.reason}{code}")
    return "\n".join(lines) + "\n"


def _untried(run: runs.Run) -> list[str]:
    if run.untried is None:
        # A run that is alive has no end yet.
        return ["  nobody knows how many rows were not tried: it was killed"] if run.state != "running" else []
    return [f"  {run.untried:,} of {run.summary['of']:,} rows were not tried"] if run.untried else []


def _nearby(source: str) -> str:
    """The path as one would write it here."""
    path = Path(source)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else source


async def ids_command(state: Path | None, to: Path, interruption: Interruption) -> int:
    """Writes which row of the source is which record of Zoho, its persons and addresses included."""
    files = state_files(state)
    count = 0
    with _written(to) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path in files:
            async with Database(path, create=False) as database:
                async for row in _ids(database):
                    writer.writerow(row)
                    count += 1
    sys.stdout.write(f"{to}: {count:,} ids\n")
    return DONE


@contextmanager
def _written(to: Path) -> Generator[TextIO, None, None]:
    """A file that takes its place when all of it is written: with the permissions of one that is there, or its owner's
    alone, for it holds what customers are called and more."""
    try:
        with atomic_write(to) as file:
            yield file
    except OSError as error:
        raise InputError(f"{to}: cannot be written: {error.strerror or error}") from None


async def _ids(database: Database) -> AsyncGenerator[tuple[str, ...], None]:
    async for one in runs.stored_ids(database, None):
        yield (one.label, one.target.rpartition(" ")[2], one.part, one.key, one.id)
