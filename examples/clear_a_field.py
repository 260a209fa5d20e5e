"""Update a contact: a field that is None is emptied, a field that is left out stays."""

import asyncio

from _client import connect, unique

from zoho_async.books import ContactCreate, ContactUpdate


async def main() -> None:
    async with connect() as zoho:
        contact = await zoho.books.contacts.create(
            ContactCreate(contact_name=unique("Clear Ltd"), notes="Pays late", website="https://clear.example")
        )
        await zoho.books.contacts.update(contact.contact_id, ContactUpdate(notes=None))
        contact = await zoho.books.contacts.get(contact.contact_id)
        assert not contact.notes and contact.website == "https://clear.example"
        print(f"notes {contact.notes!r}, website {contact.website!r}")


asyncio.run(main())
