"""The organisations of the user. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoho_async.fake.rendering.wire_format import envelope
from zoho_async.fake.world.state import Organization
from zoho_async.schema.operation import Operation

from .handler import HandlerResult

_COUNTRIES = {
    "us": "U.S.A",
    "uk": "United Kingdom",
    "ca": "Canada",
    "in": "India",
    "au": "Australia",
    "de": "Germany",
    "mx": "Mexico",
    "ae": "United Arab Emirates",
    "sa": "Saudi Arabia",
    "ke": "Kenya",
    "za": "South Africa",
}


_SCOPES = {
    "billing": "ZohoSubscriptions.settings.READ",
    "expense": "ZohoExpense.orgsettings.READ",
    "invoice": "ZohoInvoice.settings.READ",
}
OPERATIONS: list[Operation[Any]] = [
    Operation(
        id=f"{product}.organizations.list",
        product=product,
        method="GET",
        path="/organizations",
        scope=scope,
        title="List organisations",
        kind="untyped",
        idempotent=True,
    )
    for product, scope in _SCOPES.items()
]
"""Of the products whose organisations have no place in the specs."""


def list_organizations(organizations: Iterable[Organization], default: str) -> HandlerResult:
    """GET /organizations: all of them, whichever the call named, without page_context."""
    rows = [organization_row(each, is_default=each.id == default) for each in organizations]
    return HandlerResult(body=envelope(0, "success", organizations=rows))


def organization_row(organization: Organization, *, is_default: bool) -> dict[str, Any]:
    """One organisation, with the keys of recorded responses."""
    profile = organization.profile
    plan = profile.plan or "professional"
    return {
        "organization_id": organization.id,
        "name": profile.name or f"Organization {organization.id}",
        "contact_name": "Fake User",
        "email": "user@fake.invalid",
        "is_default_org": is_default,
        "language_code": "en",
        "fiscal_year_start_month": "january",
        "account_created_date": "2020-01-01",
        "time_zone": f"Etc/GMT{profile.zone}",
        "is_dst_active": False,
        "date_format": "dd MMM yyyy",
        "field_separator": " ",
        "industry_type": "Other",
        "industry_size": "",
        "company_id_label": "",
        "company_id_value": "",
        "tax_id_label": "",
        "tax_id_value": "",
        "currency_id": organization.currency_id,
        "currency_code": profile.currency_code,
        "currency_symbol": profile.currency_symbol,
        "currency_format": "###,##0.00",
        "price_precision": 2,
        "plan_type": 0 if plan == "free" else 1,
        "plan_name": plan.upper(),
        "plan_period": "yearly",
        "country_code": profile.edition.upper(),
        "country_name": _COUNTRIES.get(profile.edition, profile.edition.upper()),
        "portal_name": f"portal{organization.id}",
        "org_settings": {"is_org_active": True},
    }
