"""`make live`, against FakeZoho: it asks, answers, deletes what it made, and is never run without a yes."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from live import program
from live.questions import PROVOKED, QUESTIONS, Question

from zoho_async import Limits
from zoho_async.fake import FakeZoho

FREELY = Limits(per_minute=None)
ALL = ("--email", "me@x.example", "--provoke")


@pytest.fixture
async def trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[FakeZoho]:
    """A fake organisation that the variables name."""
    async with FakeZoho() as fake:
        for name in program.os.environ:
            if name.startswith("ZOHO_"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setenv("ZOHO_API_URL", fake.url)
        monkeypatch.setenv("ZOHO_ACCESS_TOKEN", fake.access_token)
        monkeypatch.setenv("ZOHO_ORGANIZATION_ID", fake.organization_id)
        fake.seed([{"contact_name": "Ours"}, {"contact_name": "zoho_async live killed"}])
        yield fake


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return Path(shutil.copy(program.PAGE, tmp_path))


def rows(page: Path) -> dict[str, list[str]]:
    """The cells of the table by their first one."""
    table = page.read_text(encoding="utf-8").split(program.BEGIN)[1].split(program.END)[0]
    lines = [[cell.strip() for cell in line.strip("|").split(" |")] for line in table.strip().splitlines()[2:]]
    return {cells[0]: cells[1:] for cells in lines}


def test_the_page_has_every_question() -> None:
    assert list(rows(program.PAGE)) == [question.title for question in (*QUESTIONS, *PROVOKED)]
    assert "\n".join(program.table({}, "").splitlines()[:2]) in program.PAGE.read_text(encoding="utf-8")


async def test_every_question_gets_an_answer_and_everything_is_deleted(trial: FakeZoho, page: Path) -> None:
    arguments = ["--organization-id", trial.organization_id, "--page", str(page), *ALL]
    assert await program.main(arguments, FREELY) == 0

    questions = (*QUESTIONS, *PROVOKED)
    assert len(trial.received) <= sum(question.calls for question in questions) + program.CLEANING
    answers = rows(page)
    assert all(answer and re.fullmatch(r"20\d\d-\d\d-\d\d", day) for _, answer, day in answers.values())
    assert not [answer for _, answer, _ in answers.values() if "not understood" in answer]
    assert answers["`response_option=2`"][1] == "without rows; page_context: `total`, `total_pages`"
    assert "retry-after" in answers["headers of 429, code 44"][1]
    assert [one["contact_name"] for one in trial.organization().contacts.values()] == ["Ours"]


@pytest.mark.parametrize("question", [one for one in QUESTIONS if one.name in ("custom_fields", "attachment")])
async def test_an_interrupted_run_deletes_what_it_made(
    trial: FakeZoho, page: Path, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(_: object) -> str:
        raise asyncio.CancelledError

    monkeypatch.setitem(question.__dict__, "ask", interrupted)
    with pytest.raises(asyncio.CancelledError):
        await program.main(["--organization-id", trial.organization_id, "--page", str(page)], FREELY)
    assert [one["contact_name"] for one in trial.organization().contacts.values()] == ["Ours"]
    assert rows(page) == rows(program.PAGE)


@pytest.mark.parametrize("argument", [[], ["--organization-id", "1"]])
async def test_nothing_is_asked_without_a_yes(
    trial: FakeZoho, page: Path, argument: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await program.main([*argument, "--page", str(page)]) == 2
    assert trial.organization_id in capsys.readouterr().err
    assert not trial.received


async def test_a_dry_run_names_the_calls(trial: FakeZoho, capsys: pytest.CaptureFixture[str]) -> None:
    assert await program.main(["--dry-run"]) == 0
    calls = sum(question.calls for question in QUESTIONS if not question.needs) + program.CLEANING
    assert f"at most {calls} calls" in capsys.readouterr().out
    assert not trial.received
