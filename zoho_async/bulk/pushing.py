"""Rows in: validated, sent once in effect, resumable, with one outcome each.

How a row is sent, and what is done when nobody can say whether a call took effect:

- with `upsert_by`, the service's own upsert. The unique value stands in the body too, so a repeated call finds the
  record the first one made: an unknown outcome is settled by sending once more, a killed run by sending again.
- without, a create, which is never repeated blindly. An unknown outcome is looked up by the record's name: one
  match, made since the intent was recorded, settles the row; anything else leaves it `unknown`, and says so.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from zoho_async.encoding import to_builtins
from zoho_async.errors import DecodeError, Fault, InvalidError, OutcomeUnknownError, UnavailableError, ZohoError
from zoho_async.validation import validate

from .columns import Columns, Problem, customs_twice, mangled, nested, original
from .journal import Entry, Journal, Look
from .mapping import (
    FATAL,
    Outcome,
    Status,
    closable,
    iterate,
    map,  # noqa: A004 - our own map, named like the builtin
    status_of,
)
from .narrow import is_list, is_mapping
from .problems import InputError
from .readers import ADDED, ADDED_LINE, Row, RowFile
from .target import Target

Action = Literal["sent", "unchanged", "settled", "none"]

BATCH = 200
"""Rows looked up in the state at once, when the input is not asynchronous."""
CLOCKS_APART = timedelta(minutes=2)
"""How far our clock and the service's may differ when the age of a record is judged."""
SICK = 3
"""So many times `concurrency` calls in a row that find the service unavailable end the run."""

_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="string")


class RowOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one row."""

    row: Row
    status: Status
    action: Action
    """`sent` now, `unchanged` since an earlier run that sent it, `settled` by finding it, or `none`: no call."""
    record_id: str = ""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the row; no call was spent on it."""
    error: Exception | None = None
    identity: str = ""
    """What the state calls the row; equal rows of a create are told apart by it."""

    @property
    def reason(self) -> str:
        """Why the row is not done, as the end of a sentence; empty when it is."""
        if self.faults:
            return "; ".join(fault.message if not fault.path else str(fault) for fault in self.faults)
        return "" if self.error is None or self.status == "done" else _reason(self.error, self.status)

    @property
    def kind(self) -> str:
        """Short name of why, to count by: the rule that is broken, or Zoho's code."""
        if self.faults:
            return self.faults[0].rule
        return self.code or (type(self.error).__name__ if self.error is not None else "")

    @property
    def code(self) -> str:
        """Zoho's code, when Zoho refused the row."""
        code = self.error.code if isinstance(self.error, ZohoError) else None
        return "" if code is None else str(code)

    @property
    def field(self) -> str:
        """The columns that are at fault."""
        return ", ".join(dict.fromkeys(fault.path for fault in self.faults if fault.path))

    def sentence(self, source: str) -> str:
        """One sentence that names the file, the row, the field and the rule."""
        line = f" (line {self.row.line})" if self.row.line else ""
        return f"{source} row {self.row.number}{line}: {self.reason}"


class PushSummary(msgspec.Struct, kw_only=True):
    """Totals of a push; they add up: rows = sent + unchanged + settled + failed + unknown."""

    rows: int = 0
    sent: int = 0
    """Accepted by Zoho in this run."""
    unchanged: int = 0
    """Sent by an earlier run, with the same content: no call."""
    settled: int = 0
    """Begun by a call whose outcome was unknown, and found to be there."""
    failed: int = 0
    unknown: int = 0
    writes: int = 0
    """Calls that write, the client's own repetitions not counted."""
    reads: int = 0
    """Calls spent on looking up unknown outcomes."""
    kinds: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    """Failed and unknown rows by `RowOutcome.kind`."""
    seconds: float = 0.0
    complete: bool = False
    """Whether every row was tried: the input was read to its end, and nothing ended the run before."""

    def count(self, outcome: RowOutcome) -> None:
        """Adds one row."""
        self.rows += 1
        if outcome.status == "done":
            name = outcome.action
            setattr(self, name, getattr(self, name) + 1)
            return
        setattr(self, outcome.status, getattr(self, outcome.status) + 1)
        self.kinds[outcome.kind] = self.kinds.get(outcome.kind, 0) + 1


