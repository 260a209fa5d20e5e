"""The cheapest safe action for each row, from what is known of it and of the destination. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.validate import WorkItem, full_name_key
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
    """What earlier runs recorded of it."""
    own: TargetRecord | None = None
    """The listed record whose id the row carries, or that an earlier run recorded for it."""
    keyed: tuple[TargetRecord, ...] = ()
    """The records with the row's key, unless that is a natural name."""
    indexed: bool = False
    """Whether the destination's list was read, so that absence says something."""
    deleted: bool = False
    """Whether the row's record no longer exists."""
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

    item: WorkItem
    action: RowAction
    record: TargetRecord | None = None
    wait_epoch: int = 0
    """How often the push had waited for hours when it was made."""
    context: RowContext = msgspec.field(default_factory=RowContext)

    @property
    def needs_call(self) -> bool:
        """Whether its record has to be written, or read first."""
        return self.action not in ("refuse", "unchanged", "skip", "unknown")

    @property
    def outcome_unknown(self) -> bool:
        """Whether a call of the row in an earlier run may have taken effect."""
        return self.context.begun


def decide(item: WorkItem, context: RowContext, options: Options, *, rename: Rename) -> RoutedRow:
    """The action of one row."""
    if item.faults:
        # Invalid in itself, whatever is known of it.
        return RoutedRow(item=item, action="refuse")
    if context.key_changed and context.entry is not None:
        # It stays known by what it was sent under.
        item.row_key = context.entry.row_key
        sent = context.entry.display_key
        if sent == full_name_key(item.body, item.parent):
            message = f"was empty when `{sent}` was sent with unknown outcome"
            return _refused(item, context, Fault(path=item.key_field, rule="sent_without_key", message=message))
        message = f"was `{sent}` when the row was sent with unknown outcome; push it so again first"
        return _refused(item, context, Fault(path=item.key_field, rule="key_changed", message=message))
    missing = context.parent_missing or (item.key_field if item.record_id and context.deleted else "")
    if missing:
        fault = Fault(path=missing, rule="not_found", message="names a record that Zoho does not have")
        return _refused(item, context, fault)
    entry, own = context.entry, context.own
    if own is not None and not item.record_id and own.match != item.key and context.expected_key(own.match):
        # Somebody has made another row's record of it.
        own = None
    done = entry is not None and entry.state == "done" and not context.deleted
    same = done and entry is not None and entry.content_hash == item.content_hash
    if same and (own is not None or not context.indexed):
        return RoutedRow(item=item, action="unchanged", record=own, context=context)
    holders = _holders(item, context, options, rename)
    # Others may have the name beside the row's own record; a key is one record's.
    found = own if own is not None and (item.by_name or not holders) else next(iter(holders), None)
    unlisted = item.record_id or (entry.record_id if done and entry is not None else "")
    if same and unlisted and (item.by_name or found is None) and not options.upsert_by:
        return RoutedRow(item=item, action="confirm_exists", record=TargetRecord(record_id=unlisted), context=context)
    if found is not own:
        if item.by_name and options.suffixes_first and not context.begun:
            return _absent(item, context, options, rename)
        if len(holders) > 1:
            number = "several" if len(holders) > 9 else str(len(holders))
            message = f"{number} records in Zoho have it; a row is matched with one only"
            return _refused(item, context, Fault(path=item.key_field, rule="ambiguous", message=message))
    if found is None:
        if not unlisted or (context.indexed and not item.record_id):
            return _absent(item, context, options, rename)
        found = TargetRecord(record_id=unlisted)
    return _present(item, context, options, rename, found)


def _holders(item: WorkItem, context: RowContext, options: Options, rename: Rename) -> Sequence[TargetRecord]:
    """The records with the row's key; after a call of unknown outcome, with the name it was sent under."""
    if not item.by_name:
        return () if item.record_id else context.keyed
    sent = context.entry.display_key if context.begun and context.entry is not None else ""
    if sent not in ("", item.name) and options.on_name_taken == "suffix" and not item.renamed:
        rename(item)
    return context.records_of_same_name(item.name_scope, sent or item.name)


def _present(item: WorkItem, context: RowContext, options: Options, rename: Rename, found: TargetRecord) -> RoutedRow:
    policy = options.existing(by_id=bool(item.record_id))
    if policy != "update":
        if context.begun:
            return RoutedRow(item=item, action="link_existing", record=found, context=context)
        if policy == "skip":
            listed = not item.record_id or context.own is not None
            return RoutedRow(item=item, action="skip" if listed else "confirm_exists", record=found, context=context)
        if item.by_name:
            return _refused(item, context, name_fault(item, f"record {found.record_id} in Zoho has it"))
        item.hint = options.hint_for_taken(by="key")
        message = f"record {found.record_id} in Zoho has it already"
        return _refused(item, context, Fault(path=item.key_field, rule="exists", message=message))
    scope = item.name_scope if item.name_scope_given else found.name_scope or item.name_scope
    if (
        item.name != found.name
        and (fault := _taken(item, context, options, rename, scope, found.record_id)) is not None
    ):
        return _refused(item, context, fault)
    return RoutedRow(item=item, action="update", record=found, context=context)


def _absent(item: WorkItem, context: RowContext, options: Options, rename: Rename) -> RoutedRow:
    same_name = context.records_of_same_name(item.name_scope, item.name) if item.name else ()
    # One that has another key is another row's, whatever its name.
    if same_name and options.on_name_taken == "match" and same_name[0].match in ("", item.key):
        return _present(item, context, options, rename, same_name[0])
    if (fault := _taken(item, context, options, rename, item.name_scope)) is not None:
        return _refused(item, context, fault)
    if context.begun and not may_repeat(item, context, options):
        return RoutedRow(item=item, action="unknown", context=context)
    if item.missing:
        return _refused(item, context, *item.missing)
    return RoutedRow(item=item, action="upsert" if options.upsert_by else "create", context=context)


def may_repeat(item: WorkItem, context: RowContext, options: Options) -> bool:
    """Whether a create of unknown outcome that left no trace may be sent again: a second would be refused or found."""
    sent = context.entry.display_key if context.entry is not None else ""
    # Without a key none would be found; under another name Zoho would not refuse a second.
    return bool(options.upsert_by) or (
        bool(item.key) and context.indexed and (not item.by_name or sent in ("", item.name))
    )


def _taken(
    item: WorkItem, context: RowContext, options: Options, rename: Rename, name_scope: str, allowed: str = ""
) -> Fault | None:
    """The fault of a row whose name a record has, but the allowed one, and which no suffix distinguishes."""

    def taken() -> bool:
        return any(one.record_id != allowed for one in context.records_of_same_name(name_scope, item.name))

    if not item.name or options.on_name_taken == "allow" or not taken():
        return None
    if options.on_name_taken == "suffix" and not item.renamed:
        if (fault := rename(item)) is not None:
            return fault
        if not taken():
            if not context.reserved(item.name):
                return None
            item.hint = options.hint_for_taken(by="row")
            return name_fault(item, "another row of the input has it")
    return name_fault(item, "another record in Zoho has it")


def name_fault(item: WorkItem, who: str) -> Fault:
    """The fault of a row whose name is taken."""
    return Fault(path=item.name_field, rule="name_taken", message=f"is taken: {who}")


def _refused(item: WorkItem, context: RowContext, *faults: Fault) -> RoutedRow:
    item.faults = faults
    return RoutedRow(item=item, action="refuse", context=context)
