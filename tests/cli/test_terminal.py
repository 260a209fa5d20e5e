"""At home in a terminal: help texts, suggestions, tables, pretty JSON, messages of one form."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main
from support.process import Cli

from zoho_async import __version__, operations
from zoho_async.cli.app import app
from zoho_async.cli.commands import doctor
from zoho_async.cli.commands.diagnosis import failed
from zoho_async.cli.console import prompts, tables
from zoho_async.cli.console.tables import pretty_json
from zoho_async.cli.options import complete_operation, complete_product
from zoho_async.cli.suggestions import did_you_mean
from zoho_async.fake import FakeZoho


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it."""
    yield path, group
    for name, one in getattr(group, "commands", {}).items():
        yield from commands(one, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
async def test_a_help_text_is_whole(cli: Cli, path: tuple[str, ...]) -> None:
    """Every word of every help, bracket and metavar that the code has is on the screen."""
    result = await cli(*path, "--help", environment={"COLUMNS": "100"})
    assert result.code == 0, result.err
    shown = " ".join(result.out.split())
    assert "..." not in shown.replace("gst_no ...", "").replace("[ARGS]...", "").replace("OPERATION_ID]...", ""), shown
    command = COMMANDS[path]
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        assert text, f"{path} {parameter.name} has no help"
        assert " ".join(text.split()) in shown
        if parameter.metavar:
            assert parameter.metavar in shown
    for line in (command.help or "").replace("\f", "").split("\n\n"):
        assert " ".join(line.split()) in shown


async def test_the_version_is_shown(cli: Cli) -> None:
    assert (await cli("--version")).out == f"zoho-async {__version__}\n"


def test_completion_knows_products_and_operations() -> None:
    assert complete_product("b") == ["billing", "books"]
    assert "books.contacts.upsert" in complete_operation("books.contacts.u")


def test_a_shell_completes_commands() -> None:
    environment = {
        **os.environ,
        "_ZOHO_ASYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": "zoho-async do",
        "COMP_CWORD": "1",
    }
    program = "import sys; sys.argv[0] = 'zoho-async'; from zoho_async.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["doctor"], done


@pytest.mark.parametrize(
    ("arguments", "error", "help"),
    [
        (("push", "boks", "contacts", "--from", "a.csv"), "no product `boks`", "did you mean `books`?"),
        (("push", "crm", "contacts", "--from", "a.csv"), "no product `crm`", "products: billing, books"),
        (("push", "books", "customers", "--from", "a.csv"), "they are `contacts` in Books", "write books contacts"),
        (("pull", "books", "vendors", "--to", "a.csv"), "they are `contacts` in Books", "write books contacts"),
        (
            ("pull", "expense", "contacts", "--to", "a.csv"),
            "they are `customers` in Expense",
            "write expense customers",
        ),
        (("columns", "books", "contcts"), "no `books contcts`", "did you mean `contacts`"),
        (("template", "books", "xyz"), "no `books xyz`", "resources of books: "),
        (("map", "a.csv", "book", "contacts"), "no product `book`", "did you mean `books`?"),
        (("call", "books.contacts.lst"), "no operation `books.contacts.lst`", "did you mean `books.contacts.list`"),
        (("call", "books.customers.get"), "no operation `books.customers.get`", "did you mean `books.contacts.get`?"),
        (("call", "zzz"), "no operation `zzz`", "zoho-async operations zzz"),
        (("operations", "upsrt"), "no operation has the word", "did you mean `upsert`"),
        (("operations", "show", "books.contacts.gett"), "no operation", "did you mean `books.contacts.get`"),
        (("operations", "list", "contacts"), "give one word", "operations --help"),
        (
            ("pull", "books", "contacts", "--to", "a.csv", "--dry-run", "--report", "r.html"),
            "--report: is of a pull; a dry run has none",
            "zoho-async pull --help",
        ),
        (
            ("pull", "books", "contacts", "--to", "a.sqlite", "--dry-run", "--max-deleted", "x"),
            "--max-deleted x: must be a percentage",
            "",
        ),
        (("operations", "show"), "needs the id of an operation", "operations --help"),
        (("fake", "--data-center", "uss"), "there is no such data centre", "did you mean `us`?"),
        (("fake", "--unique", ""), "custom field '': its API name begins with cf_", ""),
        (("fake", "--custom-field", "region"), "custom field 'region': its API name begins with cf_", ""),
        (("runs", "--state", "none.sqlite"), "none.sqlite", ""),
        (("runs",), "no state file", "name one with --state FILE"),
        (("scopes", "books.contacts.gett"), "no operation", "did you mean"),
        (("puhs",), "No such command 'puhs'", "zoho-async --help"),
        (("push", "--frm", "a.csv"), "No such option: --frm", "zoho-async push --help"),
    ],
)
async def test_an_error_says_what_where_and_what_to_type(
    cli: Cli, fake: FakeZoho, arguments: tuple[str, ...], error: str, help: str
) -> None:
    result = await cli(*arguments)
    assert result.code == 2, result
    first, *rest = result.err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert len(rest) == bool(help), result.err
    assert all(line.startswith("help: ") and help in line for line in rest), result.err
    assert fake.received == []


async def test_an_error_is_one_object_for_machines(cli: Cli) -> None:
    result = await cli("push", "boks", "contacts", "--from", "a.csv", "--json")
    event = json.loads(result.err)
    assert (event["event"], event["kind"], event["help"]) == ("error", "ArgumentError", "did you mean `books`?")
    usage = json.loads((await cli("push", "--json", "--frm")).err)
    assert (usage["kind"], "push --help" in usage["help"]) == ("UsageError", True)


async def test_operations_are_searched_and_shown(cli: Cli) -> None:
    found = await cli("operations", "upsert")
    assert [line.split()[0] for line in found.out.splitlines()] == ["books.contacts.upsert"]
    shown = await cli("operations", "show", "books.contacts.upsert")
    assert "  -H X-Unique-Identifier-Key (required)\n" in shown.out
    assert "zoho-async call books.contacts.upsert -H X-Unique-Identifier-Key=..." in shown.out
    machine = (await cli("operations", "show", "books.contacts.upsert", "--json")).json
    assert machine["scope"] == "ZohoBooks.contacts.UPDATE"
    assert {one["name"] for one in machine["parameters"] if one["required"]} >= {"X-Unique-Identifier-Key"}
    assert len((await cli("operations", "--json")).out.splitlines()) == len(operations())


async def test_verbose_and_quiet_may_stand_anywhere(cli: Cli, fake: FakeZoho) -> None:
    (cli.folder / "a.csv").write_text("contact_name\nA\n")
    loud = await cli("call", "books.contacts.list", "--verbose")
    assert "books.contacts.list: HTTP 200 code 0" in loud.err
    assert fake.access_token not in loud.err
    assert (await cli("--quiet", "push", "books", "contacts", "--from", "a.csv")).err == ""
    assert (await cli("call", "books.contacts.gett", "--quiet")).err.startswith("error: ")


# -- on a terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("terminal")
def test_a_table_has_a_header_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.write_rows(("id", "name"), [("1", "Bowman"), (2, None)])
    assert capsys.readouterr().out == "\x1b[1mID  NAME\x1b[0m\n1   Bowman\n2\n"
    monkeypatch.setenv("NO_COLOR", "1")
    tables.write_rows(("id", "name"), [("1", "Bowman")])
    assert capsys.readouterr().out == "ID  NAME\n1   Bowman\n"


@pytest.mark.parametrize(
    ("widths", "available", "lines"),
    [
        ([], 80, [[]]),
        ([3, 4, 5], 16, [[0, 1, 2]]),
        ([3, 4, 5], 15, [[0, 1], [2]]),
        ([3, 4, 5, 1], 15, [[0, 1], [2, 3]]),
        ([3, 4, 5], 11, [[0, 1], [2]]),
        ([3, 4, 5], 10, [[0, 1], [2]]),
        ([3, 4, 5], 5, [[0], [1], [2]]),
        ([90, 4], 20, [[0], [1]]),
        ([4, 90, 4], 20, [[0], [1], [2]]),
    ],
)
def test_a_row_is_folded_between_columns(widths: list[int], available: int, lines: list[list[int]]) -> None:
    assert [list(group) for group in tables.folded(widths, available)] == lines


@pytest.mark.usefixtures("terminal")
def test_a_narrow_terminal_shows_every_cell_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    tables.write_rows(("id", "path", "title"), [("1", "/contacts", "List contacts"), ("2", "/x", None)])
    assert capsys.readouterr().out == ("ID  PATH\n    TITLE\n1   /contacts\n    List contacts\n2   /x\n")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (b'{"a":[1.10,{}],"b":"\xc3\xa9"}', '{\n  "a": [\n    1.10,\n    {}\n  ],\n  "b": "é"\n}\n'),
        (b"123456789012345678901234567890", "123456789012345678901234567890\n"),
        (b"[]", "[]\n"),
        (b"<html>", "<html>"),
        (b"\xff", None),
        ('{"\u202e":"\x9b31m\\u001b\u2028"}'.encode(), '{\n  "\\u202e": "\\u009b31m\\u001b\\u2028"\n}\n'),
    ],
)
def test_json_is_indented_digit_by_digit(given: bytes, shown: str | None) -> None:
    assert pretty_json(given) == (given if shown is None else shown.encode())


