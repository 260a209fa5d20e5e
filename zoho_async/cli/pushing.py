"""`zoho-async push`."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any

import msgspec

from zoho_async.bulk.failed import FailedFile, digest_of_file, ours
from zoho_async.bulk.journal import Journal
from zoho_async.bulk.problems import StateError
from zoho_async.bulk.pushing import Job, PushSummary, RowOutcome, RowReader, jobs, next_step, push
from zoho_async.bulk.readers import RowFile, open_rows
from zoho_async.bulk.target import Target
from zoho_async.client import Zoho
from zoho_async.encoding import to_json
from zoho_async.errors import QuotaExceededError, ZohoError
from zoho_async.limits import Limits

from .exits import DONE, SOME_FAILED, SetupError
from .progress import Progress, open_progress
from .running import Interruption
from .settings import connect

SHOWN = 20
"""Sentences about failed rows that go to the screen; all of them stand in the file of failed rows."""
SAMPLES = 3
DAILY = (1_000, 2_000, 5_000, 10_000)
"""Calls a day of Zoho's plans."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on the command line."""

    name: str
    """Product and resource."""
    file: Path
    upsert_by: str | None
    state: Path | None
    json: bool
    limits: Limits
    profile: str | None


async def push_command(order: Order, interruption: Interruption) -> int:
    """Pushes; the summary goes to stdout."""
    target, source, _ = _checked(order)
    zoho = connect(order.profile, allowed=order.limits)
    state = order.state or default_state(order, zoho)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(zoho)
        resource: Any = _resource(zoho, target)
        failed = FailedFile(source)
        if failed.digest:
            async with Journal(state, msgspec.structs.replace(target, resource=resource).label) as journal:
                failed.trusted = failed.digest if await journal.knows_file(failed.digest) else ""
        run = push(resource, source, upsert_by=order.upsert_by, state=state, concurrency=order.limits.concurrency)
        # As it is now: it may be mended further, or moved away, while it is pushed.
        pushed = digest_of_file(source.path) if ours(source.path) else ""
        # However the run ends: what it has written by then is ours to overwrite.
        stack.push_async_callback(_note_files, state, failed, pushed, run.summary)
        stack.enter_context(failed)
        progress = stack.enter_context(open_progress(f"push {source.path.name}", source.count, json=order.json))
        interruption.gently = run.stop
        error: ZohoError | None = None
        try:
            async with run:
                async for outcome in run:
                    _note(outcome, run.summary, failed, progress, source, counted=order.upsert_by is None)
        except ZohoError as ended:
            error = ended
        failed.finished = run.summary.complete
    _report(order, target, zoho, state, failed, run.summary, error)
    if error is not None:
        raise error
    return SOME_FAILED if run.summary.failed or run.summary.unknown else DONE


def _checked(order: Order) -> tuple[Target, RowFile, RowReader]:
    """Everything that can be found wrong before a call, and before credentials are asked for."""
    target = Target.named(order.name)
    reader = RowReader(target, order.upsert_by)
    source = open_rows(order.file)
    reader.check(source)
    return target, source, reader


def _resource(zoho: Zoho, target: Target) -> Any:
    product, _, resource = target.name.partition(".")
    return getattr(getattr(zoho, product), resource)


def default_state(order: Order, zoho: Zoho) -> Path:
    """The state file beside the input, one per organisation and resource, so that tomorrow's file goes on with it."""
    return order.file.with_name(f"zoho-{zoho.organization_id}-{order.name.replace('.', '-')}.state.sqlite")


async def _note_files(state: Path, failed: FailedFile, pushed: str, summary: PushSummary) -> None:
    """Remembers which files of failed rows may be overwritten: ours as we wrote it, and one that is all pushed."""
    whole = summary.complete and not (summary.failed or summary.unknown)
    digests = [digest for digest in (failed.written, pushed if whole else "") if digest]
    if digests:
        # Another run may have begun; the next one then keeps the file aside, and nothing is lost.
        with suppress(StateError):
            async with Journal(state, "") as journal:
                for digest in digests:
                    await journal.note_file(digest)


def _note(
    outcome: RowOutcome, summary: PushSummary, failed: FailedFile, progress: Progress, source: RowFile, *, counted: bool
) -> None:
    if outcome.status != "done":
        identity = outcome.identity if counted else ""
        failed.add(outcome.row, reason=outcome.reason, code=outcome.code, field=outcome.field, identity=identity)
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
            progress.say(f"... more failed rows: see {failed.path}", event="more", file=str(failed.path))
    numbers = msgspec.structs.asdict(summary)
    progress.advance(summary.rows, f"{summary.failed:,} failed, {summary.unknown:,} unknown", **numbers)


