from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import webhooks
from zoho_async.webhooks import WebhookError, parse, verify

SECRET = "made0up0secret"
FORM = "application/x-www-form-urlencoded"
DEFAULT = b'{"created_date":"2019-03-06","event_id":"5675"}'


def signed(text: str | bytes, secret: str = SECRET) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def test_the_example_of_the_document() -> None:
    """Its query, its payload and the text that it says is signed."""
    signature = signed('namebasicsubscription_id90343{"created_date":"2019-03-06","event_id":"5675"}')
    verify(DEFAULT, signature, SECRET, query="subscription_id=90343&name=basic")
    verify(DEFAULT, signature.upper(), SECRET, query="name=basic&subscription_id=90343")
    for query in ("", "subscription_id=90344&name=basic", "subscription_id=90343&name=basic&more=1"):
        with pytest.raises(WebhookError, match="not that of this request"):
            verify(DEFAULT, signature, SECRET, query=query)


def test_a_form_is_decoded_and_sorted_together_with_the_query() -> None:
    body = urlencode({"plan": "a b", "customer_name": "Müller & Co", "blank": ""}).encode()
    signature = signed("blankcustomer_nameMüller & Coeventnewplana b")
    verify(body, signature, SECRET, query="event=new", content_type=f"{FORM}; charset=UTF-8")
    with pytest.raises(WebhookError):
        verify(body, signature, SECRET, query="event=new")


def test_a_signature_in_base64_is_accepted() -> None:
    verify(DEFAULT, b64encode(bytes.fromhex(signed(DEFAULT))).decode(), SECRET)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signature": None}, "no header X-Zoho-Webhook-Signature"),
        ({"signature": ""}, "no header"),
        ({"signature": "0" * 64}, "not that of this request"),
        ({"signature": "Ünicode \ud800"}, "not that of this request"),
        ({"secret": "another0secret"}, "not that of this request"),
        ({"secret": ""}, "the secret is empty"),
        ({"body": DEFAULT + b" "}, "not that of this request"),
        ({"body": "text"}, "must be bytes, not str"),
        ({"query": b"a=1"}, "text is needed, not bytes"),
        ({"query": "a=%ff"}, "not readable"),
        ({"query": "&".join(["a=1"] * 1001)}, "too many fields"),
        ({"body": b"a=\xff", "content_type": FORM}, "not text in UTF-8"),
    ],
)
def test_anything_else_is_refused_with_its_reason(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"body": DEFAULT, "signature": signed(DEFAULT), "secret": SECRET} | change
    with pytest.raises(WebhookError, match=message):
        verify(arguments.pop("body"), arguments.pop("signature"), arguments.pop("secret"), **arguments)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(
        hmac, "compare_digest", lambda given, expected: bool(compared.append((given, expected))) or given == expected
    )
    verify(DEFAULT, signed(DEFAULT), SECRET)
    assert len(compared) == 2, "both forms, whichever is right"


PAIRS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5)


@given(PAIRS, PAIRS, st.booleans())
def test_what_is_signed_by_the_rules_is_verified(query: dict[str, str], form: dict[str, str], is_form: bool) -> None:
    pairs = [*query.items(), *(form.items() if is_form else ())]
    # Sorted by the key, not by what stands around it.
    text = "".join(key + value for key, value in sorted(pairs, key=lambda pair: pair[0]))
    body = urlencode(form).encode() if is_form else msgspec.json.encode(form)
    signature = signed(text if is_form else text.encode() + body)
    verify(body, signature, SECRET, query=urlencode(query), content_type=FORM if is_form else "application/json")
    with pytest.raises(WebhookError):
        verify(body + b"x=1", signature, SECRET, query=urlencode(query), content_type=FORM if is_form else "")


def test_a_notification_names_its_records() -> None:
    body = msgspec.json.encode(
        {
            "event_id": "90300000005337",
            "event_type": "subscription_activation",
            "data": {
                "subscription": {"subscription_id": "7", "customer": {"customer_id": 42, "event_id": "inner"}},
                "plans": [{"plan_id": "not one of them"}],
            },
        }
    )
    found = parse(body)
    assert (found.event_id, found.event_type) == ("90300000005337", "subscription_activation")
    assert found.ids == {"event_id": "90300000005337", "subscription_id": "7", "customer_id": "42"}
    assert found.data["data"]["subscription"]["subscription_id"] == "7"


def test_a_payload_in_a_field_is_read() -> None:
    contact = '{"contact":{"contact_id":"42"}}'
    assert parse(f"JSONString={quote_plus(contact)}&x=1".encode(), content_type=FORM).ids == {"contact_id": "42"}
    assert parse(msgspec.json.encode({"payload": contact})).ids == {"contact_id": "42"}
    assert parse(b'{"payload":"{broken","note":"x"}').data == {"payload": "{broken", "note": "x"}
    assert parse(b"customer_id=7&event_type=new", content_type=FORM).event_type == "new"


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"null", b"{", b'{"a":"\xff"}', b"[" * 100_000, "{}", None])
def test_what_is_no_payload_is_refused(body: Any) -> None:
    with pytest.raises(WebhookError):
        parse(body)


@given(st.binary(max_size=60), st.sampled_from(["", FORM, "application/json"]), st.text(max_size=20), st.text())
def test_nothing_but_the_documented_error_is_raised(body: bytes, kind: str, query: str, signature: str) -> None:
    for call in (
        lambda: parse(body, content_type=kind),
        lambda: verify(body, signature, SECRET, query=query, content_type=kind),
    ):
        try:
            call()
        except WebhookError as error:
            assert str(error)


def test_an_error_has_nothing_of_the_request() -> None:
    for body in (b'{"email":"ann@example.com"', b"ann@example.com"):
        with pytest.raises(WebhookError) as caught:
            parse(body)
        assert "ann" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert webhooks.SIGNATURE_HEADER == "X-Zoho-Webhook-Signature"


async def test_the_recipe_for_aiohttp_wakes_its_reader_for_signed_requests_only() -> None:
    page = (Path(__file__).parents[1] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"## aiohttp\n+```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"secret": SECRET}
    exec(recipe, names)
    async with TestClient(TestServer(names["app"])) as client:
        refused = await client.post("/zoho?a=1", data=DEFAULT, headers={webhooks.SIGNATURE_HEADER: "0" * 64})
        assert (refused.status, names["wanted"].is_set()) == (401, False)
        headers = {webhooks.SIGNATURE_HEADER: signed(b"aM\xc3\xbc b" + DEFAULT)}
        taken = await client.post("/zoho?a=M%C3%BC+b", data=DEFAULT, headers=headers)
        assert (taken.status, names["wanted"].is_set()) == (204, True)
