"""The loop against a server that misbehaves: every row of the policy's table on the wire, with counters."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
import resource
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import contextmanager
from errno import ENFILE
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from support.fault_server import Fault, FaultServer, Seen, html_fault, json_fault

from zoho_async import (
    AuthError,
    ConfigError,
    DeadlineError,
    DecodeError,
    DuplicateError,
    InvalidError,
    Limits,
    NotFoundError,
    OAuth,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    RefusedError,
    StaticToken,
    UnavailableError,
    Zoho,
    ZohoError,
)
from zoho_async.auth.oauth import AccountsServer
from zoho_async.auth.token_stores import Token
from zoho_async.books.contacts import CREATE, UPDATE
from zoho_async.transport import retry_policy as policy
from zoho_async.transport.http import classify_exception
from zoho_async.transport.retry_policy import MISCONFIGURED


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays are decided by pure functions with tests of their own; here they only cost time."""
    for name in ("retry_delay", "slow_delay"):
        real = getattr(policy, name)
        monkeypatch.setattr(policy, name, lambda *args, real=real: real(*args) * 0.001)
    pause = policy.pause_delay
    # What Zoho asks for by the minute is kept, for it is compared with max_wait.
    monkeypatch.setattr(policy, "pause_delay", lambda tries, floor=None: pause(tries, floor) if floor else 0.001)


def client(server: FaultServer, **options: Any) -> Zoho:
    limits = options.pop("limits", Limits(per_minute=None))
    return Zoho(
        options.pop("auth", StaticToken("secret-token")),
        organization_id="10234695",
        api_url=server.url,
        accounts_url=server.url,
        limits=limits,
        **options,
    )


