"""`zoho-async login`: from a client id to a profile that works."""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from zoho_async import DATA_CENTERS, AuthError, MemoryStore, OAuth, UnavailableError, Zoho, ZohoError
from zoho_async.cli import profile_file
from zoho_async.cli.console.exit_codes import DONE, ArgumentError, SetupError
from zoho_async.cli.console.prompts import ask, choose, tell
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.console.streams import json_line
from zoho_async.cli.console.tables import plain
from zoho_async.cli.console.verbosity import is_quiet
from zoho_async.cli.profiles import AccountSettings, credentials, forget_tokens
from zoho_async.cli.scope_sets import missing_scopes, organizations_path, organizations_scope

from .account import rows_of
from .grant import (
    Redirect,
    accounts_address,
    check_data_center,
    choose_organization,
    consent_address,
    console_address,
    data_center_of,
    explain_refusal,
    fake_hint,
)
from .redirect import redirect_listener

CODE_VARIABLE = "ZOHO_GRANT_CODE"
STDIN = "-"
_CLIENT_ID, _CLIENT_SECRET = "ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET"


class LoginArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command. Its repr shows no secrets."""

    profile: str
    data_center: str | None
    find_data_center: bool
    client_id: str | None
    client_secret: str | None
    code: str | None
    browser: bool
    port: int
    timeout: float
    scope: str
    products: tuple[str, ...]
    organization_id: str | None
    api_url: str | None
    accounts_url: str | None
    keyring: bool
    json: bool

    def __repr__(self) -> str:
        return f"LoginArgs(***, profile={self.profile!r})"

    @property
    def configured(self) -> str | None:
        """The configured accounts server: an API on this machine is one too."""
        return self.accounts_url or self.api_url

    def options(self, data_center: str) -> dict[str, Any]:
        """Where a client finds the accounts server and the API."""
        return {"data_center": data_center, "api_url": self.api_url, "accounts_url": self.configured, "retries": 0}


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a code was exchanged for. Its repr shows no token."""

    data_center: str
    refresh_token: str
    scopes: tuple[str, ...]
    organizations: list[dict[str, Any]]
    reason: str
    """Why there are no organisations; empty when there are."""

    def __repr__(self) -> str:
        return f"Granted(***, {self.data_center})"


async def login_command(args: LoginArgs, interruption: Interruption) -> int:
    """Logs in and writes the profile."""
    profile_file.check_name(args.profile)
    if args.browser and (args.code or args.find_data_center):
        other = "--code" if args.code else "--find-data-center"
        raise ArgumentError(f"--browser and {other} exclude each other", "give either one")
    if args.find_data_center and args.configured:
        raise ArgumentError("--find-data-center: the address of the accounts server is given", "leave one of them out")
    data_center = _data_center(args)
    # Before a code is spent that works once.
    profile_file.check_writable()
    client_id, client_secret = _client(args, data_center)
    if args.browser:
        granted = await _by_browser(args, data_center, client_id, client_secret)
    else:
        granted = await _by_code(args, data_center, client_id, client_secret)
    error = ""
    try:
        organization_id = _organization(args, granted)
    except (SetupError, ArgumentError) as failed:
        # The code is spent: what it was exchanged for is kept.
        organization_id, error = "", str(failed)
    values = {
        "client_id": client_id,
        "client_secret": client_secret,
        "refresh_token": granted.refresh_token,
        "organization_id": organization_id,
        "data_center": granted.data_center if args.configured is None else "",
        "api_url": args.api_url or "",
        "accounts_url": args.accounts_url or "",
    }
    if profile_file.has_profile(args.profile):
        # The token of the credentials that are replaced would stay behind.
        with suppress(SetupError):
            forget_tokens(credentials(args.profile))
    kept = profile_file.write_profile(args.profile, values, keyring=args.keyring)
    _report(args, granted, organization_id, kept)
    if error:
        profile = AccountSettings({}, args.profile)
        ids = [str(one.get("organization_id", "")) for one in granted.organizations] or ["..."]
        lines = " or ".join(profile.setting("organization_id", one) for one in ids[:3])
        help = f"write {lines}; at the next login: --organization-id ID"
        raise SetupError(f"logged in, but without an organisation: {error}", help)
    return DONE


