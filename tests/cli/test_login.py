"""Getting in: login by code and by browser, profiles, logout, against the fake."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import threading
import types
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import typer
from support.process import Cli, Ended

from zoho_async import DATA_CENTERS, DataCenter
from zoho_async.cli import keyring_secrets, profile_file
from zoho_async.cli.commands.grant import (
    choose_organization,
    consent_address,
    console_address,
    data_center_of,
    explain_refusal,
    fake_hint,
    read_redirect,
)
from zoho_async.cli.console.exit_codes import SetupError
from zoho_async.cli.console.prompts import ask, choose
from zoho_async.cli.scope_sets import missing_scopes, scopes_for, scopes_of
from zoho_async.fake import FakeZoho

LIST = ("call", "books.contacts.list")


class Door:
    """The command line of somebody who has nothing yet."""

    def __init__(self, cli: Cli, fake: FakeZoho) -> None:
        self.cli = cli
        self.fake = fake
        self.config = cli.folder / "config" / "zoho-async" / "config.toml"
        self.environment = {"XDG_CONFIG_HOME": str(cli.folder / "config")}

    async def __call__(self, *arguments: object, stdin: bytes = b"", **environment: str) -> Ended:
        return await self.cli(*arguments, environment={**self.environment, **environment}, stdin=stdin)

    async def login(self, *arguments: object, stdin: bytes = b"", **environment: str) -> Ended:
        """With client id and secret in the environment."""
        fake = self.fake
        client = {"ZOHO_CLIENT_ID": fake.client_id, "ZOHO_CLIENT_SECRET": fake.client_secret}
        result = await self(
            "login", "--api-url", fake.url, "--no-keyring", *arguments, stdin=stdin, **client, **environment
        )
        assert fake.client_secret not in result.out + result.err
        assert fake.grant_code not in result.out + result.err
        return result

    def files(self) -> str:
        """Everything that any file holds."""
        folders = (self.cli.folder, self.cli.state_home)
        return "".join(path.read_text() for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def one(cli: Cli) -> AsyncIterator[FakeZoho]:
    async with FakeZoho() as fake:
        yield fake


@pytest.fixture
def door(cli: Cli, one: FakeZoho) -> Door:
    return Door(cli, one)


async def test_from_a_code_to_a_call_and_out_again(door: Door, one: FakeZoho) -> None:
    result = await door.login("--json", ZOHO_GRANT_CODE=one.grant_code)
    assert result.code == 0, result.err
    assert (result.json["profile"], result.json["organization_id"]) == ("default", one.organization_id)
    assert stat.S_IMODE(door.config.stat().st_mode) == 0o600
    # Neither a profile nor the environment is named: it is the default.
    assert (await door(*LIST)).code == 0
    assert (await door(*LIST, "--profile", "default")).code == 0
    assert one.token_requests == 2  # the code, then one token for both calls
    listed = await door("profiles", "--json")
    assert listed.json == {
        "profile": "default", "organization_id": one.organization_id, "data_center": None, "api_url": one.url,
    }  # fmt: skip
    profile = profile_of(door)
    assert profile["refresh_token"] in door.files()
    assert (await door("logout", "--profile", "default")).code == 0
    files = door.files()
    assert not [value for key, value in profile.items() if key in profile_file.SECRETS and value in files]
    assert "1000." not in files
    assert (await door(*LIST, "--profile", "default")).code == 4
    assert (await door(*LIST)).code == 4


async def test_quiet_reports_errors_only(door: Door, one: FakeZoho) -> None:
    result = await door.login("--quiet", ZOHO_GRANT_CODE=one.grant_code)
    assert (result.code, result.out, result.err) == (0, "", "")
    result = await door("logout", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    result = await door("logout", "--quiet")
    assert (result.code, "no profile `default`" in result.err) == (4, True)


async def test_a_second_login_leaves_no_token_of_the_first(door: Door, one: FakeZoho) -> None:
    for _ in range(2):
        assert (await door.login(ZOHO_GRANT_CODE=one.grant_code)).code == 0
        assert (await door(*LIST)).code == 0
    assert len(list(door.cli.state_home.rglob("token-*.json"))) == 1


def profile_of(door: Door, name: str = "default") -> dict[str, str]:
    import tomllib

    found: dict[str, str] = tomllib.loads(door.config.read_text())[name]
    return found


@pytest.mark.parametrize("way", ["option", "stdin"])
async def test_a_code_comes_as_an_option_or_on_standard_input(door: Door, one: FakeZoho, way: str) -> None:
    code = one.grant_code
    given = ("--code", code) if way == "option" else ("--code", "-")
    result = await door.login("--profile", "shop", *given, stdin=f"{code}\n".encode())
    assert (result.code, result.out) == (0, ""), result.err
    assert "zoho-async doctor --profile shop" in result.err
    assert (await door(*LIST, "--profile", "shop")).code == 0


async def test_every_question_names_its_option_where_nobody_can_answer(door: Door, one: FakeZoho) -> None:
    nothing = await door("login")
    assert (nothing.code, "help: --data-center us|eu" in nothing.err) == (2, True), nothing.err
    without_client = await door("login", "--data-center", "eu")
    assert (without_client.code, "--client-id" in without_client.err) == (2, True)
    assert "https://api-console.zoho.eu" in without_client.err
    without_secret = await door("login", "--data-center", "eu", "--client-id", "x")
    assert (without_secret.code, "ZOHO_CLIENT_SECRET" in without_secret.err) == (2, True)
    without_code = await door.login()
    assert (without_code.code, "ZOHO_GRANT_CODE" in without_code.err) == (2, True)
    assert "ZohoBooks.contacts.CREATE,ZohoBooks.contacts.READ" in without_code.err
    assert one.token_requests == 0


async def test_one_of_several_organisations_is_named(door: Door, one: FakeZoho) -> None:
    one.add_organization({"id": "77", "name": "Second", "edition": "in"})
    missing = await door.login(ZOHO_GRANT_CODE=one.grant_code)
    assert (missing.code, "--organization-id" in missing.err) == (4, True)
    assert 'organization_id = "77" below [default] in ' in missing.err, missing.err
    assert "Try it" not in missing.err
    assert "77  Second  IN" in missing.err
    # The code is spent: its refresh token is kept, and the organisation can be added.
    assert profile_of(door)["refresh_token"]
    assert "organization_id" not in profile_of(door)
    wrong = await door.login("--organization-id", "78", ZOHO_GRANT_CODE=one.grant_code)
    assert (wrong.code, "no organisation 78" in wrong.err) == (4, True)
    assert (await door.login("--organization-id", "77", ZOHO_GRANT_CODE=one.grant_code)).code == 0
    assert profile_of(door)["organization_id"] == "77"


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "word"),
    [
        ((), {"ZOHO_GRANT_CODE": "1000.used"}, 4, "invalid_code"),
        ((), {"ZOHO_GRANT_CODE": ""}, 2, "ZOHO_GRANT_CODE"),
        (("--code", "-"), {}, 2, "the code is empty"),
        (("--browser", "--code", "x"), {}, 2, "exclude each other"),
        (("--find-data-center",), {"ZOHO_GRANT_CODE": "x"}, 2, "address of the accounts server is given"),
        (("--data-center", "uss"), {}, 2, "did you mean `us`?"),
        (("--for", "pushh"), {}, 2, "did you mean `push`?"),
        (("--product", "book"), {}, 2, "did you mean `books`?"),
        (("--profile", "a b"), {}, 2, "letters, digits"),
    ],
)
async def test_what_a_login_refuses(
    door: Door, arguments: tuple[str, ...], environment: dict[str, str], code: int, word: str
) -> None:
    result = await door.login(*arguments, **environment)
    assert (result.code, word in result.err, door.config.exists() and "refresh" in door.config.read_text()) == (
        code, True, False,
    ), result.err  # fmt: skip


async def test_no_code_is_spent_when_the_profile_cannot_be_written(door: Door, one: FakeZoho) -> None:
    (door.cli.folder / "config").write_text("no folder")
    result = await door.login(ZOHO_GRANT_CODE=one.grant_code)
    assert (result.code, "cannot be" in result.err, one.token_requests) == (4, True, 0)


async def test_an_unlisted_organisation_is_taken_from_the_option(door: Door) -> None:
    async with FakeZoho(scopes=["ZohoBooks.contacts.READ"]) as fake:
        one_door = Door(door.cli, fake)
        result = await one_door.login("--organization-id", "10234695", ZOHO_GRANT_CODE=fake.grant_code)
        assert (result.code, "not granted: ZohoBooks.contacts.CREATE" in result.err) == (0, True), result.err
        assert (await one_door(*LIST)).code == 0


# -- data centres


@pytest.fixture
def centers(monkeypatch: pytest.MonkeyPatch, one: FakeZoho) -> Iterator[None]:
    """A table whose second data centre is the fake, and whose first does not answer."""
    for name in list(DATA_CENTERS):
        monkeypatch.delitem(DATA_CENTERS, name)
    nowhere = "http://127.0.0.1:1"
    for name, url in (("us", nowhere), ("eu", one.url), ("in", nowhere)):
        monkeypatch.setitem(DATA_CENTERS, name, DataCenter(name=name, accounts_url=url, api_url=url))
    yield


@pytest.mark.usefixtures("centers")
async def test_data_centres_are_tried_only_when_asked_to_and_only_after_a_warning(door: Door, one: FakeZoho) -> None:
    client = {
        "ZOHO_CLIENT_ID": one.client_id, "ZOHO_CLIENT_SECRET": one.client_secret, "ZOHO_GRANT_CODE": one.grant_code,
    }  # fmt: skip
    unfound = await door("login", "--no-keyring", "--data-center", "us", **client)
    assert (unfound.code, one.token_requests) == (1, 0), unfound.err
    found = await door("login", "--no-keyring", "--find-data-center", **client)
    assert found.code == 0, found.err
    assert found.err.index("sent to the accounts server of each of us, eu, in") < found.err.index("It is eu.")
    assert profile_of(door)["data_center"] == "eu"
    again = await door("login", "--no-keyring", "--find-data-center", **client)
    assert (again.code, "us: no connection, eu: invalid_code, in: no connection" in again.err) == (4, True), again.err


def test_an_accounts_server_must_be_one_of_the_table() -> None:
    assert data_center_of("https://accounts.zoho.eu/", None) == "eu"
    assert data_center_of("http://127.0.0.1:5", "http://127.0.0.1:5/") is None
    for address in ("https://accounts.zoho.eu.evil.example", "http://accounts.zoho.eu", "https://a@accounts.zoho.eu"):
        with pytest.raises(SetupError, match="none of Zoho's"):
            data_center_of(address, None)
    assert console_address("ca") == "https://api-console.zohocloud.ca"


@pytest.mark.parametrize(
    ("configured", "hint"),
    [
        (None, ""),
        ("https://gateway.example", ""),
        ("http://127.0.0.1:5", " (of a FakeZoho: curl http://127.0.0.1:5/_fake)"),
    ],
)
def test_a_code_of_a_fake_is_found_there(configured: str | None, hint: str) -> None:
    assert fake_hint(configured) == hint
    refused = explain_refusal("invalid_code", "eu", configured, 1)
    assert refused is not None
    assert f"generate another one at https://api-console.zoho.eu{hint}, or" in refused.help


def test_the_redirect_is_read_only_with_its_state() -> None:
    assert read_redirect("/callback?code=c&state=s&accounts-server=x", "s").code == "c"
    for target in (
        "/callback?code=c",
        "/callback?code=c&state=t",
        "/callback?state=s",
        "/callback?state=s&error=denied",
    ):
        with pytest.raises(SetupError) as caught:
            read_redirect(target, "s")
        assert caught.value.help.startswith("zoho-async login --browser")
    assert "c0de" not in repr(read_redirect("/callback?code=c0de&state=s", "s"))


def test_an_organisation_is_chosen_where_there_is_one_only() -> None:
    two = [{"organization_id": "1"}, {"organization_id": "2"}]
    assert choose_organization(two[:1], None) == "1"
    assert choose_organization(two, None) is None
    assert choose_organization([], None) is None
    assert choose_organization([], "9") == "9"


@pytest.mark.parametrize(
    ("code", "message", "help"),
    [
        ("invalid_client", "unknown in the data centre eu", "--find-data-center"),
        ("invalid_client_secret", "does not belong", "https://api-console.zoho.eu"),
        ("invalid_code", "used before, has expired", "generate another one"),
        ("invalid_redirect_uri", "not registered", "http://localhost:8788/callback"),
    ],
)
def test_a_refused_code_is_explained(code: str, message: str, help: str) -> None:
    found = explain_refusal(code, "eu", None, 8788)
    assert found is not None
    assert (message in str(found), help in found.help) == (True, True)
    assert explain_refusal("Access Denied", "eu", None, 1) is None


# -- browser


class Browser:
    """Follows the consent page to the redirect address, as a person's browser would."""

    def __init__(self, change: str = "") -> None:
        self.change = change
        self.opened: list[str] = []
        self.statuses: list[int] = []

    def open(self, address: str) -> bool:
        self.opened.append(address)
        threading.Thread(target=self._follow, args=(address,), daemon=True).start()
        return True

    def _follow(self, address: str) -> None:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        try:
            urllib.request.build_opener(Stay).open(address, timeout=10)
        except urllib.error.HTTPError as answer:
            back = answer.headers["Location"]
        old, _, new = self.change.partition("=>")
        parts = urllib.parse.urlsplit(back)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if old:
            query[old] = new
        base = f"{parts.scheme}://{parts.netloc}"
        for target in (f"{base}/favicon.ico", f"{base}{parts.path}?{urllib.parse.urlencode(query)}"):
            try:
                with urllib.request.urlopen(target, timeout=10) as response:
                    self.statuses.append(response.status)
            except urllib.error.HTTPError as error:
                self.statuses.append(error.code)


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ("", 0, "Organisation 10234695"),
        ("state=>forged", 4, "another state"),
        ("accounts-server=>https://accounts.example", 4, "none of Zoho's"),
        ("error=>access_denied", 4, "access_denied"),
    ],
)
async def test_a_browser_comes_back_with_a_code(
    door: Door, one: FakeZoho, monkeypatch: pytest.MonkeyPatch, change: str, code: int, word: str
) -> None:
    browser = Browser(change)
    monkeypatch.setattr("webbrowser.open", browser.open)
    result = await door.login("--browser", "--port", "0", "--for", "pull")
    assert (result.code, word in result.err) == (code, True), result.err
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(browser.opened[0]).query))
    assert query["scope"] == "ZohoBooks.contacts.READ,ZohoBooks.settings.READ"
    assert one.client_secret not in browser.opened[0]
    if code:
        assert one.token_requests == 0
        assert not door.config.exists() or "refresh" not in door.config.read_text()
    else:
        assert browser.statuses[0] == 404
        assert (await door(*LIST)).code == 0


