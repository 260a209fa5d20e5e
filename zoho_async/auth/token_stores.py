"""Where tokens are kept: in memory, or in a file that processes share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec

from zoho_async.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = 1


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token and what belongs to it. Its value is in no repr."""

    value: str
    expires_at: float | None = None
    """Unix time; None: not known to end."""
    api_url: str | None = None
    """Where it is good for, when Zoho said so and the host is one of Zoho's."""
    scopes: tuple[str, ...] = ()
    """What it may be used for, when Zoho said so."""

    def __repr__(self) -> str:
        return f"Token(***, expires_at={self.expires_at})"


class Stored(msgspec.Struct, kw_only=True):
    """What a store keeps: the current token and when tokens were asked for (unix times)."""

    client: str = ""
    """Digest of the credentials the rest belongs to."""
    token: Token | None = None
    refresh_token: str = ""
    """Only when it came from a grant code, so that nobody else has it."""
    requests: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return f"Stored(token={self.token!r}, requests={self.requests})"


def client_digest(client_id: str, refresh_token: str) -> str:
    """What tells two clients apart, in a store or by the name of one, without giving either away."""
    import hashlib  # a millisecond that `import zoho_async` need not pay

    return hashlib.sha256(f"{client_id}\n{refresh_token}".encode()).hexdigest()[:16]


class TokenStore(Protocol):
    """Where tokens are kept between refreshes, and the lock that lets one refresh happen at a time."""

    async def load(self) -> Stored:
        """What was saved last; an empty `Stored` when nothing was."""
        ...

    async def save(self, stored: Stored) -> None:
        """Keep it in place of what was there."""
        ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held while a token is being refreshed, across everything that shares the store."""
        ...


class MemoryStore:
    """Tokens of this process only."""

    __slots__ = ("_lock", "_stored")

    def __init__(self) -> None:
        self._stored = Stored()
        self._lock = asyncio.Lock()

    async def load(self) -> Stored:
        return self._stored

    async def save(self, stored: Stored) -> None:
        self._stored = stored

    def lock(self) -> AbstractAsyncContextManager[object]:
        return self._lock


class _File(msgspec.Struct, kw_only=True):
    version: int
    stored: Stored


class FileStore:
    """Tokens in a file that only its owner may read, shared by every process that names the same file.

    One process at a time refreshes; the others take what it got. The lock is the system's, so a killed process
    leaves none behind; it needs a POSIX system. Raises ConfigError for a file others can read, one of a newer
    version, or one that cannot be read or written; a torn or older file counts as empty and costs one refresh.
    """

    __slots__ = ("_lock", "path")

    POLL = 0.05
    """Seconds between two tries for the lock: a wait that can be cancelled, which a blocking one in a thread cannot."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from pathlib import Path  # four milliseconds that `import zoho_async` need not pay

        self.path: Path = Path(path)
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"FileStore({str(self.path)!r})"

    async def load(self) -> Stored:
        # A file of a few hundred bytes: reading it takes less than handing it to a thread.
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Stored()
        except OSError as error:
            raise ConfigError(f"token file {self.path}: cannot be read ({error.strerror})") from None
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise ConfigError(
                    f"token file {self.path}: others can read it (mode {mode & 0o777:o}); make it yours alone: "
                    f"chmod 600 {self.path}"
                )
            content = file.read()
        return self._read(content)

    def _read(self, content: bytes) -> Stored:
        try:
            version = msgspec.json.decode(content, type=dict[str, msgspec.Raw]).get("version")
            number = msgspec.json.decode(version, type=int) if version is not None else 0
        except (msgspec.MsgspecError, ValueError):
            return Stored()
        if number > _VERSION:
            raise ConfigError(f"token file {self.path}: was written by a newer zoho_async; name another file")
        try:
            return msgspec.json.decode(content, type=_File).stored
        except (msgspec.MsgspecError, ValueError):
            return Stored()

    async def save(self, stored: Stored) -> None:
        content = msgspec.json.encode(_File(version=_VERSION, stored=stored))
        # Imported late, like pathlib.
        from zoho_async._atomic_file import OWNER_ONLY, atomic_write

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path, mode=OWNER_ONLY, binary=True) as file:
                file.write(content)
        except OSError as error:
            raise ConfigError(f"token file {self.path}: cannot be written ({error.strerror})") from None

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[None, None]:
        import fcntl

        async with self._lock:
            name = self.path.with_name(f"{self.path.name}.lock")
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise ConfigError(f"token file {self.path}: cannot be locked ({error.strerror})") from None
            try:
                while True:
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(self.POLL)
                yield
            finally:
                os.close(descriptor)  # gives the lock back

    def lock(self) -> AbstractAsyncContextManager[object]:
        return self._locked()
