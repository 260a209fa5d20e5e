"""What `doctor` concludes from what it has found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec

from zoho_async import (
    AuthError,
    ConfigError,
    Quota,
    QuotaExceededError,
    RateLimitError,
    ScopeError,
    ZohoError,
    operations,
    scopes,
)
from zoho_async.cli.console.exit_codes import ABORTED, DONE, NO_ACCESS, QUOTA, WRONG_ORGANIZATION
from zoho_async.cli.profiles import ENVIRONMENT, AccountSettings
from zoho_async.cli.scope_sets import missing_scopes, organizations_scope, scopes_for

LARGEST_SKEW_S = 60.0
"""Seconds between the clocks; a token is refreshed a minute before it expires."""
FEW_CALLS = 0.05
"""Share of the day's calls below which a warning is due."""
_ACCESS = ("credentials", "token", "organisation", "scopes")
_ADDRESSES = "check api_url and accounts_url of the profile, or of the environment: env | grep -i -e zoho_ -e _proxy"


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at."""

    check: str
    status: Literal["ok", "warning", "failed", "skipped"]
    message: str
    fault: str = ""
    """Short name of what is wrong."""
    help: str = ""
    """The remedy, beginning with a line to type where there is one."""


def failed(check: str, fault: str, message: str, help: str) -> Check:
    """A check that failed."""
    return Check(check=check, status="failed", fault=fault, message=message, help=help)


def skipped(check: str, message: str) -> Check:
    """A check that could not be made."""
    return Check(check=check, status="skipped", message=message)


def setup_fault(text: str) -> str:
    """The short name of an error that was found before any call."""
    if "data_center=" in text or "_url=" in text or "organization_id=" in text:
        return "settings"
    return "no_credentials" if "credentials" in text or "access token" in text else "no_profile"


def diagnose(error: ZohoError, *, option: str, scope: str, granted: Sequence[str], center: str) -> Check:
    """What an error of a first call means.

    Args:
        error: What was raised.
        option: `--profile NAME` with a blank before, or nothing.
        scope: The scope that the call needed.
        granted: The scopes of the token; none when they are not known.
        center: The data centre that was called; empty for a configured address.
    """
    text = str(error)
    if isinstance(error, AuthError):
        return _diagnose_access(error, option=option, scope=scope, granted=granted, center=center)
    if isinstance(error, QuotaExceededError):
        when = f"; more from {error.resets_at.astimezone():%Y-%m-%d %H:%M %Z}" if error.resets_at else ""
        return failed("quota", "quota_used_up", f"the day's calls are used up{when}", f"zoho-async quota{option}")
    if isinstance(error, RateLimitError):
        when = f" until {error.retry_at.astimezone():%H:%M:%S}" if error.retry_at else ""
        again = f"wait until then, then zoho-async doctor{option}"
        return failed("pause", "paused", f"Zoho has paused the organisation{when}: too many calls a minute", again)
    if isinstance(error, ConfigError) and error.code == WRONG_ORGANIZATION:
        help = f"zoho-async orgs{option} lists them; set ZOHO_ORGANIZATION_ID or organization_id"
        return failed("organisation", "wrong_organization", text, help)
    if isinstance(error, ConfigError):
        if "proxy" in text.lower():
            return failed("host", "proxy", text, "check HTTPS_PROXY and NO_PROXY: env | grep -i _proxy")
        if "ertificate" in text or "SSL" in text:
            return failed("host", "certificate", text, "SSL_CERT_FILE=/path/of/the/certificates.pem zoho-async doctor")
        return failed("host", "settings", text, _ADDRESSES)
    if "no connection to the proxy" in text:
        return failed("host", "proxy", text, "check HTTPS_PROXY and NO_PROXY: env | grep -i _proxy")
    if error.status is None:
        return failed("host", "unreachable", text, f"check the network and a firewall; {_ADDRESSES}")
    return failed("host", "unavailable", text, "try again later; https://status.zoho.com shows outages")


def _diagnose_access(error: AuthError, *, option: str, scope: str, granted: Sequence[str], center: str) -> Check:
    text, login = str(error), f"zoho-async login{option}"
    code = str(error.code)
    if code == "invalid_client":
        here = f"in the data centre {center}" if center else "at this accounts server"
        # At a configured address there are no data centres to try.
        help = f"{login} --find-data-center" if center else login
        return failed("token", "wrong_data_center", f"the client id is unknown {here}", help)
    if code == "invalid_client_secret":
        return failed("token", "wrong_secret", "the client secret does not belong to the client id", login)
    if code == "invalid_code":
        message = "the refresh token is revoked, mistyped, or of another data centre"
        return failed("token", "wrong_refresh_token", message, login)
    if "ten token requests" in text or code == "Access Denied":
        message = "too many token requests: Zoho allows ten in ten minutes"
        return failed("token", "token_requests", message, f"wait ten minutes, then zoho-async doctor{option}")
    lacks = missing_scopes(granted, [scope]) if granted and scope else []
    if lacks or (isinstance(error, ScopeError) and code == "57"):
        return missing_scope([scope], granted, option)
    if error.status == 401 or code in ("14", "57"):
        message = "the access token is expired or revoked, or lacks the scope " + (scope or "of the call")
        return failed("token", "wrong_token", message, login)
    if "contains no token" in text:
        # Something else answers there, such as the sign-in page of a network.
        return failed(
            "token", "unavailable", text, "check accounts_url and the proxy: env | grep -i -e zoho_ -e _proxy"
        )
    return failed("token", "credentials", text, login)


def missing_scope(lacking: Sequence[str], granted: Sequence[str], option: str) -> Check:
    """Scopes that the token lacks, and the login that gets them beside those it has."""
    wanted = f"--scope {','.join([*granted, *lacking])}" if granted else "--for push"
    message = f"the token lacks {','.join(lacking)}"
    return failed("scopes", "missing_scope", message, f"zoho-async login{option} {wanted}")


def login_instead(help: str, environ: Mapping[str, str]) -> str:
    """The help for credentials of the environment, which goes before the profile that a login writes."""
    present = [name for name in ENVIRONMENT if environ.get(name)]
    if not present or not help.startswith("zoho-async login"):
        return help
    api_url = environ.get("ZOHO_API_URL")
    return f"unset {' '.join(present)}; {help}" + (f" --api-url {api_url}" if api_url else "")


def setting_help(text: str) -> str:
    """The remedy for an invalid setting of the environment; empty when the text names none."""
    name = next((name for name in ENVIRONMENT if f"{name.removeprefix('ZOHO_').lower()}=" in text), "")
    return f"correct {name}, or: unset {name}" if name else ""


def check_scopes(granted: Sequence[str], products: Sequence[str], option: str) -> list[Check]:
    """What the token may do in each product. `granted`: none when they are not known."""
    if not granted:
        return [skipped("scopes", "a token response names its scopes, a static access token does not")]
    checks: list[Check] = []
    for product in products:
        lacking = {
            purpose: missing_scopes(granted, scopes_for((purpose,), (product,)).split(","))
            for purpose in ("pull", "push")
        }
        can = [purpose for purpose, missing in lacking.items() if not missing]
        if "push" in can:
            checks.append(Check(check="scopes", status="ok", message=f"{product}: pull and push"))
            continue
        login = f"zoho-async login{option} --product {product}"
        status: Literal["warning", "failed"] = "warning" if "pull" in can else "failed"
        checks.append(
            Check(
                check="scopes",
                status=status,
                fault="missing_scope",
                message=f"{product}: {'pull, but not push' if can else 'neither pull nor push'}: the token lacks "
                + ", ".join(lacking["push"]),
                help=f"{login} --for push",
            )
        )
    return checks


def check_organization(rows: Sequence[Mapping[str, Any]], organization_id: str | None, found: AccountSettings) -> Check:
    """Whether the organisation is one of the user's, and which edition it has."""
    ids = [str(one.get("organization_id", "")) for one in rows]
    there = f"there is {', '.join(ids) or 'none'}"
    help = " or ".join(found.setting("organization_id", one) for one in ids[:3]) or f"zoho-async login{found.option}"
    if not organization_id:
        return failed("organisation", "no_organization", f"none is named; {there}", help)
    if organization_id not in ids:
        text = f"{organization_id} is none of this user's; {there}"
        return failed("organisation", "wrong_organization", text, help)
    one = rows[ids.index(organization_id)]
    details = [one.get("name"), f"edition {one.get('country_code') or 'not known'}"]
    details += [f"plan {one['plan_name']}"] if one.get("plan_name") else []
    message = f"{organization_id}: {', '.join(str(part) for part in details if part)}"
    return Check(check="organisation", status="ok", message=message)


