"""Runs the parts of the comparison: peers take turns in every round, each in a process of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from . import models
from .peers import BARE, CLIENTS, JSON, OURS, PEERS
from .server import Servers
from .statistics import Measure, Sample, compared, counted, rounded, summary

ROOT = Path(__file__).parents[2]
ANSWER = 120.0
"""Seconds that a peer has for one command."""
COUNTING = 240.0
"""Seconds of a process whose instructions are counted."""
AFTER_END = 30.0
"""Seconds after the end of the run that what was begun before it has."""


DECODED = (
    ("contact", "contact", 50, 150),
    ("page", "page", 4, 8),
    ("page", "page-one", 4, 8),
    ("page", "page-all", 4, 8),
)
"""Kind, recorded body, and two numbers of decodings, whose difference counts."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    peers: Sequence[str]
    rounds: int
    concurrency: Sequence[int] = (1, 10, 100, 500)
    contacts: int = 500
    pages: int = 20
    organisations: Sequence[int] = (1, 10, 100, 1000)
    rows: Sequence[int] = (1_000, 10_000, 100_000)
    rows_of_few: Sequence[int] = (1_000_000,)
    imports: int = 15
    counted: Sequence[str] = tuple(name for name in CLIENTS if name != "ours-tuned")
    counted_decoding: Sequence[tuple[str, str, int, int]] = DECODED
    minutes: float = 19.0

    @property
    def share(self) -> float:
        """Seconds of one measure, after which peers go on that are done within a second."""
        return self.minutes * 60 / 25


FULL = Plan(peers=CLIENTS, rounds=9)
QUICK = Plan(
    peers=CLIENTS,
    rounds=5,
    concurrency=(10,),
    contacts=500,
    pages=10,
    organisations=(1, 100),
    rows=(10_000,),
    rows_of_few=(),
    imports=7,
    counted=(OURS, BARE),
    counted_decoding=(),
    minutes=6.0,
)
DECODERS = (OURS, BARE, "aiohttp-pydantic", "generated", JSON)
"""A peer for each way of decoding; the others decode as one of them does."""
MOST_CLIENTS = 100
"""Organisations for a peer that needs a client with a connection pool for each."""
FEW = (OURS, BARE)
"""The peers of what would take the others too long."""


@dataclass
class Run:
    """One run of the comparison, and what it has found.

    Attributes:
        measures: By name of the measure.
        peers: Label, versions and the shape of responses that each peer reads.
        notes: What was left out, and why.
    """

    plan: Plan
    folder: Path
    environment: dict[str, str]
    servers: Servers
    began: float = field(default_factory=time.monotonic)
    measures: dict[str, Measure] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    server_busy: dict[str, float] = field(default_factory=dict)

    def left(self) -> float:
        """Seconds until the run has to end."""
        return self.plan.minutes * 60 - (time.monotonic() - self.began)

    def patience(self, most: float) -> float:
        """Seconds to wait for what begins now, so that the run ends in time."""
        return max(1.0, min(most, self.left() + AFTER_END))

    def note(self, text: str) -> None:
        """Remember what was left out, once."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"note: {text}", file=sys.stderr, flush=True)

    def add(self, name: str, measure: Measure) -> None:
        """Keep a measure, and show it."""
        if measure:
            self.measures[name] = rounded(measure)
            shown = {peer: values.get("ratio", values) for peer, values in self.measures[name].items()}
            print(f"{time.monotonic() - self.began:6.0f} s  {name}: {shown}", file=sys.stderr, flush=True)


def environment_of(folder: Path) -> dict[str, str]:
    """That of all processes: bytecode of their own, no proxies, and the same hashes in every run."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    kept = {name: value for name, value in kept.items() if not name.startswith(("PYTHON", "ZOHO_"))}
    return {
        **kept,
        "NO_PROXY": "*",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks"), str(folder)]),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "PYTHONHASHSEED": "0",
        "BENCHMARK_FOLDER": str(folder),
    }


class PeerError(Exception):
    """A peer did not answer, or with an error."""


class PeerProcess:
    """A process that runs one peer, and waits between commands."""

    def __init__(self, run: Run, name: str, url: str) -> None:
        self.name = name
        self.run = run
        command = [sys.executable, "-m", "comparing.worker", name, url]
        self.process = subprocess.Popen(
            command,
            env=run.environment,
            cwd=run.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One command and its answer.

        Raises:
            PeerError: It failed, or took too long.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.stdin.closed:
            raise PeerError("its process was ended")
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
        seconds = self.run.patience(ANSWER)
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            self.end()
            raise PeerError(f"no answer within {seconds:.0f} s")
        line = self.process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"failed": "its process ended"}
        if "failed" in reply:
            raise PeerError(reply["failed"])
        return reply

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def processes(run: Run, names: Sequence[str]) -> Iterator[dict[str, PeerProcess]]:
    """Open peers; one that cannot be opened is left out with a note."""
    started = {name: PeerProcess(run, name, run.servers.url) for name in names}
    try:
        opened: dict[str, PeerProcess] = {}
        for name, process in started.items():
            try:
                reply = process.ask("open")
            except PeerError as error:
                run.note(f"{PEERS[name].label} is left out: {error}")
                continue
            opened[name] = process
            run.peers[name] = {"label": PEERS[name].label, "versions": reply["versions"], "shape": reply["shape"]}
        yield opened
    finally:
        for process in started.values():
            process.end()


