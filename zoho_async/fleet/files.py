"""Limits that all processes of one host share, by one small locked file per organisation."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from zoho_async.errors import ConfigError, UnavailableError
from zoho_async.transport.hooks import Gatekeeper, Limits, Report
from zoho_async.transport.limits import WINDOW
from zoho_async.transport.rate_limiter import ProcessLimiters

from .clocks import boot_id, host_time
from .gatekeeper import SharedGatekeeper
from .holders import Holder
from .limit_record import LimitRecord, Now
from .record_file import RecordFile, read
from .turns import Ask, Turn

log = logging.getLogger("zoho_async")

_FIRST_TRY, _LONGEST_TRY = 0.0005, 0.05
"""Seconds between two tries for the lock, which is held for some 100 microseconds."""
_PROCESSES = "processes"
_STUCK = 30.0
"""Seconds after which a lock counts as held by a process that has stopped."""


class FileLimiters:
    """Limits shared by all processes and restarts on this host that name the same folder.

    For every organisation the folder holds one file: the calls of the last minute, those in flight, pause and day.
    Processes take turns in the order in which they came. The slots of a killed process are free at once; its calls
    count for another minute. That the day is used up is asked of Zoho once by every process: the plan may be another
    one by now. A damaged file holds its organisation for a minute. Times are of the machine's own
    clock, so that a wall clock that is wrong or set changes nothing.

    Where the folder cannot be written, a WARNING says so and the limits are those of this process alone. The folder
    has to lie on a local file system of a POSIX system. One event loop at a time may use the object.

    Args:
        folder: Made, for its owner alone, when it does not exist.
    """

    __slots__ = ("_alone", "_behind", "_boot", "_holder", "_known", "_window", "folder")

    def __init__(self, folder: str | os.PathLike[str], *, _window: float = WINDOW) -> None:
        self.folder = Path(folder)
        self._window = _window
        self._boot = boot_id()
        self._behind = 0.0
        """Seconds by which the clock of another process was seen to be ahead of this one's."""
        self._holder: Holder | None = None
        self._known: dict[tuple[str, ...], Gatekeeper] = {}
        self._alone: ProcessLimiters | None = None

    def __repr__(self) -> str:
        return f"FileLimiters({str(self.folder)!r})"

    def of(self, organization: tuple[str, ...], limits: Limits) -> Gatekeeper:
        """The rate limiter of an organisation; see `Limiters`.

        Args:
            organization: Identifies it: API address or data center, id, and the product if each counts separately.
            limits: Its limits, unless an earlier caller has set others.

        Raises:
            ConfigError: Its file was written by a newer version, or is not a file of limits.
        """
        found = self._known.get(organization)
        if found is None:
            found = self._known[organization] = self._make(organization, limits)
        return found

    def _make(self, organization: tuple[str, ...], limits: Limits) -> Gatekeeper:
        if self._alone is None:
            try:
                holder = self.holder()
                return SharedGatekeeper(_FileBackend(self, holder, self.path(organization), self._window), limits)
            except OSError as error:
                log.warning(
                    "limits folder %s cannot be used (%s): the limits are those of this process alone, and other "
                    "processes are not seen",
                    self.folder,
                    error.strerror,
                )
                self._alone = ProcessLimiters(_window=self._window)
        return self._alone.of(organization, limits)

    def path(self, organization: tuple[str, ...]) -> Path:
        """The file of an organisation.

        Args:
            organization: Identifies it, as in `of`.
        """
        from hashlib import sha256  # a millisecond that `import zoho_async` need not pay

        # Names are for people, the digest for the rest: an address is part of what identifies an organisation.
        name = "-".join("".join(letter for letter in part if letter.isalnum())[-24:] for part in organization[1:])
        digest = sha256("\n".join(organization).encode()).hexdigest()[:8]
        return self.folder / f"{name}-{digest}.limits"

    def holder(self) -> Holder:
        """This process, as others see it."""
        if self._holder is None or self._holder.pid != os.getpid():
            self._holder = Holder(self.folder / _PROCESSES)
        return self._holder

    def now(self, record: LimitRecord | None = None) -> Now:
        """The moment of a decision: not before that of the record, whose process may have another clock.

        Args:
            record: What another process may have written.
        """
        moment = host_time() + self._behind
        if record is not None and record.boot == self._boot != "" and record.time > moment:
            self._behind += record.time - moment
            moment = record.time
        return Now(time=moment, wall=time.time(), boot=self._boot)

    def close(self) -> None:
        """End this process' part: its slots are free. Not needed at the end of a process."""
        if self._holder is not None:
            self._holder.close()
        self._holder = None
        self._known.clear()


