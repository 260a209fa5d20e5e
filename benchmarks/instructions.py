"""Instructions of a request, of decoding and of the import, counted by valgrind; they do not depend on other load.

    python benchmarks/instructions.py [requests] [decoding] [import]

Compared are: one request at concurrency 10 with bare aiohttp and msgspec; decoding with `json.loads`; the import with
`import asyncio, msgspec`. The responses are recorded once from FakeZoho in the shape of the live service and served
by a raw asyncio server in another process, so that only the client is counted. The bare client reads the same
responses with null for the empty text that its strict decoder would refuse; its structs are ours.

Every number is the difference of two runs of different length, so that starting up does not count. Decoding is
also timed, for instructions of unlike kinds take unlike time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

from measuring import body, machine

CONCURRENCY = 10
EMPTY = ("exchange_rate", "opening_balance_amount_bcy", "consent_date", "created_date", "submitted_date")
"""Members of a contact that the live service sends as empty text."""
CONTACT, PAGE = "contact", "page"


# -- responses in the shape of the live service


async def record(folder: Path) -> None:
    """Write a contact and a page of 200 as FakeZoho sends them."""
    from zoho_async import Limits, StaticToken, Zoho
    from zoho_async.books import contacts
    from zoho_async.fake import FakeZoho

    async with FakeZoho(per_minute=None, per_day=None) as fake:
        client = Zoho(
            StaticToken(fake.access_token),
            organization_id=fake.organization_id,
            api_url=fake.url,
            limits=Limits(per_minute=None),
        )
        async with client as zoho:
            for number in range(200):
                created = await zoho.books.contacts.create(body(number))
            one = await zoho.send(contacts.GET, path={"contact_id": created.contact_id})
            page = await zoho.send(contacts.LIST)
    rows = json.loads(page.body, parse_float=Decimal)["contacts"]
    for row in rows:  # custom fields would hide what the members of a row cost
        for name in [name for name in row if name.startswith("cf_")]:
            del row[name]
        row.update(custom_fields=[], custom_field_hash={})
    whole = {**json.loads(page.body), "contacts": rows}
    (folder / CONTACT).write_bytes(one.body)
    (folder / PAGE).write_bytes(_json(whole))
    for odd, changed in (("one", rows[100:101]), ("all", rows)):
        for row in changed:
            row["payment_terms"] = ""  # where a number belongs
        (folder / f"{PAGE}-{odd}").write_bytes(_json(whole))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=float).encode()


def without_empty(text: bytes) -> bytes:
    """A contact that a strict decoder accepts."""
    for name in EMPTY:
        text = text.replace(f'"{name}":""'.encode(), f'"{name}":null'.encode())
    return text


class Canned(asyncio.Protocol):
    """Answers every request with a recorded response, by its address."""

    responses: dict[bytes, bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        for request in data.split(b"\r\n\r\n")[:-1]:
            path = request.split(b" ", 2)[1].partition(b"?")[0]
            self.transport.write(self.responses[path])


async def serve(folder: Path) -> None:
    """Print the port, then answer until the process is ended."""
    one, page = (folder / CONTACT).read_bytes(), (folder / PAGE).read_bytes()
    bodies = {
        "/books/v3/contacts": page,
        "/books/v3/contacts/460000000000000": one,
        "/bare/contacts": page,
        "/bare/contacts/460000000000000": without_empty(one),
    }
    head = (
        "HTTP/1.1 200 OK\r\nx-rate-limit-limit: 10000\r\nx-rate-limit-remaining: 9000\r\nx-rate-limit-reset: 40000\r\n"
        "Content-Type: application/json;charset=UTF-8\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\nContent-Length: "
    )
    Canned.responses = {path.encode(): f"{head}{len(text)}\r\n\r\n".encode() + text for path, text in bodies.items()}
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# -- what is counted


async def ours(port: int, kind: str, count: int) -> None:
    """So many requests with this library."""
    from zoho_async import Limits, StaticToken, Zoho

    limits = Limits(per_minute=None, concurrency=CONCURRENCY)
    client = Zoho(StaticToken("t" * 70), organization_id="10234695", api_url=f"http://127.0.0.1:{port}", limits=limits)
    async with client as zoho:
        contacts = zoho.books.contacts

        async def worker(share: int) -> None:
            for _ in range(share):
                if kind == CONTACT:
                    await contacts.get("460000000000000")
                else:
                    await contacts.list(page=1)

        await asyncio.gather(*[worker(count // CONCURRENCY) for _ in range(CONCURRENCY)])


async def bare(port: int, kind: str, count: int) -> None:
    """So many requests with aiohttp and msgspec, as one would write them by hand."""
    import aiohttp
    import msgspec

    from zoho_async.books import Contact, ContactRow

    row: Any = Contact if kind == CONTACT else list[ContactRow]
    name = "contact" if kind == CONTACT else "contacts"
    envelope = msgspec.defstruct("Envelope", [("code", int), ("message", str), (name, row)])
    decode = msgspec.json.Decoder(envelope).decode
    base, headers = f"http://127.0.0.1:{port}/bare/contacts", {"Authorization": "Zoho-oauthtoken " + "t" * 70}
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def worker(share: int) -> None:
            for _ in range(share):
                address = f"{base}/460000000000000" if kind == CONTACT else base
                params = {"organization_id": "10234695"} | ({} if kind == CONTACT else {"page": "1"})
                async with session.get(address, params=params) as response:
                    text = await response.read()
                decode(text)

        await asyncio.gather(*[worker(count // CONCURRENCY) for _ in range(CONCURRENCY)])


def decoder(kind: str) -> Callable[[bytes], Any]:
    """Our decoding of a response, or `json.loads`."""
    if kind.startswith("json"):
        return json.loads
    from zoho_async.books import contacts
    from zoho_async.wire.decoding import Decoders

    decoders = Decoders()
    operation = contacts.GET if kind.endswith(CONTACT) else contacts.LIST
    return lambda text: decoders.decode(operation, None, text, "utf-8")


def run(case: str, count: int, folder: Path, port: int) -> None:
    """One case, in a process of its own."""
    what, _, kind = case.partition(":")
    if what in ("ours", "bare"):
        asyncio.run((ours if what == "ours" else bare)(port, kind, count))
        return
    text = (folder / kind).read_bytes()
    decode = decoder(f"{what}-{kind.partition('-')[0]}")
    for _ in range(count):
        decode(text)


# -- counting


def environment(cache: str) -> dict[str, str]:
    """Bytecode of our own, and the same hashes in every run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    root = Path(__file__).parent.parent
    return {**kept, "PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": str(root), "PYTHONHASHSEED": "0"}


