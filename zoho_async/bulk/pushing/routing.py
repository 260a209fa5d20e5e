"""The cheapest safe way for each row, from what is known of it and of the target. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.validate import WorkItem, keyed_by
from zoho_async.bulk.state.journal import Entry
from zoho_async.errors import Fault

from .index_queries import TargetRecord, made_at

Route = Literal["refuse", "skip", "upsert", "create", "update", "adopt", "verify", "unknown"]

CLOCKS_APART = timedelta(minutes=2)
"""How far our clock and the service's may differ when the age of a record is judged, and any record could be meant."""
WRONG_CLOCK = timedelta(days=1)
"""How far they may differ where Zoho has one record of a name at most: then it takes much to say it is another's."""


class RowContext(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a row's turn comes."""

    entry: Entry | None = None
    """What earlier runs have left of it."""
    own: TargetRecord | None = None
    """The record that an earlier run noted for it, if the target still has it."""
    keyed: tuple[TargetRecord, ...] = ()
    """The records with the row's key."""
    indexed: bool = False
    """Whether the target's list was read, so that absence says something."""
    gone: bool = False
    """Whether the record that an earlier run noted for it was found not to be there."""
    parent_missing: str = ""
    """The field that names the parent, when Zoho has no such parent."""
    records_of_same_name: Callable[[str | None, str], list[TargetRecord]] = lambda kind, name: []
    """The records of a kind, or of any, that have a name."""
    owned_by_another_row: Callable[[str], bool] = lambda record_id: False
    """Whether a record belongs to another row."""
    ambiguous_keys: Callable[[str], bool] = lambda label: False
    """Whether several rows have a label that are under way or of unknown outcome."""
    reserved: Callable[[str], bool] = lambda name: False
    """Whether another row of the input has a name."""
    expected_key: Callable[[str], bool] = lambda key: False
    """Whether a row of the input has a key."""

    @property
    def begun(self) -> bool:
        """Whether the row was sent in a call of unknown outcome."""
        return self.entry is not None and self.entry.state in ("intent", "unknown")


class RoutedRow(msgspec.Struct, kw_only=True):
    """What to do with a row. `record` is the one to be updated, adopted or looked at."""

    job: WorkItem
    route: Route
    record: TargetRecord | None = None
    wait_epoch: int = 0
    """How often the push had waited for hours when it was made."""
    known: RowContext = msgspec.field(default_factory=RowContext)

    @property
    def outcome_unknown(self) -> bool:
        """Whether a call of the row in an earlier run may have taken effect."""
        return self.known.begun


def decide(
    job: WorkItem, known: RowContext, options: Options, *, rename: Callable[[WorkItem], Fault | None]
) -> RoutedRow:
    """The route of one row. `rename` puts the suffix behind a job's name, or says why not."""
    if job.faults:
        # Whatever is known of it: it is wrong in itself.
        return RoutedRow(job=job, route="refuse")
    if known.parent_missing:
        fault = Fault(path=known.parent_missing, rule="not_found", message="names a record that Zoho does not have")
        return _refused(job, known, fault)
    entry, own = known.entry, known.own
    if own is not None and options.field and own.match != job.key and known.expected_key(own.match):
        # Somebody has made another row's record of it.
        own = None
    settled = entry is not None and entry.state == "done" and not known.gone
    same = settled and entry is not None and _is_content(job, entry, options)
    if same and (own is not None or not known.indexed):
        return RoutedRow(job=job, route="skip", record=own, known=known)
    if len(known.keyed) > 1:
        number = "several" if len(known.keyed) > 9 else str(len(known.keyed))
        message = f"{number} records in Zoho have it; a row is matched with one only"
        return _refused(job, known, Fault(path=options.field, rule="ambiguous", message=message))
    found = known.keyed[0] if known.keyed else own
    if found is None and not known.indexed and settled and entry is not None and entry.record_id:
        found = TargetRecord(record_id=entry.record_id)
    if found is not None:
        return _present(job, known, options, found, rename)
    if same and entry is not None and entry.record_id and not options.upsert_by:
        return RoutedRow(job=job, route="verify", record=TargetRecord(record_id=entry.record_id), known=known)
    return _absent(job, known, options, rename)


def _is_content(job: WorkItem, entry: Entry, options: Options) -> bool:
    """Whether a row is what was sent; also when it was mended since, which a row without a key is known by."""
    original = not options.field and job.identity.rpartition("#")[0] == job.digest
    return entry.digest == job.digest or original


def _present(
    job: WorkItem, known: RowContext, options: Options, found: TargetRecord, rename: Callable[[WorkItem], Fault | None]
) -> RoutedRow:
    kind = job.kind if job.name_scope_given else found.kind or job.kind
    if job.name != found.name and _taken(job, known, options, kind, found.record_id):
        fault = _renamed(job, known, options, rename, kind, found.record_id)
        if fault is not None:
            return _refused(job, known, fault)
    return RoutedRow(job=job, route="update", record=found, known=known)


def _absent(
    job: WorkItem, known: RowContext, options: Options, rename: Callable[[WorkItem], Fault | None]
) -> RoutedRow:
    entry = known.entry
    if entry is not None and known.begun and not options.field:
        if options.on_name_taken == "suffix":
            _name_as_sent(job, entry, rename)
        ours = _perhaps_made(job, known, entry, options)
        labels = {job.label, entry.label or job.label}
        if len(ours) == 1 and not any(known.ambiguous_keys(label) for label in labels):
            return RoutedRow(job=job, route="adopt", record=ours[0], known=known)
        if ours:
            # Under another name Zoho would not refuse a second one.
            return RoutedRow(job=job, route="unknown", known=known)
    records_of_same_name = known.records_of_same_name(job.kind, job.name) if job.name else []
    if records_of_same_name and options.on_name_taken != "allow":
        holder = records_of_same_name[0]
        # One that has another key is another row's, whatever its name.
        if options.on_name_taken == "match" and (not options.field or holder.match in ("", job.key)):
            return RoutedRow(job=job, route="update", record=holder, known=known)
        fault = _renamed(job, known, options, rename, job.kind, "")
        if fault is not None:
            return _refused(job, known, fault)
    if known.begun and not may_repeat(job, known, options):
        return RoutedRow(job=job, route="unknown", known=known)
    if job.missing:
        return _refused(job, known, *job.missing)
    return RoutedRow(job=job, route="upsert" if options.upsert_by else "create", known=known)


def _name_as_sent(job: WorkItem, entry: Entry, rename: Callable[[WorkItem], Fault | None]) -> None:
    """Puts the suffix behind a job's name, if that is the name it was sent under."""
    if job.renamed or entry.label in ("", job.name):
        return
    suffixed = msgspec.structs.replace(job)
    if rename(suffixed) is None and suffixed.name == entry.label:
        rename(job)


def _perhaps_made(job: WorkItem, known: RowContext, entry: Entry, options: Options) -> list[TargetRecord]:
    """The records that nobody owns and that a call of unknown outcome may have made: of the name the row has now, and
    of the one it was sent under, for the row may have been mended since."""
    apart = CLOCKS_APART if options.on_name_taken == "allow" else WRONG_CLOCK
    found = known.records_of_same_name(job.kind, job.name)
    kind = job.kind if entry.digest == job.digest else None
    others = [one for one in known.records_of_same_name(kind, entry.label) if one not in found]
    if options.on_name_taken == "match":
        # The row's, whoever has made it.
        found = []
    since = entry.intended_at - apart
    return [
        one for one in (*found, *others) if made_since(one, since) and not known.owned_by_another_row(one.record_id)
    ]


def may_repeat(job: WorkItem, known: RowContext, options: Options) -> bool:
    """Whether a write that left no trace may be sent again: Zoho itself would refuse or recognise the second one."""
    if options.upsert_by:
        return True
    entry = known.entry
    if not options.field and entry is not None and keyed_by(entry.identity) and entry.digest != job.digest:
        # Its label is a key: nothing says under which name it was sent before it was mended.
        return False
    if job.name:
        return options.on_name_taken != "allow" and known.indexed
    return bool(options.match_by) and known.indexed


def made_since(record: TargetRecord, moment: datetime) -> bool:
    """Whether a record was made after a moment."""
    created = made_at(record.created)
    return created is not None and created >= moment


def _taken(job: WorkItem, known: RowContext, options: Options, kind: str, allowed: str) -> bool:
    """Whether a record but the allowed one has the job's name."""
    if not job.name or options.on_name_taken == "allow":
        return False
    return any(one.record_id != allowed for one in known.records_of_same_name(kind, job.name))


def _renamed(
    job: WorkItem,
    known: RowContext,
    options: Options,
    rename: Callable[[WorkItem], Fault | None],
    kind: str,
    allowed: str,
) -> Fault | None:
    if options.on_name_taken == "suffix" and not job.renamed:
        fault = rename(job)
        if fault is not None:
            return fault
        if not _taken(job, known, options, kind, allowed) and not known.reserved(job.name):
            return None
    return name_fault(job, "another record in Zoho has it")


def name_fault(job: WorkItem, who: str) -> Fault:
    """The fault of a row whose name is taken."""
    return Fault(path=job.name_field, rule="name_taken", message=f"is taken: {who}")


def _refused(job: WorkItem, known: RowContext, *faults: Fault) -> RoutedRow:
    job.faults = faults
    return RoutedRow(job=job, route="refuse", known=known)
