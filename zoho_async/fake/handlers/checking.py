"""Checks a request against its operation: parameters by the registry, the body by the rules of the documents. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

from zoho_async.schema.validation import Rule, Rules, rules_of, validate

from .handler import Call, Refusal, invalid, malformed, missing, not_allowed, too_long, unknown

if TYPE_CHECKING:
    from zoho_async.schema.operation import Operation, Parameter

_ALWAYS = ("organization_id", "JSONString", "page", "per_page", "response_option")
"""Query names no operation is asked about: they go with every call, or with every list."""
_LONGEST_ID = 19


def check_path(path: Mapping[str, str]) -> None:
    """Ids are digits: anything else names no record (Refusal 1002)."""
    for name, value in path.items():
        if name == "reference_id":
            continue
        if not (value.isascii() and value.isdigit() and len(value) <= _LONGEST_ID):
            raise unknown(name.removesuffix("_id").replace("_", " ").capitalize())


def check_parameters(call: Call) -> None:
    """Names (4), kinds (2), closed values (4), lengths (15), and what must be there (6) of query and headers."""
    known = {parameter.name: parameter for parameter in call.operation.parameters}
    for name in call.query:
        if name not in _ALWAYS and (name not in known or known[name].location != "query"):
            raise not_allowed(name)
    for name, parameter in known.items():
        if parameter.location == "path":
            continue
        value = (call.query if parameter.location == "query" else call.headers).get(name, "")
        if not value:
            if parameter.required:
                raise missing(name)
            continue
        _check_value(parameter, value)


def check_body(operation: Operation[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as Zoho reads it: numbers sent for texts are texts. The first broken rule is a Refusal.

    Fields nobody documents are ignored, as the service does; rules the documents contradict are not enforced.
    """
    struct = operation.request
    if not isinstance(struct, type) or struct is dict:
        return dict(body)
    tables = rules_of(struct)
    bent = _bent(body, struct.__name__, tables)
    for fault in validate(bent, struct):
        if fault.warning or fault.rule == "unknown":
            continue
        raise _refusal(fault.path, fault.rule, _rule(fault.path, struct.__name__, tables))
    return bent


def _check_value(parameter: Parameter, value: str) -> None:
    if parameter.values and value not in parameter.values:
        raise not_allowed(parameter.name)
    if parameter.max_length is not None and len(value) > parameter.max_length:
        raise too_long(parameter.name, parameter.max_length)
    if parameter.type in ("integer", "number"):
        number = _number(value)
        if number is None or (parameter.type == "integer" and not value.isdigit()):
            raise invalid(parameter.name)
        if parameter.maximum is not None and number > parameter.maximum and parameter.name != "per_page":
            raise invalid(parameter.name)
    fits = _KINDS.get(parameter.type)
    if fits is not None and not fits(value):
        raise invalid(parameter.name)


def _refusal(path: str, rule: str, found: Rule | None) -> Refusal:
    if rule == "required":
        return missing(path)
    if rule == "max_length" and found is not None and found.max_length is not None:
        return too_long(path, found.max_length)
    return not_allowed(path) if rule == "values" else malformed() if path == "body" else invalid(path)


def _rule(path: str, schema: str, tables: Rules) -> Rule | None:
    rule: Rule | None = None
    for name in path.split("."):
        rule = tables.get(schema, {}).get(name.partition("[")[0])
        if rule is None:
            return None
        schema = rule.schema
    return rule


def _bent(body: Mapping[str, Any], schema: str, tables: Rules) -> dict[str, Any]:
    rules = tables.get(schema, {})
    return {name: _bent_value(value, rules[name], tables) if name in rules else value for name, value in body.items()}


def _bent_value(value: Any, rule: Rule, tables: Rules) -> Any:
    if rule.kind == "string" and isinstance(value, int | Decimal) and not isinstance(value, bool):
        # Zip codes and phone numbers are often sent as numbers; the documents do it themselves.
        return str(value)
    if rule.kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if rule.kind in ("integer", "number") and isinstance(value, str):
        number = _number(value)
        if number is not None and (rule.kind == "number" or number == number.to_integral_value()):
            return number if rule.kind == "number" else int(number)
        return value
    if value == "":
        return None
    if rule.kind == "object" and rule.schema and isinstance(value, Mapping):
        return _bent(cast("Mapping[str, Any]", value), rule.schema, tables)
    if rule.kind == "array" and rule.schema and isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast] # pyright wants it
        return [
            _bent(cast("Mapping[str, Any]", item), rule.schema, tables) if isinstance(item, Mapping) else item
            for item in items
        ]
    return value


def _number(text: str) -> Decimal | None:
    if len(text) > 40:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # An exponent would make an integer of a million digits out of six characters.
    return number if number.is_finite() and abs(number.adjusted()) < 40 else None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


_KINDS: dict[str, Callable[[str], bool]] = {"boolean": lambda text: text in ("true", "false"), "date": _is_date}
