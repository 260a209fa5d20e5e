from __future__ import annotations

import copy
import gc
import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from support.client import client_of
from support.fault_server import Fault, FaultServer, Seen

from zoho_async import InvalidError, Limits, Page, PageContext, Pages, StaticToken, Zoho
from zoho_async.fake import FakeZoho


class Row(msgspec.Struct):
    id: str


class Book:
    """A list of pages that counts how often it was asked for one."""

    def __init__(self, *pages: list[str], named: bool = True) -> None:
        self.pages = pages
        self.asked: list[int] = []
        self.named = named

    async def __call__(self, number: int) -> Page[Row]:
        self.asked.append(number)
        more = number < len(self.pages)
        context = PageContext(page=number if self.named else None, has_more_page=more)
        rows = [Row(name) for name in self.pages[number - 1]]
        return Page(rows=rows, context=context, cursor=str(number + 1 if self.named else 2) if more else None)


async def ids(pages: Pages[Row]) -> list[str]:
    return [row.id async for row in pages]


async def test_awaiting_reads_the_first_page_only() -> None:
    book = Book(["a", "b"], ["c"])
    page = await Pages(book, row_id="id")
    assert [row.id for row in page.rows] == ["a", "b"]
    assert (page.cursor, book.asked) == ("2", [1])


async def test_iterating_reads_every_row_once_though_pages_shift() -> None:
    book = Book(["a", "b"], ["b", "c"], ["c", "d"])
    assert await ids(Pages(book, row_id="id")) == ["a", "b", "c", "d"]
    assert book.asked == [1, 2, 3]


async def test_rows_without_an_identity_are_all_kept() -> None:
    assert await ids(Pages(Book(["", ""], [""]), row_id="id")) == ["", "", ""]
    assert await ids(Pages(Book(["a"], ["a"]))) == ["a", "a"]


async def test_a_cursor_goes_on_where_a_page_ended() -> None:
    book = Book(["a"], ["b"], ["c"])
    first = await Pages(book, row_id="id")
    assert first.cursor is not None
    assert await ids(Pages(book, row_id="id").resume(first.cursor)) == ["b", "c"]
    for wrong in ("", "0", "-1", "two"):
        with pytest.raises(ValueError, match="cursor"):
            Pages(book).resume(wrong)


async def test_one_page_ahead_and_never_more_and_none_left_behind() -> None:
    book = Book(["a", "b", "c", "d"], ["e"], ["f"])
    rows = aiter(Pages(book, row_id="id"))
    assert (await anext(rows)).id == "a"
    assert book.asked == [1]
    async for row in rows:
        if row.id == "e":
            break
    assert book.asked in ([1, 2], [1, 2, 3])
    await rows.aclose()  # type: ignore[attr-defined]


async def test_pages_are_given_whole_and_without_what_was_seen() -> None:
    book = Book(["a", "b"], ["b", "c"])
    pages = [[row.id for row in page.rows] async for page in Pages(book, row_id="id").pages()]
    assert pages == [["a", "b"], ["c"]]


async def test_an_answer_that_names_no_page_does_not_go_round_in_circles() -> None:
    book = Book(["a"], ["b"], ["c"], named=False)
    assert await ids(Pages(book, row_id="id")) == ["a", "b", "c"]


async def test_a_failing_prefetch_is_raised_to_the_reader_and_to_nobody_else() -> None:
    async def fetch(number: int) -> Page[Row]:
        if number == 2:
            raise InvalidError("no")
        return Page(rows=[Row("a"), Row("b")], context=PageContext(), cursor="2")

    seen = []
    with pytest.raises(InvalidError):
        async for row in Pages(fetch, row_id="id"):
            seen.append(row.id)  # noqa: PERF401 - the point is what was read before the error
    assert seen == ["a", "b"]


