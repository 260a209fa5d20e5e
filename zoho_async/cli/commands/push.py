"""`zoho-async push`."""

from __future__ import annotations

import shlex
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import Limits, QuotaExceededError, Zoho, ZohoError, bulk
from zoho_async.cli.console.exit_codes import DONE, SOME_FAILED
from zoho_async.cli.console.progress import Progress, open_progress
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.profiles import connect, resource_of
from zoho_async.fleet import resource_lease

from .report_file import ReportFile

SHOWN = 20
"""Rejected rows that are reported on the screen; the rejects file has all."""


class PushArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    name: str
    """Product and resource."""
    file: Path | None
    """None: the one that the run to retry pushed; `-`: standard input."""
    retry: int | None = None
    """Only the rows that this run has left."""
    mapping: str | Path | None = None
    """A mapping: a TOML file, or the name of a preset."""
    encoding: str | None = None
    decisions: Path | None = None
    """Where a dry run writes what would be done with every row."""
    options: bulk.PushOptions
    json: bool
    limits: Limits
    profile: str | None
    report: Path | None = None
    """HTML file to write a report to."""
    redis: str | None = None

    @property
    def state(self) -> Path | None:
        """The state file that was named."""
        state = self.options.get("state")
        return Path(state) if state is not None else None


async def push_command(args: PushArgs, interruption: Interruption) -> int:
    """Pushes; the summary goes to stdout."""
    source = open_input(args)
    page = ReportFile(args.report)
    zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(zoho)
        resource = resource_of(zoho, args.name)
        options = args.options.copy()
        options["state"] = state = args.state or bulk.default_state(resource, source.path.parent if source else "")
        selected = await select_rows(resource, args, source, options)
        rows, file = (selected, selected) if isinstance(selected, bulk.RowFile) else (selected.rows, selected.source)
        if zoho.fleet is not None:
            options["lease"] = await stack.enter_async_context(resource_lease(zoho.fleet, "push", resource))
        options["on_event"] = lambda event: _on_event(event, progress)
        run = bulk.push(resource, rows, **options)
        rejects = stack.enter_context(bulk.RejectsFile(selected, run.summary))
        progress = stack.enter_context(
            open_progress(f"push {file.path.name}", rows.count, json=args.json, quota=lambda: zoho.quota)
        )
        show_notes(file, progress)
        interruption.graceful = run.stop
        error: ZohoError | None = None
        try:
            async with run:
                async for outcome in run:
                    rejects.record(outcome)
                    page.row(outcome, run.summary)
                    _show(outcome, run.summary, rejects, progress, file.path)
        except ZohoError as ended:
            error = ended
    report = _PushReport(args=args, file=file.path, zoho=zoho, state=state, rejects=rejects, summary=run.summary)
    sys.stdout.write(report.json(error) if args.json else report.text(error))
    page.write_push(f"Push of {file.path.name}", report.facts(error), run.summary, json=args.json)
    if error is not None:
        raise error
    return SOME_FAILED if run.summary.failed or run.summary.unknown else DONE


def open_input(args: PushArgs) -> bulk.RowFile | None:
    """Opens the file, if one is named, and checks all that can be checked before credentials are needed."""
    bulk.check(args.name, **args.options)
    if args.file is None:
        return None
    source = bulk.open_rows(args.file, encoding=args.encoding, mapping=args.mapping)
    place = args.file.absolute().parts
    if place[1:2] in (("dev",), ("proc",)) and place[2:3] != ("shm",):
        raise bulk.InputError(f"{args.file}: name the file itself: the state and the rejects are written beside it")
    bulk.check(args.name, source, **args.options)
    return source


async def select_rows(
    resource: Any, args: PushArgs, source: bulk.RowFile | None, options: bulk.PushOptions
) -> bulk.RowFile | bulk.RemainingRows:
    """The rows to push: all of the file, or those that a run has left."""
    if args.retry is not None:
        return await bulk.remaining_rows(resource, args.retry, rows=source, **options)
    assert source is not None
    return source


def show_notes(file: bulk.RowFile, progress: Progress) -> None:
    """Reports what was left out of the file, and what was taken for what."""
    for note in file.notes:
        progress.message(f"{file.path}: {note}", event="note", note=note)


def _on_event(event: bulk.Event, progress: Progress) -> None:
    # The outcomes report the rows that are done.
    if event.stage != "write":
        progress.event(event)


def _show(
    outcome: bulk.RowOutcome, summary: bulk.PushSummary, rejects: bulk.RejectsFile, progress: Progress, file: Path
) -> None:
    if outcome.status != "done" and rejects.count <= SHOWN:
        progress.message(
            outcome.sentence(str(file)),
            event="row",
            status=outcome.status,
            row=outcome.row.number,
            line=outcome.row.line,
            kind=outcome.kind,
            code=outcome.code,
            field=outcome.field,
        )
    elif outcome.status != "done" and rejects.count == SHOWN + 1:
        where = f"see {rejects.path}" if not rejects.write_error else "they are in the state"
        progress.message(f"... more failed rows: {where}", event="more", file=_place(rejects))
    elif outcome.warning:
        message = f"{file} row {outcome.row.number}: {outcome.warning}"
        progress.message(message, event="warning", row=outcome.row.number)
    numbers = msgspec.structs.asdict(summary)
    progress.advance(summary.rows, f"{summary.failed:,} failed, {summary.unknown:,} unknown", **numbers)


