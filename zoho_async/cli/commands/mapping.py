"""`zoho-async map` and `zoho-async presets`: mappings of people's files."""

from __future__ import annotations

import sys

from zoho_async import bulk
from zoho_async.cli.console.exit_codes import DONE
from zoho_async.cli.console.runner import Interruption


async def map_command(file: str, name: str, encoding: str | None, interruption: Interruption) -> int:
    """Writes the draft of a mapping to stdout; makes no call."""
    sys.stdout.write(bulk.draft_mapping(file, name, encoding=encoding))
    return DONE


async def presets_command(name: str | None, interruption: Interruption) -> int:
    """Lists the presets, or writes the TOML of one."""
    if name is not None:
        sys.stdout.write(bulk.preset_text(name))
        return DONE
    for one in bulk.presets():
        sys.stdout.write(f"{one}\n    {bulk.read_mapping(one).description}\n")
    return DONE
