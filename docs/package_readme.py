"""The README of the package: its links lead to the repository named in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s]+)\)")


class PackageReadme(MetadataHookInterface):
    """Sets `project.readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read the README and make its links absolute.

        Args:
            metadata: The `project` table.
        """
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        base = f"{metadata['urls']['Repository']}/blob/main"
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _RELATIVE.sub(lambda found: f"]({base}/{found[1]})", text),
        }
