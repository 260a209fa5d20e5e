"""`zoho-async call` and `operations`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import Limits, Operation, Page, Response, operations
from zoho_async.bulk import InputError, atomic_write
from zoho_async.cli.console.exit_codes import ABORTED, DONE, ArgumentError
from zoho_async.cli.console.progress import explained_waits
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.console.streams import is_output_lost
from zoho_async.cli.console.tables import is_terminal, pretty_json, write_objects, write_rows
from zoho_async.cli.profiles import connect
from zoho_async.cli.suggestions import did_you_mean, find_operation


class CallArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    operation_id: str
    path: list[str]
    """`name=value`, as the other two."""
    query: list[str]
    headers: list[str]
    body: str | None
    files: list[str]
    """`name=path`, or a path alone where the operation has one file."""
    output: Path | None
    every: bool
    limits: Limits
    profile: str | None
    redis: str | None = None


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """`name=value` options as a mapping. InputError for one without an equals sign."""
    found: dict[str, str] = {}
    for value in values:
        name, sign, rest = value.partition("=")
        if not sign or not name:
            raise InputError(f"{option} {value}: write it as name=value")
        found[name] = rest
    return found


def read_body(text: str | None) -> Any:
    """The body as given: JSON, or `@file` that holds JSON. InputError when it is none."""
    if text is None:
        return None
    where = "--body"
    data = text.encode()
    if text.startswith("@"):
        where = text[1:]
        try:
            data = Path(where).read_bytes()
        except OSError as error:
            raise InputError(f"{where}: cannot be read: {error.strerror or error}") from None
    try:
        # Decimal: numbers are sent digit by digit as they were written.
        return msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InputError(f"{where}: is not a JSON object: {error}") from None


def read_files(values: Sequence[str], operation: Operation[Any]) -> dict[str, Path]:
    """The files to send, by the names of their parts. InputError for one that is not there or has no part."""
    names = list(operation.files)
    if values and not names:
        raise InputError(f"--file: {operation.id} takes no file")
    found: dict[str, Path] = {}
    for value in values:
        name, sign, rest = value.partition("=")
        if not (sign and name in names):
            # A path may hold an equals sign of its own.
            if len(names) > 1:
                raise InputError(f"--file {value}: write it as NAME=PATH; names: {', '.join(names)}")
            name, rest = names[0], value
        if name in found:
            raise InputError(f"--file {value}: there is one file {name} in a call")
        if not Path(rest).is_file():
            raise InputError(f"{rest}: there is no such file")
        found[name] = Path(rest)
    return found


async def call_command(args: CallArgs, interruption: Interruption) -> int:
    """One call; Zoho's response, or the file it is, goes to stdout or into a file as it came. `every`: all rows of a
    list, one a line.
    """
    operation = find_operation(args.operation_id)
    if args.every and operation.kind != "page":
        raise InputError(f"--all: {operation.id} is not a paged list")
    path, query, headers = pairs(args.path, "-p"), pairs(args.query, "-q"), pairs(args.headers, "-H")
    body, files = read_body(args.body), read_files(args.files, operation)
    zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    if operation.reads:
        interruption.kept = "nothing was changed"
    else:
        # A write in flight is finished: cancelling it would hide its outcome.
        interruption.graceful = _nothing
    async with zoho, explained_waits(lambda: zoho.quota):
        chunks: list[bytes] = []
        seen: set[int] = set()
        while True:
            to = args.output if operation.kind == "file" else None
            try:
                response: Response[Any] = await zoho.send(
                    operation, path=path, query=query, headers=headers, body=body, files=files, to=to
                )
            except TypeError as error:
                # Body or files are not what the operation takes.
                raise InputError(str(error)) from error
            if operation.kind == "file":
                _write(response.body)
                return DONE
            if not args.every:
                chunks.append(response.body if response.body.endswith(b"\n") else response.body + b"\n")
                break
            page: Page[Any] = response.data
            rows = [row.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" for row in page.raw]
            if seen.issuperset(map(hash, rows)):  # nothing new, whatever Zoho says of a next page
                break
            seen.update(map(hash, rows))
            lines = b"".join(rows)
            if args.output is None:
                _write(lines)
                if is_output_lost():
                    # Nobody reads the rest: its calls would be wasted.
                    return ABORTED
            else:
                chunks.append(lines)
            if page.cursor is None:
                break
            query["page"] = page.cursor
    content = b"".join(chunks)
    if args.output is not None:
        with atomic_write(args.output, binary=True) as file:
            file.write(content)
    else:
        _write(pretty_json(content) if is_terminal() and not args.every else content)
    return DONE


async def operations_command(word: str | None, interruption: Interruption, *, json: bool) -> int:
    """Lists every operation, or those that have a word in id, path, scope or title."""
    wanted = (word or "").lower()
    rows = [
        one for one in operations() if wanted in f"{one.id} {one.method} {one.path} {one.scope} {one.title}".lower()
    ]
    if not rows:
        words = {part for one in operations() for part in (*one.id.split("."), *one.id.split(".")[2].split("_"))}
        help = did_you_mean(wanted, words) or "zoho-async operations lists all"
        raise ArgumentError(f"no operation has the word `{word}`", help)
    if json:
        write_objects([_members(one) for one in rows])
    else:
        columns = ("operation", "method", "path", "scope", "title")
        write_rows(columns, [(one.id, one.method, one.path, one.scope, one.title) for one in rows])
    return DONE


async def operation_command(operation_id: str, interruption: Interruption, *, json: bool) -> int:
    """Shows one operation: what it takes and how to call it."""
    one = find_operation(operation_id)
    parameters: list[dict[str, object]] = [
        {"name": each.name, "in": each.location, "required": each.required} for each in one.parameters
    ]
    if json:
        write_objects([{**_members(one), "parameters": parameters, "files": list(one.files)}])
        return DONE
    lines = [
        f"{one.id}: {one.title}",
        f"  {one.method} {one.path}",
        f"  scope       {one.scope}",
        f"  repeatable  {'yes' if one.idempotent else 'no'}",
    ]
    flags = {"path": "-p", "query": "-q", "header": "-H"}
    lines += [f"  {flags[each.location]} {each.name}{' (required)' * each.required}" for each in one.parameters]
    if one.request is not None:
        lines.append(f"  --body      {one.request.__name__}")
    lines += [f"  --file      {name}" for name in one.files]
    if one.source:
        lines.append(f"  {one.source}")
    sys.stdout.write("\n".join([*lines, "", f"  {_example(one)}"]) + "\n")
    return DONE


def _example(one: Operation[Any]) -> str:
    needed = [each for each in one.parameters if each.required and each.location in ("path", "query", "header")]
    flags = {"path": "-p", "query": "-q", "header": "-H"}
    parts = [f"{flags[each.location]} {each.name}=..." for each in needed]
    body = ["--body @body.json"] if one.request is not None else []
    return " ".join(["zoho-async call", one.id, *parts, *body, *(f"--file {name}=PATH" for name in one.files)])


def _members(one: Operation[Any]) -> dict[str, object]:
    return {
        "id": one.id,
        "product": one.product,
        "method": one.method,
        "path": one.path,
        "scope": one.scope,
        "idempotent": one.idempotent,
        "title": one.title,
    }


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _nothing() -> None:
    return None
