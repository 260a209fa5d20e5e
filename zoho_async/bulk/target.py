"""What the bulk layer needs to know of a resource, read off its generated module; no resource is named here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec

from zoho_async.operation import Operation
from zoho_async.registry import OPERATIONS

from .columns import Columns, Rules
from .problems import InputError


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One resource of a client, with its operations by the names of its methods."""

    resource: Any
    """The generated object, for example `zoho.books.contacts`."""
    name: str
    """Product and resource, for example `books.contacts`."""
    operations: dict[str, Operation[Any]]
    rules: Rules

    @classmethod
    def of(cls, resource: Any) -> Target:
        """The target behind `zoho.<product>.<resource>`; TypeError for anything else."""
        home = type(resource).__module__
        name = next((name.rpartition(".")[0] for name, (module, _) in OPERATIONS.items() if module == home), None)
        if name is None:
            raise TypeError(f"{resource!r} is no resource of a client, such as zoho.books.contacts")
        return msgspec.structs.replace(cls.named(name), resource=resource)

    @classmethod
    def named(cls, name: str) -> Target:
        """The target `<product>.<resource>`, bound to no client yet. InputError when there is none of that name."""
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
        """What tells it from other targets: place, organisation and resource."""
        return " ".join((*self.origin, self.name))

    @property
    def origin(self) -> tuple[str, str]:
        """Place (address or data centre) and organisation its records belong to."""
        settings: Any = getattr(getattr(self.resource, "_transport", None), "settings", None)
        place = getattr(settings, "api_url", None) or getattr(settings, "data_center", "")
        return str(place), str(getattr(settings, "organization_id", ""))

    def writer(self, *, upsert: bool) -> Operation[Any]:
        """The operation rows are pushed with. InputError when the resource cannot be pushed that way."""
        operation = self.operations.get("upsert" if upsert else "create")
        create = self.operations.get("create")
        if create is None or create.request is None or len(required_path(create)) > 0:
            raise InputError(f"{self.name} cannot be pushed: it has no operation that creates records from rows")
        if operation is None:
            raise InputError(f"{self.name} cannot be pushed with a unique field: it has no upsert")
        return operation

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
        """The field a record can be looked up by when nothing else is known: required in a new record, and a filter
        of the list. Empty when there is none."""
        listing = self.operations.get("list")
        if listing is None:
            return ""
        filters = {parameter.name for parameter in listing.parameters if parameter.location == "query"}
        fields = self.rules.get(self.schema.__name__, {})
        return next((name for name, rule in fields.items() if rule.required and name in filters), "")


def required_path(operation: Operation[Any]) -> list[str]:
    """Names of the ids that stand in an operation's path."""
    return [parameter.name for parameter in operation.parameters if parameter.location == "path"]
