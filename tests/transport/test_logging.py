"""The ear that listens for secrets during the whole suite does hear."""

from __future__ import annotations

import logging

from support.secrets import SECRETS, Eavesdropper


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
