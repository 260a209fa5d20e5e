"""What a program does about each kind of error."""

import asyncio

from _client import connect, unique

from zoho_async import Zoho, errors


async def contact_id_of(zoho: Zoho, name: str) -> str | None:
    """The id of the contact with this name, created where there is none; None: come back later."""
    try:
        return (await zoho.books.contacts.create({"contact_name": name})).contact_id
    except errors.DuplicateError:
        found = await zoho.books.contacts.list(contact_name=name)
        return found[0].contact_id
    except errors.OutcomeUnknownError as error:
        # It may have been created: look before creating it again.
        print(error)
        found = await zoho.books.contacts.list(contact_name=name)
        return found[0].contact_id if found else None
    except errors.QuotaExceededError as error:
        print(f"no calls are left until {error.resets_at}")
    except errors.RateLimitError as error:
        print(f"come back at {error.retry_at}")
    except (errors.UnavailableError, errors.DeadlineError) as error:
        print(f"try later: {error}")
    return None


async def main() -> None:
    async with connect(deadline=30) as zoho:
        name = unique("Errors Ltd")
        first = await contact_id_of(zoho, name)
        assert first and first == await contact_id_of(zoho, name)

        try:
            await zoho.books.contacts.get("1")
        except errors.NotFoundError as error:
            print(error.status, error.code, error.message)
        try:
            await zoho.books.contacts.list(per_page=500)
        except errors.InvalidError as error:  # found here, without a call
            print([f"{fault.path}: {fault.message}" for fault in error.faults], error.sent)


asyncio.run(main())
