"""A pytest plugin with two fixtures: `fake_zoho`, a FakeZoho on this machine, and `zoho`, a client of it.

    async def test_a_customer_is_created(fake_zoho, zoho):
        await zoho.books.contacts.create({"contact_name": "Bowman and Co"})
        assert fake_zoho.created() == {"Bowman and Co": 1}

pytest loads it when the package is installed; pytest-asyncio runs the tests, in auto or strict mode and in loops of any
scope: the fake serves in a thread of its own, and the client belongs to the loop of its test. Arguments of `FakeZoho`
go into a mark: `@pytest.mark.fake_zoho(shape="clean", per_minute=100)`. By default there is no limit per minute.
"""

# Every pytest run loads this module: import nothing heavy before a fixture is used.
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from . import Zoho
    from .fake import FakeZoho

__all__ = ["fake_zoho", "zoho"]

_LOOP_SCOPES = ("function", "class", "module", "package", "session")


def _in_loop(scope: str) -> Callable[[Callable[..., Any]], Any]:
    """A fixture that runs in the event loop of a scope."""
    name = _name_in_loop(scope)
    try:
        from pytest_asyncio import fixture
    except ImportError:
        # Only tests that use the fixture need pytest-asyncio.
        return pytest.fixture(name=name)
    options: dict[str, Any] = {"name": name, "loop_scope": scope}
    return fixture(**options)


def _name_in_loop(scope: str) -> str:
    return f"_zoho_in_{scope}_loop"


def _loop_scope_of(request: pytest.FixtureRequest) -> str:
    """The scope of the event loop that pytest-asyncio runs a test in."""
    mark = request.node.get_closest_marker("asyncio")
    chosen = mark.kwargs.get("loop_scope") or mark.kwargs.get("scope") if mark is not None else None
    try:
        default = request.config.getini("asyncio_default_test_loop_scope")
    except (KeyError, ValueError):
        default = None  # not known to older versions
    scope = str(chosen or default or "function")
    if scope not in _LOOP_SCOPES:
        pytest.fail(f"the fixture zoho knows no event loop of scope {scope}", pytrace=False)
    return scope


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark `fake_zoho`.

    Args:
        config: pytest's configuration.
    """
    config.addinivalue_line("markers", "fake_zoho(**settings): what FakeZoho is made with")


@pytest.fixture
def fake_zoho(request: pytest.FixtureRequest) -> Iterator[FakeZoho]:
    """A running, empty FakeZoho for each test. An exception inside the fake fails the test.

    Args:
        request: pytest's request, for the mark.
    """
    from .fake.http.threaded import ThreadedFakeZoho

    mark = request.node.get_closest_marker("fake_zoho")
    settings: dict[str, Any] = {"per_minute": None, **(mark.kwargs if mark is not None else {})}
    with ThreadedFakeZoho(**settings).in_thread() as fake:
        yield fake
        if fake.crashes:
            pytest.fail("\n".join(["FakeZoho itself raised an exception:", *fake.problems]), pytrace=False)


@pytest.fixture
def zoho(request: pytest.FixtureRequest, fake_zoho: FakeZoho) -> Zoho:
    """A client of that fake, without rate limits of its own.

    Args:
        request: pytest's request, for the scope of the test's event loop.
        fake_zoho: The fake.
    """
    client: Zoho = request.getfixturevalue(_name_in_loop(_loop_scope_of(request)))
    return client


def _client_in_loop(scope: str) -> Any:
    # A function for each: pytest-asyncio notes the scope on the function.
    async def client(fake_zoho: FakeZoho) -> AsyncIterator[Zoho]:
        from . import Limits, StaticToken, Zoho

        async with Zoho(
            StaticToken(fake_zoho.access_token),
            organization_id=fake_zoho.organization_id,
            api_url=fake_zoho.url,
            accounts_url=fake_zoho.url,
            limits=Limits(per_minute=None),
        ) as client:
            yield client

    return _in_loop(scope)(client)


# Connections are closed in the event loop that opened them, so there is one fixture for each scope of loops.
_function = _client_in_loop("function")
_class = _client_in_loop("class")
_module = _client_in_loop("module")
_package = _client_in_loop("package")
_session = _client_in_loop("session")
