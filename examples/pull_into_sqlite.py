"""Copy all contacts into SQLite and query them. The next pull reads only what has changed."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from _client import connect, unique

from zoho_async import bulk, custom_fields
from zoho_async.books import ContactCreate


async def main() -> None:
    name = unique("Copied Ltd")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "contacts.sqlite")
        async with connect() as zoho:
            await zoho.books.contacts.create(
                ContactCreate(contact_name=name, custom_fields=custom_fields(cf_region="North"))
            )
            for _ in range(2):
                summary = await bulk.pull(zoho.books.contacts, file)
                print(f"{summary.records} contacts, {summary.changed} changed, {summary.reads} calls")
        with closing(sqlite3.connect(file)) as database:
            query = "select contact_name, cf_region from contacts where deleted_at is null and contact_name = ?"
            assert database.execute(query, [name]).fetchall() == [(name, "North")]


asyncio.run(main())
