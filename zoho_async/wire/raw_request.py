"""Requests of paths that have no operation here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoho_async.errors import ConfigError, Fault
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import PRODUCTS

from .encoding import EncodedRequest, invalid_request, is_header_safe, parameter_text, target, to_json

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def raw_request(
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None,
    headers: Mapping[str, Any] | None,
    body: Any,
    organization_id: str | None,
) -> tuple[Operation[Any], EncodedRequest]:
    """The request of `Zoho.request`, and an operation that describes it.

    Raises:
        ConfigError: The method or the path is invalid.
        InvalidError: A header or the body cannot be sent.
    """
    method, path = _check_target(method, path)
    product = next((product for product in PRODUCTS.values() if path.startswith(f"{product.root}/")), None)
    pairs = {name: parameter_text(value) for name, value in (query or {}).items() if value is not None}
    fields = {name: parameter_text(value) for name, value in (headers or {}).items() if value is not None}
    for name, value in fields.items():
        if not is_header_safe(value):
            fault = Fault(path=name, rule="header", message="contains characters that HTTP headers do not allow")
            raise invalid_request(f"{method} {path}", [fault], organization_id=organization_id)
    parameter = product.organization if product is not None else None
    if parameter is not None and organization_id is not None:
        (pairs if parameter.location == "query" else fields).setdefault(parameter.name, organization_id)
    content = None if body is None else to_json(body)
    given = {name.lower() for name in fields}
    if content is not None and "content-type" not in given:
        fields["Content-Type"] = "application/json"
    if "accept" not in given:
        fields["Accept"] = "application/json, */*;q=0.5"
    operation = Operation[Any](
        id=f"{method} {path}",
        product=product.name if product is not None else "",
        method=method,
        path=path,
        scope="",
        title="",
        kind="any",
        idempotent=method == "GET",
    )
    return operation, EncodedRequest(method=method, target=target(path, pairs), headers=fields, body=content)


def _check_target(method: str, path: str) -> tuple[str, str]:
    if not path.startswith("/") or "?" in path or "#" in path or {".", ".."} & set(path.split("/")):
        raise ConfigError(f"{path!r} is not a path: it starts with / and has no query (use query=)")
    if method.upper() not in _METHODS:
        raise ConfigError(f"{method!r} is not one of {', '.join(_METHODS)}")
    from urllib.parse import quote  # 3 ms that `import zoho_async` need not pay

    return method.upper(), quote(path, safe="/%:@!$&'()*+,;=~")
