"""A small set of specs of made-up products, to break and to generate from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

FIXTURES = Path(__file__).parent / "fixtures" / "specs"
Edit = Callable[[Any], Any]


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A copy of the fixture specs."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "specs"))


@pytest.fixture
def edit(specs: Path) -> Callable[[str, Edit], Path]:
    """Changes one file of the copy: `edit("shop/things.yaml", lambda document: ...)` returns the folder."""

    def apply(name: str, change: Edit) -> Path:
        path = specs / name
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return specs

    return apply