class Job(msgspec.Struct, kw_only=True):
    """One row, ready: what would be sent, or why nothing will be."""

    row: Row
    body: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    faults: tuple[Fault, ...] = ()
    key: str = ""
    """The unique value (upsert)."""
    digest: str = ""
    look: Look | None = None

    @property
    def identity(self) -> str:
        """The row's name in the journal."""
        return self.look.identity if self.look is not None else ""

    @property
    def entry(self) -> Entry | None:
        """What the journal knew of the row when the run came to it."""
        return self.look.entry if self.look is not None else None


Step = Literal["refuse", "skip", "look", "send"]


def next_step(job: Job, *, upsert: bool) -> Step:
    """What to do with a row, from what is known of it. Pure."""
    if job.faults:
        return "refuse"
    entry = job.entry
    if entry is None or entry.state == "failed":
        return "send"
    if entry.state == "done":
        return "skip" if entry.digest == job.digest else "send"
    return "send" if upsert else "look"


class RowReader:
    """Rows to jobs: columns, types, rules and the unique value. Pure."""

    def __init__(self, target: Target, upsert_by: str | None) -> None:
        self.columns: Columns = target.columns
        self.schema: Any = target.schema
        self._upsert_by = upsert_by
        self.unique_field = upsert_by or ""
        target.writer(upsert=upsert_by is not None)
        if upsert_by is not None and not upsert_by.startswith("cf_"):
            raise InputError(f"`{upsert_by}` cannot be a unique field: it must be a custom field's name such as cf_id")

    def check(self, source: RowFile) -> None:
        """Raises InputError for a file with columns nobody knows, or without the unique field's column."""
        name = str(source.path)
        names = dict.fromkeys(source.columns) if source.format == "csv" else self._keys(source)
        self.columns.require((one for one in names if one not in {*ADDED, ADDED_LINE}), where=name)
        if self._upsert_by is not None and self._upsert_by not in names:
            raise InputError(f"{name}: there is no column `{self._upsert_by}`, by which rows are to be matched")

    def _keys(self, source: RowFile) -> dict[str, None]:
        keys: dict[str, None] = {}
        for row in source:
            # An object or list with a wrong value is a fault of its row; only names nobody knows spoil the file.
            keys.update(
                (name, None)
                for name, _ in self.columns.leaves(row.values)
                if (field := self.columns.field(name)) is None or not field.branch
            )
            keys.update(dict.fromkeys(_custom_names(row.values)))
        return keys

    def read(self, row: Row) -> Job:
        """One row as a job, with every fault it has."""
        if row.fault:
            return Job(row=row, faults=(Fault(path="", rule="unreadable", message=row.fault),))
        try:
            return self._read(row)
        except Exception as error:  # noqa: BLE001 - whatever a caller puts into a row, it must not harm the others
            message = f"cannot be read: {str(error) or type(error).__name__}"
            return Job(row=row, faults=(Fault(path="", rule="unreadable", message=message),))

    def _read(self, row: Row) -> Job:
        places: dict[str, str] = {}
        faults: list[Fault] = []
        body: dict[str, Any] = {}
        if isinstance(row.values, msgspec.Struct):
            found = nested(row.values)
            if isinstance(found, Problem):
                faults.append(found.fault(""))
                return Job(row=row, faults=tuple(faults))
            body = to_builtins(found)
        else:
            body, faults, places = self.columns.read(row.values)
        faults += customs_twice(body)
        wrong = {fault.path for fault in faults}
        for fault in validate(body, type=self.schema):
            path = original(fault.path, places)
            if not fault.warning and path not in wrong:
                faults.append(Fault(path=path, rule=fault.rule, message=fault.message))
        key = ""
        if self._upsert_by is not None:
            value, problem = self._key(body)
            key = value
            if problem is not None and self._upsert_by not in wrong:
                faults.append(problem)
        return Job(row=row, body=body, faults=tuple(faults), key=key, digest=digest_of(body))

    def _key(self, body: Mapping[str, Any]) -> tuple[str, Fault | None]:
        name = str(self._upsert_by)
        fields: Any = body.get("custom_fields", ())
        value: Any = next((one.get("value") for one in fields if is_mapping(one) and one.get("api_name") == name), None)
        if value is None or value == "":
            return "", Fault(path=name, rule="required", message="is required: rows are matched by it")
        if (problem := mangled(value)) is not None:
            return "", Fault(path=name, rule=problem.rule, message=problem.message)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return "", Fault(path=name, rule="type", message="must be text or a whole number: rows are matched by it")
        text = str(value)
        if text != text.strip() or not text.isprintable():
            message = "must not begin or end with a blank or hold line breaks: rows are matched by it"
            return "", Fault(path=name, rule="key", message=message)
        return text, None


