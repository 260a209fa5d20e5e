"""What is generated: the same bytes every time, complete, importable, and true to the specs."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

import zoho_async
from codegen.__main__ import main
from codegen.docstrings import docstring
from codegen.load import Specs, examples
from codegen.schemas import collect
from codegen.write import build, write

PROJECT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures" / "specs"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return build(FIXTURES)


@pytest.fixture
def shop(texts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The generated package of the made-up shop, importable as if it were part of zoho_async."""
    write(tmp_path, texts)
    monkeypatch.setattr(zoho_async, "__path__", [*zoho_async.__path__, str(tmp_path / "zoho_async")])
    importlib.invalidate_caches()
    yield importlib.import_module("zoho_async.shop")
    for name in [name for name in sys.modules if name.startswith("zoho_async.shop")]:
        del sys.modules[name]
    del zoho_async.shop  # type: ignore[attr-defined]


class Recorder:
    """Stands in for the transport and remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def send(self, operation: Any, **given: Any) -> Any:
        self.calls.append((operation.id, given))
        return SimpleNamespace(data=f"data of {operation.id}")

    def pages(self, operation: Any, **given: Any) -> Any:
        self.calls.append((operation.id, given))
        return f"pages of {operation.id}"


# ---------------------------------------------------------------- the command


def test_generation_is_byte_equal_whatever_the_hash_seed(tmp_path: Path) -> None:
    made: list[dict[str, bytes]] = []
    for seed in ("1", "2"):
        root = tmp_path / seed
        root.mkdir()
        command = [sys.executable, "-m", "codegen", "--specs", str(FIXTURES), "--root", str(root)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
        made.append({path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.*")})
        assert sorted(done.stdout.split("wrote ")[1:]) == sorted(f"{path}\n" for path in made[-1])
    assert made[0] == made[1]
    assert made[0].keys() == {
        "docs/reference/coverage.md",
        "docs/reference/depot.md",
        "docs/reference/shop.md",
        "tests/generated/test_depot_doors.py",
        "tests/generated/test_shop_shelves.py",
        "tests/generated/test_shop_things.py",
        "zoho_async/depot/__init__.py",
        "zoho_async/depot/doors.py",
        "zoho_async/depot/models.py",
        "zoho_async/depot/rules.py",
        "zoho_async/fake/rendering/examples.py",
        "zoho_async/schema/registry.py",
        "zoho_async/shop/__init__.py",
        "zoho_async/shop/models.py",
        "zoho_async/shop/rules.py",
        "zoho_async/shop/shelves.py",
        "zoho_async/shop/things.py",
    }


def test_check_names_what_was_edited_removed_or_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--specs", str(FIXTURES), "--root", str(tmp_path)]
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    things, shelves = (tmp_path / f"zoho_async/shop/{name}.py" for name in ("things", "shelves"))
    orphan, foreign = (tmp_path / f"zoho_async/shop/{name}.py" for name in ("carts", "by_hand"))
    orphan.write_bytes(things.read_bytes())
    foreign.write_text("# written by hand\n", encoding="utf-8")
    things.write_bytes(things.read_bytes() + b"\n")
    shelves.unlink()
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "zoho_async/shop/shelves.py",
        "zoho_async/shop/things.py",
        "zoho_async/shop/carts.py",
        "zoho_async/shop/by_hand.py",
    ]
    assert not shelves.exists()
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrote zoho_async/shop/shelves.py",
        "wrote zoho_async/shop/things.py",
        "removed zoho_async/shop/carts.py",
    ]
    assert foreign.exists(), "what nobody generated is nobody's to remove"
    assert main([*arguments, "--check"]) == 1
    foreign.unlink()
    assert main([*arguments, "--check"]) == 0


def test_invalid_specs_write_nothing(specs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = specs / "depot" / "doors.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("x-scope", "x-scopes"), encoding="utf-8")
    root = tmp_path / "root"
    assert main(["--specs", str(specs), "--root", str(root)]) == 1
    assert "depot/doors.yaml: paths./doors/{door_id}.delete: x-scope is missing; add it" in capsys.readouterr().err
    assert not root.exists()


def test_the_project_holds_what_its_specs_say() -> None:
    assert main(["--check"]) == 0


def test_a_change_in_a_shared_file_changes_the_digest_of_those_that_use_it(specs: Path, texts: dict[str, str]) -> None:
    path = specs / "common.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# a remark\n", encoding="utf-8")
    changed = {name for name, text in build(specs).items() if text != texts[name]}
    # The shelves and the doors refer to nothing in it.
    unchanged = {"zoho_async/shop/shelves.py", "docs/reference/depot.md"}
    unchanged |= {"tests/generated/test_shop_shelves.py", "tests/generated/test_depot_doors.py"}
    unchanged |= {name for name in texts if name.startswith("zoho_async/depot/")}
    assert changed == texts.keys() - unchanged


def test_the_generator_knows_nothing_of_the_package() -> None:
    for path in (PROJECT / "codegen").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "zoho_async"], path


# ---------------------------------------------------------------- structs


def test_answers_know_none_and_decode(shop: ModuleType) -> None:
    thing = msgspec.json.decode(
        b'{"thing_id":"12345678901234567890","from":"2026-01-31","made":"2026-01-31T10:00:00-04:00","price":1.50,'
        b'"colour":"mauve","secret":"s3cret","part":{"parts":[{"part_id":"7"}]},"anything":[1],"bag":{"a":1},'
        b'"vat-no":"GB1","unknown":true}',
        type=shop.Thing,
    )
    assert (thing.thing_id, thing.from_, thing.price) == ("12345678901234567890", date(2026, 1, 31), Decimal("1.50"))
    assert (thing.colour, thing.part.parts[0].part_id, thing.names) == ("mauve", "7", None)
    assert thing.made.astimezone(UTC) == datetime(2026, 1, 31, 14, tzinfo=UTC)
    assert (thing.anything, thing.bag, thing.vat_no) == ([1], {"a": 1}, "GB1")
    assert msgspec.json.decode(msgspec.json.encode(thing), type=shop.Thing) == thing
    assert msgspec.json.encode(shop.Thing(thing_id="1")) == b'{"thing_id":"1"}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"{}", type=shop.Thing)


def test_requests_leave_out_what_is_unset_and_send_null(shop: ModuleType) -> None:
    body = shop.ThingCreate(name="Ball", price=Decimal("1.50"), owner_id=None, from_="here")
    assert msgspec.to_builtins(body, builtin_types=(Decimal,)) == {
        "name": "Ball",
        "price": Decimal("1.50"),
        "owner_id": None,
        "from": "here",
    }
    assert body.colour is msgspec.UNSET
    with pytest.raises(TypeError):
        shop.ThingCreate()
    kinds = msgspec.inspect.type_info(shop.ThingCreate)
    price = next(field.type for field in kinds.fields if field.name == "price")  # type: ignore[union-attr]
    assert {type(kind).__name__ for kind in price.types} == {"DecimalType", "IntType", "NoneType"}  # type: ignore[union-attr]


def test_secrets_are_not_printed(shop: ModuleType) -> None:
    body = shop.ThingCreate(name="Ball", pin="1234", parts=[shop.PartInput(part_id="1")])
    assert "1234" not in repr(body)
    assert "pin='***'" in repr(body)
    assert ("pin", "***") in body.__rich_repr__()
    assert "pin" not in repr(shop.ThingCreate(name="Ball"))
    assert "GB1" not in repr([shop.Thing(thing_id="1", vat_no="GB1")])
    assert shop.ThingCreate(name="Ball", pin="1234").pin == "1234"


def test_structs_say_what_the_specs_know(texts: dict[str, str]) -> None:
    text = texts["zoho_async/shop/models.py"]
    assert "What people call it. At most 20 characters." in text
    assert "Not used any more. 1 to 10. Deprecated." in text
    assert "Known values: big, small. Zoho's documents disagree: two lists are given." in text
    assert "Editions: us, ca." in text
    assert "Seen in responses, not documented." in text
    assert "class PageContext" not in text, "envelopes have no structs"
    assert "class Named" not in text, "shared parts are taken apart"
    assert max(map(len, text.splitlines())) <= 120


def test_every_struct_of_the_specs_is_generated_once_in_its_direction() -> None:
    found = {name: schema.direction for name, schema in collect(Specs(FIXTURES), "shop").items()}
    answers = dict.fromkeys(("Part", "Shelf", "Thing", "ThingRow"), "response")
    assert found == answers | dict.fromkeys(("ThingCreate", "PartInput", "PhotoMail"), "request")


@pytest.mark.parametrize("text", ['ends in "quotes"', "back\\slash", 'has """ inside', "word " * 60 + '"end"'])
def test_docstrings_say_the_text_whatever_is_in_it(text: str) -> None:
    source = "class A:\n" + "\n".join(docstring(text))
    found = ast.get_docstring(ast.parse(source).body[0])  # type: ignore[arg-type]
    assert found is not None
    assert found.split() == text.split()


