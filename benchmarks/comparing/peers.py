"""The clients that are compared, each written as its documentation shows it.

Every peer reads contacts into typed records where it has any. Packages are imported when a peer is opened, so that a
process holds those of its own peer only.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from . import models
from .responses import CONTACT_ID

ORGANIZATION = "10234695"
TOKEN = "t" * 70
HEADERS = {"Authorization": f"Zoho-oauthtoken {TOKEN}"}
PATH = "/books/v3/contacts"
Decode = Callable[[bytes], Any]


class Peer(ABC):
    """One client.

    Attributes:
        label: How tables call it.
        module: What an application imports; its import is timed.
        packages: Distributions whose versions belong to the result.
        separate_organisations: Whether each organisation needs a client or copy of its own.
    """

    label: ClassVar[str]
    module: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    separate_organisations: ClassVar[bool] = False

    @abstractmethod
    async def open(self, url: str, most: int) -> None:
        """Make the client, for an address and so many requests at once."""

    @abstractmethod
    async def close(self) -> None:
        """Close its connections."""

    @abstractmethod
    async def contact(self, organization_id: str = ORGANIZATION) -> Any:
        """The contact's id, read from a typed record where there is one."""

    @abstractmethod
    async def page(self, number: int) -> tuple[Sequence[Any], bool]:
        """The rows of a page, and whether another follows."""

    async def stream(self) -> int:
        """Read every row of the list one by one, and return their number."""
        number, more, seen = 0, True, 0
        while more:
            number += 1
            rows, more = await self.page(number)
            for _ in rows:
                seen += 1
        return seen

    def decoder(self, kind: str) -> Decode | None:
        """Decoding without HTTP, of a `contact` or a `page`; None where the client has none of its own."""
        return None


class Ours(Peer):
    label = "zoho_async"
    module = "from zoho_async import Zoho"
    packages = ("aiohttp", "msgspec")
    separate_organisations = True

    async def open(self, url: str, most: int) -> None:
        from zoho_async import Limits, StaticToken, Zoho

        limits = Limits(per_minute=None, per_day=None, concurrency=most)
        self.client = Zoho(StaticToken(TOKEN), organization_id=ORGANIZATION, api_url=url, limits=limits)
        self.organizations = {ORGANIZATION: self.client}
        await self.client.__aenter__()

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    async def contact(self, organization_id: str = ORGANIZATION) -> Any:
        zoho = self.organizations.get(organization_id)
        if zoho is None:
            zoho = self.organizations[organization_id] = self.client.with_options(organization_id=organization_id)
        return (await zoho.books.contacts.get(CONTACT_ID)).contact_id

    async def page(self, number: int) -> tuple[Sequence[Any], bool]:
        page = await self.client.books.contacts.list(page=number)
        return page.rows, bool(page.context.has_more_page)

    async def stream(self) -> int:
        seen = 0
        async for _ in self.client.books.contacts.list():
            seen += 1
        return seen

    def decoder(self, kind: str) -> Decode | None:
        import instructions

        decode: Decode = instructions.decoder(f"decode-{kind}")
        return decode


class OursTuned(Ours):
    label = "zoho_async, tuned"
    module = "from zoho_async import Zoho, speed"

    async def open(self, url: str, most: int) -> None:
        from zoho_async import speed

        speed.tune()
        await super().open(url, most)


class JsonLoads(Peer):
    """Only for decoding: the standard library's parser, into dicts."""

    label = "json.loads"
    module = "import json"
    packages = ()

    async def open(self, url: str, most: int) -> None:
        pass

    async def close(self) -> None:
        pass

    async def contact(self, organization_id: str = ORGANIZATION) -> Any:
        raise NotImplementedError

    async def page(self, number: int) -> tuple[Sequence[Any], bool]:
        raise NotImplementedError

    def decoder(self, kind: str) -> Decode | None:
        return json.loads


class ReadsBytes(Peer):
    """Peers that are an HTTP client and a decoder: `read` returns the body, `decode` the record."""

    @abstractmethod
    async def read(self, target: str, query: dict[str, str]) -> Any:
        """The body of a response."""

    async def contact(self, organization_id: str = ORGANIZATION) -> Any:
        body = await self.read(f"{PATH}/{CONTACT_ID}", {"organization_id": organization_id})
        return self.decode_contact(body).contact.contact_id

    async def page(self, number: int) -> tuple[Sequence[Any], bool]:
        envelope = self.decode_page(await self.read(PATH, {"organization_id": ORGANIZATION, "page": str(number)}))
        return envelope.contacts, envelope.page_context.has_more_page

    def decoder(self, kind: str) -> Decode | None:
        self.prepare()
        decode: Decode = self.decode_page if kind == "page" else self.decode_contact
        return decode

    decode_contact: Callable[[Any], Any]
    decode_page: Callable[[Any], Any]

    @abstractmethod
    def prepare(self) -> None:
        """Make the decoders."""


class IntoStructs(ReadsBytes):
    """msgspec's decoder, strict, into our structs."""

    def prepare(self) -> None:
        import msgspec

        from zoho_async.books import Contact, ContactRow

        context = msgspec.defstruct("Context", [("has_more_page", bool)])
        head: list[tuple[str, Any]] = [("code", int), ("message", str)]
        one = msgspec.defstruct("One", [*head, ("contact", Contact)])
        many = msgspec.defstruct("Many", [*head, ("contacts", list[ContactRow]), ("page_context", context)])
        self.decode_contact = msgspec.json.Decoder(one).decode
        self.decode_page = msgspec.json.Decoder(many).decode


class IntoModels(ReadsBytes):
    """pydantic models with the fields of our structs."""

    def prepare(self) -> None:
        from zoho_async.books import Contact, ContactRow

        self.decode_contact = models.pydantic_envelope(Contact, "contact", many=False).model_validate_json
        self.decode_page = models.pydantic_envelope(ContactRow, "contacts", many=True).model_validate_json


