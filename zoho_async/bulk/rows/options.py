"""How rows are matched with what Zoho has, checked before anything is read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from zoho_async.bulk.errors import InputError

from .resource import Destination, NaturalKey

Empty = Literal["keep", "clear"]
OnExisting = Literal["update", "skip", "fail"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. `of()` makes them and raises InputError for what cannot be."""

    upsert_by: str = ""
    """Custom field without duplicates whose value identifies a record: Zoho's own upsert."""
    match_by: str = ""
    """Field whose value identifies a record where there is no such custom field."""
    on_existing: OnExisting | None = None
    """What a row does whose record is there; None: as `existing` says."""
    empty: Empty = "keep"
    """What an empty cell does to a record that is there: nothing, or it empties the field."""
    on_name_taken: Literal["fail", "match", "suffix", "allow"] = "fail"
    suffix_field: str = ""

    @classmethod
    def of(
        cls,
        destination: Destination,
        *,
        upsert_by: str | None = None,
        match_by: str | None = None,
        on_existing: str | None = None,
        empty: str = "keep",
        on_name_taken: str = "fail",
    ) -> Options:
        """The options for a destination; InputError, in one sentence, when it cannot be pushed so."""
        destination.check_pushable()
        if upsert_by is not None and match_by is not None:
            raise InputError("rows are matched either by a unique custom field (upsert_by) or by a field (match_by)")
        if upsert_by is not None:
            if "upsert" not in destination.operations:
                raise InputError(
                    f"{destination.name} cannot be pushed with a unique field: it has no upsert; use match_by"
                )
            if not _is_custom(upsert_by):
                raise InputError(
                    f"`{upsert_by}` cannot be a unique field: it must be a custom field's name such as cf_id"
                )
        if match_by is not None:
            _check_match(destination, match_by)
        if on_existing not in (None, "update", "skip", "fail"):
            raise InputError(f"when the record is there: update, skip or fail, not `{on_existing}`")
        if empty not in ("keep", "clear"):
            raise InputError(f"empty cells either `keep` or `clear` what is there, not `{empty}`")
        policy, _, field = on_name_taken.partition(":")
        if policy not in ("fail", "match", "suffix", "allow") or (policy == "suffix") != bool(field):
            raise InputError(f"when a name is taken: fail, match, allow or suffix:FIELD, not `{on_name_taken}`")
        if policy != "fail" and not destination.natural.name:
            raise InputError(f"{destination.name} have no name that could be taken")
        if policy == "allow" and upsert_by is None and match_by is None:
            raise InputError("equal names are allowed only where another field identifies rows: upsert_by or match_by")
        if field and destination.columns.column(field) is None:
            raise InputError(f"suffix: there is no column `{field}`{destination.columns.hint(field)}")
        checked: dict[str, Any] = {"on_existing": on_existing, "empty": empty, "on_name_taken": policy}
        return cls(upsert_by=upsert_by or "", match_by=match_by or "", suffix_field=field, **checked)

    @property
    def field(self) -> str:
        """The field rows were asked to be matched by; empty: by the natural key."""
        return self.upsert_by or self.match_by

    def existing(self, *, by_id: bool = False) -> OnExisting:
        """What a row does whose record is there. `by_id`: the row names it by its id."""
        if self.on_existing is not None:
            return self.on_existing
        return "update" if by_id or self.field or self.on_name_taken == "match" else "fail"

    def hint_for_taken(self, *, by: Literal["row", "record", "key"]) -> str:
        """What can be done about a name that another row or a record has, or about a key that a record has."""
        if by == "row":
            means = ["change one of the two rows"]
        else:
            means = ["give it another name"] if by == "record" else []
            if by == "key" or not self.field:
                means += ["push with --on-existing update to update the record"] * (self.on_existing != "update")
                means += ["with --on-existing skip to leave it as it is"] * (by == "key")
            elif self.on_name_taken != "match":
                means.append("push with --on-name-taken match to update the record that has the name")
            if not self.field:
                means.append("push with --match-by FIELD to identify records by another field")
        if by != "key" and self.on_name_taken not in ("suffix", "allow"):
            means.append("push with --on-name-taken suffix:FIELD to distinguish them")
        return ", or ".join(means)

    @property
    def suffixes_first(self) -> bool:
        """Whether a row whose natural name is taken is sent under another one, whatever the record."""
        return self.on_name_taken == "suffix" and self.on_existing is None

    def follows(self, natural: NaturalKey) -> bool:
        """Whether records that others add during the push decide about rows; else Zoho refuses a second of the name."""
        return bool(self.field) or not natural.name or self.on_name_taken == "suffix" or self.existing() != "fail"


def _is_custom(name: str) -> bool:
    return name.startswith("cf_") and len(name) > 3


def _check_match(destination: Destination, field: str) -> None:
    column = destination.columns.column(field)
    if column is not None and (column.custom or len(column.path) == 1):
        return
    if field == "email" and "contact_persons" in destination.fields:
        return
    raise InputError(
        f"rows of {destination.name} cannot be matched by `{field}`{destination.columns.hint(field)}: "
        "name one of its own fields"
    )
