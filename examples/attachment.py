"""Attach a file to a contact and download it again."""

import asyncio
import tempfile
from pathlib import Path

from _client import connect, unique


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, copy = Path(folder, "contract.pdf"), Path(folder, "copy.pdf")
        source.write_bytes(b"%PDF-1.4 a contract")
        async with connect() as zoho:
            contact_id = (await zoho.books.contacts.create({"contact_name": unique("Files Ltd")})).contact_id
            await zoho.books.contacts.add_attachment(contact_id, source)
            # The response names no id: the contact lists its documents.
            document = ((await zoho.books.contacts.get(contact_id)).documents or [])[-1]
            await zoho.books.documents.get(contact_id, document["document_id"], to=copy)
        assert copy.read_bytes() == source.read_bytes()
        print(document["file_name"], document["file_size"], "bytes")


asyncio.run(main())
