"""The circuit breaker counts consecutive responses of one reason, and what makes two refusals the same."""

from __future__ import annotations

import pytest

from zoho_async.bulk.pushing.circuit_breaker import CircuitBreaker, outage, refusal
from zoho_async.errors import (
    DuplicateError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    UnavailableError,
    ZohoError,
)

BUSY, LOST, INVALID = UnavailableError("busy"), OutcomeUnknownError("lost"), InvalidError("invalid")


@pytest.mark.parametrize(
    ("errors", "opens"),
    [
        ([BUSY, BUSY, BUSY], [False, False, True]),
        ([BUSY, LOST, BUSY, BUSY], [False, False, True, True]),
        ([BUSY, BUSY, None, BUSY, BUSY, BUSY], [False, False, False, False, False, True]),
        ([BUSY, BUSY, INVALID, BUSY, LOST, LOST], [False, False, False, False, False, True]),
        ([None, None, INVALID, INVALID, INVALID], [False] * 5),
        ([BUSY, BUSY, BUSY, None, BUSY], [False, False, True, False, False]),
    ],
)
def test_it_opens_at_the_threshold_and_every_response_closes_it(
    errors: list[Exception | None], opens: list[bool]
) -> None:
    breaker = CircuitBreaker(3)
    assert [breaker.record(outage(error)) for error in errors] == opens


@pytest.mark.parametrize(
    ("reasons", "opens", "remaining"),
    [
        (["a", "a", "a"], [False, False, True], [2, 1, 0]),
        (["a", "b", "b", "b"], [False, False, False, True], [2, 2, 1, 0]),
        (["a", None, "a"], [False] * 3, [2, None, 2]),
    ],
)
def test_another_reason_counts_from_one(
    reasons: list[str | None], opens: list[bool], remaining: list[int | None]
) -> None:
    breaker = CircuitBreaker(3)
    assert [(breaker.record(reason), breaker.remaining) for reason in reasons] == list(
        zip(opens, remaining, strict=True)
    )


@pytest.mark.parametrize(
    ("reasons", "opens"),
    [
        (["a", "a", "a", "a"], [False, False, True, True]),
        (["a", "b", "b", "b", "b"], [False] * 5),
        ([None, "a", "a", "a"], [False] * 4),
        (["a", "a", None, "a", "a", "a"], [False] * 6),
    ],
)
def test_of_the_first_responses_alone_any_other_closes_it_for_good(
    reasons: list[str | None], opens: list[bool]
) -> None:
    breaker = CircuitBreaker(3, first_only=True)
    assert [breaker.record(reason) for reason in reasons] == opens
    assert (breaker.remaining is None) == (not opens[-1])


def test_a_threshold_is_at_least_one() -> None:
    assert CircuitBreaker(1).record("busy")
    with pytest.raises(ValueError, match="at least 1"):
        CircuitBreaker(0)


def refused(message: str | None, code: int | None = 2) -> InvalidError:
    return InvalidError("refused", status=400, code=code, message=message, sent=True)


ALIKE: list[tuple[tuple[str | None, list[str]], tuple[str | None, list[str]], bool]] = [
    (("Invalid value passed for X-Key", []), ("Invalid value passed for X-Key", []), True),
    (("Invalid value passed for zip", []), ("Invalid value passed for phone", []), False),
    (('The customer "Ann" already exists.', []), ('The customer "Bo" already exists.', []), True),
    (("The value K1 of cf_a is taken", []), ("The value K2 of cf_a is taken", []), True),
    (("The value ann b of cf_a is taken", ["ann b"]), ("The value bo of cf_a is taken", ["bo", "A"]), True),
    (("The value ann of cf_a is taken", []), ("The value bo of cf_a is taken", []), False),
    (("Record 4600 is locked", []), ("record  4611 is locked", []), True),
    ((None, []), ("", []), True),
    (("A value (in brackets", ["(in"]), ("A value (on brackets", ["(on"]), True),
]


@pytest.mark.parametrize(("one", "other", "same"), ALIKE)
def test_refusals_are_the_same_whatever_of_the_row_the_message_repeats(
    one: tuple[str | None, list[str]], other: tuple[str | None, list[str]], same: bool
) -> None:
    assert (refusal(refused(one[0]), one[1]) == refusal(refused(other[0]), other[1])) == same


def test_refusals_of_other_codes_are_others() -> None:
    assert refusal(refused("no", 2)) != refusal(refused("no", 4))


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (DuplicateError("x", status=400, code=3062, sent=True), True),
        (NotFoundError("x", status=404, code=1002, sent=True), True),
        (InvalidError("found before sending"), False),
        (UnavailableError("x", status=503, sent=True), False),
        (OutcomeUnknownError("x", sent=None), False),
        (RateLimitError("x", status=429), False),
    ],
)
def test_only_a_refusal_of_zoho_counts(error: ZohoError, counts: bool) -> None:
    assert (refusal(error) is not None) == counts
