"""`zoho-async call` with files, out and in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.fault_server import Fault, FaultServer, json_fault
from support.process import Cli

ATTACH = ("call", "books.contacts.add_attachment", "-p", "contact_id=1")
EMAIL = ("call", "books.contacts.email", "-p", "contact_id=1")
GET = ("call", "books.documents.get", "-p", "contact_id=1", "-p", "document_id=2")
CONTENT = bytes(range(256))


@pytest.fixture
async def server(cli: Cli) -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        cli.environment = {
            "ZOHO_ACCESS_TOKEN": "t",
            "ZOHO_ORGANIZATION_ID": "7",
            "ZOHO_API_URL": running.url,
            "ZOHO_ACCOUNTS_URL": running.url,
        }
        yield running


async def test_files_are_sent_with_or_without_the_name_of_their_part(server: FaultServer, cli: Cli) -> None:
    for name in ("a.bin", "b=c.bin"):
        (cli.folder / name).write_bytes(CONTENT)
    results = [
        await cli(*ATTACH, "--file", "a.bin"),
        await cli(*ATTACH, "--file", "b=c.bin"),
        await cli(*ATTACH, "--file", "attachment=a.bin"),
        await cli(*EMAIL, "--file", "attachments=a.bin", "--body", '{"to_mail_ids": [], "subject": "s", "body": "b"}'),
    ]
    assert [result.code for result in results] == [0] * 4, results
    assert [result.json["code"] for result in results] == [0] * 4
    names = ["a.bin", "b=c.bin", "a.bin", "a.bin"]
    for seen, name in zip(server.seen, names, strict=True):
        assert f'filename="{name}"'.encode() in seen.body
        assert CONTENT in seen.body
    assert b'{"to_mail_ids":[],"subject":"s","body":"b"}' in server.seen[-1].body


async def test_what_cannot_be_sent_is_a_mistake_of_usage(server: FaultServer, cli: Cli) -> None:
    (cli.folder / "a.bin").write_bytes(CONTENT)
    for arguments, says in (
        ((*ATTACH, "--file", "none.bin"), "none.bin: there is no such file"),
        ((*ATTACH, "--file", "a.bin", "--file", "attachment=a.bin"), "there is one file attachment in a call"),
        ((*GET, "--file", "a.bin"), "books.documents.get takes no file"),
        (ATTACH, "needs a file (attachment) or a mapping"),
        (EMAIL, "needs a body: ContactEmail or a mapping"),
        ((*GET, "--output", "no/where"), "there is no folder no"),
    ):
        result = await cli(*arguments)
        assert (result.code, says in result.err) == (2, True), result
    assert server.seen == []


async def test_a_download_goes_to_its_place_or_to_stdout(server: FaultServer, cli: Cli) -> None:
    answer = Fault("answer", body=b"plain text\n", headers=(("Content-Disposition", "attachment"),))
    server.script(answer, answer, json_fault(404, 1002))
    saved = await cli(*GET, "--output", "a.txt")
    assert (saved.code, saved.out, (cli.folder / "a.txt").read_bytes()) == (0, "", b"plain text\n")
    shown = await cli(*GET)
    assert (shown.code, shown.out) == (0, "plain text\n")
    refused = await cli(*GET, "--output", "b.txt")
    assert (refused.code, "1002" in refused.err) == (1, True)
    assert [path.name for path in cli.folder.iterdir()] == ["a.txt"]
