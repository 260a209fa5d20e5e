"""The commands: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Unpack

import typer

from zoho_async.bulk import PushOptions
from zoho_async.cli.console.error_report import report_error
from zoho_async.cli.console.exit_codes import ABORTED, USAGE
from zoho_async.cli.console.runner import Interruption, run
from zoho_async.cli.console.streams import best_effort

from .commands.call import CallArgs, call_command, operations_text
from .commands.columns import columns_command, template_command
from .commands.dry_run import dry_run_command
from .commands.mapping import map_command, presets_command
from .commands.pull import ChangesArgs, PullArgs, changes_command, pull_command
from .commands.push import PushArgs, push_command
from .commands.state import ids_command, images_command, runs_command, show_command
from .fleet_app import fleet
from .profiles import limits
from .push_flags import with_push_options

app = typer.Typer(
    name="zoho-async",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Contacts and customers of Zoho's finance products: push, pull, call.",
    epilog="Credentials: ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN, or ZOHO_ACCESS_TOKEN; "
    "ZOHO_ORGANIZATION_ID; or --profile. Exit codes: 0 done, 1 aborted, 2 usage or unreadable input, 3 some rows "
    "failed or unknown, 4 no access, 5 the day's calls are used up, 130 interrupted.",
)

runs = typer.Typer(help="The runs of pushes, and the rows they have left.")
app.add_typer(runs, name="runs")
app.add_typer(fleet, name="fleet")
presets = typer.Typer(help="Mappings for the exports of other programs.")
app.add_typer(presets, name="presets")


class DetailsChoice(StrEnum):
    """How much of each record is read."""

    none = "none"
    changed = "changed"
    all = "all"


class ChangeDetailsChoice(StrEnum):
    """How much of each changed record is read."""

    none = "none"
    changed = "changed"


class DeletesChoice(StrEnum):
    """When a pull looks for records that are deleted in Zoho."""

    auto = "auto"
    off = "off"
    now = "now"


class ShapeChoice(StrEnum):
    """How the fake's responses are written."""

    live = "live"
    documented = "documented"
    clean = "clean"


ProductName = Annotated[str, typer.Argument(metavar="PRODUCT", help="for example books")]
ResourceName = Annotated[str, typer.Argument(metavar="RESOURCE", help="for example contacts")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable: data on stdout, progress on stderr.")]
PerMinute = Annotated[
    int | None, typer.Option("--per-minute", min=0, metavar="N", help="Calls a minute at most; 0 is no limit. [95]")
]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, metavar="N", help="Calls in flight at most.")]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="A section of ~/.config/zoho-async/config.toml.")
]
Redis = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", help="Share limits, tokens and leases with other hosts through this Redis."),
]


