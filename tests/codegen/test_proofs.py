"""The conformance tests and the coverage page, as generated from the fixture's specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import conformance, docstrings, endpoints
from codegen.__main__ import main
from codegen.load import Specs
from codegen.write import build
from zoho_async.transport.retry_policy import RESPONDED, AttemptOutcome, classify

FIXTURES = Path(__file__).parent / "fixtures" / "specs"
PRODUCTS = endpoints.products(Specs(FIXTURES))
OPERATIONS = [it for product in PRODUCTS for resource in product.resources for it in resource.operations]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return build(FIXTURES)


def test_every_operation_is_called_as_a_user_would(texts: dict[str, str]) -> None:
    tests = "".join(text for path, text in texts.items() if path.startswith("tests/generated/"))
    for operation in OPERATIONS:
        assert f'"{operation.id}",\n        "{operation.method}",' in tests
        assert f"await call.zoho.{operation.id}(" in tests
    compile(tests.replace("from __future__ import annotations", ""), "generated", "exec")


def test_no_two_values_of_a_call_are_the_same() -> None:
    """One that is sent in another's place must be noticed. (Words from a closed list, and true, can't be helped.)"""
    for operation in OPERATIONS:
        values = conformance.samples(operation)
        free = [it.wire for it in operation.parameters if it.type not in ("boolean", "date", "strings")]
        texts = [conformance.wire(values[name]) for name in free]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (["1", "2"], "1,2"), (7, "7")])
def test_values_travel_as_text(value: object, text: str) -> None:
    assert conformance.wire(value) == text


def test_the_coverage_page_tells_documented_operations_from_others(texts: dict[str, str]) -> None:
    documented, _, beyond = texts["docs/reference/coverage.md"].partition("## Undocumented")
    for operation in OPERATIONS:
        assert f"| `{operation.id}` | {operation.method} |" in (beyond if operation.extra else documented)


def test_tests_that_are_no_longer_generated_are_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--specs", str(FIXTURES), "--root", str(tmp_path)]
    assert main(arguments) == 0
    folder = tmp_path / "tests" / "generated"
    orphan = folder / "test_shop_carts.py"
    orphan.write_bytes((folder / "test_shop_things.py").read_bytes())
    (folder / "test_by_hand.py").write_text("", encoding="utf-8")
    assert main([*arguments, "--check"]) == 1
    assert "tests/generated/test_shop_carts.py: no longer generated" in capsys.readouterr().err
    assert main(arguments) == 0
    assert not orphan.exists()
    assert (folder / "test_by_hand.py").exists()


def test_documented_codes_name_the_exceptions_that_are_raised() -> None:
    for code in {*docstrings.ERROR_CLASSES, 1001, 31006}:
        outcome = AttemptOutcome(sent=RESPONDED, status=400, code=code)
        assert classify(outcome, repeatable=True).error.__name__ == docstrings.ERROR_CLASSES.get(code, "RefusedError")