# ---------------------------------------------------------------- methods, tables, packages


async def test_methods_hand_over_what_they_were_given(shop: ModuleType) -> None:
    recorder = Recorder()
    client = shop.Shop(recorder)
    assert client.things.list(from_="2026-01-31", tags=["a"], page=2) == "pages of shop.things.list"
    assert await client.things.create({"name": "Ball"}) == "data of shop.things.create"
    assert await client.things.replace_part("1", "wheel", key="k") is None
    assert await client.things.replace_part("1", "wheel", {"a": 1}, key="k") is None
    assert await client.shelves.list(type=dict) == "data of shop.shelves.list"
    assert await client.shelves.get_plan() == "data of shop.shelves.get_plan"
    absent = {"sort_order": None, "is_new": None, "kind": None}
    part = {"path": {"thing_id": "1", "class": "wheel"}, "headers": {"X-Key": "k"}}
    assert recorder.calls == [
        ("shop.things.list", {"query": {"page": 2, "from": "2026-01-31", "tags": ["a"], **absent}, "type": None}),
        ("shop.things.create", {"body": {"name": "Ball"}}),
        ("shop.things.replace_part", {**part, "body": None}),
        ("shop.things.replace_part", {**part, "body": {"a": 1}}),
        ("shop.shelves.list", {"type": dict}),
        ("shop.shelves.get_plan", {"type": None}),
    ]
    with pytest.raises(TypeError):
        await client.things.replace_part("1", "wheel")
    with pytest.raises(TypeError):
        await client.things.create(body={})


