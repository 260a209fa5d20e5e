"""What the README and the documentation show works as it stands."""

from __future__ import annotations

import ast
import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from zoho_async import Zoho
from zoho_async.bulk.pushing.row_state import TRANSITIONS
from zoho_async.cli.app import app
from zoho_async.fake import FakeZoho

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for page in ROOT.glob("docs/**/*.md") if page.parent.name != "reference"),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
COMMANDS = {
    *("push", "pull", "changes", "operations", "call", "fake", "runs", "ids"),
    *("map", "presets", "columns", "template", "fleet"),
    *("login", "logout", "profiles", "orgs", "scopes", "quota", "doctor"),
}


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Blocks may set up logging."""
    loggers = [logging.getLogger(), logging.getLogger("zoho_async")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[str]:
    """The blocks of a page that are marked as Python."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|^    .*?$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


async def run(source: str, names: dict[str, Any], page: str) -> None:
    """Runs a block as a module would, with `await` allowed outside functions; then the tests that it defines."""
    before = set(names)
    result = eval(compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(result):
        await result
    for name in names.keys() - before:
        if name.startswith("test_"):
            await names[name](**{one: names[one] for one in inspect.signature(names[name]).parameters})


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_of_prose_are_short(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = without_code(page.read_text(encoding="utf-8"))
    assert re.findall(r"\]\([^)\s]+\n", text) == [], "an address that is broken by a line is no link"
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_listed() -> None:
    index = ROOT / "docs" / "index.md"
    listed = set(re.findall(r"\]\(([^)#\s]+)", index.read_text(encoding="utf-8")))
    missing = {str(page.relative_to(index.parent)) for page in index.parent.rglob("*.md")} - listed - {"index.md"}
    assert missing == set()


def test_every_file_that_the_architecture_names_exists() -> None:
    tasks = re.findall(r"^\| .*? \| `((?:zoho_async|tests)/[^`<]+\.py)` \|$", ARCHITECTURE, re.MULTILINE)
    assert len(tasks) == 11
    for path in tasks:
        assert (ROOT / path).is_file(), path


def test_the_table_of_transitions_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \| ([\w-]+) \| ([\w-]+) \|$", ARCHITECTURE, re.MULTILINE)
    assert {(state, event): (then, entry.strip("-"), step) for state, event, then, entry, step in rows} == {
        pair: tuple(transition) for pair, transition in TRANSITIONS.items()
    }


def test_the_overview_of_transitions_is_that_of_the_code() -> None:
    listed: set[tuple[str, str, str]] = set()
    (overview,) = re.findall(r"```text\n(planned .*?)```", ARCHITECTURE, re.DOTALL)
    start = ""
    for line in overview.splitlines():
        named, end, events = re.fullmatch(r"(\w*) +-> (\w+) +(.*)", line).groups()  # type: ignore[union-attr]
        start = named or start
        listed |= {(start, event, end) for event in events.split(", ")}
    assert listed == {(state, event, to.state) for (state, event), to in TRANSITIONS.items()}


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT / "docs" and blocks(page)], ids=name_of)
async def test_the_examples_of_a_page_run(
    page: Path,
    fake: FakeZoho,
    zoho: Zoho,
    zoho_fake: FakeZoho,
    zoho_client: Zoho,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    fake.seed([{"contact_name": "Old Ltd"}, {"contact_name": "New Ltd", "cf_external_id": "A-1"}])
    (tmp_path / "customers.csv").write_text("contact_name,cf_external_id\nNewer Ltd,A-1\nAnn,A-2\n,A-3\n")
    (tmp_path / "contract.pdf").write_bytes(b"%PDF-1.4")
    names: dict[str, Any] = {"zoho": zoho, "fake_zoho": fake, "zoho_fake": zoho_fake, "zoho_client": zoho_client}
    for source in blocks(page):
        await run(source, names, name_of(page))


async def test_the_example_of_a_users_own_test_passes(fake: FakeZoho, zoho: Zoho) -> None:
    await run(blocks(ROOT / "README.md")[2], {"zoho": zoho, "fake_zoho": fake}, "README.md")
    assert fake.created() == {"Bowman and Co": 1}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_line_is_one_the_program_knows(page: Path) -> None:
    for name, rest in re.findall(r"zoho-async ([a-z]+)((?: [^\n`]*)?)", page.read_text(encoding="utf-8")):
        assert name in COMMANDS
        command = [name, rest.split()[0]] if rest.split()[:1] in (["show"], ["images"], ["look"]) else [name]
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output
        for option in re.findall(r"--[a-z-]+", rest.partition("#")[0]):
            assert option in shown, f"{name} {option}"


def test_every_command_and_option_of_the_program_is_documented() -> None:
    program: Any = get_command(app)
    assert set(program.commands) == COMMANDS
    documented = set(re.findall(r"--?[A-Za-z-]+", COMMAND_LINE))
    commands: list[Any] = [*program.commands.values()]
    for command in commands:
        assert re.search(rf"zoho-async ((runs|fleet) )?{command.name}\b", COMMAND_LINE), command.name
        commands += getattr(command, "commands", {}).values()
        options = {name for one in command.params if one.param_type_name == "option" for name in one.opts}
        assert options <= documented, command.name


def test_the_setting_that_tests_need_is_named() -> None:
    """Without it pytest-asyncio does not run the coroutine."""
    pages = (README, (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))
    assert ['asyncio_mode = "auto"' in page for page in pages] == [True, True]
