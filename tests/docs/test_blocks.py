"""The blocks of the README and of the pages run as they stand, in order, in one shell and one folder."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.page_blocks import RUN, blocks, expected_output, free_port, is_free, run, script

from zoho_async import bulk
from zoho_async.fake import FakeZoho

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DLT, WEBHOOKS = ((ROOT / "docs" / name).read_text("utf-8") for name in ("dlt.md", "webhooks.md"))
TEXTS = {
    page.relative_to(ROOT).as_posix(): page.read_text("utf-8")
    for name in ("tutorial", "how-to", "concepts", "reference")
    for page in sorted((ROOT / "docs" / name).glob("*.md"))
}
PAGES = [name for name, text in TEXTS.items() if any(block.language in RUN for block in blocks(text))]
PORTS = ("8181", "8000")
"""Ports that pages name."""


def has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


async def test_the_readme_runs_from_top_to_bottom(tmp_path: Path) -> None:
    text = README if is_free(8181) else README.replace("8181", str(free_port()))
    shown = await run(f"{text}\n```shell\necho ended $ZOHO_FAKE_PID\n```\n", tmp_path / "folder", {})
    assert re.search(r"^\d+ Bowman and Co 0", shown, re.MULTILINE)
    assert "2 rows: 2 sent (1 created, 1 updated)" in shown
    assert "2 records, 2 written" in shown
    assert "10234695 1 done created" in shown
    assert "10234695 2 failed none contact_name" in shown
    (process,) = re.findall(r"^ended (\d+)$", shown, re.MULTILINE)
    for _ in range(100):
        if has_ended(int(process)):
            break
        await asyncio.sleep(0.1)
    assert has_ended(int(process)), "the fake goes on after the last block"


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_runs_from_top_to_bottom(page: str, fake: FakeZoho, tmp_path: Path) -> None:
    text = TEXTS[page]
    for port in PORTS:
        text = re.sub(rf"\b{port}\b", str(free_port()), text)
    environment = {
        "ZOHO_API_URL": fake.url,
        "ZOHO_ORGANIZATION_ID": fake.organization_id,
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
        "ZOHO_GRANT_CODE": fake.grant_code,
    }
    shown = await run(text, tmp_path / "folder", environment)
    missing = [part for part in expected_output(text) if part not in shown]
    assert missing == [], shown


def test_a_block_that_needs_an_account_is_not_run() -> None:
    text = "A.\n\n<!-- needs an account -->\n```shell\nexit 1\n```\n\n```shell\necho 2\n```\n"
    assert [block.needs_account for block in blocks(text)] == [True, False]
    assert "exit 1" not in script(text)
    assert "echo 2" in script(text)


def test_a_block_with_a_title_is_a_file(tmp_path: Path) -> None:
    text = '```python title="a.py"\nprint(1)\n```\n\n```toml title="b.toml"\nc = "$HOME"\n```\n'
    assert [block.title for block in blocks(text)] == ["a.py", "b.toml"]
    assert "cat > 'a.py' <<'END_OF_BLOCK'\nprint(1)\nEND_OF_BLOCK" in script(text)


async def test_a_command_that_fails_fails_the_page(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit code 3"):
        await run("```shell\n(exit 3)\necho not reached\n```\n", tmp_path / "folder", {})


def test_output_is_compared_between_dots() -> None:
    assert expected_output("```text\na ... b\n...\n  c\n```\n") == ["a", "b", "c"]


def test_the_mapping_of_the_reference_can_be_read(tmp_path: Path) -> None:
    (mapping,) = (
        block for block in blocks((ROOT / "docs" / "mapping.md").read_text("utf-8")) if block.language == "toml"
    )
    (tmp_path / "mapping.toml").write_text(mapping.source)
    assert bulk.read_mapping(tmp_path / "mapping.toml").group is not None


async def test_the_pipeline_of_the_page_on_dlt_runs(fake: FakeZoho, tmp_path: Path) -> None:
    source = "".join(block.source for block in blocks(DLT) if block.language == "py")
    fake.add_organization("20234695")
    fake.seed([{"contact_name": "Bowman and Co"}])
    count = 'with pipeline.sql_client() as sql:\n    print(sql.execute_sql("select count(*) from books_contacts"))\n'
    environment = {
        "ZOHO_API_URL": fake.url,
        "ZOHO_ACCESS_TOKEN": fake.access_token,
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    shown = await run(f"```python\n{source}{count}```\n", tmp_path / "folder", environment)
    assert "[(1,)]" in shown


async def test_the_fastapi_route_of_the_page_on_webhooks_takes_what_is_signed() -> None:
    wanted, secret, body = asyncio.Event(), "the0token0entered0in0Zoho", b'{"data":{}}'
    (block,) = (block for block in blocks(WEBHOOKS) if block.language == "py")
    names: dict[str, Any] = {"wanted": wanted, "secret": secret}
    exec(block.source, names)
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        for header, status in ((signature, 204), ("0" * 64, 401)):
            wanted.clear()
            headers = {"X-Zoho-Webhook-Signature": header, "Content-Type": "application/json"}
            assert (await client.post("/zoho", content=body, headers=headers)).status_code == status
            assert wanted.is_set() is (status == 204)