async def test_a_browser_that_does_not_come_back(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    result = await door.login("--browser", "--port", "0", "--timeout", "1")
    assert (result.code, "did not come back within 1 s" in result.err) == (4, True)
    assert "help: zoho-async login --browser" in result.err


def test_the_consent_page_is_asked_for_a_refresh_token() -> None:
    address = consent_address(
        "https://a", client_id="i", scope="s", redirect_uri="http://localhost:1/callback", state="t"
    )
    assert "access_type=offline&prompt=consent" in address


# -- scopes


def test_scopes_are_the_fewest_that_a_purpose_needs() -> None:
    assert scopes_for(("pull",), ("books",)) == "ZohoBooks.contacts.READ,ZohoBooks.settings.READ"
    assert "DELETE" not in scopes_for(("push",), ("books", "expense", "billing", "invoice"))
    assert "ZohoBooks.contacts.DELETE" in scopes_for(("all",), ("books",))
    assert (
        scopes_of(["books.contacts.get", "books.contacts.del*"]) == "ZohoBooks.contacts.DELETE,ZohoBooks.contacts.READ"
    )


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (["ZohoBooks.contacts.READ"], []),
        (["ZohoBooks.contacts.ALL"], []),
        (["zohobooks.fullaccess.all"], []),
        (["ZohoBooks.settings.READ", "ZohoInvoice.fullaccess.all"], ["ZohoBooks.contacts.READ"]),
    ],
)
def test_scopes_that_others_cover(granted: list[str], missing: list[str]) -> None:
    assert missing_scopes(granted, ["ZohoBooks.contacts.READ"]) == missing


