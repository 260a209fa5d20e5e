"""Faults a test can order, one per request, in a script."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Kind = Literal["pass", "reset", "torn", "stall", "html", "status"]

_FAULT = re.compile(
    r"pass|(?P<reset>reset)_(?P<when>before|after)|(?P<torn>torn)|(?P<stall>stall)(?P<stalled>_after)?"
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

    @property
    def cuts(self) -> bool:
        """Whether the connection ends instead of an answer, or in the middle of one."""
        return self.kind in ("reset", "torn", "stall")

    @property
    def refuses(self) -> bool:
        """Whether nothing is executed."""
        return self.kind != "pass" and not self.after

    @property
    def replaces(self) -> bool:
        """Whether something else is answered than what was done."""
        return self.kind in ("html", "status")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the short form; ValueError when it is none.

        `pass` (let one request through), `reset_before`, `reset_after`, `torn` (acts, half an answer), `stall`,
        `stall_after` (acts, never answers), `html`, `html:502`, `html_after`, `html:502_after`, `status:503`,
        `status:503_after`, `429:44`, `429:44:1800` (with Retry-After), `429:45`, `429:1070`.
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
        return cls(kind="pass")
