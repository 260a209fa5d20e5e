from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import msgspec
import pytest
from support.client import client_of
from support.fault_server import SUCCESS, Fault, FaultServer

from zoho_async import (
    AuthError,
    ConfigError,
    DecodeError,
    InvalidError,
    Limits,
    MemoryStore,
    OAuth,
    OutcomeUnknownError,
    RefusedError,
    StaticToken,
    UnavailableError,
    Upload,
    Zoho,
    operations,
    scopes,
)
from zoho_async.auth import data_centers
from zoho_async.books import ContactUpsert
from zoho_async.fake import FakeZoho
from zoho_async.schema.custom_fields import with_custom_field
from zoho_async.transport import http
from zoho_async.transport.hooks import origin


def test_a_resource_is_created_once_and_a_copy_has_its_own() -> None:
    zoho = Zoho(StaticToken("t"), organization_id="1")
    assert zoho.books.contacts is zoho.books.contacts
    other = zoho.with_options(organization_id="2")
    for of in ("books", "invoice", "expense", "billing"):
        assert getattr(zoho, of) is getattr(zoho, of)
        assert getattr(other, of) is not getattr(zoho, of)
    assert origin(zoho.books.contacts)[1] == "1"
    assert origin(other.books.contacts)[1] == "2"


async def test_copies_share_session_and_limiter_of_the_same_organisation() -> None:
    async with (
        FaultServer() as server,
        Zoho(StaticToken("one"), organization_id="1", api_url=server.url, limits=Limits(per_minute=3, burst=3)) as zoho,
    ):
        same, other = zoho.with_options(retries=0), zoho.with_options(organization_id="2", auth=StaticToken("two"))
        await zoho.books.contacts.get("1")
        await same.books.contacts.get("1")
        await other.books.contacts.get("1")
        assert server.connections == 1
        assert (zoho.quota.minute_left, same.quota.minute_left, other.quota.minute_left) == (1, 1, 2)
        assert [seen.headers["authorization"] for seen in server.seen] == [
            "Zoho-oauthtoken one",
            "Zoho-oauthtoken one",
            "Zoho-oauthtoken two",
        ]
        assert [seen.target.partition("organization_id=")[2] for seen in server.seen] == ["1", "1", "2"]


async def test_hundreds_of_organisations_with_their_own_tokens_on_several_data_centres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FaultServer() as us, FaultServer() as eu, FaultServer() as india:
        servers = {"us": us, "eu": eu, "in": india}
        centers = {
            name: data_centers.DataCenter(name=name, accounts_url=server.url, api_url=server.url)
            for name, server in servers.items()
        }
        for module in ("transport", "accounts_server"):
            monkeypatch.setattr(f"zoho_async.transport.{module}.DATA_CENTERS", centers)
        names = list(servers)
        async with Zoho(StaticToken("none")) as zoho:
            copies = [
                zoho.with_options(
                    auth=StaticToken(f"t{number}"), organization_id=str(number), data_center=names[number % 3]
                )
                for number in range(300)
            ]
            await asyncio.gather(*(copy.books.contacts.get("1") for copy in copies for _ in range(2)))
            assert zoho.with_options(organization_id="7", data_center="eu").quota.sent == 2
            assert zoho.with_options(organization_id="7", data_center="us").quota.sent == 0
    for index, server in enumerate(servers.values()):
        assert len(server.seen) == 200
        for seen in server.seen:
            number = seen.target.partition("organization_id=")[2]
            assert int(number) % 3 == index
            assert seen.headers["authorization"] == f"Zoho-oauthtoken t{number}"


async def test_closing_twice_is_harmless_and_a_copy_leaves_the_session_open(fake: FakeZoho) -> None:
    zoho = client_of(fake)
    async with zoho.with_options(retries=0) as copy:
        await copy.books.contacts.list()
    await zoho.books.contacts.list()
    await zoho.close()
    await zoho.close()
    with pytest.raises(ConfigError, match="closed"):
        await zoho.books.contacts.list()


