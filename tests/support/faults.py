"""Faults of files, of SQLite and of sockets: the operation of a number fails."""

from __future__ import annotations

import io
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from zoho_async.bulk.state import owned_file

Layer = Callable[["Faults", pytest.MonkeyPatch, Path, int], None]


class Faults:
    """Counts operations, and fails the one of a number."""

    def __init__(self, fail_at: int) -> None:
        self.fail_at = fail_at
        self.count = 0

    @property
    def failed(self) -> bool:
        return self.count > self.fail_at

    def happens(self) -> bool:
        self.count += 1
        return self.count == self.fail_at + 1


def failing_sqlite(faults: Faults, patch: pytest.MonkeyPatch, folder: Path, port: int, *, after: bool = False) -> None:
    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            return self._perform(super().execute, arguments)

        def executemany(self, *arguments: Any) -> sqlite3.Cursor:
            return self._perform(super().executemany, arguments)

        def _perform(self, call: Callable[..., sqlite3.Cursor], arguments: Sequence[Any]) -> sqlite3.Cursor:
            happens = faults.happens()
            if happens and not after:
                fail()
            cursor = call(*arguments)
            if happens:
                # An open cursor would keep its connection open.
                cursor.close()
                fail()
            return cursor

    class Module:
        Error, OperationalError, DatabaseError = sqlite3.Error, sqlite3.OperationalError, sqlite3.DatabaseError

        @staticmethod
        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            return sqlite3.connect(*arguments, factory=Connection, **options)

    patch.setattr(owned_file, "sqlite3", Module)


def failing_sqlite_after(faults: Faults, patch: pytest.MonkeyPatch, folder: Path, port: int) -> None:
    failing_sqlite(faults, patch, folder, port, after=True)


def failing_files(faults: Faults, patch: pytest.MonkeyPatch, folder: Path, port: int) -> None:
    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def performed(*arguments: Any, **options: Any) -> Any:
            ours = isinstance(arguments[0], int) or str(arguments[0]).startswith(str(folder))
            if ours and faults.happens():
                raise OSError(5, "Input/output error")
            return call(*arguments, **options)

        return performed

    for name in ("open", "link", "fsync", "replace", "rename", "unlink", "stat", "lstat", "fstat", "dup", "mkdir"):
        patch.setattr(os, name, failing(getattr(os, name)))
    patch.setattr(io, "open", failing(io.open))


def failing_sockets(faults: Faults, patch: pytest.MonkeyPatch, folder: Path, port: int, *, after: bool = False) -> None:
    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def performed(self: socket.socket, *arguments: Any) -> Any:
            happens = is_of_client(self, arguments, port) and faults.happens()
            if happens and not after:
                raise ConnectionResetError(104, "Connection reset by peer")
            done = call(self, *arguments)
            if happens:
                raise ConnectionResetError(104, "Connection reset by peer")
            return done

        return performed

    for name in ("connect", "send", "recv", "sendmsg"):
        patch.setattr(socket.socket, name, failing(getattr(socket.socket, name)), raising=True)


def failing_sockets_after(faults: Faults, patch: pytest.MonkeyPatch, folder: Path, port: int) -> None:
    failing_sockets(faults, patch, folder, port, after=True)


def is_of_client(one: socket.socket, arguments: Sequence[Any], port: int) -> bool:
    try:
        peer = one.getpeername()
    except OSError:
        peer = arguments[0] if arguments else None
    return isinstance(peer, tuple) and peer[1] == port


LAYERS: list[Layer] = [failing_sqlite, failing_sqlite_after, failing_files, failing_sockets, failing_sockets_after]


@contextmanager
def faults_in(layer: Layer, number: int, folder: Path, port: int) -> Iterator[Faults]:
    faults = Faults(number)
    with pytest.MonkeyPatch.context() as patch:
        layer(faults, patch, folder, port)
        yield faults
