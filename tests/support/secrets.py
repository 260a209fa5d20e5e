"""Every secret of the suite, and a log handler that hears them."""

from __future__ import annotations

import logging
import re

SECRETS = {"secret-token", "client-secret", "refresh-secret"}
"""Every secret the suite uses; those a fake deals out are added as it does."""


WORD = re.compile(r"[\w.\-]{6,}")
"""Any secret is one such word, whatever stands around it."""


class Eavesdropper(logging.Handler):
    """Remembers every word that is logged, extras included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.update(WORD.findall(f"{record.getMessage()} {record.__dict__} {record.exc_text}"))
