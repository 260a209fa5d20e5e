"""A pytest plugin with two fixtures: `fake_zoho`, a FakeZoho on this machine, and `zoho`, a client of it.

    async def test_a_customer_is_created(fake_zoho, zoho):
        await zoho.books.contacts.create({"contact_name": "Bowman and Co"})
        assert fake_zoho.created() == {"Bowman and Co": 1}

pytest loads it when the package is installed; pytest-asyncio runs the tests, in auto or strict mode.
Arguments of `FakeZoho` go into a mark: `@pytest.mark.fake_zoho(shape="clean", per_minute=100)`. By default there is
no limit per minute.
"""

# Every pytest run loads this module: import nothing heavy before a fixture is used.
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
        # Only tests that use the fixture need pytest-asyncio.
        return pytest.fixture(function)  # type: ignore[return-value]
    return fixture(function)  # type: ignore[return-value]


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark `fake_zoho`.

    Args:
        config: pytest's configuration.
    """
    config.addinivalue_line("markers", "fake_zoho(**settings): what FakeZoho is made with")


@_fixture
async def fake_zoho(request: pytest.FixtureRequest) -> AsyncIterator[FakeZoho]:
    """A running, empty FakeZoho for each test. An exception inside the fake fails the test.

    Args:
        request: pytest's request, for the mark.
    """
    from .fake import FakeZoho

    mark = request.node.get_closest_marker("fake_zoho")
    settings: dict[str, Any] = {"per_minute": None, **(mark.kwargs if mark is not None else {})}
    async with FakeZoho(**settings) as fake:
        yield fake
        if fake.crashes:
            pytest.fail("\n".join(["FakeZoho itself raised an exception:", *fake.problems]), pytrace=False)


@_fixture
async def zoho(fake_zoho: FakeZoho) -> AsyncIterator[Zoho]:
    """A client of that fake, without rate limits of its own.

    Args:
        fake_zoho: The fake.
    """
    from . import Limits, StaticToken, Zoho

    async with Zoho(
        StaticToken(fake_zoho.access_token),
        organization_id=fake_zoho.organization_id,
        api_url=fake_zoho.url,
        accounts_url=fake_zoho.url,
        limits=Limits(per_minute=None),
    ) as client:
        yield client
