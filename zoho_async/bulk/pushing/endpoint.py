"""The calls of a resource that a push makes, over the client's public methods and `transport.hooks`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk._pages import Read
from zoho_async.bulk.errors import RUN_ENDING_ERRORS, InputError
from zoho_async.bulk.rows.intake import Intake
from zoho_async.bulk.rows.preflight import CURRENCIES, Preflight
from zoho_async.bulk.rows.references import CUSTOM_FIELDS
from zoho_async.bulk.rows.resource import Destination, required_path
from zoho_async.bulk.source.files import Row, RowFile
from zoho_async.bulk.source.text import listed, strip_blanks
from zoho_async.bulk.state.journal import ChildId
from zoho_async.errors import AuthError, ZohoError
from zoho_async.schema.operation import Operation
from zoho_async.transport import hooks
from zoho_async.transport.hooks import DispatchHook

from .index_queries import made_at

NOT_AUTHORIZED = "57"
"""Zoho's code for a missing scope, and for an invalid token too."""


class ReceiptChild(msgspec.Struct):
    """A contact person or an address in the response to a write."""

    contact_person_id: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    address_id: str | None = None


class Receipt(msgspec.Struct):
    """What a push needs of the response to a write; decoding all of it takes much longer."""

    contact_id: str | None = None
    customer_id: str | None = None
    contact_person_id: str | None = None
    created_time: str | None = None
    last_modified_time: str | None = None
    updated_time: str | None = None
    contact_persons: list[ReceiptChild] | None = None
    billing_address: ReceiptChild | None = None
    shipping_address: ReceiptChild | None = None


async def read_record(destination: Destination, record_id: str, parent: str) -> dict[str, Any]:
    """A record as it is now. `parent`: the id of the one it belongs to; empty where there is none."""
    name, ids = "get", {destination.record_id: record_id}
    if parent:
        # By its own id alone a contact person of Books comes in a response that is not documented.
        ids = {destination.natural.parent: parent, **ids}
        reading = {name: one for name, one in destination.operations.items() if one.method == "GET"}
        name = next(name for name, one in reading.items() if required_path(one) == list(ids))
    record: dict[str, Any] = await getattr(destination.resource, name)(*ids.values(), type=dict[str, Any])
    return record


async def send_write(
    destination: Destination,
    operation: Operation[Any],
    *,
    path: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    body: Any,
    hook: DispatchHook,
    priority: bool = False,
) -> Receipt:
    """Makes a write; `hook` and `priority` as in `Zoho.send`."""
    response = await hooks.send(
        destination.resource,
        operation,
        path=path,
        headers=headers,
        body=body,
        type=Receipt,
        hook=hook,
        priority=priority,
    )
    receipt: Receipt = response.data
    return receipt


def child_ids_of(record: Any) -> list[ChildId]:
    """Ids of a record's contact persons and addresses, from a receipt or a whole record."""
    child_ids: list[ChildId] = []
    persons: Any = member(record, "contact_persons")
    for person in persons if is_sequence(persons) else ():
        if person_id := member(person, "contact_person_id"):
            key = member(person, "email") or " ".join(
                str(name) for part in ("first_name", "last_name") if (name := member(person, part))
            )
            child_ids.append(("contact_persons", str(key), str(person_id)))
    return child_ids + [
        (place, "", str(address_id))
        for place in ("billing_address", "shipping_address")
        if (address_id := member(member(record, place), "address_id"))
    ]


def existed_before(record: Any) -> bool:
    """Whether a record that an upsert has returned was created well before its last modification."""
    created, modified = (str(member(record, name) or "") for name in ("created_time", "last_modified_time"))
    if created == modified:
        return False
    then, now = made_at(created), made_at(modified)
    return then is not None and now is not None and now - then > timedelta(seconds=10)


def member(value: Any, name: str) -> Any:
    """A field of a struct or a mapping; None where there is none."""
    # Structs first: checking for a mapping takes long.
    if isinstance(value, msgspec.Struct):
        return getattr(value, name, None)
    return value.get(name) if is_mapping(value) else None


