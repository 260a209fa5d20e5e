"""The file of profiles: TOML, one table a profile, mode 600. With the extra `[keyring]` secrets lie in the keyring."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoho_async.bulk import atomic_write

from . import keyring_secrets
from .console.exit_codes import ArgumentError, SetupError
from .suggestions import did_you_mean

SECRETS = ("client_secret", "refresh_token", "access_token")
KEYS = ("client_id", *SECRETS, "organization_id", "data_center", "api_url", "accounts_url")
"""What a profile may hold: the environment's names in lower case, without ZOHO_."""
DEFAULT = "default"
"""The profile that `login` writes unless it is given another name."""
OWNER_ONLY = 0o600

_ALIASES: dict[str, str] = {
    **dict.fromkeys(("org", "org_id", "organisation", "organization", "orgid", "company_id"), "organization_id"),
    **dict.fromkeys(("dc", "region", "datacenter", "data_centre", "domain", "location"), "data_center"),
    **dict.fromkeys(("token", "accesstoken"), "access_token"),
    **dict.fromkeys(("secret", "password"), "client_secret"),
    **dict.fromkeys(("id", "client"), "client_id"),
    **dict.fromkeys(("refresh",), "refresh_token"),
    **dict.fromkeys(("url", "base_url", "api", "host", "api_domain"), "api_url"),
    **dict.fromkeys(("accounts", "accounts_server", "auth_url"), "accounts_url"),
}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER = re.compile(r"""\s*\[\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\]\s*(#.*)?""")


def profile_path() -> Path:
    """Where profiles are kept."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "zoho-async" / "config.toml"


def read_profiles() -> dict[str, dict[str, str]]:
    """Every profile as the file has it. Raises SetupError for a file that cannot be read or has unknown keys."""
    return {name: _checked(name, section) for name, section in _read().items()}


def has_profile(name: str) -> bool:
    """Whether there is a profile of that name. Raises SetupError when the file cannot be read."""
    return name in _read()


def profile_names() -> list[str]:
    """The names of the profiles; none when the file cannot be read."""
    try:
        return list(_read())
    except SetupError:
        return []


def read_profile(name: str) -> dict[str, str]:
    """The keys of a profile, with its secrets from the keyring. Raises SetupError when there is none."""
    path, sections = profile_path(), _read()
    if name not in sections:
        if not path.exists():
            raise SetupError(f"there is no profile `{name}`: {path} does not exist", _login(name))
        help = did_you_mean(name, sections) or _login(name)
        raise SetupError(f"there is no profile `{name}` in {path}", help)
    values = _checked(name, sections[name])
    missing = [key for key in SECRETS if key not in values]
    return values | keyring_secrets.load(name, missing)


def check_name(name: str) -> None:
    """Raises ArgumentError for a name that no profile may have."""
    if not _NAME.fullmatch(name):
        raise ArgumentError(f"--profile {name}: a name has letters, digits, - and _ only", "--profile shop")


def check_writable() -> None:
    """Raises SetupError unless the file can be written, as it must be before a grant code is spent."""
    _read()
    _write_text(_text())


def write_profile(name: str, values: Mapping[str, str], *, keyring: bool) -> bool:
    """Writes a profile in place of one of that name.

    Args:
        name: The profile.
        values: Its keys.
        keyring: Whether its secrets go into the keyring, where there is one.

    Returns:
        Whether the secrets are in the keyring.

    Raises:
        SetupError: The file cannot be read or written.
    """
    sections: dict[str, Any] = {**_read(), name: dict(values)}
    secrets = {key: values[key] for key in SECRETS if values.get(key)}
    kept = keyring and bool(secrets) and keyring_secrets.save(name, secrets)
    if kept:
        sections[name] = {key: value for key, value in values.items() if key not in secrets}
    else:
        keyring_secrets.delete(name, SECRETS)
    lines = "".join(f"{key} = {_quoted(sections[name][key])}\n" for key in KEYS if sections[name].get(key))
    before = _without(_text(), name).rstrip()
    text = f"{before}\n\n" * bool(before) + f"[{name}]\n{lines}"
    _write_text(text)
    return kept


def delete_profile(name: str) -> None:
    """Removes a profile and its secrets. Raises SetupError when the file cannot be read or written."""
    keyring_secrets.delete(name, SECRETS)
    if name in _read():
        _write_text(_without(_text(), name))


def is_private(path: Path) -> bool:
    """Whether only its owner may access the file, or there is none."""
    try:
        return path.stat().st_mode & 0o077 == 0
    except OSError:
        return True


def _read() -> dict[str, Any]:
    path = profile_path()
    try:
        return tomllib.loads(_text())
    except tomllib.TOMLDecodeError:
        # The parser's own message may quote a line that holds a secret.
        raise SetupError(
            f"{path}: line {_invalid_line(_text())} is not valid TOML",
            'write [NAME] and, below it, lines such as organization_id = "10234695"',
        ) from None


def _invalid_line(text: str) -> int:
    """Number of the line after the longest beginning that is TOML."""
    lines = text.splitlines(keepends=True)
    for number in range(len(lines) - 1, 0, -1):
        try:
            tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue
        return number + 1
    return 1


def _text() -> str:
    path = profile_path()
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SetupError(f"{path} cannot be read: {reason}") from None


def _write_text(text: str) -> None:
    path = profile_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A link is followed: people keep such files in a repository of their own.
        with atomic_write(path.resolve(), mode=OWNER_ONLY) as file:
            file.write(text)
    except OSError as error:
        raise SetupError(
            f"{path} cannot be written: {error.strerror or error}", "set XDG_CONFIG_HOME to a folder that can"
        ) from None


def _checked(name: str, section: Any) -> dict[str, str]:
    path = profile_path()
    if not isinstance(section, dict):
        raise SetupError(f"{path}: `{name}` stands outside of a profile", "write a line such as [default] above it")
    values: dict[str, Any] = {**section}
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        hints = dict.fromkeys(right for key in unknown if (right := _right_key(key)))
        help = f"did you mean {' and '.join(hints)}?" if hints else f"keys: {', '.join(KEYS)}"
        raise SetupError(f"profile `{name}` in {path} has unknown keys: {', '.join(unknown)}", help)
    wrong = [key for key, value in values.items() if not isinstance(value, str | int) or isinstance(value, bool)]
    if wrong:
        raise SetupError(f"profile `{name}` in {path}: {wrong[0]} is no text", f'{wrong[0]} = "..."')
    return {key: str(value) for key, value in values.items()}


def _right_key(unknown: str) -> str:
    folded = unknown.lower().replace("-", "_").removeprefix("zoho_")
    if folded in KEYS:
        return folded
    near = difflib.get_close_matches(folded, KEYS, n=1, cutoff=0.6)
    return _ALIASES.get(folded, near[0] if near else "")


def _without(text: str, name: str) -> str:
    """The text without one table: comments and the other tables stay as they are."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            found = _HEADER.fullmatch(line.rstrip("\r\n"))
            inside = found is not None and next(one for one in found.groups()[:3] if one is not None) == name
        if not inside:
            kept.append(line)
    return "".join(kept)


def _quoted(value: str) -> str:
    escaped = "".join(
        f"\\{one}" if one in '"\\' else one if one.isprintable() else f"\\U{ord(one):08x}" for one in value
    )
    return f'"{escaped}"'


def _login(name: str) -> str:
    return "zoho-async login" if name == DEFAULT else f"zoho-async login --profile {name}"
