"""`zoho-async push`."""

from __future__ import annotations

import shlex
import sys
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from zoho_async.bulk.errors import StateError
from zoho_async.bulk.pushing.events import Event
from zoho_async.bulk.pushing.push import push
from zoho_async.bulk.pushing.window import Window
from zoho_async.bulk.recovery.dead_letters import RejectsFile, digest_of_file, ours
from zoho_async.bulk.recovery.retry import Retried, opened, retried
from zoho_async.bulk.results import PushSummary, RowOutcome
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.refusal_tags import is_tag, sent_under
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.files import RowFile
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.cli.console.exit_codes import DONE, SOME_FAILED
from zoho_async.cli.console.progress import Progress, open_progress
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.profiles import connect
from zoho_async.client import Zoho
from zoho_async.errors import QuotaExceededError, ZohoError
from zoho_async.transport.rate_limiter import Limits

SHOWN = 20
"""Sentences about failed rows that go to the screen; all of them stand in the file of failed rows."""


class PushArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on the command line."""

    name: str
    """Product and resource."""
    file: Path | None
    """None: the one that the run to be retried has pushed."""
    upsert_by: str | None
    match_by: str | None = None
    on_existing: str | None = None
    empty: str = "keep"
    on_name_taken: str = "fail"
    retry: int | None = None
    """Only the rows that this run has left undone."""
    wait: bool = False
    window: str | None = None
    state: Path | None
    json: bool
    limits: Limits
    profile: str | None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """An order in which nothing was found wrong so far."""

    target: Target
    source: RowFile | None
    """None: the state file says which."""
    options: Options


async def push_command(order: PushArgs, interruption: Interruption) -> int:
    """Pushes; the summary goes to stdout."""
    checked = check(order)
    zoho = connect(order.profile, allowed=order.limits)
    state = order.state or default_state(order, zoho)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(zoho)
        resource = resource_of(zoho, checked.target)
        label = msgspec.structs.replace(checked.target, resource=resource).label
        again = await chosen(order, checked, state, label)
        source = again.source
        failed = RejectsFile(source)
        failed.again = again.undone if order.retry is not None else None
        if failed.digest:
            async with Database(state) as database:
                known = await Journal(database, label).knows_file(failed.digest)
                failed.trusted = failed.digest if known else ""
        run = push(
            resource,
            again.rows,
            upsert_by=order.upsert_by,
            match_by=order.match_by,
            on_existing=checked.options.on_existing,
            empty=checked.options.empty,
            on_name_taken=order.on_name_taken,
            state=state,
            concurrency=order.limits.concurrency,
            wait=order.wait,
            window=order.window,
            on_event=lambda event: _tell(event, progress),
        )
        # As it is now: it may be mended further, or moved away, while it is pushed.
        pushed = digest_of_file(source.path) if ours(source.path) else ""
        # However the run ends: what it has written by then is ours to overwrite.
        stack.push_async_callback(_note_files, state, failed, pushed, run.summary)
        stack.enter_context(failed)
        title = f"push {source.path.name}"
        progress = stack.enter_context(open_progress(title, again.rows.count, json=order.json))
        interruption.gently = run.stop
        error: ZohoError | None = None
        try:
            async with run:
                async for outcome in run:
                    _note(outcome, run.summary, failed, progress, source)
        except ZohoError as ended:
            error = ended
        failed.finished = run.summary.complete
    _report(order, checked.target, source, zoho, state, failed, run.summary, error)
    if error is not None:
        raise error
    return SOME_FAILED if run.summary.failed or run.summary.unknown else DONE


def check(order: PushArgs) -> Checked:
    """Everything that can be found wrong before a call, and before credentials are asked for."""
    target = Target.named(order.name)
    options = Options.of(
        target,
        upsert_by=order.upsert_by,
        match_by=order.match_by,
        on_existing=order.on_existing,
        empty=order.empty,
        on_name_taken=order.on_name_taken,
    )
    if order.window is not None:
        Window.parse(order.window)
    source = opened(order.file, RowReader(target, options)) if order.file is not None else None
    return Checked(target=target, source=source, options=options)


async def chosen(order: PushArgs, checked: Checked, state: Path, label: str, *, create: bool = True) -> Retried:
    """The rows to push: all of the file, or those that a run has left undone. `create=False` changes no byte."""
    if order.retry is None:
        assert checked.source is not None
        return Retried(source=checked.source, rows=checked.source, undone={})
    reader = RowReader(checked.target, checked.options)
    return await retried(state, order.retry, checked.source, reader, label=label, create=create)


def resource_of(zoho: Zoho, target: Target) -> Any:
    """The client's resource for a target."""
    product, _, resource = target.name.partition(".")
    return getattr(getattr(zoho, product), resource)


def default_state(order: PushArgs, zoho: Zoho) -> Path:
    """The state file beside the input, one per organisation and resource, so that tomorrow's file goes on with it.
    Where no input is named it is the one of this folder."""
    folder = order.file.parent if order.file is not None else Path()
    return folder / f"zoho-{zoho.organization_id}-{order.name.replace('.', '-')}.state.sqlite"


