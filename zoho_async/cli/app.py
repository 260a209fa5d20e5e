"""The commands: parse, call, print."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Unpack

import typer

from zoho_async import __version__
from zoho_async.bulk import PushOptions
from zoho_async.cli.console.exit_codes import DONE
from zoho_async.cli.console.streams import best_effort
from zoho_async.cli.console.verbosity import be_quiet, be_verbose

from .access import add_access_commands
from .commands.call import CallArgs, call_command, operation_command, operations_command
from .commands.columns import columns_command, template_command
from .commands.dry_run import dry_run_command
from .commands.mapping import map_command, presets_command
from .commands.pull import ChangesArgs, PullArgs, changes_command, dry_pull_command, pull_command
from .commands.push import PushArgs, push_command
from .commands.state import ids_command, images_command, runs_command, show_command
from .fleet_app import fleet
from .options import (
    Concurrency,
    Json,
    OperationId,
    PerMinute,
    ProductName,
    Profile,
    Redis,
    ReportTo,
    ResourceName,
    complete_operation,
    finish,
)
from .profiles import limits
from .push_flags import with_push_options

app = typer.Typer(
    name="zoho-async",
    no_args_is_help=True,
    # Markup would take [utf-8] for a style and leave it out.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Contacts and customers of Zoho's finance products: push, pull, call.",
    epilog="Credentials: ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN, or ZOHO_ACCESS_TOKEN; "
    "ZOHO_ORGANIZATION_ID; or --profile. Exit codes: 0 done, 1 aborted, 2 usage or unreadable input, 3 some rows "
    "failed or unknown, 4 no access, 5 the day's calls are used up, 130 interrupted.",
)


def _show_version(given: bool) -> None:
    if given:
        sys.stdout.write(f"zoho-async {__version__}\n")
        raise typer.Exit(DONE)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Report every request; after a command too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Report errors only; after a command too.")] = False,
) -> None:
    """Contacts and customers of Zoho's finance products: push, pull, call."""
    if verbose:
        be_verbose(json="--json" in sys.argv[1:])
    if quiet:
        be_quiet()


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
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE.csv", help="With --dry-run: write what would be done with every row."),
    ] = None,
    reserve: Annotated[int, typer.Option("--reserve", min=0, metavar="N", help="Calls a day left to others.")] = 0,
    report: ReportTo = None,
    json: Json = False,
    per_minute: PerMinute = None,
    profile: Profile = None,
    redis: Redis = None,
    **options: Unpack[PushOptions],
) -> None:
    """Send rows of a file, each exactly once in effect.

    Run the same command again to go on where it ended.

    Columns are fields such as contact_name, billing_address.city, contact_persons[0].email, and custom fields by
    their name: cf_region. Rows that fail go, with the reason, into FILE.failed beside the input.
    """
    if file is None and retry is None:
        raise typer.BadParameter("name the file to push, or a run with --retry", param_hint="--from")
    if mapping is not None and preset is not None:
        raise typer.BadParameter("is a mapping too, as --map: give either one", param_hint="--preset")
    if report is not None and dry_run:
        raise typer.BadParameter("is of a push; a dry run has none", param_hint="--report")
    if file is None and (mapping or preset or encoding):
        raise typer.BadParameter("name the file too", param_hint="--from")
    if to is not None and not dry_run:
        raise typer.BadParameter("only a dry run writes decisions", param_hint="--to")
    args = PushArgs(
        name=f"{product}.{resource}",
        file=file,
        retry=retry,
        mapping=Path(mapping) if mapping is not None else preset,
        encoding=encoding,
        decisions=to,
        options=options,
        json=json,
        limits=limits(per_minute, options.get("concurrency"), reserve),
        profile=profile,
        report=report,
        redis=redis,
    )
    if not dry_run:
        # A push goes on without its output; a plan is nothing else.
        best_effort()
    command = dry_run_command if dry_run else push_command
    kept = "nothing was written" if dry_run else "what is done is kept, and the same command goes on from there"
    finish(lambda interruption: command(args, interruption), json=json, resource=args.name, kept=kept)


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
    every: Annotated[
        str | None, typer.Option("--every", metavar="15m", help="Pull again and again: 30s, 15m, 6h, 1d.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many calls it needs, in at most three; write nothing.")
    ] = False,
    reserve: Annotated[int, typer.Option("--reserve", min=0, metavar="N", help="Calls a day left to others.")] = 0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the next day's calls when those of this one are used up.")
    ] = False,
    report: ReportTo = None,
    json: Json = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Bring a file up to date with a list.

    SQLite by what has changed, CSV and JSON Lines in full.
    """
    if report is not None and dry_run:
        raise typer.BadParameter("is of a pull; a dry run has none", param_hint="--report")
    args = PullArgs(
        name=f"{product}.{resource}",
        to=to,
        details=details.value,
        full=full,
        max_deleted=max_deleted,
        max_calls=max_calls,
        deletes=deletes.value,
        every=every,
        wait=wait,
        json=json,
        limits=limits(per_minute, concurrency, reserve),
        profile=profile,
        report=report,
        redis=redis,
    )
    command = dry_pull_command if dry_run else pull_command
    finish(lambda _: command(args), json=json)


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
    own: Annotated[
        Path | None, typer.Option("--own", metavar="STATE", help="Leave out what the pushes of this state file wrote.")
    ] = None,
    singer: Annotated[bool, typer.Option("--singer", help="Write Singer messages, for Meltano's targets.")] = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Write what has changed since the last run, as JSON Lines."""
    args = ChangesArgs(
        name=f"{product}.{resource}",
        state=state,
        details=details.value,
        max_deleted=max_deleted,
        max_calls=max_calls,
        deletes=deletes.value,
        own=own,
        singer=singer,
        limits=limits(per_minute, concurrency),
        profile=profile,
        redis=redis,
    )
    finish(lambda _: changes_command(args), json=False, kept="what is not committed comes with the next run")


