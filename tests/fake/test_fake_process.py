"""FakeZoho as a process: flags, the announced line, signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from typing import Any

import aiohttp
import pytest

from zoho_async.fake import FakeZoho
from zoho_async.fake import serve as run
from zoho_async.fake.http import serve
from zoho_async.fake.http.serve import main, parse


class ServedError(Exception):
    """In place of serving."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `serve` makes its FakeZoho with; it then raises `ServedError`."""
    settings: dict[str, Any] = {}

    def fake(**given: Any) -> None:
        settings.update(given)
        raise ServedError

    monkeypatch.setattr(serve, "FakeZoho", fake)
    return settings


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"per_minute": 100, "per_day": None, "concurrency": None, "host": "127.0.0.1", "port": 0, "seed": 0}),
        ([], {"organizations": ("10234695",), "unique": ("cf_external_id",), "shape": "live", "data_center": "us"}),
        (["--per-minute", "0", "--per-day", "0", "--concurrency", "0"], {"per_minute": None, "per_day": None}),
        (["--per-minute", "7", "--per-day", "8", "--concurrency", "9"], {"per_minute": 7, "per_day": 8}),
        (["--concurrency", "9", "--seed", "3", "--port", "81"], {"concurrency": 9, "seed": 3, "port": 81}),
        (["--organization", "1", "--organization", "2"], {"organizations": ["1", "2"]}),
        (["--unique", "cf_a", "--unique", "cf_b"], {"unique": ["cf_a", "cf_b"]}),
        (["--custom-field", "cf_a", "--custom-field", "cf_b"], {"custom_fields": ["cf_a", "cf_b"]}),
        (["--shape", "clean", "--data-center", "eu", "--host", "::1"], {"shape": "clean", "data_center": "eu"}),
    ],
)
def test_flags(made: dict[str, Any], arguments: list[str], expected: dict[str, Any]) -> None:
    with pytest.raises(ServedError):
        main(arguments)
    assert {name: made[name] for name in expected} == expected
    from_flags = dict(made)
    with pytest.raises(ServedError):
        run(**parse(arguments))
    assert made == from_flags


def test_the_defaults_of_the_function_are_those_of_the_flags(made: dict[str, Any]) -> None:
    with pytest.raises(ServedError):
        main([])
    from_flags = dict(made)
    with pytest.raises(ServedError):
        run()
    assert made == from_flags


def test_a_process_says_when_it_cannot_listen(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("cannot listen: ")


def test_organisations_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--organization", "1", "--organization", "1"]) == 2
    assert capsys.readouterr().err == "not a new organization id: '1'\n"


@pytest.mark.parametrize("command", [["zoho_async.fake"], ["zoho_async.cli", "fake"]], ids=" ".join)
async def test_both_commands_take_every_setting(session: aiohttp.ClientSession, command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, "--shape", "documented", "--organization", "7",
        "--organization", "8", "--per-day", "5", "--concurrency", "3", "--unique", "cf_key", "--data-center", "eu",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        assert ready["organization_id"] == "7"
        async with session.get(f"{ready['url']}/_fake/limits", params={"organization_id": "8"}) as response:
            assert await response.json() == {"per_minute": 100, "per_day": 5, "concurrency": 3, "block_seconds": None}
        async with session.post(f"{ready['url']}/_fake/seed", json=[{"contact_name": "A"}]):
            pass
        headers = {"Authorization": f"Zoho-oauthtoken {ready['access_token']}"}
        async with session.get(f"{ready['url']}/books/v3/contacts", headers=headers) as response:
            assert isinstance((await response.json())["contacts"][0]["contact_id"], int)
        process.terminate()
        out, errors = await process.communicate()
        assert (process.returncode, out, errors) == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_runs_as_a_process(session: aiohttp.ClientSession) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zoho_async.fake", "--per-minute", "0", "--unique", "cf_key",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        url, control = ready["url"], f"{ready['url']}/_fake"
        assert ready.keys() == {
            "url", "organization_id", "client_id", "client_secret", "refresh_token", "access_token", "grant_code",
        }  # fmt: skip

        lines = b'{"contact_name": "A", "cf_key": "1"}\n{"contact_name": "B", "credit_limit": 1.50}\n'
        async with session.post(f"{control}/seed", data=lines) as response:
            assert await response.json() == {"seeded": 2}
        async with session.post(f"{control}/seed", json=[{"contact_name": "A"}]) as response:
            assert response.status == 400
        script = {"operation": "books.contacts.list", "faults": ["status:503"]}
        async with session.post(f"{control}/script", json=script) as response:
            assert await response.json() == {"scripted": 1}
        async with session.post(f"{control}/script", json={"operation": "x", "faults": ["boom"]}) as response:
            assert response.status == 400

        headers = {"Authorization": f"Zoho-oauthtoken {ready['access_token']}"}
        for status in (503, 200):
            async with session.get(f"{url}/books/v3/contacts", headers=headers) as response:
                assert response.status == status
        async with session.get(f"{control}/stats") as response:
            stats = await response.json()
        assert stats["operations"] == {"books.contacts.list": {"requests": 2, "acted": 1}}
        assert (stats["crashes"], stats["organizations"][ready["organization_id"]]["contacts"]) == (0, 2)
        async with session.get(f"{control}/contacts") as response:
            records = [json.loads(line) for line in (await response.text()).splitlines()]
        assert [record["contact_name"] for record in records] == ["A", "B"]
        assert records[0]["custom_fields"] == {"cf_key": "1"}

        process.send_signal(signal.SIGTERM)
        out, errors = await process.communicate()
        assert (process.returncode, out, errors) == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("session", "group", "leader"),
    [(50, 50, 50), (50, 60, None), (0, 0, None), ("own", "own", None)],
)
def test_a_fake_in_the_background_leaves_the_group_of_its_shell(
    monkeypatch: pytest.MonkeyPatch, session: int | str, group: int | str, leader: int | None
) -> None:
    """Ctrl-C at the shell's prompt goes to the shell's own group, and is meant for other programs."""
    moved: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid() if session == "own" else session)
    monkeypatch.setattr(os, "getpgrp", lambda: os.getpid() if group == "own" else group)
    monkeypatch.setattr(os, "setpgid", lambda *numbers: moved.append(numbers))
    assert serve._leave_the_shells_group() == leader
    assert moved == [(0, 0)] * (leader is not None)


async def test_a_fake_ends_with_the_shell_it_belongs_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_LEADER_POLL_S", 0.01)
    shell = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await shell.wait()
    announced: list[int] = []
    await serve._run(FakeZoho(), lambda: announced.append(1), leader=shell.pid)
    assert announced == [1]
