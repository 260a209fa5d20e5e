"""The plan of any resource says what the push then does, row by row and to the call; so do those of retries, and of
pushes that take so long that their lists grow old."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing import prepare as preparing
from zoho_async.bulk.pushing import push as pushing
from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination, required_path
from zoho_async.bulk.source.files import RowFile, open_rows
from zoho_async.errors import DuplicateError
from zoho_async.fake import FakeZoho

SEEDS = 1
"""More of them by hand: 60 take a quarter of an hour."""
KEY = "cf_external_id"
CUSTOMERS: list[dict[str, Any]] = [
    {"match_by": KEY},
    {"match_by": KEY, "on_name_taken": "match", "empty": "clear"},
    {"match_by": "email", "on_name_taken": "suffix:company_name"},
    {"match_by": "company_name", "on_name_taken": "suffix:website", "empty": "clear"},
    # A list does not show it.
    {"match_by": "twitter", "on_name_taken": "match"},
    {},
    {"on_name_taken": "match"},
    {"on_name_taken": "suffix:company_name"},
    {"on_existing": "skip"},
]
PERSONS: list[dict[str, Any]] = [
    {"match_by": "email"},
    {"match_by": "email", "empty": "clear"},
    {"match_by": "phone"},
    {"match_by": "first_name", "empty": "clear"},
    {},
    {"on_existing": "update"},
    {"on_existing": "skip"},
]


def a_customer(chance: random.Random, number: int, name: str, *, keyed: bool) -> dict[str, Any]:
    """A row out of a small world, so that keys, names and e-mails meet."""
    row: dict[str, Any] = {
        name: f"Name {chance.randrange(40)}",
        "email": f"p{chance.randrange(40) if chance.random() < 0.5 else number}@x.example",
    }
    if keyed:
        row[KEY] = f"K{number if chance.random() < 0.9 else chance.randrange(30)}"
    if chance.random() < 0.8:
        row["company_name"] = f"Company {chance.randrange(30)}"
    if chance.random() < 0.7:
        row["website"] = chance.choice(["", f"www{chance.randrange(40)}.example"])
    if chance.random() < 0.8:
        row["twitter"] = f"t{chance.randrange(40)}"
    if chance.random() < 0.05:
        row["email"] = "nobody"
    return row


async def customers_changed(zoho: Zoho, destination: Destination, chance: random.Random, ids: list[str]) -> None:
    """What others do in Zoho between two runs."""
    name = destination.natural.name
    operation = destination.operations["update"]
    (place,) = required_path(operation)
    for customer_id in chance.sample(ids, len(ids) // 3):
        change = chance.choice(
            [
                None,
                {"twitter": f"t{chance.randrange(40)}"},
                {"company_name": f"Company {chance.randrange(30)}"},
                {name: f"Theirs {customer_id}"},
                {name: f"Name {chance.randrange(40)} "},
            ]
        )
        try:
            if change is None:
                await destination.resource.delete(customer_id)
            else:
                before = await destination.resource.get(customer_id, type=dict[str, Any])
                body = {name: before[name], "email": before["email"], **change}
                await zoho.send(operation, path={place: customer_id}, body=body)
        except DuplicateError:
            pass


def a_person(chance: random.Random, contacts: list[str]) -> dict[str, Any]:
    """A person of one of a few contacts."""
    row: dict[str, Any] = {
        "contact_id": chance.choice(contacts),
        "first_name": f"Name {chance.randrange(12)}",
        "email": f"p{chance.randrange(12)}@x.example",
        "phone": f"{chance.randrange(12)}",
    }
    if chance.random() < 0.6:
        row["department"] = chance.choice(["", f"D{chance.randrange(9)}"])
    if chance.random() < 0.05:
        row["email"] = "nobody"
    return row


def persons_changed(fake: FakeZoho, chance: random.Random, *, contacts: bool) -> None:
    """What others do to the persons of contacts between two runs."""
    organization = fake.organization()
    for contact_id, contact in list(organization.contacts.items()):
        if contacts and chance.random() < 0.05:
            organization.remove(contact_id)
            continue
        persons: list[dict[str, Any]] = [dict(one) for one in contact["contact_persons"] if chance.random() < 0.8]
        for person in persons:
            if chance.random() < 0.3:
                person[chance.choice(["email", "phone", "first_name"])] = f"theirs{chance.randrange(9)}@x.example"
        if chance.random() < 0.3:
            new = a_person(chance, [contact_id])
            del new["contact_id"]
            persons.append({"contact_person_id": organization.new_id(), **new})
        organization.put({**contact, "contact_persons": persons})


async def compare(
    fake: FakeZoho,
    resource: Any,
    rows: Any,
    state: Path,
    way: dict[str, Any],
    *,
    later: random.Random | None = None,
    **settings: Any,
) -> list[RowOutcome]:
    """The outcomes of a push that has done to every row what was planned, in as many calls.

    `later`: by its chance the day's calls are used up while the push goes on, and lists are read again. That takes
    reads which no plan knows of; and a row that was to be refused may be written, because the push itself has freed
    the name or the key it wants.
    """
    destination = Destination.of(resource)
    options = Options.of(destination, **way)
    expected: dict[int, str] = {}
    colliding: set[int] = set()

    def on_rejected(outcome: RowOutcome) -> None:
        expected[outcome.row.number] = "none"
        no_suffix = outcome.kind == "required" and outcome.field == options.suffix_field
        if outcome.kind in ("name_taken", "ambiguous") or no_suffix:
            colliding.add(outcome.row.number)

    planned = await bulk.plan(resource, rows, state=state, on_rejected=on_rejected, **way)
    expected.update({one.row: f"{one.action}d" for one in planned.planned})
    if later is not None:
        use_up_days(fake, destination, later)
    push = bulk.push(resource, rows, state=state, **way, **settings)
    outcomes = [outcome async for outcome in push]
    fake.clear_faults()
    assert not [(one.row.number, one.reason) for one in outcomes if one.status == "failed" and one.error is not None]
    # What a call of an earlier run has done is found without another.
    done = {
        one.row.number: "unchanged" if one.action in ("settled", "skipped") else one.action
        for one in outcomes
        if one.status != "unknown"
    }
    freed = {number for number in colliding if later is not None and done.get(number, "none") != "none"}
    assert {number: done[number] if number in freed else expected.get(number, "unchanged") for number in done} == done
    assert planned.exact
    assert (planned.rows, planned.unknown) == (len(outcomes), push.summary.unknown)
    assert planned.writes == push.summary.writes - sum(done[number] != "unchanged" for number in freed)
    assert planned.reads <= push.summary.reads if later is not None else planned.reads == push.summary.reads
    return outcomes


def use_up_days(fake: FakeZoho, destination: Destination, chance: random.Random) -> None:
    """The day's calls are used up again and again while rows are written."""
    for name in ("create", "upsert", "update"):
        if name not in destination.operations:
            continue
        fake.script(f"{destination.name}.{name}", [chance.choice(["pass"] * 4 + ["429:45"]) for _ in range(60)])