def check_clock(date: str | None, now: datetime) -> Check:
    """How far this machine's clock is from the Date of a response."""
    try:
        theirs = parsedate_to_datetime(date or "")
        skew = (now - theirs).total_seconds()
    except (ValueError, TypeError):
        return skipped("clock", "the response has no Date")
    if abs(skew) <= LARGEST_SKEW_S:
        return Check(check="clock", status="ok", message=f"within {LARGEST_SKEW_S:g} s of Zoho's")
    way = "ahead of" if skew > 0 else "behind"
    message = f"this machine's clock is {abs(skew):,.0f} s {way} Zoho's"
    return failed("clock", "clock", message, "sudo timedatectl set-ntp true")


def check_quota(quota: Quota, option: str) -> Check:
    """Whether calls are left of the day."""
    if quota.remaining is None:
        return skipped("quota", "the responses do not say how many calls are left")
    of = f" of {quota.limit:,}" if quota.limit is not None else ""
    until = f" until {quota.resets_at.astimezone():%Y-%m-%d %H:%M %Z}" if quota.resets_at is not None else ""
    message = f"{quota.remaining:,}{of} calls left{until}"
    if quota.remaining <= 0:
        return failed("quota", "quota_used_up", message, f"zoho-async quota{option}")
    if quota.limit and quota.remaining < quota.limit * FEW_CALLS:
        return Check(check="quota", status="warning", fault="quota_low", message=message, help="push with --wait")
    return Check(check="quota", status="ok", message=message)


def check_unique_fields(rows: Iterable[Mapping[str, Any]]) -> Check:
    """Which custom fields of contacts allow no duplicates."""
    names = [str(one.get("api_name")) for one in rows if one.get("is_unique") in (True, "true")]
    if names:
        return Check(check="unique fields", status="ok", message=f"--upsert-by {' or '.join(sorted(names))}")
    return Check(
        check="unique fields",
        status="warning",
        fault="no_unique_field",
        message="no custom field forbids duplicates: rows are identified by name",
        help="Zoho Books -> Settings -> Customers and Vendors -> Field Customization: Prevent Duplicate Values",
    )


def list_scope(product: str) -> str:
    """The scope of the first list of a product."""
    found = [
        one for one in operations() if one.product == product and one.id.endswith(("contacts.list", "customers.list"))
    ]
    return scopes(found[:1]) or organizations_scope(product)


def doctor_exit_code(checks: Iterable[Check]) -> int:
    """The exit code for what was found."""
    wrong = {one.check for one in checks if one.status == "failed"}
    if not wrong:
        return DONE
    if wrong & {*_ACCESS}:
        return NO_ACCESS
    return QUOTA if "quota" in wrong else ABORTED