def digest_of(body: Mapping[str, Any]) -> str:
    """What tells two bodies apart, the order of their fields aside."""
    return hashlib.sha256(_canonical.encode(body)).hexdigest()[:32]


def _custom_names(values: Any) -> list[str]:
    fields: Any = values.get("custom_fields") if is_mapping(values) else None
    return [str(one["api_name"]) for one in fields if is_mapping(one) and "api_name" in one] if is_list(fields) else []


class Push:
    """A push under way: iterate it for the outcomes, as they come; `summary` counts along. Made by `push()`.

    Whoever may leave the loop early uses it as a context manager, at whose end the run has ended and the state file
    is free:

        async with bulk.push(zoho.books.contacts, rows) as run:
            async for outcome in run:
                ...

    Left early without one, the run ends too, but only some moments later.
    """

    def __init__(
        self,
        target: Target,
        rows: Iterable[Any] | AsyncIterable[Any],
        *,
        upsert_by: str | None,
        state: Path | None,
        label: str,
        concurrency: int,
        pause: float,
    ) -> None:
        self.summary = PushSummary()
        self._target = target
        self._rows = rows
        self._reader = RowReader(target, upsert_by)
        self._upsert_by = upsert_by
        self._state = state
        self._label = label
        self._concurrency = concurrency
        self._pause = pause
        self._stopped = False
        self._opened = False
        self._first = asyncio.Lock()
        self._ended: ZohoError | None = None
        self._sick = 0
        self._exhausted = False
        self._begun = False
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def stop(self) -> None:
        """Begins no further row; calls in flight are finished and their outcomes still come."""
        self._stopped = True

    def __aiter__(self) -> AsyncIterator[RowOutcome]:
        if self._begun:
            raise RuntimeError("a push can be iterated only once")
        self._begun = True
        return self._run()

    async def aclose(self) -> None:
        """Ends the run at once; calls in flight are cancelled and settled by the next run."""
        self._begun = True
        if self._working is not None:
            # Once only: a second time would break off what it does at its end. The loop that was left may ask as well.
            if not self._working.cancelling():
                self._working.cancel()
            await asyncio.wait([self._working])

    async def _run(self) -> AsyncGenerator[RowOutcome, None]:
        # The work is a task's, whose end closes everything in order. Generators inside this one, all left at once by
        # a caller who breaks out of the loop, would be closed by the event loop in any order, and get into trouble.
        begun = monotonic()
        ready: asyncio.Queue[RowOutcome | None] = asyncio.Queue()
        working = self._working = asyncio.create_task(self._work(ready), name="zoho-push")
        try:
            while (outcome := await ready.get()) is not None:
                self.summary.count(outcome)
                self.summary.seconds = monotonic() - begun
                ready.task_done()
                yield outcome
            await asyncio.wait([working])
            if not working.cancelled():
                working.result()
        finally:
            await self.aclose()
            self.summary.seconds = monotonic() - begun

    async def _work(self, ready: asyncio.Queue[RowOutcome | None]) -> None:
        try:
            async with Journal(self._state, self._label, durable=self._upsert_by is None) as journal:

                async def perform(job: Job) -> RowOutcome:
                    return await self._perform(journal, job)

                async with aclosing(
                    jobs(journal, self._rows, self._reader, upsert=self._upsert_by is not None)
                ) as all_:
                    source = self._until_stopped(all_)
                    async with aclosing(closable(map(perform, source, concurrency=self._concurrency))) as outcomes:
                        async for outcome in outcomes:
                            ready.put_nowait(_row_outcome(outcome))
                            # No further ahead of who consumes them than one.
                            await ready.join()
            if self._ended is not None:
                raise self._ended
            self.summary.complete = self._exhausted
        finally:
            ready.put_nowait(None)

    async def _until_stopped(self, source: AsyncGenerator[Job, None]) -> AsyncIterator[Job]:
        async for job in source:
            if self._stopped or self._ended is not None:
                return
            yield job
        self._exhausted = True

    async def _perform(self, journal: Journal, job: Job) -> RowOutcome:
        match next_step(job, upsert=self._upsert_by is not None):
            case "refuse":
                return RowOutcome(row=job.row, status="failed", action="none", faults=job.faults)
            case "skip":
                assert job.entry is not None
                return RowOutcome(row=job.row, status="done", action="unchanged", record_id=job.entry.record_id)
            case "look":
                return await self._alone(journal, job, look=True)
            case "send":
                return await self._alone(journal, job, look=False)

    async def _alone(self, journal: Journal, job: Job, *, look: bool) -> RowOutcome:
        """The first call goes alone: wrong credentials or a wrong organisation must cost one call, not ten."""
        if not self._opened:
            async with self._first:
                if self._ended is not None:
                    raise self._ended
                if not self._opened:
                    outcome = await self._send_or_look(journal, job, look=look)
                    self._opened = True
                    return outcome
        return await self._send_or_look(journal, job, look=look)

    async def _send_or_look(self, journal: Journal, job: Job, *, look: bool) -> RowOutcome:
        try:
            if look and job.entry is not None:
                return await self._look(journal, job, job.entry.intended_at, None)
            return await self._send(journal, job)
        except FATAL as error:
            self._ended = self._ended or error
            raise

    async def _send(self, journal: Journal, job: Job) -> RowOutcome:
        begun = datetime.now(UTC)
        await journal.intend(job.identity, job.digest)
        uncertain: ZohoError | None = None
        while True:
            self.summary.writes += 1
            try:
                record = await self._call(job)
            except DecodeError as error:
                # Zoho has acted; only what it answered cannot be read.
                return await self._done(journal, job, "", error)
            except ZohoError as error:
                if error.sent is False:
                    self.summary.writes -= 1
                if isinstance(error, FATAL):
                    # What Zoho refuses for such a reason it has not executed.
                    if uncertain is None and error.sent is not None:
                        await journal.withdraw(job.identity)
                    raise
                self._count_sick(error)
                if status_of(error) == "unknown":
                    if self._upsert_by is None:
                        await journal.settle(job.identity, "unknown")
                        await asyncio.sleep(self._pause)
                        return await self._look(journal, job, begun, error)
                    if uncertain is None:
                        uncertain = error
                        await asyncio.sleep(self._pause)
                        continue
                    return await self._undecided(journal, job, error)
                code = "" if error.code is None else str(error.code)
                state: Status = "failed" if uncertain is None else "unknown"
                await journal.settle(job.identity, state, code=code, message=error.message or type(error).__name__)
                return self._refused(job, error, state)
            except Exception as error:  # noqa: BLE001 - no error of a call, so nothing was sent; one row must not harm the others
                self.summary.writes -= 1
                if uncertain is not None:
                    return await self._undecided(journal, job, error)
                await journal.withdraw(job.identity)
                return RowOutcome(row=job.row, status="failed", action="none", error=error)
            self._sick = 0
            return await self._done(journal, job, str(getattr(record, self._target.record_id, "") or ""), None)

    async def _call(self, job: Job) -> Any:
        resource = self._target.resource
        if self._upsert_by is None:
            return await resource.create(job.body)
        return await resource.upsert(job.body, field=self._upsert_by, value=job.key, create=True)

    async def _look(self, journal: Journal, job: Job, since: datetime, error: ZohoError | None) -> RowOutcome:
        """Settles a create nobody knows the outcome of, if Zoho has exactly one record that can only be its."""
        try:
            found = await self._candidates(job, since - CLOCKS_APART)
        except ZohoError as failure:
            if isinstance(failure, FATAL):
                raise
            found = []
        if len(found) == 1 and await journal.adopt(job.identity, found[0]):
            return RowOutcome(row=job.row, status="done", action="settled", record_id=found[0])
        return await self._undecided(journal, job, error)

    async def _candidates(self, job: Job, since: datetime) -> list[str]:
        """Ids of the records that bear the row's name and were made since."""
        field = self._target.name_field
        listing = self._target.operations.get("list")
        name: Any = job.body.get(field) if field else None
        if listing is None or not isinstance(name, str):
            return []
        filters = {parameter.name: parameter for parameter in listing.parameters}
        limit = filters[field].max_length
        wanted = {field: name}
        if limit is not None and len(name) > limit:
            # The filter does not take the whole name: its beginning does, and the rows are compared in full.
            if f"{field}_startswith" not in filters:
                return []
            wanted = {f"{field}_startswith": name[:limit]}
        self.summary.reads += 1
        page = await self._target.resource.list(**wanted)
        return [
            str(getattr(row, self._target.record_id))
            for row in page.rows
            if str(getattr(row, field, "") or "").strip() == name.strip()
            and (made := getattr(row, "created_time", None)) is not None
            and made >= since
        ]

    async def _undecided(self, journal: Journal, job: Job, error: Exception | None) -> RowOutcome:
        await journal.settle(job.identity, "unknown")
        return RowOutcome(row=job.row, status="unknown", action="none", error=error or UnsettledError())

    async def _done(self, journal: Journal, job: Job, record_id: str, error: Exception | None) -> RowOutcome:
        await journal.settle(job.identity, "done", record_id=record_id)
        return RowOutcome(row=job.row, status="done", action="sent", record_id=record_id, error=error)

    def _refused(self, job: Job, error: ZohoError, status: Status) -> RowOutcome:
        faults = error.faults if isinstance(error, InvalidError) else ()
        return RowOutcome(row=job.row, status=status, action="none", faults=faults, error=error)

    def _count_sick(self, error: ZohoError) -> None:
        """Ends the run when nothing gets through any more, before every row of a long input has failed."""
        sick = isinstance(error, UnavailableError | OutcomeUnknownError)
        self._sick = self._sick + 1 if sick else 0
        if self._sick >= SICK * self._concurrency:
            self._ended = self._ended or error


