"""Webhooks of Zoho: whether one comes from Zoho, and which record it names. See docs/webhooks.md.

The signature is that of Zoho Billing ("How Do I Secure My Webhooks in Zoho Billing?", zoho.com/billing/kb/webhooks).
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ._typeguards import is_mapping, scalar_text

__all__ = ["SIGNATURE_HEADER", "Notification", "WebhookError", "parse", "verify"]

SIGNATURE_HEADER = "X-Zoho-Webhook-Signature"
_FORM = "application/x-www-form-urlencoded"
_FIELDS = 1_000
"""Most fields of a form or a query."""
_DEPTH = 4
"""Objects within objects in which ids are looked for."""


class WebhookError(ValueError):
    """The request is not signed with the secret, or cannot be read. The message has nothing of its content."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook says. It is a hint: the record may have changed since, and webhooks get lost.

    Attributes:
        event_id: Zoho's id of the event, to recognise one that is sent again; empty without one.
        event_type: Such as `customer_created`; empty without one.
        ids: The first value of every member named `..._id`, outermost first, such as `customer_id`.
        data: The whole payload.
    """

    event_id: str
    event_type: str
    ids: dict[str, str]
    data: dict[str, Any]


def verify(body: bytes, signature: str | None, secret: str, *, query: str = "", content_type: str = "") -> None:
    """Check that a request was signed with the secret token of a webhook, in constant time.

    Args:
        body: The body as received.
        signature: The header `X-Zoho-Webhook-Signature`; None when there is none.
        secret: The secret token that was entered in Zoho.
        query: The query of the address as received, without `?`.
        content_type: The header `Content-Type`; needed when the payload is a form.

    Raises:
        WebhookError: There is no signature, it is not of this request, the request cannot be read, or `secret` is
            empty.
    """
    _check(body, secret, signature or "", query, content_type)
    if not secret:
        raise WebhookError("the secret is empty: everybody could sign with it")
    if not signature:
        raise WebhookError(f"the request has no header {SIGNATURE_HEADER}")
    form = _is_form(content_type)
    pairs = _pairs(query) + (_pairs(_text(body)) if form else [])
    signed = "".join(name + value for name, value in sorted(pairs, key=lambda pair: pair[0]))
    digest = hmac.digest(_bytes(secret), _bytes(signed) + (b"" if form else body), "sha256")
    given = _bytes(signature.strip())
    # Both are compared, as the document does not say which one is sent.
    is_hex = hmac.compare_digest(given.lower(), digest.hex().encode())
    is_base64 = hmac.compare_digest(given, b64encode(digest))
    if not (is_hex or is_base64):
        raise WebhookError("the signature is not that of this request")


def parse(body: bytes, *, content_type: str = "") -> Notification:
    """Read the payload of a webhook. Call `verify` first.

    Args:
        body: The body as received: a JSON object, or a form, of which a field with a JSON object counts as one.
        content_type: The header `Content-Type`; needed for a form.

    Returns:
        What it says.

    Raises:
        WebhookError: It is neither.
    """
    _check(body, "", "", "", content_type)
    if _is_form(content_type):
        data: dict[str, Any] = {name: _object_in(value) for name, value in _pairs(_text(body))}
    else:
        decoded = _decoded(body)
        if not is_mapping(decoded):
            raise WebhookError("the payload is not a JSON object")
        data = {name: _object_in(value) for name, value in decoded.items()}
    ids: dict[str, str] = {}
    levels: list[Mapping[str, Any]] = [data]
    for _ in range(_DEPTH):
        for one in levels:
            for name, value in one.items():
                if name.endswith("_id") and (text := scalar_text(value)):
                    ids.setdefault(name, text)
        levels = list(_inner(levels))
    names = ("event_id", "event_type")
    event_id, event_type = (scalar_text(data.get(name)) for name in names)
    return Notification(event_id=event_id, event_type=event_type, ids=ids, data=data)


def _check(body: object, *texts: object) -> None:
    if not isinstance(body, bytes):
        raise WebhookError(f"the body must be bytes, not {type(body).__name__}")
    for text in texts:
        if not isinstance(text, str):
            raise WebhookError(f"text is needed, not {type(text).__name__}")


def _is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == _FORM


def _pairs(encoded: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(encoded, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise WebhookError("the form or query is not readable, or has too many fields") from None


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise WebhookError("the form is not text in UTF-8") from None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(body: bytes | str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise WebhookError("the payload is not JSON") from None


def _object_in(value: Any) -> Any:
    """The object that a text holds as JSON; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return _decoded(value)
    except WebhookError:
        return value


def _inner(levels: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for one in levels:
        for value in one.values():
            if is_mapping(value):
                yield value
