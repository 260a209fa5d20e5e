"""The cheapest safe action for each row, from what is known of it and of the target. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.validate import WorkItem
from zoho_async.bulk.state.journal import Entry
from zoho_async.errors import Fault

from .index_queries import TargetRecord

RowAction = Literal[
    "refuse", "unchanged", "skip", "upsert", "create", "update", "link_existing", "confirm_exists", "unknown"
]
"""`unchanged`: an earlier run has sent the same. `skip`: the record is there and stays as it is. `link_existing`: a
call of unknown outcome may have made the record, which is compared. `confirm_exists`: the list does not show the
record, which is read. `unknown`: whether the row was sent cannot be found out."""

Rename = Callable[[WorkItem], Fault | None]
"""Puts the suffix behind a row's name, or says why not."""


class RowContext(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a row's turn comes."""

    entry: Entry | None = None
    """What earlier runs have left of it."""
    own: TargetRecord | None = None
    """The listed record whose id the row carries, or that an earlier run noted for it."""
    keyed: tuple[TargetRecord, ...] = ()
    """The records with the row's key, unless that is a natural name."""
    indexed: bool = False
    """Whether the target's list was read, so that absence says something."""
    gone: bool = False
    """Whether the row's record was found not to be there."""
    key_changed: bool = False
    """Whether the row was sent under another key than it has now, with unknown outcome."""
    parent_missing: str = ""
    """The field that names the parent, when Zoho has no such parent."""
    records_of_same_name: Callable[[str, str], Sequence[TargetRecord]] = lambda name_scope, name: ()
    """The records of a name within a scope."""
    reserved: Callable[[str], bool] = lambda name: False
    """Whether another row of the input has a name."""
    expected_key: Callable[[str], bool] = lambda key: False
    """Whether another row of the input has a key."""

    @property
    def begun(self) -> bool:
        """Whether the row was sent in a call of unknown outcome."""
        return self.entry is not None and self.entry.state in ("intent", "unknown")


class RoutedRow(msgspec.Struct, kw_only=True):
    """What to do with a row. `record` is the one to be updated, linked or looked at."""

    job: WorkItem
    action: RowAction
    record: TargetRecord | None = None
    wait_epoch: int = 0
    """How often the push had waited for hours when it was made."""
    known: RowContext = msgspec.field(default_factory=RowContext)

    @property
    def outcome_unknown(self) -> bool:
        """Whether a call of the row in an earlier run may have taken effect."""
        return self.known.begun


def decide(job: WorkItem, known: RowContext, options: Options, *, rename: Rename) -> RoutedRow:
    """The action of one row."""
    if job.faults:
        # Invalid in itself, whatever is known of it.
        return RoutedRow(job=job, action="refuse")
    if known.key_changed and known.entry is not None:
        # It stays known by what it was sent under.
        job.row_key = known.entry.row_key
        message = f"was `{known.entry.display_key}` when the row was sent with unknown outcome; push it so again first"
        return _refused(job, known, Fault(path=job.key_field, rule="key_changed", message=message))
    missing = known.parent_missing or (job.key_field if job.record_id and known.gone else "")
    if missing:
        fault = Fault(path=missing, rule="not_found", message="names a record that Zoho does not have")
        return _refused(job, known, fault)
    entry, own = known.entry, known.own
    if own is not None and not job.record_id and own.match != job.key and known.expected_key(own.match):
        # Somebody has made another row's record of it.
        own = None
    done = entry is not None and entry.state == "done" and not known.gone
    same = done and entry is not None and entry.content_hash == job.content_hash
    if same and (own is not None or not known.indexed):
        return RoutedRow(job=job, action="unchanged", record=own, known=known)
    holders = _holders(job, known, options, rename)
    # Others may have the name beside the row's own record; a key is one record's.
    found = own if own is not None and (job.by_name or not holders) else next(iter(holders), None)
    unlisted = job.record_id or (entry.record_id if done and entry is not None else "")
    if same and unlisted and (job.by_name or found is None) and not options.upsert_by:
        return RoutedRow(job=job, action="confirm_exists", record=TargetRecord(record_id=unlisted), known=known)
    if found is not own:
        if job.by_name and options.suffixes_first and not known.begun:
            return _absent(job, known, options, rename)
        if len(holders) > 1:
            number = "several" if len(holders) > 9 else str(len(holders))
            message = f"{number} records in Zoho have it; a row is matched with one only"
            return _refused(job, known, Fault(path=job.key_field, rule="ambiguous", message=message))
    if found is None:
        if not unlisted or (known.indexed and not job.record_id):
            return _absent(job, known, options, rename)
        found = TargetRecord(record_id=unlisted)
    return _present(job, known, options, rename, found)


def _holders(job: WorkItem, known: RowContext, options: Options, rename: Rename) -> Sequence[TargetRecord]:
    """The records with the row's key; after a call of unknown outcome, with the name it was sent under."""
    if not job.by_name:
        return () if job.record_id else known.keyed
    sent = known.entry.display_key if known.begun and known.entry is not None else ""
    if sent not in ("", job.name) and options.on_name_taken == "suffix" and not job.renamed:
        rename(job)
    return known.records_of_same_name(job.name_scope, sent or job.name)


def _present(job: WorkItem, known: RowContext, options: Options, rename: Rename, found: TargetRecord) -> RoutedRow:
    policy = options.existing(by_id=bool(job.record_id))
    if policy != "update":
        if known.begun:
            return RoutedRow(job=job, action="link_existing", record=found, known=known)
        if policy == "skip":
            listed = not job.record_id or known.own is not None
            return RoutedRow(job=job, action="skip" if listed else "confirm_exists", record=found, known=known)
        if job.by_name:
            return _refused(job, known, name_fault(job, f"record {found.record_id} in Zoho has it"))
        message = f"record {found.record_id} in Zoho has it already"
        return _refused(job, known, Fault(path=job.key_field, rule="exists", message=message))
    scope = job.name_scope if job.name_scope_given else found.name_scope or job.name_scope
    if job.name != found.name and (fault := _taken(job, known, options, rename, scope, found.record_id)) is not None:
        return _refused(job, known, fault)
    return RoutedRow(job=job, action="update", record=found, known=known)


def _absent(job: WorkItem, known: RowContext, options: Options, rename: Rename) -> RoutedRow:
    same_name = known.records_of_same_name(job.name_scope, job.name) if job.name else ()
    # One that has another key is another row's, whatever its name.
    if same_name and options.on_name_taken == "match" and same_name[0].match in ("", job.key):
        return _present(job, known, options, rename, same_name[0])
    if (fault := _taken(job, known, options, rename, job.name_scope)) is not None:
        return _refused(job, known, fault)
    if known.begun and not may_repeat(job, known, options):
        return RoutedRow(job=job, action="unknown", known=known)
    if job.missing:
        return _refused(job, known, *job.missing)
    return RoutedRow(job=job, action="upsert" if options.upsert_by else "create", known=known)


def may_repeat(job: WorkItem, known: RowContext, options: Options) -> bool:
    """Whether a create of unknown outcome that left no trace may be sent again: a second would be refused or found."""
    sent = known.entry.display_key if known.entry is not None else ""
    # Under another name Zoho would not refuse a second.
    return bool(options.upsert_by) or (known.indexed and (not job.by_name or sent in ("", job.name)))


def _taken(
    job: WorkItem, known: RowContext, options: Options, rename: Rename, name_scope: str, allowed: str = ""
) -> Fault | None:
    """The fault of a row whose name a record has, but the allowed one, and which no suffix tells apart."""

    def taken() -> bool:
        return any(one.record_id != allowed for one in known.records_of_same_name(name_scope, job.name))

    if not job.name or options.on_name_taken == "allow" or not taken():
        return None
    if options.on_name_taken == "suffix" and not job.renamed:
        if (fault := rename(job)) is not None:
            return fault
        if not taken() and not known.reserved(job.name):
            return None
    return name_fault(job, "another record in Zoho has it")


def name_fault(job: WorkItem, who: str) -> Fault:
    """The fault of a row whose name is taken."""
    return Fault(path=job.name_field, rule="name_taken", message=f"is taken: {who}")


def _refused(job: WorkItem, known: RowContext, *faults: Fault) -> RoutedRow:
    job.faults = faults
    return RoutedRow(job=job, action="refuse", known=known)
