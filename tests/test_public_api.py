"""Public names and their parameters stay: they may be added to."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from zoho_async.fake import FakeZoho
from zoho_async.fake.messages import FakeRequest

SCRIPT = runpy.run_path(str(Path(__file__).parent / "data" / "public_api.py"))
STORED: dict[str, list[str] | None] = json.loads(SCRIPT["FILE"].read_text(encoding="utf-8"))
TODAY: dict[str, list[str] | None] = SCRIPT["public_api"]()


def lost(before: list[str] | None, now: list[str] | None) -> list[str]:
    """The parameters that are no longer taken."""
    return [name for name in before or () if name not in (now or ())]


@pytest.mark.parametrize("name", STORED)
def test_a_public_name_keeps_its_parameters(name: str) -> None:
    assert name in TODAY
    assert lost(STORED[name], TODAY[name]) == []


def test_every_public_name_is_listed() -> None:
    """A new one is added by `python tests/data/public_api.py`."""
    assert {*TODAY} - {*STORED} == set()


def test_a_lost_parameter_is_found() -> None:
    assert lost(["a", "b"], ["c", "a"]) == ["b"]
    assert lost(["a"], None) == ["a"]


def test_former_names_of_the_fake_still_record() -> None:
    fake = FakeZoho(access_token="made-up")
    request = FakeRequest(
        method="GET", path="/oauth/v2/token", segments=["oauth", "v2", "token"], query={}, headers={}, form=True
    )
    fake.crashed(ValueError("x"))
    fake.note(request, None)
    assert (fake.crashes, [one.path for one in fake.received]) == (1, ["/oauth/v2/token"])
    fake.script("oauth.token", ["refuse"])
    assert [fake.refuses(request), fake.refuses(request)] == [True, False]
