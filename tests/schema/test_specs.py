"""The specs are OpenAPI for any tool, not only for our generator."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.documented import SPECS

FILES = sorted(SPECS.rglob("*.yaml"))


@cache
def plain(path: Path) -> Any:
    """The file as any YAML reader has it."""
    return yaml.load(path.read_bytes(), yaml.CSafeLoader)


def name(path: Path) -> str:
    return path.relative_to(SPECS).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_each_file_alone_is_valid(path: Path) -> None:
    validator = OpenAPIV31SpecValidator(plain(path), base_uri=path.as_uri())
    assert [error.message for error in validator.iter_errors()] == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_reference_leads_somewhere(path: Path) -> None:
    """As a viewer follows them: relative to the file, with a plain YAML reader."""
    nowhere = [reference for reference in references(plain(path)) if not leads(path, reference)]
    assert not nowhere


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def leads(path: Path, reference: str) -> bool:
    file, _, pointer = reference.partition("#")
    target = (path.parent / file).resolve() if file else path
    if not target.is_file() or not target.is_relative_to(SPECS):
        return False
    value: Any = plain(target)
    for key in pointer.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def test_a_broken_reference_would_be_noticed() -> None:
    path = SPECS / "books" / "contacts.yaml"
    assert leads(path, "common.yaml#/components/parameters/contact_id")
    assert not leads(path, "common.yaml#/components/parameters/contact")
    assert not leads(path, "nothing.yaml#/components")
