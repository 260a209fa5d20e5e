"""The arguments and options that commands share, with what completes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from zoho_async import operations

from .console.runner import Interruption, run
from .profile_file import profile_names
from .suggestions import check_resource, resource_names


def complete_product(incomplete: str) -> list[str]:
    """Products that begin so."""
    return sorted({one.partition(".")[0] for one in resource_names() if one.startswith(incomplete)})


def complete_resource(context: typer.Context, incomplete: str) -> list[str]:
    """Resources of the product that begin so."""
    product = context.params.get("product") or ""
    known = [one.partition(".")[2] for one in resource_names() if one.startswith(f"{product}.")]
    return [one for one in known if one.startswith(incomplete)]


def complete_operation(incomplete: str) -> list[str]:
    """Operations that begin so."""
    return [one.id for one in operations() if one.id.startswith(incomplete)]


def complete_profile(incomplete: str) -> list[str]:
    """Profiles that begin so; none when the file cannot be read."""
    return [one for one in profile_names() if one.startswith(incomplete)]


ProductName = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="for example books", autocompletion=complete_product)
]
ResourceName = Annotated[
    str, typer.Argument(metavar="RESOURCE", help="for example contacts", autocompletion=complete_resource)
]
OperationId = Annotated[
    str,
    typer.Argument(metavar="OPERATION_ID", help="for example books.contacts.get", autocompletion=complete_operation),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable: data on stdout, progress on stderr.")]
PerMinute = Annotated[
    int | None, typer.Option("--per-minute", min=0, metavar="N", help="Calls a minute at most; 0 is no limit. [95]")
]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, metavar="N", help="Calls in flight at most.")]
ReportTo = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page with plots and what was rejected.")
]
Redis = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", help="Share limits, tokens and leases with other hosts through this Redis."),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Credentials of `login`, not the environment.",
        autocompletion=complete_profile,
    ),
]


def finish(
    command: Callable[[Interruption], Awaitable[int]], *, json: bool, resource: str | None = None, kept: str = ""
) -> None:
    """Runs a command, after its resource is checked, and ends with its exit code. `kept`: see `Interruption`."""

    def checked(interruption: Interruption) -> Awaitable[int]:
        if resource is not None:
            check_resource(resource)
        interruption.resource, interruption.kept = resource, kept
        return command(interruption)

    raise typer.Exit(run(checked, json=json))
