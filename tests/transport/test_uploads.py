"""What a form looks like on the wire, and that it is sent again whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import Fault, FaultServer, Seen, html_fault, json_fault

from zoho_async import InvalidError, Limits, OutcomeUnknownError, StaticToken, Upload, Zoho
from zoho_async.books import ContactEmail
from zoho_async.books.contacts import ADD_ATTACHMENT, EMAIL
from zoho_async.transport import retry_policy as policy

BIG = bytes(range(256)) * 5000
MAIL = {"to_mail_ids": ["a@example.test"], "subject": "Größe", "body": "x"}


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        yield running


@pytest.fixture
async def zoho(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Zoho]:
    monkeypatch.setattr(policy, "slow_delay", lambda *_: 0.0)
    async with client(server) as running:
        yield running


def client(server: FaultServer) -> Zoho:
    return Zoho(StaticToken("t"), organization_id="1", api_url=server.url, limits=Limits(per_minute=None))


def parts(seen: Seen) -> dict[str, Message]:
    """The parts of a form by name, the order kept."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + seen.body)
    assert message.is_multipart(), seen.body
    found = [part for part in message.get_payload() if isinstance(part, Message)]
    return {str(part.get_param("name", header="content-disposition")): part for part in found}


def content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


class Stream:
    """An async iterator of a file's bytes that counts how often it was begun, and notices when it is left open."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks
        self.begun = 0
        self.ended = 0

    async def __call__(self) -> AsyncIterator[bytes]:
        self.begun += 1
        try:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            self.ended += 1


async def test_a_path_bytes_and_a_stream_arrive_byte_by_byte(server: FaultServer, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / 'Größe "1".pdf'
    path.write_bytes(BIG)
    stream = Stream(BIG[:1000], b"", BIG[1000:])
    attach = zoho.books.contacts.add_attachment
    await attach("9", attachment=path)
    await attach("9", attachment=str(path))
    await attach("9", attachment=BIG)
    await attach("9", attachment=Upload(stream, filename="a.csv"))
    await attach("9", attachment=Upload(b"", filename="b", content_type="text/x-mine"))
    shapes: list[tuple[str | None, str, bool]] = []
    for seen in server.seen:
        assert (seen.method, seen.target) == ("POST", "/books/v3/contacts/9/attachment?organization_id=1")
        [(name, part)] = parts(seen).items()
        assert name == "attachment"
        shapes.append((part.get_filename(), part.get_content_type(), content(part) == BIG))
        assert (b'filename="Gr\xc3\xb6\xc3\x9fe \\"1\\".pdf"' in seen.body) == (len(shapes) < 3)
    assert [shape[1:] for shape in shapes] == [
        ("application/pdf", True),
        ("application/pdf", True),
        ("application/octet-stream", True),
        ("text/csv", True),
        ("text/x-mine", False),
    ]
    assert [shape[0] for shape in shapes[2:]] == ["attachment", "a.csv", "b"]
    assert (stream.begun, stream.ended) == (1, 1)
    # What has a size says so; only a stream travels without one.
    assert ["content-length" in seen.headers for seen in server.seen] == [True, True, True, False, True]


async def test_the_body_travels_beside_its_files_and_alone_without(server: FaultServer, zoho: Zoho) -> None:
    body = ContactEmail(to_mail_ids=["a@example.test"], subject="Größe", body="x")
    email = zoho.books.contacts.email
    await email("9", body, attachments=b"file", send_customer_statement=True)
    await email("9", body)
    await zoho.send(EMAIL, path={"contact_id": "9"}, body=MAIL, files={"attachments": b"file"})
    await zoho.books.contacts.add_attachment("9", {"document_ids": "1"})
    await zoho.books.statements.email("9")
    with_file, alone, sent, mapping, nothing = server.seen
    text = b'{"to_mail_ids":["a@example.test"],"subject":"Gr\xc3\xb6\xc3\x9fe","body":"x"}'
    for seen in (with_file, sent):
        found = parts(seen)
        assert list(found) == ["JSONString", "attachments"]
        assert content(found["JSONString"]) == text
        assert found["JSONString"].get_filename() is None
        assert content(found["attachments"]) == b"file"
    assert with_file.target.endswith("send_customer_statement=true&organization_id=1")
    assert (alone.headers["content-type"], alone.body) == ("application/json", text)
    assert (mapping.headers["content-type"], mapping.body) == ("application/json", b'{"document_ids":"1"}')
    assert nothing.body == b""


@pytest.mark.parametrize("refusal", [json_fault(429, 44, Retry_After="0"), json_fault(429, 1070)])
async def test_a_refused_upload_is_sent_again_whole(
    server: FaultServer, zoho: Zoho, tmp_path: Path, refusal: Fault
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(BIG)
    stream = Stream(BIG)
    for source in (path, BIG, Upload(stream)):
        server.seen.clear()
        server.script(refusal)
        await zoho.books.contacts.email("9", MAIL, attachments=source)  # type: ignore[arg-type]
        assert len(server.seen) == 2
        for seen in server.seen:
            assert content(parts(seen)["attachments"]) == BIG
            assert b"subject" in content(parts(seen)["JSONString"])
    assert (stream.begun, stream.ended) == (2, 2)


@pytest.mark.parametrize("fault", [Fault("reset", acts=True), html_fault(503), Fault("torn", acts=True)])
async def test_an_upload_of_unknown_outcome_is_sent_once(server: FaultServer, zoho: Zoho, fault: Fault) -> None:
    stream = Stream(BIG)
    server.script(fault)
    with pytest.raises(OutcomeUnknownError):
        await zoho.books.contacts.add_attachment("9", attachment=Upload(stream))
    assert (len(server.seen), stream.begun, stream.ended) == (1, 1, 1)


async def test_a_file_that_is_not_there_costs_no_call(server: FaultServer, zoho: Zoho, tmp_path: Path) -> None:
    given: list[tuple[Any, str]] = [
        (tmp_path / "none.pdf", "No such file"),
        (tmp_path, "directory"),
        (5, "must be a path, bytes"),
        (Upload(b"", filename="a\r\nX: y"), "HTTP headers do not allow"),
        ("nul\0", "cannot be read"),
    ]
    for value, says in given:
        with pytest.raises(InvalidError, match=says) as caught:
            await zoho.books.contacts.add_attachment("9", attachment=value)
        assert [(fault.path, fault.rule) for fault in caught.value.faults] == [("attachment", "file")]
        assert caught.value.sent is False
    with pytest.raises(InvalidError, match="known: attachment") as caught:
        await zoho.send(ADD_ATTACHMENT, path={"contact_id": "9"}, files={"file": b"", "attachment": tmp_path / "none"})
    assert [fault.path for fault in caught.value.faults] == ["file", "attachment"]
    with pytest.raises(TypeError, match="needs a file"):
        await zoho.books.contacts.add_attachment("9")
    with pytest.raises(TypeError, match="needs a body"):
        await zoho.send(EMAIL, path={"contact_id": "9"}, files={"attachments": b""})
    assert server.seen == []


async def test_a_stream_that_breaks_is_an_error_and_never_finished(server: FaultServer, zoho: Zoho) -> None:
    for broken, says in ((OSError("disk on fire"), "disk on fire"), ("text", "must yield bytes, not str")):
        stream = Stream(b"x" * 100_000, broken)
        with pytest.raises(InvalidError, match=says) as caught:
            await zoho.books.contacts.add_attachment("9", attachment=Upload(stream))
        assert caught.value.sent is None
        assert (stream.begun, stream.ended) == (1, 1)
    # The server never got a whole request, so there was nothing to act on.
    assert server.seen == []


async def test_a_file_that_vanishes_between_attempts_is_an_error(
    server: FaultServer, zoho: Zoho, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")

    def decide(_: Seen) -> Fault:
        path.unlink()
        return json_fault(429, 1070)

    async with FaultServer(decide) as other, client(other) as short:
        with pytest.raises(InvalidError, match="attachment: cannot be read") as caught:
            await short.books.contacts.add_attachment("9", attachment=path)
    assert caught.value.sent is True
    assert len(caught.value.attempts) == 2


def test_an_upload_shows_no_content() -> None:
    assert repr(Upload(b"secret")) == "<Upload 6 bytes>"
    assert repr(Upload("a/b.pdf")) == "<Upload a/b.pdf>"
    assert repr(Upload("a", filename="c")) == "<Upload c>"
    assert repr(Upload(Stream())) == "<Upload stream>"


async def test_an_upload_refused_halfway_is_sent_again_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 20_000_000)
    stream = Stream(*[b"x" * 10_000] * 2000)
    requests = 0
    monkeypatch.setattr(policy, "slow_delay", lambda *_: 0.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        refused = requests % 2 == 1
        await reader.readuntil(b"\r\n\r\n")
        tail = b""
        # The form's last boundary; a stream has the end of its chunks behind it.
        while not refused and b"--\r\n" not in tail:
            tail = (tail + await reader.read(100_000))[-30:]
        body = b'{"code":1070}' if refused else b'{"code":0}'
        head = f"HTTP/1.1 {429 if refused else 200} Told\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        await writer.drain()
        # Closed with bytes unread, the connection would be reset, and the answer might be lost with it.
        with suppress(ConnectionError):
            while await reader.read(100_000):
                pass
        writer.close()

    # Kept, so that each is seen to its end: one still running when the loop closes leaves its connection open.
    served: list[asyncio.Task[None]] = []
    running = await asyncio.start_server(
        lambda reader, writer: served.append(asyncio.ensure_future(serve(reader, writer))), "127.0.0.1", 0
    )
    url = f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    async with running, Zoho(StaticToken("t"), organization_id="1", api_url=url) as zoho:
        for source in (path, path.read_bytes(), Upload(stream)):
            await zoho.books.contacts.add_attachment("9", attachment=source)
    await asyncio.gather(*served)
    assert requests == 6
    assert (stream.begun, stream.ended) == (2, 2)