async def test_a_session_of_the_callers_own_is_used_and_left_open(fake: FakeZoho) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
        async with client_of(fake, session=session) as zoho:
            await zoho.books.contacts.list()
        assert not session.closed
    assert fake.received[-1].headers["x-mine"] == "yes"


async def test_middlewares_of_the_callers_session_still_run_and_nothing_is_sent_twice() -> None:
    ran: list[str] = []

    async def middleware(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        ran.append(request.method)
        response: aiohttp.ClientResponse = await handler(request)
        return response

    async with FaultServer() as server, aiohttp.ClientSession(middlewares=[middleware]) as session:
        options: dict[str, Any] = {"organization_id": "1", "api_url": server.url, "session": session, "retries": 0}
        async with Zoho(StaticToken("t"), **options) as zoho:
            await zoho.books.contacts.get("1")
            server.script(Fault("reset"))
            with pytest.raises(Exception, match="connection lost"):
                await zoho.books.contacts.get("1")
    assert ran == ["GET", "GET"]
    assert len(server.seen) == 2


def test_use_from_another_event_loop_is_explained() -> None:
    async def first() -> Zoho:
        async with FaultServer() as server:
            zoho = Zoho(StaticToken("t"), organization_id="1", api_url=server.url)
            await zoho.books.contacts.get("1")
            await zoho.close()
            zoho = Zoho(StaticToken("t"), organization_id="1", api_url=server.url, session=None)
            zoho._transport.shared.http().session()
            return zoho

    async def second(zoho: Zoho) -> None:
        with pytest.raises(ConfigError, match="another event loop"):
            await zoho.books.contacts.get("1")
        await zoho.close()

    zoho = asyncio.run(first())
    asyncio.run(second(zoho))


async def test_without_an_organisation_nothing_is_sent() -> None:
    async with FaultServer() as server, Zoho(StaticToken("t"), api_url=server.url) as zoho:
        with pytest.raises(ConfigError, match="organization_id"):
            await zoho.books.contacts.get("1")
    assert server.seen == []


async def test_a_wrong_organisation_is_a_matter_of_configuration(fake: FakeZoho) -> None:
    async with client_of(fake, organization_id="999") as zoho:
        with pytest.raises(ConfigError) as caught:
            await zoho.books.contacts.list()
    assert caught.value.code == 6041
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"data_center": "moon"},
        {"api_url": "http://www.zohoapis.com"},
        {"api_url": "www.zohoapis.com"},
        {"api_url": "http://127.0.0.1.evil.example"},
        {"api_url": "http://127.evil.example"},
        {"api_url": "http://128.0.0.1"},
        {"api_url": "http://localhost:99999"},
        {"api_url": "https://www.zohoapis.com?x=1"},
        {"api_url": "http://localhost.evil.example:80"},
        {"api_url": "http://localhost@evil.example"},
        {"api_url": "https://www.zohoapis.com@evil.example"},
        {"accounts_url": "ftp://accounts.zoho.com"},
        {"organization_id": "10 or 11"},
        {"retries": -1},
        {"timeout": 0},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings)).split("_")[0]):
        Zoho(StaticToken("t"), **settings)
    with pytest.raises(ConfigError):
        Zoho(StaticToken("t")).with_options(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.1.2.3", "localhost", "[::1]"])
def test_every_address_of_this_machine_takes_http(host: str) -> None:
    assert Zoho(StaticToken("t"), api_url=f"http://{host}:8080") is not None


def test_options_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Zoho(StaticToken("t")).with_options(colour="red")


def test_from_env_takes_what_is_there_and_names_what_is_not() -> None:
    oauth = {"ZOHO_CLIENT_ID": "a", "ZOHO_CLIENT_SECRET": "b", "ZOHO_REFRESH_TOKEN": "c"}
    place = {"ZOHO_ORGANIZATION_ID": "7", "ZOHO_DATA_CENTER": "eu"}
    zoho = Zoho.from_env({**oauth, **place})
    assert zoho.organization_id == "7"
    assert isinstance(zoho._transport.settings.auth, OAuth)
    assert zoho._transport.settings.data_center == "eu"
    assert Zoho.from_env({**oauth, **place}, organization_id="8").organization_id == "8"
    assert isinstance(Zoho.from_env({"ZOHO_ACCESS_TOKEN": "t"})._transport.settings.auth, StaticToken)
    with pytest.raises(AuthError, match="ZOHO_CLIENT_ID"):
        Zoho.from_env({})
    with pytest.raises(ConfigError, match="ZOHO_REFRESH_TOKEN"):
        Zoho.from_env({"ZOHO_CLIENT_ID": "a", "ZOHO_CLIENT_SECRET": "b"})


async def test_programs_from_the_environment_share_the_token_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    async with FakeZoho() as fake:
        environ = {
            "ZOHO_CLIENT_ID": fake.client_id,
            "ZOHO_CLIENT_SECRET": fake.client_secret,
            "ZOHO_REFRESH_TOKEN": fake.refresh_token,
            "ZOHO_API_URL": fake.url,
            "ZOHO_TOKEN_FILE": str(path),
        }
        # Zoho issues ten tokens in ten minutes.
        for _ in range(12):
            async with Zoho.from_env(environ) as zoho:
                await zoho.books.organizations.list()
        assert fake.token_requests == 1
        async with Zoho.from_env(environ, store=MemoryStore()) as zoho:
            await zoho.books.organizations.list()
        assert fake.token_requests == 2
    assert path.stat().st_mode & 0o777 == 0o600


class Listing(msgspec.Struct):
    contacts: list[dict[str, Any]]


async def test_request_reaches_whatever_has_no_method(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "Alpha", "credit_limit": Decimal("10.10")}])
    response = await zoho.request("get", "/books/v3/contacts", query={"contact_name": "Alpha", "page": None})
    assert response.data["contacts"][0]["contact_name"] == "Alpha"
    assert response.data["code"] == 0
    typed = await zoho.request("GET", "/books/v3/contacts", type=Listing)
    assert len(typed.data.contacts) == 1
    assert fake.received[-1].query["organization_id"] == fake.organization_id
    for wrong in ("books/v3/contacts", "/books/v3/contacts?page=1"):
        with pytest.raises(ConfigError, match="path"):
            await zoho.request("GET", wrong)