@app.command()
def ids(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="CSV: source key, target, part, its key, Zoho's id.")
    ],
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
) -> None:
    """Write which row is which record, person and address now."""
    finish(lambda _: ids_command(state, to), json=False)


@runs.callback(invoke_without_command=True)
def list_runs(
    context: typer.Context,
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
    json: Json = False,
) -> None:
    """List the runs of pushes, the newest first."""
    if context.invoked_subcommand is None:
        finish(lambda _: runs_command(state, json=json), json=json)


@runs.command("show")
def show_run(
    run: Annotated[int, typer.Argument(metavar="RUN", help="Its number; see `runs`.")],
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
    json: Json = False,
) -> None:
    """Show a run and the rows that it has left."""
    finish(lambda _: show_command(state, run, json=json), json=json)


@runs.command("images")
def run_images(
    run: Annotated[int, typer.Argument(metavar="RUN", help="Its number; see `runs`.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="JSON Lines: target, record's id, time, record.")],
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="[all of this folder]")] = None,
) -> None:
    """Write the records that a run has changed, as they were before."""
    finish(lambda _: images_command(state, run, to), json=False)


@app.command()
def call(
    operation_id: OperationId,
    path: Annotated[
        list[str] | None, typer.Option("-p", "--path", metavar="NAME=VALUE", help="A path parameter; repeatable.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("-q", "--query", metavar="NAME=VALUE", help="A query parameter.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("-H", "--header", metavar="NAME=VALUE", help="A header parameter.")
    ] = None,
    body: Annotated[
        str | None, typer.Option("--body", metavar="JSON|@FILE", help="The body, or a file that has it.")
    ] = None,
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
    """Execute one operation and write Zoho's response.

    Into a pipe or a file it goes as it came; on a terminal JSON is indented.
    """
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
    finish(lambda interruption: call_command(args, interruption), json=False)


@app.command()
def operations(
    word: Annotated[
        str | None, typer.Argument(metavar="WORD", help="Only those that contain it; `show`: the one named next.")
    ] = None,
    operation_id: Annotated[
        str | None, typer.Argument(metavar="OPERATION_ID", help="After `show`.", autocompletion=complete_operation)
    ] = None,
    json: Json = False,
) -> None:
    """List the operations of `call`, or those that contain WORD.

    `operations show OPERATION_ID` says what one takes and how to call it.
    """
    if word == "show" and operation_id is None:
        raise typer.BadParameter("`show` needs the id of an operation", param_hint="OPERATION_ID")
    if operation_id is not None and word != "show":
        raise typer.BadParameter("give one word, or `show` and an OPERATION_ID", param_hint="WORD")
    if operation_id is not None:
        finish(lambda interruption: operation_command(operation_id, interruption, json=json), json=json)
    finish(lambda interruption: operations_command(word, interruption, json=json), json=json)


@app.command("map")
def map_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its header is read.")],
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="What it is to be pushed to.")] = "books",
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="What it is to be pushed to.")] = "contacts",
    encoding: Annotated[
        str | None, typer.Option("--encoding", metavar="NAME", help="Of the file, for example cp1252. [utf-8]")
    ] = None,
) -> None:
    """Draft a mapping from the header of a file; makes no call."""
    name = f"{product}.{resource}"
    finish(lambda interruption: map_command(str(file), name, encoding, interruption), json=False, resource=name)


@presets.callback(invoke_without_command=True)
def list_presets(context: typer.Context) -> None:
    """List the mappings that come along."""
    if context.invoked_subcommand is None:
        finish(lambda interruption: presets_command(None, interruption), json=False)


@presets.command("show")
def show_preset(name: Annotated[str, typer.Argument(metavar="NAME", help="One of `presets`.")]) -> None:
    """Write a preset, to make a mapping of it."""
    finish(lambda interruption: presets_command(name, interruption), json=False)


@app.command()
def columns(product: ProductName, resource: ResourceName, json: Json = False) -> None:
    """List the columns that rows may have, with type and limit."""
    name = f"{product}.{resource}"
    finish(lambda interruption: columns_command(name, interruption, json=json), json=json, resource=name)


@app.command()
def template(product: ProductName, resource: ResourceName) -> None:
    """Write a header with the common columns."""
    name = f"{product}.{resource}"
    finish(lambda interruption: template_command(name, interruption), json=False, resource=name)


add_access_commands(app)
