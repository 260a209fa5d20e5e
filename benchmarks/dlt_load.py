"""How many contacts a second the dlt source loads into DuckDB, first all and then none.

    python benchmarks/dlt_load.py [--rows 5000] [--format insert_values]

Needs the packages of the extra `dev`. FakeZoho is a process of its own, seeded before the clock starts, and the limits
are off: with Zoho's own a first load reads about 300 contacts a second. `--format` is dlt's `loader_file_format`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import dlt
from measuring import machine, row, server

from zoho_async import Limits, Zoho
from zoho_async.dlt import zoho_source

SEEDED = 500
"""Contacts that are given to FakeZoho in one request."""


def main() -> None:
    """Prints contacts a second and calls of a first load, and seconds and calls of an idle one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--format", default="jsonl")
    given = parser.parse_args()
    print(machine())
    from_env = Zoho.from_env
    # The environment has no setting for limits.
    Zoho.from_env = lambda: from_env(limits=Limits(per_minute=None))  # type: ignore[method-assign]
    with server("--per-minute", "0") as fake, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"ZOHO_ACCESS_TOKEN": fake.token, "ZOHO_API_URL": fake.url, "ZOHO_ACCOUNTS_URL": fake.url}
        os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": folder}
        for begin in range(0, given.rows, SEEDED):
            names = (row(number)["contact_name"] for number in range(begin, min(begin + SEEDED, given.rows)))
            fake.ask("POST", "seed", [{"contact_name": name} for name in names])
        destination = dlt.destinations.duckdb(str(Path(folder) / "warehouse.duckdb"))
        pipeline = dlt.pipeline("benchmark", destination=destination, dataset_name="crm", pipelines_dir=folder)
        for what in ("first load", "idle load"):
            before, begun = sum(fake.requests().values()), time.perf_counter()
            pipeline.run(zoho_source(organizations=[fake.organization_id]), loader_file_format=given.format)
            seconds, calls = time.perf_counter() - begun, sum(fake.requests().values()) - before
            with pipeline.sql_client() as client:
                found = client.execute_sql("SELECT count(*) FROM books_contacts")
            assert found is not None and found[0][0] == given.rows
            rate = f", {given.rows / seconds:,.0f} contacts a second" * (what == "first load")
            print(f"{what}: {seconds:.2f} s, {calls} calls{rate}")


if __name__ == "__main__":
    main()
