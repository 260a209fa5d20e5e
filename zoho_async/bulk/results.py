"""The outcome of each row, and the totals."""

from __future__ import annotations

from typing import Literal

import msgspec

from zoho_async.bulk.errors import Status, printable
from zoho_async.bulk.rows.validate import WorkItem, keyed_by
from zoho_async.bulk.source.files import Row
from zoho_async.errors import DecodeError, Fault, InvalidError, UnavailableError, ZohoError

Action = Literal["created", "updated", "unchanged", "settled", "skipped", "none"]

NAME_TAKEN = 3062
"""Zoho's code for a name that another record has."""
LISTED_FAULTS = 10
"""Faults of one row that its reason lists at most."""


class RowOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one row."""

    row: Row
    """As it is in the input."""
    status: Status
    """`done`, `failed` or `unknown`: a call was sent, and whether it took effect is not known."""
    action: Action
    """`created` or `updated` now; `unchanged`: Zoho has it already; `settled`: an unknown outcome of an earlier call
    was reconciled, and it had taken effect; `skipped`: its record is there and stays as it is; or `none`."""
    record_id: str = ""
    """Id of the row's record; empty when it is not known."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the row; no call was spent on it."""
    error: Exception | None = None
    """What its call raised. Of a row that is done: why the response could not be read."""
    identity: str = ""
    """The row's key in the state. Of a row that is rejected because of another of the same input: a tag by which it is
    recognised until it is corrected."""
    warning: str = ""
    """What could not be done of a row that is done, as a sentence."""
    taken_hint: str = ""
    """What can be done, under the options of the push, about a name or key that another row or record has."""

    @property
    def reason(self) -> str:
        """Why the row is not done, as the end of a sentence; empty when it is."""
        if self.faults:
            texts = [_fault_text(fault) for fault in self.faults[:LISTED_FAULTS]]
            more = len(self.faults) - len(texts)
            return "; ".join([*texts, f"and {more:,} more faults"] if more else texts)
        return "" if self.error is None or self.status == "done" else printable(_reason(self.error, self.status), 1_000)

    @property
    def kind(self) -> str:
        """Short name of why, to count by: the rule that is broken, or Zoho's code."""
        if self.faults:
            return self.faults[0].rule
        if isinstance(self.error, UnsettledError):
            return "unknown_outcome"
        return self.code or (type(self.error).__name__ if self.error is not None else "")

    @property
    def code(self) -> str:
        """Zoho's code: the one it refused the row with, or would have."""
        if self.error is None and any(fault.rule == "name_taken" for fault in self.faults):
            return str(NAME_TAKEN)
        code = self.error.code if isinstance(self.error, ZohoError) else None
        return "" if code is None else str(code)

    @property
    def field(self) -> str:
        """The columns that are wrong."""
        return ", ".join(dict.fromkeys(fault.path for fault in self.faults if fault.path))

    @property
    def hint(self) -> str:
        """How to correct it, as a sentence; empty when the reason says all."""
        if self.status == "unknown":
            if isinstance(self.error, UnsettledError) and self.error.hint:
                return self.error.hint
            if any(fault.rule == "sent_without_key" for fault in self.faults):
                return _HINTS["sent_without_key"]
            field = keyed_by(self.identity)
            # Under another key it would be another row.
            warning = f"; do not change {field} before that" if field else ""
            return f"push again: its outcome is looked up first{warning}"
        taken = self.code == str(NAME_TAKEN) or any(fault.rule == "exists" for fault in self.faults)
        if taken and self.taken_hint:
            return self.taken_hint
        if self.code in _HINTS:
            return _HINTS[self.code]
        return next((_HINTS[fault.rule] for fault in self.faults if fault.rule in _HINTS), "")

    def sentence(self, source: str) -> str:
        """One line with the file, the row, the field and the rule.

        Args:
            source: Name of the file.
        """
        line = f" (line {self.row.line})" if self.row.line else ""
        return f"{source} row {self.row.number}{line}: {self.reason}"


def invalid(item: WorkItem) -> RowOutcome:
    """The outcome of a row that has faults."""
    return RowOutcome(
        row=item.row, status="failed", action="none", faults=item.faults, identity=item.row_key, taken_hint=item.hint
    )


def failed(item: WorkItem, error: Exception) -> RowOutcome:
    """The outcome of a row that was rejected, or not sent at all."""
    faults = error.faults if isinstance(error, InvalidError) else ()
    return RowOutcome(
        row=item.row,
        status="failed",
        action="none",
        faults=faults,
        error=error,
        identity=item.row_key,
        taken_hint=item.hint,
    )


def unknown(item: WorkItem, error: Exception) -> RowOutcome:
    """The outcome of a row whose call has an unknown outcome."""
    return msgspec.structs.replace(failed(item, error), status="unknown")


def done(
    item: WorkItem, action: Action, record_id: str, *, warning: str = "", error: Exception | None = None
) -> RowOutcome:
    """The outcome of a row that Zoho has. `error`: why the response could not be read."""
    return RowOutcome(
        row=item.row,
        status="done",
        action=action,
        record_id=record_id,
        identity=item.row_key,
        warning=warning,
        error=error,
    )


