"""What a push asks before its first write, and what it costs; how few rows a pilot or a refused run sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Zoho, bulk
from zoho_async.bulk.errors import InputError, UnknownColumnError
from zoho_async.errors import AuthError
from zoho_async.fake import FakeZoho
from zoho_async.fake.world.faults import Fault

KEY = "cf_external_id"
FIELDS, CURRENCIES, LIST = "books.settings.customfields", "books.settings.currencies", "books.contacts.list"
CREATE, UPSERT = "books.contacts.create", "books.contacts.upsert"
WRITES = (CREATE, UPSERT, "books.contacts.update")
BILLING = {"create": "billing.customers.create", "currencies": "billing.settings.currencies"}


def names(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"contact_name": f"N{number}", **fields} for number in range(1, count + 1)]


def keyed(count: int, key: str = KEY, **fields: Any) -> list[dict[str, Any]]:
    return [{**row, key: f"K{number}"} for number, row in enumerate(names(count, **fields), 1)]


def answer(status: int, code: int) -> Fault:
    return Fault(kind="status", status=status, code=code)


def writes(fake: FakeZoho) -> int:
    return sum(fake.requests(name) for name in WRITES)


async def pushed(push: bulk.Push) -> bulk.PushSummary:
    async with push:
        async for _ in push:
            pass
    return push.summary


# -- preflight


@pytest.mark.parametrize("options", [{"upsert_by": "cf_nothere"}, {"match_by": "cf_nothere"}, {}])
async def test_a_field_that_is_not_there_costs_one_call_whatever_the_rows(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, options: dict[str, Any]
) -> None:
    fake.seed(names(300))
    rows = keyed(2_000, "cf_nothere")
    push = bulk.push(zoho.books.contacts, rows, state=tmp_path / "s", **options)
    with pytest.raises(UnknownColumnError, match="no custom field `cf_nothere`") as caught:
        await pushed(push)
    assert caught.value.columns == ("cf_nothere",)
    assert (fake.requests(FIELDS), len(fake.received)) == (1, 1)
    assert (push.summary.reads, push.summary.writes, push.summary.complete) == (1, 0, False)
    with pytest.raises(UnknownColumnError, match="cf_nothere"):
        await bulk.plan(zoho.books.contacts, rows, state=tmp_path / "s", **options)
    assert len(fake.received) == 2
    (run,) = await bulk.runs(tmp_path / "s")
    assert run.state == "failed"


async def test_a_key_that_allows_duplicates_and_a_foreign_currency_end_the_push(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "Earlier", "cf_region": "North"}])
    with pytest.raises(InputError, match=r"`cf_region` allows duplicates in Zoho.*--match-by cf_region"):
        await pushed(bulk.push(zoho.books.contacts, keyed(3, "cf_region"), upsert_by="cf_region"))
    rows = [*names(2), {"contact_name": "X", "currency_id": "46"}]
    with pytest.raises(InputError, match="row 3: currency_id: the organisation has no currency `46`"):
        await pushed(bulk.push(zoho.books.contacts, rows))
    customers = [{"display_name": "X", "email": "x@x.example", "currency_code": "XYZ"}]
    with pytest.raises(InputError, match=r"row 1: currency_code: .* no currency `XYZ`.*it has `USD`, `EUR`"):
        await pushed(bulk.push(zoho.billing.customers, customers))
    assert (writes(fake), fake.requests(BILLING["create"]), fake.requests(LIST)) == (0, 0, 0)
    assert [fake.requests(name) for name in (FIELDS, CURRENCIES, BILLING["currencies"])] == [1, 1, 1]


async def test_what_is_there_is_pushed_and_the_plan_counts_the_calls(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    (euro,) = [one for one, currency in fake.organization().currencies.items() if currency.code == "EUR"]
    rows = keyed(4, currency_id=euro)
    plan = await bulk.plan(zoho.books.contacts, rows, upsert_by=KEY)
    assert (plan.reads, plan.writes, plan.reads_spent, len(fake.received)) == (3, 4, 3, 3)
    summary = await pushed(bulk.push(zoho.books.contacts, rows, upsert_by=KEY, state=tmp_path / "s"))
    assert (summary.reads, summary.writes, summary.created) == (3, 4, 4)
    # What an earlier run has done needs no question.
    again = await pushed(bulk.push(zoho.books.contacts, rows, upsert_by=KEY, state=tmp_path / "s"))
    assert (again.reads, again.unchanged, fake.requests(FIELDS), fake.requests(CURRENCIES)) == (1, 4, 2, 2)
    planned = await bulk.plan(zoho.books.contacts, rows, upsert_by=KEY, state=tmp_path / "s")
    assert (planned.reads, planned.unchanged) == (1, 4)


@pytest.mark.parametrize("fault", ["status:500", "status:404", "html"])
async def test_a_question_that_a_push_can_do_without_is_asked_once(fake: FakeZoho, zoho: Zoho, fault: str) -> None:
    for name in (FIELDS, CURRENCIES):
        fake.chance(name, fault, 1.0)
    rows = keyed(2, "cf_nothere", currency_id="46")
    assert (await pushed(bulk.push(zoho.books.contacts, rows))).created == 2
    assert (fake.requests(FIELDS), fake.requests(CURRENCIES)) == (1, 1)


async def test_a_list_that_a_reference_needs_too_is_asked_for_once(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "Earlier", "cf_region": "North"}])
    rows = [{"contact_name": "A", "currency_code": "eur", "CF.Region": "South"}]
    assert (await pushed(bulk.push(zoho.books.contacts, rows))).created == 1
    assert (fake.requests(FIELDS), fake.requests(CURRENCIES), fake.requests(LIST)) == (1, 1, 1)


async def test_invalid_rows_and_rows_without_fields_ask_nothing(fake: FakeZoho, zoho: Zoho) -> None:
    summary = await pushed(bulk.push(zoho.books.contacts, [{"contact_name": "", "cf_nothere": "x"}]))
    assert (summary.failed, len(fake.received)) == (1, 0)
    assert (await pushed(bulk.push(zoho.books.contacts, names(2)))).created == 2
    assert fake.requests(FIELDS) == 0


@pytest.mark.parametrize("fault", [answer(404, 5), answer(400, 2), answer(401, 57), answer(403, 4), "html"])
async def test_where_the_server_does_not_know_the_question_the_push_goes_on(fake: FakeZoho, fault: Fault | str) -> None:
    fake.script(FIELDS, [fault] * 9)
    async with client_of(fake, retries=0) as zoho:
        plan = await bulk.plan(zoho.books.contacts, keyed(3), upsert_by=KEY)
        summary = await pushed(bulk.push(zoho.books.contacts, keyed(3), upsert_by=KEY))
    assert (plan.create, summary.created, summary.complete) == (3, 3, True)
    assert fake.requests(FIELDS) == 2


async def test_an_organisation_without_any_custom_field_is_not_known_to_lack_one() -> None:
    async with FakeZoho(per_minute=None, unique=()) as fake, client_of(fake) as zoho:
        summary = await pushed(bulk.push(zoho.books.contacts, names(2, cf_region="North")))
        assert (summary.created, fake.requests(FIELDS)) == (2, 1)


async def test_credentials_that_are_refused_at_their_source_end_it(fake: FakeZoho) -> None:
    fake.script(FIELDS, [answer(401, 14)] * 3)
    async with client_of(fake, retries=0) as zoho:
        with pytest.raises(AuthError):
            await pushed(bulk.push(zoho.books.contacts, keyed(3), upsert_by=KEY))
    assert writes(fake) == 0


async def test_rows_that_come_one_by_one_are_asked_for_before_the_first_write(fake: FakeZoho, zoho: Zoho) -> None:
    async def rows(first: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for row in (first, *keyed(3)[1:]):
            yield row

    with pytest.raises(UnknownColumnError, match="cf_nothere"):
        await pushed(bulk.push(zoho.books.contacts, rows({"contact_name": "A", "cf_nothere": "x"})))
    assert (writes(fake), len(fake.received)) == (0, 1)
    assert (await pushed(bulk.push(zoho.books.contacts, rows(keyed(1)[0]), upsert_by=KEY))).created == 3
    assert fake.requests(FIELDS) == 2


# -- the circuit breaker of the first refusals


@pytest.mark.parametrize(
    ("concurrency", "options", "most"),
    [
        (1, {}, 10),
        (10, {}, 10),
        (10, {"max_failures": 3}, 3),
        (4, {"max_failures": 1}, 1),
        (5, {"max_failures": 40}, 40),
    ],
)
async def test_first_refusals_of_one_reason_end_the_run_at_that_many_calls(
    fake: FakeZoho, zoho: Zoho, concurrency: int, options: dict[str, Any], most: int
) -> None:
    fake.script(CREATE, [answer(400, 2)] * 200)
    summary = await pushed(bulk.push(zoho.books.contacts, names(200), concurrency=concurrency, **options))
    assert (writes(fake), summary.failed, summary.rows, summary.complete) == (most, most, most, False)
    assert (summary.ended_by, summary.kinds) == ("max_failures", {"2": most})
    assert "This was ordered by a script (code 2)" in summary.reason
    assert "--max-failures" in summary.reason


async def test_a_wrong_key_that_the_preflight_does_not_know_costs_ten_calls(fake: FakeZoho) -> None:
    fake.script(FIELDS, [answer(404, 5)] * 3)
    async with client_of(fake, retries=0) as zoho:
        push = bulk.push(zoho.books.contacts, keyed(400, "cf_nothere"), upsert_by="cf_nothere")
        summary = await pushed(push)
    assert (fake.requests(UPSERT), summary.ended_by) == (10, "max_failures")
    assert "Invalid value passed for X-Unique-Identifier-Key (code 2)" in summary.reason


async def test_the_next_run_tries_the_untried_rows_first(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    state = tmp_path / "s"
    tried: list[int] = []
    for _ in range(3):
        fake.script(CREATE, [answer(400, 2)] * 10)
        async with bulk.push(zoho.books.contacts, names(35), state=state) as push:
            tried += [outcome.row.number async for outcome in push]
        assert not push.summary.complete
    # No run is stuck at the rows that the one before has tried.
    assert sorted(tried) == list(range(1, 31))
    fake.clear_faults()
    async with bulk.push(zoho.books.contacts, names(35), state=state, concurrency=1) as push:
        order = [outcome.row.number async for outcome in push]
    assert (order, push.summary.created) == ([*range(31, 36), *range(1, 31)], 35)
    assert (push.summary.complete, push.summary.ended_by, push.summary.reason) == (True, "", "")
    assert set(fake.created().values()) == {1}


async def test_rows_that_every_run_has_refused_take_turns(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.script(CREATE, [answer(400, 2)] * 50)
    tried: list[list[int]] = []
    for _ in range(6):
        push = bulk.push(zoho.books.contacts, names(7), state=tmp_path / "s", max_failures=3, concurrency=1)
        async with push:
            tried.append([outcome.row.number async for outcome in push])
    assert tried == [[1, 2, 3], [4, 5, 6], [7, 1, 2], [3, 4, 5], [6, 1, 2], [7, 3, 4]]


async def test_a_row_that_was_corrected_keeps_its_place(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.script(CREATE, [answer(400, 2)] * 2)
    await pushed(bulk.push(zoho.books.contacts, names(4), state=tmp_path / "s"))
    rows = [{**row, "notes": "corrected"} if row["contact_name"] == "N2" else row for row in names(5)]
    async with bulk.push(zoho.books.contacts, rows, state=tmp_path / "s", concurrency=1) as push:
        order = [outcome.row.number async for outcome in push if outcome.action == "created"]
    assert order == [2, 5, 1]


@pytest.mark.parametrize(
    "faults",
    [
        [answer(400, 2), answer(400, 4)] * 10,
        [answer(400, 2)] * 9 + ["pass"] + [answer(400, 2)] * 40,
        ["pass"] + [answer(400, 2)] * 40,
        [answer(400, 2)] * 5 + [answer(400, 4)] * 40,
    ],
)
async def test_any_other_response_among_the_first_lets_the_run_go_on(
    fake: FakeZoho, zoho: Zoho, faults: list[Fault | str]
) -> None:
    fake.script(CREATE, faults)
    summary = await pushed(bulk.push(zoho.books.contacts, names(45)))
    assert (summary.rows, summary.complete, summary.ended_by) == (45, True, "")


async def test_names_that_are_taken_are_one_reason_and_the_last_ten_rows_are_no_stop(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.script(CREATE, [answer(400, 3062)] * 10)
    summary = await pushed(bulk.push(zoho.books.contacts, names(10), state=tmp_path / "s"))
    assert (summary.failed, summary.complete, summary.ended_by) == (10, True, "")
    fake.script(CREATE, [answer(400, 3062)] * 11)
    summary = await pushed(bulk.push(zoho.books.contacts, names(11), state=tmp_path / "t"))
    assert (summary.failed, summary.complete, summary.ended_by) == (10, False, "max_failures")
    # The remedy is that of the rows.
    assert "--on-existing update" in summary.reason


async def test_unchanged_rows_between_do_not_hide_the_reason(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed(
        [{**row, "notes": "same"} for row in names(5)]
        + [{**row, "contact_name": f"M{i}"} for i, row in enumerate(names(40))]
    )
    rows = names(5, notes="same") + [{"contact_name": f"M{number}", "notes": "x"} for number in range(40)]
    fake.script("books.contacts.update", [answer(400, 2)] * 99)
    summary = await pushed(bulk.push(zoho.books.contacts, rows, on_existing="update", concurrency=2))
    assert (summary.unchanged, summary.ended_by) == (5, "max_failures")
    assert 10 <= summary.failed <= 12


# -- the pilot


async def test_a_pilot_sends_the_first_rows_that_need_it_and_the_next_run_goes_on(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.seed([{"contact_name": "N2", "notes": "x"}, {"contact_name": "N3", "notes": "old"}])
    rows, options = names(9, notes="x"), {"on_existing": "update", "state": tmp_path / "s"}
    plan = await bulk.plan(zoho.books.contacts, rows, limit=3, **options)  # type: ignore[arg-type]
    assert (plan.create, plan.update, plan.unchanged, plan.limited) == (2, 1, 1, True)
    first = await pushed(bulk.push(zoho.books.contacts, rows, limit=3, **options))  # type: ignore[arg-type]
    assert (first.created, first.updated, first.unchanged, first.rows) == (2, 1, 1, 4)
    assert (first.complete, first.ended_by, first.of) == (False, "limit", 9)
    assert (first.reads, first.writes) == (plan.reads, plan.writes)
    second = await pushed(bulk.push(zoho.books.contacts, rows, limit=4, **options))  # type: ignore[arg-type]
    assert (second.created, second.unchanged, second.ended_by) == (4, 4, "limit")
    third = await pushed(bulk.push(zoho.books.contacts, rows, limit=4, **options))  # type: ignore[arg-type]
    assert (third.created, third.unchanged, third.complete, third.ended_by) == (1, 8, True, "")
    assert set(fake.created().values()) == {1}
    states = [run.state for run in await bulk.runs(tmp_path / "s")]
    assert states == ["complete", "stopped", "stopped"]


async def test_a_limit_of_all_rows_is_a_whole_run(fake: FakeZoho, zoho: Zoho) -> None:
    summary = await pushed(bulk.push(zoho.books.contacts, names(5), limit=5))
    assert (summary.created, summary.complete, summary.ended_by) == (5, True, "")
    plan = await bulk.plan(zoho.books.contacts, names(9, notes="x"), limit=4, on_existing="update")
    assert (plan.create + plan.update, plan.limited) == (4, True)
    plan = await bulk.plan(zoho.books.contacts, names(4, notes="x"), limit=4, on_existing="update")
    assert (plan.update, plan.limited) == (4, False)


async def test_refused_rows_count_as_sent_and_invalid_ones_do_not(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script(CREATE, [answer(400, 2)])
    summary = await pushed(bulk.push(zoho.books.contacts, [{"contact_name": ""}, *names(9)], limit=3))
    assert (summary.created, summary.failed, summary.ended_by, writes(fake)) == (2, 2, "limit", 3)


async def test_a_pilot_looks_up_what_it_has_sent_with_unknown_outcome(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script(CREATE, ["reset_after"])
    summary = await pushed(bulk.push(zoho.books.contacts, names(9), limit=2, pause=0, concurrency=1))
    assert (summary.settled, summary.created, summary.unknown, summary.ended_by) == (1, 1, 0, "limit")
    assert len(fake.created()) == 2


async def test_a_pilot_that_waits_for_its_last_row_can_be_stopped(fake: FakeZoho, zoho: Zoho) -> None:
    push = bulk.push(zoho.books.contacts, names(9), limit=2, concurrency=2)
    async for _ in push:
        push.stop()
    assert push.summary.created <= 2
    assert not push.summary.complete