LOST = {
    "reset before acting": Fault("reset"),
    "reset after acting": Fault("reset", acts=True),
    "torn body": Fault("torn", acts=True),
    "torn gzip": Fault("torn_gzip", acts=True),
    "500 with a code": json_fault(500, 1000),
    "503 as HTML": html_fault(503),
    "200 as HTML": html_fault(200),
    "nothing under 200": Fault("answer", acts=True, body=b" "),
    "no code": Fault("answer", acts=True, body=b'{"message": "hm"}'),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
@pytest.mark.parametrize("reused", [False, True], ids=["fresh connection", "reused connection"])
async def test_a_write_of_unknown_outcome_is_sent_once_and_a_read_again(
    server: FaultServer, fault: Fault, reused: bool
) -> None:
    async with client(server) as zoho:
        if reused:
            await zoho.books.contacts.get("1")
        before = len(server.seen)
        server.script(fault)
        with pytest.raises(OutcomeUnknownError) as caught:
            await zoho.books.contacts.create({"contact_name": "once"})
        assert len(server.seen) - before == 1
        assert caught.value.operation == "books.contacts.create"
        assert "before sending it again" in str(caught.value)

        server.script(fault, fault)
        assert (await zoho.books.contacts.get("1")).contact_id == "1"
        assert len(server.seen) - before == 4

        # A write marked idempotent is repeated, by the policy and never by aiohttp on its own.
        server.script(fault)
        await zoho.books.contacts.update("1", {"notes": "again"})
        assert len(server.seen) - before == 6


@pytest.mark.parametrize("body", [b" ", b"<html>not here</html>", b'{"error":"Not Found"}', b'{"code":404}'])
async def test_a_404_that_is_not_zohos_is_no_missing_record(server: FaultServer, body: bytes) -> None:
    """A gateway without the route answers so too; the record may well exist."""
    gateway = Fault("answer", status=404, body=body)
    async with client(server, retries=1) as zoho:
        server.script(gateway, gateway)
        with pytest.raises(UnavailableError):
            await zoho.books.contacts.get("1")
        server.script(gateway, gateway)
        with pytest.raises(UnavailableError):
            await zoho.books.contacts.delete("1")
        assert len(server.seen) == 4
        server.script(gateway)
        with pytest.raises(OutcomeUnknownError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert (caught.value.sent, len(server.seen)) == (None, 5)
        server.script(json_fault(404, 5), json_fault(404, 1002))
        with pytest.raises(RefusedError) as refused:
            await zoho.books.contacts.get("1")
        assert not isinstance(refused.value, NotFoundError)
        with pytest.raises(NotFoundError):
            await zoho.books.contacts.get("1")


async def test_a_read_that_never_succeeds_says_what_was_tried(server: FaultServer) -> None:
    server.script(Fault("reset"), html_fault(502), json_fault(503, 1000), Fault("torn"), None)
    async with client(server, retries=3) as zoho:
        with pytest.raises(UnavailableError) as caught:
            await zoho.books.contacts.get("1")
    assert len(caught.value.attempts) == 4
    assert caught.value.attempts[1] == "HTTP 502 without a result code"
    assert caught.value.sent is None
    assert len(server.seen) == 4


async def test_a_call_that_finds_no_server_is_retried_even_for_a_write() -> None:
    async with FaultServer() as gone:
        url = gone.url
    async with Zoho(StaticToken("t"), organization_id="1", api_url=url, retries=2) as zoho:
        with pytest.raises(UnavailableError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
    assert len(caught.value.attempts) == 3
    assert caught.value.sent is False


@contextmanager
def no_file_left() -> Generator[None, None, None]:
    """This process can open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["an address", "a name"])
async def test_too_many_open_files_are_not_an_error_of_the_service(server: FaultServer, name: str) -> None:
    urls = {"an address": server.url, "a name": "https://zoho.invalid"}

    def elsewhere(url: str) -> Zoho:
        return Zoho(StaticToken("secret-token"), organization_id="1", api_url=url, accounts_url=url, retries=0)

    # What is imported late would need a file as well.
    async with elsewhere(urls["a name"]) as zoho:
        with pytest.raises(UnavailableError):
            await zoho.books.contacts.get("1")
    async with elsewhere(urls[name]) as zoho:
        with no_file_left(), pytest.raises(ConfigError, match="too many open files: raise `ulimit -n`") as caught:
            await zoho.books.contacts.create({"contact_name": "A"})
    assert (caught.value.sent, len(caught.value.attempts), server.seen) == (False, 1, [])


def test_no_file_left_on_the_whole_machine_has_another_remedy() -> None:
    key: Any = ConnectionKey("x", 1, False, None, None, None, None)
    outcome = classify_exception(aiohttp.ClientConnectorError(key, OSError(ENFILE, "Too many open files in system")))
    assert outcome.sent == MISCONFIGURED
    assert outcome.detail == "too many open files on this machine, in all its processes together"


async def test_silence_is_bounded_and_counts_as_lost(server: FaultServer) -> None:
    server.script(Fault("stall"), Fault("drip"))
    async with client(server, timeout=0.5) as zoho:
        with pytest.raises(OutcomeUnknownError):
            await zoho.books.contacts.create({"contact_name": "x"})
        assert (await zoho.books.contacts.get("1")).contact_id == "1"
    assert len(server.seen) == 3


async def test_what_was_refused_for_a_limit_is_sent_again_even_a_write(server: FaultServer) -> None:
    server.script(
        json_fault(429, 44, Retry_After="0"),
        json_fault(429, 1070),
        json_fault(200, "43", Retry_After="0"),
        html_fault(429),
    )
    async with client(server, max_wait=20) as zoho:
        await zoho.books.contacts.create({"contact_name": "x"})
    assert len(server.seen) == 5
    assert sum(server.acted.values()) == 1


async def test_a_block_longer_than_max_wait_stops_everybody_of_the_organisation(server: FaultServer) -> None:
    server.script(json_fault(429, 44, Retry_After="1800"))
    async with client(server, max_wait=120) as zoho:
        with pytest.raises(RateLimitError) as caught:
            await zoho.books.contacts.get("1")
        assert caught.value.retry_at is not None
        assert caught.value.sent is True
        with pytest.raises(RateLimitError) as second:
            await zoho.books.contacts.get("1")
        assert second.value.sent is False
        assert len(server.seen) == 1
        other = zoho.with_options(organization_id="2")
        await other.books.contacts.get("1")
        assert zoho.quota.paused_until is not None


async def test_a_day_used_up_costs_one_call_and_says_until_when(server: FaultServer) -> None:
    server.script(json_fault(429, 45, Retry_After="3600"))
    async with client(server) as zoho:
        for expected in (1, 1):
            with pytest.raises(QuotaExceededError) as caught:
                await zoho.books.contacts.get("1")
            assert caught.value.resets_at is not None
            assert len(server.seen) == expected


async def test_a_dead_static_token_is_reported_with_the_scope_it_might_lack(server: FaultServer) -> None:
    server.script(json_fault(401, 57))
    async with client(server) as zoho:
        with pytest.raises(AuthError, match=r"ZohoBooks\.contacts\.READ") as caught:
            await zoho.books.contacts.get("1")
    assert caught.value.code == 57
    assert len(server.seen) == 1


async def test_a_redirect_is_never_followed_with_the_token(server: FaultServer) -> None:
    async with FaultServer() as elsewhere:
        server.script(Fault("answer", status=302, headers=(("Location", elsewhere.url),)))
        async with client(server) as zoho:
            with pytest.raises(ConfigError, match="redirect"):
                await zoho.books.contacts.get("1")
        assert elsewhere.seen == []


async def test_a_success_that_cannot_be_read_is_not_repeated(server: FaultServer) -> None:
    server.script(Fault("answer", acts=True, body=b'{"code": 0, "message": "done"}'))
    async with client(server) as zoho:
        with pytest.raises(DecodeError) as caught:
            await zoho.books.contacts.get("1")
    assert len(server.seen) == 1
    assert caught.value.sent is True
    assert caught.value.body == b'{"code": 0, "message": "done"}'


async def test_an_answer_longer_than_it_says_does_not_harm_the_next(server: FaultServer) -> None:
    server.script(Fault("wrong_length"), None)
    async with client(server) as zoho:
        assert (await zoho.books.contacts.get("1")).contact_id == "1"
        assert (await zoho.books.contacts.get("1")).contact_id == "1"


async def test_a_delete_that_was_lost_and_then_finds_nothing_is_done(server: FaultServer) -> None:
    async with client(server) as zoho:
        server.script(Fault("reset", acts=True), json_fault(404, 1002))
        await zoho.books.contacts.delete("1")
        server.script(json_fault(404, 1002))
        with pytest.raises(NotFoundError):
            await zoho.books.contacts.delete("1")


async def test_the_deadline_covers_waiting_and_tells_what_was_under_way(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    time, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: time() + ahead)

    async def until_the_deadline(call: Coroutine[Any, Any, Any]) -> Any:
        nonlocal ahead
        server.script(Fault("stall"))
        server.arrived.clear()
        task = asyncio.ensure_future(call)
        await server.arrived.wait()
        ahead += 30.0
        return await task

    async with client(server, deadline=30.0) as zoho:
        with pytest.raises(OutcomeUnknownError, match="deadline") as unknown:
            await until_the_deadline(zoho.books.contacts.create({"contact_name": "x"}))
        assert unknown.value.sent is None
        with pytest.raises(DeadlineError) as caught:
            await until_the_deadline(zoho.books.contacts.get("1"))
        assert caught.value.sent is None
        assert zoho.quota.sent == 2
    async with client(server, deadline=0.5, limits=Limits(per_minute=1, burst=1)) as zoho:
        await zoho.with_options(deadline=None).books.contacts.get("1")
        with pytest.raises(DeadlineError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert caught.value.sent is False
        assert zoho.quota.sent == 1


async def test_a_write_cancelled_while_under_way_is_logged(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(Fault("stall"))
    async with client(server) as zoho:
        call = asyncio.ensure_future(zoho.books.contacts.create({"contact_name": "private"}))
        await server.arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    [record] = [record for record in caplog.records if record.name == "zoho_async"]
    assert record.levelno == logging.WARNING
    assert "books.contacts.create" in record.getMessage()
    assert "private" not in record.getMessage()


async def test_a_log_that_cannot_be_written_does_not_keep_a_call_from_being_cancelled(server: FaultServer) -> None:
    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(28, "No space left on device")

    server.script(Fault("stall"))
    handler = Full(logging.WARNING)
    async with client(server) as zoho:
        call = asyncio.ensure_future(zoho.books.contacts.create({"contact_name": "x"}))
        await server.arrived.wait()
        logging.getLogger("zoho_async").addHandler(handler)
        call.cancel()
        await asyncio.wait([call])
        logging.getLogger("zoho_async").removeHandler(handler)
    assert call.cancelled()


async def test_a_failing_service_gets_no_storm(server: FaultServer) -> None:
    def failing(_: Seen) -> Fault:
        return html_fault(503)

    async with (
        FaultServer(failing) as down,
        client(down, retries=3, limits=Limits(per_minute=None, concurrency=50)) as zoho,
    ):
        results = await asyncio.gather(
            *(zoho.books.contacts.get(str(number)) for number in range(500)), return_exceptions=True
        )
        assert all(isinstance(result, UnavailableError) for result in results)
        # 500 first attempts and what the budget of all calls allows, not 2000.
        assert len(down.seen) == 500 + policy.RetryBudget.CAPACITY / policy.RetryBudget.COST


async def test_no_write_is_sent_twice_unless_it_was_refused() -> None:
    chance = random.Random(7)
    throttle_count = [json_fault(429, 1070), json_fault(429, 44, Retry_After="0"), None, None, None]
    faults = [*LOST.values(), *throttle_count]
    refused: set[bytes] = set()

    def decide(seen: Seen) -> Fault | None:
        fault = chance.choice(faults) if chance.random() < 0.5 else None
        if fault in throttle_count and fault is not None:
            refused.add(seen.body)
        return fault

    async with (
        FaultServer(decide) as server,
        client(server, limits=Limits(per_minute=None, concurrency=30), max_wait=None) as zoho,
    ):

        async def create(number: int) -> str:
            try:
                await zoho.books.contacts.create({"contact_name": f"c{number}"})
            except OutcomeUnknownError:
                return "unknown"
            except RateLimitError:
                return "refused"
            return "done"

        results = await asyncio.gather(*(create(number) for number in range(10_000)))
        sent: dict[bytes, int] = {}
        for seen in server.seen:
            sent[seen.body] = sent.get(seen.body, 0) + 1
        assert max(server.acted.values()) == 1
        assert all(count == 1 or body in refused for body, count in sent.items())
        for number, result in enumerate(results):
            body = b'{"contact_name":"c%d"}' % number
            if result == "done":
                assert server.acted[body] == 1
            if body not in sent:
                assert result == "unknown", "written to a connection the server had just closed"
            if result == "refused":
                assert server.acted[body] == 0
        assert {"done", "unknown"} <= set(results)


async def test_nothing_secret_is_in_what_is_raised_or_printed(server: FaultServer) -> None:
    server.script(json_fault(401, 57), Fault("reset"), json_fault(400, 4))
    async with client(server) as zoho:
        for _ in range(3):
            with pytest.raises(ZohoError) as caught:
                await zoho.books.contacts.create({"contact_name": "private"})
            shown = f"{caught.value!r} {caught.value} {vars(caught.value)} {zoho!r}"
            assert "secret-token" not in shown
            assert "private" not in shown


async def test_requests_carry_the_token_and_nothing_unasked_for(server: FaultServer) -> None:
    async with client(server) as zoho:
        await zoho.books.contacts.create({"contact_name": "x"})
    [seen] = server.seen
    assert seen.headers["authorization"] == "Zoho-oauthtoken secret-token"
    assert seen.headers["content-type"] == "application/json"
    assert "cookie" not in seen.headers
    assert seen.target == "/books/v3/contacts?organization_id=10234695"


@pytest.mark.parametrize("size", [10, 600_000, 1_100_000, 5_000_000])
async def test_a_body_of_any_length_arrives_whole_and_acts_once(server: FaultServer, size: int) -> None:
    # A warning is an error here, and aiohttp warns of bytes that are long.
    server.script(json_fault(429, 44))
    value = "ü" * (size // 2)
    async with client(server) as zoho:
        await zoho.books.contacts.create({"contact_name": "A", "custom_fields": [{"api_name": "cf_a", "value": value}]})
    first, second = server.seen
    body = {"contact_name": "A", "custom_fields": [{"api_name": "cf_a", "value": value}]}
    assert json.loads(first.body) == json.loads(second.body) == body
    assert server.acted == {second.body: 1}
    for seen in server.seen:
        assert seen.headers["content-length"] == str(len(seen.body))
        assert "transfer-encoding" not in seen.headers
        assert seen.headers["content-type"] == "application/json"


async def test_every_read_succeeds_within_its_attempts_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is tested is the number of attempts, not the budget of all calls.
    monkeypatch.setattr(policy.RetryBudget, "spend", lambda _: True)
    chance = random.Random(11)
    faults = [*LOST.values(), json_fault(429, 1070)]

    async with (
        FaultServer(lambda _: chance.choice(faults) if chance.random() < 0.4 else None) as server,
        client(server, retries=3, limits=Limits(per_minute=None, concurrency=30)) as zoho,
    ):

        async def read(number: int) -> str:
            try:
                contact = await zoho.books.contacts.get(str(number))
            except UnavailableError as error:
                assert sum("1070" not in attempt for attempt in error.attempts) == 4
                return "unavailable"
            assert contact.contact_id == "1"
            return "read"

        results = await asyncio.gather(*(read(number) for number in range(2000)))
    assert results.count("read") > 1900
    assert "unavailable" in results


async def test_a_gzipped_answer_is_read(server: FaultServer) -> None:
    body = gzip.compress(b'{"code":0,"contact":{"contact_id":"7"}}')
    server.script(Fault("answer", body=body, headers=(("Content-Encoding", "gzip"),)))
    async with client(server) as zoho:
        assert (await zoho.books.contacts.get("7")).contact_id == "7"


async def test_one_line_a_retry_with_what_a_machine_wants_to_know(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(html_fault(503), Fault("reset"))
    async with client(server) as zoho:
        await zoho.books.contacts.get("460000000026049")
    lines = [record for record in caplog.records if record.name == "zoho_async" and record.levelno == logging.INFO]
    assert [record.__dict__["attempt"] for record in lines] == [1, 2]
    first = lines[0].__dict__
    assert (first["operation"], first["organization_id"], first["status"]) == ("books.contacts.get", "10234695", 503)
    assert first["wait"] >= 0
    debug = [record.__dict__["duration"] for record in caplog.records if record.levelno == logging.DEBUG]
    assert len(debug) == 3
    assert all("460000000026049" not in record.getMessage() for record in caplog.records)


async def test_a_tls_handshake_that_fails_is_a_matter_of_configuration() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 this speaks no TLS\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with Zoho(StaticToken("t"), organization_id="1", api_url=f"https://127.0.0.1:{port}") as zoho:
            with pytest.raises(ConfigError) as caught:
                await zoho.books.contacts.create({"contact_name": "x"})
    assert caught.value.sent is False
    assert len(caught.value.attempts) == 1


async def test_cookies_are_not_carried_from_one_organisation_to_another(server: FaultServer) -> None:
    body = b'{"code":0,"contact":{"contact_id":"7"}}'
    server.script(Fault("answer", body=body, headers=(("Set-Cookie", "who=me; Path=/"),)))
    async with client(server) as zoho:
        await zoho.books.contacts.get("7")
        await zoho.with_options(organization_id="2").books.contacts.get("7")
    assert "cookie" not in server.seen[1].headers


async def test_a_lost_token_request_is_repeated_once(server: FaultServer) -> None:
    token = Fault("answer", body=b'{"access_token":"t1","expires_in":3600}')
    server.script(Fault("reset"), token)
    async with client(server).with_options(auth=OAuth("a", "b", "c")) as zoho:
        await zoho.books.contacts.get("1")
        server.script(html_fault(503), html_fault(503))
        with pytest.raises(UnavailableError, match="accounts server"):
            await zoho.with_options(auth=OAuth("d", "e", "f")).books.contacts.get("1")
        await zoho._transport.shared.http().close()
    assert [seen.target for seen in server.seen].count("/oauth/v2/token") == 4


async def test_a_callers_session_that_raises_for_status_changes_nothing(server: FaultServer) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session, client(server, session=session) as zoho:
        server.script(json_fault(400, 3062))
        with pytest.raises(DuplicateError):
            await zoho.books.contacts.create({"contact_name": "x"})
        server.script(json_fault(429, 1070))
        await zoho.books.contacts.create({"contact_name": "y"})


async def test_what_aiohttp_refuses_to_send_is_reported_without_its_content(server: FaultServer) -> None:
    auth = Rotating()
    auth.current = Token(value="mine\r\nX-Other: 1")
    async with client(server, auth=auth) as zoho:
        with pytest.raises(ConfigError) as caught:
            await zoho.books.contacts.get("1")
    assert "mine" not in str(caught.value)
    assert server.seen == []


async def test_a_failing_accounts_server_is_asked_ten_times_in_ten_minutes_and_no_more() -> None:
    async with FaultServer(lambda _: html_fault(500)) as accounts:
        async with client(accounts, auth=OAuth("a", "b", "c")) as zoho:
            for _ in range(12):
                with pytest.raises((UnavailableError, AuthError)) as caught:
                    await zoho.books.contacts.get("1")
                assert (caught.value.operation, caught.value.organization_id) == ("books.contacts.get", "10234695")
        assert len(accounts.seen) == 10


async def test_a_token_request_outlives_the_deadline_of_its_caller() -> None:
    asked = 0

    def decide(seen: Seen) -> Fault | None:
        nonlocal asked
        if not seen.target.startswith("/oauth"):
            return None
        asked += 1
        return Fault("late", body=b'{"access_token":"t1","expires_in":3600}')

    async with FaultServer(decide) as server, client(server, auth=OAuth("a", "b", "c"), deadline=0.05) as zoho:
        with pytest.raises(DeadlineError) as caught:
            await zoho.books.contacts.get("1")
        assert caught.value.sent is False
        patient = zoho.with_options(deadline=None)
        await patient.books.contacts.get("1")
    assert asked == 1


async def test_a_token_renewed_while_a_call_waits_its_turn_is_the_one_it_uses(server: FaultServer) -> None:
    auth = Rotating()
    async with client(server, auth=auth, limits=Limits(per_minute=None, concurrency=1)) as zoho:
        server.script(Fault("stall"))
        first = asyncio.ensure_future(zoho.books.contacts.get("1"))
        await server.arrived.wait()
        second = asyncio.ensure_future(zoho.books.contacts.get("2"))
        await asyncio.sleep(0.01)
        auth.current = Token(value="new")
        first.cancel()
        await second
    assert [seen.headers["authorization"] for seen in server.seen] == ["Zoho-oauthtoken old", "Zoho-oauthtoken new"]


class Rotating:
    """Tokens somebody else renews."""

    def __init__(self) -> None:
        self.current = Token(value="old")

    async def token(self, accounts: AccountsServer) -> Token:
        return self.current

    async def refresh(self, failed: Token, accounts: AccountsServer) -> Token:
        return self.current

    def latest(self, token: Token) -> Token:
        return self.current


async def test_a_retry_asked_for_later_than_max_wait_is_not_waited_for(server: FaultServer) -> None:
    server.script(json_fault(503, 1000, Retry_After="3600"))
    async with client(server, max_wait=120) as zoho:
        with pytest.raises(UnavailableError) as caught:
            await zoho.books.contacts.get("1")
    assert len(server.seen) == 1
    assert "3600" in caught.value.attempts[-1]


async def test_a_deadline_that_has_passed_sends_nothing(server: FaultServer) -> None:
    async with client(server) as zoho:
        await zoho.books.contacts.get("1")
        with pytest.raises(DeadlineError) as caught:
            await zoho.with_options(deadline=0).books.contacts.create({"contact_name": "x"})
    assert caught.value.sent is False
    assert len(server.seen) == 1


async def test_a_delete_answered_with_html_and_then_not_found_is_done(server: FaultServer) -> None:
    server.script(html_fault(200), json_fault(404, 1002))
    async with client(server) as zoho:
        await zoho.books.contacts.delete("1")
    assert len(server.seen) == 2


@pytest.mark.parametrize("place", ["path", "query", "body"])
async def test_half_a_character_is_refused_before_anything_is_sent(server: FaultServer, place: str) -> None:
    half = "\ud800"
    async with client(server) as zoho:
        with pytest.raises(InvalidError, match="surrogate"):
            if place == "path":
                await zoho.books.contacts.get(half)
            elif place == "query":
                await zoho.books.contacts.list(contact_name=half)
            else:
                await zoho.books.contacts.create({"contact_name": half})
        with pytest.raises(InvalidError, match="X-A"):
            await zoho.request("GET", "/books/v3/items", headers={"X-A": "a\r\nb"})
        for method, path in (("FROB", "/books/v3/items"), ("GET", "/books/v3/../items")):
            with pytest.raises(ConfigError):
                await zoho.request(method, path)
    assert server.seen == []


class DispatchHook:
    """Tells what it was asked."""

    def __init__(self, server: FaultServer, throttle_count: int = 0, *, shut: bool = False, kept: bool = False) -> None:
        self.happened: list[str] = []
        self.throttle_count = throttle_count
        self._server = server
        self._shut = shut
        self._kept = kept

    async def before_send(self) -> None:
        self.happened.append(f"out {len(self._server.seen)}")
        if self._shut:
            raise LookupError("not any more")

    def on_rejected(self) -> None:
        self.happened.append(f"back {len(self._server.seen)}")
        if self._kept:
            raise LookupError("not again")


async def test_the_last_moment_before_the_wire(server: FaultServer) -> None:
    """A gate is asked after the wait for a turn, and can still call it off."""

    async with client(server, limits=Limits(per_minute=None, concurrency=1)) as zoho:
        send = zoho._transport.send
        server.script(json_fault(429, 44))
        hook = DispatchHook(server)
        await send(CREATE, body={"contact_name": "A"}, hook=hook)
        assert hook.happened == ["out 0", "back 1", "out 1"]
        assert len(server.seen) == 2
        with pytest.raises(LookupError, match="not any more"):
            await send(CREATE, body={"contact_name": "B"}, hook=DispatchHook(server, shut=True))
        assert len(server.seen) == 2
        # Its turn was given back, and it counts as no call.
        assert zoho.quota.sent == 2
        server.script(json_fault(429, 44))
        with pytest.raises(LookupError, match="not again"):
            await send(CREATE, body={"contact_name": "B"}, hook=DispatchHook(server, kept=True))
        assert len(server.seen) == 3
        # What may have acted is not for the transport to repeat, idempotent or not.
        server.script(Fault("reset", acts=True))
        hook = DispatchHook(server)
        with pytest.raises(OutcomeUnknownError):
            await send(UPDATE, path={"contact_id": "1"}, body={"contact_name": "A"}, hook=hook)
        assert hook.happened == ["out 3"]
        assert len(server.seen) == 4
        await zoho.books.contacts.create({"contact_name": "C"})


async def test_escape_sequences_of_a_server_reach_neither_error_nor_log(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "zoho_async")
    text = "\x1b]0;title\x07 and\nanother line"
    for status, code in ((404, 1002), (400, text[:20]), (200, text[:20]), (500, 1000), (409, None)):
        body = json.dumps({"code": code, "message": text}).encode()
        server.script(Fault("answer", status=status, body=body))
        async with client(server, retries=0) as zoho:
            with pytest.raises(ZohoError) as caught:
                await zoho.books.contacts.create({"contact_name": "x"})
        error = caught.value
        assert error.message == text
        assert "another line" in str(error), "the message is shown"
        assert f"{error}{error!r}{''.join(error.attempts)}".isprintable()
    assert caplog.records
    assert all(record.getMessage().isprintable() for record in caplog.records)
