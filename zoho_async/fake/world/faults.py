"""Faults a test can order: in a script, one per request, or by probability."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Iterable
from typing import Literal

import msgspec

Kind = Literal["pass", "refuse", "reset", "torn", "stall", "latency", "drip", "gzip", "html", "status"]

_FAULT = re.compile(
    r"(?P<plain>pass|refuse|gzip)|(?P<slow>latency|drip):(?P<seconds>\d{1,5}(\.\d{1,6})?)|(?P<reset>reset)_(?P<when>before|after)|(?P<torn>torn)|(?P<stall>stall)(?P<stalled>_after)?"
    r"|(?P<html>html)(:(?P<html_status>[1-5]\d\d))?(?P<html_after>_after)?"
    r"|status:(?P<status>[2-5]\d\d)(?P<status_after>_after)?|(?P<limit>429):(?P<code>\d{1,7})(:(?P<retry>\d{1,7}))?"
)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What befalls one request. `after`: Zoho acts first and only the answer goes wrong; else nothing is executed."""

    kind: Kind
    after: bool = False
    status: int = 200
    code: int | None = None
    """Zoho's code in the body; None: 1000."""
    retry_after: int | None = None
    """Seconds in the header of that name; None: no header."""
    seconds: float = 0.0
    """How long a latency or a drip takes."""

    @property
    def cuts(self) -> bool:
        """Whether the connection ends instead of an answer, or in the middle of one."""
        return self.kind in ("refuse", "reset", "torn", "stall")

    @property
    def refuses(self) -> bool:
        """Whether nothing is executed."""
        return self.kind not in ("pass", "latency", "drip", "gzip") and not self.after

    @property
    def replaces(self) -> bool:
        """Whether something else is answered than what was done."""
        return self.kind in ("html", "status")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the short form; ValueError when it is none.

        `pass` (let one request through), `refuse` (the connection is gone before anything is read), `latency:0.5`
        (acts, answers half a second later), `drip:2` (the answer takes two seconds to come, piece by piece), `gzip`
        (the answer is compressed, whatever was asked for), `reset_before`, `reset_after`, `torn`
        (acts, half an answer), `stall`, `stall_after` (acts, never answers), `html`, `html:502`, `html_after`,
        `html:502_after`, `status:503`, `status:503_after`, `429:44`, `429:44:1800` (with
        Retry-After), `429:45`, `429:1070`.
        """
        found = _FAULT.fullmatch(text)
        if found is None:
            raise ValueError(f"not a fault: {text!r}")
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
        return _PLAIN[found["plain"]]


_PLAIN = {"pass": Fault(kind="pass"), "refuse": Fault(kind="refuse"), "gzip": Fault(kind="gzip")}


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that befalls some of the requests."""

    operation: str
    """Operation id, or `*` for all."""
    fault: Fault
    probability: float


class Plan:
    """The faults that are ordered: scripts are used up first, then chances are thrown for, in the order they came."""

    def __init__(self, seed: int) -> None:
        """The same seed throws the same for the same requests."""
        self._seed = seed
        self._random = random.Random(seed)
        self.scripts: dict[str, deque[Fault]] = {}
        """What is left of each operation's script."""
        self._chances: list[Chance] = []

    def script(self, operation_id: str, faults: Iterable[Fault | str]) -> None:
        """Add to the script of an operation; ValueError when one is no fault, and then none is added."""
        parsed = [fault if isinstance(fault, Fault) else Fault.parse(fault) for fault in faults]
        self.scripts.setdefault(operation_id, deque()).extend(parsed)

    def chance(self, operation_id: str, fault: Fault | str, probability: float) -> None:
        """Add a chance; ValueError when it is no fault or no probability."""
        if not 0 <= probability <= 1:
            raise ValueError(f"not a probability: {probability!r}")
        parsed = fault if isinstance(fault, Fault) else Fault.parse(fault)
        self._chances.append(Chance(operation=operation_id, fault=parsed, probability=probability))

    def clear(self) -> None:
        """All is well from now on; the throws begin anew."""
        self.scripts.clear()
        self._chances.clear()
        self._random.seed(self._seed)

    def refuses(self, operation_id: str) -> bool:
        """Whether the connection is refused before anything is read; uses the fault up."""
        if not self.scripts and not self._chances:
            return False
        script = self.scripts.get(operation_id) or self.scripts.get("*")
        if script:
            if script[0].kind != "refuse":
                return False
            script.popleft()
            return True
        return self._thrown(operation_id, early=True) is not None

    def next(self, operation_id: str) -> Fault | None:
        """What befalls the request at hand; uses it up."""
        if not self.scripts and not self._chances:
            return None
        script = self.scripts.get(operation_id) or self.scripts.get("*")
        return script.popleft() if script else self._thrown(operation_id, early=False)

    def _thrown(self, operation_id: str, *, early: bool) -> Fault | None:
        for each in self._chances:
            if each.operation not in ("*", operation_id) or (each.fault.kind == "refuse") is not early:
                continue
            if self._random.random() < each.probability:
                return each.fault
        return None
