"""The recipes of `examples/fleet`, as processes against a fake, with real servers; two of them kill a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from zoho_async.fake import FakeZoho

EXAMPLES = Path(__file__).parents[2] / "examples" / "fleet"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("_"))
SECONDS = 100.0


async def run(fake: FakeZoho, name: str, folder: Path) -> str:
    """What an example prints; it ends by itself with 0."""
    foreign = ("ZOHO_", "XDG_", "REDIS_URL", "DATABASE_URL")
    given = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    credentials = {
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
        "ZOHO_ORGANIZATION_ID": fake.organization_id,
        "ZOHO_API_URL": fake.url,
        "ZOHO_ACCOUNTS_URL": fake.url,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / f"{name}.py")),
        env={**given, **credentials, "XDG_STATE_HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # it ends its servers and workers
            await process.wait()
    assert process.returncode == 0
    return out.decode()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_every_recipe_is_run_here() -> None:
    tests = Path(__file__).read_text()
    assert NAMES
    assert [name for name in NAMES if f'"{name}"' not in tests] == []
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert "# /// script" in text or path.stem in ("_servers", "_settings"), path


@pytest.mark.parametrize("name", ["procrastinate_push", "streaq_push"])
async def test_a_push_whose_worker_is_killed_is_done_by_another(fake: FakeZoho, tmp_path: Path, name: str) -> None:
    # The first worker gets some answers late: it is killed in the middle of its push, on any machine.
    fake.script("books.contacts.upsert", ["pass"] + ["latency:10"] * 5)  # a push begins with one call alone
    out = await run(fake, name, tmp_path)
    assert "after its worker was killed" in out
    assert Counter(fake.created("cf_external_id").values()) == {1: 60}
    assert len(fake.organization().contacts) == 60
    assert fake.token_requests == 1, "the workers share one"


@pytest.mark.parametrize("name", ["cron_pull", "fastapi_service"])
async def test_a_recipe_ends_by_itself(fake: FakeZoho, tmp_path: Path, name: str) -> None:
    fake.seed([{"contact_name": "A"}])
    out = await run(fake, name, tmp_path)
    assert out.startswith({"cron_pull": "1 records, 1 written", "fastapi_service": "made and read"}[name])
    assert fake.token_requests == 1
    assert names_in(tmp_path) == [], "the next fake has other credentials"
