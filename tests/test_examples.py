"""Every program in examples/ ends by itself, with exit code 0."""

from __future__ import annotations

import importlib.util
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoho_async.fake.http.threaded import ThreadedFakeZoho

FOLDER = Path(__file__).parent.parent / "examples"
PROGRAMS = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
MOST_CALLS = 24
"""Of one example: many run on one fake with Zoho's limit a minute."""


@pytest.fixture(scope="module")
def fake() -> Iterator[ThreadedFakeZoho]:
    with ThreadedFakeZoho(per_minute=None).in_thread() as fake:
        yield fake


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(autouse=True)
def environment(fake: ThreadedFakeZoho, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client_id", "client_secret", "refresh_token", "organization_id"):
        monkeypatch.setenv(f"ZOHO_{name.upper()}", getattr(fake, name))
    monkeypatch.setenv("ZOHO_API_URL", fake.url)
    monkeypatch.delenv("ZOHO_ACCOUNTS_URL", raising=False)
    # Without the plugins of this environment, which take seconds to import.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_asyncio.plugin -p zoho_async.testing")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(temporary)


def extra_packages(program: Path) -> list[str]:
    """What the block `# /// script` names beside this package."""
    text = program.read_text(encoding="utf-8")
    block = re.search(r"^# /// script\n# dependencies = \[(.*)\]\n# ///$", text, re.MULTILINE)
    return [name for name in re.findall(r'"([^"]+)"', block[1]) if name != "zoho_async"] if block else []


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_an_example_ends_well(program: Path, fake: ThreadedFakeZoho, capfd: pytest.CaptureFixture[str]) -> None:
    fake.reset()
    if extra_packages(program):
        subprocess.run([sys.executable, program], check=True, timeout=45)
    else:
        runpy.run_path(str(program), run_name="__main__")
    assert capfd.readouterr().out
    assert sum(counts["requests"] for counts in fake.stats()["operations"].values()) <= MOST_CALLS


def test_every_import_of_an_example_is_declared_or_comes_with_the_package() -> None:
    own = {"zoho_async", "aiohttp", "msgspec", *(path.stem for path in FOLDER.glob("_*.py"))}
    for program in PROGRAMS:
        imported = set(re.findall(r"^(?:from|import) (\w+)", program.read_text(encoding="utf-8"), re.MULTILINE))
        missing = imported - own - sys.stdlib_module_names - set(extra_packages(program))
        assert not missing, f"{program.name}: {missing}"
        assert all(importlib.util.find_spec(name.replace("-", "_")) for name in extra_packages(program))


def test_make_examples_runs_all_of_them() -> None:
    programs = runpy.run_path(str(FOLDER / "__main__.py"))["programs"]()
    assert {path.name for path in PROGRAMS} <= {path.name for path in programs}
