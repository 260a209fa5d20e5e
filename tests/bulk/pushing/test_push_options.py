"""The options of a push: declared once, seen in signatures, docstrings and on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import typer.main

from zoho_async import StaticToken, Zoho, bulk
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.rows.options import Options
from zoho_async.cli.app import app

DEFAULTS = {name: spec.default for name, spec in bulk.PUSH_OPTIONS.items()}


@pytest.mark.parametrize("function", [bulk.push, bulk.plan, bulk.retry, bulk.remaining_rows, bulk.check])
def test_every_option_is_a_keyword_with_its_default(function: Callable[..., Any]) -> None:
    shown = inspect.signature(function).parameters
    assert {name: shown[name].default for name in DEFAULTS} == DEFAULTS
    assert {shown[name].kind for name in DEFAULTS} == {inspect.Parameter.KEYWORD_ONLY}
    assert not [one for one in shown.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    described = inspect.getdoc(function) or ""
    for name, spec in bulk.PUSH_OPTIONS.items():
        assert f"    {name}: {spec.help}\n" in described


def test_every_option_is_used() -> None:
    used = {*inspect.signature(Options.of).parameters, *inspect.signature(Push.__init__).parameters}
    assert {*DEFAULTS} <= used


def test_the_command_has_them() -> None:
    commands: Any = typer.main.get_command(app)
    shown = {one.name: one for one in commands.commands["push"].params}
    for name, spec in bulk.PUSH_OPTIONS.items():
        if spec.cli_type is not None:
            assert shown[name].opts == [f"--{name.replace('_', '-')}"]
            assert (shown[name].default, shown[name].help) == (spec.default, spec.help)
        else:
            assert name not in shown


def test_an_unknown_option_is_an_error_that_names_the_right_one() -> None:
    wrong: Any = {"upsert_on": "cf_id"}
    with pytest.raises(TypeError, match="no option 'upsert_on'; did you mean `upsert_by`"):
        bulk.push(object(), [], **wrong)


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_push_needs_a_call_at_a_time(concurrency: int) -> None:
    zoho = Zoho(StaticToken("x"), organization_id="1")
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        bulk.push(zoho.books.contacts, [], concurrency=concurrency)