class Counter:
    """Counts the instructions of child processes."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.environment = environment(str(folder / "bytecode"))

    def total(self, *arguments: str, seconds: float | None = None) -> int:
        """All instructions of a Python process, which is ended after so many seconds."""
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=seconds
        )
        found = re.search(r"Collected : (\d+)", done.stderr)
        assert found is not None, done.stderr
        return int(found[1])

    def each(self, case: str, few: int, many: int) -> float:
        """Instructions of one request or decoding."""
        place = [str(self.folder), str(self.port)]
        once = [sys.executable, __file__, "--run", case, str(CONCURRENCY), *place]
        subprocess.run(once, env=self.environment, check=True)  # writes the bytecode
        first, second = (self.total(__file__, "--run", case, str(count), *place) for count in (few, many))
        return (second - first) / (many - few)


def requests(counter: Counter) -> Iterator[str]:
    """Lines on requests."""
    for kind, few, many in ((CONTACT, 200, 600), (PAGE, 50, 110)):
        base, own = (counter.each(f"{who}:{kind}", few, many) for who in ("bare", "ours"))
        yield f"one {kind:8} {own / 1000:9,.0f} k  bare {base / 1000:9,.0f} k  ratio {own / base:5.2f}"


def decoding(counter: Counter) -> Iterator[str]:
    """Lines on decoding."""
    for kind, few, many in ((CONTACT, 50, 150), (PAGE, 4, 8), (f"{PAGE}-one", 4, 8), (f"{PAGE}-all", 4, 8)):
        base, own = (counter.each(f"{who}:{kind}", few, many) for who in ("json", "decode"))
        fast = timed(counter.folder / kind, kind)
        yield (
            f"decode {kind:8} {own / 1000:9,.0f} k  json.loads {base / 1000:9,.0f} k  ratio {base / own:5.2f}"
            f"  in time {fast:5.2f}"
        )


def timed(path: Path, kind: str) -> float:
    """How many times as fast as `json.loads`: medians would count neighbours, so the best of many rounds."""
    text = path.read_bytes()
    decoders = [decoder(f"{who}-{kind.partition('-')[0]}") for who in ("json", "decode")]
    best = [float("inf")] * 2
    for _ in range(60):
        for at, decode in enumerate(decoders):
            start = perf_counter()
            for _ in range(20 if kind == CONTACT else 1):
                decode(text)
            best[at] = min(best[at], perf_counter() - start)
    return best[0] / best[1]


def importing(counter: Counter) -> Iterator[str]:
    """Lines on the import."""
    base = "import asyncio, msgspec"
    ours = f"{base}\nfrom zoho_async import Zoho"
    for program in (base, ours):
        subprocess.run([sys.executable, "-c", program], env=counter.environment, check=True)
    first, second = (counter.total("-c", program) for program in (base, ours))
    yield f"import {(second - first) / 1e6:7.2f} M above {first / 1e6:,.0f} M of asyncio and msgspec"


@contextmanager
def recorded() -> Iterator[Counter]:
    """The recorded responses, and their server."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(record(folder))
        command = [sys.executable, __file__, "--serve", name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield Counter(folder, int(process.stdout.readline()))
            finally:
                process.terminate()


PARTS = {"requests": requests, "decoding": decoding, "import": importing}


def main() -> None:
    """Prints a line for each comparison."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
        return
    if sys.argv[1:2] == ["--run"]:
        case, count, folder, port = sys.argv[2:]
        run(case, int(count), Path(folder), int(port))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"what to count: {', '.join(PARTS)}; all by default")
    given = parser.parse_args()
    print(machine(), flush=True)
    with recorded() as counter:
        for name in given.parts or PARTS:
            for line in PARTS[name](counter):
                print(line, flush=True)


if __name__ == "__main__":
    main()
