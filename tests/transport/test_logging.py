"""The ear that listens for secrets during the whole suite does hear."""

from __future__ import annotations

import logging

import pytest
from support.secrets import SECRETS, Eavesdropper

from zoho_async.transport.http import HttpResult
from zoho_async.transport.retry_policy import RESPONDED, AttemptOutcome
from zoho_async.wire.decoding import Decoded
from zoho_async.wire.encoding import EncodedRequest
from zoho_async.wire.multipart import FormPart


@pytest.mark.parametrize(
    "holder",
    [
        EncodedRequest(method="POST", target="/oauth/v2/token", headers={"a": "private"}, body=b"private"),
        HttpResult(outcome=AttemptOutcome(sent=RESPONDED), headers={"a": "private"}, body=b"private"),
        Decoded(code=0, message="private", data={"a": "private"}),
        FormPart(name="a", content=b"private", content_type="text/plain"),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_what_holds_a_request_or_response_does_not_show_it(holder: object) -> None:
    assert "private" not in f"{holder!r} {holder}"


def test_a_secret_in_a_message_an_extra_or_an_error_is_heard() -> None:
    logger = logging.getLogger("heard")
    for note in (
        lambda: logger.info("token=%s&x", "secret-token"),
        lambda: logger.info("fine", extra={"header": "Zoho-oauthtoken secret-token"}),
        lambda: logger.error("fine", exc_info=ValueError("secret-token!")),
    ):
        ear = Eavesdropper()
        ear.setFormatter(logging.Formatter())
        logger.addHandler(ear)
        logger.setLevel(logging.INFO)
        note()
        assert ear.heard & SECRETS == {"secret-token"}
        logger.removeHandler(ear)
