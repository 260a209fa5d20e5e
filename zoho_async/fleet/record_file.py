"""A limit record in a file that processes of one host lock, read and write.

The file has two areas of which each write takes the older one, so that a process killed in the middle of a write
leaves the other one whole. Its first bytes name the format; a checksum tells a whole record from a torn one.
"""

from __future__ import annotations

import logging
import os
from binascii import crc32
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Self

import msgspec

from zoho_async.errors import ConfigError

from .limit_record import LimitRecord, Now

log = logging.getLogger("zoho_async")

_AREA = 1 << 18
_SIZE = 2 * _AREA
_FORMAT = b"zohoLim"
_VERSION = b"1"
_HEADER = Struct("<8sQII")
"""Format and version, number of the write, length and checksum of the record."""


class RecordFile:
    """One organisation's file, open and locked: `with RecordFile.locked(path) as file`."""

    __slots__ = ("_descriptor", "_number", "made", "path")

    def __init__(self, path: Path, descriptor: int, made: bool) -> None:
        self.path = path
        self.made = made
        """Whether there was no such file before."""
        self._number = 0
        self._descriptor = descriptor

    @classmethod
    def locked(cls, path: Path) -> RecordFile | None:
        """Open and lock a file, made if there is none; None when another process has the lock.

        Raises:
            OSError: It cannot be opened.
        """
        import fcntl

        made = False
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                _create(path)
                made = True
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor, made)
            os.close(descriptor)  # removed meanwhile: other processes use another

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)  # gives the lock back

    def load(self) -> LimitRecord | None:
        """The record; None when the file is damaged.

        Raises:
            ConfigError: The file was written by a newer version.
        """
        found = _load(self._descriptor, self.path)
        if found is None:
            return None
        self._number, record = found
        return record

    def save(self, record: LimitRecord) -> None:
        """Write the record in place of the older of the two records.

        Raises:
            ConfigError: The file cannot be written.
        """
        number = self._number + 1
        content = _encode(number, record)
        if len(content) > _AREA:
            raise ConfigError(f"limits file {self.path}: has no room for so many calls in flight and within a minute")
        try:
            if os.fstat(self._descriptor).st_size != _SIZE:
                os.ftruncate(self._descriptor, _SIZE)
            written = os.pwrite(self._descriptor, content, 0 if number % 2 else _AREA)
        except OSError as error:
            raise ConfigError(f"limits file {self.path}: cannot be written ({error.strerror})") from None
        if written != len(content):
            raise ConfigError(f"limits file {self.path}: cannot be written (no space left)")
        self._number = number

    def load_or_hold(self, now: Now, window: float) -> LimitRecord:
        """The record; of a damaged file one that lets no call start for a window."""
        record = self.load()
        if record is None:
            log.warning("limits file %s is damaged: its organisation is held for %.0f s", self.path, window)
            return LimitRecord.unknown(now, window)
        if not record.boot and not record.time:
            return LimitRecord(now.boot, now.time, now.wall)
        return record


def read(path: Path) -> LimitRecord | None:
    """The record as it is now, read without the lock; None when there is none.

    Raises:
        ConfigError: The file was written by a newer version.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = _load(descriptor, path)
    finally:
        os.close(descriptor)
    return None if found is None else found[1]


def _load(descriptor: int, path: Path) -> tuple[int, LimitRecord] | None:
    """The newer whole record, and the number of its write."""
    if os.fstat(descriptor).st_size != _SIZE:
        return None
    headers = [os.pread(descriptor, _HEADER.size, area) for area in (0, _AREA)]
    found = [(*_HEADER.unpack(header), area) for header, area in zip(headers, (0, _AREA), strict=True)]
    for name, number, length, checksum, area in sorted(found, key=lambda one: -one[1]):
        if name[:7] == _FORMAT and name[7:] > _VERSION:
            raise ConfigError(f"limits file {path}: was written by a newer zoho_async; name another folder")
        if name != _FORMAT + _VERSION or length > _AREA - _HEADER.size:
            continue
        content = os.pread(descriptor, length, area + _HEADER.size)
        if len(content) != length or crc32(content, number & 0xFFFFFFFF) != checksum:
            continue
        with suppress(msgspec.MsgspecError):
            return number, msgspec.msgpack.decode(content, type=LimitRecord)
    return None


def _create(path: Path) -> None:
    """Make an empty file appear whole, or not at all: one of 0 bytes counts as damaged."""
    part = path.with_name(f"{path.name}.{os.getpid()}.new")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, _encode(1, LimitRecord("", 0.0, 0.0)), 0)
        os.ftruncate(descriptor, _SIZE)
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)


def _encode(number: int, record: LimitRecord) -> bytes:
    content = msgspec.msgpack.encode(record)
    return _HEADER.pack(_FORMAT + _VERSION, number, len(content), crc32(content, number & 0xFFFFFFFF)) + content