async def test_scopes_orgs_and_quota_are_shown(cli: Cli, fake: FakeZoho) -> None:
    shown = await cli("scopes", "books.contacts.get", environment={})
    assert shown.out == "ZohoBooks.contacts.READ\n"
    listed = await cli("orgs", "--json", "--product", "billing")
    assert [json.loads(line)["organization_id"] for line in listed.out.splitlines()] == [*fake.organizations]
    table = await cli("orgs")
    assert [line.split()[0] for line in table.out.splitlines()] == [*fake.organizations]
    fake.organization().limits.per_day = 500
    left = (await cli("quota", "--json")).json
    assert (left["limit"], 0 < left["remaining"] < 500) == (500, True)
    assert "left today" in (await cli("quota")).out


# -- the profile file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\nclientid = 'x'\n", ("unknown keys: clientid", "did you mean client_id?")),
        ("[a]\norg_id = '1'\nZOHO_REFRESH_TOKEN = 'x'\n", ("did you mean organization_id and refresh_token?",)),
        ("[a]\ncolour = 1\n", ("unknown keys: colour", "keys: client_id")),
        ("[a]\nclient_id = 'x'\nclient_secret = S3CRET\n", ("line 3 is not valid TOML",)),
        ("[a]\nrefresh_token = 'S3CRET\n", ("line 2",)),
        ("[a]\norganization_id = true\n", ("organization_id is no text",)),
        ("a = 'S3CRET'\n", ("stands outside of a profile",)),
        ("[ab]\n", ("no profile `a`", "did you mean `ab`?")),
    ],
)
async def test_a_profile_file_says_what_is_wrong_with_it(door: Door, text: str, words: tuple[str, ...]) -> None:
    door.config.parent.mkdir(parents=True)
    door.config.write_text(text)
    result = await door(*LIST, "--profile", "a")
    assert (result.code, [word for word in words if word not in result.err]) == (4, []), result.err
    assert "S3CRET" not in result.err


