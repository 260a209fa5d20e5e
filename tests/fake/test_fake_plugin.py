"""The pytest plugin, as those use it who installed the package: in a pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
[README] = [block for block in BLOCKS if "fake_zoho" in block]
"""What the README shows."""

FAULTS = """\
import pytest
from zoho_async import errors

@pytest.mark.fake_zoho(shape="clean", organizations=["1", "2"])
async def test_marks_and_faults(fake_zoho, zoho):
    assert (fake_zoho.shape, zoho.organization_id) == ("clean", "1")
    fake_zoho.script("books.contacts.create", ["reset_after"])
    with pytest.raises(errors.OutcomeUnknownError):
        await zoho.books.contacts.create({"contact_name": "A"})
    assert fake_zoho.acts("books.contacts.create") == 1
    # More calls than a minute has, and nothing waits.
    for _ in range(120):
        await zoho.books.contacts.list()

async def test_each_test_has_its_own(fake_zoho):
    assert fake_zoho.counts == {}
"""

BROKEN = """\
async def test_broken(fake_zoho, zoho):
    fake_zoho.organization().contacts["1"] = {}
    try:
        await zoho.books.contacts.get("1")
    except Exception:
        pass
"""


def run(folder: Path, text: str, mode: str) -> subprocess.CompletedProcess[str]:
    if mode == "strict":
        text = "import pytest\n" + text.replace("async def test_", "@pytest.mark.asyncio\nasync def test_")
    (folder / "test_service.py").write_text(text, "utf-8")
    installed = any(each.value == "zoho_async.testing" for each in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "zoho_async.testing"]
    options = ["-q", "-p", "no:cacheprovider", "--strict-markers", "-W", "error", "-o", f"asyncio_mode={mode}"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", *plugin, *options, "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_test_of_the_readme(tmp_path: Path, mode: str) -> None:
    done = run(tmp_path, README, mode)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_the_test_of_the_readme_can_fail(tmp_path: Path) -> None:
    broken = README.replace("errors.DuplicateError", "errors.QuotaExceededError")
    done = run(tmp_path, broken, "auto")
    assert done.returncode == 1
    assert "DuplicateError" in done.stdout


def test_marks_faults_and_a_fresh_one_each_time(tmp_path: Path) -> None:
    done = run(tmp_path, FAULTS, "auto")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_fault_of_the_fake_fails_the_test(tmp_path: Path) -> None:
    done = run(tmp_path, BROKEN, "auto")
    assert "FakeZoho itself raised" in done.stdout
    assert done.returncode == 1


def test_loading_it_costs_nothing() -> None:
    program = "import pytest, pytest_asyncio, sys; import zoho_async.testing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "zoho_async.testing" in modules
    assert modules.isdisjoint({"aiohttp", "zoho_async.fake", "zoho_async.client", "msgspec"})


def test_it_loads_without_pytest_asyncio() -> None:
    program = "import sys; sys.modules['pytest_asyncio'] = None; import zoho_async.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pytest_finds_it_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"zoho_async": "zoho_async.testing"}
