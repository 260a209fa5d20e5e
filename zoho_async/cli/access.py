"""The commands that get people in: login, logout, profiles, orgs, scopes, quota, doctor; and the fake."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .commands.account import AccountArgs, logout_command, orgs_command, profiles_command, quota_command, scopes_command
from .commands.doctor import doctor_command
from .commands.grant import check_data_center
from .commands.login import CODE_VARIABLE, LoginArgs, login_command
from .console.error_report import report_error
from .console.exit_codes import ABORTED, USAGE, ArgumentError
from .options import Concurrency, Json, PerMinute, Profile, Redis, complete_operation, complete_profile, finish
from .profile_file import DEFAULT
from .profiles import limits
from .scope_sets import PRODUCTS, PURPOSES, check_products, scopes_for


class ShapeChoice(StrEnum):
    """How the fake's responses are written."""

    live = "live"
    documented = "documented"
    clean = "clean"


def _complete_product(incomplete: str) -> list[str]:
    return [one for one in PRODUCTS if one.startswith(incomplete)]


def _complete_purpose(incomplete: str) -> list[str]:
    return [one for one in PURPOSES if one.startswith(incomplete)]


Products = Annotated[
    list[str] | None,
    typer.Option("--product", metavar="NAME", help="Repeatable. [books]", autocompletion=_complete_product),
]
OneProduct = Annotated[
    str, typer.Option("--product", metavar="NAME", help="Whose list is read.", autocompletion=_complete_product)
]
Purposes = Annotated[
    list[str] | None,
    typer.Option(
        "--for", metavar="push|pull|all", help="What you want to do; repeatable.", autocompletion=_complete_purpose
    ),
]

DataCenterName = Annotated[
    str | None,
    typer.Option(
        "--data-center", metavar="DC", envvar="ZOHO_DATA_CENTER", help="us, eu, in, au, jp, ca, cn, sa, uk or ae."
    ),
]
ClientId = Annotated[
    str | None, typer.Option("--client-id", metavar="ID", help="Of Zoho's API console. [ZOHO_CLIENT_ID]")
]
ClientSecret = Annotated[
    str | None,
    typer.Option(
        "--client-secret",
        metavar="SECRET",
        help="Other users can see it; safer is the variable ZOHO_CLIENT_SECRET.",
    ),
]
Code = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="CODE|-",
        help=f"A self-client code. Other users can see it; safer are the variable {CODE_VARIABLE} and `-`, "
        "standard input.",
    ),
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, metavar="N", help="For --browser: where it comes back; 0: any.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, metavar="SECONDS", help="For --browser: how long to wait for it.")
]
OrganizationId = Annotated[
    str | None,
    typer.Option("--organization-id", metavar="ID", help="Which one to work in, where there are several."),
]
ApiUrl = Annotated[
    str | None,
    typer.Option("--api-url", metavar="URL", envvar="ZOHO_API_URL", help="For a fake or a proxy server."),
]
Keyring = Annotated[
    bool, typer.Option("--keyring/--no-keyring", help="Keep secrets in the keyring, where there is one.")
]


def add_access_commands(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    for command in (login, logout, profiles, orgs, scopes, quota, doctor, fake):
        app.command()(command)


def login(
    profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="The profile to write.")] = DEFAULT,
    data_center: DataCenterName = None,
    find_data_center: Annotated[
        bool,
        typer.Option("--find-data-center", help="Try all in turn; the client secret is sent to each."),
    ] = False,
    client_id: ClientId = None,
    client_secret: ClientSecret = None,
    code: Code = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="Log in with a browser on this machine, not a code.")
    ] = False,
    port: Port = 8788,
    timeout: Timeout = 300,
    organization_id: OrganizationId = None,
    purposes: Purposes = None,
    products: Products = None,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="A,B", help="These scopes instead; see `scopes`.")
    ] = None,
    api_url: ApiUrl = None,
    accounts_url: Annotated[
        str | None, typer.Option("--accounts-url", metavar="URL", envvar="ZOHO_ACCOUNTS_URL", help="As --api-url.")
    ] = None,
    keyring: Keyring = True,
    json: Json = False,
) -> None:
    """Log in to Zoho and write a profile.

    With a self-client code from Zoho's API console, or with --browser. It asks for what no option says, for the fewest
    scopes that --for and --product need (push in books unless given), and for the organisation to work in.
    """

    def args() -> LoginArgs:
        chosen = check_products(products or ())
        return LoginArgs(
            profile=profile,
            data_center=data_center,
            find_data_center=find_data_center,
            client_id=client_id,
            client_secret=client_secret,
            code=code,
            browser=browser,
            port=port,
            timeout=timeout,
            scope=scope or scopes_for(purposes or ("push",), chosen),
            products=chosen,
            organization_id=organization_id,
            api_url=api_url or None,
            accounts_url=accounts_url or None,
            keyring=keyring,
            json=json,
        )

    finish(lambda interruption: login_command(args(), interruption), json=json)