_HINTS = {
    "9004": "create the currency in Zoho first",
    "31006": "open the portal in Zoho's settings first, or leave the column out",
    "3013": "give it another name",
    "mangled": "format the column as text in the spreadsheet before it is exported",
    "duplicate": "leave one of the rows out, or put both into one",
    "ambiguous": "match by a field without duplicates, or merge the records in Zoho first",
    "unknown": "rename the column, or leave it out",
    "differs": "look at that record: if it is the row's, push with --on-existing update to give it what the row says",
    "sent_without_key": "look in Zoho: if the person is there, give the row its contact_person_id; if not, add the "
    "person in Zoho and leave the row out",
    "person": "leave the id out to add the person, or take the id from a new export",
}


class PushSummary(msgspec.Struct, kw_only=True):
    """Totals of a push; they add up: rows = sent + unchanged + settled + skipped + failed + unknown, sent =
    created + updated."""

    rows: int = 0
    """Rows with an outcome."""
    sent: int = 0
    """Accepted by Zoho in this run."""
    created: int = 0
    """Records made in this run."""
    updated: int = 0
    """Records changed in this run."""
    unchanged: int = 0
    """Zoho has what the row says, by an earlier run or as it was found: nothing was written."""
    settled: int = 0
    """Reconciled: sent by a call of unknown outcome, and found to have taken effect."""
    skipped: int = 0
    """Rows whose record is there and stays as it is, as `on_existing` says."""
    failed: int = 0
    """Rows that were rejected, or not sent at all."""
    unknown: int = 0
    """Rows whose call may have taken effect; the next push reconciles them."""
    writes: int = 0
    """Calls that write, the client's own retries not counted."""
    reads: int = 0
    """Calls that read: the index, records before they are updated, reconciling unknown outcomes."""
    kinds: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    """Failed and unknown rows by `RowOutcome.kind`."""
    seconds: float = 0.0
    """Duration of the run."""
    complete: bool = False
    """Whether every row was tried: the input was read to its end, and nothing ended the run before."""
    ended_by: Literal["", "limit", "max_failures"] = ""
    """What ended the run before every row was tried, where it is an option: the next run goes on."""
    reason: str = ""
    """The same as a sentence, with what can be done."""
    run: int = 0
    """Number of the run in its state file; 0 without one."""
    of: int | None = None
    """Rows to try; None when not known beforehand."""
    input_rows: int | None = None
    """Rows of the whole input, also those not to be tried; None when not known beforehand."""

    def count(self, outcome: RowOutcome) -> None:
        """Adds one row.

        Args:
            outcome: Its outcome.
        """
        self.rows += 1
        if outcome.status == "done":
            name = outcome.action
            setattr(self, name, getattr(self, name) + 1)
            if name in ("created", "updated"):
                self.sent += 1
            return
        setattr(self, outcome.status, getattr(self, outcome.status) + 1)
        self.kinds[outcome.kind] = self.kinds.get(outcome.kind, 0) + 1


def refused_alike(last: RowOutcome, count: int) -> str:
    """Why a run has ended whose first rows were all refused for one reason, as a sentence. `last`: of these rows."""
    assert isinstance(last.error, ZohoError)
    rows = f"first {count:,} rows, all for one reason" if count > 1 else "first row"
    code = f" (code {last.code})" if last.code else ""
    remedy = last.hint or "correct that in the rows or in Zoho"
    return (
        f"Zoho refused the {rows}: {printable(last.error.message or '', 300).rstrip('.')}{code}; {remedy}; the rows "
        "that were not tried come first in the next run, and --max-failures N allows more refusals"
    )


class UnsettledError(Exception):
    """The outcome of a write is unknown, and cannot be reconciled."""

    def __init__(self, record_id: str = "", differs: str = "", *, keyless: bool = False) -> None:
        """`record_id`: of a record that may be the row's and differs from it in the fields `differs`. `keyless`: the
        row has nothing by which its record could be found."""
        self.hint = _HINTS["sent_without_key"] if keyless else _HINTS["differs"] if record_id else ""
        found = "no single record was found that can only be its"
        if record_id:
            found = f"record {record_id} has its key and is not what the row says ({differs})"
        advice = "" if self.hint else "; look in Zoho, or name a field to match by"
        super().__init__(f"this row was sent, and its outcome is unknown: {found}{advice}")


def _fault_text(fault: Fault) -> str:
    message = printable(fault.message)
    return f"{printable(fault.path, 100)}: {message}" if fault.path else message


def _reason(error: Exception, status: Status) -> str:
    if status == "failed" and isinstance(error, UnavailableError | DecodeError):
        # No response of Zoho is about the row.
        return str(error)
    if isinstance(error, ZohoError) and status == "failed" and error.message:
        code = f" (code {error.code})" if error.code is not None else ""
        return f"Zoho refused it: {error.message}{code}"
    text = str(error) or type(error).__name__
    return f"it is not known whether Zoho has it: {text}" if status == "unknown" else text
