"""`zoho-async doctor`: looks at everything that a call needs."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import (
    DATA_CENTERS,
    ConfigError,
    MemoryStore,
    Response,
    TokenStore,
    Zoho,
    ZohoError,
    operations,
    proxy_for,
)
from zoho_async.cli import profile_file
from zoho_async.cli.console.exit_codes import SetupError
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.console.streams import json_line
from zoho_async.cli.console.tables import has_colours, plain
from zoho_async.cli.profiles import AccountSettings, client, credentials, state_folder, token_store
from zoho_async.cli.scope_sets import organizations_path, organizations_scope

from .account import AccountArgs, rows_of
from .diagnosis import (
    Check,
    check_clock,
    check_organization,
    check_quota,
    check_scopes,
    check_unique_fields,
    diagnose,
    doctor_exit_code,
    failed,
    list_scope,
    login_instead,
    setting_help,
    setup_fault,
    skipped,
)

_COLOURS = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}
_TIMEOUT_S = 20.0


async def doctor_command(args: AccountArgs, products: Sequence[str], interruption: Interruption) -> int:
    """Makes every check, reports it, and ends with the code of what was found."""
    profile, json = args.profile, args.json
    checks: list[Check] = []

    def add(*found: Check) -> None:
        for check in found:
            of_environment = profile is None and not os.environ.get("ZOHO_PROFILE")
            help = login_instead(check.help, os.environ) if of_environment else check.help
            one = msgspec.structs.replace(check, help=help)
            checks.append(one)
            sys.stdout.write(json_line(msgspec.structs.asdict(one)) if json else _text(one))
            sys.stdout.flush()

    add(_check_profile_file())
    try:
        found = credentials(profile)
        # Without its folder the tokens are of this run only, and the other checks go on.
        store: TokenStore = MemoryStore() if unwritable(state_folder()) else token_store(found.environ)
        options: dict[str, Any] = {"retries": 0, "max_wait": 0.0, "timeout": _TIMEOUT_S}
        zoho = client(found, allowed=args.allowed, store=store, redis=args.redis, **options)
    except SetupError as error:
        fault = setup_fault(str(error))
        help = (setting_help(str(error)) if fault == "settings" else "") or error.help or "zoho-async login"
        add(failed("credentials", fault, str(error), help))
    else:
        kind = "a refresh token" if found.environ.get("ZOHO_REFRESH_TOKEN") else "a static access token"
        place = f"profile {found.profile}" if found.profile is not None else "the environment"
        add(Check(check="credentials", status="ok", message=f"{kind} from {place}"))
        add(_check_addresses(found.environ))
        async with zoho:
            for one in await _check_calls(zoho, found, store, products):
                add(one)
    add(*_check_folders())
    if not json:
        sys.stdout.write(_summary(checks))
    return doctor_exit_code(checks)


async def _check_calls(zoho: Zoho, found: AccountSettings, store: TokenStore, products: Sequence[str]) -> list[Check]:
    """The checks that need calls: the first that fails ends them, unless it is one of a scope."""
    center = "" if found.environ.get("ZOHO_API_URL") else found.environ.get("ZOHO_DATA_CENTER") or "us"
    checks: list[Check] = []

    async def explained(error: ZohoError, scope: str) -> Check:
        granted = await _granted(store)
        return diagnose(error, option=found.option, scope=scope, granted=granted, center=center)

    product = products[0]
    try:
        response: Response[Any] = await zoho.with_options(organization_id=None).request(
            "GET", organizations_path(product)
        )
    except ZohoError as error:
        check = await explained(error, organizations_scope(product))
        checks.append(check)
        if check.fault != "missing_scope":
            return checks
    else:
        checks.append(Check(check="token", status="ok", message="Zoho accepts it"))
        checks.append(Check(check="host", status="ok", message=f"{_host(found.environ)} responds"))
        checks.append(check_clock(response.headers.get("Date"), datetime.now(UTC)))
        checks.append(check_organization(rows_of(response, "organizations"), zoho.organization_id, found))
        if checks[-1].status == "failed":
            return checks
    granted = await _granted(store)
    checks += check_scopes(granted, products, found.option)
    for one in products:
        listing = next(
            (item for item in operations() if item.id in (f"{one}.contacts.list", f"{one}.customers.list")), None
        )
        if listing is None:
            continue
        try:
            await zoho.send(listing, query={"per_page": 1})
        except ZohoError as error:
            check = await explained(error, list_scope(one))
            if (check.check, check.fault) not in {(known.check, known.fault) for known in checks}:
                checks.append(check)
            if check.check == "quota":
                return checks
        else:
            checks.append(Check(check="list", status="ok", message=f"{listing.id} can be read"))
    checks.append(check_quota(zoho.quota, found.option))
    if "books" in products:
        checks.append(await _check_unique_fields(zoho))
    return checks


async def _check_unique_fields(zoho: Zoho) -> Check:
    try:
        response = await zoho.request("GET", "/books/v3/settings/customfields", query={"entity": "contact"})
    except ZohoError as error:
        return skipped("unique fields", f"the custom fields cannot be read: {error}")
    return check_unique_fields(rows_of(response, "customfields"))


async def _granted(store: TokenStore) -> tuple[str, ...]:
    """The scopes that the token response named; none for a static token, which is in no store."""
    try:
        token = (await store.load()).token
    except ConfigError:
        return ()
    return token.scopes if token is not None else ()


def _check_profile_file() -> Check:
    path = profile_file.profile_path()
    if not path.exists():
        return skipped("profile file", f"{path} does not exist")
    if not profile_file.is_private(path):
        return failed("profile file", "readable_by_others", f"others can read {path}", f"chmod 600 {path}")
    return Check(check="profile file", status="ok", message=str(path))


def _addresses(environ: Mapping[str, str]) -> tuple[str, str]:
    center = DATA_CENTERS[environ.get("ZOHO_DATA_CENTER") or "us"]
    api = environ.get("ZOHO_API_URL")
    return api or center.api_url, environ.get("ZOHO_ACCOUNTS_URL") or api or center.accounts_url


def _host(environ: Mapping[str, str]) -> str:
    return _addresses(environ)[0].partition("//")[2].partition("/")[0]


def _check_addresses(environ: Mapping[str, str]) -> Check:
    api, accounts = _addresses(environ)
    try:
        proxies = dict.fromkeys(filter(None, (proxy_for(api), proxy_for(accounts))))
    except ConfigError as error:
        return failed("host", "proxy", str(error), "check HTTPS_PROXY: env | grep -i _proxy")
    name = "configured addresses" if environ.get("ZOHO_API_URL") else environ.get("ZOHO_DATA_CENTER") or "us"
    hosts = f"API and accounts {api}" if api == accounts else f"API {api}, accounts {accounts}"
    through = f"through the proxy {' and '.join(proxies)}" if proxies else "without a proxy"
    return Check(check="data centre", status="ok", message=f"{name}: {hosts}, {through}")


def _check_folders() -> list[Check]:
    folders = {
        "state folder": (state_folder(), "set XDG_STATE_HOME to a folder that can be written"),
        "limits folder": (state_folder() / "limits", "set XDG_STATE_HOME to a folder that can be written"),
        "working folder": (Path.cwd(), "cd into a folder that can be written, or give push --state FILE"),
    }
    checks: list[Check] = []
    for name, (folder, help) in folders.items():
        reason = unwritable(folder)
        if reason:
            checks.append(failed(name, "unwritable_folder", f"{folder} cannot be written: {reason}", help))
        else:
            checks.append(Check(check=name, status="ok", message=f"{folder} can be written"))
    return checks


def unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, or where it would be made; empty when it can."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


def _text(one: Check) -> str:
    word = f"{one.status:<8}"
    if has_colours():
        word = f"\x1b[{_COLOURS[one.status]}m{word}\x1b[0m"
    help = f"{'':<8}  help: {plain(one.help)}\n" if one.help else ""
    return f"{word}  {one.check}: {plain(one.message)}\n{help}"


def _summary(checks: Sequence[Check]) -> str:
    counts = {status: sum(one.status == status for one in checks) for status in ("failed", "warning")}
    if not any(counts.values()):
        return "\nNothing is wrong.\n"
    return f"\n{counts['failed']} failed, {counts['warning']} to look at.\n"