async def _note_files(state: Path, failed: RejectsFile, pushed: str, summary: PushSummary) -> None:
    """Remembers which files of failed rows may be overwritten: ours as we wrote it, and one that is all pushed."""
    whole = summary.complete and not (summary.failed or summary.unknown or failed.kept or failed.unwritten)
    digests = [digest for digest in (failed.written, pushed if whole else "") if digest]
    if digests:
        # Another run may have begun; the next one then keeps the file aside, and nothing is lost.
        with suppress(StateError):
            async with Database(state) as database:
                for digest in digests:
                    await Journal(database, "").note_file(digest)


def _tell(event: Event, progress: Progress) -> None:
    # Of rows that are done the outcomes tell more.
    if event.stage != "write":
        progress.note(event)


def _note(
    outcome: RowOutcome,
    summary: PushSummary,
    failed: RejectsFile,
    progress: Progress,
    source: RowFile,
) -> None:
    if failed.again is not None:
        failed.tried.add(outcome.row.number)
    if outcome.status != "done":
        identity = outcome.identity if is_tag(outcome.identity) else ""
        if outcome.status == "unknown":
            identity = sent_under(outcome.identity)
        failed.add(
            outcome.row,
            reason=outcome.reason,
            code=outcome.code,
            field=outcome.field,
            hint=outcome.hint,
            identity=identity,
        )
        details = {
            "event": "row",
            "status": outcome.status,
            "row": outcome.row.number,
            "line": outcome.row.line,
            "kind": outcome.kind,
            "code": outcome.code,
            "field": outcome.field,
        }
        if failed.count <= SHOWN:
            progress.say(outcome.sentence(str(source.path)), **details)
        elif failed.count == SHOWN + 1:
            where = f"see {failed.path}" if not failed.unwritten else "they are in the state"
            progress.say(f"... more failed rows: {where}", event="more", file=_place(failed))
    elif outcome.warning:
        sentence = f"{source.path} row {outcome.row.number}: {outcome.warning}"
        progress.say(sentence, event="warning", row=outcome.row.number)
    numbers = msgspec.structs.asdict(summary)
    progress.advance(summary.rows, f"{summary.failed:,} failed, {summary.unknown:,} unknown", **numbers)


def _report(
    order: PushArgs,
    target: Target,
    source: RowFile,
    zoho: Zoho,
    state: Path,
    failed: RejectsFile,
    summary: PushSummary,
    error: ZohoError | None,
) -> None:
    failed_file = _place(failed) if failed.count or failed.kept else None
    resets_at = error.resets_at if isinstance(error, QuotaExceededError) else None
    if order.json:
        result = {
            "file": str(source.path),
            "target": target.name,
            "organization_id": zoho.organization_id,
            **msgspec.structs.asdict(summary),
            "failed_file": failed_file,
            "failed_file_error": failed.unwritten or None,
            "failed_before": failed.kept,
            "kept_aside": str(failed.aside) if failed.aside is not None else None,
            "state": str(state),
            "error": str(error) if error is not None else None,
            "resets_at": resets_at,
        }
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return
    calls = summary.writes + summary.reads
    lines = [
        f"{source.path} -> {target.name} of organisation {zoho.organization_id}, run {summary.run}",
        f"  {summary.rows:,} rows: {summary.sent:,} sent ({summary.created:,} created, {summary.updated:,} updated), "
        f"{summary.unchanged:,} unchanged, {summary.settled:,} found sent, "
        + (f"{summary.skipped:,} skipped, " if summary.skipped else "")
        + f"{summary.failed:,} failed, "
        f"{summary.unknown:,} unknown",
        f"  {calls:,} calls ({summary.writes:,} writes, {summary.reads:,} reads) in {span(summary.seconds)}",
    ]
    if not summary.complete:
        left = ""
        if summary.of is not None and summary.of > summary.rows:
            left = f"{summary.of - summary.rows:,} of {summary.of:,} rows are left; "
        lines.append(f"  not finished: {left}run the same command again to go on")
    if failed.count or failed.kept:
        kinds = [f"{kind} {count:,}" for kind, count in sorted(summary.kinds.items())]
        kinds += [f"from earlier runs {failed.kept:,}"] if failed.kept else []
        listed = ", ".join(kinds)
        lines.append(f"  failed rows: {listed if failed.unwritten else f'{failed.path} ({listed})'}")
    if failed.unwritten:
        lines.append(f"  {_unwritten(order, state, failed, summary.run)}")
    if failed.aside is not None:
        lines.append(f"  {failed.path} is not as this state file knows it: kept as {failed.aside}")
    lines.append(f"  state: {state}")
    if isinstance(error, QuotaExceededError):
        when = f" after {resets_at.astimezone():%Y-%m-%d %H:%M %Z}" if resets_at is not None else " tomorrow"
        lines.append(f"  the day's calls are used up: run the same command again{when}, or let it --wait")
    sys.stdout.write("\n".join(lines) + "\n")


def _place(failed: RejectsFile) -> str | None:
    return str(failed.path) if not failed.unwritten else None


def _unwritten(order: PushArgs, state: Path, failed: RejectsFile, run: int) -> str:
    if not (failed.count or failed.kept):
        return f"{failed.path}: no row failed, but the file of an earlier run cannot be removed: {failed.unwritten}"
    sentence = f"{failed.path} cannot be written: {failed.unwritten}"
    if not state.exists():
        return sentence
    # Where the state is the one of this folder it need not be named.
    named = "" if order.state is None and state.parent == Path() else f" --state {shlex.quote(str(state))}"
    return f"{sentence}; `zoho-async runs show {run}{named}` lists the rows"


def span(seconds: float) -> str:
    """A stretch of time for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
