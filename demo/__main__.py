"""Five thousand contacts into a Zoho that runs on this machine, back again, and compared."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from math import ceil
from pathlib import Path
from typing import Any

from .compare import differences, pulled
from .contacts import COLUMNS, contacts, with_faults, write_csv

PER_MINUTE = 100
PER_DAY = 5_000


def main() -> int:
    """Runs the demo; 0 when everything that should be there is there, digit by digit, and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    begun = time.monotonic()
    folder: Path = options.output
    folder.mkdir(parents=True, exist_ok=True)
    names = ("customers.csv", "customers.failed.csv", "push.state.sqlite", "contacts.sqlite", "report.txt")
    for name in names:
        for path in folder.glob(f"{name}*"):
            path.unlink()
    rows = contacts(options.rows)
    spoiled = with_faults(rows, 0.01)
    source = folder / "customers.csv"
    write_csv(source, rows)
    print(f"wrote {source}: {len(rows):,} contacts, {len(spoiled)} of them invalid on purpose")
    fake = subprocess.Popen(
        [sys.executable, "-m", "zoho_async.fake", "--port", "0", "--per-minute", "0", "--unique", "cf_external_id"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert fake.stdout is not None
        place = json.loads(fake.stdout.readline())
        print(f"a fake Zoho listens on {place['url']}; its limit of {PER_MINUTE} calls a minute is off for the demo")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ZOHO_")},
            "ZOHO_CLIENT_ID": place["client_id"],
            "ZOHO_CLIENT_SECRET": place["client_secret"],
            "ZOHO_REFRESH_TOKEN": place["refresh_token"],
            "ZOHO_ORGANIZATION_ID": place["organization_id"],
            "ZOHO_API_URL": place["url"],
            "ZOHO_ACCOUNTS_URL": place["url"],
            "XDG_STATE_HOME": str(folder.resolve() / "state"),
        }
        with_custom_fields(place)
        before = calls(stats(place["url"]))
        state = folder / "push.state.sqlite"
        pushed = command(
            f"push books contacts --from {shlex.quote(str(source))} --upsert-by cf_external_id "
            f"--state {shlex.quote(str(state))} --per-minute 0 --json",
            environment,
            allowed={0, 3},
        )
        after_push = stats(place["url"])
        target = folder / "contacts.sqlite"
        fetched = command(
            f"pull books contacts --details all --to {shlex.quote(str(target))} --per-minute 0 --json",
            environment,
            allowed={0},
        )
        after_pull = stats(place["url"])
    finally:
        fake.terminate()
        fake.wait()
    bad = refused(folder / "customers.failed.csv")
    good = set(range(1, len(rows) + 1)) - bad.keys()
    compared, wrong = differences(rows, good, pulled(target))
    wrong += [f"row {number} ({kind}) was not refused" for number, kind in spoiled.items() if number not in bad]
    wrong += [f"row {number} was refused: {bad[number]}" for number in bad.keys() - spoiled.keys()]
    writes = calls(after_push) - before
    reads = calls(after_pull) - calls(after_push)
    if writes != pushed["writes"] + pushed["reads"]:
        wrong.append(f"push says it made {pushed['writes'] + pushed['reads']} calls, the server counted {writes}")
    text = report(
        len(rows), spoiled, bad, compared, wrong, pushed, fetched, writes, reads, time.monotonic() - begun, folder
    )
    (folder / "report.txt").write_text(text, encoding="utf-8")
    print(text)
    return 1 if wrong else 0


def command(line: str, environment: dict[str, str], *, allowed: set[int]) -> dict[str, Any]:
    """Runs `zoho-async` as anybody would, and returns its stdout."""
    print(f"zoho-async {line}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "zoho_async.cli", *shlex.split(line)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in allowed:
        raise SystemExit(f"zoho-async ended with {done.returncode}:\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def with_custom_fields(place: dict[str, Any]) -> None:
    """Has the fake know the custom fields of the rows: a record that had them was there once."""
    fields = {column: "x" for column in COLUMNS if column.startswith("cf_")}
    record = {"contact_id": "4600000000000000001", "contact_name": "Earlier", **fields}
    seeding = urllib.request.Request(f"{place['url']}/_fake/seed", json.dumps([record]).encode(), method="POST")
    urllib.request.urlopen(seeding).close()
    deleting = urllib.request.Request(
        f"{place['url']}/books/v3/contacts/{record['contact_id']}?organization_id={place['organization_id']}",
        headers={"Authorization": f"Zoho-oauthtoken {place['access_token']}"},
        method="DELETE",
    )
    urllib.request.urlopen(deleting).close()


def stats(url: str) -> dict[str, Any]:
    """What the fake has counted."""
    with urllib.request.urlopen(f"{url}/_fake/stats") as answer:
        counted: dict[str, Any] = json.load(answer)
    return counted


def calls(counted: dict[str, Any]) -> int:
    """Calls to the API the fake has seen, token requests not among them."""
    return sum(int(one["requests"]) for name, one in counted["operations"].items() if name.startswith("books."))


def refused(path: Path) -> dict[int, str]:
    """Row number -> reason, from the file of failed rows."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row["zoho_row"]): row["zoho_reason"] for row in csv.DictReader(file)}


def report(
    rows: int,
    spoiled: dict[int, str],
    bad: dict[int, str],
    compared: int,
    wrong: list[str],
    pushed: dict[str, Any],
    fetched: dict[str, Any],
    writes: int,
    reads: int,
    seconds: float,
    folder: Path,
) -> str:
    """The report, as it is printed and kept."""
    created = pushed["sent"]
    examples = {kind: bad.get(number, "") for number, kind in spoiled.items()}
    lines = ["", f"{rows:,} rows: {created:,} contacts created, {len(bad):,} rows refused before any call"]
    for kind, count in Counter(spoiled.values()).items():
        lines.append(f"  {count:>3} {kind:<30} {examples[kind][:80]}")
    per_contact = writes / created if created else 0
    lines += [
        f"calls: {writes:,} for writing ({per_contact:.2f} a contact), {reads:,} for reading all of it back to check",
        f"time: push {pushed['seconds']:.1f} s, pull {fetched['seconds']:.1f} s, all {seconds:.1f} s",
        f"compared: {compared:,} fields of {created:,} contacts, "
        + ("all equal" if not wrong else f"{len(wrong):,} DIFFERENCES"),
        *(f"  {one}" for one in wrong[:20]),
        f"the same against a real organisation, at {PER_MINUTE} calls a minute and {PER_DAY:,} a day:",
        f"  push: {real(writes)}",
        f"  pull with all details: {real(reads)}",
        f"  both: {real(writes + reads)}",
        f"files: {folder}/customers.csv, customers.failed.csv, push.state.sqlite, contacts.sqlite, report.txt",
        "",
    ]
    return "\n".join(lines)


def real(count: int) -> str:
    """How long so many calls take under Zoho's limits, in words."""
    minutes = ceil(count / PER_MINUTE)
    days = ceil(count / PER_DAY)
    spread = "within one day's calls" if days <= 1 else f"spread over {days} days by the daily limit"
    return f"{count:,} calls, {minutes} minutes, {spread}"


if __name__ == "__main__":
    sys.exit(main())
