"""`doctor` names each fault, with a remedy; and what it concludes, as pure functions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import Fault, FaultServer
from support.process import Cli

from zoho_async import DATA_CENTERS, AuthError, DataCenter, Quota, ScopeError
from zoho_async.cli.commands.diagnosis import (
    Check,
    check_clock,
    check_organization,
    check_quota,
    check_scopes,
    check_unique_fields,
    diagnose,
    doctor_exit_code,
    login_instead,
    setting_help,
)
from zoho_async.cli.commands.doctor import unwritable
from zoho_async.cli.profiles import AccountSettings
from zoho_async.fake import FakeZoho

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture
async def one(cli: Cli) -> AsyncIterator[FakeZoho]:
    async with FakeZoho() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def environment(fake: FakeZoho, **changes: str) -> dict[str, str]:
    """With a refresh token of the fake."""
    values = {
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
        "ZOHO_ORGANIZATION_ID": fake.organization_id,
        "ZOHO_API_URL": fake.url,
        **changes,
    }
    return {name: value for name, value in values.items() if value}


async def examine(cli: Cli, *arguments: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what failed by the name of the fault."""
    result = await cli("doctor", "--json", *arguments, environment={"XDG_CONFIG_HOME": str(cli.folder), **variables})
    checks = [json.loads(line) for line in result.out.splitlines()]
    assert all(one.get("help") for one in checks if one["status"] == "failed")
    for secret in ("ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN", "ZOHO_ACCESS_TOKEN"):
        assert not variables.get(secret) or variables[secret] not in result.out + result.err
    return result.code, {one["fault"]: one for one in checks if one.get("fault")}


async def test_nothing_is_wrong(cli: Cli, one: FakeZoho) -> None:
    assert await examine(cli, **environment(one)) == (0, {})
    result = await cli("doctor", environment=environment(one))
    assert "Nothing is wrong." in result.out
    assert "edition US" in result.out
    assert "without a proxy" in result.out


async def test_ten_faults_of_the_credentials_and_the_service_are_named(cli: Cli, one: FakeZoho) -> None:
    async with FakeZoho(data_center="eu") as other:
        elsewhere = await examine(cli, **environment(one, ZOHO_API_URL=other.url))
    assert (elsewhere[0], *elsewhere[1]) == (4, "wrong_data_center")
    # At a configured address no data centre can be tried.
    assert elsewhere[1]["wrong_data_center"]["help"].endswith(f"; zoho-async login --api-url {other.url}")
    static = environment(one, ZOHO_REFRESH_TOKEN="", ZOHO_CLIENT_ID="", ZOHO_CLIENT_SECRET="")
    cases: list[tuple[str, int, dict[str, str]]] = [
        ("wrong_token", 4, {**static, "ZOHO_ACCESS_TOKEN": "1000.stale"}),
        ("wrong_secret", 4, environment(one, ZOHO_CLIENT_SECRET="other")),
        ("wrong_refresh_token", 4, environment(one, ZOHO_REFRESH_TOKEN="1000.other")),
        ("wrong_organization", 4, environment(one, ZOHO_ORGANIZATION_ID="99")),
        ("no_organization", 4, environment(one, ZOHO_ORGANIZATION_ID="")),
        ("no_credentials", 4, {"ZOHO_ORGANIZATION_ID": "1"}),
        ("settings", 4, environment(one, ZOHO_DATA_CENTER="mars")),
        ("settings", 4, environment(one, ZOHO_API_URL="http://example.com")),
        ("unreachable", 1, environment(one, ZOHO_API_URL="http://127.0.0.1:1")),
        ("unwritable_folder", 1, environment(one, XDG_STATE_HOME="/dev/null/state")),
    ]
    for fault, code, variables in cases:
        assert (await examine(cli, **variables))[0] == code, fault
        assert [*(await examine(cli, **variables))[1]] == [fault]


async def test_a_clock_that_is_off_is_named(cli: Cli, one: FakeZoho) -> None:
    one.clock.advance(7200)
    code, faults = await examine(cli, **environment(one))
    assert (code, [*faults]) == (1, ["clock"])
    assert "behind Zoho's" in faults["clock"]["message"]


async def test_a_missing_scope_is_named_with_the_login_that_gets_it(cli: Cli) -> None:
    async with FakeZoho(scopes=["ZohoBooks.contacts.READ", "ZohoBooks.settings.READ"]) as fake:
        code, faults = await examine(cli, **environment(fake))
        assert (code, [*faults]) == (0, ["missing_scope"])
        assert "pull, but not push: the token lacks ZohoBooks.contacts.CREATE" in faults["missing_scope"]["message"]
        login = f"zoho-async login --product books --for push --api-url {fake.url}"
        assert faults["missing_scope"]["help"] == f"unset {' '.join(environment(fake))}; {login}"
    async with FakeZoho(scopes=["ZohoInvoice.contacts.READ"]) as fake:
        code, faults = await examine(cli, **environment(fake))
        assert (code, [*faults]) == (4, ["missing_scope"])


