# /// script
# dependencies = ["zoho_async", "pytest", "pytest-asyncio"]
# ///
"""Test a service with FakeZoho and a fault. Run by pytest, or as a program; the fixtures come with the package."""

import os
import sys

import pytest

from zoho_async import Zoho
from zoho_async.fake import FakeZoho


async def sign_up(zoho: Zoho, name: str) -> str:  # the service
    return (await zoho.books.contacts.create({"contact_name": name})).contact_id


@pytest.mark.asyncio
async def test_a_busy_minute_is_waited_for(zoho_fake: FakeZoho, zoho_client: Zoho) -> None:
    zoho_fake.script("books.contacts.create", ["429:44:30", "pass"])  # 30 s of the fake's clock, none of yours
    assert await sign_up(zoho_client, "Bowman and Co")
    assert zoho_fake.requests("books.contacts.create") == 2
    assert zoho_fake.created() == {"Bowman and Co": 1}


if __name__ == "__main__":
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *options, __file__])
