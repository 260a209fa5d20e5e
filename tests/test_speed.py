"""`zoho_async.speed` changes nothing by itself, and says what it did. In a process of its own: it cannot be undone."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from typing import Any

import pytest

from zoho_async import speed

PROGRAM = """
import json, sys
import zoho_async, zoho_async.books
before = "zoho_async.speed" in sys.modules or "ctypes" in sys.modules
from zoho_async import speed
print(json.dumps([before, speed.tune()]))
"""


def run() -> Any:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_nothing_is_set_until_it_is_called_and_what_was_set_is_named() -> None:
    loaded, made = run()
    assert not loaded
    names = [setting.partition("=")[0] for setting in made]
    glibc = platform.libc_ver()[0] == "glibc"
    assert names == (["M_MMAP_THRESHOLD", "M_TRIM_THRESHOLD", "M_TOP_PAD"] if glibc else [])


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_left_alone(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert speed.tune() == ()


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert speed.tune() == ()