@app.command()
@with_push_options
def push(
    product: ProductName,
    resource: ResourceName,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE|-", help="CSV, JSON Lines, JSON or .xlsx. [with --retry: the file of that run]"
        ),
    ] = None,
    mapping: Annotated[
        str | None, typer.Option("--map", metavar="FILE.toml", help="What becomes of the file's columns.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="A mapping that comes along; see `presets`.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", metavar="NAME", help="Of the file, for example cp1252. [utf-8]")
    ] = None,
    retry: Annotated[
        int | None, typer.Option("--retry", min=1, metavar="RUN", help="Only the rows that this run has left.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    reserve: Annotated[int, typer.Option("--reserve", min=0, metavar="N", help="Calls a day left to others.")] = 0,
    json: Json = False,
    per_minute: PerMinute = None,
    profile: Profile = None,
    redis: Redis = None,
    **options: Unpack[PushOptions],
) -> None:
    """Send rows of a file: each exactly once in effect. Run the same command again to go on where it ended.

    Columns are fields such as contact_name, billing_address.city, contact_persons[0].email, and custom fields by
    their name: cf_region. Rows that fail go, with the reason, into FILE.failed beside the input.
    """
    if file is None and retry is None:
        raise typer.BadParameter("name the file to push, or a run with --retry", param_hint="--from")
    if mapping is not None and preset is not None:
        raise typer.BadParameter("is a mapping too: give either one", param_hint="--preset")
    if file is None and (mapping or preset or encoding):
        raise typer.BadParameter("name the file too", param_hint="--from")
    args = PushArgs(
        name=f"{product}.{resource}",
        file=file,
        retry=retry,
        mapping=Path(mapping) if mapping is not None else preset,
        encoding=encoding,
        options=options,
        json=json,
        limits=limits(per_minute, options.get("concurrency"), reserve),
        profile=profile,
        redis=redis,
    )
    if not dry_run:
        # A push goes on without its output; a plan is nothing else.
        best_effort()
    command = dry_run_command if dry_run else push_command
    _finish(lambda interruption: command(args, interruption), json=json)


@app.command()
def pull(
    product: ProductName,
    resource: ResourceName,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help=".sqlite, .db, .jsonl, .ndjson or .csv")],
    full: Annotated[
        bool, typer.Option("--full", help="Remove records from the SQLite file that are deleted in Zoho.")
    ] = (False),
    details: Annotated[
        DetailsChoice, typer.Option("--details", help="Read each record in full: one call each.")
    ] = DetailsChoice.none,
    max_deleted: Annotated[
        str, typer.Option("--max-deleted", metavar="N%", help="Refuse a list that lacks more of the file's records.")
    ] = "20%",
    max_calls: Annotated[
        int | None,
        typer.Option("--max-calls", min=1, metavar="N", help="Most calls; the next pull goes on. SQLite only."),
    ] = None,
    deletes: Annotated[
        DeletesChoice, typer.Option("--deletes", help="When to look for records that are deleted in Zoho. SQLite only.")
    ] = DeletesChoice.auto,
    json: Json = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Bring a file up to date with a list: SQLite by what has changed, the others in full."""
    args = PullArgs(
        name=f"{product}.{resource}",
        to=to,
        details=details.value,
        full=full,
        max_deleted=max_deleted,
        max_calls=max_calls,
        deletes=deletes.value,
        json=json,
        limits=limits(per_minute, concurrency),
        profile=profile,
        redis=redis,
    )
    _finish(lambda _: pull_command(args), json=json)


@app.command()
def changes(
    product: ProductName,
    resource: ResourceName,
    state: Annotated[Path, typer.Option("--state", metavar="FILE", help="A JSON file; made by the first run.")],
    details: Annotated[
        ChangeDetailsChoice, typer.Option("--details", help="Read each changed record in full: one call each.")
    ] = ChangeDetailsChoice.none,
    max_deleted: Annotated[
        str, typer.Option("--max-deleted", metavar="N%", help="Refuse a list that lacks more known records.")
    ] = "20%",
    max_calls: Annotated[
        int | None, typer.Option("--max-calls", min=1, metavar="N", help="Most calls; the next run goes on.")
    ] = None,
    deletes: Annotated[
        DeletesChoice, typer.Option("--deletes", help="When to look for records that are deleted in Zoho.")
    ] = DeletesChoice.auto,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Write what has changed since the last run, one JSON object a line."""
    args = ChangesArgs(
        name=f"{product}.{resource}",
        state=state,
        details=details.value,
        max_deleted=max_deleted,
        max_calls=max_calls,
        deletes=deletes.value,
        limits=limits(per_minute, concurrency),
        profile=profile,
        redis=redis,
    )
    _finish(lambda _: changes_command(args), json=False)


@app.command()
def ids(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="CSV: source key, target, part, its key, Zoho's id.")
    ],
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
) -> None:
    """Write which row has become which record, its persons and addresses included."""
    _finish(lambda _: ids_command(state, to), json=False)


@runs.callback(invoke_without_command=True)
def list_runs(
    context: typer.Context,
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
    json: Json = False,
) -> None:
    """List the runs of pushes, the newest first."""
    if context.invoked_subcommand is None:
        _finish(lambda _: runs_command(state, json=json), json=json)


@runs.command("show")
def show_run(
    run: Annotated[int, typer.Argument(metavar="RUN")],
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
    json: Json = False,
) -> None:
    """Show a run and the rows that it has left."""
    _finish(lambda _: show_command(state, run, json=json), json=json)


@runs.command("images")
def run_images(
    run: Annotated[int, typer.Argument(metavar="RUN")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="JSON Lines: target, record's id, time, record.")],
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
) -> None:
    """Write the records that a run has changed, as they were before."""
    _finish(lambda _: images_command(state, run, to), json=False)


