from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from zoho_async import errors
from zoho_async.bulk import errors as bulk_errors


@given(st.text(), st.text())
def test_an_error_prints_on_one_line_whatever_a_server_says(first: str, second: str) -> None:
    fault = errors.Fault(path=first, rule="applied", message=second)
    error = errors.InvalidError(f"call: {first}", message=second, faults=[fault])
    for text in (str(error), repr(error), str(fault), str(pickle.loads(pickle.dumps(error)))):
        assert text.isprintable()
    assert error.message == second, "as received"


def test_escape_sequences_are_shown_and_letters_are_kept() -> None:
    assert str(errors.ZohoError("\x1b[31mred\x1b[0m\r\nnaïve 名 \u202e\x9b\ud83d")) == (
        "\\x1b[31mred\\x1b[0m\\r\\nnaïve 名 \\u202e\\x9b\\ud83d"
    )
    assert len(str(errors.ZohoError("x" * 1_000_000))) == 10_000
    assert bulk_errors.printable is errors.printable
