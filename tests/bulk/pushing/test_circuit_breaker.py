"""The circuit breaker counts consecutive outages."""

from __future__ import annotations

import pytest

from zoho_async.bulk.pushing.circuit_breaker import CircuitBreaker
from zoho_async.errors import InvalidError, NotFoundError, OutcomeUnknownError, UnavailableError

BUSY, LOST, INVALID = UnavailableError("busy"), OutcomeUnknownError("lost"), InvalidError("invalid")
DELETED = NotFoundError("deleted")


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
    assert [breaker.record(error) for error in errors] == opens


def test_it_counts_errors_of_its_kind_alone() -> None:
    breaker = CircuitBreaker(2, (NotFoundError,))
    found = [breaker.record(error) for error in (DELETED, BUSY, DELETED, None, DELETED, DELETED)]
    assert found == [False, False, False, False, False, True]


def test_a_threshold_is_at_least_one() -> None:
    assert CircuitBreaker(1).record(BUSY)
    with pytest.raises(ValueError, match="at least 1"):
        CircuitBreaker(0)
