"""A client from the environment or a profile."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoho_async.auth.token_stores import FileStore, client_digest
from zoho_async.cli.console.exit_codes import SetupError
from zoho_async.client import Zoho
from zoho_async.errors import AuthError, ConfigError
from zoho_async.transport.rate_limiter import Limits

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


def limits(per_minute: int | None, concurrency: int, reserve: int = 0) -> Limits:
    """Limits from the options; `per_minute` 0 is no limit, None the usual one."""
    if per_minute is None:
        return Limits(concurrency=concurrency, reserve=reserve)
    return Limits(per_minute=per_minute or None, concurrency=concurrency, reserve=reserve)


def connect(profile: str | None, *, allowed: Limits) -> Zoho:
    """The client a command works with. SetupError, in one sentence, when credentials or organisation are missing.

    A named profile is used alone, without the environment: a token of one account must never meet the organisation
    of another.
    """
    environ: Mapping[str, str] = os.environ if profile is None else read_profile(profile)
    where = "" if profile is None else f" in profile `{profile}` of {profile_path()}"
    try:
        # A command line can wait: for the next minute, and for the half hour Zoho may hold an organisation back.
        zoho = Zoho.from_env(environ, store=token_store(environ), limits=allowed, max_wait=None)
    except (AuthError, ConfigError, ValueError) as error:
        # A ValueError says of a credential that it cannot be one, without quoting it.
        raise SetupError(f"{error}{where}") from None
    if not zoho.organization_id:
        raise SetupError(f"no organisation: set ZOHO_ORGANIZATION_ID{where}")
    return zoho


def token_store(environ: Mapping[str, str]) -> FileStore:
    """Where tokens are kept between commands: each would otherwise ask for one, and Zoho allows ten in ten minutes."""
    home = os.environ.get("XDG_STATE_HOME")
    folder = (Path(home) if home else Path.home() / ".local" / "state") / "zoho-async"
    client = client_digest(environ.get("ZOHO_CLIENT_ID", ""), environ.get("ZOHO_REFRESH_TOKEN", ""))
    return FileStore(folder / f"token-{client}.json")


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
        # The parser's own words may quote a line that holds a secret.
        raise SetupError(f"{path} cannot be read: {type(error).__name__}") from None
    section: Any = sections.get(name)
    if not isinstance(section, dict):
        raise SetupError(f"there is no profile `{name}` in {path}")
    values: dict[str, Any] = {**section}
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise SetupError(f"profile `{name}` in {path} has unknown keys: {', '.join(unknown)}")
    return {f"ZOHO_{key.upper()}": str(value) for key, value in values.items()}