async def test_files_are_handed_over_by_the_names_of_their_parts(shop: ModuleType) -> None:
    recorder = Recorder()
    shelves = shop.Shop(recorder).shelves
    await shelves.hang_plan(drawing=b"1")
    await shelves.hang_plan({"wall": "north"})
    await shelves.send_photo("1", {"to": "a"}, frame="oak.png")
    await shelves.send_photo("1")
    assert await shelves.get_photo("1", to="a.png") == "data of shop.shelves.get_photo"
    place = {"path": {"shelf_id": "1"}}
    assert recorder.calls == [
        ("shop.shelves.hang_plan", {"body": None, "files": {"drawing": b"1"}}),
        ("shop.shelves.hang_plan", {"body": {"wall": "north"}, "files": {"drawing": None}}),
        ("shop.shelves.send_photo", {**place, "body": {"to": "a"}, "files": {"photo": None, "frame": "oak.png"}}),
        ("shop.shelves.send_photo", {**place, "body": None, "files": {"photo": None, "frame": None}}),
        ("shop.shelves.get_photo", {**place, "to": "a.png"}),
    ]
    with pytest.raises(TypeError):
        await shelves.get_photo("1", "a.png")
    module = importlib.import_module("zoho_async.shop.shelves")
    hang, send, get = module.HANG_PLAN, module.SEND_PHOTO, module.GET_PHOTO
    assert [(it.request, it.body_optional, it.files) for it in (hang, send, get)] == [
        (dict, False, ("drawing",)),
        (shop.PhotoMail, True, ("photo", "frame")),
        (None, False, ()),
    ]
    assert [(it.kind, it.in_list, it.response, it.extra) for it in (hang, send, get)] == [
        ("nothing", False, None, ""),
        ("record", True, shop.Shelf, ""),
        ("file", False, None, "Everybody likes photos."),
    ]
    assert "What goes around it. A path, bytes, or an `Upload`." in shelves.send_photo.__doc__
    assert "Zoho uses. Optional." in shelves.send_photo.__doc__
    assert "Optional." not in shelves.hang_plan.__doc__


def test_operations_carry_what_the_specs_say(shop: ModuleType) -> None:
    things = importlib.import_module("zoho_async.shop.things")
    shelves = importlib.import_module("zoho_async.shop.shelves")
    kinds = [it.kind for it in (things.LIST, things.CREATE, things.REPLACE_PART, shelves.LIST, shelves.GET_PLAN)]
    assert kinds == ["page", "record", "nothing", "list", "untyped"]
    assert (things.LIST.response, things.LIST.envelope, things.LIST.row_id) == (shop.ThingRow, ("things",), "thing_id")
    assert (things.CREATE.empty, things.LIST.empty) == (("price",), ())
    assert (things.CREATE.request, things.CREATE.response, things.CREATE.idempotent) == (
        shop.ThingCreate,
        shop.Thing,
        False,
    )
    assert things.REPLACE_PART.request is dict
    assert things.REPLACE_PART.idempotent
    assert [(it.name, it.location, it.type, it.values) for it in things.LIST.parameters] == [
        ("page", "query", "integer", ()),
        ("from", "query", "date", ()),
        ("sort_order", "query", "string", ("A", "D")),
        ("is_new", "query", "boolean", ()),
        ("tags", "query", "strings", ()),
        ("kind", "query", "string", ()),
    ]
    assert [it.name for it in things.REPLACE_PART.parameters] == ["thing_id", "class", "X-Key"]
    assert (things.LIST.organization.name, things.LIST.organization.location) == ("X-shop-organizationid", "header")
    assert shelves.GET_PLAN.organization is None
    assert shelves.LIST.envelope == ("shelves", "racks")
    assert "RefusedError: The name is taken (code 7)." in things.Things.create.__doc__


