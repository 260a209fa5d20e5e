"""Collects what `--report FILE.html` shows, and writes it at the end."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

from zoho_async.bulk import InputError, PullSummary, PushSummary, RowOutcome, atomic_write
from zoho_async.cli.console.error_report import report as report_message
from zoho_async.cli.console.html_report import ReportedRow, RunPage, html_page

SAMPLES = 600
"""Most points of a plot; every second one is dropped when there are more."""
LISTED = 1_000
"""Most rejected rows on the page; the rejects file has all."""
_OUTCOMES = ("created", "updated", "unchanged", "settled", "skipped", "failed", "unknown")


class ReportFile:
    """A report under way. Without a path nothing is collected and nothing written.

    Args:
        path: The file; None for none.

    Raises:
        InputError: There is no such folder.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None and not path.parent.is_dir():
            raise InputError(f"--report {path}: there is no folder {path.parent}")
        self.path = path
        self._begun = monotonic()
        self._samples: list[tuple[float, int, int]] = [(0.0, 0, 0)]
        self._step = 1
        self._count = 0
        self._rejected: list[ReportedRow] = []
        self._kinds: dict[str, int] = {}
        self._more = 0

    def row(self, outcome: RowOutcome, summary: PushSummary) -> None:
        """Notes the outcome of a row of a push."""
        if self.path is None:
            return
        self.sample(summary.rows, summary.writes + summary.reads)
        if outcome.status == "done":
            return
        kind = outcome.kind or "other"
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if len(self._rejected) >= LISTED:
            self._more += 1
            return
        row = ReportedRow(number=outcome.row.number, status=outcome.status, kind=kind, reason=outcome.reason)
        self._rejected.append(row)

    def sample(self, done: int, calls: int) -> None:
        """Notes how far it is."""
        if self.path is None:
            return
        self._count += 1
        if self._count % self._step:
            return
        self._samples.append((monotonic() - self._begun, done, calls))
        if len(self._samples) > SAMPLES:
            del self._samples[1::2]
            self._step *= 2

    def write_push(self, title: str, facts: dict[str, str], summary: PushSummary, *, json: bool) -> None:
        """Writes the report of a push; a warning says why it cannot be written."""
        outcomes = {name: int(getattr(summary, name)) for name in _OUTCOMES}
        last = (summary.seconds, summary.rows, summary.writes + summary.reads)
        self._write(title, facts, outcomes, last, json=json)

    def write_pull(self, title: str, facts: dict[str, str], summary: PullSummary, *, json: bool) -> None:
        """Writes the report of a pull; a warning says why it cannot be written."""
        kept = max(summary.records - summary.changed, 0)
        outcomes = {"changed": summary.changed, "unchanged": kept, "deleted": summary.deleted + summary.dropped}
        self._write(title, facts, outcomes, (summary.seconds, summary.records, summary.reads), json=json)

    def _write(
        self, title: str, facts: dict[str, str], outcomes: dict[str, int], last: tuple[float, int, int], *, json: bool
    ) -> None:
        if self.path is None:
            return
        report = RunPage(
            title=title,
            facts=facts,
            outcomes=outcomes,
            samples=[one for one in self._samples if one[0] <= last[0]] + [last],
            rejected=self._rejected,
            kinds=self._kinds,
            more_rejected=self._more,
        )
        try:
            with atomic_write(self.path) as file:
                file.write(html_page(report))
        except OSError as error:
            reason = f"{self.path} cannot be written: {error.strerror or error}"
            report_message(reason, json=json, event="warning")