@pytest.fixture
def days(days: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are decided upon a few at a time, before and after a wait."""
    monkeypatch.setattr(preparing, "ROUTE_BATCH", 7)


def few_contacts(fake: FakeZoho) -> None:
    fake.seed(
        [
            {
                "contact_name": f"Name {number}",
                KEY: f"K{20 + number}",
                "company_name": f"Company {number}",
                "twitter": f"t{number}",
                "contact_persons": [{"first_name": "Ann", "email": f"p{number}@x.example"}],
            }
            for number in range(10)
        ]
    )


def few_persons(fake: FakeZoho, chance: random.Random) -> list[str]:
    """Their contacts."""
    seeded = fake.seed(
        [
            {
                "contact_name": f"Name {number}",
                "contact_persons": [
                    {"first_name": f"Name {place}", "email": f"p{number + place}@x.example", "phone": f"{place}"}
                    for place in range(chance.randrange(4))
                ],
            }
            for number in range(8)
        ]
    )
    return [one["contact_id"] for one in seeded]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("product", ["expense", "billing"])
@pytest.mark.parametrize("way", CUSTOMERS, ids=str)
async def test_customers(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, way: dict[str, Any], product: str, seed: int
) -> None:
    chance = random.Random(seed)
    few_contacts(fake)
    customers = getattr(zoho, product).customers
    destination = Destination.of(customers)
    name, keyed = destination.natural.name, way.get("match_by") == KEY
    given = [a_customer(chance, number, name, keyed=keyed) for number in range(30)]
    for _ in range(3):
        await compare(fake, customers, given, tmp_path / "s", way)
        await customers_changed(zoho, destination, chance, sorted(fake.organization().contacts))
        for number in chance.sample(range(30), 6):
            given[number] = {**given[number], "twitter": f"t{chance.randrange(40)}"}
        for number in chance.sample(range(30), 3):
            given[number] = a_customer(chance, number, name, keyed=keyed)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("product", ["books", "invoice"])
@pytest.mark.parametrize("way", PERSONS, ids=str)
async def test_contact_persons(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, way: dict[str, Any], product: str, seed: int
) -> None:
    chance = random.Random(seed)
    # One that Zoho does not have.
    contacts = [*few_persons(fake, chance), "1"]
    persons = getattr(zoho, product).contact_persons
    given = [a_person(chance, contacts) for _ in range(30)]
    for _ in range(3):
        await compare(fake, persons, given, tmp_path / "s", way)
        persons_changed(fake, chance, contacts=True)
        for number in chance.sample(range(30), 6):
            given[number] = {**given[number], "department": f"D{chance.randrange(9)}"}
        for number in chance.sample(range(30), 3):
            given[number] = a_person(chance, contacts)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("way", CUSTOMERS, ids=str)
@pytest.mark.usefixtures("days")
async def test_customers_while_days_pass(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, way: dict[str, Any], seed: int
) -> None:
    chance = random.Random(seed)
    few_contacts(fake)
    customers = zoho.expense.customers
    keyed = way.get("match_by") == KEY
    given = [a_customer(chance, number, "contact_name", keyed=keyed) for number in range(30)]
    for _ in range(2):
        await compare(fake, customers, given, tmp_path / "s", way, later=chance, wait=True)
        await customers_changed(zoho, Destination.of(customers), chance, sorted(fake.organization().contacts))
        for number in chance.sample(range(30), 8):
            given[number] = a_customer(chance, number, "contact_name", keyed=keyed)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("way", PERSONS, ids=str)
@pytest.mark.usefixtures("days")
async def test_contact_persons_while_days_pass(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, way: dict[str, Any], seed: int
) -> None:
    """Nobody takes away what a run has sent: whether that is seen depends on when lists are read for other rows."""
    chance = random.Random(seed)
    contacts = [*few_persons(fake, chance), "1"]
    given = [a_person(chance, contacts) for _ in range(30)]
    for _ in range(2):
        await compare(fake, zoho.books.contact_persons, given, tmp_path / "s", way, later=chance, wait=True)
        for number in chance.sample(range(30), 8):
            given[number] = {**given[number], "department": f"D{chance.randrange(9)}"}


COLUMNS = ["contact_name", KEY, "company_name", "contact_persons[0].email", "notes", "credit_limit"]
RETRIED: list[dict[str, Any]] = [
    {"upsert_by": KEY, "on_name_taken": "suffix:company_name"},
    {"match_by": "email", "on_name_taken": "suffix:company_name"},
    {"match_by": "company_name", "on_name_taken": "suffix:notes", "empty": "clear"},
    {"on_name_taken": "suffix:company_name"},
    {"on_name_taken": "suffix:notes"},
]


def a_contact(chance: random.Random, number: int, *, keyed: bool) -> dict[str, str]:
    """A row of a file. Names meet, and what is put behind them is missing now and then, or the same."""
    return {
        "contact_name": f"Name {chance.randrange(15)}",
        KEY: f"K{number if chance.random() < 0.9 else chance.randrange(30)}" if keyed else "",
        "company_name": chance.choice(["", f"Company {chance.randrange(20)}", f"Company {number}"]),
        "contact_persons[0].email": f"p{number if chance.random() < 0.8 else chance.randrange(30)}@x.example",
        "notes": chance.choice(["", f"note {chance.randrange(9)}", f"note {number}"]),
        "credit_limit": chance.choice([""] * 15 + ["much"]),
    }


def mended(chance: random.Random, number: int, row: dict[str, str], *, keyed: bool) -> dict[str, str]:
    name = chance.choice(COLUMNS)
    fresh = a_contact(chance, number, keyed=keyed)
    return chance.choice([{**row, name: fresh[name]}, {**row, "company_name": f"Mended {number}"}, fresh])


def write(path: Path, rows: list[dict[str, str]]) -> RowFile:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return open_rows(path)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("way", RETRIED, ids=str)
async def test_a_retry(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any], seed: int
) -> None:
    # However many calls in a row get lost, the push goes on.
    monkeypatch.setattr(pushing, "BREAKER_THRESHOLD", 1_000)
    chance = random.Random(seed)
    few_contacts(fake)
    contacts, state, path = zoho.books.contacts, tmp_path / "s", tmp_path / "a.csv"
    keyed = "upsert_by" in way
    given = [a_contact(chance, number, keyed=keyed) for number in range(30)]
    for name in ("create", "upsert", "update"):
        faults = ["pass", "pass", "pass", "status:400", "reset_before", "reset_after"]
        fake.script(f"books.contacts.{name}", [chance.choice(faults) for _ in range(40)])
    push = bulk.push(contacts, write(path, given), state=state, pause=0, concurrency=1, **way)
    outcomes = [outcome async for outcome in push]
    fake.clear_faults()
    for run in range(1, 4):
        undone = [one.row.number - 1 for one in outcomes if one.status != "done"]
        for number in undone:
            if chance.random() < 0.6:
                given[number] = mended(chance, number, given[number], keyed=keyed)
        # Rows that are done change as well; a retry lets them be.
        given[chance.choice(sorted({*range(30)}.difference(undone)))]["notes"] = "changed"
        write(path, given)
        again = await bulk.remaining_rows(contacts, run, state=state, **way)
        assert again.rows.count == len(undone)
        outcomes = await compare(fake, contacts, again.rows, state, way, pause=0)


OLD: list[dict[str, Any]] = [
    *RETRIED,
    {"upsert_by": KEY, "on_name_taken": "match", "empty": "clear"},
    {"match_by": "contact_name"},
    # A list does not show it.
    {"match_by": "notes"},
    {"on_name_taken": "match"},
]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("way", OLD, ids=str)
@pytest.mark.usefixtures("days")
async def test_contacts_while_days_pass(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, way: dict[str, Any], seed: int
) -> None:
    chance = random.Random(seed)
    few_contacts(fake)
    keyed = "upsert_by" in way
    given = [a_contact(chance, number, keyed=keyed) for number in range(30)]
    for _ in range(2):
        await compare(fake, zoho.books.contacts, given, tmp_path / "s", way, later=chance, wait=True)
        for number in chance.sample(range(30), 8):
            given[number] = mended(chance, number, given[number], keyed=keyed)
