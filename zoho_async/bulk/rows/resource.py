"""What the bulk layer needs to know of a resource, read off its generated module; no resource is named here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from zoho_async.bulk.errors import InputError
from zoho_async.schema.operation import Operation, Parameter
from zoho_async.schema.registry import OPERATIONS
from zoho_async.schema.validation import Rule, Rules
from zoho_async.transport import hooks

from .columns import Columns

if TYPE_CHECKING:
    from zoho_async.billing.customers import Customers as BillingCustomers
    from zoho_async.books.contact_persons import ContactPersons as BooksContactPersons
    from zoho_async.books.contacts import Contacts
    from zoho_async.expense.customers import Customers as ExpenseCustomers
    from zoho_async.invoice.contact_persons import ContactPersons as InvoiceContactPersons

    PushableResource: TypeAlias = (
        Contacts | BooksContactPersons | InvoiceContactPersons | ExpenseCustomers | BillingCustomers
    )
    """The resources of a client that can be pushed, those of `NATURAL_KEYS`, for type checkers."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """One resource of a client, with its operations by the names of its methods."""

    resource: Any
    """The generated object, for example `zoho.books.contacts`."""
    name: str
    """Product and resource, for example `books.contacts`."""
    operations: dict[str, Operation[Any]]
    rules: Rules

    @classmethod
    def of(cls, resource: Any) -> Destination:
        """The destination behind `zoho.<product>.<resource>`; TypeError for anything else."""
        home = type(resource).__module__
        name = next((name.rpartition(".")[0] for name, (module, _) in OPERATIONS.items() if module == home), None)
        if name is None:
            raise TypeError(f"{resource!r} is no resource of a client, such as zoho.books.contacts")
        return msgspec.structs.replace(cls.named(name), resource=resource)

    @classmethod
    def named(cls, name: str) -> Destination:
        """The destination `<product>.<resource>`, bound to no client yet; InputError when there is none."""
        homes = {key: place for key, place in OPERATIONS.items() if key.rpartition(".")[0] == name}
        if not homes:
            known = ", ".join(dict.fromkeys(key.rpartition(".")[0].replace(".", " ") for key in OPERATIONS))
            raise InputError(f"there is no `{name.replace('.', ' ')}`; there is: {known}")
        found = {key.rpartition(".")[2]: getattr(import_module(home), const) for key, (home, const) in homes.items()}
        home = next(iter(homes.values()))[0].rpartition(".")[0]
        rules: Any = import_module(f"{home}.rules")
        return cls(resource=None, name=name, operations=found, rules=rules.RULES)

    @property
    def label(self) -> str:
        """Distinguishes it from other destinations: place, organisation and resource."""
        return " ".join((*self.origin, self.name))

    @property
    def origin(self) -> tuple[str, str]:
        """Place (address or data centre) and organisation its records belong to."""
        return hooks.origin(self.resource) if self.resource is not None else ("", "")

    @property
    def natural(self) -> NaturalKey:
        """What identifies its records when no id is known."""
        return NATURAL_KEYS.get(self.name, NaturalKey())

    def check_pushable(self) -> None:
        """Raises InputError when rows cannot be pushed to it."""
        if self.name not in NATURAL_KEYS:
            known = ", ".join(name.replace(".", " ") for name in NATURAL_KEYS)
            raise InputError(f"{self.name.replace('.', ' ')} cannot be pushed; what can: {known}")

    @property
    def schema(self) -> Any:
        """The struct a new record is made of; what a row must satisfy, whichever way it is pushed."""
        return self.operations["create"].request

    @property
    def columns(self) -> Columns:
        """The columns a row may have."""
        return Columns(self.rules, self.schema.__name__)

    @property
    def record_id(self) -> str:
        """Name of the field that identifies a record."""
        listing = self.operations.get("list")
        return listing.row_id if listing is not None else ""

    @property
    def name_field(self) -> str:
        """The field people know a record by; empty when there is none."""
        return self.natural.name

    @property
    def fields(self) -> Mapping[str, Rule]:
        """What a new record may hold, by name."""
        return self.rules.get(self.schema.__name__, {})

    @property
    def update_schema(self) -> str:
        """Name of the struct an update is made of."""
        request: Any = self.operations["update"].request
        return str(request.__name__)

    @property
    def filters(self) -> dict[str, Parameter]:
        """Filters of its list, by name."""
        return {one.name: one for one in self.operations["list"].parameters if one.location == "query"}


def required_path(operation: Operation[Any]) -> list[str]:
    """Names of the ids that stand in an operation's path."""
    return [parameter.name for parameter in operation.parameters if parameter.location == "path"]


class NaturalKey(msgspec.Struct, frozen=True, kw_only=True):
    """The natural key of a resource that can be pushed."""

    name: str = ""
    """The field that names a record. Zoho refuses a second record of a name with code 3062, unless an organisation has
    allowed equal names in its settings."""
    name_scope: str = ""
    """The field within whose values names are unique; empty: within all."""
    default_name_scope: str = ""
    """What `name_scope` is when a row does not say."""
    parent: str = ""
    """The field that names the record it belongs to; such records are listed by it, and have no name of their own."""

    @property
    def field(self) -> str:
        """The field whose value is the key: the name, or the e-mail within the parent."""
        return self.name or ("email" if self.parent else "")


NATURAL_KEYS: Final[Mapping[str, NaturalKey]] = {
    "books.contacts": NaturalKey(name="contact_name", name_scope="contact_type", default_name_scope="customer"),
    "books.contact_persons": NaturalKey(parent="contact_id"),
    "invoice.contact_persons": NaturalKey(parent="contact_id"),
    "expense.customers": NaturalKey(name="contact_name"),
    "billing.customers": NaturalKey(name="display_name"),
}
"""The resources that can be pushed."""
