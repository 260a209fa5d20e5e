"""How much a command says on stderr: `--quiet` and `--verbose`."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar

from .streams import log_as_json

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def be_quiet() -> None:
    """From now on only errors are reported, no progress."""
    _quiet.set(True)


def is_quiet() -> bool:
    """Whether only errors are reported."""
    return _quiet.get()


def be_verbose(*, json: bool) -> None:
    """From now on every request is reported, with its result and duration; as lines of JSON with `json`."""
    logging.getLogger("zoho_async").setLevel(logging.DEBUG)
    if json:
        log_as_json(logging.DEBUG)
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.getLogger().addHandler(handler)