EVIL = "A\x1b[2J\x9b31m\x1b]0;t\x07\u202e\r\nB\x85\u2028"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_zoho_sends_cannot_write_on_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    tables.write_rows(("id", "name"), [("1", EVIL)])
    doctor_line = doctor._text(failed("organisation", "settings", EVIL, EVIL))
    monkeypatch.setattr(prompts, "ask", lambda text, **_: "1")
    assert prompts.choose("Organisation", [EVIL], option="") == 0
    shown = "".join((*capsys.readouterr(), doctor_line))
    assert shown.replace("\n", "").isprintable()
    assert shown.count("\\x1b[2J") == 4


def on_terminal(folder: Path, environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Runs a command on a terminal of its own; the exit code and what it shows."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "zoho_async", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=end, stdout=end, stderr=end)
    os.close(end)
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:
        pass  # the terminal's other end is closed
    os.close(terminal)
    return process.wait(), shown.decode().replace("\r\n", "\n")


async def test_a_terminal_shows_tables_bars_and_indented_json(cli: Cli, fake: FakeZoho) -> None:
    screen = {"TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"}
    environment = {**cli.environ(), **screen}
    (cli.folder / "a.csv").write_text("contact_name,cf_external_id\nA,1\n,2\n")

    async def shown(*arguments: str) -> tuple[int, str]:
        return await asyncio.to_thread(on_terminal, cli.folder, environment, *arguments)

    code, text = await shown("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id")
    assert (code, "elapsed 0:00:0" in text) == (3, True), text
    code, text = await shown("runs")
    assert code == 0
    assert re.search(r"^RUN +STARTED +RESOURCE +STATE +FILE +CREATED +UPDATED", text, re.MULTILINE), text
    assert "\x1b[" not in text
    code, text = await shown("call", "books.contacts.list")
    assert (code, '{\n  "code": 0,\n' in text) == (0, True), text


async def test_a_closed_pipe_ends_a_call_of_all_pages(cli: Cli, fake: FakeZoho) -> None:
    fake.seed({"contact_name": f"N{i}"} for i in range(400))
    process = await cli.start("call", "books.contacts.list", "--all", "-q", "per_page=10", "--per-minute", "0")
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]
    assert await process.wait() == 1
    assert fake.requests("books.contacts.list") < 40


def test_near_words_are_found_whatever_their_case() -> None:
    assert did_you_mean("CONTACTS", ["contacts"]) == "did you mean `contacts`?"
    assert did_you_mean("q", ["contacts"]) == ""
    assert msgspec.json.encode(did_you_mean("", [])) == b'""'
