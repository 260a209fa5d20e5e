"""What the response to one attempt means: its result, or why it cannot be read."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from zoho_async.schema.operation import Operation
from zoho_async.wire.decoding import UNREADABLE, Decoded, Decoders
from zoho_async.wire.encoding import EncodedRequest
from zoho_async.wire.lenient import charset_of, error_message

from .retry_policy import RESPONDED, AttemptOutcome

if TYPE_CHECKING:
    from .http import HttpResult


def decode(
    decoders: Decoders, operation: Operation[Any], request: EncodedRequest, type: Any, result: HttpResult
) -> None:
    """Decode the response that an attempt has met, its result as `type`. It raises nothing."""
    if result.outcome.sent != RESPONDED:
        return
    try:
        read = _decode(decoders, operation, request, type, result)
    except Exception:  # noqa: BLE001 - what cannot be read is lost, whatever the reason
        read = UNREADABLE
    status = result.outcome.status
    detail = f"HTTP {status} without a result code" if read.code is None else f"HTTP {status} code {read.code}"
    result.decoded = read
    result.outcome = AttemptOutcome(sent=RESPONDED, status=status, code=read.code, detail=detail)


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> tuple[str, str | None]:
    """The media type and the charset of a `Content-Type` header."""
    return content_type.partition(";")[0].strip().lower(), charset_of(content_type)


def _decode(
    decoders: Decoders, operation: Operation[Any], request: EncodedRequest, type: Any, result: HttpResult
) -> Decoded:
    status, body = result.outcome.status, result.body
    media_type, charset = _media_type(result.headers.get("Content-Type", ""))
    if status >= 300:
        read = decoders.code_and_message(body, charset)
    elif operation.kind == "any":
        accept = "".join(value for name, value in request.headers.items() if name.lower() == "accept")
        html = request.method == "GET" and "html" in accept
        read = decoders.any(operation, type, body, status=status, media_type=media_type, charset=charset, html=html)
    elif operation.kind == "file":
        whole = None if result.saved > len(body) else body
        named = "Content-Disposition" in result.headers
        read = decoders.file(whole, media_type=media_type, named=named, charset=charset)
    else:
        read = decoders.decode(operation, type, body, charset)
    if read.code != 0 and read.message is None:
        return msgspec.structs.replace(read, message=error_message(body, charset))
    return read
