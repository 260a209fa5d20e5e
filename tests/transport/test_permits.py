"""The seam between transport and rate limiter: permits, reports, and clocks that jump."""

from __future__ import annotations

import asyncio

import pytest
from support.client import client_of
from support.simulation import simulate

from zoho_async import Limits, QuotaExceededError, RateLimitError, StaticToken, UnavailableError
from zoho_async.auth.token_stores import Token
from zoho_async.fake import FakeZoho
from zoho_async.transport import rate_limiter
from zoho_async.transport.hooks import Exhausted, Gatekeeper, Limiters, Paused, Permit, Quota, Report
from zoho_async.transport.rate_limiter import Limiter, ProcessLimiters

SENT = Report(sent=True)


def test_the_second_report_of_a_permit_changes_nothing() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=2))
        first, second = await limiter.acquire(), await limiter.acquire()
        first.done(SENT)
        first.done(SENT)
        assert limiter.quota().sent == 1
        await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(1)
        assert not waiting.done(), "two are in flight"
        second.done(SENT)
        await waiting

    simulate(main())


def test_a_share_of_higher_limits_is_used_at_once() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=4, share=0.5))
        (await limiter.acquire()).done(Report(sent=True, decision="done"))
        limiter.change(Limits(per_minute=None, concurrency=20, share=0.5))
        started = [asyncio.ensure_future(limiter.acquire()) for _ in range(20)]
        await asyncio.sleep(1)
        assert sum(one.done() for one in started) == 10
        for one in started:
            one.cancel()

    simulate(main())


def test_a_pause_holds_before_the_slot_of_its_call_is_free() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=1))
        permit = await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        start = asyncio.get_running_loop().time()
        permit.done(Report(sent=True, decision="throttled", seconds=30))
        await waiting
        assert asyncio.get_running_loop().time() - start == pytest.approx(30)

    simulate(main())


@pytest.mark.parametrize(
    ("report", "slots"), [(Report(sent=True, decision="slow"), 4), (Report(sent=True, decision="done"), 8), (SENT, 8)]
)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_what_a_decision_does_to_the_slots(report: Report, slots: int, share: float) -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=int(8 / share), share=share))
        (await limiter.acquire()).done(report)
        started = [asyncio.ensure_future(limiter.acquire()) for _ in range(20)]
        await asyncio.sleep(1)
        assert sum(one.done() for one in started) == slots
        for one in started:
            one.cancel()
        await asyncio.gather(*started, return_exceptions=True)

    simulate(main())


def test_an_exhausted_day_ends_for_all_and_is_believed_for_a_day_at_most() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=1))
        permit = await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        permit.done(Report(sent=True, decision="exhausted", seconds=365 * 86400.0))
        with pytest.raises(Exhausted):
            await waiting
        await asyncio.sleep(86401)
        (await limiter.acquire()).done(Report(sent=True, decision="throttled", seconds=365 * 86400.0))
        assert limiter.paused_for() == pytest.approx(86400)

    simulate(main())


