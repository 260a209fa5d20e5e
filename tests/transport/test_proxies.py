from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fault_server import Fault, FaultServer

from zoho_async import ConfigError, StaticToken, UnavailableError, Zoho, proxy_for
from zoho_async.transport.proxies import Proxies, is_loopback, proxy_address

API = "https://www.zohoapis.eu"
SECRET = "PROXY-SECRET"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def proxy() -> AsyncIterator[FaultServer]:
    async with FaultServer(lambda _: Fault("answer", status=407, body=b"no")) as running:
        yield running


async def refused(api_url: str) -> ConfigError:
    async with Zoho(StaticToken("secret-token"), organization_id="1", api_url=api_url) as zoho:
        with pytest.raises(ConfigError) as caught:
            await zoho.books.contacts.get("1")
    assert SECRET not in f"{caught.value!r} {vars(caught.value)}".upper()
    assert caught.value.sent is False
    return caught.value


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("user", ["", "me:PROXY-SECRET@"])
@pytest.mark.parametrize("scheme", ["", "http://", " HTTP://"])
async def test_a_proxy_is_used_as_curl_uses_it(
    proxy: FaultServer, monkeypatch: pytest.MonkeyPatch, name: str, user: str, scheme: str
) -> None:
    monkeypatch.setenv(name, f"{scheme}{user}{proxy.url.removeprefix('http://')}")
    assert "407" in str(await refused(API))
    [seen] = proxy.seen
    assert (seen.method, seen.target) == ("CONNECT", "www.zohoapis.eu:443")
    assert ("proxy-authorization" in seen.headers) is bool(user)
    assert "secret-token" not in str(seen.headers)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "socks5://me:PROXY-SECRET@127.0.0.1:1080",
        "socks5h://127.0.0.1",
        "ftp://me:PROXY-SECRET@127.0.0.1",
        "me:PROXY-SECRET@",
        "http://me:PROXY-SECRET@",
        "http://me:PROXY-SECRET@proxy:port",
        "http://me:PROXY-SECRET@proxy:99999",
        "http://me:PROXY/SECRET@proxy:3128",
        "me:80/PROXY-SECRET@proxy:3128",
        "me:80#PROXY-SECRET@proxy:3128",
        "http://me:PROXY SECRET@proxy:3128",
        "http://[::1:3128",
        "http://me:PROXY-SECRET@a..b:3128",
        "http://me:PROXY-SECRET@.:3128",
        "http://me:PROXY-SECRET@*:3128",
        "http://me:PROXY-SECRET@ho%20st:3128",
        "http://me:PROXY-SECRET@ho<st:3128",
        "http://me:PROXY-SECRET@999.1.1.1:3128",
        "http://me:PROXY-SECRET@\u200b:3128",
        f"http://me:PROXY-SECRET@{'a' * 70}:3128",
        "://",
        "PROXY-SECRET://",
    ],
)
async def test_a_proxy_that_cannot_be_used_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    error = str(await refused(API))
    assert name in error
    for part in ("SECRET", "me:", "127.0.0.1", "3128"):
        assert part not in error.replace("user:password@host:3128", "")
    assert ("socks5" in error) is value.startswith("socks5")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_whatever_a_variable_holds_is_an_address_or_named(value: str) -> None:
    try:
        assert proxy_address("https_proxy", value).startswith(("http", "HTTP"))
    except ConfigError as error:
        assert "https_proxy" in str(error)


LOOPBACK = ["http://127.0.0.1", "http://localhost", "http://[::1]", "https://127.1.2.3", "https://api.localhost"]
LOOPBACK += ["https://0.0.0.0", "https://[::]", "https://127.1", "https://localhost.", "https://[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "proxy.example.org:3128")
    assert Proxies().address(f"{address}:8181/api") is None
    assert Proxies().address(API) == "http://proxy.example.org:3128"


def test_loopback_addresses_are_known_in_every_form() -> None:
    for host in ("LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f.0.0.1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "0", "::", "::ffff:0.0.0.0", "::1%lo", "127.0.0.1."):
        assert is_loopback(host)
    for host in ("", "localhost.example.org", "128.0.0.1", "::2", "::ffff:8.8.8.8", "www.zohoapis.com", "127.example"):
        assert not is_loopback(host)


async def test_no_proxy_is_honoured_and_netrc_is_not(
    proxy: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("https_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "zohoapis.eu")
    assert Proxies().address(API) is None
    assert Proxies().address("https://www.zohoapis.com") == proxy.url
    async with (
        FaultServer() as server,
        Zoho(StaticToken("secret-token"), organization_id="1", api_url=server.url) as zoho,
    ):
        await zoho.books.contacts.get("1")
    assert proxy.seen == []
    [seen] = server.seen
    assert seen.headers["authorization"] == "Zoho-oauthtoken secret-token"


async def test_an_error_of_the_connection_names_host_reason_and_proxy(
    proxy: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"organization_id": "1", "retries": 0}
    async with Zoho(StaticToken("t"), api_url="http://127.0.0.1:1", **settings) as zoho:  # type: ignore[arg-type]
        with pytest.raises(UnavailableError, match=r"no connection to 127\.0\.0\.1:1 \(Connection refused\)"):
            await zoho.books.contacts.get("1")
    monkeypatch.setenv("https_proxy", "http://me:PROXY-SECRET@127.0.0.1:1")
    async with Zoho(StaticToken("t"), api_url=API, **settings) as zoho:  # type: ignore[arg-type]
        with pytest.raises(UnavailableError, match=r"the proxy 127\.0\.0\.1:1 on the way to www") as caught:
            await zoho.books.contacts.get("1")
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("https_proxy", proxy.url)
    place = proxy.url.removeprefix("http://")
    assert f"the proxy {place} refused to connect to www.zohoapis.eu:443: HTTP 407" in str(await refused(API))


async def test_a_proxy_that_breaks_the_connection_has_sent_nothing(
    proxy: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.script(Fault("reset"))
    monkeypatch.setenv("https_proxy", f"http://me:PROXY-SECRET@{proxy.url.removeprefix('http://')}")
    async with Zoho(StaticToken("t"), organization_id="1", api_url=API, retries=0) as zoho:
        with pytest.raises(UnavailableError, match="before anything was sent to www") as caught:
            await zoho.books.contacts.create({"contact_name": "A"})
    assert caught.value.sent is False
    assert SECRET not in str(caught.value)


def test_the_proxy_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(API) is None
    monkeypatch.setenv("https_proxy", "me:PROXY-SECRET@proxy.example:3128")
    assert proxy_for(API) == "proxy.example:3128"
    assert proxy_for("http://127.0.0.1:5") is None
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    assert proxy_for(API) == "proxy.example:80"
