"""Once a request has left, a call ends with a result, a ZohoError or a cancellation, whatever happens after it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fault_server import Fault, FaultServer, html_fault, json_fault
from support.profiles import examples

from zoho_async import (
    AuthError,
    ConfigError,
    DecodeError,
    Limits,
    OutcomeUnknownError,
    StaticToken,
    UnavailableError,
    Upload,
    Zoho,
    ZohoError,
    bulk,
    operations,
)
from zoho_async.auth.token_stores import Token
from zoho_async.books import contact_persons, contacts
from zoho_async.schema.catalog import find_operation
from zoho_async.transport.rate_limiter import Limiter
from zoho_async.transport.retry_policy import how_to_check
from zoho_async.wire.decoding import Decoders


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        yield running


def client(url: str, **options: Any) -> Zoho:
    options = {"auth": StaticToken("t"), "limits": Limits(per_minute=None), "retries": 0, **options}
    return Zoho(options.pop("auth"), organization_id="1", api_url=url, **options)


class OddError(Exception):
    """Raised by a caller's own code."""


class OddSignal(BaseException):
    """Raised by a caller's own code."""


RAISED = [
    OddError(),
    KeyError("member"),
    ValueError("cannot parse"),
    OSError(5, "disk"),
    TimeoutError(),
    RuntimeError("x"),
]


