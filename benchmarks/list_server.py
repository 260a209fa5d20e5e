"""A list of any number of contacts on this machine, whose rows are made as they are asked for."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

PER_PAGE = 200
FIRST_ID = 460000000000000

_ROW = (
    '{{"contact_id":"{id}","contact_name":"Bowman and Co {number}","customer_name":"Bowman and Co {number}",'
    '"vendor_name":"","contact_number":"C-{number}","company_name":"Bowman and Co","website":"{website}",'
    '"language_code":"en","contact_type":"customer","status":"active","customer_sub_type":"business",'
    '"source":"api","payment_terms":15,"payment_terms_label":"Net 15","currency_id":"460000000000097",'
    '"currency_code":"USD","outstanding_receivable_amount":{number}.10,"outstanding_payable_amount":0.00,'
    '"unused_credits_receivable_amount":0.00,"unused_credits_payable_amount":0.00,"first_name":"Will",'
    '"last_name":"Smith","email":"will{number}@bowman.invalid","phone":"+1-925-921-9201","mobile":"",'
    '"cf_external_id":"K{number}","created_time":"2026-01-01T10:00:00-0400",'
    '"last_modified_time":"{modified}","has_attachment":false}}'
)
_LONG_AGO = "2026-01-01T10:00:00-0400"


class ListServer:
    """Answers the list of contacts by either order, and counts.

    Attributes:
        rows: How many contacts there are.
        changed: How many of them, the first ones, were changed, all in one second.
        round: How often they were.
        calls: Requests so far.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.changed = 0
        self.round = 0
        self.calls = 0

    def change(self, count: int) -> None:
        """Changes so many contacts."""
        self.changed, self.round = count, self.round + 1

    async def start(self) -> asyncio.Server:
        """Listens on a free port of 127.0.0.1."""
        return await asyncio.start_server(self._answer, "127.0.0.1", 0)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                body = self.respond(request.split()[1].decode())
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def respond(self, target: str) -> bytes:
        """The body of the response to a request."""
        self.calls += 1
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        last = parts.path.rpartition("/")[2]
        if last.isdigit():
            return f'{{"code":0,"message":"success","contact":{self._row(int(last) - FIRST_ID)}}}'.encode()
        if query.get("response_option") == ["2"]:
            return json.dumps({"code": 0, "message": "success", "page_context": {"total": self.rows}}).encode()
        number = int(query["page"][0])
        start, end = (number - 1) * PER_PAGE, min(number * PER_PAGE, self.rows)
        # The changed ones come first in either order.
        made = ",".join(map(self._row, range(start, end)))
        context = {"page": number, "per_page": PER_PAGE, "has_more_page": end < self.rows}
        members = f'"contacts":[{made}],"page_context":{json.dumps(context)}'
        return f'{{"code":0,"message":"success",{members}}}'.encode()

    def _row(self, number: int) -> str:
        changed = number < self.changed
        modified = f"2026-02-01T10:{self.round:02}:00-0400" if changed else _LONG_AGO
        website = f"round-{self.round}.invalid" if changed else ""
        return _ROW.format(id=FIRST_ID + number, number=number, modified=modified, website=website)
