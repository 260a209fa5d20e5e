"""The state of `changes`: a small JSON document, and the index of ids."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from zoho_async._atomic_file import atomic_write, remove_leftovers
from zoho_async.bulk.errors import StateError
from zoho_async.bulk.state.owned_file import FileKind, open_owned

from .id_index import IdIndex, SqliteIndex
from .target_lock import TargetLock

VERSION = 1


class ListProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reading of the list that has begun.

    Attributes:
        kind: `changed`: newest changes first, down to the watermark; `whole`: every record.
        page: The next page; 0: all pages of a whole list were read, and missing records are still to be asked for.
        beyond: None unless the last page of a whole list is still looked for. Then a page behind the end, and `page` is
            one that has rows; 0 where none is known.
        top: The watermark when it is done.
        end_known: Whether Zoho reported where the list ends.
    """

    kind: Literal["changed", "whole"]
    page: int
    beyond: int | None = None
    top: str = ""
    end_known: bool = False

    @property
    def is_read(self) -> bool:
        """Whether all pages of a whole list were read."""
        return self.kind == "whole" and not self.page and self.beyond is None


class PullDocument(msgspec.Struct, kw_only=True, rename={"reading": "pass"}):
    """What the next run of `changes` begins with.

    Attributes:
        version: Of its format.
        resource: Product and resource, as `books.contacts`.
        place: API address or data centre.
        organization_id: The organisation.
        index: Token of the index of ids that belongs to it.
        watermark: The newest change that was read, in Zoho's time as UTC; empty at first.
        pending: Records whose details are still to be read.
        generation: Number of the last reading of the whole list.
        swept_at: When it ended, in seconds since 1970; 0 at first.
        uncounted: How many more records were known then than Zoho counted.
        swept: Whether a look for deletes that was asked for has ended in a run that has not.
        reading: A reading that has begun (member `pass`).
    """

    version: int = VERSION
    resource: str
    place: str
    organization_id: str
    index: str
    watermark: str = ""
    pending: int = 0
    generation: int = 0
    swept_at: float = 0
    uncounted: int = 0
    swept: bool = False
    reading: ListProgress | None = None


class PullState(Protocol):
    """Keeps the state of `changes`; see `IdIndex` for what holds before a commit."""

    def open(self) -> bytes | None:
        """The document of the last commit, None at first; StateError when it cannot be used."""
        ...

    @property
    def index(self) -> IdIndex:
        """The index of ids."""
        ...

    def commit(self, document: bytes) -> None:
        """Keeps what the index was given, and then the document.

        Called for every `Changes.commit`, and for each page that had nothing to hand out while nothing is uncommitted.

        Args:
            document: The whole document, as JSON.
        """
        ...

    def close(self) -> None:
        """Closes it."""
        ...


_INDEX_FILE = FileKind(
    application_id=0x5A6F5069,  # "ZoPi"
    version=1,
    subject="the index of ids",
    wrong_kind="is not an index of ids",
    in_use="another run is using this state; wait for it to end, or name another",
    error=StateError,
)


class FileState:
    """A JSON file, and the index in the SQLite file `<name>.ids` of its folder.

    Args:
        path: The JSON file, made for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._lock = TargetLock(self._path, in_use=_INDEX_FILE.in_use, error=StateError)
        self._connection: sqlite3.Connection | None = None

    def open(self) -> bytes | None:
        def prepare(connection: sqlite3.Connection, version: int) -> None:
            SqliteIndex.create(connection)

        self._lock.take()
        try:
            file = self._path.with_name(f"{self._path.name}.ids")
            # A document must never be ahead of its index, after a power cut neither.
            self._connection = open_owned(str(file), _INDEX_FILE, prepare, pragmas=("synchronous = FULL",))
            self._connection.execute("BEGIN IMMEDIATE")
            remove_leftovers(self._path)
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.close()
            raise StateError(f"{self._path}: the state cannot be read: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise

    @property
    def index(self) -> SqliteIndex:
        assert self._connection is not None
        return SqliteIndex(self._connection)

    def commit(self, document: bytes) -> None:
        assert self._connection is not None
        try:
            self.index.confirm()
            # First: a document must never be ahead of its index.
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")
            with atomic_write(self._path, binary=True) as file:
                file.write(document)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{self._path}: the state cannot be written: {error}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()


def read_document(raw: bytes | None, *, resource: str, origin: tuple[str, str], token: str, where: str) -> PullDocument:
    """The document of a state.

    Args:
        raw: As it was kept; None at first.
        resource: Product and resource.
        origin: Place and organisation.
        token: For a new document.
        where: What messages call the state.

    Raises:
        StateError: It is of another resource or organisation, of a newer version, or no such document.
    """
    place, organization_id = origin
    if raw is None:
        return PullDocument(resource=resource, place=place, organization_id=organization_id, index=token)
    try:
        document = msgspec.json.decode(raw, type=PullDocument)
    except msgspec.DecodeError:
        raise StateError(f"{where}: is not a state of pulled changes; name another file") from None
    if document.version > VERSION:
        raise StateError(f"{where}: was written by a newer zoho_async (version {document.version}, known {VERSION})")
    if (document.resource, document.place, document.organization_id) != (resource, place, organization_id):
        raise StateError(
            f"{where}: holds {document.resource} of organisation {document.organization_id} ({document.place}), not "
            f"{resource} of {organization_id} ({place}); name another file"
        )
    return document