def test_operations_are_listed_as_data() -> None:
    listed = {operation.id: operation for operation in operations()}
    create = listed["books.contacts.create"]
    assert (create.product, create.method, create.path) == ("books", "POST", "/contacts")
    assert create.scope == "ZohoBooks.contacts.CREATE"
    assert create.idempotent is False
    assert create.request.__name__ == "ContactCreate"
    assert create.response.__name__ == "Contact"
    assert listed["books.contacts.delete"].response is None
    assert all(operation.title and operation.source for operation in listed.values())


async def test_other_limits_hold_for_everybody_in_the_organisation() -> None:
    async with FaultServer() as server, Zoho(StaticToken("t"), organization_id="1", api_url=server.url) as zoho:
        await zoho.books.contacts.get("1")
        assert zoho.quota.minute_left == 94
        slower = zoho.with_options(limits=Limits(per_minute=5))
        assert (zoho.quota.minute_left, slower.quota.minute_left) == (4, 4)
        assert zoho.with_options(limits=None).quota.minute_left == 94


async def test_products_can_be_counted_apart() -> None:
    async with FaultServer() as server:
        limits = Limits(per_product=True)
        async with Zoho(StaticToken("t"), organization_id="1", api_url=server.url, limits=limits) as zoho:
            await zoho.books.contacts.get("1")
            await zoho.request("GET", "/books/v3/items")
            assert {key[-1] for key in zoho._transport.shared.limiters} == {"books"}
            await zoho.request("GET", "/inventory/v1/items")
            assert {key[-1] for key in zoho._transport.shared.limiters} == {"books", ""}


