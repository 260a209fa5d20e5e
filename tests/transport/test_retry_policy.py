from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import StaticToken, errors
from zoho_async.books import contacts
from zoho_async.transport import retry_policy as policy
from zoho_async.transport.call_state import CallState
from zoho_async.transport.config import TransportConfig
from zoho_async.transport.http import HttpResult
from zoho_async.transport.retry_policy import AttemptOutcome


def answered(status: int, code: int | str | None = None) -> AttemptOutcome:
    return AttemptOutcome(sent=policy.RESPONDED, status=status, code=code)


NEVER = AttemptOutcome(sent=policy.NOT_SENT)
LOST = AttemptOutcome(sent=policy.LOST)
MISCONFIGURED = AttemptOutcome(sent=policy.MISCONFIGURED)
SENT = (policy.RESPONDED, policy.NOT_SENT, policy.LOST, policy.MISCONFIGURED)

# The table of the design, row by row: outcome, what a read or idempotent write does, what any other write does.
ROWS = [
    ("never sent", NEVER, (policy.RETRY, errors.UnavailableError), (policy.RETRY, errors.UnavailableError)),
    (
        "certificate or proxy",
        MISCONFIGURED,
        (policy.FAIL, errors.ConfigError),
        (policy.FAIL, errors.ConfigError),
    ),
    (
        "401 code 57",
        answered(401, 57),
        (policy.REFRESH, errors.AuthError),
        (policy.REFRESH, errors.AuthError),
    ),
    (
        "401 code 14",
        answered(401, 14),
        (policy.REFRESH, errors.AuthError),
        (policy.REFRESH, errors.AuthError),
    ),
    (
        "401 without a code",
        answered(401),
        (policy.REFRESH, errors.AuthError),
        (policy.REFRESH, errors.AuthError),
    ),
    (
        "a token code as text",
        answered(400, "INVALID_OAUTHTOKEN"),
        (policy.REFRESH, errors.AuthError),
        (policy.REFRESH, errors.AuthError),
    ),
    *(
        (
            f"the same by another name: {code}",
            answered(400, code),
            (policy.REFRESH, errors.AuthError),
            (policy.REFRESH, errors.AuthError),
        )
        for code in ("INVALID_TOKEN", "invalid_token", "invalid_oauthtoken")
    ),
    (
        "429 code 44",
        answered(429, 44),
        (policy.PAUSE, errors.RateLimitError),
        (policy.PAUSE, errors.RateLimitError),
    ),
    (
        "429 without",
        answered(429),
        (policy.PAUSE, errors.RateLimitError),
        (policy.PAUSE, errors.RateLimitError),
    ),
    (
        "200 code 43",
        answered(200, 43),
        (policy.PAUSE, errors.RateLimitError),
        (policy.PAUSE, errors.RateLimitError),
    ),
    (
        "429 code 1070",
        answered(429, 1070),
        (policy.SLOW, errors.RateLimitError),
        (policy.SLOW, errors.RateLimitError),
    ),
    (
        "429 code 45",
        answered(429, 45),
        (policy.FAIL, errors.QuotaExceededError),
        (policy.FAIL, errors.QuotaExceededError),
    ),
    ("lost", LOST, (policy.RETRY, errors.UnavailableError), (policy.UNKNOWN, errors.OutcomeUnknownError)),
    (
        "500",
        answered(500),
        (policy.RETRY, errors.UnavailableError),
        (policy.UNKNOWN, errors.OutcomeUnknownError),
    ),
    (
        "503 with a body",
        answered(503, 1000),
        (policy.RETRY, errors.UnavailableError),
        (policy.UNKNOWN, errors.OutcomeUnknownError),
    ),
    *(
        (
            f"{status} code 0",
            answered(status, 0),
            (policy.RETRY, errors.UnavailableError),
            (policy.UNKNOWN, errors.OutcomeUnknownError),
        )
        for status in (400, 401, 404, 409, 410, 429, 500)
    ),
    (
        "409 of a gateway",
        answered(409),
        (policy.FAIL, errors.RefusedError),
        (policy.FAIL, errors.RefusedError),
    ),
    (
        "200 without a code",
        answered(200),
        (policy.RETRY, errors.UnavailableError),
        (policy.UNKNOWN, errors.OutcomeUnknownError),
    ),
    (
        "503 code 44",
        answered(503, 44),
        (policy.PAUSE, errors.RateLimitError),
        (policy.UNKNOWN, errors.OutcomeUnknownError),
    ),
    (
        "503 code 57",
        answered(503, 57),
        (policy.REFRESH, errors.AuthError),
        (policy.UNKNOWN, errors.OutcomeUnknownError),
    ),
    ("redirect", answered(302), (policy.FAIL, errors.ConfigError), (policy.FAIL, errors.ConfigError)),
    *(
        (
            f"redirect after an execution: {status} code {code}",
            answered(status, code),
            (policy.FAIL, errors.ConfigError),
            (policy.UNKNOWN, errors.OutcomeUnknownError),
        )
        for status, code in ((303, None), (302, 0), (300, 0))
    ),
    ("done", answered(200, 0), (policy.DONE, errors.ZohoError), (policy.DONE, errors.ZohoError)),
    ("created", answered(201, 0), (policy.DONE, errors.ZohoError), (policy.DONE, errors.ZohoError)),
    (
        "not found",
        answered(404, 1002),
        (policy.FAIL, errors.NotFoundError),
        (policy.FAIL, errors.NotFoundError),
    ),
    (
        "same under 400",
        answered(400, 1002),
        (policy.FAIL, errors.NotFoundError),
        (policy.FAIL, errors.NotFoundError),
    ),
    (
        "same under 200",
        answered(200, 1002),
        (policy.FAIL, errors.NotFoundError),
        (policy.FAIL, errors.NotFoundError),
    ),
    (
        "name taken",
        answered(400, 3062),
        (policy.FAIL, errors.DuplicateError),
        (policy.FAIL, errors.DuplicateError),
    ),
    (
        "field missing",
        answered(400, 6),
        (policy.FAIL, errors.InvalidError),
        (policy.FAIL, errors.InvalidError),
    ),
    (
        "organisation",
        answered(400, 6041),
        (policy.FAIL, errors.ConfigError),
        (policy.FAIL, errors.ConfigError),
    ),
    ("user inactive", answered(400, 6018), (policy.FAIL, errors.AuthError), (policy.FAIL, errors.AuthError)),
    (
        "module's own",
        answered(400, 1001),
        (policy.FAIL, errors.RefusedError),
        (policy.FAIL, errors.RefusedError),
    ),
    *(
        (
            f"404 {name}",
            answered(404, code),
            (policy.RETRY, errors.UnavailableError),
            (policy.UNKNOWN, errors.OutcomeUnknownError),
        )
        for name, code in (("as HTML", None), ("code 0", 0), ("code 404", 404), ("code as text", "NOT_FOUND"))
    ),
    *(
        (
            f"{status} code 5",
            answered(status, 5),
            (policy.FAIL, errors.RefusedError),
            (policy.FAIL, errors.RefusedError),
        )
        for status in (200, 400, 404)
    ),
    ("403 as HTML", answered(403), (policy.FAIL, errors.RefusedError), (policy.FAIL, errors.RefusedError)),
    (
        "408",
        answered(408),
        (policy.RETRY, errors.UnavailableError),
        (policy.UNKNOWN, errors.OutcomeUnknownError),
    ),
]


