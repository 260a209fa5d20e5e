"""A reading of a whole list shows every record that lives from its beginning to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async.bulk.pulling import listing
from zoho_async.bulk.pulling.listing import ListPage, WholeList
from zoho_async.bulk.pulling.sink import Record


class ChangingList:
    """A list of which records are created and deleted between the calls."""

    def __init__(
        self, size: int, changes: list[tuple[int, int]], *, per_page: int, oldest_first: bool, counts: bool, says: bool
    ) -> None:
        self.ids = list(range(min(size, 10**6)))
        self.changes = changes
        """For each call: the places of records deleted (or -1), and how many are created at the end."""
        self.per_page = per_page
        self.oldest_first = oldest_first
        self.counts = counts
        self.says = says
        self.calls = 0

    def sorts_by(self, column: str) -> bool:
        return self.oldest_first and column == "created_time"

    async def page(self, number: int, order: Mapping[str, str]) -> ListPage:
        assert bool(order) is self.oldest_first
        self.change()
        start = (number - 1) * self.per_page
        rows = self.ids[start : start + self.per_page]
        records = [Record(id=str(one), name="", modified="", raw=b"{}") for one in rows]
        more = start + self.per_page < len(self.ids) if self.says else None
        return ListPage(number=number, records=records, size=len(rows), more=more)

    async def count(self) -> int | None:
        self.change()
        return len(self.ids) if self.counts else None

    def change(self) -> None:
        self.calls += 1
        if self.changes:
            place, created = self.changes.pop()
            if 0 <= place < len(self.ids):
                del self.ids[place]
            self.ids += range(self.calls * 1000, self.calls * 1000 + created)


async def read(source: Any) -> tuple[list[str], WholeList]:
    whole = WholeList(source)
    return [record.id async for records in whole.pages() for record in records], whole


CHANGES = st.lists(st.tuples(st.integers(-1, 12), st.integers(0, 4)), max_size=20)


@settings(max_examples=examples(500))
@given(st.integers(0, 30), CHANGES, st.booleans(), st.booleans(), st.sampled_from([4, 7]))
def test_no_living_record_is_missed_where_the_oldest_come_first(
    size: int, changes: list[tuple[int, int]], counts: bool, says: bool, asked: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PER_PAGE", asked)  # a server may send fewer
        source = ChangingList(size, changes, per_page=4, oldest_first=True, counts=counts, says=says)
        seen, whole = asyncio.run(read(source))
    assert set(map(str, range(size))) & set(map(str, source.ids)) <= set(seen)
    assert len(seen) == len(set(seen)) == whole.seen
    assert says or not whole.end_known


@settings(max_examples=examples(300))
@given(st.integers(0, 30), st.lists(st.integers(-1, 12), max_size=12), st.booleans())
def test_no_living_record_is_missed_by_deletes_in_any_order(size: int, places: list[int], counts: bool) -> None:
    changes = [(place, 0) for place in places]
    source = ChangingList(size, changes, per_page=4, oldest_first=False, counts=counts, says=True)
    seen, whole = asyncio.run(read(source))
    assert set(map(str, range(size))) & set(map(str, source.ids)) <= set(seen)
    assert whole.end_known


@pytest.mark.parametrize("oldest_first", [True, False])
@pytest.mark.parametrize("counts", [True, False])
async def test_a_list_that_says_more_for_ever_ends(oldest_first: bool, counts: bool) -> None:
    class Endless(ChangingList):
        async def page(self, number: int, order: Mapping[str, str]) -> ListPage:
            self.calls += 1
            records = [Record(id=one, name="", modified="", raw=b"{}") for one in ("1", "2")]
            return ListPage(number=number, records=records, size=2, more=True)

    source = Endless(10**9, [], per_page=2, oldest_first=oldest_first, counts=False, says=True)
    source.counts = counts
    seen, whole = await read(source)
    assert seen == ["1", "2"]
    assert not whole.end_known
    assert source.calls < 100


@pytest.mark.parametrize("counts", [True, False])
async def test_pages_shorter_than_asked_for_are_all_read_where_no_end_is_given(counts: bool) -> None:
    source = ChangingList(10, [], per_page=4, oldest_first=False, counts=counts, says=False)
    seen, whole = await read(source)
    assert sorted(map(int, seen)) == list(range(10))
    assert not whole.end_known


async def test_the_calls_of_a_long_list() -> None:
    for counts, calls in ((True, 1 + 1 + 50), (False, 1 + 12 + 49)):
        source = ChangingList(200 * 50 - 7, [], per_page=200, oldest_first=True, counts=counts, says=True)
        seen, whole = await read(source)
        assert len(seen) == 200 * 50 - 7
        assert whole.end_known
        assert source.calls <= calls, counts
