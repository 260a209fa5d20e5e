"""Makes aioresponses 0.7.9 work with aiohttp 3.14 and later, until upstream's own fixes are released.

Two defects: a required argument of ClientResponse it does not know, and bodies above 64 KiB, which pause a
transport that is not there. A no-op with an aioresponses or aiohttp that needs neither.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aioresponses import core


def install() -> None:
    """Patch aioresponses once, for the whole test run."""
    arguments = inspect.signature(aiohttp.ClientResponse.__init__).parameters
    if "stream_writer" not in arguments or "stream_writer" in inspect.getsource(core):
        return

    class CompatibleResponse(aiohttp.ClientResponse):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.setdefault("stream_writer", SimpleNamespace(output_size=0))
            super().__init__(*args, **options)

    def stream_reader(loop: Any = None) -> aiohttp.StreamReader:
        protocol = ResponseHandler(loop=loop)
        parser = Mock()
        parser.feed_data.return_value = ((), False, b"")
        protocol._parser = parser
        return aiohttp.StreamReader(protocol, 2**16, loop=loop)

    core.ClientResponse = CompatibleResponse
    core.stream_reader_factory = stream_reader
