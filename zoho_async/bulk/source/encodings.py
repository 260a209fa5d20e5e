"""The encoding of a text file: named, or recognised by its byte order mark, and checked from beginning to end."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from zoho_async.bulk.errors import InputError, printable

from .content import Content
from .text import excerpt

_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}
_CHUNK = 1 << 20
_NAMED = 5
"""Lines that a message names."""
_SAMPLE = 1 << 16

_WESTERN = frozenset("äöüßÄÖÜéèêëàâáãåçñíìîïóòôõøúùûæœÅÆØÉÈÀÇÑÓ€£§°´’‘“”–…«»®©")
_CENTRAL = _WESTERN | frozenset("ąćęłńśźżĄĆĘŁŃŚŹŻčďěňřšťůýžČĎĚŇŘŠŤŮÝŽőűŐŰăâîșțĂȘȚđĐ")
_CYRILLIC = frozenset(map(chr, range(0x410, 0x450))) | frozenset("ёЁіїєґІЇЄҐў№«»–—")
_GUESSES: tuple[tuple[str, frozenset[str] | None], ...] = (
    ("cp1252", _WESTERN),
    ("cp850", _WESTERN),
    ("mac_roman", _WESTERN),
    ("cp1250", _CENTRAL),
)
"""Encodings to guess, and the letters that are common in them."""
_OTHER_GUESSES: tuple[tuple[str, frozenset[str] | None], ...] = (
    ("cp1251", _CYRILLIC),
    ("shift_jis", None),
    ("gb18030", None),
    ("big5", None),
    ("euc_kr", None),
)
"""The same where several such letters stand side by side; None: letters of East Asia."""
_RUN = re.compile(rb"[\x80-\xff]{3,}")


def encoding_of(start: bytes, named: str | None = None) -> str:
    """The encoding of a file by its first bytes and the name that was given.

    A byte order mark counts before the name. Without both it is UTF-8.

    Raises:
        InputError: There is no encoding of that name.
    """
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if named is None:
        return "utf-8"
    try:
        found = codecs.lookup(named)
        "".encode(found.name)
    except (LookupError, ValueError):
        raise InputError(
            f"there is no encoding `{printable(named, 100)}`; for example utf-8, cp1252, cp1250, mac_roman, shift_jis"
        ) from None
    return found.name


def check_text(content: Content, encoding: str) -> None:
    """Raises InputError, naming the first lines and a guess, unless all of a file is text in its encoding."""
    try:
        with content.text(encoding) as file:
            while chunk := file.read(_CHUNK):
                if "\0" in chunk:
                    break
            else:
                return
    except UnicodeError:
        pass
    raise InputError(f"{content.path}: {_explained(content, encoding)}: {_remedy(content, encoding)}")


def _remedy(content: Content, encoding: str) -> str:
    line = _first_bytes(content)
    guess = _guess(content, line, encoding)
    if not guess:
        return "save it as UTF-8 and try again, or name its encoding with --encoding NAME"
    shown = f" (it then reads {excerpt(printable(_around(line.decode(guess)), 60), 60)})" if b"\0" not in line else ""
    return f"save it as UTF-8 and try again, or name its encoding: --encoding {guess}{shown}, if that is right"


def _around(text: str) -> str:
    """The first word of a line that is not ASCII."""
    words = [word for word in text.replace(";", ",").replace("\t", ",").split(",") if not word.isascii()]
    return (words or [text])[0].strip().strip('"')


def _first_bytes(content: Content) -> bytes:
    """The first line that is not ASCII."""
    with content.open() as file:
        for line in file:
            if not line.isascii() or b"\0" in line:
                return line.rstrip(b"\r\n")[:1000]
    return b""


def _guess(content: Content, line: bytes, encoding: str) -> str:
    """The encoding that the bytes look like; empty when none does."""
    with content.open() as file:
        sample = file.read(_SAMPLE)
    zeros = sample.count(0)
    if zeros:
        # Text in Latin letters has a zero byte in every pair.
        first, second = sample[::2].count(0), sample[1::2].count(0)
        if zeros < len(sample) // 4 or not min(first, second) <= zeros // 20:
            return ""
        return "utf-16-be" if first > second else "utf-16-le"
    best, most = "", 0.5
    guesses = _OTHER_GUESSES if (run := _RUN.search(line)) else _GUESSES
    if run and 2 * sum(byte >= 0xE0 for byte in run[0]) < len(run[0]):
        # Small Cyrillic letters are the last in their code page.
        guesses = guesses[1:]
    for name, common in guesses:
        if name == encoding:
            continue
        try:
            text = line.decode(name)
        except UnicodeDecodeError:
            continue
        foreign = [one for one in text if not one.isascii()]
        wanted = [one for one in foreign if (one in common if common is not None else _is_east_asian(one))]
        score = len(wanted) / len(foreign) if foreign else 0.0
        if score > most:
            best, most = name, score
    return best


def _is_east_asian(one: str) -> bool:
    return "\u3040" <= one <= "\u30ff" or "\u4e00" <= one <= "\u9fff" or "\uac00" <= one <= "\ud7a3"


def _explained(content: Content, encoding: str) -> str:
    name = _NAMES.get(encoding, encoding)
    numbers: list[int] = []
    first, others = "", 0
    try:
        for number, line in _invalid(content, encoding):
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


def _invalid(content: Content, encoding: str) -> Iterator[tuple[int, str]]:
    # What is invalid becomes a lone surrogate, so that its line can be named.
    errors = "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    with content.text(encoding, errors=errors) as file:
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
        return "a zero byte"
    return f"0x{code:04X}" if encoding.startswith(("utf-16", "utf-32")) else f"byte 0x{code - 0xDC00:02X}"
