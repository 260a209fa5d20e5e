"""Files that come back: whole, into memory or onto the disk, or an error and no file at all."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import stat
import tracemalloc
from collections.abc import AsyncIterator
from errno import EFBIG
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from support.fault_server import Fault, FaultServer, html_fault, json_fault

from zoho_async import DeadlineError, InvalidError, Limits, NotFoundError, StaticToken, UnavailableError, Zoho
from zoho_async.books.contacts import GET as GET_CONTACT
from zoho_async.books.documents import GET
from zoho_async.transport import bodies
from zoho_async.transport import retry_policy as policy

CONTENT = bytes(range(256)) * 1000
DOCUMENT = {"contact_id": "1", "document_id": "2"}
NAMED = ("Content-Disposition", 'attachment; filename="a.json"')


def file_answer(body: bytes = CONTENT, *, named: bool = True, media: str = "application/octet-stream") -> Fault:
    headers = (("Content-Type", media), *([NAMED] if named else []))
    return Fault("answer", body=body, headers=headers)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("retry_delay", "slow_delay"):
        monkeypatch.setattr(policy, name, lambda *_: 0.0)


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        yield running


@pytest.fixture
async def zoho(server: FaultServer) -> AsyncIterator[Zoho]:
    async with client(server.url) as running:
        yield running


def client(url: str, **options: float) -> Zoho:
    return Zoho(StaticToken("t"), organization_id="1", api_url=url, limits=Limits(per_minute=None), **options)  # type: ignore[arg-type]


async def test_a_document_comes_as_bytes_or_as_a_file(server: FaultServer, zoho: Zoho, tmp_path: Path) -> None:
    to = tmp_path / "a.pdf"
    to.write_bytes(b"older")
    server.script(*[file_answer()] * 4)
    assert await zoho.books.documents.get("1", "2") == CONTENT
    assert await zoho.books.documents.get("1", "2", to=to) == to
    assert await zoho.books.documents.get("1", "2", to=str(tmp_path / "b")) == tmp_path / "b"
    response = await zoho.send(GET, path={"contact_id": "1", "document_id": "2"}, to=to)
    assert (response.data, response.body, response.status, response.code) == (to, b"", 200, 0)
    assert to.read_bytes() == (tmp_path / "b").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.pdf", "b"]
    assert server.seen[0].target == "/books/v3/contacts/1/documents/2?organization_id=1"
    assert server.seen[0].headers["accept"] == "*/*"


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b'{"code": 5, "message": "a file about codes"}', "application/json"),
        (b"<html>a page</html>", "text/html"),
    ],
)
async def test_what_says_that_it_is_a_file_is_one(
    server: FaultServer, zoho: Zoho, tmp_path: Path, body: bytes, media: str
) -> None:
    server.script(file_answer(body, media=media), file_answer(body, media=media))
    assert await zoho.books.documents.get("1", "2") == body
    assert (await zoho.books.documents.get("1", "2", to=tmp_path / "a")).read_bytes() == body


@pytest.mark.parametrize("to_disk", [False, True], ids=["bytes", "file"])
async def test_a_refusal_under_any_status_is_an_error_and_no_file(
    server: FaultServer, zoho: Zoho, tmp_path: Path, to_disk: bool
) -> None:
    to = tmp_path / "a" if to_disk else None
    for refusal in (json_fault(404, 1002), json_fault(200, 1002), json_fault(200, "1002")):
        server.script(refusal)
        with pytest.raises(NotFoundError) as caught:
            await zoho.books.documents.get("1", "2", to=to)  # type: ignore[arg-type]
        assert caught.value.message == "told to say 1002"
        assert b"told to say" in caught.value.body
    server.seen.clear()
    # A throttle, a gateway's page, silence and a torn file are met as everywhere; then the file comes.
    server.script(json_fault(200, 44, Retry_After="0"), html_fault(200), html_fault(503), file_answer())
    assert await zoho.books.documents.get("1", "2", to=to) in (to, CONTENT)  # type: ignore[arg-type]
    assert len(server.seen) == 4
    server.script(Fault("reset"), Fault("torn", body=CONTENT, headers=(NAMED,)), file_answer(b"new"))
    assert await zoho.books.documents.get("1", "2", to=to) in (to, b"new")  # type: ignore[arg-type]
    server.script(*[html_fault(200)] * 4)
    with pytest.raises(UnavailableError):
        await zoho.books.documents.get("1", "2", to=to)  # type: ignore[arg-type]
    assert names(tmp_path) == (["a"] if to_disk else [])
    assert not to_disk or (tmp_path / "a").read_bytes() == b"new"


async def test_the_documented_answer_is_given_as_it_came(server: FaultServer, zoho: Zoho, tmp_path: Path) -> None:
    server.script(*[Fault("answer", body=b'{"code":0,"message":"success"}')] * 2, file_answer(b"[1]", named=False))
    assert await zoho.books.documents.get("1", "2") == b'{"code":0,"message":"success"}'
    assert (await zoho.books.documents.get("1", "2", to=tmp_path / "a")).read_bytes().startswith(b'{"code":0')
    assert await zoho.books.documents.get("1", "2") == b"[1]"


async def test_nothing_is_left_when_a_download_ends_early(server: FaultServer, tmp_path: Path) -> None:
    to = tmp_path / "a"
    async with client(server.url, deadline=0.3) as zoho:
        server.script(Fault("drip", body=CONTENT, headers=(NAMED,)))
        with pytest.raises(DeadlineError):
            await zoho.books.documents.get("1", "2", to=to)
    async with client(server.url) as zoho:
        server.script(Fault("drip", body=CONTENT, headers=(NAMED,)))
        server.arrived.clear()
        call = asyncio.ensure_future(zoho.books.documents.get("1", "2", to=to))
        while not names(tmp_path):  # noqa: ASYNC110 - there is no event for a file that appears
            await asyncio.sleep(0.001)
        assert [name[:2] + name[-5:] for name in names(tmp_path)] == ["a..part"]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert names(tmp_path) == []


async def test_places_that_cannot_be_written_cost_no_call(server: FaultServer, zoho: Zoho, tmp_path: Path) -> None:
    for place, says in ((tmp_path / "none" / "a", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(InvalidError, match=says) as caught:
            await zoho.books.documents.get("1", "2", to=place)
        assert [(fault.path, fault.rule) for fault in caught.value.faults] == [("to", "file")]
    with pytest.raises(TypeError, match="takes no to="):
        await zoho.send(GET_CONTACT, path={"contact_id": "1"}, to=tmp_path / "a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no type="):
        await zoho.send(GET, path={"contact_id": "1", "document_id": "2"}, type=dict)
    assert server.seen == []


@pytest.mark.parametrize("moment", ["write", "fsync"])
async def test_a_disk_error_is_not_a_network_error(
    server: FaultServer, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    server.script(file_answer())
    if moment == "fsync":
        monkeypatch.setattr("os.fsync", fail)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            await zoho.books.documents.get("1", "2", to=tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (len(server.seen), names(tmp_path)) == (1, [])


def fail(descriptor: int) -> None:
    raise OSError(EFBIG, os.strerror(EFBIG))


async def test_a_download_is_its_owners_alone_unless_the_file_was_there(
    server: FaultServer, zoho: Zoho, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.touch()
    there.chmod(0o644)
    server.script(file_answer(), file_answer())
    for to, mode in ((tmp_path / "new", 0o600), (there, 0o644)):
        await zoho.books.documents.get("1", "2", to=to)
        assert stat.S_IMODE(to.stat().st_mode) == mode


async def test_memory_stays_flat_however_long_the_file(tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    block = b"x" * 65536

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(size // len(block)):
            await response.write(block)
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, client(str(server.make_url("")).rstrip("/")) as zoho:
        await zoho.books.documents.get("1", "2", to=tmp_path / "first")
        tracemalloc.start()
        try:
            await zoho.books.documents.get("1", "2", to=tmp_path / "a")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (tmp_path / "a").stat().st_size == size
    assert peak < size / 8


async def test_a_download_is_bounded_in_size(
    server: FaultServer, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LONGEST_DOWNLOAD", 2 * 1024**2)
    packed = Fault("answer", body=gzip.compress(bytes(3 * 1024**2)), headers=(("Content-Encoding", "gzip"), NAMED))
    server.script(*[packed] * 4)
    with pytest.raises(UnavailableError, match="longer than 2 MiB"):
        await zoho.send(GET, path=DOCUMENT, to=tmp_path / "a")
    assert names(tmp_path) == []
    server.script(file_answer(bytes(2 * 1024**2)))
    await zoho.send(GET, path=DOCUMENT, to=tmp_path / "a")
    assert (tmp_path / "a").stat().st_size == 2 * 1024**2
