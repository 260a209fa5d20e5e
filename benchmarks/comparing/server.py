"""The server of the comparison: nginx where it is installed, else a raw asyncio protocol in a process of its own.

`/<shape>/books/v3/contacts/<id>` is a contact, `/<shape>/books/v3/contacts` a page of 200 rows. Long lists are always
served by the raw protocol: `/<shape>-<pages>/books/v3/contacts?page=<n>`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import responses

PATH = "/books/v3/contacts"
HEADERS = {
    "x-rate-limit-limit": "10000000",
    "x-rate-limit-remaining": "9000000",
    "x-rate-limit-reset": "40000",
    "Content-Type": "application/json;charset=UTF-8",
}


def with_head(body: bytes) -> bytes:
    """A whole response."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    date = "Date: Sat, 28 Nov 2026 12:00:00 GMT\r\n"
    return f"HTTP/1.1 200 OK\r\n{head}{date}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answers(folder: Path) -> Callable[[bytes], bytes]:
    """From the target of a request to the whole response."""
    page = (folder / "page").read_bytes()
    fixed: dict[bytes, bytes] = {}
    for shape in responses.SHAPES:
        contact = (folder / f"contact-{shape}").read_bytes()
        fixed[f"/{shape}{PATH}/{responses.CONTACT_ID}".encode()] = with_head(contact)
        fixed[f"/{shape}{PATH}".encode()] = with_head(page)

    def answer(target: bytes) -> bytes:
        path, _, query = target.partition(b"?")
        found = fixed.get(path)
        if found is not None:
            return found
        pages = int(path.split(b"/")[1].partition(b"-")[2])
        number = next((int(part[5:]) for part in query.split(b"&") if part.startswith(b"page=")), 1)
        return with_head(responses.page_of(page, number, pages))

    return answer


class RawProtocol(asyncio.Protocol):
    """Answers GET requests with prepared bytes."""

    answer: Callable[[bytes], bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for request in requests:
            self.transport.write(type(self).answer(request.split(b" ", 2)[1]))


async def serve(folder: Path) -> None:
    """Print the port, then answer until the process is ended."""
    RawProtocol.answer = staticmethod(answers(folder))
    server = await asyncio.get_running_loop().create_server(RawProtocol, "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


def nginx_configuration(folder: Path, port: int) -> str:
    """A configuration that serves the recorded responses from files."""
    headers = "".join(
        f'add_header {name} "{value}";\n' for name, value in HEADERS.items() if not name.startswith("Content")
    )
    places = ""
    for shape in responses.SHAPES:
        for path, name in ((f"{PATH}/{responses.CONTACT_ID}", f"contact-{shape}"), (PATH, "page")):
            places += f"location = /{shape}{path} {{ alias {folder / name}; }}\n"
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder belongs to the user who runs this
    return (
        f"{user}daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;\n"
        "events { worker_connections 2048; }\n"
        "http {\naccess_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 1h;\n"
        f'default_type "{HEADERS["Content-Type"]}"; open_file_cache max=16;\n'
        + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi"))
        + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("uwsgi", "scgi"))
        + f"server {{ listen 127.0.0.1:{port} backlog=1024;\n{headers}{places}}}\n}}\n"
    )


class Servers:
    """Addresses of the running servers, and the CPU time that they used.

    Attributes:
        url: Serves contacts and pages.
        rows_url: Serves long lists.
        kind: The server behind `url`, in words.
    """

    def __init__(self, url: str, rows_url: str, kind: str, pids: list[int]) -> None:
        self.url, self.rows_url, self.kind = url, rows_url, kind
        self._pids = pids

    def seconds(self) -> float | None:
        """CPU seconds so far; None where the system does not show them."""
        try:
            texts = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii") for pid in self._pids]
        except OSError:
            return None
        ticks = sum(sum(map(int, text.rpartition(")")[2].split()[11:13])) for text in texts)
        return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Ids of the processes that a process has started."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Servers]:
    """The servers in processes of their own, ended with the context."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "comparing.server", str(folder)]
        raw = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(environment)))
        stack.callback(raw.terminate)
        assert raw.stdout is not None
        rows_url = f"http://127.0.0.1:{json.loads(raw.stdout.readline())['port']}"
        kind = f"a raw {'uvloop' if has_uvloop() else 'asyncio'} protocol of our own"
        url, pids = rows_url, [raw.pid]
        if nginx := shutil.which("nginx"):
            port = free_port()
            configuration = folder / "nginx.conf"
            configuration.write_text(nginx_configuration(folder, port), encoding="utf-8")
            started = stack.enter_context(subprocess.Popen([nginx, "-c", str(configuration), "-p", str(folder)]))
            stack.callback(started.terminate)
            if answering(f"http://127.0.0.1:{port}"):
                url, kind = f"http://127.0.0.1:{port}", "nginx, one worker process"
                pids += [started.pid, *children(started.pid)]
        yield Servers(url, rows_url, kind, pids)


def answering(url: str) -> bool:
    """Whether a server serves the contact within five seconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            with opener.open(f"{url}/{responses.LIVE}{PATH}/{responses.CONTACT_ID}", timeout=5) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError:
            return False
        except OSError:
            time.sleep(0.05)
    return False


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def has_uvloop() -> bool:
    """Whether the faster event loop is installed."""
    try:
        import uvloop
    except ImportError:
        return False
    return bool(uvloop)


def main() -> None:
    """Serve the recorded responses of a folder."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the comparison ends it
    folder = Path(sys.argv[1])
    if has_uvloop():
        import uvloop

        uvloop.run(serve(folder))
    else:
        asyncio.run(serve(folder))


if __name__ == "__main__":
    main()
