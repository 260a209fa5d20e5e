"""Every documented example, of both editions, through the structs and back; and no allowance that nothing needs."""

from __future__ import annotations

import msgspec
import pytest
from support import conformance
from support.allowed_differences import PLACES, RECORD_NOT_SHOWN, RULES, Difference, Place, Rule, reason_for
from support.documented import Example, examples

from zoho_async import operations, to_json
from zoho_async.wire.decoding import Decoders

FILES = {it.id for it in operations() if it.kind == "file"}
BARE = [it for it in examples() if it.direction == "answer" and it.operation in RECORD_NOT_SHOWN]
EXAMPLES = [it for it in examples() if it not in BARE and not (it.direction == "answer" and it.operation in FILES)]


def compared(example: Example) -> list[Difference]:
    """The differences between an example and what becomes of it here."""
    operation = conformance.operation_of(example.operation)
    if example.direction == "answer":
        body = msgspec.json.Encoder(decimal_format="number").encode(example.value)
        decoded = Decoders().decode(operation, None, body, None)
        assert decoded.readable
        assert not decoded.missing
        found = conformance.in_its_envelope(operation, example.value, decoded.data)
    elif isinstance(operation.request, type) and issubclass(operation.request, msgspec.Struct):
        found = conformance.parsed(to_json(conformance.construct(operation.request, example.value)))
    else:
        found = conformance.parsed(to_json(example.value))
    told = conformance.differences(example.value, found)
    return [Difference(example.operation, example.direction, example.edition, *it) for it in told]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda it: f"{it.operation}-{it.direction}-{it.edition}")
def test_nothing_of_an_example_is_lost(example: Example) -> None:
    assert [it for it in compared(example) if reason_for(it) is None] == []


def test_every_allowance_is_needed() -> None:
    needed: list[Rule | Place | None] = [reason_for(it) for example in EXAMPLES for it in compared(example)]
    assert [it.reason for it in (*RULES, *PLACES) if it not in needed] == []


@pytest.mark.parametrize("example", BARE, ids=lambda it: it.operation)
def test_an_answer_printed_without_its_record_reads_as_an_empty_one_and_is_counted(example: Example) -> None:
    operation = conformance.operation_of(example.operation)
    assert operation.message_only
    decoders = Decoders()
    decoded = decoders.decode(operation, None, msgspec.json.encode(example.value), None)
    assert (decoded.code, decoded.missing) == (0, "")
    assert decoders.drift[operation.id, operation.envelope[0]] >= 1
    if operation.kind == "page":
        assert decoded.data.rows == []
    else:
        assert isinstance(decoded.data, operation.response)
        assert decoded.data.contact_person_id == ""


def test_no_other_answer_may_come_without_its_result() -> None:
    assert {it.id for it in operations() if it.message_only} == set(RECORD_NOT_SHOWN)
    for operation in operations():
        if operation.envelope and not operation.message_only:
            decoded = Decoders().decode(operation, None, b'{"code":0,"message":"success"}', None)
            assert decoded.missing == f"no {' or '.join(operation.envelope)} in it"


def test_the_records_not_shown_are_those_operations() -> None:
    assert {it.operation for it in BARE} == set(RECORD_NOT_SHOWN)
    assert all(it.value.keys() <= {"code", "message"} for it in BARE)


def test_there_are_examples() -> None:
    """A slip in reading them would make the tests above pass for want of cases."""
    assert len(EXAMPLES) > 150
    assert {it.edition for it in EXAMPLES} == {"documented", "older_edition"}