class OrganizationLists:
    """Lists of settings, each asked for once."""

    def __init__(self, destination: Destination, read: Read) -> None:
        self._destination = destination
        self._read = read
        self._answers: dict[str, Any] = {}

    async def ask(self, path: str, *, once: bool = False) -> Any:
        """The answer to a list; None when the server does not know the question, or does not allow it.

        `once`: an answer that may be one is not asked for again: the push can do without it.
        """
        if path not in self._answers:
            self._answers[path] = await self._asked(path, once=once)
        return self._answers[path]

    async def _asked(self, path: str, *, once: bool) -> Any:
        listing = self._destination.operations["list"]
        operation = msgspec.structs.replace(
            listing,
            id=f"{listing.product}.settings",
            path=path,
            kind="untyped",
            response=None,
            envelope=(),
            parameters=(),
            idempotent=listing.idempotent and not once,
        )

        async def call() -> Any:
            return (await hooks.send(self._destination.resource, operation)).data

        try:
            return await self._read(call)
        except AuthError as error:
            # Without the scope of settings, contacts may be written all the same.
            if str(error.code) != NOT_AUTHORIZED:
                raise
        except RUN_ENDING_ERRORS:
            raise
        except ZohoError:
            pass
        return None

    async def look_up(self, intake: Intake, rows: Any) -> None:
        """Gives an intake the lists that the rows of an input need; none without a client.

        Raises:
            UnknownColumnError: A column of a file that was checked has values, and is neither a field nor the label of
                a custom field.
            InputError: Two columns of such a file are one custom field.
            ZohoError: A call failed for a reason that every other would meet too.
        """
        names = rows.fields or _keys(rows) if isinstance(rows, RowFile) else _keys(rows)
        needed, labels = intake.references_of(names)
        if self._destination.resource is None:
            intake.cannot_ask()
            if labels and isinstance(rows, RowFile):
                rows.note(
                    f"no fields; without credentials it is not known whether they are custom fields: {listed(labels)}"
                )
            return
        for one in needed:
            intake.references.answered(one, await self.ask(one.path))
        if CURRENCIES in needed:
            _refuse_foreign(intake, rows, names)
        if labels:
            intake.references.answered_fields(await self.ask(CUSTOM_FIELDS))
        unknown, where = intake.unknown_labels(labels), ""
        if isinstance(rows, RowFile) and rows.columns_checked:
            where, filled = str(rows.path), _filled(rows, unknown)
            if empty := [name for name in unknown if name not in filled]:
                rows.note(f"no fields and no labels of custom fields, left out without any value: {listed(empty)}")
            unknown = [name for name in unknown if name in filled]
        intake.looked_up(names, unknown, where)

    async def check(self, preflight: Preflight, where: str = "") -> None:
        """Asks what rows need of the organisation; nothing without a client. `where`: the file.

        Raises:
            InputError: As `Preflight.judge`.
            ZohoError: As `look_up`.
        """
        if self._destination.resource is not None:
            preflight.judge({path: await self.ask(path, once=True) for path in preflight.questions}, where)


def _refuse_foreign(intake: Intake, rows: Any, names: Iterable[str]) -> None:
    """Raises InputError when every row names a currency that the organisation lacks: of some, those fail alone."""
    columns = [name for name, column in intake.targets(names).items() if column == CURRENCIES.column]
    first = ""
    for number, row in enumerate(rows, 1):
        values: Any = row.values if isinstance(row, Row) else row
        if isinstance(row, Row) and row.fault:
            continue
        text = strip_blanks(str(values.get(columns[0]) or "")) if is_mapping(values) and columns else ""
        has_id = text and values.get(CURRENCIES.id_column)
        if not text or has_id or not intake.references.leads_nowhere(CURRENCIES.column, text):
            return
        line = f" (line {row.line})" if isinstance(row, Row) and row.line else ""
        first = first or f"row {number}{line}: {CURRENCIES.column}: the organisation has no currency {listed([text])}"
    if first:
        where = f"{rows.path}: " if isinstance(rows, RowFile) else ""
        raise InputError(
            f"{where}{first}, and no other row names one that it has: add it in Zoho's settings, or correct the rows; "
            f"it has {intake.references.shown(CURRENCIES.column)}"
        )


def _filled(rows: RowFile, names: Iterable[str]) -> set[str]:
    """Which of some columns have a value in any row."""
    left, found = set(names), set[str]()
    for row in rows if left else ():
        found |= {name for name in left if row.values.get(name) not in (None, "")}
        left -= found
        if not left:
            break
    return found


def _keys(rows: Iterable[Any]) -> list[str]:
    """The names of rows that are there already."""
    if not isinstance(rows, Sequence | RowFile):
        return []
    found: dict[str, None] = {}
    for row in rows:
        values: Any = getattr(row, "values", row) if not is_mapping(row) else row
        if is_mapping(values):
            found.update(dict.fromkeys(map(str, values)))
    return list(found)
