"""A pytest plugin with two fixtures: `zoho_fake`, a FakeZoho on this machine, and `zoho_client`, a client of it.

    async def test_a_customer_is_created(zoho_fake: FakeZoho, zoho_client: Zoho) -> None:
        await zoho_client.books.contacts.create({"contact_name": "Bowman and Co"})
        assert zoho_fake.created() == {"Bowman and Co": 1}

pytest loads it when the package is installed; pytest-asyncio runs the tests, in auto or strict mode and in loops of any
scope: the fake serves in a thread of its own, and the client belongs to the loop of its test. Arguments of `FakeZoho`
go into a mark: `@pytest.mark.fake_zoho(shape="clean", per_minute=100)`. By default there is no limit per minute.

Where the client would wait for a limit or a retry, the fake's clock is advanced instead: a test of a 429 takes no time.
The fixtures have the shorter names `fake_zoho` and `zoho` too.
"""

# Every pytest run loads this module: import nothing heavy before a fixture is used.
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from zoho_async import Zoho
    from zoho_async.fake import FakeZoho

__all__ = ["fake_zoho", "zoho", "zoho_client", "zoho_fake"]

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
def zoho_fake(request: pytest.FixtureRequest) -> Iterator[FakeZoho]:
    """A running, empty FakeZoho for each test. An exception inside the fake fails the test.

    Args:
        request: pytest's request, for the mark.
    """
    from zoho_async.fake.http.threaded import ThreadedFakeZoho

    mark = request.node.get_closest_marker("fake_zoho")
    settings: dict[str, Any] = {"per_minute": None, **(mark.kwargs if mark is not None else {})}
    with ThreadedFakeZoho(**settings).in_thread() as fake:
        yield fake
        if fake.crashes:
            pytest.fail("\n".join(["FakeZoho itself raised an exception:", *fake.problems]), pytrace=False)


@pytest.fixture
def fake_zoho(request: pytest.FixtureRequest) -> FakeZoho:
    """The fake under its shorter name.

    Args:
        request: pytest's request, for the fake.
    """
    fake: FakeZoho = request.getfixturevalue("zoho_fake")
    return fake


@pytest.fixture
def zoho_client(request: pytest.FixtureRequest, zoho_fake: FakeZoho) -> Zoho:
    """A client of that fake, without rate limits of its own.

    Args:
        request: pytest's request, for the scope of the test's event loop.
        zoho_fake: The fake.
    """
    client: Zoho = request.getfixturevalue(_name_in_loop(_loop_scope_of(request)))
    return client


@pytest.fixture
def zoho(request: pytest.FixtureRequest, fake_zoho: FakeZoho) -> Zoho:
    """The client under its shorter name.

    Args:
        request: pytest's request, for the client.
        fake_zoho: The fake.
    """
    client: Zoho = request.getfixturevalue("zoho_client")
    return client


def _client_in_loop(scope: str) -> Any:
    # A function for each: pytest-asyncio notes the scope on the function.
    async def client(zoho_fake: FakeZoho) -> AsyncIterator[Zoho]:
        from zoho_async import Limits, StaticToken, Zoho

        from .skipped_waits import SkippingLimiters

        limiters = SkippingLimiters(zoho_fake.clock)
        async with Zoho(
            StaticToken(zoho_fake.access_token),
            organization_id=zoho_fake.organization_id,
            api_url=zoho_fake.url,
            accounts_url=zoho_fake.url,
            limits=Limits(per_minute=None),
            limiters=limiters,
        ) as client:
            limiters.skip_sleeps(client._transport.shared)  # pyright: ignore[reportPrivateUsage]
            yield client

    return _in_loop(scope)(client)


# Connections are closed in the event loop that opened them, so there is one fixture for each scope of loops.
_function = _client_in_loop("function")
_class = _client_in_loop("class")
_module = _client_in_loop("module")
_package = _client_in_loop("package")
_session = _client_in_loop("session")
