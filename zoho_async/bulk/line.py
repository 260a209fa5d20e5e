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
        self._patience = patience
        self._wait = wait
        self._window = window
        self._tell = tell
        self._sick = 0

    async def read(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that reads."""
        self.summary.reads += 1
        self._tell(Event(stage="read", done=self.summary.reads))
        return await self.patient(call)

    async def patient(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call, once it may be made; a call refused for want of quota is made again when there is some."""
        while True:
            if self._window is not None:
                now = local_now()
                if not self._window.open_at(now):
                    await self._until(self._window.next_opening(now), "the window is closed")
            try:
                return await call()
            except QuotaExceededError as error:
                if not self._wait or self.stopped:
                    raise
                await self._until(error.resets_at or local_now() + _UNKNOWN_RESET, "the day's calls are used up")

    async def _until(self, moment: datetime, why: str) -> None:
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
