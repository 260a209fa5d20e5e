"""A machine that loses its power: of every file only what was synced is left, of a folder only its synced entries.

SQLite syncs in C, so its syncs follow here from its settings, as `strace` shows them: with `synchronous = FULL` every
transaction syncs the log, and the log's first sync the folder; with NORMAL checkpoints alone do.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import pytest

from zoho_async.bulk.state import owned_file

_FULL = 2


class Machine:
    """One machine: its power fails at the operation `fails_at` on a file, on SQLite or on a socket of the client.

    Args:
        folder: Its files.
        port: Of the server, which goes on.
        fails_at: Number of the operation, from 0.
    """

    def __init__(self, folder: Path, port: int, fails_at: int) -> None:
        self.folder = folder
        self.port = port
        self.fails_at = fails_at
        self.count = 0
        self._contents: dict[int, bytes] = {}
        """By inode."""
        self._entries: dict[str, int] = {}
        self.sync_folder()
        for path in folder.iterdir():
            self.sync(path)

    @property
    def is_off(self) -> bool:
        return self.count > self.fails_at

    def has_power(self) -> bool:
        """Counts an operation; whether it happens."""
        self.count += 1
        return not self.is_off

    def sync(self, path: Path) -> None:
        if path.exists() and not self.is_off:
            self._contents[path.stat().st_ino] = path.read_bytes()

    def sync_folder(self) -> None:
        if not self.is_off:
            self._entries = {path.name: path.stat().st_ino for path in self.folder.iterdir()}

    def disk(self, folder: Path) -> None:
        """Makes a folder of what is on the disk."""
        folder.mkdir()
        for name, inode in self._entries.items():
            (folder / name).write_bytes(self._contents.get(inode, b""))

    def run(self, patch: pytest.MonkeyPatch) -> None:
        """Everything until the end of `patch` happens on this machine."""
        self._run_sqlite(patch)
        self._run_files(patch)
        self._run_sockets(patch)

    def _run_sqlite(self, patch: pytest.MonkeyPatch) -> None:
        machine = self

        class Connection(sqlite3.Connection):
            path: Path

            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                return self._perform(super().execute, arguments)

            def executemany(self, *arguments: Any) -> sqlite3.Cursor:
                return self._perform(super().executemany, arguments)

            def _perform(self, call: Callable[..., sqlite3.Cursor], arguments: Sequence[Any]) -> sqlite3.Cursor:
                if not machine.has_power():
                    raise sqlite3.OperationalError("no power")
                cursor = call(*arguments)
                if not self.in_transaction:
                    (level,) = super().execute("PRAGMA synchronous").fetchone()
                    if level >= _FULL or "checkpoint" in arguments[0]:
                        self._sync()
                return cursor

            def close(self) -> None:
                super().close()
                # Which has put the log into the file.
                machine.sync(self.path)

            def _sync(self) -> None:
                for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
                    is_new = path.exists() and path.stat().st_ino not in machine._contents
                    machine.sync(path)
                    if is_new:
                        machine.sync_folder()

        class Module:
            Error, OperationalError, DatabaseError = sqlite3.Error, sqlite3.OperationalError, sqlite3.DatabaseError

            @staticmethod
            def connect(file: str, **options: Any) -> sqlite3.Connection:
                connection: Connection = sqlite3.connect(file, factory=Connection, **options)
                connection.path = Path(file)
                return connection

        patch.setattr(owned_file, "sqlite3", Module)

    def _run_files(self, patch: pytest.MonkeyPatch) -> None:
        fsync = os.fsync

        def synced(descriptor: int) -> None:
            self._require_power()
            fsync(descriptor)
            if S_ISDIR(os.fstat(descriptor).st_mode):
                self.sync_folder()
                return
            inode = os.fstat(descriptor).st_ino
            for path in self.folder.iterdir():
                if path.stat().st_ino == inode:
                    self.sync(path)

        def powered(call: Callable[..., Any]) -> Callable[..., Any]:
            def performed(*arguments: Any, **options: Any) -> Any:
                if str(arguments[0]).startswith(str(self.folder)):
                    self._require_power()
                return call(*arguments, **options)

            return performed

        patch.setattr(os, "fsync", synced)
        for name in ("open", "link", "replace", "rename", "unlink"):
            patch.setattr(os, name, powered(getattr(os, name)))

    def _run_sockets(self, patch: pytest.MonkeyPatch) -> None:
        def powered(call: Callable[..., Any]) -> Callable[..., Any]:
            def performed(one: socket.socket, *arguments: Any) -> Any:
                if self._is_client(one, arguments) and not self.has_power():
                    raise ConnectionResetError(104, "no power")
                return call(one, *arguments)

            return performed

        for name in ("connect", "send", "recv", "sendmsg"):
            patch.setattr(socket.socket, name, powered(getattr(socket.socket, name)))

    def _require_power(self) -> None:
        if not self.has_power():
            raise OSError(5, "no power")

    def _is_client(self, one: socket.socket, arguments: Sequence[Any]) -> bool:
        try:
            peer = one.getpeername()
        except OSError:
            peer = arguments[0] if arguments else None
        return isinstance(peer, tuple) and peer[1] == self.port