@pytest.mark.parametrize(("outcome", "read", "write"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_row_of_the_table(outcome: AttemptOutcome, read: object, write: object) -> None:
    for repeatable, wanted in ((True, read), (False, write)):
        verdict = policy.classify(outcome, repeatable=repeatable)
        assert (verdict.action, verdict.error) == wanted


def test_a_delete_that_finds_nothing_is_done_only_after_a_retry() -> None:
    gone = answered(404, 1002)
    assert policy.classify(gone, repeatable=True, deletes=True).error is errors.NotFoundError
    assert policy.classify(gone, repeatable=True, deletes=True, repeated=True).action == policy.DONE
    assert policy.classify(gone, repeatable=True, deletes=False, repeated=True).error is errors.NotFoundError


@given(st.sampled_from(SENT), st.integers(200, 599), st.none() | st.integers(0, 9999) | st.text(max_size=5))
def test_a_write_is_repeated_only_when_it_was_refused_or_never_sent(
    sent: Any, status: int, code: int | str | None
) -> None:
    verdict = policy.classify(AttemptOutcome(sent=sent, status=status, code=code), repeatable=False)
    if verdict.action == policy.RETRY:
        assert sent == policy.NOT_SENT
    if sent == policy.LOST or (sent == policy.RESPONDED and status >= 500):
        assert verdict.action == policy.UNKNOWN


@given(st.integers(1, 50), st.floats(0, 1), st.none() | st.floats(0, 4000))
def test_delays_never_go_below_what_zoho_asks_for(attempt: int, chance: float, floor: float | None) -> None:
    assert max(floor or 0, 0) <= policy.retry_delay(attempt, chance, floor) <= max(floor or 0, 30)
    assert max(floor or 0, 0) <= policy.slow_delay(attempt, chance, floor) <= max(floor or 0, 30)
    if floor is not None:
        assert max(floor, 1) <= policy.pause_delay(attempt, floor) <= max(floor, policy.LONGEST_BLOCK)
    assert 15 <= policy.pause_delay(attempt) <= policy.LONGEST_BLOCK


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert policy.retry_after("1800", now) == 1800
    assert policy.retry_after(" 7 ", now) == 7
    later = now + timedelta(seconds=90)
    assert policy.retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT"), now) == 90
    assert policy.retry_after("Sat, 21 Nov 2020 12:00:00 GMT", now) == 0
    assert policy.retry_after("86400", now) == 86400
    for no_wait in ("9" * 30, "99999999999", "1764349200", str(366 * 86400), "86401"):
        assert policy.retry_after(no_wait, now) is None, "it would stop the organisation for a day"
    for nonsense in (None, "", "soon", "-5", "1e9", "Sat, 21 Nov 99999999999 12:00:00 GMT"):
        assert policy.retry_after(nonsense, now) is None


HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


@pytest.mark.parametrize("own_clock", [timedelta(days=-1), timedelta(days=1), timedelta(days=-40_000), timedelta()])
def test_a_retry_after_date_is_compared_with_the_clock_that_it_belongs_to(own_clock: timedelta) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    date = now.strftime(HTTP_DATE)
    for seconds, believed in ((90, 90), (1800, 1800), (-90, 0), (86400, 86400), (366 * 86400, None)):
        later = (now + timedelta(seconds=seconds)).strftime(HTTP_DATE)
        assert policy.retry_after(later, now + own_clock, date) == believed


@pytest.mark.parametrize("date", [None, "", "today", "Sat, 21 Nov 99999999999 12:00:00 GMT"])
def test_a_retry_after_date_by_the_own_clock_is_half_an_hour_at_most(date: str | None) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    for seconds, believed in ((90, 90), (86400, 1800), (-90, 0)):
        later = (now + timedelta(seconds=seconds)).strftime(HTTP_DATE)
        assert policy.retry_after(later, now, date) == believed


async def test_a_call_uses_the_date_of_the_response() -> None:
    sent_at = datetime.now(UTC) + timedelta(days=1)
    headers = {
        "Date": sent_at.strftime(HTTP_DATE),
        "Retry-After": (sent_at + timedelta(seconds=90)).strftime(HTTP_DATE),
    }
    call = CallState(TransportConfig(auth=StaticToken("t")), contacts.LIST, policy.RetryBudget())
    assert call.retry_after(HttpResult(outcome=answered(429, 44), headers=headers)) == 90


@given(st.text(max_size=40) | st.none(), st.text(max_size=40) | st.none())
def test_a_retry_after_is_never_longer_than_a_day(value: str | None, date: str | None) -> None:
    seconds = policy.retry_after(value, datetime(2026, 11, 21, tzinfo=UTC), date)
    assert seconds is None or 0 <= seconds <= 86400


def test_the_retry_budget_runs_out_and_fills_up_again() -> None:
    budget = policy.RetryBudget()
    granted = 0
    while budget.spend():
        granted += 1
    assert granted == policy.RetryBudget.CAPACITY / policy.RetryBudget.COST
    for _ in range(int(policy.RetryBudget.COST)):
        assert not budget.spend()
        budget.earn()
    assert budget.spend()