@pytest.mark.parametrize(
    "raised", [*RAISED, OddSignal(), aiohttp.ClientPayloadError(), aiohttp.InvalidURL("x")], ids=repr
)
async def test_a_middleware_that_raises_after_the_response_leaves_the_outcome_unknown(
    server: FaultServer, raised: BaseException
) -> None:
    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        await handler(request)
        raise raised

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        zoho = client(server.url, session=session)
        with pytest.raises(OutcomeUnknownError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert caught.value.sent is None
        assert "connection lost" not in str(caught.value) or isinstance(raised, OSError)
        with pytest.raises(UnavailableError):
            await zoho.books.contacts.get("1")
    assert len(server.seen) == 2


async def test_a_connection_that_a_middleware_cannot_open_afterwards_does_not_repeat_a_write(
    server: FaultServer,
) -> None:
    """Its own request to a collector that is down is no sign that ours was not sent."""

    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        async with aiohttp.ClientSession() as collector:
            await collector.get("http://127.0.0.1:1/")
        return response

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        with pytest.raises(OutcomeUnknownError):
            await client(server.url, session=session, retries=3).books.contacts.create({"contact_name": "x"})
    assert len(server.seen) == 1


HOOKS_BEFORE = ["on_request_start", "on_connection_create_start", "on_connection_create_end"]
HOOKS_AFTER = ["on_request_headers_sent", "on_request_chunk_sent", "on_request_end"]


@pytest.mark.parametrize("raised", RAISED[:3], ids=repr)
@pytest.mark.parametrize("name", HOOKS_BEFORE + HOOKS_AFTER)
async def test_a_trace_hook_that_raises(server: FaultServer, name: str, raised: Exception) -> None:
    async def hook(*_: object) -> None:
        raise raised

    tracing = aiohttp.TraceConfig()
    getattr(tracing, name).append(hook)
    async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
        with pytest.raises(Exception) as caught:
            await client(server.url, session=session).books.contacts.create({"contact_name": "x"})
    if name in HOOKS_AFTER:
        assert isinstance(caught.value, OutcomeUnknownError)
    else:
        assert isinstance(caught.value, ConfigError if isinstance(raised, ValueError) else UnavailableError)
        assert caught.value.sent is False
        assert caught.value.operation == "books.contacts.create"
        assert type(raised).__name__ in str(caught.value)
        assert server.seen == []


BEFORE = [OddError(), OddSignal(), OSError(), TimeoutError(), aiohttp.ClientError(), aiohttp.ServerDisconnectedError()]


@pytest.mark.parametrize("raised", BEFORE, ids=repr)
async def test_a_middleware_that_raises_before_the_request_leaves_has_sent_nothing(
    server: FaultServer, raised: BaseException
) -> None:
    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        raise raised

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        with pytest.raises(UnavailableError) as caught:
            await client(server.url, session=session).books.contacts.create({"contact_name": "x"})
    assert caught.value.sent is False
    if isinstance(raised, OddError | OddSignal):
        assert caught.value.__cause__ is raised
    else:  # as an error of the connection it may be repeated
        assert "before anything was sent" in str(caught.value)
    assert server.seen == []


async def test_what_ends_the_program_passes_through(server: FaultServer) -> None:
    class Stop(asyncio.CancelledError):
        pass

    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        await handler(request)
        raise Stop

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        with pytest.raises(Stop):
            await client(server.url, session=session).books.contacts.create({"contact_name": "x"})


@pytest.mark.parametrize("kind", [aiohttp.ServerDisconnectedError, aiohttp.ClientOSError])
async def test_a_disconnect_raised_by_a_middleware_sends_nothing_twice(
    server: FaultServer, kind: type[Exception]
) -> None:
    """On a connection used before aiohttp resends a PUT or DELETE after such an error."""
    raising: list[Exception] = []

    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        await response.read()
        if raising:
            raise raising[0]
        return response

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        zoho = client(server.url, session=session)
        await zoho.books.contacts.get("1")
        raising.append(kind())
        for write in (
            lambda: zoho.books.contacts.update("1", {"contact_name": "x"}),
            lambda: zoho.books.contacts.delete("1"),
            lambda: zoho.request("PUT", "/books/v3/contacts/1", body={}),
        ):
            server.seen.clear()
            with pytest.raises(ZohoError) as caught:
                await write()
            assert caught.value.sent is None
            assert len(server.seen) == 1


async def test_a_middleware_that_resends_by_itself_sends_a_write_once(server: FaultServer) -> None:
    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        return response if response.status < 500 else await handler(request)

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        server.script(Fault("answer", acts=True, status=503))
        with pytest.raises(OutcomeUnknownError, match="second time"):
            await client(server.url, session=session).books.contacts.create({"contact_name": "x"})
    assert len(server.seen) == 1


MAYBE_DONE = [
    [html_fault(502, acts=True)] * 2,
    [json_fault(500, 1000)] * 2,
    [Fault("answer", body=b"<html>", acts=True)] * 2,
    [html_fault(404), json_fault(429, 44, Retry_After="0")] + [json_fault(429, 44, Retry_After="0")] * 9,
    [Fault("reset", acts=True), json_fault(400, 15)],
    [html_fault(503), json_fault(401, 57)],
    [json_fault(503, 1000), json_fault(400, 45)],
]


@pytest.mark.parametrize("faults", MAYBE_DONE, ids=range(len(MAYBE_DONE)))
async def test_a_repeatable_write_that_may_have_been_executed_is_not_reported_as_failed(
    server: FaultServer, faults: list[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoho_async.transport.retry_policy.retry_delay", lambda *_: 0.0)
    monkeypatch.setattr("zoho_async.transport.retry_policy.pause_delay", lambda *_: 0.0)
    async with client(server.url, retries=1) as zoho:
        server.script(*faults)
        with pytest.raises(ZohoError) as caught:
            await zoho.books.contacts.update("1", {"contact_name": "x"})
        assert caught.value.sent is None
    async with client(server.url, retries=1) as zoho:
        server.script(*faults)
        outcomes = []
        with contextlib.suppress(ZohoError):
            async for outcome in bulk.map(zoho.books.contacts.delete, ["1"]):
                outcomes.append(outcome.status)  # noqa: PERF401 - kept when the iteration raises
    assert outcomes == ["unknown"]


async def test_an_error_without_a_request_keeps_what_earlier_attempts_have_left_open(server: FaultServer) -> None:
    class Revoked(StaticToken):
        async def token(self, accounts: Any) -> Token:
            if server.seen:
                raise AuthError("revoked")
            return await super().token(accounts)

    server.script(html_fault(503, acts=True))
    async with client(server.url, auth=Revoked("t"), retries=1) as zoho:
        with pytest.raises(AuthError) as caught:
            await zoho.books.contacts.update("1", {"contact_name": "x"})
    assert caught.value.sent is None


async def test_a_header_of_the_callers_session_that_cannot_be_sent_sends_nothing(server: FaultServer) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "a\x01b"}) as session:
        with pytest.raises(ConfigError) as caught:
            await client(server.url, session=session).books.contacts.create({"contact_name": "x"})
    assert caught.value.sent is False
    assert server.seen == []


@pytest.fixture
def broken_logging() -> Iterator[None]:
    def broken(record: logging.LogRecord) -> bool:
        raise OddError

    logger = logging.getLogger("zoho_async")
    logger.addFilter(broken)
    yield
    logger.removeFilter(broken)


@pytest.mark.usefixtures("broken_logging")
async def test_a_log_filter_that_raises_changes_no_outcome(server: FaultServer) -> None:
    async with client(server.url, retries=1) as zoho:
        assert (await zoho.books.contacts.create({"contact_name": "x"})).contact_id == "1"
        server.script(json_fault(429, 1070), None)
        assert (await zoho.books.contacts.create({"contact_name": "x"})).contact_id == "1"
        server.script(Fault("reset", acts=True))
        with pytest.raises(OutcomeUnknownError):
            await zoho.books.contacts.create({"contact_name": "x"})


@pytest.mark.parametrize("name", ["update_from_headers", "succeeded"])
async def test_what_fails_in_the_client_after_the_response_is_an_unknown_outcome(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def broken(*_: object) -> None:
        raise OddError

    monkeypatch.setattr(Limiter, name, broken)
    async with client(server.url) as zoho:
        with pytest.raises(OutcomeUnknownError, match="OddError") as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert caught.value.sent is None
        with pytest.raises(UnavailableError, match="OddError"):
            await zoho.books.contacts.get("1")


async def test_an_auth_that_raises_after_a_refusal_is_no_unknown_outcome(server: FaultServer) -> None:
    class Vault(StaticToken):
        async def refresh(self, failed: Token, accounts: Any) -> Token:
            raise OddError

    server.script(json_fault(401, 57))
    async with client(server.url, auth=Vault("t")) as zoho:
        with pytest.raises(UnavailableError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
    assert caught.value.sent is True


async def test_a_stream_that_raises_when_it_is_closed_hides_no_response(server: FaultServer) -> None:
    class Stream:
        def __init__(self) -> None:
            self.left = 2

        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> bytes:
            self.left -= 1
            if self.left < 0:
                await asyncio.sleep(3600)
            return b"x" * 100

        async def aclose(self) -> None:
            raise OddError

    early = Fault("answer", status=413, body=b'{"code":4,"message":"too large"}')

    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 X\r\nContent-Length: %d\r\n\r\n" % len(early.body) + early.body)
        writer.close()

    async with await asyncio.start_server(answer_early, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with client(url) as zoho:
            with pytest.raises(ZohoError) as caught:
                await zoho.send(contacts.ADD_ATTACHMENT, path={"contact_id": "1"}, files={"attachment": Upload(Stream)})
    assert caught.value.sent is not False


class Refusing(msgspec.Struct):
    contact_id: str

    def __post_init__(self) -> None:
        raise KeyError(self.contact_id)


async def test_a_callers_type_that_raises_is_a_decode_error(server: FaultServer) -> None:
    async with client(server.url) as zoho:
        with pytest.raises(DecodeError) as caught:
            await zoho.send(contacts.CREATE, body={"contact_name": "x"}, type=Refusing)
        assert caught.value.sent is True
        with pytest.raises(DecodeError):
            await zoho.request("POST", "/books/v3/contacts", body={}, type=Refusing)


@pytest.mark.parametrize("type_", [object(), lambda: 1, complex | int], ids=["object", "function", "union"])
async def test_an_impossible_type_sends_nothing(server: FaultServer, type_: Any) -> None:
    async with client(server.url) as zoho:
        with pytest.raises(TypeError):
            await zoho.send(contacts.CREATE, body={"contact_name": "x"}, type=type_)
        with pytest.raises(TypeError):
            await zoho.request("POST", "/books/v3/contacts", body={}, type=type_)
    assert server.seen == []


UNREADABLE = [
    b'{"code":"' + b"9" * 5000 + b'"}',
    b'{"code":' + b"9" * 5000 + b"}",
    b'{"code":1e777777777777777777777,"message":"x"}',
    b'{"code":true}',
    b'{"code":null}',
    b'{"code":NaN}',
    b'[{"code":0}]',
    b'"0"',
    b"0",
]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: body[:30].decode())
@pytest.mark.parametrize("status", [200, 500])
async def test_an_unreadable_code_is_an_unknown_outcome(server: FaultServer, body: bytes, status: int) -> None:
    server.script(*[Fault("answer", status=status, body=body)] * 3)
    async with client(server.url) as zoho:
        with pytest.raises(OutcomeUnknownError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert len(str(caught.value)) < 400
        with pytest.raises(OutcomeUnknownError):
            await zoho.books.contact_persons.create({"contact_id": "1"})


@pytest.mark.parametrize("charset", ["undefined", "\xe8", "idna", "hex", "utf-7", '"', "a\tb", "x" * 300])
async def test_an_odd_charset_is_ignored(server: FaultServer, charset: str) -> None:
    content_type = (("Content-Type", f"application/json;charset={charset}"),)
    server.script(*[Fault("answer", status=200, body=b'{"code":0,"contact":{"contact_id":7}}', headers=content_type)])
    server.script(Fault("answer", status=500, body=b"\xff\xfe\xfd", headers=content_type))
    async with client(server.url) as zoho:
        assert (await zoho.books.contacts.create({"contact_name": "x"})).contact_id == "7"
        with pytest.raises(OutcomeUnknownError):
            await zoho.books.contacts.create({"contact_name": "x"})


def test_numbers_without_bounds_cost_only_themselves() -> None:
    body = b'{"code":0,"contact":{"contact_id":%s,"credit_limit":1e777777777777777777777,"payment_terms":1E-%s}}'
    digits = b"1234567890" * 500
    contact = Decoders().decode(contacts.GET, None, body % (digits, digits), None).data
    assert (contact.contact_id, contact.credit_limit, contact.payment_terms) == (digits.decode(), None, None)
    body = b'{"code":0,"contact":{"contact_id":"1","credit_limit":1e9999}}'
    assert Decoders().decode(contacts.GET, None, body, None).data.credit_limit == Decimal("1e9999")


# Whatever a server answers.

TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=40)
NUMBERS = st.sampled_from(["9" * 5000, "-0", "1e999999999999999999", "0.0", "1E-400", "٣", "NaN", "1" + "0" * 400])
SCALARS = st.none() | st.booleans() | st.integers() | TEXT | st.sampled_from(["0", "", "\ud800", "57", "1002"])
VALUES = st.recursive(
    SCALARS | st.sampled_from([0, 0, 5, 14, 44, 1002, 3062, 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["code", "message", "contact", "contact_person", "contacts", "page_context", "error", "errors"]),
    VALUES,
    max_size=5,
)


@st.composite
def bodies(draw: Callable[[Any], Any]) -> bytes:
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return bytes(draw(st.binary(max_size=60)))
    text = json.dumps(draw(MEMBERS if kind == 1 else st.builds(lambda more: {"code": 0, **more}, MEMBERS) | VALUES))
    if kind == 3:
        text = text.replace("0", draw(NUMBERS), 1)
    return bytes(text.encode(draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "utf-32"])), "surrogatepass"))


NAMES = ["Retry-After", "X-Rate-Limit-Remaining", "X-Rate-Limit-Limit", "X-Rate-Limit-Reset", "Date", "Location"]
HEADERS = st.lists(
    st.tuples(st.sampled_from(["Content-Type", "Content-Encoding", "Content-Disposition", *NAMES]), TEXT | NUMBERS)
    | st.tuples(st.just("Content-Type"), TEXT.map(lambda name: f"application/json;charset={name}"))
    | st.sampled_from([("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Type", "text/html")]),
    max_size=4,
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 408, 409, 429, 500, 503]) | st.integers(200, 999)


