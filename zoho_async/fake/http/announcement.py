"""What a FakeZoho says about itself when it starts: its address and credentials. Pure."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from zoho_async.fake.rendering.wire_format import encode

if TYPE_CHECKING:
    from zoho_async.fake.service import FakeService


def access_line(service: FakeService, url: str) -> str:
    """Address, organisation and credentials as one line of JSON, without line end."""
    return encode(_access(service, url)).decode()


def shell_lines(service: FakeService, url: str, process: int, token_file: str) -> str:
    """The environment of a client, as lines that a shell evaluates.

    Args:
        service: The fake.
        url: Where it listens.
        process: The number that `kill` takes.
        token_file: Where clients may keep their token: the fake allows ten token requests in ten minutes, as Zoho does.

    Returns:
        Lines that begin with `export`.
    """
    variables = {
        "ZOHO_API_URL": url,
        "ZOHO_ORGANIZATION_ID": service.organization_id,
        "ZOHO_CLIENT_ID": service.client_id,
        "ZOHO_CLIENT_SECRET": service.client_secret,
        "ZOHO_REFRESH_TOKEN": service.refresh_token,
        "ZOHO_GRANT_CODE": service.grant_code,
        "ZOHO_TOKEN_FILE": token_file,
        "ZOHO_FAKE_PID": str(process),
    }
    return "".join(f"export {name}={quote(value)}\n" for name, value in variables.items())


def what_to_type(service: FakeService, url: str, process: int, token_file: str) -> str:
    """For a terminal: what to type in another one."""
    exports = "".join(f"  {line}\n" for line in shell_lines(service, url, process, token_file).splitlines())
    return (
        f"FakeZoho listens on {url}; Ctrl-C ends it. Type in another terminal:\n\n{exports}\n"
        "  zoho-async doctor\n"
        "  zoho-async login --profile fake\n\n"
        'Or all of it in one: eval "$(zoho-async fake --env &)"; kill $ZOHO_FAKE_PID ends it.\n'
        f"Control it over HTTP: curl {url}/_fake\n"
    )


def _access(service: FakeService, url: str) -> dict[str, str]:
    return {
        "url": url,
        "organization_id": service.organization_id,
        "client_id": service.client_id,
        "client_secret": service.client_secret,
        "refresh_token": service.refresh_token,
        "access_token": service.access_token,
        "grant_code": service.grant_code,
    }