def logout(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The profile.", autocompletion=complete_profile)
    ] = None,
    profile: Profile = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the refresh token at Zoho too.")] = False,
) -> None:
    """Remove a profile, its secrets and tokens from this machine."""
    finish(lambda interruption: logout_command(name or profile or DEFAULT, interruption, revoke=revoke), json=False)


def profiles(json: Json = False) -> None:
    """List the profiles."""
    finish(lambda interruption: profiles_command(interruption, json=json), json=json)


def orgs(
    product: OneProduct = "books",
    json: Json = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """List the organisations of these credentials."""
    args = AccountArgs(profile=profile, allowed=limits(per_minute, concurrency), redis=redis, json=json)
    finish(lambda interruption: orgs_command(args, check_products([product])[0], interruption), json=json)


def scopes(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="OPERATION_ID",
            help="Or patterns such as 'books.contacts.*'.",
            autocompletion=complete_operation,
        ),
    ] = None,
    purposes: Purposes = None,
    products: Products = None,
) -> None:
    """Show the fewest OAuth scopes that operations need. [all]"""

    async def command() -> int:
        return scopes_command(ids or (), purposes or (), check_products(products) if products else ())

    finish(lambda _: command(), json=False)


def quota(
    product: OneProduct = "books",
    json: Json = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Show the calls that are left of the day, at the cost of one."""
    args = AccountArgs(profile=profile, allowed=limits(per_minute, concurrency), redis=redis, json=json)
    finish(lambda interruption: quota_command(args, check_products([product])[0], interruption), json=json)


def doctor(
    products: Products = None,
    json: Json = False,
    per_minute: PerMinute = None,
    concurrency: Concurrency = 10,
    profile: Profile = None,
    redis: Redis = None,
) -> None:
    """Check all that a call needs, and say what to type.

    Credentials, hosts, organisation, scopes, clock, quota, custom fields without duplicates, folders.
    It costs some calls, changes nothing and ends with code 0 when nothing fails.
    """
    args = AccountArgs(profile=profile, allowed=limits(per_minute, concurrency), redis=redis, json=json)
    finish(lambda interruption: doctor_command(args, check_products(products or ()), interruption), json=json)


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
    custom_field: Annotated[
        list[str] | None,
        typer.Option("--custom-field", metavar="cf_NAME", help="Custom field; those of records are there too."),
    ] = None,
    shape: Annotated[ShapeChoice, typer.Option("--shape", help="How responses are written.")] = ShapeChoice.live,
    data_center: Annotated[str, typer.Option("--data-center", metavar="NAME", help="Its short name.")] = "us",
    env: Annotated[bool, typer.Option("--env", help='Lines for a shell: eval "$(zoho-async fake --env &)"')] = False,
) -> None:
    """Run a Zoho on this machine, to try things out.

    Into a pipe it prints one line of JSON with its address and credentials, on a terminal what to type. Control it over
    HTTP: GET /_fake says how.
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
            custom_fields=custom_field,
            shape=shape.value,
            data_center=check_data_center(data_center),
            env=env,
        )
    except OSError as error:
        reason = ArgumentError(f"port {port}: {error.strerror or error}", "--port 0 takes a free one")
        report_error(reason, json=False)
        raise typer.Exit(ABORTED) from None
    except ValueError as error:
        report_error(error, json=False)
        raise typer.Exit(USAGE) from None
