"""Documented responses, changed at random: a value of another type costs that value, never the response."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.allowed_differences import RECORD_NOT_SHOWN
from support.documented import documented
from support.profiles import examples

from zoho_async import operations, to_json
from zoho_async.schema.operation import Operation
from zoho_async.wire.decoding import Decoded, Decoders

Path = tuple[str | int, ...]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_PLAIN = (Decimal, datetime, date)

RESPONSES = {
    it.id: (it, documented(RECORD_NOT_SHOWN.get(it.id, it.id), "answer")) for it in operations() if it.kind != "file"
}
CASES = [identity for identity, (_, response) in RESPONSES.items() if response]
WITH_RESULT = [identity for identity in CASES if RESPONSES[identity][0].envelope]

VALUES: tuple[Any, ...] = (
    *(
        "",
        " ",
        "0",
        "-12.50",
        "1e400",
        "true",
        "None",
        "2026-02-30",
        "2026-02-28",
        "2026-06-09T09:45:19",
        "a text",
        "ä\u0000",
    ),
    *(None, True, False, 0, -7, 10**30, Decimal("12.50"), Decimal("1E+400"), [], {}, [[]], [None], [{}], {"": ""}),
)
MISSING = object()


def other_form(value: Any) -> Any:
    """Numbers as text and text as numbers."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return str(value)
    return int(value) if isinstance(value, str) and value.isdecimal() else 20


CHANGES: tuple[Callable[[Any], Any], ...] = (
    other_form,
    lambda value: [value],
    lambda value: [value, value],
    lambda value: {"value": value},
    lambda value: value[0] if isinstance(value, list) and value else {"0": value},
    lambda value: list(value.values()) if isinstance(value, dict) else [value, None],
    lambda value: {**value, "never_seen_before": [1]} if isinstance(value, dict) else value,
    lambda value: MISSING,
    *((lambda _, made=made: made) for made in VALUES),
)

mutations = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, len(CHANGES) - 1)), min_size=1, max_size=4)
modest = settings(max_examples=examples(60))


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value below."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutated(response: Any, changes: list[tuple[int, int]], allowed: Callable[[Path], bool]) -> tuple[Any, list[Path]]:
    """A copy with the changes made one after another, and where they were made."""
    response, touched = deepcopy(response), []
    for index, change in changes:
        found = [path for path in places(response) if allowed(path)]
        if not found:
            break
        path = found[index % len(found)]
        owner = response
        for key in path[:-1]:
            owner = owner[key]
        made = CHANGES[change](owner[path[-1]])
        if made is MISSING:
            del owner[path[-1]]
        else:
            owner[path[-1]] = deepcopy(made)
        touched.append(path)
    return response, touched


def decoded(operation: Operation[Any], response: Any) -> Decoded:
    return Decoders().decode(operation, None, _ENCODER.encode(response), None)


def well_typed(value: Any) -> bool:
    """Whether structs hold what their types promise; and they can be written again."""
    if isinstance(value, list):
        return all(map(well_typed, value))
    to_json(value)
    if not isinstance(value, msgspec.Struct):
        return True
    return bool(msgspec.convert(msgspec.to_builtins(value, builtin_types=_PLAIN), type(value)) == value)


def rows_of(operation: Operation[Any], data: Any) -> list[Any]:
    """The structs of a result."""
    return [data] if operation.kind == "record" else data.rows if operation.kind == "page" else data


def inside(operation: Operation[Any]) -> Callable[[Path], bool]:
    """Whether a path is below the record or a row. (Something else in the place of those fails loudly.)"""
    least = 2 if operation.kind == "record" and not operation.in_list else 3
    return lambda path: (path[0] in operation.envelope and len(path) >= least) or path[0] == "page_context"


@pytest.mark.parametrize("identity", WITH_RESULT)
def test_a_value_of_another_type_costs_only_that_value(identity: str) -> None:
    operation, response = RESPONSES[identity]
    whole = rows_of(operation, decoded(operation, response).data)

    @modest
    @given(mutations)
    def check(changes: list[tuple[int, int]]) -> None:
        changed, touched = mutated(response, changes, inside(operation))
        read = decoded(operation, changed)
        assert (read.code, read.readable, read.missing) == (0, True, "")
        if operation.kind == "page":
            assert well_typed(read.data.context)
        records = rows_of(operation, read.data)
        assert well_typed(records)
        at = 1 if operation.kind == "record" and not operation.in_list else 2
        bent_places = {(path[1] if at == 2 else 0, path[at]) for path in touched if path[0] in operation.envelope}
        for index, (before, after) in enumerate(zip(whole, records, strict=True)):
            for field in msgspec.structs.fields(before):
                if (index, field.encode_name) not in bent_places:
                    assert getattr(after, field.name) == getattr(before, field.name)

    check()


@pytest.mark.parametrize("identity", WITH_RESULT)
def test_every_value_may_be_of_another_type_at_once(identity: str) -> None:
    """Every change at every place, which chance would not try; one of them for all places of the response together."""
    operation, response = RESPONSES[identity]
    places_inside = [path for path in places(response) if inside(operation)(path)]
    for change in CHANGES:
        changed = deepcopy(response)
        for path in places_inside:
            *above, last = path
            owner = changed
            for key in above:
                owner = owner[key]
            if not isinstance(owner[last], dict | list):
                made = change(owner[last])
                owner[last] = None if made is MISSING else deepcopy(made)
        read = decoded(operation, changed)
        assert (read.code, read.missing) == (0, "")
        assert well_typed(rows_of(operation, read.data))


@pytest.mark.parametrize("identity", CASES)
def test_no_answer_whatever_is_in_it_makes_reading_fail(identity: str) -> None:
    operation, response = RESPONSES[identity]

    @modest
    @given(mutations)
    def check(changes: list[tuple[int, int]]) -> None:
        read = decoded(operation, mutated(response, changes, lambda path: True)[0])
        # Anything may have become of it, but it is classified: a result, a refusal, something missing, or unreadable.
        result = read.data if operation.kind != "page" or read.data is None else [*read.data.rows, read.data.context]
        assert well_typed(result)
        if read.code == 0 and operation.kind != "nothing":
            assert (read.data is None) == bool(read.missing)

    check()


def test_every_operation_is_tried() -> None:
    assert len(CASES) >= 110
    assert len(WITH_RESULT) >= 30
