"""The options of `zoho-async push`, made of those that the library declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from zoho_async.bulk import PUSH_OPTIONS

Command = TypeVar("Command", bound=Callable[..., Any])


def with_push_options(command: Command) -> Command:
    """Gives a command one option for each of `PUSH_OPTIONS`, in place of its `**options`."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            parameters += _options()
        else:
            # typer passes every argument by name.
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    command.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return command


def _options() -> list[inspect.Parameter]:
    made: list[inspect.Parameter] = []
    for name, spec in PUSH_OPTIONS.items():
        if spec.cli_type is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        option: Any = typer.Option(flag, metavar=spec.metavar or None, help=spec.help, min=spec.min)
        kind: Any = spec.cli_type if spec.default is not None else spec.cli_type | None
        made.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=spec.default, annotation=Annotated[kind, option]
            )
        )
    return made
