"""A product's structs: datamodel-code-generator writes them, a pass over its text makes them ours."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Mapping

from datamodel_code_generator import LiteralType, generate
from datamodel_code_generator.enums import DataModelType, InputFileType
from datamodel_code_generator.format import DateClassType, DatetimeClassType, Formatter, PythonVersion

from .load import Node
from .schemas import Direction, Field, Schema, choices, plain, unwrap

WIDTH = 120
OPTIONS: Mapping[Direction, str] = {
    "request": "Struct, kw_only=True, gc=False, repr_omit_defaults=True",
    "answer": "Struct, kw_only=True, gc=False, omit_defaults=True, repr_omit_defaults=True",
}

OBSERVED: Mapping[Direction, str] = {
    "request": "Works in practice, not documented.",
    "answer": "Seen in answers, not documented.",
}


def render(schemas: Mapping[str, Schema]) -> str:
    """The module's text, without a header: one struct per schema."""
    return polish(_generated(schemas), schemas) if schemas else "from __future__ import annotations\n"


def _generated(schemas: Mapping[str, Schema]) -> str:
    bundle = {
        "openapi": "3.1.0",
        "info": {"title": "models", "version": "1"},
        "paths": {},
        "components": {
            "schemas": {
                name: {
                    "type": "object",
                    "properties": {key: plain(field.node) for key, field in schema.fields.items()},
                    "required": [key for key, field in schema.fields.items() if field.required],
                }
                for name, schema in schemas.items()
            }
        },
    }
    text = generate(
        json.dumps(bundle),
        input_file_type=InputFileType.OpenAPI,
        output_model_type=DataModelType.MsgspecStruct,
        target_python_version=PythonVersion.PY_311,
        keyword_only=True,
        # Sub-classes of Enum refuse values Zoho adds later; Literal[...] | str accepts them.
        enum_field_as_literal=LiteralType.All,
        # Constraints in annotations would be enforced on answers only, which is the wrong way round.
        use_annotated=False,
        output_datetime_class=DatetimeClassType.Datetime,
        output_date_class=DateClassType.Date,
        formatters=[Formatter.BUILTIN],
        use_double_quotes=True,
        strict_refs=True,
        disable_timestamp=True,
    )
    if not isinstance(text, str):
        raise TypeError("datamodel-code-generator did not return one module")
    return text


def polish(text: str, schemas: Mapping[str, Schema]) -> str:
    """Sets struct options, turns absent into None in answers, allows None in requests, and writes the docstrings."""
    lines = text.splitlines()
    edits: list[tuple[int, int, list[str]]] = []
    for node in ast.parse(text).body:
        if not isinstance(node, ast.ClassDef):
            continue
        schema = schemas[node.name]
        head = [f"class {node.name}({OPTIONS[schema.direction]}):", *docstring(schema.description)]
        edits.append((node.lineno - 1, node.lineno, head + ([""] if schema.description else [])))
        secrets: list[str] = []
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                wire, rewritten = _attribute(statement, schema)
                if schema.fields[wire].word("x-secret"):
                    secrets.append(ast.unparse(statement.target))
                note = docstring(describe(schema.fields[wire], schema.direction))
                edits.append((statement.lineno - 1, statement.end_lineno or statement.lineno, [*rewritten, *note]))
        end = node.end_lineno or node.lineno
        edits.append((end, end, _secrets(secrets)))
    for start, end, replacement in sorted(edits, key=lambda edit: edit[0], reverse=True):
        lines[start:end] = replacement
    body = "\n".join(lines[lines.index("from __future__ import annotations") + 1 :])
    ours = [name for name in ("AwareDatetime", "secret_fields", "secret_repr") if re.search(rf"\b{name}\b", body)]
    extra = f"from zoho_async.schema.types import {', '.join(ours)}\n" if ours else ""
    extra += "from typing import Any\n" if "secret_repr" in ours else ""
    return f"from __future__ import annotations\n{extra}{body}\n"


def _attribute(statement: ast.AnnAssign, schema: Schema) -> tuple[str, list[str]]:
    """The wire name of a struct's member, and the member as we want it."""
    name = wire = ast.unparse(statement.target)
    if isinstance(statement.value, ast.Call):
        wire = next(str(ast.literal_eval(word.value)) for word in statement.value.keywords if word.arg == "name")
    parts = [part.strip() for part in _members(ast.unparse(statement.annotation))]
    parts = [part for part in parts if part not in ("None", "UnsetType")]
    required = schema.fields[wire].required
    default = "None" if schema.direction == "answer" else "UNSET"
    if schema.direction == "answer":
        parts = [re.sub(r"\bdatetime\w*", "AwareDatetime", part) for part in parts]
    else:
        parts = [re.sub(r"\b(Decimal\w*)", r"\1 | int", part) for part in parts]
    if not required and parts != ["Any"]:
        parts += ["None"] if schema.direction == "answer" else ["UnsetType", "None"]
    annotation = " | ".join(parts)
    if wire != name:
        given = f'name="{wire}"' if required else f'name="{wire}", default={default}'
        return wire, [f"    {name}: {annotation} = field({given})"]
    return wire, [f"    {name}: {annotation}" + ("" if required else f" = {default}")]


def _members(annotation: str) -> list[str]:
    """The members of a union, not looking inside brackets."""
    found, depth = [""], 0
    for character in annotation:
        depth += (character == "[") - (character == "]")
        if character == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


def _secrets(names: list[str]) -> list[str]:
    """Methods that keep the values of these members out of what is printed."""
    if not names:
        return []
    secret = repr(tuple(names))
    return [
        "",
        "    def __repr__(self) -> str:",
        f"        return secret_repr(self, {secret})",
        "",
        "    def __rich_repr__(self) -> list[tuple[str, Any]]:",
        f"        return secret_fields(self, {secret})",
        "",
    ]


def describe(field: Field, direction: Direction, schema: Node | None = None) -> str:
    """A property's description with what the spec knows about its limits; a parameter's limits are in its schema."""
    schema = schema or unwrap(field.node)
    text = [str(field.word("description") or "").strip()]
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and least == most:
        text.append(f"Exactly {most} characters.")
    else:
        text += [f"At least {least} characters."] * (least is not None)
        text += [f"At most {most} characters."] * (most is not None)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        text.append(f"{low} to {high}.")
    elif low is not None or high is not None:
        text.append(f"At least {low}." if low is not None else f"At most {high}.")
    values, closed = choices(schema)
    if field.word("x-disputed"):
        text += [f"Known values: {', '.join(values)}."] * bool(values)
        text.append(f"Zoho's documents disagree: {str(field.word('x-disputed')).strip().rstrip('.')}.")
    elif closed and values:
        text.append(f"One of: {', '.join(values)}.")
    if editions := field.word("x-editions"):
        text.append(f"Editions: {', '.join(map(str, editions))}.")
    if field.word("x-observed"):
        text.append(OBSERVED[direction])
    if field.word("deprecated"):
        text.append("Deprecated.")
    return " ".join(part if part.endswith((".", "!", "?", ":", ")")) else f"{part}." for part in text if part)


def docstring(text: str, indent: str = "    ") -> list[str]:
    """The lines of a docstring that holds `text`, wrapped; none when there is nothing to say."""
    text = " ".join(text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').split())
    if not text:
        return []
    lines = textwrap.wrap(text, WIDTH - len(indent) - 6, break_long_words=False, break_on_hyphens=False)
    # A quote right before the closing ones would end the docstring early.
    lines[-1] += ' """' if lines[-1].endswith('"') else '"""'
    return [f'{indent}"""{lines[0]}', *(indent + line for line in lines[1:])]
