"""A source for dlt, which loads lists of Zoho into a warehouse; needs the extra `[dlt]`. See docs/dlt.md.

    pipeline = dlt.pipeline("zoho", destination="duckdb", dataset_name="books")
    pipeline.run(zoho_source(organizations=["10234695"], resources=["books.contacts"]))

Loaded by no other module.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

try:
    import dlt
except ModuleNotFoundError as error:
    if error.name != "dlt":
        raise
    raise ModuleNotFoundError("zoho_async.dlt needs dlt: pip install 'zoho_async[dlt]'", name="dlt") from None
from dlt.common.configuration.container import Container
from dlt.common.pipeline import PipelineContext

from zoho_async import bulk
from zoho_async.bulk.pulling.changes import check_pullable
from zoho_async.bulk.pulling.deletions import MAX_DELETED
from zoho_async.bulk.pulling.id_index import content_hash
from zoho_async.bulk.pulling.typed_columns import columns_of
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.state.owned_file import MEMORY
from zoho_async.client import Zoho
from zoho_async.errors import QuotaExceededError

from .load_state import COMPLETE, RUN, LoadedTable, LoadState

if TYPE_CHECKING:
    from dlt.extract import DltResource

__all__ = ["unfinished", "zoho_source"]

T = TypeVar("T")
SourceDetails = Literal["none", "changed"]

MAX_CALLS = 500
"""Calls of a slice: when dlt fails to extract, it discards what the slice has read."""
_PAGE = 200
"""Rows that dlt is given together."""
_INTEGER_DIGITS, _PLACES = 29, 9
"""Before and behind the point of dlt's usual DECIMAL(38, 9)."""
_DIGITS = Context(prec=_INTEGER_DIGITS + _PLACES + 1)
_NUL = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000")
"""The character NUL in JSON."""

_TYPES: Mapping[str, Any] = {
    "organization_id": {"data_type": "text", "nullable": False},
    # Of several rows of one record in a load the last one counts.
    "zoho_seen_at": {"data_type": "timestamp", "nullable": False, "dedup_sort": "desc"},
    "zoho_deleted": {"data_type": "bool", "hard_delete": True},
    "zoho_hash": {"data_type": "text"},
    "zoho_row": {"data_type": "text"},
    "zoho_record": {"data_type": "text"},
}
"""The columns that no record of Zoho has."""

_log = logging.getLogger(__name__)


@dlt.source(name="zoho", max_table_nesting=0)
def zoho_source(
    organizations: Sequence[str],
    resources: Sequence[str] = ("books.contacts",),
    details: SourceDetails = "none",
    max_calls: int | None = MAX_CALLS,
    max_deleted: float = MAX_DELETED,
) -> Iterable[DltResource]:
    """Lists of Zoho as a source of dlt, which loads what has changed since the last load.

    Each resource becomes a table such as `books_contacts`, with the records of all organisations. Records that are
    deleted in Zoho are deleted there too. Credentials and addresses come from the variables of `Zoho.from_env`.

    Args:
        organizations: Ids of the organisations.
        resources: Product and resource of each list, such as `books.contacts`.
        details: `changed` reads every changed record by itself, one call each.
        max_calls: Most calls for each list of each organisation in a run; the rest is left to the next run, see
            `unfinished`. None: no limit.
        max_deleted: Share of an organisation's known records, from 0 to 1, that may be deleted at once; ten may be in
            any case. With more the extract fails with MassDeleteError.

    Returns:
        The source, with a dlt resource for each list of each organisation, such as `books_contacts_10234695`.

    Raises:
        InputError: There is no such resource, it has no paged list, or no details.
    """
    loop, run = _Loop(), time.time_ns()
    for resource in dict.fromkeys(resources):
        target = Destination.named(resource)
        check_pullable(target, details=details != "none")
        for organization_id in dict.fromkeys(map(str, organizations)):
            one = _List(target, organization_id, details=details, max_calls=max_calls, max_deleted=max_deleted, run=run)
            yield dlt.resource(
                _extraction(one, loop),
                name=one.name,
                table_name=one.table,
                write_disposition={"disposition": "merge", "strategy": "delete-insert"},
                primary_key=["organization_id", target.record_id],
                columns=one.columns(),
                max_table_nesting=0,
            )


