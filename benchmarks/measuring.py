"""What the benchmarks of `bulk.push` share: a FakeZoho in a process of its own, rows to push, and the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

KEY = "cf_external_id"
"""The custom field without duplicates by which rows are pushed."""


class Server:
    """A FakeZoho that runs in another process, as its control addresses show it."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.url: str = ready["url"]
        self.token: str = ready["access_token"]
        self.organization_id: str = ready["organization_id"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request to `/_fake/...`, and the JSON of its answer."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/_fake/{path}", data=data, method=method)) as answer:
            return json.load(answer)

    def requests(self) -> dict[str, int]:
        """Requests that arrived so far, by operation id, whatever became of them."""
        operations = self.ask("GET", "stats")["operations"]
        return {name: counts["requests"] for name, counts in operations.items()}

    def reset(self) -> None:
        """Everything as at the start."""
        self.ask("DELETE", "faults")
        self.ask("POST", "reset")


@contextmanager
def server(*arguments: str) -> Iterator[Server]:
    """A FakeZoho with one unique field; further arguments are those of `python -m zoho_async.fake`."""
    command = [sys.executable, "-m", "zoho_async.fake", "--port", "0", "--unique", KEY, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def row(number: int, **changes: str) -> dict[str, str]:
    """One row as it stands in a CSV file: a company, its address and one contact person."""
    return {
        KEY: f"K{number}",
        "contact_name": f"Bowman and Co {number}",
        "company_name": "Bowman and Co",
        "notes": "pays by bank transfer",
        "billing_address.address": "4900 Hopyard Rd",
        "billing_address.city": "Pleasanton",
        "billing_address.zip": "94588",
        "contact_persons[0].first_name": "Will",
        "contact_persons[0].email": f"will{number}@bowman.invalid",
        **changes,
    }


def body(number: int) -> dict[str, Any]:
    """The same as the body of a request."""
    flat = row(number)
    return {
        "contact_name": flat["contact_name"],
        "company_name": flat["company_name"],
        "notes": flat["notes"],
        "billing_address": {
            "address": flat["billing_address.address"],
            "city": flat["billing_address.city"],
            "zip": flat["billing_address.zip"],
        },
        "contact_persons": [
            {"first_name": flat["contact_persons[0].first_name"], "email": flat["contact_persons[0].email"]}
        ],
        "custom_fields": [{"api_name": KEY, "value": flat[KEY]}],
    }


def write_csv(path: Path, rows: int) -> None:
    """A file of so many rows, written one by one, so that it takes no memory."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(row(0)) + "\n")
        for number in range(rows):
            file.write(",".join(row(number).values()) + "\n")


def machine() -> str:
    """What all of this was measured on, in one line."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {usable} cores"
