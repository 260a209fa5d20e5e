"""Faults that a test orders: by script, one a request, or by probability."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Iterable
from typing import Literal

import msgspec

FaultKind = Literal["pass", "refuse", "reset", "torn", "stall", "latency", "drip", "gzip", "html", "status"]

_FAULT = re.compile(
    r"(?P<plain>pass|refuse|gzip)|(?P<slow>latency|drip):(?P<seconds>\d{1,5}(\.\d{1,6})?)"
    r"|(?P<reset>reset)_(?P<when>before|after)|(?P<torn>torn)|(?P<stall>stall)(?P<stalled>_after)?"
    r"|(?P<html>html)(:(?P<html_status>[1-5]\d\d))?(?P<html_after>_after)?"
    r"|status:(?P<status>[2-5]\d\d)(?P<status_after>_after)?|(?P<limit>429):(?P<code>\d{1,7})(:(?P<retry>\d{1,7}))?"
)


FAULT_WORDS = (
    "pass, refuse, gzip, latency:SECONDS, drip:SECONDS, reset_before, reset_after, torn, stall, stall_after, html, "
    "html:STATUS, html_after, html:STATUS_after, status:STATUS, status:STATUS_after, 429:CODE and 429:CODE:SECONDS"
)
"""The forms of `Fault.parse`, for people."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of one request."""

    kind: FaultKind
    """What goes wrong; see `parse`."""
    after: bool = False
    """Whether the request is executed first and only its response fails."""
    status: int = 200
    """HTTP status of the response that replaces the true one."""
    code: int | None = None
    """Zoho's code in the body; None: 1000."""
    retry_after: int | None = None
    """Seconds in the header `Retry-After`; None: no header."""
    seconds: float = 0.0
    """Duration of a latency or a drip."""

    @property
    def cuts(self) -> bool:
        """Whether the connection ends before the response is complete."""
        return self.kind in ("refuse", "reset", "torn", "stall")

    @property
    def refuses(self) -> bool:
        """Whether the request is not executed."""
        return self.kind not in ("pass", "latency", "drip", "gzip") and not self.after

    @property
    def replaces(self) -> bool:
        """Whether the response differs from what was executed."""
        return self.kind in ("html", "status")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the short form of a fault.

        Args:
            text: One of `pass` (no fault for one request), `refuse` (connection reset before anything is read),
                `latency:0.5` (executed, the response half a second later), `drip:2` (the response in pieces over two
                seconds), `gzip` (the response compressed, unasked), `reset_before`, `reset_after`, `torn` (executed,
                half a response), `stall`, `stall_after` (executed, no response), `html`, `html:502`, `html_after`,
                `html:502_after`, `status:503`, `status:503_after`, `429:44`, `429:44:1800` (with Retry-After),
                `429:45`, `429:1070`. `_after`: the request is executed first.

        Returns:
            The fault.

        Raises:
            ValueError: The text is none of these.
        """
        found = _FAULT.fullmatch(text)
        if found is None:
            raise ValueError(f"not a fault: {text!r}; possible are {FAULT_WORDS}")
        if found["reset"]:
            return cls(kind="reset", after=found["when"] == "after")
        if found["torn"]:
            return cls(kind="torn", after=True)
        if found["stall"]:
            return cls(kind="stall", after=bool(found["stalled"]))
        if found["html"]:
            return cls(kind="html", after=bool(found["html_after"]), status=int(found["html_status"] or 200))
        if found["status"]:
            return cls(kind="status", after=bool(found["status_after"]), status=int(found["status"]))
        if found["limit"]:
            retry = int(found["retry"]) if found["retry"] else None
            return cls(kind="status", status=429, code=int(found["code"]), retry_after=retry)
        if found["slow"]:
            return cls(kind="latency" if found["slow"] == "latency" else "drip", seconds=float(found["seconds"]))
        return _WITHOUT_ARGUMENT[found["plain"]]


_WITHOUT_ARGUMENT = {"pass": Fault(kind="pass"), "refuse": Fault(kind="refuse"), "gzip": Fault(kind="gzip")}


class FaultChance(msgspec.Struct, frozen=True, kw_only=True):
    """A fault with a probability."""

    operation: str
    """Operation id, or `*` for all."""
    fault: Fault
    probability: float


class FaultPlan:
    """The ordered faults: scripts are consumed first, then chances are drawn in their order."""

    def __init__(self, seed: int) -> None:
        """The same seed draws the same faults for the same requests."""
        self._seed = seed
        self._random = random.Random(seed)
        self.scripts: dict[str, deque[Fault]] = {}
        """The rest of each operation's script."""
        self._chances: list[FaultChance] = []

    def script(self, operation_id: str, faults: Iterable[Fault | str] | Fault | str) -> None:
        """Add to the script of an operation; ValueError, with none added, when one is no fault."""
        given = [faults] if isinstance(faults, Fault | str) else faults
        parsed = [fault if isinstance(fault, Fault) else Fault.parse(fault) for fault in given]
        self.scripts.setdefault(operation_id, deque()).extend(parsed)

    def chance(self, operation_id: str, fault: Fault | str, probability: float) -> None:
        """Add a chance; ValueError when it is no fault or no probability."""
        if not 0 <= probability <= 1:
            raise ValueError(f"not a probability: {probability!r}")
        parsed = fault if isinstance(fault, Fault) else Fault.parse(fault)
        self._chances.append(FaultChance(operation=operation_id, fault=parsed, probability=probability))

    def clear(self) -> None:
        """Remove scripts and chances, and seed the random numbers again."""
        self.scripts.clear()
        self._chances.clear()
        self._random.seed(self._seed)

    def take_refusal(self, operation_id: str) -> bool:
        """Whether the connection is reset before anything is read; consumes the fault."""
        if not self.scripts and not self._chances:
            return False
        script = self.scripts.get(operation_id) or self.scripts.get("*")
        if script:
            if script[0].kind != "refuse":
                return False
            script.popleft()
            return True
        return self._drawn(operation_id, early=True) is not None

    def take(self, operation_id: str) -> Fault | None:
        """The fault of the current request; consumes it."""
        if not self.scripts and not self._chances:
            return None
        script = self.scripts.get(operation_id) or self.scripts.get("*")
        return script.popleft() if script else self._drawn(operation_id, early=False)

    def _drawn(self, operation_id: str, *, early: bool) -> Fault | None:
        for each in self._chances:
            if each.operation not in ("*", operation_id) or (each.fault.kind == "refuse") is not early:
                continue
            if self._random.random() < each.probability:
                return each.fault
        return None
