"""A client from the environment or a profile."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import AuthError, ConfigError, FileLimiters, FileStore, Limits, TokenStore, Zoho, operations
from zoho_async.bulk import InputError
from zoho_async.cli.console.exit_codes import SetupError
from zoho_async.fleet import Fleet

KEYS = (
    "client_id",
    "client_secret",
    "refresh_token",
    "access_token",
    "organization_id",
    "data_center",
    "api_url",
    "accounts_url",
)
"""What a profile may hold: the environment's names in lower case, without ZOHO_."""


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


def connect(profile: str | None, *, allowed: Limits, redis: str | None = None) -> CommandClient:
    """The client a command works with. SetupError when credentials or organisation are missing, InputError when
    `redis` is no URL.

    A named profile is used alone, without the environment: a token of one account must never be used for an
    organisation of another.
    """
    fleet = None if redis is None else open_fleet(redis)
    environ: Mapping[str, str] = os.environ if profile is None else read_profile(profile)
    where = "" if profile is None else f" in profile `{profile}` of {profile_path()}"
    try:
        # A command can wait, also the half hour of a throttled organisation.
        zoho = CommandClient.from_env(
            environ,
            store=token_store(environ) if fleet is None else fleet.store(_client_digest(environ)),
            limits=allowed,
            limiters=FileLimiters(state_folder() / "limits") if fleet is None else fleet.limiters,
            max_wait=None,
        )
    except (AuthError, ConfigError, ValueError) as error:
        # A ValueError names a malformed credential without quoting it.
        raise SetupError(f"{error}{where}") from None
    if not zoho.organization_id:
        raise SetupError(f"no organisation: set ZOHO_ORGANIZATION_ID{where}")
    zoho.fleet = fleet
    return zoho


def open_fleet(redis: str) -> Fleet:
    """What the option `--redis` names. InputError when it is no URL, or redis-py is not installed."""
    try:
        return Fleet(redis)
    except ConfigError as error:
        raise InputError(f"--redis: {error}") from None


def resource_names() -> tuple[str, ...]:
    """Every resource by product and name, such as `books.contacts`."""
    return tuple(dict.fromkeys(operation.id.rpartition(".")[0] for operation in operations()))


def check_resource(name: str) -> None:
    """Raises InputError, which lists the resources, when there is none of that name."""
    if name not in resource_names():
        known = ", ".join(one.replace(".", " ") for one in resource_names())
        raise InputError(f"there is no `{name.replace('.', ' ')}`; there is: {known}")


def resource_of(zoho: Zoho, name: str) -> Any:
    """The client's resource of that name."""
    product, _, resource = name.partition(".")
    return getattr(getattr(zoho, product), resource)


def state_folder() -> Path:
    """Where commands keep what they share: tokens, and the calls of the last minute."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "zoho-async"


def token_store(environ: Mapping[str, str]) -> TokenStore:
    """Keeps tokens between commands, for Zoho allows ten token requests in ten minutes."""
    return FileStore(state_folder() / f"token-{_client_digest(environ)}.json")


def _client_digest(environ: Mapping[str, str]) -> str:
    """A name for a client that reveals nothing."""
    client = "\n".join((environ.get("ZOHO_CLIENT_ID", ""), environ.get("ZOHO_REFRESH_TOKEN", "")))
    return hashlib.sha256(client.encode()).hexdigest()[:16]


def profile_path() -> Path:
    """Where profiles are kept."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "zoho-async" / "config.toml"


def read_profile(name: str) -> dict[str, str]:
    """A section of the profile file, as the environment would have it. SetupError when there is none."""
    path = profile_path()
    try:
        sections: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SetupError(f"there is no profile `{name}`: {path} does not exist") from None
    except (OSError, ValueError) as error:
        # The parser's message may quote a line that holds a secret.
        raise SetupError(f"{path} cannot be read: {type(error).__name__}") from None
    section: Any = sections.get(name)
    if not isinstance(section, dict):
        raise SetupError(f"there is no profile `{name}` in {path}")
    values: dict[str, Any] = {**section}
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise SetupError(f"profile `{name}` in {path} has unknown keys: {', '.join(unknown)}")
    return {f"ZOHO_{key.upper()}": str(value) for key, value in values.items()}
