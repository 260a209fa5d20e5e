"""A client of a test's fake."""

from __future__ import annotations

from zoho_async import Limits, StaticToken, Zoho
from zoho_async.fake import FakeZoho


def client_of(fake: FakeZoho, **options: object) -> Zoho:
    settings: dict[str, object] = {
        "organization_id": fake.organization_id,
        "api_url": fake.url,
        "accounts_url": fake.url,
        "limits": Limits(per_minute=None),
        **options,
    }
    auth = settings.pop("auth", StaticToken(fake.access_token))
    return Zoho(auth, **settings)  # type: ignore[arg-type]