def unfinished(pipeline: dlt.Pipeline) -> list[str]:
    """The lists that a pipeline's last load has not read to the end, for want of calls.

    Args:
        pipeline: The pipeline that `zoho_source` was run in.

    Returns:
        Names of its dlt resources. Run the source again to go on.
    """
    ours: dict[str, dict[str, Any]] = {}
    sources: dict[str, Any] = pipeline.state.get("sources", {})
    for source in sources.values():
        resources: dict[str, dict[str, Any]] = source.get("resources", {})
        ours |= {name: state for name, state in resources.items() if COMPLETE in state}
    # Not those of sources before: an organisation may be loaded no more.
    last = max((state[RUN] for state in ours.values()), default=0)
    return sorted(name for name, state in ours.items() if state[RUN] == last and not state[COMPLETE])


class _List:
    """One list of one organisation, and what dlt knows of it."""

    def __init__(
        self,
        target: Destination,
        organization_id: str,
        *,
        details: SourceDetails,
        max_calls: int | None,
        max_deleted: float,
        run: int,
    ) -> None:
        self.target = target
        self.organization_id = organization_id
        self.details: SourceDetails = details
        self.max_calls = max_calls
        self.max_deleted = max_deleted
        self.run = run
        self.table = target.name.replace(".", "_")
        self.name = f"{self.table}_{organization_id}"
        listed: Any = target.operations["list"].response
        # Columns that only a record read by itself has would stay NULL.
        self.types = bulk.columns(target.name) if details != "none" else columns_of(listed)

    def columns(self) -> dict[str, Any]:
        """Hints for dlt: without them it would guess the types, row by row."""
        spec: dict[str, Any] = {name: {"data_type": kind} for name, kind in self.types.items()}
        return spec | {self.target.record_id: {"data_type": "text", "nullable": False}} | dict(_TYPES)

    def row(self, change: bulk.Change, seen_at: datetime) -> dict[str, Any]:
        """A change as a row of the table."""
        row: dict[str, Any] = {}
        for raw in (change.row, change.record):
            if raw is not None:
                values = bulk.plain_values(raw, self.types)
                row |= {name: _loadable(value, self.types.get(name, "text")) for name, value in values.items()}
        return row | {
            "organization_id": self.organization_id,
            self.target.record_id: change.id,
            "zoho_seen_at": seen_at,
            "zoho_deleted": change.kind == "delete",
            "zoho_hash": content_hash(change.row).hex() if change.row is not None else None,
            "zoho_row": change.row.decode() if change.row is not None else None,
            "zoho_record": change.record.decode() if change.record is not None else None,
        }


def _loadable(value: Any, kind: str) -> Any:
    """The value; None where no destination has room for it, as it would stop every load (`zoho_row` has it)."""
    if isinstance(value, Decimal):
        if value.adjusted() < _INTEGER_DIGITS and value.as_tuple().exponent < -_PLACES:  # type: ignore[operator]
            # A destination may refuse to round.
            value = value.quantize(Decimal(1).scaleb(-_PLACES), context=_DIGITS)
        return value if value.adjusted() < _INTEGER_DIGITS else None
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            return None
    if isinstance(value, str) and kind == "json":
        # PostgreSQL refuses JSON with this character.
        return _NUL.sub(r"\1", value)
    return value


