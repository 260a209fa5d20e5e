"""The bytes of an input, however they are kept: in a file, compressed, or in memory."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, cast

import msgspec

from zoho_async.bulk.errors import InputError

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds. It can be opened as often as wanted."""

    path: Path
    """The file; of standard input, the name that stands for it."""
    data: bytes | None = None
    """What standard input gave; None for a file."""
    compressed: bool = False

    @classmethod
    def of(cls, path: Path, data: bytes | None = None) -> Content:
        """The content of a file, or `data`; gzip is recognised by its first bytes and checked to its end.

        Raises:
            InputError: The file cannot be read, or its compression is damaged.
        """
        plain = cls(path=path, data=data)
        if plain.start(2) != GZIP:
            return plain
        found = cls(path=path, data=data, compressed=True)
        try:
            with found.open() as file:
                while file.read(_CHUNK):
                    pass
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path}: its gzip compression is damaged ({error}); get the file again") from None
        if found.start(2) == GZIP:
            raise InputError(f"{path}: is compressed twice; decompress it once and try again")
        return found

    def open(self) -> IO[bytes]:
        """The bytes, decompressed."""
        if self.compressed:
            # By name: of an open file it closes only itself.
            return cast("IO[bytes]", gzip.open(self.path if self.data is None else io.BytesIO(self.data), "rb"))
        return self.path.open("rb") if self.data is None else io.BytesIO(self.data)

    def start(self, size: int) -> bytes:
        """The first bytes.

        Raises:
            InputError: The file cannot be read.
        """
        try:
            with self.open() as file:
                return file.read(size)
        except FileNotFoundError:
            raise InputError(f"{self.path}: there is no such file") from None
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def text(self, encoding: str, *, errors: str = "strict", newline: str | None = "") -> io.TextIOWrapper:
        """The text in an encoding."""
        return io.TextIOWrapper(self.open(), encoding=encoding, errors=errors, newline=newline)

    @property
    def suffix(self) -> str:
        """The ending of the file's name that says its format."""
        suffixes = [one.lower() for one in self.path.suffixes]
        if suffixes and suffixes[-1] in (".gz", ".gzip"):
            suffixes.pop()
        return suffixes[-1] if suffixes else ""
