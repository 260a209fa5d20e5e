"""Whatever comes in, Zoho's error shape goes out, and nothing breaks."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.profiles import examples

from zoho_async import operations
from zoho_async.fake import FakeZoho
from zoho_async.fake.messages import FakeRequest, Reply
from zoho_async.schema.registry import PRODUCTS

RULES = settings(max_examples=examples(200), suppress_health_check=list(HealthCheck))
FIELDS = (
    "contact_name", "display_name", "email", "contact_type", "credit_limit", "payment_terms", "billing_address",
    "contact_persons", "custom_fields", "contact_id", "contact_ids", "tags", "opening_balances", "description",
    "default_templates", "to_mail_ids", "address_id", "attachment", "document_ids", "is_taxable", "label", "index",
    "value", "api_name", "customfield_id", "first_name", "is_primary_contact", "street", "zip",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "1", "cf_x", "1e999999"]),
)
FILE = b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="x"\r\n'
DATA = b'--b\r\nContent-Disposition: form-data; name="JSONString"\r\n\r\n'
END = b"\r\n--b--"
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6).map(lambda body: json.dumps(body).encode()),
    VALUES.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=60).map(lambda part: FILE + part),
    st.binary(max_size=40).map(lambda part: FILE + b"\r\n" + part + END),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4).map(
        lambda body: DATA + json.dumps(body).encode() + END
    ),
)
FORM = "multipart/form-data; boundary=b"
TYPES = st.sampled_from(["application/json", "application/x-www-form-urlencoded", FORM, "multipart/form-data", ""])
QUERIES = st.dictionaries(
    st.sampled_from(
        ("page", "per_page", "filter_by", "sort_column", "contact_ids", "owner_id", "JSONString", "line1", "start_date",
         "contact_name", "search_text", "response_option", "reference_id_type", "currency_id")
    ),
    st.text(max_size=8) | st.sampled_from(["0", "-1", "1", "9" * 30, "2", "{}", "Status.Duplicate", "1,2"]),
    max_size=4,
)  # fmt: skip
ID = "460000000026049"
POST = b"POST /books/v3/contacts HTTP/1.1\r\nHost: x\r\n"


def sent(fake: FakeZoho, method: str, path: str, query: dict[str, str], content_type: str, body: bytes) -> Reply:
    headers = CIMultiDict(
        {"Host": "127.0.0.1", "Authorization": f"Zoho-oauthtoken {fake.access_token}", "Content-Type": content_type}
    )
    headers.update({"X-Unique-Identifier-Key": "cf_external_id", "X-Unique-Identifier-Value": "1", "X-Upsert": "true"})
    form = content_type == "application/x-www-form-urlencoded"
    segments = [unquote(part) for part in path.removeprefix("/").split("/")]
    request = FakeRequest(
        method=method, path=path, segments=segments, query=query, headers=headers, form=form, body=body
    )
    return fake.handle(request, "http://x")


def check(fake: FakeZoho, reply: Reply) -> None:
    assert fake.crashes == 0, "\n".join(fake.problems)
    assert reply.status in (200, 201, 400, 401, 404)
    if reply.content_type.startswith("application/json"):
        body: dict[str, Any] = json.loads(reply.body)
        assert isinstance(body["code"], int)
        assert isinstance(body["message"], str)
        assert (body["code"] == 0) is (reply.status < 300)
        assert b"Traceback" not in reply.body


@RULES
@given(
    operation=st.sampled_from(operations()),
    ids=st.sampled_from([ID, "1", "x", "%2F", "%FF", "9" * 50, "0", "٣"]),
    query=QUERIES,
    content_type=TYPES,
    body=BODIES,
)
def test_any_request_to_any_operation(
    operation: Any, ids: str, query: dict[str, str], content_type: str, body: bytes
) -> None:
    fake = FakeZoho(per_minute=None, keep_received=0)
    fake.seed(
        [{"contact_id": ID, "contact_name": "A", "contact_persons": [{"contact_person_id": ID, "first_name": "B"}]}]
    )
    parts = [ids if part.startswith("{") else part for part in operation.path.split("/")]
    path = PRODUCTS[operation.product].root + "/".join(parts)
    for _ in range(2):
        check(fake, sent(fake, operation.method, path, query, content_type, body))
    # What it may have stored can still be read.
    for listing in ("/books/v3/contacts", "/billing/v1/customers", "/expense/v1/contacts"):
        reply = sent(fake, "GET", listing, {}, "", b"")
        assert reply.status == 200
        check(fake, reply)


@RULES
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    name=st.sampled_from(
        ["stats", "seed", "script", "faults", "clock", "limits", "organizations", "contacts", "x", ""]
    ),
    body=BODIES,
)
def test_any_request_to_the_controls(method: str, name: str, body: bytes) -> None:
    fake = FakeZoho(keep_received=0)
    reply = sent(fake, method, f"/_fake/{name}", {}, "", body)
    assert fake.crashes == 0, "\n".join(fake.problems)
    assert reply.status in (200, 400, 404)


@RULES
@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30), form=st.binary(max_size=40))
def test_any_path_and_any_token_request(path: str, form: bytes) -> None:
    fake = FakeZoho(keep_received=0)
    check(fake, sent(fake, "GET", f"/{path.removeprefix('_fake')}", {}, "", b""))
    reply = sent(fake, "POST", "/oauth/v2/token", {}, "application/x-www-form-urlencoded", form)
    assert (fake.crashes, "error" in json.loads(reply.body)) == (0, True)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /books/v3/contacts HTTP/9.9\r\n\r\n",
        b"GET /books/v3/contacts HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /books/v3/contacts HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /books/v3/%zz%/contacts?organization_id=%zz&%=% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /books/v3/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://[::1/books HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET //// HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        POST + b"Content-Type: multipart/x; boundary=\xff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:60]),
)
async def test_what_is_no_http(fake: FakeZoho, raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
    writer.write(raw)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1][:1] == b"4", answer
    assert isinstance(json.loads(body)["code"], int)
    assert caplog.records == []


async def test_twenty_megabytes(fake: FakeZoho) -> None:
    text = json.dumps({"contact_name": "x" * 20_000_000}).encode()
    form = FILE + b"\r\n" + text + END
    assert json.loads(sent(fake, "POST", "/books/v3/contacts", {}, "", text).body)["code"] == 15
    fake.seed([{"contact_id": ID, "contact_name": "A"}])
    path = f"/books/v3/contacts/{ID}/attachment"
    assert sent(fake, "POST", path, {}, "multipart/form-data; boundary=b", form).status == 200
    assert sent(fake, "POST", path, {}, "multipart/form-data; boundary=b", form[:-1]).status == 400
