"""What `login` decides: data centre, addresses, organisation. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from zoho_async import DATA_CENTERS
from zoho_async.cli.console.exit_codes import ArgumentError, SetupError
from zoho_async.cli.suggestions import did_you_mean

CALLBACK = "/callback"
AGAIN = "zoho-async login --browser opens the page again; accept there"
"""The remedy for a browser that brings no code: `doctor` has nothing to look at yet."""


class Redirect(msgspec.Struct, frozen=True):
    """What the accounts server has sent back through the browser. Its repr shows no code."""

    code: str
    accounts_server: str
    """Address of the server that issued the code; empty when it was not named."""

    def __repr__(self) -> str:
        return f"Redirect(***, {self.accounts_server!r})"


def check_data_center(name: str) -> str:
    """The short name of a data centre. Raises ArgumentError for an unknown one."""
    if name not in DATA_CENTERS:
        help = did_you_mean(name, DATA_CENTERS) or f"data centres: {', '.join(DATA_CENTERS)}"
        raise ArgumentError(f"--data-center {name}: there is no such data centre", help)
    return name


def data_center_of(accounts_server: str, configured: str | None) -> str | None:
    """The data centre of an accounts server; None for the configured address, which is in no data centre.

    Raises:
        SetupError: It is neither that nor a host of the table: the client secret is not sent there.
    """
    address = accounts_server.rstrip("/")
    if configured is not None and address == configured.rstrip("/"):
        return None
    found = next((center.name for center in DATA_CENTERS.values() if center.accounts_url == address), None)
    if found is None:
        host = urlsplit(address).hostname or "without a name"
        raise SetupError(
            f"the redirect names an accounts server that is none of Zoho's ({host}); nothing was sent to it"
        )
    return found


def accounts_address(data_center: str, configured: str | None) -> str:
    """Address of the accounts server."""
    return (configured or DATA_CENTERS[data_center].accounts_url).rstrip("/")


def console_address(data_center: str) -> str:
    """Address of the API console, where clients and self-client codes are made."""
    return DATA_CENTERS[data_center].accounts_url.replace("//accounts.", "//api-console.")


def fake_hint(configured: str | None) -> str:
    """Where a FakeZoho shows a code, with a blank before; empty for an address that is not of this machine."""
    here = urlsplit(configured or "").hostname in ("127.0.0.1", "localhost", "::1")
    return f" (of a FakeZoho: curl {configured}/_fake)" if here else ""


def consent_address(accounts: str, *, client_id: str, scope: str, redirect_uri: str, state: str) -> str:
    """Address of the consent page that a browser opens."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "scope": scope,
        "redirect_uri": redirect_uri,
        "state": state,
        # Without both Zoho issues no refresh token.
        "access_type": "offline",
        "prompt": "consent",
    }
    return f"{accounts}/oauth/v2/auth?{urlencode(query)}"


def read_redirect(target: str, state: str) -> Redirect:
    """What a request to the redirect address says.

    Args:
        target: Path and query of the request.
        state: The value that the consent page was opened with.

    Raises:
        SetupError: The state is another, or Zoho sent an error in place of a code.
    """
    query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
    if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
        text = "the browser came back with another state than it was sent with: it may be a forged request"
        raise SetupError(text, AGAIN)
    if query.get("error"):
        reason = "".join(one for one in query["error"][:100] if one.isalnum() or one in "_- ")
        raise SetupError(f"Zoho's consent page answered: {reason}", AGAIN)
    if not query.get("code"):
        raise SetupError("the browser came back without a code", AGAIN)
    return Redirect(query["code"], query.get("accounts-server", ""))


def explain_refusal(code: int | str | None, data_center: str, configured: str | None, port: int) -> SetupError | None:
    """What Zoho's refusal of a code means for who logs in; None when its message says it.

    Args:
        code: Zoho's code.
        data_center: Where the code was sent.
        configured: The address of the accounts server, when it was given.
        port: Of the redirect address.
    """
    console = console_address(data_center)
    here = f"at {configured}" if configured else f"in the data centre {data_center}"
    match code:
        case "invalid_client":
            help = "--data-center DC, or --find-data-center, which tries all of them"
            return SetupError(f"the client id is unknown {here} (invalid_client)", help)
        case "invalid_client_secret":
            text = "the client secret does not belong to the client id (invalid_client_secret)"
            return SetupError(text, f"copy it again from {console}")
        case "invalid_code":
            text = f"the code was used before, has expired, or is unknown {here} (invalid_code)"
            help = f"generate another one at {console}{fake_hint(configured)}, or name another --data-center"
            return SetupError(text, help)
        case "invalid_redirect_uri":
            text = "the client is not registered with this redirect address (invalid_redirect_uri)"
            return SetupError(text, f"add http://localhost:{port}{CALLBACK} to the client at {console}")
        case _:
            return None


def choose_organization(organizations: Sequence[Mapping[str, object]], wanted: str | None) -> str | None:
    """The id of the organisation to work in; None when somebody must choose.

    Args:
        organizations: As Zoho lists them; none when they could not be listed.
        wanted: The id that was asked for.

    Raises:
        SetupError: The wanted one is not in the list.
    """
    ids = [str(one.get("organization_id", "")) for one in organizations]
    if wanted is None:
        return ids[0] if len(ids) == 1 else None
    if ids and wanted not in ids:
        raise SetupError(f"these credentials have no organisation {wanted}", f"organisations: {', '.join(ids)}")
    return wanted