class UnsettledError(Exception):
    """A create begun by an earlier run, of which nobody can say whether it took effect."""

    def __init__(self) -> None:
        super().__init__(
            "an earlier run sent this row and nobody can say whether it took effect, and no single record of that "
            "name and age was found"
        )


def push(
    resource: Any,
    rows: Iterable[Any] | AsyncIterable[Any],
    *,
    upsert_by: str | None = None,
    state: str | Path | None = None,
    label: str = "",
    concurrency: int = 10,
    pause: float = 2.0,
) -> Push:
    """Creates a record for every row, or updates the one with the row's unique value, each exactly once in effect.

    `resource` is a client's resource such as `zoho.books.contacts`. `rows`: a `RowFile` (`open_rows`), or any iterable
    or async iterable of mappings (flat columns or nested) or request structs. `upsert_by` names a custom field that
    allows no duplicates; rows whose unique value already has a record update it. `state` is the file that lets the
    next run go on where this one ended, whatever ended it; without one the run cannot be resumed. `label` tells
    targets apart that share a state file (default: place, organisation and resource). `pause`: seconds before an
    unknown outcome is looked up or sent again.

    Iterate the result: one `RowOutcome` per row as it is ready, never an exception for one row; `.summary` counts,
    `.stop()` ends it gently, `async with` around the loop ends it when the loop is left early. AuthError,
    ConfigError, QuotaExceededError, RateLimitError, and UnavailableError when nothing gets through any more, are
    raised at the end of what was under way; the same call with the same `state`
    resumes. Raises InputError for a resource that cannot be pushed and StateError for a state file in use.
    """
    target = Target.of(resource)
    return Push(
        target,
        rows,
        upsert_by=upsert_by,
        state=Path(state) if state is not None else None,
        label=label or target.label,
        concurrency=concurrency,
        pause=pause,
    )


