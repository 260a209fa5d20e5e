"""Create a contact by a unique custom field; the second time the same call updates it."""

import asyncio

from _client import connect, unique

from zoho_async.books import ContactUpsert


async def main() -> None:
    async with connect() as zoho:
        name = unique("Upsert Ltd")
        ids = set()
        for notes in ("first", "second"):
            contact = await zoho.books.contacts.upsert(
                ContactUpsert(contact_name=name, notes=notes), field="cf_external_id", value=name, create=True
            )
            ids.add(contact.contact_id)
            print(contact.contact_id, contact.notes)
        assert len(ids) == 1


asyncio.run(main())