async def test_a_day_without_calls_left_is_named(cli: Cli, one: FakeZoho) -> None:
    one.organization().limits.per_day = 0
    code, faults = await examine(cli, **environment(one))
    assert (code, [*faults]) == (5, ["quota_used_up"])


async def test_an_address_without_tls_is_no_fault_of_a_certificate(cli: Cli, one: FakeZoho) -> None:
    code, faults = await examine(cli, **environment(one, ZOHO_API_URL=one.url.replace("http:", "https:")))
    assert (code, [*faults]) == (1, ["settings"])
    assert f"{one.url.removeprefix('http://')} does not speak TLS" in faults["settings"]["message"]


async def test_a_pause_is_named(cli: Cli, one: FakeZoho) -> None:
    one.organization().limits.per_minute = 0
    code, faults = await examine(cli, **environment(one))
    assert (code, [*faults]) == (1, ["paused"])


async def test_an_outage_is_named(cli: Cli, one: FakeZoho) -> None:
    one.chance("*", "status:503", 1.0)
    code, faults = await examine(cli, **environment(one))
    assert (code, [*faults]) == (1, ["unavailable"])


@pytest.fixture
def center(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A data centre whose hosts do not exist."""
    for name in ("us",):
        made = DataCenter(name=name, accounts_url="https://accounts.invalid", api_url="https://api.invalid")
        monkeypatch.setitem(DATA_CENTERS, name, made)
    yield


@pytest.mark.usefixtures("center")
async def test_a_proxy_that_refuses_or_is_not_there_is_named(cli: Cli, one: FakeZoho) -> None:
    variables = environment(one, ZOHO_API_URL="")
    async with FaultServer(lambda _: Fault("answer", status=407, body=b"no")) as proxy:
        code, faults = await examine(cli, **variables, HTTPS_PROXY=proxy.url.replace("http://", "http://me:pass@"))
    assert (code, [*faults]) == (1, ["proxy"])
    assert "HTTP 407" in faults["proxy"]["message"]
    assert "pass" not in str(faults)
    for value, word in (("http://127.0.0.1:1", "the proxy 127.0.0.1:1"), ("socks5://127.0.0.1:1", "not supported")):
        code, faults = await examine(cli, **variables, HTTPS_PROXY=value)
        assert (code, [*faults], word in str(faults)) == (1, ["proxy"], True), faults


async def test_a_profile_that_others_can_read_is_named(cli: Cli, one: FakeZoho) -> None:
    path = cli.folder / "zoho-async" / "config.toml"
    path.parent.mkdir()
    path.write_text("[a]\n")
    path.chmod(0o644)
    code, faults = await examine(cli, **environment(one))
    assert (code, faults["readable_by_others"]["help"]) == (1, f"chmod 600 {path}")
    code, faults = await examine(cli, "--profile", "b", **environment(one))
    assert (code, "no_profile" in faults) == (4, True)


# -- pure


@pytest.mark.parametrize(
    ("code", "status", "scope", "granted", "fault"),
    [
        ("invalid_client", 200, "s", (), "wrong_data_center"),
        ("invalid_client_secret", 200, "s", (), "wrong_secret"),
        ("invalid_code", 200, "s", (), "wrong_refresh_token"),
        ("Access Denied", 400, "s", (), "token_requests"),
        (57, 401, "ZohoBooks.contacts.READ", ("ZohoBooks.settings.READ",), "missing_scope"),
        (57, 401, "ZohoBooks.contacts.READ", (), "wrong_token"),
        (14, 401, "s", (), "wrong_token"),
        (None, None, "s", (), "credentials"),
    ],
)
def test_what_a_refusal_means(
    code: int | str | None, status: int | None, scope: str, granted: tuple[str, ...], fault: str
) -> None:
    error = AuthError("refused", status=status, code=code)
    found = diagnose(error, option=" --profile a", scope=scope, granted=granted, center="eu")
    assert (found.status, found.fault, "--profile a" in found.help) == ("failed", fault, True)


@pytest.mark.parametrize(("center", "help"), [("eu", "zoho-async login --find-data-center"), ("", "zoho-async login")])
def test_an_unknown_client_has_a_line_to_type(center: str, help: str) -> None:
    error = AuthError("refused", status=200, code="invalid_client")
    assert diagnose(error, option="", scope="", granted=(), center=center).help == help


def test_the_login_for_a_missing_scope_asks_for_those_there_are_too() -> None:
    error = ScopeError("refused", status=401, code=57)
    found = diagnose(error, option="", scope="B.b.READ", granted=["A.a.READ"], center="eu")
    assert found.help == "zoho-async login --scope A.a.READ,B.b.READ"
    assert diagnose(error, option="", scope="B", granted=[], center="eu").help == "zoho-async login --for push"


def test_an_accounts_server_that_sends_no_token_is_no_reason_to_log_in() -> None:
    error = AuthError("the response of the accounts server (HTTP 200) contains no token", status=200)
    found = diagnose(error, option="", scope="", granted=[], center="")
    assert (found.fault, "login" in found.help) == ("unavailable", False)


@pytest.mark.parametrize(
    ("help", "environ", "shown"),
    [
        ("zoho-async login", {}, "zoho-async login"),
        ("chmod 600 x", {"ZOHO_CLIENT_ID": "1"}, "chmod 600 x"),
        ("zoho-async login", {"ZOHO_CLIENT_ID": "1", "HOME": "/"}, "unset ZOHO_CLIENT_ID; zoho-async login"),
        (
            "zoho-async login",
            {"ZOHO_API_URL": "http://127.0.0.1:1"},
            "unset ZOHO_API_URL; zoho-async login --api-url http://127.0.0.1:1",
        ),
    ],
)
def test_a_login_needs_an_environment_without_credentials(help: str, environ: dict[str, str], shown: str) -> None:
    assert login_instead(help, environ) == shown


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("data_center='xx' does not exist", "correct ZOHO_DATA_CENTER, or: unset ZOHO_DATA_CENTER"),
        ("api_url='ftp://x': no", "correct ZOHO_API_URL, or: unset ZOHO_API_URL"),
        ("something else", ""),
    ],
)
def test_the_remedy_of_a_setting_names_its_variable(text: str, help: str) -> None:
    assert setting_help(text) == help


@pytest.mark.parametrize(
    ("seconds", "status", "word"),
    [(0, "ok", "within"), (59, "ok", "within"), (-61, "failed", "behind"), (3600, "failed", "3,600 s ahead of")],
)
def test_a_clock(seconds: int, status: str, word: str) -> None:
    found = check_clock("Sat, 28 Nov 2026 12:00:00 GMT", NOW + timedelta(seconds=seconds))
    assert (found.status, word in found.message) == (status, True)


@pytest.mark.parametrize("date", [None, "", "tomorrow"])
def test_without_a_date_no_clock_is_compared(date: str | None) -> None:
    assert check_clock(date, NOW).status == "skipped"


@pytest.mark.parametrize(
    ("quota", "status"),
    [
        (Quota(), "skipped"),
        (Quota(limit=100, remaining=0), "failed"),
        (Quota(limit=100, remaining=4, resets_at=NOW), "warning"),
        (Quota(limit=100, remaining=5), "ok"),
        (Quota(remaining=1), "ok"),
    ],
)
def test_a_quota(quota: Quota, status: str) -> None:
    assert check_quota(quota, "").status == status


def test_an_organisation_and_its_edition() -> None:
    rows = [{"organization_id": "1", "name": "A", "country_code": "IN", "plan_name": "PREMIUM"}]
    environment, profile = AccountSettings({}, None), AccountSettings({}, "shop")
    assert check_organization(rows, "1", environment).message == "1: A, edition IN, plan PREMIUM"
    wrong = check_organization(rows, "2", environment)
    assert (wrong.fault, wrong.help) == ("wrong_organization", "export ZOHO_ORGANIZATION_ID=1")
    missing = check_organization(rows, None, profile)
    assert missing.fault == "no_organization"
    assert missing.help.startswith('organization_id = "1" below [shop] in ')
    assert check_organization([], None, profile).help == "zoho-async login --profile shop"


def test_scopes_and_unique_fields() -> None:
    assert [one.status for one in check_scopes((), ("books",), "")] == ["skipped"]
    assert [one.status for one in check_scopes(("ZohoBooks.fullaccess.all",), ("books", "billing"), "")] == [
        "ok",
        "failed",
    ]
    assert check_unique_fields([]).status == "warning"
    fields = [{"api_name": "cf_a", "is_unique": True}, {"api_name": "cf_b", "is_unique": False}]
    assert check_unique_fields(fields).message == "--upsert-by cf_a"


@pytest.mark.parametrize(
    ("failed", "code"), [((), 0), (("clock",), 1), (("quota", "clock"), 5), (("quota", "token"), 4), (("scopes",), 4)]
)
def test_the_exit_code(failed: tuple[str, ...], code: int) -> None:
    checks = [Check(check=name, status="failed", message="") for name in failed]
    assert doctor_exit_code([*checks, Check(check="list", status="ok", message="")]) == code


def test_a_folder_that_does_not_exist_yet_can_be_written(tmp_path: Path) -> None:
    assert unwritable(tmp_path / "a" / "b") == ""
    assert list(tmp_path.iterdir()) == []
    assert unwritable(Path("/dev/null/a")) != ""
