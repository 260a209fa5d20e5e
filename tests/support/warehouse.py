"""A pipeline of dlt over a fake, and what its destination holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
import pytest

from zoho_async import Limits, Zoho
from zoho_async.dlt import zoho_source
from zoho_async.fake import FakeZoho
from zoho_async.fake.http.threaded import ThreadedFakeZoho

FIRST, SECOND = "10234695", "20234695"


@contextmanager
def fake_for_dlt(folder: Path) -> Iterator[FakeZoho]:
    """A fake with two organisations, named by the environment; dlt calls nobody and writes into the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "ORGANIZATION_ID", "ACCOUNTS_URL", "DATA_CENTER"):
            patch.delenv(f"ZOHO_{name}", raising=False)
        from_env = Zoho.from_env
        # The environment has no setting for limits, and the tests' calls need not wait.
        patch.setattr(Zoho, "from_env", lambda: from_env(limits=Limits(per_minute=None)))
        with ThreadedFakeZoho(per_minute=None, organizations=[FIRST, SECOND]).in_thread() as fake:
            patch.setenv("ZOHO_ACCESS_TOKEN", fake.access_token)
            patch.setenv("ZOHO_API_URL", fake.url)
            yield fake
            assert fake.crashes == 0


class Warehouse:
    """A pipeline, and what its destination holds."""

    file_format: Any = None
    """What dlt writes its files in; None: what it prefers for the destination."""

    def __init__(self, fake: FakeZoho, destination: Any, folder: str = "here") -> None:
        self.fake = fake
        self.destination = destination
        self.pipeline = dlt.pipeline(
            "contacts", destination=destination, dataset_name="zoho", pipelines_dir=str(Path.cwd() / folder)
        )

    def elsewhere(self) -> Warehouse:
        """The same pipeline on a machine that has none of its files."""
        return Warehouse(self.fake, self.destination, "elsewhere")

    def load(self, *organizations: str, refresh: Any = None, **options: Any) -> int:
        """Runs the source; the number of calls."""
        before = self.fake.requests()
        source = zoho_source(organizations or [FIRST], **options)
        self.pipeline.run(source, refresh=refresh, loader_file_format=self.file_format)
        return self.fake.requests() - before

    def rows(self, columns: str = "contact_id, contact_name", organization_id: str = FIRST) -> list[tuple[Any, ...]]:
        with self.pipeline.sql_client() as client:
            found = client.execute_sql(
                f"SELECT {columns} FROM books_contacts WHERE organization_id = %s ORDER BY contact_id", organization_id
            )
        return [tuple(row) for row in found or ()]

    def types(self) -> dict[str, str]:
        with self.pipeline.sql_client() as client:
            found = client.execute_sql(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'books_contacts' "
                "AND table_schema LIKE '%%zoho' ORDER BY 1"
            )
        return dict(found or ())

    def equals_zoho(self, organization_id: str = FIRST) -> bool:
        contacts = self.fake.organization(organization_id).contacts
        return self.rows(organization_id=organization_id) == sorted(
            (contact_id, record["contact_name"]) for contact_id, record in contacts.items()
        )


def seed(fake: FakeZoho, count: int, organization_id: str = FIRST, **more: Any) -> list[str]:
    stored = fake.seed(({"contact_name": f"Name {one:04d}", **more} for one in range(count)), organization_id)
    return [record["contact_id"] for record in stored]


def change(fake: FakeZoho, contact_id: str, organization_id: str = FIRST, **fields: Any) -> None:
    fake.clock.advance(10)
    organization = fake.organization(organization_id)
    stamp = organization.stamp(fake.clock.now())
    organization.put({**organization.contacts[contact_id], **fields, "last_modified_time": stamp})
