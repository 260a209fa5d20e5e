"""Which token requests are sent: the budget under odd clocks, cool-downs, short lifetimes, stores that fail."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.accounts_server import AccountsServer

from zoho_async import AuthError, ConfigError, FileStore, OAuth, UnavailableError
from zoho_async.auth.token_budget import TOKEN_REQUEST_BUDGET, TokenRequests
from zoho_async.auth.token_stores import MemoryStore, Stored, Token, TokenStore

HOUR = 3600.0


class WallClock:
    """The time of day, which a test sets; it stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        monkeypatch.setattr("time.time", lambda: self.now)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


class FailingStore(MemoryStore):
    """A store in memory whose disk is full."""

    def __init__(self, error: Exception | None, *, lock_error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.lock_error = lock_error
        self.kept = Stored()

    async def load(self) -> Stored:
        return replace(self.kept)

    async def save(self, stored: Stored) -> None:
        if self.error is not None:
            raise self.error
        self.kept = replace(stored)

    def lock(self) -> AbstractAsyncContextManager[object]:
        if self.lock_error is not None:
            raise self.lock_error
        return super().lock()


def oauth(store: TokenStore | None = None) -> OAuth:
    return OAuth("id", "client-secret", "refresh-secret", store=store)


async def refused_tokens(auth: OAuth, accounts: AccountsServer, turns: int) -> None:
    """The API refuses one token after another; that no more may be requested is no failure here."""
    token = Token(value="t0")
    for _ in range(turns):
        try:
            token = await auth.refresh(token, accounts)
        except AuthError:
            continue


# -- clocks


async def test_a_clock_set_back_allows_no_more_token_requests(wall: WallClock) -> None:
    accounts, auth = AccountsServer(), oauth()
    for _ in range(4):
        await refused_tokens(auth, accounts, 12)
        wall.now -= HOUR
    await refused_tokens(auth, accounts, 2)
    assert accounts.asked == TOKEN_REQUEST_BUDGET
    wall.now += 601
    await refused_tokens(auth, accounts, 2)
    assert accounts.asked == TOKEN_REQUEST_BUDGET + 1, "the hours that the clock was ahead are not waited for"


async def test_a_clock_set_back_between_two_processes_blocks_for_ten_minutes_at_most(
    wall: WallClock, tmp_path: Path
) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    await refused_tokens(oauth(FileStore(path)), accounts, 12)
    wall.now -= 24 * HOUR
    for _ in range(3):
        await refused_tokens(oauth(FileStore(path)), accounts, 2)
        wall.now += 150
    assert accounts.asked == TOKEN_REQUEST_BUDGET
    wall.now += 151
    await refused_tokens(oauth(FileStore(path)), accounts, 2)
    assert accounts.asked == TOKEN_REQUEST_BUDGET + 1


async def test_after_eight_hours_of_suspend_a_token_is_requested_and_used(wall: WallClock) -> None:
    accounts, auth = AccountsServer(), oauth()
    await refused_tokens(auth, accounts, 11)
    wall.now += 8 * HOUR
    assert (await auth.token(accounts)).value == "t11"
    assert (await auth.token(accounts)).value == "t11"
    assert accounts.asked == TOKEN_REQUEST_BUDGET + 1


# Eighths of a second: their sums are exact.
MOMENTS = st.integers(-800_000, 800_000).map(lambda eighths: eighths / 8)


@given(st.lists(MOMENTS, max_size=30), MOMENTS)
def test_a_wait_for_a_token_request_is_never_longer_than_the_window(moments: list[float], now: float) -> None:
    requests = TokenRequests(tuple(moments)).at(now)
    assert 0 <= requests.wait(now) <= 600
    assert (requests.wait(now) > 0) == (sum(moment > now - 600 for moment in moments) >= TOKEN_REQUEST_BUDGET)
    assert requests.merged(requests) == requests


# -- refusals and lifetimes


@pytest.mark.parametrize(
    "refusal", [(400, b'{"error":"Access Denied"}'), (200, b'{"error":"access_denied"}'), (429, b"<html>")]
)
async def test_after_access_denied_no_token_is_requested_for_ten_minutes(
    wall: WallClock, tmp_path: Path, refusal: tuple[int, bytes]
) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    accounts.refusal = refusal
    auth = oauth(FileStore(path))
    with pytest.raises(AuthError):
        await auth.token(accounts)
    accounts.refusal = None
    for other in (auth, oauth(FileStore(path))):
        wall.now += 299
        with pytest.raises(AuthError, match=r"Access Denied.*in \d+ s"):
            await other.token(accounts)
    assert accounts.asked == 1
    wall.now += 3
    assert (await auth.token(accounts)).value == "t2"


async def test_a_token_of_half_a_minute_is_used_for_its_life(wall: WallClock) -> None:
    accounts, auth = AccountsServer(lifetime=30), oauth()
    for _ in range(26):
        await auth.token(accounts)
        wall.now += 1
    assert accounts.asked <= 2
    wall.now += 30
    assert (await auth.token(accounts)).value == f"t{accounts.asked}"


async def test_a_failed_early_refresh_is_tried_once_in_each_window(wall: WallClock) -> None:
    accounts, auth = AccountsServer(), oauth()
    await auth.token(accounts)
    accounts.trouble = UnavailableError("down")
    for left, asked in ((299, 3), (200, 3), (59, 5), (1, 5)):
        wall.now = 1_800_000_000.0 + HOUR - left
        for _ in range(20):
            assert (await auth.token(accounts)).value == "t1"
        assert accounts.asked == asked
    wall.now += 2
    with pytest.raises(UnavailableError):
        await auth.token(accounts)


# -- stores that fail


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, ConfigError("token file: cannot be written"), RuntimeError("secret-content")])
async def test_a_token_that_cannot_be_kept_is_used_and_the_budget_holds(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    accounts, auth = AccountsServer(), oauth(FailingStore(error))
    with caplog.at_level(logging.WARNING, "zoho_async"):
        assert [(await auth.token(accounts)).value for _ in range(3)] == ["t1"] * 3
        await refused_tokens(auth, accounts, 20)
    assert accounts.asked == TOKEN_REQUEST_BUDGET
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


async def test_a_token_that_the_store_could_not_replace_is_not_used_again() -> None:
    accounts, store = AccountsServer(), FailingStore(FULL)
    store.kept = Stored(token=Token(value="old", expires_at=time.time() + HOUR))
    auth = oauth(store)
    old = await auth.token(accounts)
    assert old.value == "old"
    first = await auth.refresh(old, accounts)
    assert (await auth.refresh(old, accounts)).value == first.value == "t1", "several calls had the old one"
    assert (await auth.refresh(first, accounts)).value == "t2"


async def test_a_good_token_in_a_read_only_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    await oauth(FileStore(path)).token(accounts)
    really = os.open

    def read_only(name: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return really(name, flags, mode)

    # Not chmod: the tests may run as root.
    monkeypatch.setattr(os, "open", read_only)
    assert (await oauth(FileStore(path)).token(accounts)).value == "t1"
    assert accounts.asked == 1


@pytest.mark.parametrize("left", [299.0, 59.0])
async def test_a_valid_token_is_used_whatever_prevents_its_refresh(left: float) -> None:
    accounts, store = AccountsServer(), FailingStore(FULL, lock_error=FULL)
    store.kept = Stored(token=Token(value="old", expires_at=time.time() + left, lifetime=HOUR))
    accounts.refusal = (200, b'{"error":"invalid_code"}')
    auth = oauth(store)
    assert [(await auth.token(accounts)).value for _ in range(3)] == ["old"] * 3


@pytest.mark.parametrize(("error", "lock_error"), [(FULL, None), (None, FULL)])
async def test_a_grant_code_is_not_spent_when_its_refresh_token_cannot_be_kept(
    error: OSError | None, lock_error: OSError | None
) -> None:
    accounts, store = AccountsServer(), FailingStore(error, lock_error=lock_error)
    auth = OAuth.from_code("id", "secret", "code", store=store)
    with pytest.raises(ConfigError, match="grant code was not used"):
        await auth.token(accounts)
    assert accounts.asked == 0
    store.error = store.lock_error = None
    assert (await auth.token(accounts)).value == "t1"
    assert store.kept.refresh_token == "obtained"


async def test_a_refresh_token_that_could_not_be_kept_is_kept_by_the_next_refresh() -> None:
    store = FailingStore(FULL)
    store.error = None

    class Filling(AccountsServer):
        async def __call__(
            self, path: str, form: Mapping[str, str], data_center: str | None = None
        ) -> tuple[int, bytes]:
            store.error = FULL if self.asked == 0 else None
            return await super().__call__(path, form, data_center)

    accounts, auth = Filling(), OAuth.from_code("id", "secret", "code", store=store)
    first = await auth.token(accounts)
    assert store.kept.refresh_token == ""
    assert (await auth.refresh(first, accounts)).value == "t2"
    assert store.kept.refresh_token == "obtained"


# -- what stands in the store, and when


async def test_a_token_request_is_on_record_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "zoho.json"
    on_record: list[int] = []

    class Looking(AccountsServer):
        async def __call__(
            self, path: str, form: Mapping[str, str], data_center: str | None = None
        ) -> tuple[int, bytes]:
            on_record.append(len((await FileStore(file).load()).requests))
            if len(on_record) == 1:
                raise UnavailableError("lost")
            return await super().__call__(path, form, data_center)

    accounts, auth = Looking(), oauth(FileStore(file))
    token = await auth.token(accounts)
    await auth.refresh(token, accounts)
    assert on_record == [1, 2, 3]


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601])
async def test_a_token_file_that_a_group_or_others_can_access_is_refused(tmp_path: Path, mode: int) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    await oauth(FileStore(path)).token(accounts)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        await oauth(FileStore(path)).token(accounts)
    assert accounts.asked == 1


async def test_a_token_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, replaced = tmp_path / "zoho.json", list[tuple[int, int]](), list[bool]()
    fsync, rename = os.fsync, Path.replace

    def recorded_fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_ino, found.st_size))
        fsync(descriptor)

    def recorded_replace(self: Path, target: Path) -> Path:
        found = self.stat()
        replaced.append((found.st_ino, found.st_size) in synced and found.st_size > 0)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    await oauth(FileStore(path)).token(AccountsServer())
    assert replaced == [True, True], "the request, then the token"
