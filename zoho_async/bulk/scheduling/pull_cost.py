"""How many calls a pull needs. Nothing here makes one."""

from __future__ import annotations

import msgspec

PER_PAGE = 200
"""Records of a page."""


class PullCost(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that a pull needs, without the client's retries.

    Attributes:
        calls: Of this pull; None where Zoho does not count the list.
        details: Those of `calls` that read records by themselves.
        at_least: Whether more are needed for what has changed.
        allowed: `max_calls`; what is left of `calls` comes with later pulls.
        idle: Of a later pull when nothing has changed; None where Zoho does not count the list.
        daily: What a pull needs more, once a day, to look for deletes.
        in_full: Whether every pull reads the whole list: it cannot be sorted by change, or the file keeps no state.
        records: Records of the list; None where Zoho does not count it.
        reads: Calls that were spent on finding this out.
    """

    calls: int | None
    details: int = 0
    at_least: bool = False
    allowed: int | None = None
    idle: int | None
    daily: int = 0
    in_full: bool = False
    records: int | None = None
    reads: int = 0

    def sentence(self, every: float = 3600.0) -> str:
        """What a pull costs, in one sentence.

        Args:
            every: Seconds from the start of one pull to that of the next.
        """
        if self.calls is None:
            text = "an unknown number of calls now, for Zoho does not count this list"
        elif self.allowed is not None and self.allowed < self.calls:
            text = f"{_calls(self.allowed)} now, of the {self.calls:,} that are needed"
        else:
            text = f"{_calls(self.calls)} now" + f" ({self.details:,} for details)" * bool(self.details)
            text += ", more for what has changed" * self.at_least
        if self.idle is not None:
            text += f", about {max(1, round(self.idle * 3600 / every)):,} an hour when nothing changes"
        if self.daily:
            text += f" and {self.daily:,} once a day to look for deletes"
        return text + ": each pull reads the list in full" * self.in_full


def _calls(number: int) -> str:
    return f"{number:,} call" + "s" * (number != 1)


class PullNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a pull.

    Attributes:
        records: Records of the list; None where Zoho does not count it.
        is_sorted: Whether the list can be sorted by the time of change.
        keeps_state: Whether the file remembers what has changed (SQLite).
        is_copy: Whether the file has a whole copy already.
        pages_left: Pages of an interrupted reading; None when there is none.
        details: Records that are read by themselves, besides those that have changed.
        changed: Records that have changed; None when not known.
        each_changed: Whether changed records are read by themselves.
        looks_for_deletes: Whether this pull reads the ids of the whole list.
        sweeps: Whether a pull a day does so.
    """

    records: int | None
    is_sorted: bool
    keeps_state: bool
    is_copy: bool = False
    pages_left: int | None = None
    details: int = 0
    changed: int | None = None
    each_changed: bool = False
    looks_for_deletes: bool = False
    sweeps: bool = True


def pull_cost(needs: PullNeeds, *, max_calls: int | None = None, reads: int = 0) -> PullCost:
    """The calls of a pull, of the next ones, and of its daily search for deletes.

    Args:
        needs: What is known.
        max_calls: Most calls of the pull.
        reads: Calls that were spent on finding out.
    """
    pages = None if needs.records is None else max(1, -(-needs.records // PER_PAGE))
    first, idle, daily = _whole_list(pages, is_sorted=needs.is_sorted, keeps_state=needs.keeps_state)
    daily = daily if needs.sweeps else 0
    details, at_least = needs.details, False
    if needs.is_copy and needs.is_sorted and needs.keeps_state:
        at_least = needs.changed is None
        changed = needs.changed or 0
        details += changed if needs.each_changed else 0
        listing = None if idle is None else idle + changed // PER_PAGE + (daily if needs.looks_for_deletes else 0)
    elif needs.pages_left is not None:
        # And what has changed meanwhile, and the count.
        listing = needs.pages_left + 2
    else:
        listing = idle if needs.is_copy else first
        details += (needs.changed or 0) if needs.each_changed and needs.is_copy else 0
    return PullCost(
        calls=None if listing is None else listing + details,
        details=details,
        at_least=at_least,
        allowed=max_calls,
        idle=idle,
        daily=daily,
        in_full=not (needs.is_sorted and needs.keeps_state),
        records=needs.records,
        reads=reads,
    )


def _whole_list(pages: int | None, *, is_sorted: bool, keeps_state: bool) -> tuple[int | None, int | None, int]:
    """Calls of a first pull, of an idle one, and once a day more."""
    if pages is None:
        return None, 2 if is_sorted and keeps_state else None, 0
    if pages == 1:
        # One page shows everything.
        return 1, 1, 0
    if is_sorted and keeps_state:
        # First: the newest page, a count, the pages, the newest page and a count again.
        return pages + 4, 2, pages + 2
    if is_sorted:
        return pages + 2, pages + 2, 0
    return pages + 3, pages + 1 if keeps_state else pages + 3, 0
