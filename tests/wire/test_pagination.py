from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.client import client_of
from support.fault_server import Fault, FaultServer

from zoho_async import InvalidError, Page, PageContext, Pages, StaticToken, Zoho
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