def test_another_data_centre_leaves_the_old_addresses_behind() -> None:
    zoho = Zoho(StaticToken("t"), api_url="https://proxy.example", accounts_url="https://accounts.example")
    moved = zoho.with_options(data_center="eu")
    assert (moved._transport.settings.api_url, moved._transport.settings.accounts_url) == (None, None)
    kept = zoho.with_options(data_center="eu", api_url="https://other.example")
    assert kept._transport.settings.api_url == "https://other.example"


async def test_any_path_is_sent_as_one_line() -> None:
    async with FaultServer() as server, Zoho(StaticToken("t"), organization_id="1", api_url=server.url) as zoho:
        await zoho.request("GET", "/books/v3/a b/\r\nX: ä%20")
    assert server.seen[0].target == "/books/v3/a%20b/%0D%0AX:%20%C3%A4%20?organization_id=1"
    assert "x" not in server.seen[0].headers


async def test_a_page_given_as_text_is_continued_from() -> None:
    async with FakeZoho(per_minute=None) as fake, client_of(fake) as zoho:
        fake.seed([{"contact_name": f"Contact {number}"} for number in range(5)])
        loose: Any = zoho.books.contacts.list
        assert len([row async for row in loose(page="2", per_page=2)]) == 3


async def test_limits_chosen_before_the_first_call_hold_all_the_same() -> None:
    async with FaultServer() as server, Zoho(StaticToken("t"), organization_id="1", api_url=server.url) as zoho:
        chosen = zoho.with_options(organization_id="9", limits=Limits(per_minute=7))
        await zoho.with_options(organization_id="9").books.contacts.get("1")
        assert chosen.quota.minute_left == 6


def test_another_loop_is_an_error_before_any_wait() -> None:
    async def first() -> Zoho:
        async with FaultServer() as server:
            zoho = Zoho(StaticToken("t"), organization_id="1", api_url=server.url, limits=Limits(concurrency=1))
            await zoho.books.contacts.get("1")
            await zoho._transport.limiter("books").acquire()
            await zoho.close()
            return zoho

    async def second(zoho: Zoho) -> None:
        with pytest.raises(ConfigError, match="another event loop"):
            await asyncio.wait_for(zoho.books.contacts.get("1"), 5)

    asyncio.run(second(asyncio.run(first())))


@pytest.mark.parametrize(
    "settings", [{"max_wait": -1}, {"deadline": -5}, {"timeout": float("nan")}, {"retries": 1.5}], ids=str
)
def test_numbers_that_cannot_be_meant_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Zoho(StaticToken("t"), **settings)


def test_a_bare_token_is_no_auth() -> None:
    loose: Any = "token"
    with pytest.raises(TypeError, match="StaticToken"):
        Zoho(loose)


@pytest.mark.parametrize(("domain", "known"), [("https://www.zohoapis.ae", True), ("https://www.zohoapis.xy", False)])
async def test_the_data_center_of_a_token_is_used_or_named_but_never_replaced(
    monkeypatch: pytest.MonkeyPatch, domain: str, known: bool
) -> None:
    token = Fault("answer", body=b'{"access_token":"t","expires_in":3600,"api_domain":"%s"}' % domain.encode())
    refusal = Fault("answer", status=502, body=b"no")
    monkeypatch.delenv("no_proxy", raising=False)
    async with FaultServer(lambda _: token) as accounts, FaultServer(lambda _: refusal) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        async with Zoho(OAuth("a", "b", "c"), organization_id="1", accounts_url=accounts.url) as zoho:
            with pytest.raises(ConfigError) as caught:
                await zoho.books.contacts.get("1")
            assert caught.value.sent is False
            assert [seen.target for seen in proxy.seen] == (["www.zohoapis.ae:443"] if known else [])
            assert known or domain in str(caught.value)
            assert zoho.quota.sent == len(proxy.seen)
            # An address of the caller's own is not the response's to change.
            await zoho.with_options(api_url=(await configured(accounts))).books.contacts.list()
            assert accounts.seen[-1].target.startswith("/books/v3/contacts")


