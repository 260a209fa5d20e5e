from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import errors
from zoho_async.transport import retry_policy as policy
from zoho_async.transport.retry_policy import Action, Outcome, Sent


def answered(status: int, code: int | str | None = None) -> Outcome:
    return Outcome(sent=Sent.ANSWERED, status=status, code=code)


NEVER = Outcome(sent=Sent.NEVER)
LOST = Outcome(sent=Sent.LOST)
MISCONFIGURED = Outcome(sent=Sent.MISCONFIGURED)

# The table of the design, row by row: outcome, what a read or idempotent write does, what any other write does.
ROWS = [
    ("never sent", NEVER, (Action.RETRY, errors.UnavailableError), (Action.RETRY, errors.UnavailableError)),
    ("certificate or proxy", MISCONFIGURED, (Action.FAIL, errors.ConfigError), (Action.FAIL, errors.ConfigError)),
    ("401 code 57", answered(401, 57), (Action.REFRESH, errors.AuthError), (Action.REFRESH, errors.AuthError)),
    ("401 code 14", answered(401, 14), (Action.REFRESH, errors.AuthError), (Action.REFRESH, errors.AuthError)),
    ("401 without a code", answered(401), (Action.REFRESH, errors.AuthError), (Action.REFRESH, errors.AuthError)),
    (
        "a token code as text",
        answered(400, "INVALID_OAUTHTOKEN"),
        (Action.REFRESH, errors.AuthError),
        (Action.REFRESH, errors.AuthError),
    ),
    ("429 code 44", answered(429, 44), (Action.PAUSE, errors.RateLimitError), (Action.PAUSE, errors.RateLimitError)),
    ("429 without", answered(429), (Action.PAUSE, errors.RateLimitError), (Action.PAUSE, errors.RateLimitError)),
    ("200 code 43", answered(200, 43), (Action.PAUSE, errors.RateLimitError), (Action.PAUSE, errors.RateLimitError)),
    ("429 code 1070", answered(429, 1070), (Action.SLOW, errors.RateLimitError), (Action.SLOW, errors.RateLimitError)),
    (
        "429 code 45",
        answered(429, 45),
        (Action.FAIL, errors.QuotaExceededError),
        (Action.FAIL, errors.QuotaExceededError),
    ),
    ("lost", LOST, (Action.RETRY, errors.UnavailableError), (Action.UNKNOWN, errors.OutcomeUnknownError)),
    ("500", answered(500), (Action.RETRY, errors.UnavailableError), (Action.UNKNOWN, errors.OutcomeUnknownError)),
    (
        "503 with a body",
        answered(503, 1000),
        (Action.RETRY, errors.UnavailableError),
        (Action.UNKNOWN, errors.OutcomeUnknownError),
    ),
    (
        "200 without a code",
        answered(200),
        (Action.RETRY, errors.UnavailableError),
        (Action.UNKNOWN, errors.OutcomeUnknownError),
    ),
    (
        "503 code 44",
        answered(503, 44),
        (Action.PAUSE, errors.RateLimitError),
        (Action.UNKNOWN, errors.OutcomeUnknownError),
    ),
    (
        "503 code 57",
        answered(503, 57),
        (Action.REFRESH, errors.AuthError),
        (Action.UNKNOWN, errors.OutcomeUnknownError),
    ),
    ("redirect", answered(302), (Action.FAIL, errors.ConfigError), (Action.FAIL, errors.ConfigError)),
    ("done", answered(200, 0), (Action.DONE, errors.ZohoError), (Action.DONE, errors.ZohoError)),
    ("created", answered(201, 0), (Action.DONE, errors.ZohoError), (Action.DONE, errors.ZohoError)),
    ("not found", answered(404, 1002), (Action.FAIL, errors.NotFoundError), (Action.FAIL, errors.NotFoundError)),
    ("same under 400", answered(400, 1002), (Action.FAIL, errors.NotFoundError), (Action.FAIL, errors.NotFoundError)),
    ("same under 200", answered(200, 1002), (Action.FAIL, errors.NotFoundError), (Action.FAIL, errors.NotFoundError)),
    ("name taken", answered(400, 3062), (Action.FAIL, errors.DuplicateError), (Action.FAIL, errors.DuplicateError)),
    ("field missing", answered(400, 6), (Action.FAIL, errors.InvalidError), (Action.FAIL, errors.InvalidError)),
    ("organisation", answered(400, 6041), (Action.FAIL, errors.ConfigError), (Action.FAIL, errors.ConfigError)),
    ("user inactive", answered(400, 6018), (Action.FAIL, errors.AuthError), (Action.FAIL, errors.AuthError)),
    ("module's own", answered(400, 1001), (Action.FAIL, errors.RefusedError), (Action.FAIL, errors.RefusedError)),
    ("404 as HTML", answered(404), (Action.FAIL, errors.NotFoundError), (Action.FAIL, errors.NotFoundError)),
    ("403 as HTML", answered(403), (Action.FAIL, errors.RefusedError), (Action.FAIL, errors.RefusedError)),
    ("408", answered(408), (Action.RETRY, errors.UnavailableError), (Action.UNKNOWN, errors.OutcomeUnknownError)),
]


@pytest.mark.parametrize(("outcome", "read", "write"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_row_of_the_table(outcome: Outcome, read: object, write: object) -> None:
    for repeatable, wanted in ((True, read), (False, write)):
        verdict = policy.classify(outcome, repeatable=repeatable)
        assert (verdict.action, verdict.error) == wanted


def test_a_delete_that_finds_nothing_is_done_only_after_a_retry() -> None:
    gone = answered(404, 1002)
    assert policy.classify(gone, repeatable=True, deletes=True).error is errors.NotFoundError
    assert policy.classify(gone, repeatable=True, deletes=True, repeated=True).action is Action.DONE
    assert policy.classify(gone, repeatable=True, deletes=False, repeated=True).error is errors.NotFoundError


@given(st.sampled_from(list(Sent)), st.integers(200, 599), st.none() | st.integers(0, 9999) | st.text(max_size=5))
def test_a_write_is_repeated_only_when_it_was_refused_or_never_sent(
    sent: Sent, status: int, code: int | str | None
) -> None:
    verdict = policy.classify(Outcome(sent=sent, status=status, code=code), repeatable=False)
    if verdict.action is Action.RETRY:
        assert sent is Sent.NEVER
    if sent is Sent.LOST or (sent is Sent.ANSWERED and status >= 500):
        assert verdict.action is Action.UNKNOWN


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
    assert policy.retry_after("9" * 30, now) == 86400, "a year is not believed"
    assert policy.retry_after("Sat, 21 Nov 2026 11:00:30 GMT", now, "Sat, 21 Nov 2026 11:00:00 GMT") == 30
    assert policy.retry_after("Sat, 21 Nov 2026 12:00:30 GMT", now, "yesterday") == 30
    for nonsense in (None, "", "soon", "-5", "1e9", "Sat, 21 Nov 99999999999 12:00:00 GMT"):
        assert policy.retry_after(nonsense, now) is None


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
