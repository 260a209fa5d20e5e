"""`zoho-async logout`, `profiles`, `orgs`, `scopes` and `quota`: what the credentials are and may do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from zoho_async import Limits, Quota, Response, ZohoError
from zoho_async.cli import profile_file
from zoho_async.cli.console.exit_codes import DONE, ArgumentError, SetupError
from zoho_async.cli.console.progress import explained_waits
from zoho_async.cli.console.prompts import tell
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.console.tables import write_objects, write_rows
from zoho_async.cli.console.verbosity import is_quiet
from zoho_async.cli.profiles import client, credentials, forget_tokens, state_folder
from zoho_async.cli.scope_sets import organizations_path, scopes_for, scopes_of


async def logout_command(name: str, interruption: Interruption, *, revoke: bool) -> int:
    """Removes a profile, its secrets and its tokens."""
    names = profile_file.profile_names()
    if name not in names:
        profile_file.read_profile(name)  # says why there is none
    try:
        found = credentials(name)
    except SetupError as error:
        # Without its keys it is not known which token is kept for it.
        profile_file.delete_profile(name)
        text = f"profile `{name}` is removed, but perhaps not its access token: {error}"
        raise SetupError(text, f"rm {state_folder()}/token-*") from None
    if revoke:
        async with client(found) as zoho:
            await zoho.revoke()
    profile_file.delete_profile(name)
    forget_tokens(found)
    if not is_quiet():
        tell(f"Profile {name} is removed" + (", and its refresh token is revoked" if revoke else ""))
    return DONE


async def profiles_command(interruption: Interruption, *, json: bool) -> int:
    """Lists the profiles, without their secrets."""
    found = profile_file.read_profiles()
    shown = ("organization_id", "data_center", "api_url")
    if json:
        write_objects([{"profile": name, **{key: one.get(key) for key in shown}} for name, one in found.items()])
        return DONE
    if not found:
        tell(f"There is no profile yet in {profile_file.profile_path()}; zoho-async login makes one.")
        return DONE
    rows = [
        [
            name,
            one.get("organization_id"),
            one.get("data_center") or ("" if one.get("api_url") else "us"),
            one.get("api_url"),
        ]
        for name, one in found.items()
    ]
    write_rows(("profile", "organisation", "data centre", "address"), rows)
    return DONE


class AccountArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands on an account share."""

    profile: str | None
    allowed: Limits
    redis: str | None
    json: bool


async def orgs_command(args: AccountArgs, product: str, interruption: Interruption) -> int:
    """Lists the organisations of the user."""
    async with client(credentials(args.profile), allowed=args.allowed, redis=args.redis, max_wait=None) as zoho:
        everyone = zoho.with_options(organization_id=None)
        async with explained_waits(lambda: everyone.quota, json=args.json):
            rows = rows_of(await everyone.request("GET", organizations_path(product)), "organizations")
    if args.json:
        write_objects(rows)
        return DONE
    columns = ("organization_id", "name", "country_code", "plan_name", "currency_code", "is_default_org")
    table = [
        [*(one.get(column) for column in columns[:-1]), "default" if one.get("is_default_org") else ""] for one in rows
    ]
    write_rows(("id", "name", "edition", "plan", "currency", ""), table)
    return DONE


def rows_of(response: Response[Any], member: str) -> list[dict[str, Any]]:
    """The objects of a list in a response; none when it is no such list."""
    try:
        whole = msgspec.convert(response.data, dict[str, Any])
        return msgspec.convert(whole.get(member) or [], list[dict[str, Any]])
    except msgspec.ValidationError:
        return []


def scopes_command(ids: Sequence[str], purposes: Sequence[str], products: Sequence[str]) -> int:
    """Writes the fewest scopes that operations or purposes need."""
    if ids and (purposes or products):
        raise ArgumentError("--for and --product choose the operations: name none beside them", "give either one")
    chosen = tuple(products) or ("books",)
    text = scopes_for(purposes or ("all",), chosen) if purposes or products else scopes_of(ids)
    sys.stdout.write(f"{text}\n")
    return DONE


async def quota_command(args: AccountArgs, product: str, interruption: Interruption) -> int:
    """Shows the calls that are left, at the cost of one."""
    async with client(credentials(args.profile), allowed=args.allowed, redis=args.redis, max_wait=0.0) as zoho:
        try:
            await zoho.request("GET", organizations_path(product))
        except ZohoError:
            if zoho.quota.remaining is None:
                raise
        found = zoho.quota
    if args.json:
        write_objects([{"organization_id": zoho.organization_id, **quota_members(found)}])
        return DONE
    for name, value in quota_lines(found):
        sys.stdout.write(f"{name:<22}{value}\n")
    return DONE


def quota_members(quota: Quota) -> dict[str, object]:
    """What is known of the calls of the day, for JSON."""
    members = msgspec.structs.asdict(quota)
    return {name: members[name] for name in ("limit", "remaining", "resets_at", "minute_left", "paused_until")}


def quota_lines(quota: Quota) -> list[tuple[str, str]]:
    """What is known of the calls of the day, for people."""
    return [
        ("calls a day", _number(quota.limit)),
        ("left today", _number(quota.remaining)),
        ("the next day begins", _moment(quota.resets_at)),
        *([("paused until", _moment(quota.paused_until))] if quota.paused_until is not None else []),
    ]


def _number(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _moment(value: datetime | None) -> str:
    return "not known" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M %Z}"