async def configured(server: FaultServer) -> str:
    server.script(Fault("answer", body=json.dumps(SUCCESS).encode()))
    return server.url


async def test_request_takes_responses_without_a_code_other_media_and_no_content() -> None:
    text = (("Content-Type", "text/html; charset=utf-8"),)
    pdf = (("Content-Type", "application/pdf"),)
    async with (
        FaultServer() as server,
        Zoho(StaticToken("t"), organization_id="1", api_url=server.url, retries=0) as zoho,
    ):
        bodies: list[tuple[bytes, object]] = [
            (b'{"items":[1.10]}', {"items": [Decimal("1.10")]}),
            (b'{"code":null,"a":1}', {"code": None, "a": 1}),
            (b"[1]", [1]),
            (b'"x"', "x"),
        ]
        for body, data in bodies:
            server.script(Fault("answer", body=body), Fault("answer", body=body))
            assert (await zoho.request("GET", "/books/v3/items")).data == data
            assert (await zoho.request("POST", "/books/v3/items", body={})).data == data
        server.script(Fault("answer", body=b"%PDF\xff", headers=pdf), Fault("bare", status=204))
        assert (await zoho.request("GET", "/books/v3/invoices/1")).data == b"%PDF\xff"
        nothing = await zoho.request("DELETE", "/books/v3/items/1")
        assert (nothing.status, nothing.data) == (204, None)
        assert server.seen[-1].headers["accept"].startswith("application/json,")
        page = Fault("answer", body=b"<html>invoice</html>", headers=text)
        server.script(page, page, page, Fault("answer", body=b" "), Fault("answer", body=b'{"code":0,', headers=()))
        asked = await zoho.request("GET", "/books/v3/invoices/1", headers={"accept": "text/html"})
        assert asked.data == b"<html>invoice</html>"
        with pytest.raises(UnavailableError):
            await zoho.request("GET", "/books/v3/invoices/1")
        for _ in range(3):  # a gateway's page, nothing, and a part
            with pytest.raises(OutcomeUnknownError):
                await zoho.request("POST", "/books/v3/items", body={})
        server.script(Fault("answer", body=b'{"code":1001,"message":"no"}'), Fault("answer", body=b"%PDF", headers=pdf))
        with pytest.raises(RefusedError):
            await zoho.request("POST", "/books/v3/items", body={})
        with pytest.raises(DecodeError):
            await zoho.request("GET", "/books/v3/invoices/1", type=dict)


async def test_send_takes_the_id_of_an_operation(fake: FakeZoho, zoho: Zoho) -> None:
    made = await zoho.send("books.contacts.create", body={"contact_name": "Bowman"})
    assert made.data.contact_name == "Bowman"
    assert (await zoho.send("books.contacts.get", path={"contact_id": made.data.contact_id})).data == made.data
    before = len(fake.received)
    with pytest.raises(ConfigError, match=r"no operation 'books.contacts.gett'; did you mean `books.contacts.get` "):
        await zoho.send("books.contacts.gett")
    assert len(fake.received) == before


def test_scopes_take_ids() -> None:
    assert (
        scopes(["books.contacts.get", "expense.customers.list"]) == "ZohoBooks.contacts.READ,ZohoExpense.customer.READ"
    )
    assert scopes("books.contacts.get") == "ZohoBooks.contacts.READ"
    with pytest.raises(ConfigError, match=r"no operation 'nothing like it'; `zoho_async.operations\(\)` lists all"):
        scopes(["nothing like it"])


