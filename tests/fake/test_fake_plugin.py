"""The pytest plugin, as those use it who installed the package: in a pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

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


WAITS = """\
import time
import pytest
from zoho_async import QuotaExceededError, Zoho
from zoho_async.fake import FakeZoho

@pytest.fixture
def zoho() -> str:
    return "a fixture of this file"

@pytest.mark.parametrize("fault", ["429:44", "429:44:110", "429:1070:40", "status:503"])
async def test_waits_take_no_time(zoho_fake: FakeZoho, zoho_client: Zoho, zoho: str, fault: str) -> None:
    zoho_fake.script("books.contacts.list", [fault] * 3)
    before, start = zoho_fake.clock.time(), time.monotonic()
    await zoho_client.books.contacts.list()
    advanced = zoho_fake.clock.time() - before
    assert advanced > 3 * int(fault.split(":")[2]) if fault.count(":") == 2 else advanced > 0
    assert time.monotonic() - start < 20, "the client waits 15 s and more for a real 429"

@pytest.mark.fake_zoho(per_minute=20)
async def test_minutes_take_no_time(zoho_fake: FakeZoho, zoho_client: Zoho) -> None:
    start = time.monotonic()
    for _ in range(70):
        await zoho_client.books.contacts.list()
    assert time.monotonic() - start < 60

async def test_a_day_ends_by_the_clock_of_the_fake(zoho_fake: FakeZoho, zoho_client: Zoho) -> None:
    zoho_fake.script("books.contacts.list", "429:45")
    for _ in range(2):
        with pytest.raises(QuotaExceededError):
            await zoho_client.books.contacts.list()
    zoho_fake.clock.advance(86_400)
    await zoho_client.books.contacts.list()
"""


FILES = {
    "test_waits.py": WAITS,
    "test_readme.py": README,
    "test_wrong.py": README.replace("errors.DuplicateError", "errors.QuotaExceededError"),
    "test_faults.py": FAULTS,
    "test_broken.py": BROKEN,
}


class Run(NamedTuple):
    """One run of pytest over all files."""

    text: str
    passed: Counter[str]
    """Tests by file, and so on."""
    failed: Counter[str]
    errors: Counter[str]


@pytest.fixture(scope="module", params=["auto", "strict"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    for name, text in FILES.items():
        if request.param == "strict":
            text = "import pytest\n" + text.replace("async def test_", "@pytest.mark.asyncio\nasync def test_")
        (folder / name).write_text(text, "utf-8")
    installed = any(each.value == "zoho_async.testing" for each in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "zoho_async.testing"]
    # Slow to import and not used here.
    plugin += [f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest", "xdist")]
    options = ["-rA", "--strict-markers", "-W", "error", "-o", f"asyncio_mode={request.param}"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", *plugin, *options, "--rootdir", str(folder), str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)
    assert process.returncode == 1, process.stdout + process.stderr
    counts = (
        Counter(re.findall(rf"^{word} (\w+\.py)::", process.stdout, re.MULTILINE))
        for word in ("PASSED", "FAILED", "ERROR")
    )
    return Run(process.stdout, *counts)


def test_the_test_of_the_readme(done: Run) -> None:
    assert done.passed["test_readme.py"] == 1, done.text
    assert not (done.failed | done.errors)["test_readme.py"]


def test_the_test_of_the_readme_can_fail(done: Run) -> None:
    assert done.failed == {"test_wrong.py": 1}
    assert "DuplicateError" in done.text


def test_marks_faults_and_a_fresh_one_each_time(done: Run) -> None:
    assert done.passed["test_faults.py"] == 2, done.text


def test_waits_advance_the_clock_of_the_fake(done: Run) -> None:
    assert done.passed["test_waits.py"] == 6, done.text


def test_a_crash_of_the_fake_fails_the_test(done: Run) -> None:
    assert done.errors == {"test_broken.py": 1}
    assert "FakeZoho itself raised" in done.text


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
