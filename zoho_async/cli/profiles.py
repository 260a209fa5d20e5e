"""A client from the environment or a profile."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import AuthError, ConfigError, FileLimiters, FileStore, Limits, TokenStore, Zoho
from zoho_async.bulk import InputError
from zoho_async.fleet import Fleet

from .console.exit_codes import SetupError
from .profile_file import DEFAULT, KEYS, has_profile, profile_path, read_profile

ENVIRONMENT = tuple(f"ZOHO_{key.upper()}" for key in KEYS)
"""The variables that a profile stands for."""


class AccountSettings(msgspec.Struct, frozen=True):
    """What a client is made of, and where it comes from. Its repr shows none of it."""

    environ: Mapping[str, str]
    """By the names of the environment."""
    profile: str | None
    """None: the environment."""

    @property
    def where(self) -> str:
        """For messages; empty for the environment."""
        return "" if self.profile is None else f" in profile `{self.profile}` of {profile_path()}"

    @property
    def option(self) -> str:
        """What makes another command use the same credentials, with a blank before; empty by default."""
        return "" if self.profile in (None, DEFAULT) else f" --profile {self.profile}"

    def setting(self, key: str, value: str) -> str:
        """What to type, or to write into the profile, so that a setting has this value."""
        if self.profile is None:
            return f"export ZOHO_{key.upper()}={value}"
        return f'{key} = "{value}" below [{self.profile}] in {profile_path()}'

    def __repr__(self) -> str:
        return f"AccountSettings(***, profile={self.profile!r})"


def limits(per_minute: int | None, concurrency: int | None, reserve: int = 0) -> Limits:
    """Limits from the options; None is the default, and `per_minute` 0 no limit."""
    made = Limits(reserve=reserve) if concurrency is None else Limits(concurrency=concurrency, reserve=reserve)
    return made if per_minute is None else msgspec.structs.replace(made, per_minute=per_minute or None)


class CommandClient(Zoho):
    """The client of a command: its limits and tokens are shared with all commands on this host, or by a fleet."""

    fleet: Fleet | None = None
    """What keeps them with `--redis`; closed with the client."""

    async def close(self) -> None:
        """Close the client, and the fleet after it."""
        await super().close()
        if self.fleet is not None:
            await self.fleet.close()


def credentials(profile: str | None) -> AccountSettings:
    """The credentials of a profile, or of the environment. Raises SetupError when the profile cannot be read.

    A named profile is used alone, without the environment: a token of one account must never be used for an
    organisation of another. Without a name ZOHO_PROFILE names one, and where the environment says nothing at all the
    profile `default` is used.
    """
    name = profile or os.environ.get("ZOHO_PROFILE") or None
    if name is None and not any(os.environ.get(key) for key in ENVIRONMENT) and has_profile(DEFAULT):
        name = DEFAULT
    if name is None:
        return AccountSettings(os.environ, None)
    return AccountSettings({f"ZOHO_{key.upper()}": value for key, value in read_profile(name).items()}, name)


def client(
    found: AccountSettings,
    *,
    allowed: Limits | None = None,
    store: TokenStore | None = None,
    redis: str | None = None,
    **options: Any,
) -> CommandClient:
    """A client with these credentials, perhaps without an organisation.

    Raises SetupError when some are missing, InputError when `redis` is no URL.
    """
    fleet = None if redis is None else open_fleet(redis)
    if store is None:
        store = token_store(found.environ) if fleet is None else fleet.store(_client_digest(found.environ))
    limiters = FileLimiters(state_folder() / "limits") if fleet is None else fleet.limiters
    try:
        zoho = CommandClient.from_env(found.environ, store=store, limits=allowed, limiters=limiters, **options)
    except (AuthError, ConfigError, ValueError) as error:
        # A ValueError names a malformed credential without quoting it.
        raise SetupError(f"{error}{found.where}", f"zoho-async login{found.option}") from None
    zoho.fleet = fleet
    return zoho


def connect(profile: str | None, *, allowed: Limits, redis: str | None = None) -> CommandClient:
    """The client a command works with. SetupError when credentials or organisation are missing."""
    found = credentials(profile)
    # A command can wait, also the half hour of a throttled organisation.
    zoho = client(found, allowed=allowed, redis=redis, max_wait=None)
    if not zoho.organization_id:
        text = f"no organisation: set ZOHO_ORGANIZATION_ID{found.where}"
        raise SetupError(text, f"zoho-async orgs{found.option} lists them")
    return zoho


def open_fleet(redis: str) -> Fleet:
    """What the option `--redis` names. InputError when it is no URL, or redis-py is not installed."""
    try:
        return Fleet(redis)
    except ConfigError as error:
        raise InputError(f"--redis: {error}") from None


def resource_of(zoho: Zoho, name: str) -> Any:
    """The client's resource of that name."""
    product, _, resource = name.partition(".")
    return getattr(getattr(zoho, product), resource)


def state_folder() -> Path:
    """Where commands keep what they share: tokens, and the calls of the last minute."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "zoho-async"


def forget_tokens(found: AccountSettings) -> None:
    """Removes the access token that is kept for these credentials."""
    path = token_store(found.environ).path
    for one in (path, path.with_name(f"{path.name}.lock")):
        one.unlink(missing_ok=True)


def token_store(environ: Mapping[str, str]) -> FileStore:
    """Keeps tokens between commands, for Zoho allows ten token requests in ten minutes."""
    return FileStore(state_folder() / f"token-{_client_digest(environ)}.json")


def _client_digest(environ: Mapping[str, str]) -> str:
    """A name for a client that reveals nothing."""
    client = "\n".join((environ.get("ZOHO_CLIENT_ID", ""), environ.get("ZOHO_REFRESH_TOKEN", "")))
    return hashlib.sha256(client.encode()).hexdigest()[:16]
