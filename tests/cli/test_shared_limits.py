"""Commands share the limits of an organisation: in files beside the tokens, or with `--redis`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from support.process import Cli, until
from support.profiles import sized
from support.redis_server import RedisServer

from zoho_async import Limits
from zoho_async.fake import FakeZoho
from zoho_async.fleet import Fleet
from zoho_async.transport.hooks import Report

LIST = ("call", "books.contacts.list")
ROWS = 400
SERVER_WINDOW, WINDOW = 2.0, 2.01
RATE = 20
KILLS = sized(4, 20)

SHORT_WINDOW = f"""
from functools import partial
from zoho_async import FileLimiters
from zoho_async.cli import main, profiles
profiles.FileLimiters = partial(FileLimiters, _window={WINDOW})
main()
"""


@pytest.fixture
def cli(cli: Cli) -> Cli:
    cli.shares_limits = True
    return cli


async def test_a_push_killed_and_started_again_and_again_never_exceeds_the_pace(fake: FakeZoho, cli: Cli) -> None:
    limits = fake.limits[fake.organization_id]
    limits.window, limits.per_minute = SERVER_WINDOW, None  # it counts and refuses nothing
    rows = "".join(f"N{number},K{number}\n" for number in range(ROWS))
    (cli.folder / "a.csv").write_text(f"contact_name,cf_external_id\n{rows}", encoding="utf-8")
    push = ("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id", "--per-minute", str(RATE))
    for number in range(KILLS):
        before = fake.requests()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SHORT_WINDOW, *push),
            cwd=cli.folder,
            env=cli.environ(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await until(lambda before=before, number=number: fake.requests() >= before + 11 + number % 3)  # type: ignore[misc]
        process.kill()
        assert await process.wait() < 0, "it was not done yet"
    assert fake.requests() > 2 * RATE
    assert limits.most_in_window <= RATE


async def test_calls_in_a_loop_share_one_minute(fake: FakeZoho, cli: Cli) -> None:
    for _ in range(3):
        assert (await cli(*LIST, "--per-minute", "3")).code == 0
    process = await cli.start(*LIST, "--per-minute", "3")
    await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=1.5)
    assert process.returncode is None, "the fourth call waits for the next minute"
    process.kill()
    await process.communicate()
    assert fake.requests() == 3
    (limits,) = (cli.state_home / "zoho-async" / "limits").glob("*.limits")
    assert limits.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments", [(), ("--json",)])
async def test_a_folder_that_cannot_be_used_is_reported_and_calls_go_on(
    fake: FakeZoho, cli: Cli, arguments: tuple[str, ...]
) -> None:
    cli.state_home.mkdir()
    (cli.state_home / "zoho-async").write_text("a file in the folder's place")
    command = ("pull", "books", "contacts", "--to", "a.jsonl") if arguments else LIST
    ended = await cli.process(*command, *arguments)
    assert ended.code == 0
    assert ended.err.count("limits folder") == 1
    assert "the limits are those of this process alone" in ended.err
    assert fake.requests() == 1


async def test_a_damaged_file_is_not_taken_for_an_empty_one(fake: FakeZoho, cli: Cli) -> None:
    assert (await cli(*LIST)).code == 0
    (limits,) = (cli.state_home / "zoho-async" / "limits").glob("*.limits")
    limits.write_bytes(limits.read_bytes()[:-1])
    process = await cli.start(*LIST)
    assert process.stderr is not None
    assert b"is damaged: its organisation is held for 60 s" in await process.stderr.readline()
    await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=0.5)
    assert process.returncode is None
    process.kill()
    await process.communicate()
    assert fake.requests() == 1


# -- with Redis


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as running:
        yield running


async def met(redis: RedisServer, fake: FakeZoho) -> None:
    """Redis has held the organisation for its first window."""
    async with Fleet(redis.url, _window=0.01) as fleet:
        permit = await fleet.limiters.of((fake.url, fake.organization_id), Limits(per_minute=None)).acquire()
        permit.done(Report(sent=True, decision="done"))


async def test_redis_keeps_limits_tokens_and_leases(fake: FakeZoho, cli: Cli, redis: RedisServer) -> None:
    await met(redis, fake)
    del cli.environment["ZOHO_ACCESS_TOKEN"]
    cli.environment |= {
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
    }
    (cli.folder / "a.csv").write_text("contact_name\nA\nB\n")
    push = ("push", "books", "contacts", "--from", "a.csv", "--redis", redis.url)
    for command in (
        (*LIST, "--redis", redis.url),
        (*push, "--dry-run"),
        push,
        ("pull", "books", "contacts", "--to", "a.jsonl", "--redis", redis.url),
        ("changes", "books", "contacts", "--state", "c.json", "--redis", redis.url),
    ):
        ended = await cli(*command)
        assert (ended.code, ended.err if command[0] == "call" else "") == (0, ""), ended
    assert fake.token_requests == 1
    assert not cli.state_home.exists()
    async with Fleet(redis.url) as fleet:
        assert (await fleet.look((fake.url, fake.organization_id))).counted >= 5
        async with fleet.lease("push", fake.url, fake.organization_id, "books.contacts"):
            refused = await cli(*push)
    assert refused.code == 1
    assert "is being worked on by" in refused.err


@pytest.mark.soak  # commands renew their leases every five seconds
async def test_a_push_whose_lease_is_taken_over_ends(fake: FakeZoho, cli: Cli, redis: RedisServer) -> None:
    await met(redis, fake)
    fake.chance("books.contacts.upsert", "latency:0.5", 1.0)
    rows = "".join(f"N{number},{number}\n" for number in range(200))
    (cli.folder / "a.csv").write_text(f"contact_name,cf_external_id\n{rows}")
    push = ("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id", "--per-minute", "0")
    process = await cli.start(*push, "--redis", redis.url, "--concurrency", "1")
    await until(lambda: fake.requests() > 3)
    async with Redis.from_url(redis.url) as client, Fleet(redis.url, lease=60) as heir:
        taken = heir.lease("push", fake.url, fake.organization_id, "books.contacts", wait=60)
        await client.set(taken.keys[1], 2**52)  # the next owner has got it
        await client.set(taken.keys[0], "heir", px=1)
        async with taken:
            out, err = await process.communicate()
    assert process.returncode == 1, out
    assert b"is lost: another process may work on it" in err


async def test_a_look_shows_who_waits_who_holds_and_what_is_left(fake: FakeZoho, cli: Cli, redis: RedisServer) -> None:
    assert (await cli("fleet", "look", "--redis", redis.url)).out == "Redis knows no organisation yet\n"
    headers = {"x-rate-limit-limit": "1234567", "x-rate-limit-remaining": "7", "x-rate-limit-reset": "3600"}
    one = Limits(concurrency=1)
    look = ("fleet", "look", "--redis", redis.url)
    async with Fleet(redis.url, _window=0.01) as first, Fleet(redis.url, _window=0.01) as second:
        (await first.limiters.of(("eu", "20", "books"), one).acquire()).done(Report(sent=True, headers=headers))
        permit = await first.limiters.of(("us", "10"), one).acquire()
        waiting = asyncio.ensure_future(second.limiters.of(("us", "10"), one).acquire())
        async with first.lease("push", "us", "10", "books.contacts"):
            while not (await first.look(("us", "10"))).waiting:  # noqa: ASYNC110 - another fleet asks
                await asyncio.sleep(0.01)
            text = (await cli(*look)).out
            json = (await cli(*look, "--json", "--organization", "10")).json
            metrics = (await cli(*look, "--prometheus")).out
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        permit.done(Report(sent=False))
    assert re.search(r"^eu 20 books +7 of 1,234,567 +\d +0 +0 +-$", text, re.MULTILINE), text
    assert re.search(r"^us 10 +\? +1 +1 +1 +-$", text, re.MULTILINE), text
    assert re.search(r"^us 10 +holds 1 +\S+/\d+/\w+$", text, re.MULTILINE)
    assert re.search(r"^us 10 +waits, 1\. +\S+/\d+/\w+$", text, re.MULTILINE)
    assert re.search(r"^push/us/10/books.contacts +lease +\S+$", text, re.MULTILINE)
    (organization,) = json["organizations"]
    assert (organization["organization_id"], organization["in_flight"].popitem()[1]) == ("10", 1)
    assert len(organization["waiting"]) == 1
    assert [*json["leases"]] == ["push/us/10/books.contacts"]
    assert 'zoho_day_remaining{place="eu",organization="20",product="books"} 7\n' in metrics
    assert 'zoho_day_limit{place="eu",organization="20",product="books"} 1234567\n' in metrics
    assert 'zoho_processes_waiting{place="us",organization="10"} 1\n' in metrics
    for line in metrics.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) zoho_\w+ .+|zoho_\w+\{(\w+=\"[^\"]*\",?)+\} [\d.]+", line), line
    assert (await cli(*look, "--prometheus", "--json")).code == 2
    assert (await cli("fleet", "look")).code == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("redis://:hunter2@127.0.0.1:9/0", 1),
        ("redis://user:hunter2/x@127.0.0.1:9", 2),
        ("http://:hunter2@127.0.0.1", 2),
    ],
    ids=["away", "not encoded", "no Redis"],
)
async def test_no_password_of_redis_is_in_any_output(cli: Cli, url: str, code: int) -> None:
    (cli.folder / "a.csv").write_text("contact_name\nA\n")
    push = ("push", "books", "contacts", "--from", "a.csv")
    for command in [("fleet", "look"), ("fleet", "look", "--json"), *([] if code == 1 else [LIST, (*push, "--json")])]:
        ended = await cli(*command, "--redis", url)
        assert ended.code == code, ended
        assert "hunter2" not in ended.out + ended.err
        assert "Redis" in ended.err
