"""A pytest plugin: the fixtures `fake_zoho`, a Zoho on this machine, and `zoho`, a client of it.

    async def test_a_customer_is_created(fake_zoho, zoho):
        await zoho.books.contacts.create({"contact_name": "Bowman and Co"})
        assert fake_zoho.created() == {"Bowman and Co": 1}

pytest finds it by itself once the package is installed; pytest-asyncio runs the tests, in its auto or its strict mode.
Settings go into a mark: `@pytest.mark.fake_zoho(shape="clean", per_minute=100)` takes what `FakeZoho` takes. Without
one no limit stands in the way.
"""

# Loaded in every run of pytest where the package is installed: nothing here may cost anything before a fixture is used.
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from . import Zoho
    from .fake import FakeZoho

__all__ = ["fake_zoho", "zoho"]

_Fixture = TypeVar("_Fixture", bound=Callable[..., Any])


def _fixture(function: _Fixture) -> _Fixture:
    try:
        from pytest_asyncio import fixture
    except ImportError:
        # Whoever installed the package for other things must not meet an error; those who want the fixture will.
        return pytest.fixture(function)  # type: ignore[return-value]
    return fixture(function)  # type: ignore[return-value]


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "fake_zoho(**settings): what FakeZoho is made with")


@_fixture
async def fake_zoho(request: pytest.FixtureRequest) -> AsyncIterator[FakeZoho]:
    """A running FakeZoho, empty, one for each test; a fault of the fake itself fails the test."""
    from .fake import FakeZoho

    mark = request.node.get_closest_marker("fake_zoho")
    settings: dict[str, Any] = {"per_minute": None, **(mark.kwargs if mark is not None else {})}
    async with FakeZoho(**settings) as fake:
        yield fake
        if fake.crashes:
            pytest.fail("\n".join(["FakeZoho itself broke:", *fake.problems]), pytrace=False)


@_fixture
async def zoho(fake_zoho: FakeZoho) -> AsyncIterator[Zoho]:
    """A client of that fake, without a pace of its own."""
    from . import Limits, StaticToken, Zoho

    async with Zoho(
        StaticToken(fake_zoho.access_token),
        organization_id=fake_zoho.organization_id,
        api_url=fake_zoho.url,
        accounts_url=fake_zoho.url,
        limits=Limits(per_minute=None),
    ) as client:
        yield client
