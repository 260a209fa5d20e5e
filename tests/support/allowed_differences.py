"""Where the documents' examples and the client may differ: every rule and every place, each with its reason.

One list for requests and answers, general rules first. `test_documented_examples.py` fails for what nothing needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()
"""In the place of a value that is not there."""


class Difference(NamedTuple):
    """One place at which the two differ."""

    operation: str
    direction: str
    """`request` or `answer`."""
    edition: str
    path: str
    """Keys joined by dots, `[]` after a list's."""
    documented: Any
    here: Any

    @property
    def name(self) -> str:
        """The last key."""
        return self.path.replace("[]", "").rpartition(".")[2]


class Rule(NamedTuple):
    """A kind of difference that is allowed wherever it occurs."""

    reason: str
    allows: Callable[[Difference], bool]


class Place(NamedTuple):
    """One difference that is allowed where it is."""

    operation: str
    direction: str
    path: str
    reason: str


def _number_becomes_text(it: Difference) -> bool:
    return type(it.documented) is int and it.here == str(it.documented)


TEXT_FIELDS: Final = frozenset({"fax", "mobile", "phone", "reference_number", "tax_reg_no", "vat_reg_no", "zip"})

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "Ids are text everywhere, as the service writes them; the documents print numbers, which many would round.",
        lambda it: it.name.endswith("_id") and _number_becomes_text(it),
    ),
    Rule(
        "Zip codes and numbers of telephones, registers and the like are text: leading zeros, blanks and signs count.",
        lambda it: it.name in TEXT_FIELDS and _number_becomes_text(it),
    ),
    Rule(
        "Amounts are numbers here, with every digit; some examples print them as text.",
        lambda it: isinstance(it.documented, str) and isinstance(it.here, Decimal) and it.documented == str(it.here),
    ),
    Rule(
        "The word `string` in a documented request stands for a value where only some values, or a list, may stand.",
        lambda it: it.direction == "request" and it.documented == "string" and it.here is ABSENT,
    ),
)

PLACES: Final[tuple[Place, ...]] = (
    Place(
        "books.addresses.update",
        "request",
        "address_id",
        "The older edition's body leaves out the address's id, which the newer one has and the service wants.",
    ),
    Place(
        "books.contacts.create",
        "request",
        "contact_persons",
        "The older edition's example has a sentence where the list of persons belongs.",
    ),
)

RECORD_NOT_SHOWN: Final[Mapping[str, str]] = {
    f"books.contact_persons.{method}": f"invoice.contact_persons.{other}"
    for method, other in (("create", "create"), ("update", "update"), ("list", "list"), ("get_of_contact", "get"))
}
"""Operations whose documented answer shows only code and message although it holds records, and the operation of
another product that documents the same answer whole: the records are known from there and from recorded answers.
"""


def reason_for(difference: Difference) -> Rule | Place | None:
    """What allows a difference; None when nothing does."""
    for rule in RULES:
        if rule.allows(difference):
            return rule
    for place in PLACES:
        if (place.operation, place.direction, place.path) == (
            difference.operation,
            difference.direction,
            difference.path,
        ):
            return place
    return None