@app.command()
def call(
    operation_id: Annotated[str, typer.Argument(metavar="OPERATION_ID", help="for example books.contacts.get")],
    path: Annotated[list[str] | None, typer.Option("-p", "--path", metavar="NAME=VALUE")] = None,
    query: Annotated[list[str] | None, typer.Option("-q", "--query", metavar="NAME=VALUE")] = None,
    header: Annotated[list[str] | None, typer.Option("-H", "--header", metavar="NAME=VALUE")] = None,
    body: Annotated[str | None, typer.Option("--body", metavar="JSON|@FILE")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="[NAME=]PATH", help="Send that file; its part's name, where there are several."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", metavar="PATH", help="Write the response there.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every row of a paged list, one a line.")] = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Execute one operation; Zoho's response goes to stdout as it came."""
    args = CallArgs(
        operation_id=operation_id,
        path=path or [],
        query=query or [],
        headers=header or [],
        body=body,
        files=file or [],
        output=output,
        every=every,
        limits=limits(per_minute, concurrency),
        profile=profile,
        redis=redis,
    )
    _finish(lambda interruption: call_command(args, interruption), json=False)


@app.command()
def operations(json: Json = False) -> None:
    """List every operation that `call` can execute."""
    sys.stdout.write(operations_text(json=json))


@app.command("map")
def map_file(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    product: Annotated[str, typer.Argument(metavar="[PRODUCT")] = "books",
    resource: Annotated[str, typer.Argument(metavar="RESOURCE]")] = "contacts",
    encoding: Annotated[
        str | None, typer.Option("--encoding", metavar="NAME", help="Of the file, for example cp1252. [utf-8]")
    ] = None,
) -> None:
    """Draft a mapping from the header of a file, as TOML on stdout; no call is made."""
    _finish(lambda interruption: map_command(str(file), f"{product}.{resource}", encoding, interruption), json=False)


@presets.callback(invoke_without_command=True)
def list_presets(context: typer.Context) -> None:
    """List the mappings that come along."""
    if context.invoked_subcommand is None:
        _finish(lambda interruption: presets_command(None, interruption), json=False)


@presets.command("show")
def show_preset(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Write a preset, to make a mapping of it."""
    _finish(lambda interruption: presets_command(name, interruption), json=False)


@app.command()
def columns(product: ProductName, resource: ResourceName, json: Json = False) -> None:
    """List every column that rows may have, with type, limit and values."""
    _finish(lambda interruption: columns_command(f"{product}.{resource}", interruption, json=json), json=json)


@app.command()
def template(product: ProductName, resource: ResourceName) -> None:
    """Write a header with the common columns."""
    _finish(lambda interruption: template_command(f"{product}.{resource}", interruption), json=False)


@app.command()
def fake(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0 picks a free one.")] = 0,
    per_minute: Annotated[int, typer.Option("--per-minute", min=0, metavar="N", help="0 is no limit.")] = 100,
    per_day: Annotated[int, typer.Option("--per-day", min=0, metavar="N", help="0 is no limit.")] = 0,
    concurrency: Annotated[int, typer.Option("--concurrency", min=0, metavar="N", help="0 is no limit.")] = 0,
    organization: Annotated[
        list[str] | None, typer.Option("--organization", metavar="ID", help="May be given several times.")
    ] = None,
    unique: Annotated[
        list[str] | None,
        typer.Option("--unique", metavar="cf_NAME", help="Custom field without duplicates. [cf_external_id]"),
    ] = None,
    shape: Annotated[ShapeChoice, typer.Option("--shape", help="How responses are written.")] = ShapeChoice.live,
    data_center: Annotated[str, typer.Option("--data-center", metavar="NAME")] = "us",
) -> None:
    """Run a Zoho on this machine, to try things out; prints one line of JSON with its address and credentials.

    Control it over HTTP: GET /_fake says how.
    """
    from zoho_async.fake import serve

    try:
        serve(
            port=port,
            organizations=organization,
            per_minute=per_minute,
            per_day=per_day,
            concurrency=concurrency,
            unique=unique,
            shape=shape.value,
            data_center=data_center,
        )
    except OSError as error:
        report_error(OSError(f"port {port}: {error.strerror or error}"), json=False)
        raise typer.Exit(ABORTED) from None
    except ValueError as error:
        report_error(error, json=False)
        raise typer.Exit(USAGE) from None


def _finish(command: Callable[[Interruption], Awaitable[int]], *, json: bool) -> None:
    raise typer.Exit(run(command, json=json))