async def test_logout_of_a_profile_that_cannot_be_read_says_that_it_is_removed(door: Door) -> None:
    door.config.parent.mkdir(parents=True)
    door.config.write_text("[a]\nclientid = 'x'\n[b]\nclient_id = 'y'\n")
    result = await door("logout", "a")
    assert (result.code, "profile `a` is removed, but perhaps not its access token" in result.err) == (4, True)
    assert f"help: rm {door.cli.state_home}" in result.err
    assert "clientid" in result.err
    assert door.config.read_text() == "[b]\nclient_id = 'y'\n"


def test_other_profiles_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = profile_file.profile_path()
    path.parent.mkdir()
    path.write_text('# mine\n["a"]\nclient_id = "1" # one\n\n[b] # two\nclient_id = "2"\n[c]\nclient_id = "3"\n')
    profile_file.write_profile("b", {"client_id": '"\\\n', "data_center": ""}, keyring=False)
    assert path.read_text().startswith('# mine\n["a"]\nclient_id = "1" # one\n\n[c]\nclient_id = "3"\n\n[b]\n')
    assert profile_file.read_profiles()["b"] == {"client_id": '"\\\n'}
    profile_file.delete_profile("a")
    assert list(profile_file.read_profiles()) == ["c", "b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Keyring(types.ModuleType):
    """A keyring in memory; `broken` is one without a backend."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.broken = broken

    def get_password(self, service: str, user: str) -> str | None:
        return self.kept.get((service, user))

    def set_password(self, service: str, user: str, value: str) -> None:
        if self.broken:
            raise RuntimeError("no backend")
        self.kept[service, user] = value

    def delete_password(self, service: str, user: str) -> None:
        del self.kept[service, user]


@pytest.mark.parametrize("broken", [False, True])
async def test_secrets_lie_in_the_keyring_where_there_is_one(
    door: Door, one: FakeZoho, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    keyring = Keyring(broken=broken)
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    result = await door.login("--keyring", "--json", ZOHO_GRANT_CODE=one.grant_code)
    assert (result.code, result.json["keyring"]) == (0, not broken), result.err
    assert (one.client_secret in door.config.read_text()) is broken
    assert {user for _, user in keyring.kept} == (
        set() if broken else {"default/client_secret", "default/refresh_token"}
    )
    assert (await door(*LIST)).code == 0
    assert (await door("logout", "default", "--revoke")).code == 0
    assert keyring.kept == {}
    assert one.requests("oauth.revoke") == 1


def test_without_a_keyring_there_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert keyring_secrets.load("a", ("client_secret",)) == {}
    assert keyring_secrets.save("a", {"client_secret": "x"}) is False


async def test_a_line_that_a_shell_evaluates_is_enough_to_log_in(cli: Cli) -> None:
    script = (
        'eval "$(python -m zoho_async fake --env &)"\n'
        "python -m zoho_async login --no-keyring --profile shell || exit 9\n"
        "python -m zoho_async doctor --profile shell; code=$?\n"
        # A client would keep its token there; the fake removes it.
        'touch "$ZOHO_TOKEN_FILE"; kill $ZOHO_FAKE_PID\n'
        'for i in $(seq 100); do test -e "$ZOHO_TOKEN_FILE" || exit $code; sleep 0.1; done; exit 8\n'
    ).replace("python", sys.executable)
    environment = {"PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(cli.folder), "XDG_STATE_HOME": str(cli.folder)}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, cwd=cli.folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"Nothing is wrong." in out, out


# -- questions


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person types; an empty list is the end of input."""
    answers: list[str] = []

    def prompt(text: str, **options: object) -> str:
        assert options["err"] is True
        if not answers:
            raise typer.Abort
        return answers.pop(0)

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    return answers


def test_a_choice_is_asked_for_until_it_is_one(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    typed += ["", "0", "x", "4", " 2 "]
    assert choose("Which", ["a", "b", "c"], option="--which") == 1
    out, err = capsys.readouterr()
    assert (out, err.count("a number from 1 to 3")) == ("", 4)
    with pytest.raises(KeyboardInterrupt):
        ask("Name", option="--name")


@pytest.mark.parametrize("command", ["orgs", "quota", "doctor"])
async def test_commands_on_an_account_share_limits_too(cli: Cli, one: FakeZoho, command: str) -> None:
    environment = {"ZOHO_ACCESS_TOKEN": one.access_token, "ZOHO_ORGANIZATION_ID": one.organization_id}
    environment |= {"ZOHO_API_URL": one.url}
    done = await cli(command, "--per-minute", 0, "--concurrency", 1, environment=environment)
    assert done.code == 0, done.err
    done = await cli(command, "--redis", "no-url", environment=environment)
    assert (done.code, "--redis" in done.err) == (2, True)
