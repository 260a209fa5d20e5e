"""Streams that do not take every character, that nobody reads, or that are not there."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.process import Cli, Ended, ended, until

from zoho_async.fake import FakeZoho

Write = Callable[[str, str], Path]
PUSH = ("push", "books", "contacts", "--per-minute", "0", "--from", "a.csv")
ROWS = "contact_name,notes\n" + "".join(f"日本{number},\n" for number in range(30)) + ",x\n" * 30


@pytest.fixture
def unread() -> Iterator[int]:
    """The end to write to of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def full() -> Iterator[int]:
    """A file on a disk that is full."""
    writing = os.open("/dev/full", os.O_WRONLY)
    yield writing
    os.close(writing)


@pytest.fixture
def hung_up() -> Iterator[int]:
    """A terminal whose window was closed."""
    ours, theirs = os.openpty()
    os.close(ours)
    yield theirs
    os.close(theirs)


@pytest.fixture
def choked() -> Iterator[int]:
    """The end to write to of a pipe that does not block, is full and is not read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    yield writing
    os.close(writing)
    os.close(reading)


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
        env={**os.environ, "XDG_STATE_HOME": str(cli.state_home), **cli.environment},
        stdout=out,
        stderr=err,
    )
    told = [(text or b"").decode() for text in await process.communicate()]
    return process.returncode, told[0], told[1]


async def test_what_an_encoding_does_not_have_is_escaped(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", ROWS)
    environment = {**cli.environment, "PYTHONIOENCODING": "ascii"}
    plan = await cli.process(*PUSH, "--dry-run", environment=environment)
    assert plan.code == 3
    assert "create \\u65e5\\u672c0" in plan.out
    push = await cli.process(*PUSH, environment=environment)
    assert (push.code, len(fake.created())) == (3, 30)
    write("a.csv", "日本\nx\n")
    refused = await cli.process(*PUSH, environment=environment)
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


@pytest.mark.parametrize("out", ["unread", "full", "hung_up", "choked"])
@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_a_push_goes_on_when_nothing_can_be_written(
    fake: FakeZoho, cli: Cli, write: Write, request: pytest.FixtureRequest, out: str, options: tuple[str, ...]
) -> None:
    write("a.csv", ROWS)
    stream: int = request.getfixturevalue(out)
    code, _, _ = await run(cli, *PUSH, *options, out=stream, err=stream)
    assert (code, len(fake.created())) == (3, 30)
    assert (cli.folder / "a.failed.csv").read_text().count("\n") == 31
    assert (await cli("runs", "--json")).json["state"] == "complete"


@pytest.mark.parametrize(
    "arguments",
    [
        ("operations",),
        ("runs", "--json"),
        ("call", "books.contacts.list"),
        ("call", "books.contacts.list", "--all"),
        ("pull", "books", "contacts", "--to", "b.csv"),
        (*PUSH, "--dry-run"),
        ("--help",),
    ],
)
async def test_data_that_does_not_get_through_is_no_success(
    fake: FakeZoho, cli: Cli, write: Write, full: int, arguments: tuple[str, ...]
) -> None:
    write("a.csv", "contact_name\nA\n")
    assert (await cli(*PUSH)).code == 0
    code, _, err = await run(cli, *arguments, out=full)
    message = f"error: {json.loads(err)['message']}" if "--json" in arguments else err.splitlines()[-1]
    assert (code, message) == (1, "error: stdout cannot be written: No space left on device")
    assert "Traceback" not in err
    assert "Exception ignored" not in err


async def test_data_waits_for_who_reads_slowly(cli: Cli) -> None:
    whole = (await cli("operations", "--json")).out
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    room = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    assert room < len(whole)
    running = asyncio.create_task(run(cli, "operations", "--json", out=writing))
    told = await asyncio.to_thread(os.read, reading, 1)
    os.close(writing)
    while more := await asyncio.to_thread(os.read, reading, 4096):
        told += more
    os.close(reading)
    assert (await running)[0] == 0
    assert told.decode() == whole


async def test_a_log_record_that_cannot_be_formatted_harms_nothing(cli: Cli) -> None:
    program = (
        "import logging; from zoho_async.cli.console.streams import log_as_json, resilient_streams; "
        "resilient_streams(); log_as_json(); "
        "logging.getLogger('x').warning('%d', 'no number'); logging.getLogger('x').warning('%d', 1)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, err = await process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["message"] for line in err.splitlines()] == ["(cannot be formatted)", "1"]


async def test_for_machines_every_line_is_json(fake: FakeZoho, cli: Cli, write: Write) -> None:
    def events(result: Ended) -> list[str]:
        return [json.loads(line)["event"] for line in result.err.splitlines()]

    write("a.csv", "contact_name,notes\n" + ",x\n" * 30 + "A,\n")
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
    assert events(result) == ["log", "interrupted"]
    logged, interrupted = map(json.loads, result.err.splitlines())
    assert "its outcome is unknown" in logged["message"]
    assert interrupted["message"].startswith("interrupted: what is done is kept")
    for wrong in (("--concurrency", "0"), ("--nonsense",), ("--upsert-by", "email")):
        result = await cli(*PUSH, "--json", *wrong)
        assert (result.code, events(result)) == (2, ["error"])
    result = await cli("push", "--json")
    assert (result.code, events(result), result.out) == (2, ["error"], "")
    assert (await cli("push", "--json", "--help")).code == 0