@pytest.mark.parametrize("jump", [8 * 3600, -8 * 3600])
def test_pause_and_day_end_by_the_clock_that_gets_there_first(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    """The loop's clock stands still while the machine sleeps, and the wall clock may be set back."""
    wall = 1_700_000_000.0
    monkeypatch.setattr(rate_limiter, "time", lambda: wall)

    async def main() -> None:
        nonlocal wall
        loop = asyncio.get_running_loop()
        limiter = Limiter(Limits(per_minute=None))
        (await limiter.acquire()).done(Report(sent=True, decision="throttled", seconds=1800))
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(1)
        wall += jump
        start = loop.time()
        (await waiting).done(Report(sent=True, decision="exhausted", seconds=3600))
        assert loop.time() - start < 70 if jump > 0 else 1790 < loop.time() - start < 1801
        with pytest.raises(Exhausted):
            await limiter.acquire()
        wall += jump
        await asyncio.sleep(1 if jump > 0 else 3601)
        await limiter.acquire()

    simulate(main())


def test_the_window_is_as_long_as_it_was_made() -> None:
    async def main() -> None:
        limiter = ProcessLimiters(_window=3.0).of(("us", "1"), Limits(per_minute=30, burst=30))
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(60):
            (await limiter.acquire()).done(SENT)
        assert 3 <= loop.time() - start < 6.1

    simulate(main())


class Recording:
    """Limiters of a caller's own."""

    def __init__(self, *problems: Exception) -> None:
        self.reports: list[Report] = []
        self.acquired: list[tuple[float | None, bool]] = []
        self.organizations: list[tuple[str, ...]] = []
        self.problems = list(problems)

    def of(self, organization: tuple[str, ...], limits: Limits) -> Gatekeeper:
        self.organizations.append(organization)
        return self

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> Permit:
        self.acquired.append((max_pause, priority))
        if self.problems:
            raise self.problems.pop()
        return self

    def done(self, report: Report) -> None:
        self.reports.append(report)

    def quota(self) -> Quota:
        return Quota(remaining=7)

    def change(self, limits: Limits) -> None:
        pass


async def test_limiters_of_ones_own_get_one_report_a_request(fake: FakeZoho) -> None:
    own = Recording()
    checked: Limiters = own
    async with client_of(fake, limiters=checked, max_wait=0.5) as zoho:
        await zoho.books.contacts.list()
        fake.script("books.contacts.list", ["429:44:3", "429:1070:0", "429:45"])
        with pytest.raises(RateLimitError):
            await zoho.books.contacts.list()
        with pytest.raises(QuotaExceededError):
            await zoho.with_options(max_wait=60, retries=1).books.contacts.list()
        assert zoho.quota == Quota(remaining=7)
    assert [(one.sent, one.decision) for one in own.reports] == [
        (True, "done"),
        (True, "throttled"),
        (True, "slow"),
        (True, "exhausted"),
    ]
    assert own.reports[1].seconds == 3
    assert own.reports[0].headers.get("X-Rate-Limit-Remaining")
    assert own.organizations == [(fake.url, fake.organization_id)], "copies share them"


async def test_what_never_left_is_reported_so(fake: FakeZoho) -> None:
    own = Recording()
    async with client_of(fake, limiters=own, retries=0, api_url="http://127.0.0.1:9") as zoho:
        with pytest.raises(UnavailableError):
            await zoho.books.contacts.list()
    assert [(one.sent, one.decision) for one in own.reports] == [(False, "other")]


async def test_an_error_of_the_limiters_names_the_call(fake: FakeZoho) -> None:
    own = Recording(UnavailableError("Redis is away"))
    async with client_of(fake, limiters=own) as zoho:
        with pytest.raises(UnavailableError, match="Redis is away") as caught:
            await zoho.books.contacts.list()
    assert caught.value.operation == "books.contacts.list"
    assert caught.value.sent is False
    assert fake.requests() == 0


async def test_two_clients_that_are_given_the_same_limiters_share_them(fake: FakeZoho) -> None:
    shared = ProcessLimiters()
    async with client_of(fake, limiters=shared, max_wait=0) as one, client_of(fake, limiters=shared, max_wait=0) as two:
        fake.script("books.contacts.list", ["429:44:30"])
        with pytest.raises(RateLimitError):
            await one.books.contacts.list()
        with pytest.raises(RateLimitError):
            await two.books.contacts.list()
    assert fake.requests("books.contacts.list") == 1
    with pytest.raises(Paused):
        await shared.of((fake.url, fake.organization_id), Limits()).acquire(0)


def test_a_limiter_that_fails_while_it_records_frees_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError

    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=1))
        permit = await limiter.acquire()
        monkeypatch.setattr(Limiter, "update_from_headers", broken)
        with pytest.raises(OSError):
            permit.done(Report(sent=True, headers={"x-rate-limit-remaining": "1"}))
        await asyncio.wait_for(limiter.acquire(), 1)

    simulate(main())


async def test_an_auth_that_raises_after_the_wait_leaves_no_slot_taken(fake: FakeZoho) -> None:
    class Auth(StaticToken):
        def latest(self, token: Token) -> Token:
            raise OSError

    async with client_of(fake, auth=Auth(fake.access_token), limits=Limits(per_minute=None, concurrency=1)) as zoho:
        for _ in range(2):
            with pytest.raises(OSError):
                await asyncio.wait_for(zoho.books.contacts.list(), 5)
    assert fake.requests() == 0