def test_a_product_loads_only_what_is_asked_for(texts: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, texts)
    program = (
        "import sys, zoho_async\n"
        f"zoho_async.__path__.append({str(tmp_path / 'zoho_async')!r})\n"
        "import zoho_async.shop as shop\n"
        "def loaded(): return sorted(n.rpartition('.')[2] for n in sys.modules if n.startswith('zoho_async.shop.'))\n"
        "assert loaded() == [], loaded()\n"
        "from zoho_async.shop import Thing\n"
        "assert loaded() == ['models'], loaded()\n"
        "shop.Shop(None).things\n"
        "assert loaded() == ['models', 'things'], loaded()\n"
        "assert 'Shelves' in dir(shop) and 'ThingCreate' in shop.__all__\n"
        "assert all(getattr(shop, name) for name in shop.__all__)\n"
        "assert not hasattr(shop, 'Nothing')\n"
        "assert 'aiohttp' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)


def test_rules_hold_for_requests_only(shop: ModuleType) -> None:
    rules = importlib.import_module("zoho_async.shop.rules").RULES
    assert rules.keys() == {"PartInput", "PhotoMail", "ThingCreate"}
    found = {name: msgspec.to_builtins(rule) for name, rule in rules["ThingCreate"].items()}
    plain = msgspec.to_builtins(type(rules["PartInput"]["part_id"])(kind="any"))

    def rule(**given: Any) -> dict[str, Any]:
        return plain | given

    assert found == {
        "name": rule(kind="string", required=True, max_length=20),
        "colour": rule(kind="string", values=("red", "green")),
        "price": rule(kind="number"),
        "size": rule(kind="integer", minimum=1, maximum=10, deprecated=True),
        "kind": rule(kind="string", values=("big", "small"), disputed=True),
        "owner_id": rule(kind="id", editions=("us", "ca")),
        "pin": rule(kind="string", min_length=4, max_length=4, pattern="[0-9]+", secret=True),
        "parts": rule(kind="array", items="object", schema="PartInput"),
        "part": rule(kind="object", schema="PartInput"),
        "days": rule(kind="array", items="date"),
        "at": rule(kind="datetime"),
        "is_new": rule(kind="boolean"),
        "anything": rule(kind="any"),
        "from": rule(kind="string"),
    }


def test_the_registry_lists_all_products_and_operations(texts: dict[str, str]) -> None:
    text = texts["zoho_async/schema/registry.py"].replace("from .operation", "from zoho_async.schema.operation")
    names: dict[str, Any] = {}
    exec(compile(text, "registry", "exec"), names)
    assert {name: product.root for name, product in names["PRODUCTS"].items()} == {
        "depot": "/depot/v2",
        "shop": "/shop/v1",
    }
    assert names["SECRETS"] == {"secret", "vat-no", "pin"}
    assert names["PRODUCTS"]["shop"].organization.name == "X-shop-organizationid"
    assert names["OPERATIONS"] == {
        "depot.doors.delete": ("zoho_async.depot.doors", "DELETE"),
        "shop.shelves.list": ("zoho_async.shop.shelves", "LIST"),
        "shop.shelves.get_plan": ("zoho_async.shop.shelves", "GET_PLAN"),
        "shop.shelves.hang_plan": ("zoho_async.shop.shelves", "HANG_PLAN"),
        "shop.shelves.get_photo": ("zoho_async.shop.shelves", "GET_PHOTO"),
        "shop.shelves.send_photo": ("zoho_async.shop.shelves", "SEND_PHOTO"),
        "shop.things.list": ("zoho_async.shop.things", "LIST"),
        "shop.things.create": ("zoho_async.shop.things", "CREATE"),
        "shop.things.replace_part": ("zoho_async.shop.things", "REPLACE_PART"),
    }


def test_examples_come_with_their_direction(texts: dict[str, str]) -> None:
    assert [(it.operation_id, it.direction, it.name) for it in examples(FIXTURES)] == [
        ("shop.things.create", "request", "documented"),
        ("shop.things.create", "response", "documented"),
    ]
    names: dict[str, Any] = {}
    exec(compile(texts["zoho_async/fake/rendering/examples.py"], "examples", "exec"), names)
    assert msgspec.json.decode(names["REQUESTS"]["shop.things.create"]) == {"name": "Ball", "price": 1.5}
    assert '"thing_id":12345678901234567890' in names["RESPONSES"]["shop.things.create"]


def test_the_reference_page_names_every_operation(texts: dict[str, str]) -> None:
    page = texts["docs/reference/shop.md"]
    for part in (
        "`shop.things.replace_part`",
        "`await zoho.shop.things.replace_part(thing_id, class_, body, key=...)`",
        "`PUT /things/{thing_id}/parts/{class}`",
        "`async for row in zoho.shop.things.list()`",
        "`Shop.shelves.READ`",
        "https://example.com/docs#plan",
    ):
        assert part in page