def interleaved(
    run: Run, peers: Mapping[str, PeerProcess], rounds: int, do: str, arguments: Mapping[str, Any]
) -> dict[str, list[Sample]]:
    """Samples of every peer: in each round all peers in turn, another one first each time."""
    samples: dict[str, list[Sample]] = {name: [] for name in peers}
    names, began = list(peers), time.monotonic()
    for number in range(rounds):
        spent = time.monotonic() - began
        if number and (run.left() <= 0 or spent > 2 * run.plan.share):
            break
        if number and spent > run.plan.share:
            names = [name for name in names if samples[name][-1]["wall"] < 1]
        first = number % max(len(names), 1)
        for name in names[first:] + names[:first]:
            try:
                samples[name].append(peers[name].ask(do, **arguments))
            except PeerError as error:
                run.note(f"{PEERS[name].label} is left out of {do} {dict(arguments)}: {error}")
                del samples[name]
                names.remove(name)
    return samples


# -- the parts


def imports(run: Run) -> None:
    """Fresh processes that only import, in turn: CPU time above `import asyncio, msgspec`."""
    base = "import asyncio, msgspec"
    programs = {"base": base} | {name: f"{base}\n{PEERS[name].module}" for name in run.plan.peers}
    measured = "from time import process_time\nstart = process_time()\n{}\nprint(process_time() - start)"
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    began = time.monotonic()
    for _ in range(run.plan.imports + 1):  # the first writes the bytecode
        if time.monotonic() - began > 2 * run.plan.share:
            break
        for name in list(seconds):
            command = [sys.executable, "-c", measured.format(programs[name])]
            done = subprocess.run(
                command, check=False, env=run.environment, cwd=run.folder, capture_output=True, text=True
            )
            if done.returncode:
                del seconds[name]
            else:
                seconds[name].append(float(done.stdout))
    measure: Measure = {}
    for name, own in seconds.items():
        pairs = list(zip(own, seconds["base"], strict=False))[1:]
        if name != "base" and pairs:
            above = sorted(one - other for one, other in pairs)
            measure[name] = {"ms": above[len(above) // 2] * 1000, "rounds": len(pairs)}
    run.add("import", measure)


def decoding(run: Run) -> None:
    """Recorded bodies without HTTP, beside `json.loads`."""
    with processes(run, [name for name in DECODERS if name in (*run.plan.peers, JSON)]) as peers:
        for kind, body, count in (
            ("contact", "contact", 100),
            ("page", "page", 2),
            ("page", "page-one", 2),
            ("page", "page-all", 2),
        ):
            readers = {
                name: process for name, process in peers.items() if body in ("contact", "page") or name in (OURS, JSON)
            }
            for shape in sorted({run.peers[name]["shape"] for name in readers}):
                file = f"contact-{shape}" if kind == "contact" else body
                path = str(run.folder / file)
                same = {name: process for name, process in readers.items() if run.peers[name]["shape"] == shape}
                same |= {JSON: peers[JSON]} if JSON in peers else {}
                arguments = {"path": path, "kind": kind, "count": count}
                found = summary(interleaved(run, same, run.plan.rounds * 3, "decode", arguments), count, JSON)
                for name, values in found.items():
                    if name != JSON or shape == "live":
                        run.measures.setdefault(f"decode.{body}", {})[name] = values
            run.add(f"decode.{body}", ordered(run.measures.get(f"decode.{body}", {})))


def ordered(measure: Measure) -> Measure:
    """In the order of the tables."""
    return {name: measure[name] for name in PEERS if name in measure}


def requests(run: Run) -> None:
    """Contacts at rising concurrency."""
    with processes(run, run.plan.peers) as peers:
        for concurrency in run.plan.concurrency:
            if run.left() <= 0:
                run.note(f"out of time: {concurrency} at once are left out")
                break
            count = max(run.plan.contacts, concurrency)
            one(run, peers, f"contact@{concurrency}", "contact", {"concurrency": concurrency, "count": count}, count)


def pages(run: Run) -> None:
    """Pages of 200 rows, ten at once."""
    with processes(run, run.plan.peers) as peers:
        count = run.plan.pages
        one(run, peers, "page@10", "page", {"concurrency": 10, "count": count}, count)


def organisations(run: Run) -> None:
    """A contact of each of many organisations, and the memory of the process afterwards."""
    names = [name for name in run.plan.peers if name in (*FEW, "zohopy")]
    with processes(run, names) as peers:
        for number in run.plan.organisations:
            name, count = f"organisations@{number}", max(run.plan.contacts, number)
            if number > MOST_CLIENTS and peers.pop("zohopy", None):
                run.note(f"zohopy takes 1.7 MB for each organisation's client, and stops at {MOST_CLIENTS} of them")
            one(run, peers, name, "organisations", {"organisations": number, "count": count}, count)
            for peer in run.measures.get(name, {}):
                with suppress(PeerError):
                    run.measures[name][peer]["megabytes"] = round(peers[peer].ask("memory")["megabytes"], 1)


def one(
    run: Run, peers: Mapping[str, PeerProcess], name: str, do: str, arguments: Mapping[str, Any], count: int
) -> None:
    """One measure of requests, and how busy the server was meanwhile."""
    busy, began = run.servers.seconds(), time.monotonic()
    samples = interleaved(run, peers, run.plan.rounds, do, arguments)
    if busy is not None and (after := run.servers.seconds()) is not None:
        run.server_busy[name] = round((after - busy) / (time.monotonic() - began), 3)
    run.add(name, summary(samples, count, BARE))


def open_all(run: Run) -> None:
    """Find out the shape that each peer reads, where no part before has."""
    missing = [name for name in run.plan.peers if name not in run.peers]
    with processes(run, missing):
        pass


def rows(run: Run) -> None:
    """Long lists, each by a fresh process, so that its peak memory is the list's."""
    open_all(run)
    for number in (*run.plan.rows, *run.plan.rows_of_few):
        names = [name for name in run.plan.peers if name in run.peers and (number in run.plan.rows or name in FEW)]
        samples: dict[str, list[Sample]] = {}
        for name in names:
            if run.left() <= 60:
                run.note(f"out of time at {number:,} rows: {PEERS[name].label} is left out")
                continue
            process = PeerProcess(run, name, run.servers.rows_url)
            try:
                samples[name] = [process.ask("rows", rows=number, shape=run.peers[name]["shape"])]
            except PeerError as error:
                run.note(f"{PEERS[name].label} is left out of {number:,} rows: {error}")
            finally:
                process.end()
        measure = summary(samples, number, BARE)
        for name, values in measure.items():
            values["megabytes"] = samples[name][0]["megabytes"]
        run.add(f"rows@{number}", measure)


def instruction_counts(run: Run) -> None:
    """Instructions of a request and of decoding, which other load does not change."""
    if shutil.which("valgrind") is None:
        run.note("no valgrind on this machine: instructions are not counted")
        return
    import instructions

    open_all(run)
    counter = instructions.Counter(run.folder, 0)
    counter.environment = run.environment

    def total(*arguments: str) -> int:
        return counter.total(*arguments, seconds=run.patience(COUNTING))

    def each(few: int, many: int, *arguments: str) -> float:
        first, second = (total("-m", "comparing.worker", *arguments, str(count)) for count in (few, many))
        return (second - first) / (many - few)

    requests_by_kind: dict[str, dict[str, float]] = {"contact": {}, "page": {}}

    def requests_of(names: Sequence[str]) -> None:
        for kind, few, many in (("contact", 100, 300), ("page", 10, 30)):
            for name in names:
                url = f"{run.servers.url}/{run.peers[name]['shape']}"
                count = partial(each, few, many, "--once", name, url, kind)
                attempt(run, name, requests_by_kind[kind], count)
            run.add(f"instructions.{kind}", counted(requests_by_kind[kind], BARE))

    names = [name for name in run.plan.counted if name in run.peers]
    requests_of([name for name in names if name in FEW])
    for kind, body, few, many in run.plan.counted_decoding:
        found: dict[str, float] = {}
        for name in (JSON, OURS):
            attempt(run, name, found, partial(each, few, many, "--decode", name, str(run.folder / body), kind))
        run.add(f"instructions.decode.{body}", counted(found, JSON))
    if run.left() > 60:
        base, ours = "import asyncio, msgspec", "import asyncio, msgspec\nfrom zoho_async import Zoho"
        with suppress(subprocess.TimeoutExpired):
            first, second = (total("-c", program) for program in (base, ours))
            run.add("instructions.import", {OURS: {"instructions": second - first, **compared([second / first])}})
    requests_of([name for name in names if name not in FEW])


def attempt(run: Run, name: str, found: dict[str, float], count: Any) -> None:
    """Count one peer while there is time; one that valgrind cannot run is left out."""
    if run.left() <= 60:
        run.note(f"out of time: instructions of {PEERS[name].label} are not counted")
        return
    try:
        found[name] = count()
    except (subprocess.SubprocessError, AssertionError) as error:
        run.note(f"instructions of {PEERS[name].label} are not counted: {str(error)[:100]}")


PARTS = {  # in this order, so that the goals come before time is out
    "import": imports,
    "decode": decoding,
    "pages": pages,
    "requests": requests,
    "rows": rows,
    "organisations": organisations,
    "instructions": instruction_counts,
}


def prepare(folder: Path, note: Any) -> None:
    """What all parts need in the folder: the generated client."""
    try:
        models.generate(folder)
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        note(f"no client could be generated from our specs: {type(error).__name__}")
