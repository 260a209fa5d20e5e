"""Whatever happens between and during loads of the dlt source: after a quiet one the table equals the server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from support.profiles import examples, sized
from support.warehouse import FIRST, SECOND, Warehouse, change, fake_for_dlt

from zoho_async.bulk.pulling import change_reader, listing
from zoho_async.bulk.pulling.listing import CallBudget
from zoho_async.dlt import zoho_source
from zoho_async.fake import FakeZoho

LIST = "books.contacts.list"
GET = "books.contacts.get"

ORGANIZATIONS = st.sampled_from([FIRST, FIRST, SECOND])
ACTS = st.tuples(st.sampled_from(["create", "update", "delete", "restore", "wait"]), ORGANIZATIONS, st.integers(0, 30))
LOADS = st.one_of(
    st.tuples(st.just("load"), st.fixed_dictionaries({"max_calls": st.sampled_from([3, 5, None])})),
    st.tuples(st.just("load"), st.just({"details": "changed", "max_calls": 9})),
    st.tuples(st.just("fails"), st.integers(0, 6)),
    st.tuples(st.sampled_from(["extract only", "files lost", "elsewhere", "abort"]), st.none()),
)
DURING = st.lists(st.tuples(st.integers(0, 12), ACTS), max_size=4)
STEPS = st.lists(st.one_of(ACTS, st.tuples(LOADS, DURING)), max_size=12)

CHOSEN: list[Any] = [
    ("create", FIRST, 7),
    (("load", {"max_calls": 5}), [(2, ("delete", FIRST, 0)), (3, ("create", SECOND, 5))]),
    ("update", FIRST, 5),
    (("extract only", None), [(1, ("update", FIRST, 2)), (2, ("delete", FIRST, 3))]),
    (("files lost", None), []),
    ("restore", FIRST, 0),
]


class Loads:
    """A warehouse, and what is done to the server between and during its loads."""

    def __init__(self, fake: FakeZoho, patch: pytest.MonkeyPatch) -> None:
        self.fake = fake
        self.here = Warehouse(fake, dlt.destinations.duckdb("warehouse.duckdb"))
        self.made = 0
        self.calls = 0
        self.removed: dict[str, list[Any]] = {FIRST: [], SECOND: []}
        self.during: list[tuple[int, Any]] = []
        take = CallBudget.take

        def taken(budget: CallBudget) -> None:
            take(budget)
            for number, act in self.during:
                if number == self.calls:
                    self.act(*act)
            self.calls += 1

        patch.setattr(CallBudget, "take", taken)

    def act(self, kind: str, organization_id: str, number: int) -> None:
        organization = self.fake.organization(organization_id)
        ids = list(organization.contacts)
        if kind == "create":
            names = range(self.made + 1, self.made + 2 + number % 12)
            self.made = names[-1]
            self.fake.seed(({"contact_name": f"Name {one}"} for one in names), organization_id)
        elif kind == "wait":
            self.fake.clock.advance(number * 1000)
        elif kind == "restore" and self.removed[organization_id]:
            organization.put(self.removed[organization_id].pop())
        elif ids and kind == "update":
            self.made += 1
            change(self.fake, ids[number % len(ids)], organization_id, contact_name=f"Changed {self.made}")
        elif ids and kind == "delete":
            one = ids[number % len(ids)]
            self.removed[organization_id].append(organization.contacts[one])
            organization.remove(one)

    def load(self, kind: str, detail: Any) -> None:
        actions: dict[str, Callable[[], object]] = {
            "load": lambda: self.here.load(FIRST, SECOND, max_deleted=1, **(detail or {})),
            "fails": lambda: self.here.load(FIRST, SECOND, max_deleted=1),
            "elsewhere": self.load_elsewhere,
            "extract only": lambda: self.here.pipeline.extract(zoho_source([FIRST, SECOND], max_deleted=1)),
            "files lost": lambda: shutil.rmtree(self.here.pipeline.working_dir),
            "abort": lambda: self.here.pipeline.abort_packages(),
        }
        if kind == "fails":
            self.fake.script(LIST, ["pass"] * detail + ["status:400"])
        try:
            actions[kind]()
        except PipelineStepFailed:
            assert kind == "fails"
        self.fake.clear_faults()
        if kind == "files lost":
            self.here = Warehouse(self.fake, self.here.destination)

    def load_elsewhere(self) -> None:
        # Machines take turns with whole runs.
        if not self.here.pipeline.has_pending_data:
            self.here.elsewhere().load(FIRST, SECOND, max_deleted=1)
            self.here = Warehouse(self.fake, self.here.destination)

    def check(self) -> None:
        self.during = []
        if self.here.pipeline.has_pending_data:
            # A load with packages that wait reads nothing.
            self.here.load(FIRST, SECOND)
        self.here.load(FIRST, SECOND, max_calls=None, max_deleted=1)
        for one in (FIRST, SECOND):
            assert self.here.equals_zoho(one)


@example(steps=CHOSEN)
@given(steps=STEPS)
@settings(max_examples=examples(4), phases=sized([Phase.explicit], list(Phase)))
@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")
def test_after_a_quiet_load_the_table_equals_the_server(steps: list[Any]) -> None:
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        fake_for_dlt(Path(folder)) as fake,
        pytest.MonkeyPatch.context() as patch,
    ):
        for module in (listing, change_reader):
            patch.setattr(module, "PER_PAGE", 4)
        loads = Loads(fake, patch)
        # Without a record there is no table.
        loads.act("create", FIRST, 3)
        for step in steps:
            if len(step) == 3:
                loads.act(*step)
                continue
            (kind, detail), loads.during = step
            loads.calls = 0
            loads.load(kind, detail)
            loads.during = []
        loads.check()