def _report(
    order: Order,
    target: Target,
    zoho: Zoho,
    state: Path,
    failed: FailedFile,
    summary: PushSummary,
    error: ZohoError | None,
) -> None:
    failed_file = str(failed.path) if failed.count else None
    if order.json:
        result = {
            "file": str(order.file),
            "target": target.name,
            "organization_id": zoho.organization_id,
            **msgspec.structs.asdict(summary),
            "failed_file": failed_file,
            "kept_aside": str(failed.aside) if failed.aside is not None else None,
            "state": str(state),
            "error": str(error) if error is not None else None,
        }
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return
    calls = summary.writes + summary.reads
    lines = [
        f"{order.file} -> {target.name} of organisation {zoho.organization_id}",
        f"  {summary.rows:,} rows: {summary.sent:,} sent, {summary.unchanged:,} sent by an earlier run, "
        f"{summary.settled:,} found sent, {summary.failed:,} failed, {summary.unknown:,} unknown",
        f"  {calls:,} calls ({summary.writes:,} writes, {summary.reads:,} look-ups) in {_span(summary.seconds)}",
    ]
    if not summary.complete:
        lines.append("  not finished: run the same command again to go on")
    if failed_file is not None:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(summary.kinds.items()))
        lines.append(f"  failed rows: {failed_file} ({kinds})")
    if failed.aside is not None:
        lines.append(f"  {failed.path} had been changed since it was written: kept as {failed.aside}")
    lines.append(f"  state: {state}")
    if isinstance(error, QuotaExceededError):
        when = f" after {error.resets_at:%Y-%m-%d %H:%M %Z}" if error.resets_at is not None else " tomorrow"
        lines.append(f"  the day's calls are used up: run the same command again{when}")
    sys.stdout.write("\n".join(lines) + "\n")


async def dry_run_command(order: Order, interruption: Interruption) -> int:
    """Says what a push would do; sends nothing and needs no credentials."""
    target, source, reader = _checked(order)
    label, state = "", order.state
    try:
        zoho = connect(order.profile, allowed=order.limits)
    except SetupError:
        # Nothing will be sent; only what earlier runs did cannot be told without knowing the organisation.
        pass
    else:
        label = msgspec.structs.replace(target, resource=_resource(zoho, target)).label
        state = state or default_state(order, zoho)
    steps: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    samples: list[Any] = []
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    interruption.gently = stop
    upsert = order.upsert_by is not None
    with open_progress(f"dry run {source.path.name}", source.count, json=order.json) as progress:
        async with (
            Journal(state, label, create=False) as journal,
            aclosing(jobs(journal, source, reader, upsert=upsert)) as every,
        ):
            async for job in every:
                step = next_step(job, upsert=upsert)
                steps[step] += 1
                if step == "send" and len(samples) < SAMPLES:
                    samples.append(job.body)
                if step == "refuse":
                    _say_refused(job, steps["refuse"], kinds, progress, source)
                if stopped:
                    break
    _report_plan(order, target, source, steps, kinds, samples)
    return SOME_FAILED if steps["refuse"] else DONE


def _say_refused(job: Job, number: int, kinds: Counter[str], progress: Progress, source: RowFile) -> None:
    outcome = RowOutcome(row=job.row, status="failed", action="none", faults=job.faults)
    kinds[outcome.kind] += 1
    if number <= SHOWN:
        progress.say(
            outcome.sentence(str(source.path)), event="row", status="failed", row=job.row.number, field=outcome.field
        )
    elif number == SHOWN + 1:
        progress.say("... more faulty rows; the push will write them all into a file")


def _report_plan(
    order: Order, target: Target, source: RowFile, steps: Counter[str], kinds: Counter[str], samples: list[Any]
) -> None:
    send, look = steps["send"], steps["look"]
    operation = target.writer(upsert=order.upsert_by is not None)
    per_minute = order.limits.per_minute
    minutes = ceil((send + look) / per_minute) if per_minute else 0
    if order.json:
        plan = {
            "dry_run": True,
            "file": str(order.file),
            "target": target.name,
            "rows": source.count,
            "to_send": send,
            "to_look_up": look,
            "unchanged": steps["skip"],
            "faulty": steps["refuse"],
            "kinds": dict(kinds),
            "operation": operation.id,
            "writes": send,
            "reads": look,
            "reads_spent": 0,
            "minutes": minutes,
            "samples": samples,
        }
        sys.stdout.write(to_json(plan).decode() + "\n")
        return
    lines = [
        f"{order.file} -> {target.name}, dry run: nothing was sent, no call was spent",
        f"  {source.count:,} rows: {send:,} would be sent ({operation.method} {operation.path}), "
        f"{steps['skip']:,} were sent by an earlier run, {look:,} of unknown outcome would be looked up, "
        f"{steps['refuse']:,} are faulty",
        f"  calls needed: {send + look:,}",
    ]
    if per_minute:
        days = ", ".join(f"{ceil((send + look) / day):,} at {day:,}" for day in DAILY)
        lines.append(f"  time: {_span(minutes * 60)} at {per_minute} calls a minute; days by the plan's calls: {days}")
    if kinds:
        lines.append("  faulty: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items())))
    lines += [f"  first bodies: {to_json(body).decode()}" for body in samples]
    sys.stdout.write("\n".join(lines) + "\n")


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