class _FileBackend:
    """Implements `Backend` on a file."""

    __slots__ = ("_asked", "_ended", "_holder", "_limiters", "_path", "_ticket", "_timer", "_used", "_window")

    longest_sleep = 1.0

    def __init__(self, limiters: FileLimiters, holder: Holder, path: Path, window: float) -> None:
        self._limiters = limiters
        self._holder = holder
        self._path = path
        self._window = window
        self._asked = False
        """Whether Zoho was asked by this process, so that it believes what others have learnt of the day."""
        self._used = False
        """Whether there was a file before, so that one that is missing has been removed."""
        self._ended: list[tuple[int, Report, Limits]] = []
        """Calls that have ended while another process held the lock."""
        self._ticket = False
        self._timer: asyncio.TimerHandle | None = None
        file = RecordFile.locked(path)  # an OSError here, and not at the first call
        if file is not None:
            with file:
                self._used = True

    # -- Backend

    async def ask(self, ask: Ask) -> Turn:
        pause, waited = _FIRST_TRY, 0.0
        while (file := self._locked()) is None:
            if waited > _STUCK:
                raise UnavailableError(f"limits file {self._path}: another process does not give its lock back")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(_LONGEST_TRY, pause * 2)
        with file:
            record = self._load(file)
            holder, now = self._holder, self._limiters.now()
            turn = record.ask(holder.name, ask, now, holder.alive, self._window, trusts_day=self._asked)
            self._save(file, record)
        self._asked = self._asked or turn.slot is not None
        self._ticket = turn.slot is None or ask.more
        return turn

    def report(self, slot: int, report: Report, limits: Limits) -> None:
        self._ended.append((slot, report, limits))
        self._write_ended()

    def stop_waiting(self) -> None:
        if self._ticket:
            self._ticket = False
            self._write_ended()

    def look(self, limits: Limits) -> Turn | None:
        try:
            record = read(self._path)
        except ConfigError:
            return None
        if record is None or not record.time:
            return None
        record.advance(self._limiters.now(record), self._window)
        return record.look(limits)

    # -- the file

    def _locked(self) -> RecordFile | None:
        """The file, if no other process has it locked."""
        if self._holder.pid != os.getpid():
            # In a fork: the calls in flight are those of the process that it was forked from.
            self._holder, self._ended = self._limiters.holder(), []
        try:
            self._holder.keep()
            return RecordFile.locked(self._path)
        except OSError as error:
            raise ConfigError(f"limits file {self._path}: cannot be opened ({error.strerror})") from None

    def _load(self, file: RecordFile) -> LimitRecord:
        """The record of this moment, with the ends of this process' calls."""
        record = file.load_or_hold(self._limiters.now(), self._window)
        now = self._limiters.now(record)
        if file.made and self._used:
            log.warning("limits file %s was removed: its organisation is held for %.0f s", self._path, self._window)
            record.held_until = now.time + self._window
        self._used = True
        record.advance(now, self._window)
        for slot, report, limits in self._ended:
            record.report(self._holder.name, slot, report, limits, now.time, self._window)
        return record

    def _save(self, file: RecordFile, record: LimitRecord) -> None:
        file.save(record)
        self._ended = []

    def _write_ended(self) -> None:
        """Write the ends of calls and the leaving of the queue, now or when the lock is free.

        Raises nothing: a call that has succeeded must not fail for it, and the next one meets the same error.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with suppress(ConfigError):
            file = self._locked()
            if file is None:
                self._timer = asyncio.get_running_loop().call_later(_LONGEST_TRY / 10, self._write_ended)
                return
            with file:
                record = self._load(file)
                if not self._ticket:
                    record.stop_waiting(self._holder.name)
                self._save(file, record)