class _PushReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported of a push at its end."""

    args: PushArgs
    file: Path
    zoho: Zoho
    state: Path
    rejects: bulk.RejectsFile
    summary: bulk.PushSummary

    def json(self, error: ZohoError | None) -> str:
        """One JSON object."""
        rejects = self.rejects
        result = {
            "file": str(self.file),
            "target": self.args.name,
            "organization_id": self.zoho.organization_id,
            **msgspec.structs.asdict(self.summary),
            "failed_file": _place(rejects) if rejects.count or rejects.kept else None,
            "failed_file_error": rejects.write_error or None,
            "failed_before": rejects.kept,
            "kept_aside": str(rejects.backup) if rejects.backup is not None else None,
            "state": str(self.state),
            "error": str(error) if error is not None else None,
            "resets_at": error.resets_at if isinstance(error, QuotaExceededError) else None,
        }
        return msgspec.json.encode(result).decode() + "\n"

    def facts(self, error: ZohoError | None) -> dict[str, str]:
        """What the HTML report says above its plots."""
        summary = self.summary
        return {
            "file": str(self.file),
            "destination": f"{self.args.name} of organisation {self.zoho.organization_id}",
            "run": f"{summary.run}, {'complete' if summary.complete else 'not finished'}",
            "rows": f"{summary.rows:,}",
            "calls": f"{summary.writes + summary.reads:,} ({summary.writes:,} writes, {summary.reads:,} reads)",
            "time": span(summary.seconds),
            **({"error": str(error)} if error is not None else {}),
        }

    def text(self, error: ZohoError | None) -> str:
        """Some lines."""
        summary, rejects = self.summary, self.rejects
        lines = [
            f"{self.file} -> {self.args.name} of organisation {self.zoho.organization_id}, run {summary.run}",
            f"  {summary.rows:,} rows: {summary.sent:,} sent ({summary.created:,} created, {summary.updated:,} "
            f"updated), {summary.unchanged:,} unchanged, {summary.settled:,} found sent, "
            + (f"{summary.skipped:,} skipped, " if summary.skipped else "")
            + f"{summary.failed:,} failed, "
            f"{summary.unknown:,} unknown",
            f"  {summary.writes + summary.reads:,} calls ({summary.writes:,} writes, {summary.reads:,} reads) "
            f"in {span(summary.seconds)}",
        ]
        if not summary.complete:
            left = ""
            if summary.of is not None and summary.of > summary.rows:
                left = f"{summary.of - summary.rows:,} of {summary.of:,} rows remain; "
            asked = "sent as many as --limit asked" if summary.ended_by == "limit" else "not finished"
            lines.append(f"  {asked}: {left}run the same command again to go on")
        if summary.ended_by == "max_failures":
            lines.append(f"  stopped: {summary.reason}")
        if rejects.count or rejects.kept:
            kinds = [in_words(kind, count) for kind, count in sorted(summary.kinds.items())]
            kinds += [in_words("from earlier runs", rejects.kept)] if rejects.kept else []
            listed = ", ".join(kinds)
            lines.append(f"  failed rows: {listed if rejects.write_error else f'{rejects.path} ({listed})'}")
        if rejects.write_error:
            lines.append(f"  {write_error(self.args, self.state, rejects, summary.run)}")
        if rejects.backup is not None:
            lines.append(f"  the {rejects.path.name} of an earlier run is kept as {rejects.backup}")
        lines.append(f"  state: {self.state}")
        if isinstance(error, QuotaExceededError):
            resets_at = error.resets_at
            when = f" after {resets_at.astimezone():%Y-%m-%d %H:%M %Z}" if resets_at is not None else " tomorrow"
            lines.append(f"  the day's calls are used up: run the same command again{when}, or let it --wait")
        return "\n".join(lines) + "\n"


def _place(rejects: bulk.RejectsFile) -> str | None:
    return str(rejects.path) if not rejects.write_error else None


def write_error(args: PushArgs, state: Path, rejects: bulk.RejectsFile, run: int) -> str:
    """Why there is no rejects file, and what lists the rows instead."""
    if not (rejects.count or rejects.kept):
        return f"{rejects.path}: no row failed, but the file of an earlier run cannot be moved: {rejects.write_error}"
    sentence = f"{rejects.path} cannot be written: {rejects.write_error}"
    if not state.exists():
        return sentence
    # `runs` finds the state files of the working folder by itself.
    named = "" if args.state is None and state.parent == Path() else f" --state {shlex.quote(str(state))}"
    return f"{sentence}; `zoho-async runs show {run}{named}` lists the rows"


def in_words(kind: str, count: int) -> str:
    """How many rows were rejected for a reason: `code 2: 400 rows`."""
    return f"{f'code {kind}' if kind.isdigit() else kind}: {count:,} row{'s' * (count != 1)}"


def span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
