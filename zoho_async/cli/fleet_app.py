"""The commands `zoho-async fleet ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from zoho_async.cli.console.runner import run

from .commands.fleet import look_command

fleet = typer.Typer(help="What processes and hosts share through Redis.", no_args_is_help=True)


@fleet.callback()
def fleet_commands() -> None:
    """What processes and hosts share through Redis."""


@fleet.command("look")
def look(
    redis: Annotated[str, typer.Option("--redis", metavar="URL", help="The fleet's Redis.")],
    organization: Annotated[
        list[str] | None,
        typer.Option("--organization", metavar="ID", help="Only these; may be given several times. [all]"),
    ] = None,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Prometheus' text format on stdout.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Show who waits, who holds, and what is left.

    That is: calls waiting and in flight, leases, and the rest of each organisation's day.
    """
    if prometheus and json:
        raise typer.BadParameter("is another format: give either one", param_hint="--prometheus")
    ids = organization or []
    raise typer.Exit(run(lambda _: look_command(redis, ids, prometheus=prometheus, json=json), json=json))
