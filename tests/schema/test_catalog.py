"""What can be asked of all operations together, and what the client knows of all products together."""

from __future__ import annotations

from typing import Any

from support.fault_server import Fault, FaultServer

from zoho_async import Limits, Quota, StaticToken, Zoho, operations, scopes
from zoho_async.books import contacts, organizations
from zoho_async.expense import customers
from zoho_async.schema.registry import PRODUCTS
from zoho_async.transport.rate_limiter import tightest


def test_operations_are_those_of_the_documents_and_one_more() -> None:
    every = operations()
    assert [one.id for one in every] == sorted({one.id for one in every})
    assert [one.id for one in every if one.extra] == ["books.organizations.list"]
    counts = {name: sum(one.product == name and not one.extra for one in every) for name in PRODUCTS}
    assert counts == {"billing": 9, "books": 97, "expense": 5, "invoice": 6}


def test_scopes_are_the_fewest_that_allow_the_operations() -> None:
    assert scopes([]) == ""
    assert scopes([contacts.GET, contacts.LIST]) == "ZohoBooks.contacts.READ"
    chosen = [contacts.MARK_ACTIVE, contacts.CREATE, organizations.LIST, contacts.DELETE]
    assert scopes(iter(chosen)) == "ZohoBooks.contacts.CREATE,ZohoBooks.contacts.DELETE,ZohoBooks.settings.READ"
    # Expense reads under another name than it writes under.
    assert scopes([customers.GET, customers.CREATE]) == "ZohoExpense.contacts.CREATE,ZohoExpense.customer.READ"
    everything = scopes(operations()).split(",")
    assert everything == sorted({one.scope for one in operations()})


async def test_every_product_works_with_one_client() -> None:
    answer = b'{"code":0,"customer":{"contact_id":"1"},"contact":{},"contact_person":{"contact_person_id":"1"}}'
    async with (
        FaultServer(lambda _: Fault("answer", body=answer)) as server,
        Zoho(StaticToken("t"), organization_id="7", api_url=server.url, limits=Limits(per_minute=None)) as zoho,
    ):
        await zoho.books.contacts.get("1")
        await zoho.invoice.contact_persons.get("1", "2")
        await zoho.expense.customers.delete("1")
        await zoho.billing.customers.delete("1")
    roots = [PRODUCTS[name].root for name in ("books", "invoice", "expense", "billing")]
    assert [seen.target.startswith(root) for seen, root in zip(server.seen, roots, strict=True)] == [True] * 4
    for seen, name in zip(server.seen, ("books", "invoice", "expense", "billing"), strict=True):
        place = PRODUCTS[name].organization
        if place.location == "query":
            assert seen.target.endswith(f"{place.name}=7")
        else:
            assert seen.headers[place.name.lower()] == "7"
            assert "7" not in seen.target


async def test_the_quota_is_that_of_whatever_was_used() -> None:
    def decide(_: Any) -> Fault:
        headers = (("x-rate-limit-limit", "1000"), ("x-rate-limit-remaining", "10"), ("x-rate-limit-reset", "60"))
        return Fault("answer", body=b'{"code":0,"message":"done"}', headers=headers)

    for per_product in (False, True):
        limits = Limits(per_minute=50, per_product=per_product)
        async with (
            FaultServer(decide) as server,
            Zoho(StaticToken("t"), organization_id="7", api_url=server.url, limits=limits) as zoho,
        ):
            assert (zoho.quota.sent, zoho.quota.remaining) == (0, None)
            await zoho.billing.customers.delete("1")
            await zoho.expense.customers.delete("1")
            assert (zoho.quota.sent, zoho.quota.remaining) == (2, 10)
            assert zoho.quota.minute_left == (49 if per_product else 48)


def test_the_tightest_of_several_quotas_is_the_one_that_stops_first() -> None:
    unknown, plenty, little = Quota(sent=1, minute_left=0), Quota(remaining=900, sent=2), Quota(remaining=3, sent=4)
    assert tightest([unknown, plenty, little]) == Quota(remaining=3, sent=7)
    assert tightest([Quota(minute_left=5), unknown]).minute_left == 0
