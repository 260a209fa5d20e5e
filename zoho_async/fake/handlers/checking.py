"""Checks of a request against its operation: path, parameters, and the body by the documented rules. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from zoho_async._typeguards import is_list, is_mapping
from zoho_async.fake.refusals import Refusal, invalid_value, malformed, missing, not_allowed, not_found, too_long
from zoho_async.schema.validation import Rule, Rules, rules_of, validate

from .handler import HandlerCall

if TYPE_CHECKING:
    from zoho_async.schema.operation import Operation, Parameter

_ALWAYS_ALLOWED = ("organization_id", "JSONString", "page", "per_page", "response_option")
"""Query names of every call, or of every list."""
_LONGEST_ID = 19


def check_path(path: Mapping[str, str]) -> None:
    """Refusal 1002 for an id that is not made of digits."""
    for name, value in path.items():
        if name == "reference_id":
            continue
        if not (value.isascii() and value.isdigit() and len(value) <= _LONGEST_ID):
            raise not_found(name.removesuffix("_id").replace("_", " ").capitalize())


def check_parameters(call: HandlerCall) -> None:
    """Query and headers: names (4), types (2), closed values (4), lengths (15), required ones (6)."""
    known = {parameter.name: parameter for parameter in call.operation.parameters}
    for name in call.query:
        if name not in _ALWAYS_ALLOWED and (name not in known or known[name].location != "query"):
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
    """The body as Zoho reads it: numbers sent for texts become texts. The first broken rule is a Refusal.

    Undocumented fields are ignored, as on the service; rules that the documents contradict are not enforced.
    """
    struct = operation.request
    if not isinstance(struct, type) or struct is dict:
        return dict(body)
    tables = rules_of(struct)
    coerced = _coerced(body, struct.__name__, tables)
    for fault in validate(coerced, struct):
        if fault.warning or fault.rule == "unknown":
            continue
        raise _refusal_for(fault.path, fault.rule, _rule_at(fault.path, struct.__name__, tables))
    return coerced


def _check_value(parameter: Parameter, value: str) -> None:
    if parameter.values and value not in parameter.values:
        raise not_allowed(parameter.name)
    if parameter.max_length is not None and len(value) > parameter.max_length:
        raise too_long(parameter.name, parameter.max_length)
    if parameter.type in ("integer", "number"):
        number = read_number(value)
        if number is None or (parameter.type == "integer" and not value.isdigit()):
            raise invalid_value(parameter.name)
        if parameter.maximum is not None and number > parameter.maximum and parameter.name != "per_page":
            raise invalid_value(parameter.name)
    fits = _TYPE_CHECKS.get(parameter.type)
    if fits is not None and not fits(value):
        raise invalid_value(parameter.name)


def _refusal_for(path: str, rule: str, found: Rule | None) -> Refusal:
    if rule == "required":
        return missing(path)
    if rule == "max_length" and found is not None and found.max_length is not None:
        return too_long(path, found.max_length)
    return not_allowed(path) if rule == "values" else malformed() if path == "body" else invalid_value(path)


def _rule_at(path: str, schema: str, tables: Rules) -> Rule | None:
    rule: Rule | None = None
    for name in path.split("."):
        rule = tables.get(schema, {}).get(name.partition("[")[0])
        if rule is None:
            return None
        schema = rule.schema
    return rule


def _coerced(body: Mapping[str, Any], schema: str, tables: Rules) -> dict[str, Any]:
    rules = tables.get(schema, {})
    return {
        name: _coerced_value(value, rules[name], tables) if name in rules else value for name, value in body.items()
    }


def _coerced_value(value: Any, rule: Rule, tables: Rules) -> Any:
    if rule.kind == "string" and isinstance(value, int | Decimal) and not isinstance(value, bool):
        # Zip codes and phone numbers are sent as numbers, in the documents too.
        return str(value)
    if rule.kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if rule.kind in ("integer", "number") and isinstance(value, str):
        number = read_number(value)
        if number is not None and (rule.kind == "number" or number == number.to_integral_value()):
            return number if rule.kind == "number" else int(number)
        return value
    if value == "":
        return None
    if rule.kind == "object" and rule.schema and is_mapping(value):
        return _coerced(value, rule.schema, tables)
    if rule.kind == "array" and rule.schema and is_list(value):
        return [_coerced(item, rule.schema, tables) if is_mapping(item) else item for item in value]
    return value


def read_number(text: str) -> Decimal | None:
    """The number that a text holds, None when it holds none or one of absurd size."""
    if len(text) > 40:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # Six characters with an exponent could be an integer of a million digits.
    return number if number.is_finite() and abs(number.adjusted()) < 40 else None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


_TYPE_CHECKS: dict[str, Callable[[str], bool]] = {"boolean": lambda text: text in ("true", "false"), "date": _is_date}
