"""Token stores: in memory, or in a file that processes share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import IO, TYPE_CHECKING, Protocol

import msgspec

from zoho_async.errors import ConfigError

from .loop_lock import LoopLock

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = 1


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token. Its value is in no repr."""

    value: str
    expires_at: float | None = None
    """Unix time; None: unknown."""
    lifetime: float | None = None
    """Seconds from its issue to `expires_at`; None: unknown."""
    api_url: str | None = None
    """The API address of the token response, when it is one of Zoho's hosts."""
    unknown_api_url: str = ""
    """The API address of the token response, when it is none of Zoho's known hosts."""
    scopes: tuple[str, ...] = ()
    """Its scopes, when the token response named them."""

    def __repr__(self) -> str:
        return f"Token(***, expires_at={self.expires_at})"


class Stored(msgspec.Struct, kw_only=True):
    """What a token store holds."""

    client: str = ""
    """Hash of the credentials that the rest belongs to."""
    token: Token | None = None
    refresh_token: str = ""
    """Only a refresh token obtained for a grant code, which is kept nowhere else."""
    requests: tuple[float, ...] = ()
    """Unix times of the last token requests."""
    denied_at: float | None = None
    """Unix time of the last refusal for too many token requests."""

    def __repr__(self) -> str:
        return f"Stored(token={self.token!r}, requests={self.requests})"


def client_digest(client_id: str, refresh_token: str) -> str:
    """A hash that identifies a client without revealing its credentials."""
    import hashlib  # 1 ms that `import zoho_async` need not pay

    return hashlib.sha256(f"{client_id}\n{refresh_token}".encode()).hexdigest()[:16]


class TokenStore(Protocol):
    """Keeps tokens between refreshes, and allows one refresh at a time.

    Any object with these methods can be the `store` of an `OAuth`.
    """

    async def load(self) -> Stored:
        """Return what was saved last; an empty `Stored` at first."""
        ...

    async def save(self, stored: Stored) -> None:
        """Replace what is stored.

        Args:
            stored: The new content.
        """
        ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """A lock that is held during a refresh, by all processes that share the store."""
        ...


class MemoryStore:
    """A token store in the memory of this process."""

    __slots__ = ("_lock", "_stored")

    def __init__(self) -> None:
        self._stored = Stored()
        self._lock = LoopLock()

    async def load(self) -> Stored:
        """Return what was saved last."""
        return self._stored

    async def save(self, stored: Stored) -> None:
        """Replace what is stored.

        Args:
            stored: The new content.
        """
        self._stored = stored

    def lock(self) -> AbstractAsyncContextManager[object]:
        """A lock that is held during a refresh."""
        return self._lock


class _File(msgspec.Struct, kw_only=True):
    version: int
    stored: Stored


class FileStore:
    """A token store in a file of mode 600, shared by all processes that name the same file.

    One process refreshes at a time and the others use its token. The lock is the operating system's, so that a killed
    process releases it; it needs a POSIX system. An unreadable or older content counts as empty and costs one refresh.
    Its methods raise ConfigError when the file is readable by others, is of a newer version of zoho_async, or cannot
    be read or written.

    Args:
        path: The file. A missing one is created, together with its folder.
    """

    __slots__ = ("_held", "_lock", "path")

    POLL = 0.05
    """Seconds between two attempts to lock. Polling can be cancelled; a blocking lock in a thread cannot."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from pathlib import Path  # 4 ms that `import zoho_async` need not pay

        self.path: Path = Path(path)
        self._lock = LoopLock()
        self._held: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"FileStore({str(self.path)!r})"

    async def load(self) -> Stored:
        """Return what was saved last; an empty `Stored` when the file is missing.

        Raises:
            ConfigError: Others can read the file, it is of a newer version, or it cannot be read.
        """
        # A few hundred bytes: reading them is faster than starting a thread.
        try:
            # A named pipe would block.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                mode = os.fstat(descriptor).st_mode
                if mode & 0o077:
                    raise ConfigError(
                        f"token file {self.path}: other users can access it (mode {mode & 0o777:o}); "
                        f"run: chmod 600 {self.path}"
                    )
                content = b"".join(iter(lambda: os.read(descriptor, 65536), b""))
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return Stored()
        except OSError as error:
            raise ConfigError(f"token file {self.path}: cannot be read ({error.strerror})") from None
        return self._read(content)

    def _read(self, content: bytes) -> Stored:
        try:
            version = msgspec.json.decode(content, type=dict[str, msgspec.Raw]).get("version")
            number = msgspec.json.decode(version, type=int) if version is not None else 0
        except (msgspec.MsgspecError, ValueError):
            return Stored()
        if number > _VERSION:
            raise ConfigError(
                f"token file {self.path}: was written by a newer zoho_async; upgrade it or name another file"
            )
        try:
            return msgspec.json.decode(content, type=_File).stored
        except (msgspec.MsgspecError, ValueError):
            return Stored()

    async def save(self, stored: Stored) -> None:
        """Replace the file atomically.

        Args:
            stored: The new content.

        Raises:
            ConfigError: The file cannot be written.
        """
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
            if self._held is not None:
                self._held.close()  # of an event loop that stopped without releasing it
            # Closing it releases the lock, and closing it twice is harmless.
            with os.fdopen(descriptor, "wb") as file:
                self._held = file
                while True:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(self.POLL)
                yield

    def lock(self) -> AbstractAsyncContextManager[object]:
        """A lock that is held during a refresh, by all processes that use the file.

        Raises:
            ConfigError: The lock file beside it cannot be created.
        """
        return self._locked()