async def jobs(
    journal: Journal, rows: Iterable[Any] | AsyncIterable[Any], reader: RowReader, *, upsert: bool
) -> AsyncGenerator[Job, None]:
    """Every row as a job, with what the journal knows of it. Later rows with a unique value seen before are faulty."""
    async with aclosing(_batches(rows)) as batches:
        async for batch in batches:
            for job in await _looked_up(journal, batch, reader, upsert=upsert):
                yield job


async def _looked_up(journal: Journal, batch: list[Row], reader: RowReader, *, upsert: bool) -> list[Job]:
    read = [reader.read(row) for row in batch]
    known = [job for job in read if (job.key if upsert else not job.faults)]
    looks = await journal.look(
        [(f"{reader.unique_field}={job.key}" if upsert else job.digest, job.row.number) for job in known],
        counted=not upsert,
        carried={job.row.number: job.row.identity for job in known if job.row.identity},
    )
    for job, look in zip(known, looks, strict=True):
        job.look = look
        if look.first != job.row.number:
            message = f"is the same as in row {look.first}; only one row can have it"
            path = reader.unique_field
            job.faults = (*job.faults, Fault(path=path, rule="duplicate", message=message))
    return read


async def _batches(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[list[Row], None]:
    if isinstance(rows, AsyncIterable):
        # One at a time: who feeds rows as they arise must not wait for a batch to fill.
        number = 0
        async with aclosing(closable(iterate(rows))) as source:
            async for values in source:
                number += 1
                yield [_row(values, number)]
        return
    numbered = enumerate(rows, 1)
    while batch := [_row(values, number) for number, values in islice(numbered, BATCH)]:
        yield batch


def _row(values: Any, number: int) -> Row:
    if isinstance(values, Row):
        return values
    if isinstance(values, Mapping | msgspec.Struct):
        return Row(number=number, values=values)
    return Row(number=number, fault=f"is no mapping and no request struct, but {type(values).__name__}")


def _row_outcome(outcome: Outcome[Job, RowOutcome]) -> RowOutcome:
    job = outcome.item
    result = outcome.result or RowOutcome(row=job.row, status=outcome.status, action="none", error=outcome.error)
    return msgspec.structs.replace(result, identity=job.identity)


def _reason(error: Exception, status: Status) -> str:
    if isinstance(error, ZohoError) and status == "failed" and error.message:
        code = f" (code {error.code})" if error.code is not None else ""
        return f"Zoho refused it: {error.message}{code}"
    text = str(error) or type(error).__name__
    return f"it is not known whether Zoho has it: {text}" if status == "unknown" else text