class _Loop:
    """An event loop in a thread of its own, with one client for all lists that are read at a time.

    Not dlt's own loop: it is stopped before a generator that fails has closed what it holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._zoho: Zoho | None = None

    def __enter__(self) -> Zoho:
        with self._lock:
            if self._zoho is None:
                self._zoho = Zoho.from_env()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=__name__, daemon=True)
                self._thread.start()
            self._users += 1
            return self._zoho

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._zoho is None or self._loop is None or self._thread is None:
                return
            self.submit(self._zoho.close()).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._zoho = self._loop = self._thread = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begins something in the loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop)


class _PageReader:
    """The pages of a list, read one ahead of dlt."""

    def __init__(self, rows: AsyncGenerator[Any, None]) -> None:
        self._rows = rows
        self._task: asyncio.Task[Any] | None = None

    async def next(self) -> Any:
        """The next page; None at the end."""
        self._task = asyncio.current_task()
        return await anext(self._rows, None)

    async def close(self) -> None:
        """Ends the reading, wherever it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._rows.aclose()


def _extraction(one: _List, loop: _Loop) -> Callable[[], Iterator[Any]]:
    def extract() -> Iterator[Any]:
        state: dict[str, Any] = dlt.current.resource_state(one.name)
        pipeline = dlt.current.pipeline() if Container()[PipelineContext].is_active() else None
        load_state = LoadState(
            state,
            _index_file(one, pipeline),
            LoadedTable(one.name, one.table, one.target.record_id, one.organization_id, pipeline),
        )
        with loop as zoho:
            pages = _PageReader(_rows(one, zoho.with_options(organization_id=one.organization_id), load_state))
            try:
                reading = loop.submit(pages.next())
                while True:
                    while not reading.done():
                        # dlt goes on with other lists.
                        yield None
                    page = reading.result()
                    if page is None:
                        return
                    reading = loop.submit(pages.next())
                    yield page
            finally:
                loop.submit(pages.close()).result()

    return extract


async def _rows(one: _List, zoho: Zoho, state: LoadState) -> AsyncGenerator[Any, None]:
    """The changes of a list, page by page. The state moves at the end only, as dlt keeps all of a slice or nothing."""
    custom: set[str] = set()
    page: list[dict[str, Any]] = []
    seen_at = datetime.min.replace(tzinfo=UTC)
    resource = _resource(zoho, one.target.name)
    options: dict[str, Any] = {"max_calls": one.max_calls, "max_deleted": one.max_deleted}
    async with bulk.changes(resource, state, details=one.details, **options) as changes:
        try:
            async for change in changes:
                seen_at = max(change.seen_at, seen_at + timedelta(microseconds=1))
                page.append(one.row(change, seen_at))
                if len(page) == _PAGE:
                    yield _with_hints(page, one, custom)
                    page = []
        except QuotaExceededError:
            if not changes.summary.upserts + changes.summary.deletes:
                raise
            # What the day's calls have brought is loaded; the rest comes with another run.
            _log.warning("%s: the calls of the day are used up; run again when there are more", one.name)
        if page:
            yield _with_hints(page, one, custom)
        changes.commit()
        state.note(run=one.run, complete=changes.summary.complete)


def _resource(zoho: Zoho, name: str) -> Any:
    product, _, resource = name.partition(".")
    return getattr(getattr(zoho, product), resource)


def _with_hints(page: list[dict[str, Any]], one: _List, custom: set[str]) -> Any:
    """The page, with the columns of custom fields that are new: text, as dlt's guess changes with the value."""
    fresh = {name for row in page for name in row} - one.types.keys() - _TYPES.keys() - custom
    if not fresh:
        return page
    custom |= fresh
    columns: Any = {name: {"name": name, "data_type": "text"} for name in sorted(fresh)}
    return dlt.mark.with_hints(page, dlt.mark.make_hints(columns=columns))


def _index_file(one: _List, pipeline: dlt.Pipeline | None) -> str:
    """Beside the files of the pipeline; in memory when there is none."""
    if pipeline is None:
        return MEMORY
    folder = Path(pipeline.working_dir) / "zoho_async"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / f"{one.name}.ids")