def _data_center(args: LoginArgs) -> str:
    """The data centre to begin with."""
    if args.data_center is not None:
        return check_data_center(args.data_center)
    if args.configured is not None or args.find_data_center:
        return next(iter(DATA_CENTERS))
    if args.browser:
        # Its consent page sends people of all data centres on to their own.
        return next(iter(DATA_CENTERS))
    names = list(DATA_CENTERS)
    tell("In which data centre is the account? The address of Zoho in your browser ends in the same way.")
    places = [f"{name}  {DATA_CENTERS[name].accounts_url.removeprefix('https://accounts.')}" for name in names]
    return names[choose("Data centre", places, option=f"--data-center {'|'.join(names)}")]


def _client(args: LoginArgs, data_center: str) -> tuple[str, str]:
    """Client id and secret: options, environment, or what is typed."""
    client_id = args.client_id or os.environ.get(_CLIENT_ID, "")
    client_secret = args.client_secret or os.environ.get(_CLIENT_SECRET, "")
    if not client_id:
        kind = "Server-based application" if args.browser else "Self Client"
        tell(f"Make a client of the kind `{kind}` at {console_address(data_center)} (once).")
        client_id = ask("Client id", option=f"--client-id, or {_CLIENT_ID}")
    if not client_secret:
        client_secret = ask("Client secret", option=f"{_CLIENT_SECRET}, or --client-secret", hidden=True)
    if not client_id or not client_secret:
        raise ArgumentError("client id and client secret must not be empty", f"set {_CLIENT_ID} and {_CLIENT_SECRET}")
    return client_id, client_secret


def _code(args: LoginArgs, data_center: str) -> str:
    """The grant code: standard input, option, environment, or what is typed."""
    if args.code == STDIN:
        code = sys.stdin.readline().strip()
    else:
        code = (args.code or os.environ.get(CODE_VARIABLE, "")).strip()
    if not code and args.code is None:
        tell(
            f"Generate a code at {console_address(data_center)} -> Self Client -> Generate Code"
            f"{fake_hint(args.configured)}, with the scope\n  {args.scope}\nand paste it here: it works once, and for "
            f"some minutes. (In scripts {CODE_VARIABLE} or `--code -` are safer than `--code CODE`, which other users "
            "of this machine can see.)"
        )
        code = ask("Code", option=f"{CODE_VARIABLE}, or --code - for standard input", hidden=True)
    if not code:
        raise ArgumentError("the code is empty", f"{CODE_VARIABLE}, or --code - for standard input")
    return code


async def _by_code(args: LoginArgs, data_center: str, client_id: str, client_secret: str) -> Granted:
    code = _code(args, data_center)
    if not args.find_data_center:
        return await _exchange_or_explain(args, data_center, client_id, client_secret, code)
    names = [name for name in DATA_CENTERS if args.data_center is None or name != args.data_center]
    names = names if args.data_center is None else [args.data_center, *names]
    tell(f"The client secret and the code are now sent to the accounts server of each of {', '.join(names)},")
    tell("one after another, until one accepts them.")
    reasons: list[str] = []
    for name in names:
        try:
            granted = await _exchange(args, name, client_id, client_secret, code)
        except (AuthError, UnavailableError) as error:
            reasons.append(f"{name}: {error.code or 'no connection'}")
            continue
        tell(f"It is {name}.")
        return granted
    text = f"no data centre accepts the client and the code ({', '.join(reasons)})"
    raise SetupError(text, "copy client id and secret again, generate another code, and log in once more")


async def _by_browser(args: LoginArgs, data_center: str, client_id: str, client_secret: str) -> Granted:
    state = secrets.token_urlsafe(32)
    async with redirect_listener(args.port, state) as listener:
        accounts = accounts_address(data_center, args.configured)
        address = consent_address(
            accounts, client_id=client_id, scope=args.scope, redirect_uri=listener.url, state=state
        )
        tell(f"The client must be registered with the redirect address {listener.url}")
        tell(f"Open this address in a browser of this machine, unless it opens by itself:\n\n  {address}\n")
        webbrowser.open(address)
        redirect: Redirect = await listener.wait(args.timeout)
        redirect_uri = listener.url
    if redirect.accounts_server:
        found = data_center_of(redirect.accounts_server, args.configured)
        if found is not None and args.data_center is not None and found != args.data_center:
            raise SetupError(f"the account is in the data centre {found}", f"--data-center {found}")
        data_center = found or data_center
    return await _exchange_or_explain(args, data_center, client_id, client_secret, redirect.code, redirect_uri)


