"""What comes before a write: rows checked, the destination's lists read, and an action found for every row."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from zoho_async.bulk._aio import iterate
from zoho_async.bulk._pages import Read
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.duplicates import KEYS, DuplicateDetector
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.packing import packed, unpacked
from zoho_async.bulk.rows.preflight import Preflight
from zoho_async.bulk.rows.rejection_tags import carried_key, is_tag, tag
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.review import Review, refuse_warnings
from zoho_async.bulk.rows.validate import RowReader, WorkItem, batched, full_name_key, keyed_by, row_key, row_of
from zoho_async.bulk.source.files import Row, RowFile, strip_blanks
from zoho_async.bulk.state.journal import Entry, Journal
from zoho_async.errors import Fault

from .endpoint import OrganizationLists
from .index_queries import forget, identified, keyed, named
from .routing import RoutedRow, RowContext, decide, name_fault
from .target_index import TargetIndex

CHECK_BATCH = 200
"""Rows checked at once, when the input is not asynchronous."""
ROUTE_BATCH = 100
"""Rows routed at once, which then wait in memory for their calls: for each of hundreds of pushes in one process."""


class Planner:
    """Rows to routed rows. `read` makes the calls that read; without a resource none is made."""

    def __init__(
        self,
        journal: Journal,
        destination: Destination,
        options: Options,
        read: Read,
        wait_epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        self._journal = journal
        self._destination = destination
        self._natural = destination.natural
        self._options = options
        self.reader = RowReader(destination, options)
        self._lists = OrganizationLists(destination, read)
        self._needs = Preflight(destination, options)
        self._duplicates = DuplicateDetector(journal.database)
        self.checked = 0
        """Rows that `check` has seen, invalid ones included."""
        self.good = 0
        self._keeping = False
        self._wait_epoch = wait_epoch
        self.index = TargetIndex(
            journal.database, destination, options, read, wait_epoch=wait_epoch, recorded_key=self._recorded_key
        )

    async def check(
        self, rows: Iterable[Any], review: Review | None = None, *, strict: bool = False
    ) -> AsyncGenerator[list[WorkItem], None]:
        """Checks every row, a batch at a time; yields the invalid ones and keeps the others for `routed_rows`.

        `review` gets every row; `strict`: InputError before the first one, when any row has a warning.
        The rows of a file are kept themselves: whatever happens to the file meanwhile, what was checked is pushed.
        """
        whole = isinstance(rows, RowFile)

        def prepare(connection: sqlite3.Connection) -> None:
            connection.execute(
                "CREATE TEMP TABLE checked "
                "(number INTEGER PRIMARY KEY, item TEXT, identity TEXT, digest TEXT, turn INTEGER)"
            )

        await self._journal.database.run(prepare)
        await self._lists.look_up(self.reader.intake, rows)
        if strict:
            await refuse_warnings(self.reader, rows, self._journal.database, CHECK_BATCH)
        self._keeping = True
        for batch in batched(rows, CHECK_BATCH):
            items = await self._checked(batch)
            if review is not None:
                await review.take(items)
            good = [
                (item.row.number, packed(item, whole=whole), item.row_key, item.content_hash)
                for item in items
                if not item.faults
            ]

            def keep(connection: sqlite3.Connection, good: list[tuple[int, str, str, str]] = good) -> None:
                connection.executemany("INSERT INTO checked VALUES (?, ?, ?, ?, 0)", good)

            await self._journal.database.run(keep)
            self.checked += len(batch)
            self.good += len(good)
            yield [item for item in items if item.faults]

    async def routed_rows(
        self, rows: Iterable[Any] | AsyncIterable[Any], *, checked: bool
    ) -> AsyncGenerator[RoutedRow, None]:
        """Routes every row; `checked`: `check` has seen them, and only the valid ones are routed."""
        if not checked:
            asked = False
            async with aclosing(_batches(rows)) as batches:
                async for batch in batches:
                    items = await self._checked(batch)
                    if not (asked or all(item.faults for item in items)):
                        # The rows that follow are not there yet.
                        asked = True
                        await self._lists.check(self._needs)
                    for routed in await self.decide(items):
                        yield routed
            return
        turns, remaining = await self._journal.database.run(self._journal.sort_checked)
        if remaining:
            await self._lists.check(self._needs, str(rows.path) if isinstance(rows, RowFile) else "")
        taken = 0
        async with aclosing(self._kept(rows, turns)) as kept:
            async for items in kept:
                taken += len(items)
                for routed in await self.decide(items):
                    yield routed
        if taken < self.good:
            raise InputError(
                f"the input has changed while it was pushed: {self.good - taken:,} rows are missing from it"
            )

    async def decide(self, items: Sequence[WorkItem], *, deleted: str = "") -> list[RoutedRow]:
        """The actions for some rows, as things stand now. `deleted`: id of a record that no longer exists."""
        wait_epoch = self._wait_epoch()
        hint = self._options.hint_for_taken(by="record" if self._natural.name else "key")
        await self._look(items, changed=bool(deleted))

        def work(connection: sqlite3.Connection) -> list[RoutedRow]:
            if deleted:
                forget(connection, deleted)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS temp.used (record_id TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID"
            )
            routed_rows: list[RoutedRow] = []
            for item in items:
                item.hint = hint
                context = self._context(connection, item, deleted=deleted)
                routed = decide(item, context, self._options, rename=self.reader.rename)
                routed.wait_epoch = wait_epoch
                routed_rows.append(self._alone(connection, routed))
            return routed_rows

        return await self._journal.database.run(work)

    def _alone(self, connection: sqlite3.Connection, routed: RoutedRow) -> RoutedRow:
        """The same action, or another one when an earlier row has the record."""
        item, found = routed.item, routed.record
        if found is None:
            return routed
        (first,) = connection.execute(
            "INSERT INTO temp.used VALUES (?, ?) ON CONFLICT (record_id) DO UPDATE SET number = number "
            "RETURNING number",
            (found.record_id, item.row.number),
        ).fetchone()
        if first == item.row.number:
            return routed
        message = f"leads to the same record ({found.record_id}) as row {first}"
        item.faults = (Fault(path=item.key_field, rule="ambiguous", message=message),)
        item.row_key = tag(item.row)
        return RoutedRow(item=item, action="refuse", context=routed.context)

    def _context(self, connection: sqlite3.Connection, item: WorkItem, *, deleted: str) -> RowContext:
        entry = self._journal.entry(connection, item.row_key)
        natural, options = self._natural, self._options
        looking = not self.index.empty
        if entry is None and not (options.field or item.record_id or item.faults):
            entry = self._renamed_entry(connection, item, looking=looking)
        sent = self._sent_under_another_key(connection, item)
        if entry is None and sent is None:
            entry, sent = self._sent_without_email(connection, item)
        same_key = keyed(connection, item.key, item.parent) if looking and not item.record_id else []
        if options.field == natural.name and item.name_scope_given:
            same_key = [one for one in same_key if one.name_scope == item.name_scope]
        own_id = item.record_id or (entry.record_id if entry is not None else "")

        def is_of_another(kind: str, value: str) -> bool:
            return self._duplicates.holder(connection, kind, value) not in (None, item.row.number)

        return RowContext(
            entry=sent or entry,
            key_changed=sent is not None,
            own=identified(connection, own_id) if looking else None,
            keyed=tuple(same_key),
            indexed=self.index.knows(item.parent),
            parent_missing=natural.parent if self.index.parent_missing(item.parent) else "",
            records_of_same_name=partial(named, connection) if looking else lambda name_scope, name: (),
            deleted=bool(deleted) and deleted == own_id,
            reserved=partial(is_of_another, item.name_scope),
            expected_key=lambda key: is_of_another(KEYS, row_key(item.key_field, key, item.key_scope)),
        )

    def _sent_under_another_key(self, connection: sqlite3.Connection, item: WorkItem) -> Entry | None:
        """What is known of a row that was sent with unknown outcome, and whose key was changed since."""
        carried = carried_key(item.row.identity)
        if not carried or carried == item.row_key or item.record_id or keyed_by(carried) not in ("", item.key_field):
            return None
        entry = self._journal.entry(connection, carried)
        return entry if entry is not None and entry.state in ("intent", "unknown") else None

    def _sent_without_email(self, connection: sqlite3.Connection, item: WorkItem) -> tuple[Entry | None, Entry | None]:
        """What an earlier version has recorded of a person that had no e-mail then: done, or of unknown outcome."""
        natural = self._natural
        if not (natural.parent and item.key) or item.record_id:
            return None, None
        name = full_name_key(item.body, item.parent)
        if not name:
            return None, None
        found = self._journal.keyless(connection, "", [name])
        sent = next((one for one in found if one.state in ("intent", "unknown")), None)
        if sent is not None or self._options.field not in ("", natural.field):
            return None, sent
        for entry in found:
            record = identified(connection, entry.record_id)
            owner = self._duplicates.holder(connection, KEYS, entry.row_key)
            if entry.state == "done" and record is not None and not record.match and owner is None:
                self._journal.give_key(connection, entry.row_key, item.row_key, item.content_hash)
                return self._journal.entry(connection, item.row_key), None
        return None, None

    def _renamed_entry(self, connection: sqlite3.Connection, item: WorkItem, *, looking: bool) -> Entry | None:
        """What is known of a row by another name of its: without its suffix, or of a version whose rows had no key.

        It has the row's key from now on.
        """
        plain_key = row_key(item.key_field, item.key, item.key_scope)
        plain = self._journal.entry(connection, plain_key) if plain_key != item.row_key else None
        # Several rows may have one name: the first is the one that was sent under it.
        is_second = item.renamed or is_tag(item.row.identity)
        found = [plain] if plain is not None and (plain.content_hash == item.content_hash or not is_second) else []
        names = {item.display_key, f"{item.parent}/{strip_blanks(str(item.body.get(item.key_field) or ''))}"}
        for entry in found or self._journal.keyless(connection, item.content_hash, sorted(names)):
            record = identified(connection, entry.record_id) if looking else None
            if record is None or record.name_scope == item.name_scope:
                self._journal.give_key(connection, entry.row_key, item.row_key, item.content_hash)
                return self._journal.entry(connection, item.row_key)
        return None

    def _recorded_key(self, connection: sqlite3.Connection, record_id: str, parent: str) -> str:
        """The key of the row that has a record; empty when none has, or it was matched by another field."""
        owner = self._journal.owner(connection, record_id)
        begin, end = row_key(self._options.field, ""), f"@{parent}" if parent else ""
        if not (self._options.field and owner.startswith(begin) and owner.endswith(end)):
            return ""
        return owner[len(begin) : len(owner) - len(end)]

    async def _look(self, items: Sequence[WorkItem], *, changed: bool) -> None:
        """Reads what these rows need of the destination. `changed`: what the journal says is done may not be so now."""
        # A row that carries its record's id needs no list.
        if self._destination.resource is None or all(item.faults or item.record_id for item in items):
            return
        if not self._natural.parent:
            await self.index.read()
            return
        good = [item for item in items if not (item.faults or item.record_id)]

        def unchanged(connection: sqlite3.Connection) -> set[str]:
            entries = {item.row_key: self._journal.entry(connection, item.row_key) for item in good}
            return {
                item.row_key
                for item in good
                if (entry := entries[item.row_key]) is not None
                and (entry.state, entry.content_hash) == ("done", item.content_hash)
            }

        same = set[str]() if changed else await self._journal.database.run(unchanged)
        # One call for each parent: not for those whose rows an earlier run has done.
        parents = dict.fromkeys(item.parent for item in good if item.row_key not in same)
        await self.index.read(parents)

    async def _checked(self, batch: Sequence[Row]) -> list[WorkItem]:
        """Work items with every fault that can be found without a call, those of rows that collide too."""
        options = self._options
        items = [self.reader.read(row) for row in batch]
        await self._find_keyless(items)
        keyed_items = [item for item in items if item.key]
        firsts = await self._duplicates.first(KEYS, [(item.row_key, item.row.number) for item in keyed_items])
        later: list[tuple[WorkItem, int]] = []
        for item, first in zip(keyed_items, firsts, strict=True):
            if first != item.row.number:
                item.hint = options.hint_for_taken(by="row")
                message = f"is the same as in row {first}; only one row can have it"
                fault = Fault(path=item.key_field, rule="duplicate", message=message)
                item.faults = (*item.faults, name_fault(item, f"row {first} has it") if item.by_name else fault)
                later.append((item, first))
        if options.on_name_taken != "allow":
            await self._check_names([item for item in items if item.name and not item.faults])
        good = await self._good({first for _, first in later}, items)
        for item, first in later:
            # Beside a row that is not sent either it may take that one's place.
            if first in good:
                item.row_key = tag(item.row)
        for item in items:
            if not item.faults:
                self._needs.add(item)
        return items

    async def _find_keyless(self, items: Sequence[WorkItem]) -> None:
        """Persons without e-mail that an earlier version has sent go on by its entries; no other may be made."""
        natural = self._natural
        if not natural.parent or self._options.field:
            return
        without_email = [(natural.field, "required")]
        some = [
            item for item in items if item.parent and [(one.path, one.rule) for one in item.faults] == without_email
        ]
        if not some:
            return

        def work(connection: sqlite3.Connection) -> list[list[Entry]]:
            return [self._keyless(connection, item) for item in some]

        for item, entries in zip(some, await self._journal.database.run(work), strict=True):
            for entry in entries:
                (first,) = await self._duplicates.first(KEYS, [(entry.row_key, item.row.number)])
                if first == item.row.number:
                    item.missing, item.faults = (*item.missing, *item.faults), ()
                    item.row_key, item.display_key = entry.row_key, entry.display_key
                    break

    def _keyless(self, connection: sqlite3.Connection, item: WorkItem) -> list[Entry]:
        """The entries that may be those of a person without e-mail, the surest first."""
        name, carried = full_name_key(item.body, item.parent), carried_key(item.row.identity)
        found = self._journal.keyless(connection, item.content_hash, [name] if name else [])
        context = [one for one in found if one.state != "failed"]
        sure = [one for one in context if one.row_key == carried or one.row_key.startswith(f"{item.content_hash}#")]
        own = self._journal.entry(connection, carried) if carried and not keyed_by(carried) else None
        if own is not None and own.state != "failed" and own not in sure:
            sure.append(own)
        # Of several persons of one name, none is known by it.
        return sure or (context if len(context) == 1 else [])

    async def _good(self, numbers: Collection[int], batch: Sequence[WorkItem]) -> set[int]:
        """Which of some rows, of this batch and before, are without a fault; all, where checked rows are not kept."""
        good = {item.row.number for item in batch if not item.faults}
        earlier = sorted(set(numbers) - {item.row.number for item in batch})
        if not self._keeping:
            return good.union(earlier)

        def work(connection: sqlite3.Connection) -> list[int]:
            select = "SELECT 1 FROM checked WHERE number = ?"
            return [number for number in earlier if connection.execute(select, (number,)).fetchone()]

        return good.union(await self._journal.database.run(work)) if earlier else good

    async def _check_names(self, items: Sequence[WorkItem]) -> None:
        for scope in dict.fromkeys(item.name_scope for item in items):
            some = [item for item in items if item.name_scope == scope]
            firsts = await self._duplicates.first(scope, [(item.name, item.row.number) for item in some])
            for item, first in zip(some, firsts, strict=True):
                if first != item.row.number and not await self._renamed_apart(item) and not item.faults:
                    item.hint = self._options.hint_for_taken(by="row")
                    item.faults = (name_fault(item, f"row {first} has it"),)

    async def _renamed_apart(self, item: WorkItem) -> bool:
        """Whether a suffix gives the item a name of its own."""
        if self._options.on_name_taken != "suffix":
            return False
        fault = self.reader.rename(item)
        if fault is not None:
            item.faults = (fault,)
            return False
        (first,) = await self._duplicates.first(item.name_scope, [(item.name, item.row.number)])
        return first == item.row.number

    async def _kept(
        self, rows: Iterable[Any] | AsyncIterable[Any], turns: Sequence[int]
    ) -> AsyncGenerator[list[WorkItem], None]:
        """The good rows that `check` has kept, some at a time, by their turns."""
        for turn in turns:
            if isinstance(rows, RowFile):
                last = 0
                while found := await self._between(last + 1, None, turn=turn):
                    last = max(found)
                    yield [unpacked(text) for text in found.values()]
                continue
            async with aclosing(_batches(rows)) as batches:
                async for batch in batches:
                    found = await self._between(batch[0].number, batch[-1].number, turn=turn)
                    yield [unpacked(found[row.number], row) for row in batch if row.number in found]

    async def _between(self, first: int, last: int | None, *, turn: int) -> dict[int, str]:
        def work(connection: sqlite3.Connection) -> dict[int, str]:
            return dict(
                connection.execute(
                    "SELECT number, item FROM checked WHERE number BETWEEN ? AND ? AND turn = ? ORDER BY number "
                    "LIMIT ?",
                    (first, sys.maxsize if last is None else last, turn, ROUTE_BATCH),
                ).fetchall()
            )

        return await self._journal.database.run(work)


def repeatable(rows: Any) -> bool:
    """Whether an input can be read twice."""
    return isinstance(rows, RowFile) or (isinstance(rows, Sequence) and not isinstance(rows, str | bytes))


async def _batches(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[list[Row], None]:
    if isinstance(rows, AsyncIterable):
        # One at a time: who feeds rows as they arise must not wait for a batch to fill.
        number = 0
        async with aclosing(iterate(rows)) as source:
            async for values in source:
                number += 1
                yield [row_of(values, number)]
        return
    for batch in batched(rows, ROUTE_BATCH):
        yield batch