@pytest.mark.parametrize("make", [dict, ContactUpsert])
async def test_an_upsert_finds_again_what_it_made(fake: FakeZoho, zoho: Zoho, make: Any) -> None:
    body = make(contact_name="Bowman")
    first = await zoho.books.contacts.upsert(body, field="cf_external_id", value="42", create=True)
    again = await zoho.books.contacts.upsert(body, field="cf_external_id", value="42", create=True)
    assert again.contact_id == first.contact_id
    assert fake.created() == {"Bowman": 1}
    assert body == make(contact_name="Bowman"), "the caller's body is unchanged"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, [{"api_name": "cf_id", "value": "1"}]),
        (msgspec.UNSET, [{"api_name": "cf_id", "value": "1"}]),
        ([], [{"api_name": "cf_id", "value": "1"}]),
        ([{"api_name": "cf_id", "value": "2"}], [{"api_name": "cf_id", "value": "2"}]),
        (
            [{"api_name": "cf_b", "value": "2"}],
            [{"api_name": "cf_b", "value": "2"}, {"api_name": "cf_id", "value": "1"}],
        ),
        ("odd", "odd"),
    ],
)
def test_the_field_of_an_upsert_is_put_into_the_body(given: Any, sent: Any) -> None:
    assert with_custom_field({"custom_fields": given}, "cf_id", "1") == {"custom_fields": sent}
    if given != "odd":
        assert with_custom_field(ContactUpsert(custom_fields=given), "cf_id", "1") == ContactUpsert(custom_fields=sent)
    assert with_custom_field(7, "cf_id", "1") == 7


async def test_the_name_of_the_argument_is_in_the_error(zoho: Zoho) -> None:
    missing: Any = None
    with pytest.raises(InvalidError, match=r"X-Unique-Identifier-Key: is required \(header parameter, field=\)"):
        await zoho.books.contacts.upsert({}, field=missing, value="1")


async def test_a_file_may_stand_in_the_place_of_the_body(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contact = await zoho.books.contacts.create({"contact_name": "Bowman"})
    (tmp_path / "a.txt").write_bytes(b"content of the file")
    for given in (tmp_path / "a.txt", str(tmp_path / "a.txt"), b"content of the file", Upload(tmp_path / "a.txt")):
        await zoho.books.contacts.add_attachment(contact.contact_id, given)
        assert b"content of the file" in fake.received[-1].body
    with pytest.raises(TypeError, match="two files"):
        await zoho.books.contacts.add_attachment(contact.contact_id, b"one", attachment=b"two")
    with pytest.raises(TypeError, match="needs a file"):
        await zoho.books.contacts.add_attachment(contact.contact_id)


@pytest.mark.parametrize(
    ("option", "message"),
    [("organisation_id", r"organisation_id \(did you mean `organization_id`\?\)"), ("colour", "no argument colour$")],
)
def test_an_option_that_is_misspelt_is_named_with_the_right_one(option: str, message: str) -> None:
    zoho = Zoho(StaticToken("x"), organization_id="1")
    with pytest.raises(TypeError, match=message):
        zoho.with_options(**{option: "1"})  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retries": -1}, "retries=-1"),
        ({"timeout": 0}, "timeout=0"),
        ({"deadline": -2}, "deadline=-2"),
        ({"max_wait": -3}, "max_wait=-3"),
    ],
)
def test_a_refused_setting_is_named_with_its_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Zoho(StaticToken("x"), **settings)


@pytest.mark.parametrize(("settings", "message"), [({"reserve": -1}, "reserve=-1"), ({"share": 2}, "share=2")])
def test_a_refused_limit_is_named_with_its_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(**settings)


@pytest.mark.parametrize("auth", [OAuth, StaticToken, "token"])
def test_a_class_is_no_auth(auth: Any) -> None:
    with pytest.raises(TypeError, match="not a plain value or a class"):
        Zoho(auth, organization_id="1")


def test_two_threads_that_call_first_at_once_have_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would each be of another event loop, and one of them never be closed."""
    shared = Zoho(StaticToken("x"))._transport.shared
    name, others = http.__name__, list[http.HttpAdapter]()

    class Loading(ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            if attribute == "HttpAdapter":
                monkeypatch.setitem(sys.modules, name, http)
                others.append(shared.http())
            return getattr(http, attribute)

    monkeypatch.setitem(sys.modules, name, Loading(name))
    assert [shared.http()] == others
