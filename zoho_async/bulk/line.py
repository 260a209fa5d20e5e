"""The line to Zoho that a push works over: counted, patient, and cut when nothing gets through any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Literal, TypeVar

import msgspec

from zoho_async.errors import OutcomeUnknownError, QuotaExceededError, UnavailableError, ZohoError

from .outcomes import PushSummary
from .schedule import Window, sleep_until

T = TypeVar("T")

_UNKNOWN_RESET = timedelta(hours=1)
"""How long to wait for a new day when nobody says when it begins."""
_SAME_MOMENT = timedelta(minutes=1)
"""What is waited for is told in whole seconds, by answers that take some time: so far two of one moment may differ."""


class StoppedError(Exception):
    """The push was asked to end while a call had to wait until it may be made; it was not made."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """How far a push is."""

    stage: Literal["check", "read", "wait"]
    done: int = 0
    """In `check`: rows; in `read`: calls so far."""
    until: datetime | None = None
    """In `wait`: when it goes on."""
    why: str = ""


class Line:
    """Makes the calls of one push."""

    def __init__(
        self,
        summary: PushSummary,
        *,
        patience: int,
        pause: float,
        wait: bool,
        window: Window | None,
        tell: Callable[[Event], None],
    ) -> None:
        """`patience`: so many calls in a row that find the service unavailable end the push."""
        self.summary = summary
        self.pause = pause
        """Seconds before an unknown outcome is looked up."""
        self.stopped = False
        """Whether the push was asked to end gently."""
        self.ended: ZohoError | None = None
        """What ended the push before its time."""
        self.left = False
        """Whether a call was not made because the push was asked to end."""
        self._patience = patience
        self._wait = wait
        self._window = window
        self._tell = tell
        self._sick = 0
        self._told: dict[str, datetime] = {}

    async def read(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that reads."""
        self.summary.reads += 1
        self._tell(Event(stage="read", done=self.summary.reads))
        try:
            return await self.patient(call)
        except StoppedError:
            self.summary.reads -= 1
            raise

    async def patient(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call, once it may be made; a call refused for want of quota is made again when there is some.

        StoppedError when the push is asked to end before the window opens.
        """
        while True:
            await self._open()
            try:
                return await call()
            except QuotaExceededError as error:
                if self._wait and not self.stopped:
                    await self._until(error.resets_at or local_now() + _UNKNOWN_RESET, "the day's calls are used up")
                if not self._wait or self.stopped:
                    raise

    async def _open(self) -> None:
        """Returns when the window is open."""
        while self._window is not None and not self._window.open_at(now := local_now()):
            if self.stopped:
                self.left = True
                raise StoppedError
            await self._until(self._window.next_opening(now), "the window is closed")

    async def _until(self, moment: datetime, why: str) -> None:
        # All calls under way come to wait at once, until about the same moment.
        if why not in self._told or abs(moment - self._told[why]) > _SAME_MOMENT:
            self._told[why] = moment
            self._tell(Event(stage="wait", until=moment, why=why))
        # Asked to stop meanwhile, it must not sleep through the night.
        while not self.stopped and local_now() < moment:
            await sleep_until(min(moment, local_now() + timedelta(seconds=1)), now=local_now)

    def end(self, error: ZohoError) -> None:
        """Nothing more is begun; `error` is raised in the end."""
        self.ended = self.ended or error

    def count_sick(self, error: ZohoError | None) -> None:
        """Ends the run when nothing gets through any more, before every row of a long input has failed."""
        sick = isinstance(error, UnavailableError | OutcomeUnknownError)
        self._sick = self._sick + 1 if sick else 0
        if error is not None and self._sick >= self._patience:
            self.end(error)


def local_now() -> datetime:
    """This machine's clock, with its zone."""
    return datetime.now().astimezone()
