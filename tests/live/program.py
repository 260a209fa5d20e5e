"""Asks, deletes what it has made, and writes the table."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoho_async import Limits, Zoho, errors
from zoho_async.cli.profiles import client, credentials

from .questions import PREFIX, PROVOKED, QUESTIONS, Question, Trial, ask

PAGE = Path(__file__).parent.parent.parent / "docs" / "live.md"
BEGIN, END = "<!-- answers -->", "<!-- end of answers -->"
CLEANING = 12
"""Calls that the deletion may take: two lists and a call for each contact."""


class Headers:
    """Notes the headers of every 429."""

    def __init__(self) -> None:
        self.throttled: dict[int, list[str]] = {}

    def started(self, operation: Any, organization_id: str | None) -> Headers:
        return self

    def waited(self, seconds: float) -> None:
        pass

    def attempted(self, detail: str, status: int | None, seconds: float, headers: Mapping[str, str] | None) -> None:
        self.last = sorted(f"`{name.lower()}: {value}`" for name, value in (headers or {}).items() if of_limits(name))

    def ended(self, error: BaseException | None) -> None:
        if isinstance(error, errors.RateLimitError | errors.QuotaExceededError) and error.status == 429:
            self.throttled.setdefault(int(error.code or 0), self.last)


def of_limits(name: str) -> bool:
    return "rate" in name.lower() or "retry" in name.lower()


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.live",
        description="Asks a trial organisation of yours what Zoho's documents leave open. It creates contacts whose "
        f"names begin with `{PREFIX}`, and deletes them again.",
    )
    parser.add_argument("--organization-id", metavar="ID", help="that this is the one, typed out; or ZOHO_LIVE=yes")
    parser.add_argument("--profile", metavar="NAME", help="of `zoho-async login`; else the variables ZOHO_...")
    parser.add_argument("--email", metavar="ADDRESS", help="yours: one e-mail is sent to it")
    parser.add_argument("--unique-field", metavar="cf_NAME", help="a custom field of contacts without duplicates")
    parser.add_argument("--provoke", action="store_true", help="also the refusals of a minute and of calls at once")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="whose table is written")
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked, in how many calls")
    return parser.parse_args(argv)


def chosen(options: argparse.Namespace) -> list[Question]:
    """The questions that the options allow."""
    given = {"": True, "--email": options.email, "--provoke": options.provoke}
    return [question for question in (*QUESTIONS, *PROVOKED) if given[question.needs]]


def unconfirmed(options: argparse.Namespace, organization_id: str | None) -> str | None:
    """Why nothing is asked; None when the user has said that this organisation may be written to."""
    if not organization_id:
        return "no organisation: set ZOHO_ORGANIZATION_ID, or name a profile with --profile"
    if options.organization_id not in (None, organization_id):
        return f"--organization-id {options.organization_id} is not that of the credentials, {organization_id}"
    if options.organization_id is None and os.environ.get("ZOHO_LIVE") != "yes":
        return (
            f"this creates and deletes contacts in organisation {organization_id}. If it is a trial of yours, "
            f"add --organization-id {organization_id}, or set ZOHO_LIVE=yes"
        )
    return None


async def delete_ours(zoho: Zoho) -> int:
    """Deletes all contacts with the prefix, those of a run that was killed too; returns how many."""
    ids = [row.contact_id async for row in zoho.books.contacts.list(contact_name_startswith=PREFIX)]
    for contact_id in ids:
        await zoho.books.contacts.delete(contact_id)
    return len(ids)


async def run(trial: Trial, questions: Sequence[Question]) -> dict[str, str]:
    """The answers by the names of the questions. What was created is deleted, however this ends."""
    answers: dict[str, str] = {}
    try:
        for question in questions:
            if question not in PROVOKED:
                answers[question.name] = await ask(question, trial)
                print(f"{question.title}: {answers[question.name]}")
                if not trial.contact_id:
                    return {}  # nothing can be asked without the first contact
    finally:
        print(f"{await asyncio.shield(delete_ours(trial.zoho))} contacts deleted")
    for question in questions:
        if question in PROVOKED:
            answers[question.name] = await ask(question, trial)
            print(f"{question.title}: {answers[question.name]}")
    return answers


def table(answers: Mapping[str, str], asked_on: str) -> str:
    """The table of the page; empty answers where nothing was asked."""
    lines = ["| question | until answered | Zoho's answer | asked on |", "|---|---|---|---|"]
    for question in (*QUESTIONS, *PROVOKED):
        answer = answers.get(question.name, "").replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {question.title} | {question.assumed} | {answer} | {asked_on if answer else ''} |")
    return "\n".join(lines)


def write(page: Path, answers: Mapping[str, str], asked_on: str) -> None:
    """Replaces the table of the page."""
    text = page.read_text(encoding="utf-8")
    region = re.compile(f"{re.escape(BEGIN)}\n.*\n{re.escape(END)}", re.DOTALL)
    written, number = region.subn(lambda _: f"{BEGIN}\n\n{table(answers, asked_on)}\n\n{END}", text)
    if not number:
        raise SystemExit(f"{page} has no lines `{BEGIN}` and `{END}` for the table")
    page.write_text(written, encoding="utf-8")


async def main(argv: Sequence[str], allowed: Limits | None = None) -> int:
    """The program; returns its exit code."""
    options = arguments(argv)
    questions = chosen(options)
    calls = sum(question.calls for question in questions) + CLEANING
    print(f"{len(questions)} questions, at most {calls} calls of today's quota")
    for question in questions if options.dry_run else ():
        print(f"  {question.title} ({question.calls})")
    if options.dry_run:
        return 0
    headers = Headers()
    async with client(credentials(options.profile), allowed=allowed, observer=headers) as zoho:
        reason = unconfirmed(options, zoho.organization_id)
        if reason:
            print(reason, file=sys.stderr)
            return 2
        name = f"{PREFIX} {secrets.token_hex(4)}"
        trial = Trial(zoho, name, headers.throttled, options.email, unique_field=options.unique_field)
        answers = await run(trial, questions)
    if not answers:
        return 1
    write(options.page, answers, datetime.now(UTC).date().isoformat())
    print(f"written to {options.page}")
    return 0
