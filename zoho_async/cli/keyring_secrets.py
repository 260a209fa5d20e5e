"""Secrets of profiles in the system's keyring, with the extra `[keyring]`; without it there are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

SERVICE = "zoho-async"


def load(profile: str, keys: Iterable[str]) -> dict[str, str]:
    """The secrets of a profile that the keyring has."""
    keyring = _keyring()
    if keyring is None:
        return {}
    found: dict[str, str] = {}
    for key in keys:
        try:
            value: Any = keyring.get_password(SERVICE, _user(profile, key))
        except Exception:  # noqa: BLE001 - a locked or missing keyring has none, whatever its backend raises
            return found
        if value:
            found[key] = str(value)
    return found


def save(profile: str, secrets: Mapping[str, str]) -> bool:
    """Keeps secrets; False when there is no keyring that takes them, and then it holds none of them."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        for key, value in secrets.items():
            keyring.set_password(SERVICE, _user(profile, key), value)
    except Exception:  # noqa: BLE001 - each backend has exceptions of its own
        delete(profile, secrets)
        return False
    return True


def delete(profile: str, keys: Iterable[str]) -> None:
    """Removes the secrets of a profile."""
    keyring = _keyring()
    if keyring is None:
        return
    for key in keys:
        try:
            keyring.delete_password(SERVICE, _user(profile, key))
        except Exception:  # noqa: BLE001 - there was none
            continue


def _keyring() -> Any:
    try:
        return import_module("keyring")
    except ImportError:
        return None


def _user(profile: str, key: str) -> str:
    return f"{profile}/{key}"
