"""The encoding of a text file: recognised by its byte order mark, and checked from beginning to end."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from zoho_async.bulk.errors import InputError

_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16"}
_UNDECODED = {"utf-8": "surrogateescape", "utf-8-sig": "surrogateescape", "utf-16": "surrogatepass"}
"""Error handlers that decode what is invalid to lone surrogates, so that its line can be named."""
_ZERO = "a zero byte"
_WITHOUT_ZEROS = "remove the zero bytes (a file in UTF-16 needs a byte order mark, or is saved as UTF-8)"
_CHUNK = 1 << 20
_NAMED = 5
"""Lines that a message names."""


def encoding_of(start: bytes) -> str:
    """The encoding that a file's first bytes name: UTF-8 unless a byte order mark says UTF-16."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"


def check_text(path: Path, encoding: str) -> None:
    """Raises InputError, naming the first lines, unless all of a file is text in its encoding."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            while chunk := file.read(_CHUNK):
                if "\0" in chunk:
                    break
            else:
                return
    except UnicodeError:
        pass
    reason = _explained(path, encoding)
    advice = _WITHOUT_ZEROS if _ZERO in reason else "save it as UTF-8"
    raise InputError(f"{path}: {reason}: {advice} and try again")


def _explained(path: Path, encoding: str) -> str:
    name = _NAMES[encoding]
    numbers: list[int] = []
    first, others = "", 0
    try:
        for number, line in _invalid(path, encoding):
            first = first or _first_invalid(line, encoding)
            if len(numbers) < _NAMED:
                numbers.append(number)
            else:
                others += 1
    except UnicodeError:
        # UTF-16 that ends in the middle of a character has no line to name.
        if not numbers:
            return f"is not valid {name}, a byte is missing or too many"
    lines = f"line{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    more = f" and {others:,} more" if others else ""
    return f"{lines}{more} cannot be read as {name} ({first})"


def _invalid(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    with path.open(encoding=encoding, errors=_UNDECODED[encoding], newline="") as file:
        for number, line in enumerate(file, 1):
            if "\0" in line or not _is_text(line):
                yield number, line


def _is_text(line: str) -> bool:
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_invalid(line: str, encoding: str) -> str:
    code = next(ord(one) for one in line if one == "\0" or "\ud800" <= one <= "\udfff")
    if not code:
        return _ZERO
    return f"0x{code:04X}" if encoding == "utf-16" else f"byte 0x{code - 0xDC00:02X}"