async def test_against_a_server_every_row_of_every_page(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": f"Contact {number:04}"} for number in range(450)])
    rows = [row.contact_name async for row in zoho.books.contacts.list(per_page=100)]
    assert rows == [f"Contact {number:04}" for number in range(450)]
    assert fake.requests("books.contacts.list") == 5
    page = await zoho.books.contacts.list(per_page=100, page=5)
    assert (len(page.rows), page.cursor, page.context.has_more_page) == (50, None, False)
    assert page.response is not None
    assert page.response.code == 0


async def test_a_filter_that_zoho_ignored_is_no_success(fake: FakeZoho) -> None:
    fake.seed([{"contact_name": "x"}])
    async with client_of(fake) as zoho:
        assert len((await zoho.books.contacts.list(filter_by="Status.Active")).rows) == 1
        wrong: Any = zoho.books.contacts.list
        with pytest.raises(InvalidError, match="filter_by"):
            await wrong(filter_by="Status.Aktive")


async def test_an_applied_filter_other_than_the_one_asked_for_raises() -> None:
    body = b'{"code":0,"contacts":[],"page_context":{"page":1,"applied_filter":"Status.All"}}'
    async with (
        FaultServer(lambda _: Fault("answer", body=body)) as server,
        Zoho(StaticToken("t"), organization_id="1", api_url=server.url) as zoho,
    ):
        with pytest.raises(InvalidError, match=r"applied Status\.All") as caught:
            await zoho.books.contacts.list(filter_by="Status.Crm")
        assert caught.value.sent is True


def list_of(rows: list[Any], page_size: int, context: Callable[[int, bool], Any]) -> Callable[[Seen], Fault]:
    """A server's list of contacts; `context` makes the members beside the rows from page number and more."""

    def answer(seen: Seen) -> Fault:
        number = int(parse_qs(urlsplit(seen.target).query).get("page", ["1"])[0])
        page = rows[(number - 1) * page_size : number * page_size]
        body = {"code": 0, "contacts": page, **context(number, number * page_size < len(rows))}
        return Fault("answer", body=json.dumps(body).encode())

    return answer


def contacts(count: int) -> list[Any]:
    return [{"contact_id": str(10**15 + number), "contact_name": f"C{number}"} for number in range(count)]


def client_on(server: FaultServer) -> Zoho:
    return Zoho(StaticToken("t"), organization_id="1", api_url=server.url, limits=Limits(per_minute=None))


UNKNOWN_END: dict[str, Callable[[int, bool], Any]] = {
    "absent": lambda number, more: {},
    "null": lambda number, more: {"page_context": None},
    "text": lambda number, more: {"page_context": "none"},
    "an empty list": lambda number, more: {"page_context": []},
    "no flag": lambda number, more: {"page_context": {"page": number, "per_page": 90}},
    "a null flag": lambda number, more: {"page_context": {"page": number, "has_more_page": None}},
    "an unknown flag": lambda number, more: {"page_context": {"page": "x", "has_more_page": "perhaps"}},
}
KNOWN_END: dict[str, Callable[[int, bool], Any]] = {
    "flag": lambda number, more: {"page_context": {"page": number, "has_more_page": more}},
}
ODD_END: dict[str, Callable[[int, bool], Any]] = {
    "text flag": lambda number, more: {"page_context": {"page": number, "has_more_page": str(more).lower()}},
    "a list of one": lambda number, more: {"page_context": [{"page": number, "has_more_page": more}]},
}
"""An end in these forms is not believed."""


@pytest.mark.parametrize(("size", "query"), [(90, {"per_page": 90}), (200, {}), (90, {})], ids=["90", "200", "capped"])
@pytest.mark.parametrize("context", [*UNKNOWN_END, *KNOWN_END, *ODD_END])
async def test_a_list_is_read_to_its_end_whether_or_not_zoho_says_where_it_is(
    context: str, size: int, query: dict[str, Any]
) -> None:
    """Without Zoho's word a page that is not full may be one of a server that sends fewer rows than asked for."""
    rows = contacts(2 * size + 1)
    rows[3] = None  # no row, but it makes its page full
    decide = list_of(rows, size, {**UNKNOWN_END, **KNOWN_END, **ODD_END}[context])
    async with FaultServer(decide) as server, client_on(server) as zoho:
        pages = zoho.books.contacts.list(**query)
        read = [page async for page in pages.pages()]
        drift = zoho.drift()["books.contacts.list"]
    known, more_known = context in KNOWN_END, context in KNOWN_END or context in ODD_END
    assert [len(page) for page in read] == [size - 1, size, 1, *([] if known else [0])]
    assert [page.cursor for page in read] == ["2", "3", *([] if known else ["4"]), None]
    assert [page.end_known for page in read] == [more_known, more_known, *([True] if known else [False, False])]
    assert pages.end_known is (context in KNOWN_END)
    assert ("page_context.has_more_page" in drift) is (context != "flag")


@pytest.mark.parametrize("type_", [None, dict], ids=["rows with an id", "rows without one"])
@pytest.mark.parametrize("context", ["flag", "absent"])
async def test_a_list_without_end_ends_at_a_page_without_a_new_row(context: str, type_: Any) -> None:
    rows = contacts(4)
    same = {"page_context": {"page": 1, "has_more_page": True}} if context == "flag" else {}

    def two_pages_for_ever(seen: Seen) -> Fault:
        number = int(parse_qs(urlsplit(seen.target).query).get("page", ["1"])[0])
        page = rows[:2] if number % 2 else rows[2:]
        return Fault("answer", body=json.dumps({"code": 0, "contacts": page, **same}).encode())

    async with FaultServer(two_pages_for_ever) as server, client_on(server) as zoho:
        pages = zoho.books.contacts.list(per_page=2, type=type_)
        read = [page async for page in pages.pages()]
        asked = len(server.seen)
    assert asked in (3, 4), "at most one page ahead"
    assert [len(page) for page in read] == [2, 2, 2 if type_ else 0]
    assert (read[-1].cursor, read[-1].end_known, pages.end_known) == (None, False, False)


async def test_an_empty_page_ends_a_list() -> None:
    empty = b'{"code":0,"contacts":[],"page_context":{"page":1,"has_more_page":true}}'
    async with FaultServer(lambda _: Fault("answer", body=empty)) as server, client_on(server) as zoho:
        assert [row async for row in zoho.books.contacts.list()] == []
        assert len(server.seen) == 1


async def test_equal_rows_without_an_id_are_no_end() -> None:
    """Rows decoded into a type without the id are compared as they were received."""

    class Status(msgspec.Struct):
        status: str

    rows = [{**row, "status": "active"} for row in contacts(5)]
    decide = list_of(rows, 2, KNOWN_END["flag"])
    async with FaultServer(decide) as server, client_on(server) as zoho:
        read = [row async for row in zoho.books.contacts.list(per_page=2, type=Status)]
    assert read == [Status("active")] * 5


async def test_the_cursor_follows_the_page_that_was_requested() -> None:
    decide = list_of(contacts(9), 2, lambda number, more: {"page_context": {"page": 1, "has_more_page": more}})
    async with FaultServer(decide) as server, client_on(server) as zoho:
        page = await zoho.books.contacts.list(per_page=2, page=3)
    assert page.cursor == "4"


@pytest.mark.parametrize("page", [10**30, 7, 0, -1, "x"])
async def test_a_page_number_of_the_response_skips_no_page(page: Any) -> None:
    decide = list_of(contacts(9), 2, lambda _, more: {"page_context": {"page": page, "has_more_page": more}})
    async with FaultServer(decide) as server, client_on(server) as zoho:
        assert len([row async for row in zoho.books.contacts.list(per_page=2)]) == 9


@pytest.mark.parametrize("page_size", [0, -1, 10**30, "x", None])
async def test_a_page_size_beyond_reason_ends_a_list_all_the_same(page_size: Any) -> None:
    decide = list_of(contacts(5), 2, lambda number, more: {"page_context": {"per_page": page_size}})
    async with FaultServer(decide) as server, client_on(server) as zoho:
        assert len([row async for row in zoho.books.contacts.list(per_page=2)]) == 5
        assert len(server.seen) <= 4


async def test_a_page_is_a_sequence_of_its_rows() -> None:
    rows = [{"contact_id": 12345678901234567890, "notes": "\u00e9"}, None, {"contact_id": "2", "credit_limit": 1.10}]
    body = json.dumps({"code": 0, "contacts": rows, "page_context": {"has_more_page": False}}).encode()
    async with FaultServer(lambda _: Fault("answer", body=body)) as server, client_on(server) as zoho:
        page = await zoho.books.contacts.list()
        [same] = [one async for one in zoho.books.contacts.list().pages()]
    assert isinstance(page, Sequence)
    assert (len(page), page[0].contact_id, page[-1].contact_id) == (2, "12345678901234567890", "2")
    assert list(page) == page.rows == page[:] == list(reversed(list(reversed(page))))
    assert (page.index(page[1]), page.count(page[1]), page[1] in page, "2" in page) == (1, 1, True, False)
    assert page.raw == [json.dumps(rows[0]).encode(), json.dumps(rows[2]).encode()], "as received"
    assert page.response is not None
    assert page.response.data is page
    assert page.context.has_more_page is False
    assert same.raw == page.raw


@pytest.mark.parametrize("charset", ["utf-8-sig", "latin-1", "utf-16"])
async def test_raw_rows_of_another_charset_are_json_too(charset: str) -> None:
    body = '{"code":0,"contacts":[{"contact_id":"1","contact_name":"M\u00fcller"}]}'.encode(charset)
    answer = Fault("answer", body=body, headers=(("Content-Type", f"application/json;charset={charset}"),))
    async with FaultServer(lambda _: answer) as server, client_on(server) as zoho:
        page = await zoho.books.contacts.list()
    assert [msgspec.json.decode(raw)["contact_name"] for raw in page.raw] == ["Müller"]
    assert Page(rows=[1], context=PageContext(), cursor=None).raw == []


async def test_raw_rows_stay_beside_their_rows_when_some_are_dropped() -> None:
    rows = [*contacts(3), *contacts(2), {"contact_id": "7"}]
    decide = list_of(rows, 3, KNOWN_END["flag"])
    async with FaultServer(decide) as server, client_on(server) as zoho:
        async for page in zoho.books.contacts.list(per_page=3).pages():
            assert [msgspec.json.decode(raw)["contact_id"] for raw in page.raw] == [row.contact_id for row in page]
    assert len(page) == 1


@pytest.mark.parametrize("again", [lambda thing: pickle.loads(pickle.dumps(thing)), copy.deepcopy, copy.copy])
async def test_pages_and_responses_are_pickled_and_copied(
    fake: FakeZoho, zoho: Zoho, again: Callable[[Any], Any]
) -> None:
    fake.seed([{"contact_name": f"Contact {number}"} for number in range(3)])
    page = await zoho.books.contacts.list()
    other = again(page)
    assert (other.rows, other.raw, other.cursor, other.end_known) == (page.rows, page.raw, None, True)
    assert other.response.data is other
    assert other.response.headers["CONTENT-TYPE"] == other.response.headers["content-type"]
    response = again(page.response)
    assert (response.status, response.code, response.body) == (200, 0, page.response.body if page.response else b"")
    assert response.data.rows == page.rows
    untyped = again(await zoho.request("GET", "/books/v3/contacts"))
    assert len(untyped.data["contacts"]) == 3
    made_by_hand = again(Page(rows=[1], context=PageContext(), cursor=None))
    assert (made_by_hand.rows, made_by_hand.response) == ([1], None)


async def test_a_page_is_freed_without_the_garbage_collector(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "A"}])
    await zoho.books.contacts.list()
    gc.collect()
    gc.disable()
    try:
        page = await zoho.books.contacts.list()
        before = sum(isinstance(it, Page) for it in gc.get_objects())
        del page
        assert sum(isinstance(it, Page) for it in gc.get_objects()) == before - 1
    finally:
        gc.enable()
