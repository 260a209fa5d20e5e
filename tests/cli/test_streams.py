"""Streams that do not take every character, that nobody reads, or that are not there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.process import Cli, Ended, ended, until

from zoho_async.fake import FakeZoho

Write = Callable[[str, str], Path]
PUSH = ("push", "books", "contacts", "--per-minute", "0", "--from", "a.csv")
ROWS = "contact_name\n" + "".join(f"日本{number}\n" for number in range(30)) + '""\n' * 30


@pytest.fixture
def unread() -> Iterator[int]:
    """The end to write to of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


async def run(
    cli: Cli,
    *arguments: str,
    out: int = asyncio.subprocess.PIPE,
    err: int = asyncio.subprocess.PIPE,
    shell: str = '"$@"',
) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", f"exec {shell}", "sh", sys.executable, "-m", "zoho_async.cli", *arguments),
        cwd=cli.folder,
        env={**os.environ, "XDG_STATE_HOME": str(cli.folder / "state"), **cli.environment},
        stdout=out,
        stderr=err,
    )
    told = [(text or b"").decode() for text in await process.communicate()]
    return process.returncode, told[0], told[1]


async def test_what_an_encoding_does_not_have_is_escaped(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", ROWS)
    environment = {**cli.environment, "PYTHONIOENCODING": "ascii"}
    plan = await cli(*PUSH, "--dry-run", environment=environment)
    assert plan.code == 3
    assert "create \\u65e5\\u672c0" in plan.out
    push = await cli(*PUSH, environment=environment)
    assert (push.code, len(fake.created())) == (3, 30)
    write("a.csv", "日本\nx\n")
    refused = await cli(*PUSH, environment=environment)
    assert (refused.code, "\\u65e5\\u672c" in refused.err) == (2, True)


@pytest.mark.parametrize("shell", ['"$@"', '"$@" 2>&-'])
async def test_a_push_goes_on_when_nobody_reads_what_it_tells(
    fake: FakeZoho, cli: Cli, write: Write, unread: int, shell: str
) -> None:
    write("a.csv", ROWS)
    for options in ((), ("--json",)):
        code, out, _ = await run(cli, *PUSH, *options, err=unread, shell=shell)
        assert (code, len(fake.created())) == (3, 30)
        assert (cli.folder / "a.failed.csv").read_text().count("\n") == 31
        assert "30" in out


@pytest.mark.parametrize("shell", ['"$@"', '"$@" >&-'])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (PUSH, 3),
        ((*PUSH, "--json"), 3),
        ((*PUSH, "--dry-run"), 3),
        (("operations",), 0),
        (("call", "books.contacts.list"), 0),
    ],
)
async def test_a_closed_stdout_loses_no_exit_code(
    fake: FakeZoho, cli: Cli, write: Write, unread: int, shell: str, arguments: tuple[str, ...], expected: int
) -> None:
    write("a.csv", ROWS)
    code, _, err = await run(cli, *arguments, out=unread, shell=shell)
    assert code == expected
    assert "Traceback" not in err
    assert "Broken pipe" not in err
    if "--dry-run" not in arguments and arguments[0] == "push":
        assert len(fake.created()) == 30


async def test_for_machines_every_line_is_json(fake: FakeZoho, cli: Cli, write: Write) -> None:
    def events(result: Ended) -> list[str]:
        return [json.loads(line)["event"] for line in result.err.splitlines()]

    write("a.csv", "contact_name\n" + '""\n' * 30 + "A\n")
    fake.script("books.contacts.create", ["stall"])
    process = await cli.start(*PUSH, "--json")
    await until(lambda: "books.contacts.create" in fake.counts)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    told = [json.loads(await process.stderr.readline()) for _ in range(22)]
    assert [one["event"] for one in told] == ["row"] * 20 + ["more", "interrupted"]
    assert told[-1]["message"].startswith("interrupted: finishing the calls in flight")
    process.send_signal(signal.SIGINT)
    result = await ended(process)
    assert result.code == 130
    # The library's own warning of the call that was broken off.
    assert set(events(result)) == {"log"}
    assert "nobody can say whether it took effect" in json.loads(result.err)["message"]
    for wrong in (("--concurrency", "0"), ("--nonsense",), ("--upsert-by", "email")):
        result = await cli(*PUSH, "--json", *wrong)
        assert (result.code, events(result)) == (2, ["error"])
    result = await cli("push", "--json")
    assert (result.code, events(result), result.out) == (2, ["error"], "")
    assert (await cli("push", "--json", "--help")).code == 0