async def _exchange_or_explain(
    args: LoginArgs, data_center: str, client_id: str, client_secret: str, code: str, redirect_uri: str = ""
) -> Granted:
    try:
        return await _exchange(args, data_center, client_id, client_secret, code, redirect_uri)
    except AuthError as error:
        explained = explain_refusal(error.code, data_center, args.configured, args.port)
        if explained is None:
            raise
        raise explained from error


async def _exchange(
    args: LoginArgs, data_center: str, client_id: str, client_secret: str, code: str, redirect_uri: str = ""
) -> Granted:
    """The refresh token for a code, and the organisations that it may see."""
    store = MemoryStore()
    auth = OAuth.from_code(client_id, client_secret, code, store=store, redirect_uri=redirect_uri)
    organizations: list[dict[str, Any]] = []
    reason = ""
    async with Zoho(auth, **args.options(data_center)) as zoho:
        try:
            response = await zoho.request("GET", organizations_path(args.products[0]))
            organizations = rows_of(response, "organizations")
        except ZohoError as error:
            stored = await store.load()
            if not stored.refresh_token:
                raise
            reason = str(error)
    stored = await store.load()
    if not stored.refresh_token:
        raise AuthError(
            "Zoho has issued no refresh token: revoke the access of this client in your Zoho account, and log in again"
        )
    scopes = stored.token.scopes if stored.token is not None else ()
    return Granted(
        data_center=data_center,
        refresh_token=stored.refresh_token,
        scopes=scopes,
        organizations=organizations,
        reason=reason,
    )


def _organization(args: LoginArgs, granted: Granted) -> str:
    """The organisation to work in. Raises SetupError or ArgumentError when it cannot be found out."""
    found = choose_organization(granted.organizations, args.organization_id)
    if found is not None:
        return found
    if not granted.organizations:
        scope = organizations_scope(args.products[0])
        why = granted.reason or "there is none"
        tell(f"warning: the organisations cannot be listed, which needs the scope {scope}: {why}")
        return ask("Organisation id", option="--organization-id ID")
    lines = [organization_line(one) for one in granted.organizations]
    place = choose("Organisation", lines, option="--organization-id ID")
    return str(granted.organizations[place].get("organization_id", ""))


def organization_line(one: Mapping[str, Any]) -> str:
    """An organisation for people."""
    country = one.get("country_code") or one.get("country") or ""
    return "  ".join(filter(None, (str(one.get("organization_id", "")), str(one.get("name", "")), str(country))))


def _report(args: LoginArgs, granted: Granted, organization_id: str, in_keyring: bool) -> None:
    missing = missing_scopes(granted.scopes, args.scope.split(",")) if granted.scopes else []
    path = profile_file.profile_path()
    name = next(
        (str(one.get("name", "")) for one in granted.organizations if one.get("organization_id") == organization_id), ""
    )
    if args.json:
        members = {
            "profile": args.profile,
            "organization_id": organization_id or None,
            "organization_name": name or None,
            "data_center": granted.data_center if args.configured is None else None,
            "scopes": list(granted.scopes),
            "missing_scopes": missing,
            "file": str(path),
            "keyring": in_keyring,
        }
        sys.stdout.write(json_line(members))
        return
    option = "" if args.profile == profile_file.DEFAULT else f" --profile {args.profile}"
    place = f"{path}, secrets in the keyring" if in_keyring else str(path)
    if missing:
        tell(f"warning: these scopes were not granted: {', '.join(missing)}")
    if is_quiet():
        return
    tell(f"Profile {args.profile}: {place}")
    if organization_id:
        tell(plain(f"Organisation {organization_id} {name}".rstrip()))
        tell(f"Try it: zoho-async doctor{option}")
