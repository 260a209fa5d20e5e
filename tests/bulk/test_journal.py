from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from zoho_async.bulk.journal import Journal
from zoho_async.bulk.problems import StateError


async def test_an_intent_and_its_outcome_outlive_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.sqlite"
    async with Journal(path, "t") as journal:
        await journal.intend("A", "d1")
        await journal.intend("B", "d2")
        await journal.settle("B", "done", record_id="77")
    async with Journal(path, "t") as journal:
        first, second, third = await journal.look([("A", 1), ("B", 2), ("C", 3)], counted=False)
    assert first.entry is not None and (first.entry.state, first.entry.digest) == ("intent", "d1")
    assert second.entry is not None and (second.entry.state, second.entry.record_id) == ("done", "77")
    assert third.entry is None
    async with Journal(path, "another target") as journal:
        (look,) = await journal.look([("A", 1)], counted=False)
    assert look.entry is None


async def test_equal_keys_are_told_apart_or_named() -> None:
    async with Journal(None, "t") as journal:
        looks = await journal.look([("k", 1), ("x", 2), ("k", 3)], counted=True)
        assert [look.identity for look in looks] == ["k#1", "x#1", "k#2"]
        assert [look.first for look in looks] == [1, 2, 3]
    async with Journal(None, "t") as journal:
        looks = await journal.look([("k", 1), ("k", 2)], counted=False) + await journal.look([("k", 3)], counted=False)
        assert [look.first for look in looks] == [1, 1, 1]


async def test_a_record_is_adopted_once() -> None:
    async with Journal(None, "t") as journal:
        await journal.intend("a", "d")
        await journal.intend("b", "d")
        assert await journal.adopt("a", "77")
        assert not await journal.adopt("b", "77")
        assert await journal.adopt("a", "77")


async def test_withdrawing_forgets_only_an_intent(tmp_path: Path) -> None:
    async with Journal(tmp_path / "s", "t") as journal:
        await journal.intend("a", "d")
        await journal.intend("b", "d")
        await journal.settle("b", "done")
        await journal.withdraw("a")
        await journal.withdraw("b")
        a, b = await journal.look([("a", 1), ("b", 2)], counted=False)
    assert a.entry is None
    assert b.entry is not None


async def test_what_waits_together_is_committed_together(tmp_path: Path) -> None:
    path = tmp_path / "s"
    commits: list[str] = []
    async with Journal(path, "t") as journal:
        await journal._do(
            lambda connection: connection.set_trace_callback(
                lambda text: commits.append(text) if text == "COMMIT" else None
            )
        )
        await asyncio.gather(*(journal.intend(str(number), "d") for number in range(500)))
    # One more for the transaction in which the counting began.
    assert 2 <= len(commits) <= 4
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM journal").fetchone() == (500,)
    connection.close()


async def test_a_second_user_is_refused_in_a_clear_word(tmp_path: Path) -> None:
    path = tmp_path / "s"
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from zoho_async.bulk.journal import Journal\n"
        "async def main():\n"
        "    async with Journal(Path(sys.argv[1]), 't'):\n"
        "        print('open', flush=True)\n"
        "        sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    other = subprocess.Popen(  # noqa: ASYNC220 - the loop has nothing else to do
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StateError, match="another run is using this state file"):
            async with Journal(path, "t"):
                pass
        other.kill()
    async with Journal(path, "t") as journal:
        await journal.intend("a", "d")
        with pytest.raises(StateError, match="another run"):
            async with Journal(path, "t"):
                pass


async def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello " * 1000)
    with pytest.raises(StateError, match="is not a state file"):
        async with Journal(text, "t"):
            pass
    assert text.read_text().startswith("hello")
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StateError, match="is not a state file"):
        async with Journal(other, "t"):
            pass


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Journal(path, "t"):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="newer"):
        async with Journal(path, "t"):
            pass


async def test_looking_only_creates_no_file(tmp_path: Path) -> None:
    async with Journal(tmp_path / "s", "t", create=False) as journal:
        await journal.look([("a", 1)], counted=False)
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a test may block


async def test_looking_only_changes_no_byte_and_works_while_a_run_writes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    empty = tmp_path / "empty"
    empty.touch()
    async with Journal(path, "t") as journal:
        await journal.intend("old", "d")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}  # noqa: ASYNC240 - a test may block
    for one in (path, empty):
        async with Journal(one, "t", create=False) as looking:
            (look,) = await looking.look([("old", 1)], counted=False)
            assert (look.entry is not None) == (one is path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before  # noqa: ASYNC240
    async with Journal(path, "t") as journal:
        for number in range(300):
            await journal.intend(str(number), "d")
            if number % 60 == 0:
                async with Journal(path, "t", create=False) as looking:
                    found = await looking.look([("old", 1), (str(number), 2), (str(number + 1), 3)], counted=False)
                assert [look.entry is not None for look in found] == [True, True, False]


async def test_looking_while_a_run_ends_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Journal(tmp_path / "s", "t") as journal:
        await journal.intend("a", "d")
    # There was a log, and when it was to be copied the run had ended and taken it away.
    heads = iter([b"log", b"", b"", b""])
    monkeypatch.setattr("zoho_async.bulk.journal._log_head", lambda _: next(heads))
    async with Journal(tmp_path / "s", "t", create=False) as looking:
        (look,) = await looking.look([("a", 1)], counted=False)
    assert look.entry is not None


async def test_a_row_keeps_the_identity_it_had(tmp_path: Path) -> None:
    async with Journal(None, "t") as journal:
        keys = [("k", 1), ("k", 2), ("k", 3), ("k", 4), ("x", 5)]
        looks = await journal.look(keys, counted=True, carried={1: "k#2", 4: "k#2", 5: "k#1"})
        assert [look.identity for look in looks] == ["k#2", "k#1", "k#3", "k#2", "x#1"]
        assert [look.first for look in looks] == [1, 2, 3, 1, 5]


async def test_a_state_file_that_cannot_be_made_is_said_in_a_sentence() -> None:
    with pytest.raises(StateError, match=r"/dev/null/x\.sqlite: the state file cannot be opened"):
        async with Journal(Path("/dev/null/x.sqlite"), "t"):
            pass


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_durable_flushes_every_commit(tmp_path: Path, durable: bool, level: int) -> None:
    async with Journal(tmp_path / "s", "t", durable=durable) as journal:
        found = await journal._do(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
    assert found == (level,)


async def test_a_cancelled_wait_does_not_harm_the_others(tmp_path: Path) -> None:
    async with Journal(tmp_path / "s", "t") as journal:
        tasks = [asyncio.create_task(journal.intend(str(number), "d")) for number in range(20)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [
            result for result in results if result is not None and not isinstance(result, asyncio.CancelledError)
        ] == []
        (look,) = await journal.look([("19", 1)], counted=False)
        assert look.entry is not None
