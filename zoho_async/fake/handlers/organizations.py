"""The organisations the user belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoho_async.fake.world.state import Organization

from .handler import Answer

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


def listed(organizations: Iterable[Organization], default: str) -> Answer:
    """GET /organizations: all of them, whichever one the call named; no page_context comes with them."""
    rows = [row(each, is_default=each.id == default) for each in organizations]
    return Answer(body={"code": 0, "message": "success", "organizations": rows})


def row(organization: Organization, *, is_default: bool) -> dict[str, Any]:
    """One organisation, with the keys of recorded answers."""
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
