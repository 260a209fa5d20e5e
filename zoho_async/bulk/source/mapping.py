"""Mappings: TOML files that say what becomes of a file's columns; presets are mappings that come with the package."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError, printable
from zoho_async.schema.suggestions import did_you_mean

from .encodings import encoding_of
from .reading import Reading
from .templates import Template, columns_of, parse_template
from .text import comparable, listed

_TEXTS = ("description", "header_from", "product", "resource")
_TABLES = ("read", "columns", "fields", "constants", "values", "group")
_LIKE, _OWN = 5, 2
"""Columns of a header that a preset must have, and those of them that no other preset has, to be suggested."""
_KNOWN = (*_TEXTS, "ignore", "optional_columns", *_TABLES)


class Grouping(msgspec.Struct, frozen=True, kw_only=True):
    """How adjacent rows become one record.

    Attributes:
        by: Columns; the first filled one is the key of the group.
        into: The list that every row gives one item to, `contact_persons`.
        fields: What an item of the second and further rows is made of, by its field; empty: as in the first row.
    """

    by: tuple[str, ...]
    into: str
    fields: Mapping[str, tuple[Template, ...]]


class FileMapping(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the columns of a file; made by `read_mapping`.

    Attributes:
        name: Where it is from: a path, or the name of a preset.
        description: What files it is for.
        header_from: Where a preset's columns are from.
        product: The product that its targets belong to; empty: any.
        resource: The resource that its targets belong to; empty: any.
        reading: How the file is read.
        columns: Column to the fields that get its cells.
        fields: Field to the templates of which the first that is filled counts.
        objects: The fields that are filled together: of each object the alternatives of which the first that has any
            value counts, as fields and their templates. Its fields are in `fields` too.
        constants: Field to what every row has in it.
        values: Field to a table of words and what is written instead.
        ignore: Columns that go nowhere; `*` stands for any text.
        group: How rows become one record; None: each row is one.
        optional_columns: Whether columns that the file lacks count as empty.
    """

    name: str
    description: str = ""
    header_from: str = ""
    product: str = ""
    resource: str = ""
    reading: Reading = msgspec.field(default_factory=Reading)
    columns: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    fields: Mapping[str, tuple[Template, ...]] = msgspec.field(default_factory=dict[str, tuple[Template, ...]])
    objects: tuple[tuple[Mapping[str, tuple[Template, ...]], ...], ...] = ()
    constants: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    values: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict[str, Mapping[str, str]])
    ignore: tuple[str, ...] = ()
    group: Grouping | None = None
    optional_columns: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """The fields that it can fill."""
        every = [one for targets in self.columns.values() for one in targets]
        return tuple(dict.fromkeys([*every, *self.fields, *self.constants]))

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it names."""
        made = columns_of([one for templates in self.fields.values() for one in templates])
        return (*self.columns, *made, *(self.group.by if self.group is not None else ()))


def presets() -> tuple[str, ...]:
    """The names of the mappings that come with the package."""
    return tuple(sorted(Path(one.name).stem for one in _folder().iterdir() if one.name.endswith(".toml")))


def preset_text(name: str) -> str:
    """The TOML of a preset.

    Args:
        name: One of `presets()`.

    Raises:
        InputError: There is none of that name.
    """
    if name not in presets():
        hint = did_you_mean(name, presets(), most=1) or f"there is: {', '.join(presets())}"
        raise InputError(f"there is no preset `{printable(name, 100)}`; {hint}")
    return str((_folder() / f"{name}.toml").read_text(encoding="utf-8"))


def preset_hint(names: Sequence[str], resource: str) -> str:
    """The preset that a header is probably of, as the end of a sentence; empty when it is of none."""
    # What is written like a field is one, not another program's column.
    header = {comparable(name) for name in names if not re.fullmatch(r"[a-z0-9_.\[\]]+", name)}
    known: dict[str, set[str]] = {}
    for name in presets():
        mapping = read_mapping(name)
        if f"{mapping.product}.{mapping.resource}" == resource:
            known[name] = {comparable(one) for one in mapping.sources} & header
    if not known:
        return ""
    best = max(known, key=lambda name: len(known[name]))
    others = set[str]().union(*(found for name, found in known.items() if name != best))
    if len(known[best]) < _LIKE or len(known[best] - others) < _OWN:
        return ""
    return f"; the preset {best} has {len(known[best]):,} of its {len(names):,} columns: --preset {best}"


def read_mapping(source: str | Path) -> FileMapping:
    """Reads a mapping.

    Args:
        source: A TOML file, or the name of a preset.

    Returns:
        The mapping, for `open_rows`.

    Raises:
        InputError: There is no such file or preset, it is no TOML, or it says something that is not known or not
            possible.
    """
    if isinstance(source, str) and not source.lower().endswith(".toml") and not Path(source).is_file():
        return parse_mapping(preset_text(source), source)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8, which TOML must be") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse_mapping(text, str(path))


def parse_mapping(text: str, name: str) -> FileMapping:
    """The mapping that a TOML text says; `name` is the file, for messages.

    Raises:
        InputError: It is no TOML, or says something that is not known or not possible.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: is no TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{name}: is no TOML that can be read: it is nested too deeply") from None
    try:
        found = _mapping(table, name)
    except ValueError as error:
        raise error if isinstance(error, InputError) else InputError(f"{name}: {error}") from None
    return found


def _folder() -> Any:
    return files("zoho_async.bulk.source") / "presets"


