"""What the README shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import zoho_async
from zoho_async import StaticToken, Zoho
from zoho_async.fake import FakeZoho

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


async def test_the_first_example_does_what_it_says(
    fake: FakeZoho, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Local(Zoho):
        def __init__(self, auth: Any, **options: Any) -> None:
            super().__init__(StaticToken(fake.access_token), api_url=fake.url, **options)

    monkeypatch.setattr(zoho_async.client, "Zoho", Local)
    names: dict[str, Any] = {}
    source = BLOCKS[0]
    assert source.rstrip().endswith("asyncio.run(main())")
    exec(source.replace("asyncio.run(main())", ""), names)
    await names["main"]()
    [contact] = fake.organization().contacts.values()
    printed = capsys.readouterr().out.split()
    assert printed[1:4] == ["Bowman", "and", "Co"]
    assert contact["notes"] == "Pays by cheque"


async def test_the_example_of_a_users_own_test_passes() -> None:
    names: dict[str, Any] = {}
    [source] = [block for block in BLOCKS if "async with FakeZoho()" in block]
    exec(source, names)
    await names["test_my_service"]()


def test_every_command_line_in_the_readme_is_one_the_program_knows() -> None:
    from typer.testing import CliRunner

    from zoho_async.cli.app import app

    lines = re.findall(r"zoho-async ([a-z]+)((?: [^\n`]*)?)", README)
    assert {name for name, _ in lines} == {"push", "pull", "operations", "call", "fake", "runs", "ids"}
    for name, rest in lines:
        command = [name, rest.split()[0]] if name == "runs" and rest.split()[:1] in (["show"], ["images"]) else [name]
        shown = CliRunner().invoke(app, [*command, "--help"]).output
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown, f"{name} {option}"
