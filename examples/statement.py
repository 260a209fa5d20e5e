"""A statement of account by e-mail. Zoho documents no download of it: its response is only a code and a message."""

import asyncio
from datetime import date

from _client import connect, unique

from zoho_async.books import ContactCreate, ContactPersonInput, StatementEmail

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 31)


async def main() -> None:
    async with connect() as zoho:
        person = ContactPersonInput(email="will@bowman.example", is_primary_contact=True)
        contact = await zoho.books.contacts.create(
            ContactCreate(contact_name=unique("Statement Ltd"), contact_persons=[person])
        )
        draft = await zoho.books.statements.get_email_content(contact.contact_id, start_date=FIRST, end_date=LAST)
        print(draft.subject, draft.file_name)
        email = StatementEmail(to_mail_ids=["will@bowman.example"], subject="Your statement", body="See the file.")
        await zoho.books.statements.email(contact.contact_id, email, start_date=FIRST, end_date=LAST)
        print("sent")


asyncio.run(main())