def _mapping(table: Mapping[str, Any], name: str) -> FileMapping:
    _known(table, _KNOWN, "")
    columns = {column: _texts(targets, f"[columns] {column}") for column, targets in _table(table, "columns").items()}
    fields, objects = _fields(_table(table, "fields"))
    constants = {target: _word(value, f"[constants] {target}") for target, value in _table(table, "constants").items()}
    values: dict[str, dict[str, str]] = {}
    for target, words in _table(table, "values").items():
        if not is_mapping(words):
            raise ValueError(f'[values] must hold tables, such as [values."billing_address.country"], not `{target}`')
        pairs = {comparable(word): _word(value, f"[values] {word}") for word, value in words.items()}
        if len(pairs) < len(words):
            raise ValueError(f'[values."{target}"] has a word twice: they are compared without case and punctuation')
        values[target] = pairs
    group = _group(table.get("group"))
    found = FileMapping(
        name=name,
        **{key: _word(table.get(key, ""), key) for key in _TEXTS},
        reading=_reading(_table(table, "read")),
        columns=columns,
        fields=fields,
        objects=objects,
        constants=constants,
        values=values,
        ignore=_texts(table.get("ignore", []), "ignore"),
        group=group,
        optional_columns=_flag(table.get("optional_columns", False), "optional_columns"),
    )
    _check_targets(found)
    return found


_Alternative = Mapping[str, tuple[Template, ...]]


def _fields(table: Mapping[str, Any]) -> tuple[dict[str, tuple[Template, ...]], tuple[tuple[_Alternative, ...], ...]]:
    """The fields and their templates; and those that are filled together, given as `[[fields.billing_address]]`."""
    fields: dict[str, tuple[Template, ...]] = {}
    objects: list[tuple[_Alternative, ...]] = []
    for target, value in table.items():
        if not (is_sequence(value) and value and all(is_mapping(one) for one in value)):
            fields[target] = _templates(value, f"[fields] {target}")
            continue
        objects.append(
            tuple(
                {f"{target}.{name}": _templates(text, f"[[fields.{target}]] {name}") for name, text in one.items()}
                for one in value
            )
        )
    for alternatives in objects:
        for name in dict.fromkeys(name for one in alternatives for name in one):
            if name in fields:
                raise ValueError(
                    f"two sources for one field: [fields] `{name}` and [[fields.{name.rpartition('.')[0]}]]"
                )
            fields[name] = tuple(template for one in alternatives for template in one.get(name, ()))
    return fields, tuple(objects)


def _check_targets(mapping: FileMapping) -> None:
    sources: dict[str, list[str]] = {}
    for column, targets in mapping.columns.items():
        for target in targets:
            if target == "*":
                continue
            sources.setdefault(comparable(target), []).append(f"the column `{column}`")
    for target in mapping.fields:
        sources.setdefault(comparable(target), []).append(f"[fields] `{target}`")
    for target in mapping.constants:
        sources.setdefault(comparable(target), []).append(f"[constants] `{target}`")
    for given in sources.values():
        if len(given) > 1:
            raise ValueError(
                f"two sources for one field: {' and '.join(given)}; name both in [fields], the first filled counts"
            )
    if not mapping.targets:
        raise ValueError("maps nothing: [columns] or [fields] must say what becomes of the file's columns")
    lost = [target for target in mapping.values if target not in mapping.targets]
    if lost:
        raise ValueError(f"[values] has {listed(lost)}, which no column or field fills")


def _reading(table: Mapping[str, Any]) -> Reading:
    _known(table, Reading.__struct_fields__, "[read] ")
    names = ("yes", "no", "skip_rows")
    given: dict[str, Any] = {key: _texts(value, f"[read] {key}") for key, value in table.items() if key in names}
    for key in ("encoding", "separator", "sheet", "decimal"):
        if key in table:
            given[key] = _word(table[key], f"[read] {key}")
    if "header_row" in table:
        row = table["header_row"]
        if not isinstance(row, int) or isinstance(row, bool) or row < 1:
            raise ValueError("[read] header_row must be the number of a line, from 1")
        given["header_row"] = row
    if given.get("decimal", ".") not in (".", ","):
        raise ValueError('[read] decimal must be "." or ","')
    separator = given.get("separator", "")
    if len(separator) > 1 or separator in ("\r", "\n", '"'):
        raise ValueError('[read] separator must be one character, such as ";" or "\\t"')
    if given.get("encoding"):
        given["encoding"] = encoding_of(b"", given["encoding"])
    return Reading(**given)


def _group(table: Any) -> Grouping | None:
    if table is None:
        return None
    if not is_mapping(table):
        raise ValueError("[group] must be a table")
    _known(table, ("by", "into", "fields"), "[group] ")
    by, into = _texts(table.get("by", []), "[group] by"), _word(table.get("into", ""), "[group] into")
    if not by or not into:
        raise ValueError('[group] needs by = "a column" and into = "a list of the record, such as contact_persons"')
    fields: Any = table.get("fields", {})
    if not is_mapping(fields):
        raise ValueError("[group.fields] must be a table")
    made = {target: _templates(value, f"[group.fields] {target}") for target, value in fields.items()}
    return Grouping(by=by, into=into, fields=made)


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in names:
            hint = did_you_mean(key, names, most=1) or f"known: {', '.join(names)}"
            raise ValueError(f"{where}`{printable(key, 100)}` is not known; {hint}")


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Any = table.get(name, {})
    if not is_mapping(found):
        raise ValueError(f"[{name}] must be a table")
    return found


def _texts(value: Any, where: str) -> tuple[str, ...]:
    found: Sequence[Any] = [value] if isinstance(value, str) else value if is_sequence(value) else [None]
    if not all(isinstance(one, str) and one.strip() for one in found):
        raise ValueError(f"{where} must be a text or a list of texts")
    return tuple(found)


def _word(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"{where} must be a text")


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} must be true or false")
    return value


def _templates(value: Any, where: str) -> tuple[Template, ...]:
    try:
        return tuple(parse_template(text) for text in _texts(value, where))
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
