from __future__ import annotations

import tracemalloc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async.wire.seen_ids import SeenIds

ids = (
    st.integers(0, 2**65).map(str)
    | st.integers(0, 30).map(lambda number: str(4600000000000000000 + number))
    | st.sampled_from(["", "0", "00", "7", "07", "-7", "٧", "a", b"7", 7, str(2**64 - 1), str(2**64)])
)


@settings(max_examples=examples(100))
@given(st.lists(ids))
def test_it_is_a_set(added: list[Any]) -> None:
    seen, known = SeenIds(), set[Any]()
    for one in added:
        assert seen.add(one) == (one not in known)
        known.add(one)


def test_ids_in_any_step_are_kept_when_it_grows() -> None:
    for step in (1, 1 << 20, 1000):
        numbers = [str(4600000000000000001 + step * at) for at in range(5000)]
        seen = SeenIds()
        assert all(seen.add(number) for number in numbers)
        assert not any(seen.add(number) for number in numbers)


def test_an_id_takes_few_bytes() -> None:
    tracemalloc.start()
    seen = SeenIds()
    for at in range(20_000):
        seen.add(str(4600000000000000001 + 2 * at))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 40 * 20_000