def raw_answer(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


async def post_untyped(zoho: Zoho) -> object:
    return await zoho.request("POST", "/books/v3/contacts", body={"contact_name": "x"})


WRITES: list[Callable[[Zoho], Any]] = [
    lambda zoho: zoho.books.contacts.create({"contact_name": "x"}),
    lambda zoho: zoho.books.contact_persons.create({"contact_id": "1"}),
    lambda zoho: zoho.books.contacts.delete("1"),
    lambda zoho: zoho.books.contacts.update("1", {"contact_name": "x"}),
    lambda zoho: zoho.send(contacts.CREATE, body={"contact_name": "x"}, type=dict),
    post_untyped,
]


def test_whatever_a_server_answers_a_write_ends_in_a_result_or_a_zoho_error() -> None:
    answers: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        acted.append(1)
        writer.write(answers[-1])
        writer.close()

    async def write(call: Callable[[Zoho], Any]) -> Exception | None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            async with client(url, max_wait=0) as zoho:
                try:
                    await call(zoho)
                except ZohoError as error:
                    return error
                return None

    acted: list[int] = []
    with asyncio.Runner() as runner:

        @settings(max_examples=examples(300))
        @given(STATUSES, HEADERS, bodies(), st.sampled_from(WRITES))
        def check(status: int, headers: list[tuple[str, str]], body: bytes, call: Callable[[Zoho], Any]) -> None:
            answers.append(raw_answer(status, headers, body))
            acted.clear()
            error = runner.run(write(call))
            assert len(acted) == 1
            if error is not None:
                assert isinstance(error, ZohoError)
                assert error.sent is not False
                assert error.sent is None or not isinstance(error, UnavailableError | OutcomeUnknownError)
                assert str(error).isprintable()

        check()


@settings(max_examples=examples(300))
@given(bodies(), st.none() | st.sampled_from(["undefined", "utf-16", "hex", "x"]), st.booleans())
def test_decoders_raise_nothing(body: bytes, charset: str | None, html: bool) -> None:
    decoders = Decoders()
    decoders.code_and_message(body, charset)
    for operation in (contacts.GET, contacts.LIST, contacts.DELETE, contact_persons.CREATE):
        decoders.decode(operation, None, body, charset)
    for media_type in ("", "text/html", "application/json"):
        decoders.file(body, media_type=media_type, named=html, charset=charset)
        decoders.any(contacts.GET, None, body, status=200, media_type=media_type, charset=charset, html=html)


async def test_error_bodies_of_other_shapes_reach_the_message(server: FaultServer) -> None:
    shapes = {
        b'{"error":"invalid_request","error_description":"no such scope"}': "no such scope",
        b'{"error":{"code":"X","message":"gateway is full"}}': "gateway is full",
        b'{"errors":[{"message":"one"},{"detail":"two"},"three"]}': "one; two; three",
        b'{"errors":{"contact_name":["too long"]}}': "contact_name: too long",
        b"upstream connect error\n": "upstream connect error",
        b'{"code":1001,"message":"as documented","error":"other"}': "as documented",
        b'{"code":1001,"errors":[{"message":"below a code"}]}': "below a code",
    }
    async with client(server.url) as zoho:
        for body, message in shapes.items():
            for status in (400, 503):
                server.script(Fault("answer", status=status, body=body, headers=(("Content-Type", "text/plain"),)))
                with pytest.raises(ZohoError) as caught:
                    await zoho.books.contacts.create({"contact_name": "x"})
                assert caught.value.message == message
                assert message in str(caught.value)
        server.script(html_fault(502))
        with pytest.raises(ZohoError) as caught:
            await zoho.books.contacts.get("1")
        assert caught.value.message is None


async def test_losses_are_named_for_what_they_are_and_where(server: FaultServer) -> None:
    place = server.url.removeprefix("http://")
    broken = Fault("answer", body=b"x", headers=(("Bad Name", "x"),))
    for fault, words in (
        (Fault("reset"), "connection lost to"),
        (Fault("torn"), "ended early"),
        (Fault("stall"), "no response in time from"),
        (broken, "not valid HTTP"),
    ):
        server.script(fault)
        async with client(server.url, timeout=0.2) as zoho:
            with pytest.raises(UnavailableError) as caught:
                await zoho.books.contacts.get("1")
        assert words in str(caught.value)
        assert place in str(caught.value)
        assert ("connection lost" in str(caught.value)) is (fault.kind == "reset")
    async with client("http://127.0.0.1:1") as zoho:
        with pytest.raises(UnavailableError, match=r"no connection to 127\.0\.0\.1:1 "):
            await zoho.books.contacts.get("1")


async def test_a_decoder_that_fails_loses_the_response(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OddError

    async with client(server.url, retries=1) as zoho:
        monkeypatch.setattr(Decoders, "decode", broken)
        monkeypatch.setattr("zoho_async.transport.retry_policy.retry_delay", lambda *_: 0.0)
        with pytest.raises(UnavailableError):
            await zoho.books.contacts.get("1")
        assert len(server.seen) == 2, "a read is repeated"
        with pytest.raises(OutcomeUnknownError, match="without a result code"):
            await zoho.books.contacts.create({"contact_name": "x"})


@pytest.mark.parametrize(
    ("operation", "advice"),
    [
        ("books.contacts.create", "look with books.contacts.list for a record of this name"),
        ("books.contacts.upsert", "look with books.contacts.list for a record with this unique value"),
        ("billing.customers.update", "look with billing.customers.get whether"),
        ("books.addresses.delete", "look with books.addresses.list whether"),
        ("books.contacts.email", "look in Zoho whether"),
        ("books.cards.create", "look with books.cards.list for a record"),
        ("books.contacts.delete_many", "look in Zoho whether"),
    ],
)
def test_what_to_look_for_after_an_unknown_outcome(operation: str, advice: str) -> None:
    assert how_to_check(find_operation(operation)).startswith(advice)


def test_every_operation_named_in_advice_exists() -> None:
    known = {operation.id for operation in operations()}
    for operation in operations():
        named = re.findall(r"\w+\.\w+\.\w+", how_to_check(operation))
        assert set(named) <= known