class WithAiohttp(ReadsBytes):
    async def open(self, url: str, most: int) -> None:
        import aiohttp

        self.prepare()
        self.url = url
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=most), headers=HEADERS)

    async def close(self) -> None:
        await self.session.close()

    async def read(self, target: str, query: dict[str, str]) -> bytes:
        async with self.session.get(f"{self.url}{target}", params=query) as response:
            return await response.read()


class AiohttpMsgspec(IntoStructs, WithAiohttp):
    label = "bare aiohttp + msgspec"
    module = "import aiohttp, msgspec"
    packages = ("aiohttp", "msgspec")


class AiohttpPydantic(IntoModels, WithAiohttp):
    label = "aiohttp + pydantic"
    module = "import aiohttp, pydantic"
    packages = ("aiohttp", "pydantic")


class HttpxPydantic(IntoModels):
    label = "httpx + pydantic"
    module = "import httpx, pydantic"
    packages = ("httpx", "pydantic")

    async def open(self, url: str, most: int) -> None:
        import httpx

        self.prepare()
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        self.client = httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits, timeout=60)

    async def close(self) -> None:
        await self.client.aclose()

    async def read(self, target: str, query: dict[str, str]) -> bytes:
        response = await self.client.get(target, params=query)
        return response.content


class PyreqwestMsgspec(IntoStructs):
    label = "pyreqwest (Rust) + msgspec"
    module = "import msgspec, pyreqwest.client"
    packages = ("pyreqwest", "msgspec")

    async def open(self, url: str, most: int) -> None:
        from pyreqwest.client import ClientBuilder

        self.prepare()
        self.url = url
        self.client = ClientBuilder().default_headers(HEADERS).build()

    async def close(self) -> None:
        await self.client.close()

    async def read(self, target: str, query: dict[str, str]) -> Any:
        response = await self.client.get(f"{self.url}{target}").query(query).build().send()
        return await response.bytes()


class Generated(Peer):
    label = "openapi-python-client, from our specs"
    module = f"import {models.GENERATED}.api.contacts.books_contacts_get"
    packages = ("openapi-python-client", "httpx", "attrs")

    async def open(self, url: str, most: int) -> None:
        import httpx

        self.api = models.generated(Path(os.environ["BENCHMARK_FOLDER"]))
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        self.client = self.api.client(
            base_url=f"{url}/books/v3",
            token=TOKEN,
            prefix="Zoho-oauthtoken",
            timeout=httpx.Timeout(60),
            httpx_args={"limits": limits},
        )

    async def close(self) -> None:
        await self.client.get_async_httpx_client().aclose()

    async def contact(self, organization_id: str = ORGANIZATION) -> Any:
        found = await self.api.get.asyncio(CONTACT_ID, client=self.client, organization_id=organization_id)
        return found.contact.contact_id

    async def page(self, number: int) -> tuple[Sequence[Any], bool]:
        found = await self.api.list.asyncio(client=self.client, organization_id=ORGANIZATION, page=number)
        return found.contacts, found.page_context.has_more_page

    def decoder(self, kind: str) -> Decode | None:
        api = models.generated(Path(os.environ["BENCHMARK_FOLDER"]))
        if kind == "page":
            return lambda text: api.list.BooksContactsListResponse200.from_dict(json.loads(text))
        return lambda text: api.get.BooksContactsGetResponse200.from_dict(json.loads(text))


class Zohopy(Peer):
    """It returns dicts, and needs a client for each organisation. Its pool has httpx's limits, 100 connections."""

    label = "zohopy"
    module = "from zohopy import AsyncZohoClient, ZohoConfig\nfrom zohopy.products.books import AsyncZohoBooks"
    packages = ("zohopy", "httpx")
    separate_organisations = True

    async def open(self, url: str, most: int) -> None:
        import zohopy.config

        zohopy.config._API_URLS[zohopy.DataCenter.US] = url
        self.clients: dict[str, tuple[Any, Any]] = {}
        self.books(ORGANIZATION)

    def books(self, organization_id: str) -> Any:
        import zohopy
        from zohopy.products.books import AsyncZohoBooks

        if organization_id not in self.clients:
            configuration = zohopy.ZohoConfig(
                client_id="i",
                client_secret="s",
                refresh_token="r",
                organization_id=organization_id,
                data_center=zohopy.DataCenter.US,
                _env_file=None,
            )
            client = zohopy.AsyncZohoClient(configuration)
            client._auth._state.update(TOKEN, 86_400)
            self.clients[organization_id] = client, AsyncZohoBooks(client)
        return self.clients[organization_id][1]

    async def close(self) -> None:
        for client, _ in self.clients.values():
            await client.close()

    async def contact(self, organization_id: str = ORGANIZATION) -> Any:
        return (await self.books(organization_id).contacts.get(CONTACT_ID))["contact"]["contact_id"]

    async def page(self, number: int) -> tuple[Sequence[Any], bool]:
        found = await self.books(ORGANIZATION).contacts.list(page=number)
        return found["contacts"], found["page_context"]["has_more_page"]


OURS, BARE, JSON = "ours", "bare", "json"
PEERS: dict[str, type[Peer]] = {
    OURS: Ours,
    "ours-tuned": OursTuned,
    BARE: AiohttpMsgspec,
    "pyreqwest": PyreqwestMsgspec,
    "aiohttp-pydantic": AiohttpPydantic,
    "httpx-pydantic": HttpxPydantic,
    "generated": Generated,
    "zohopy": Zohopy,
    JSON: JsonLoads,
}
"""In the order of the tables."""
CLIENTS = [name for name in PEERS if name != JSON]
