"""The comparison of clients: medians, tables, plots, goals and the command line, without a measurement."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import compare
import pytest
from comparing import goals, report, responses, server, svg
from comparing.models import bundled, nodes, pydantic_envelope
from comparing.peers import BARE, CLIENTS, JSON, OURS, PEERS
from comparing.running import (
    AFTER_END,
    ANSWER,
    DECODERS,
    FULL,
    QUICK,
    PeerError,
    Run,
    environment_of,
    interleaved,
    processes,
)
from comparing.statistics import counted, rounded, summary

PROJECT = Path(__file__).parents[2]
GOALS = goals.read(PROJECT / "benchmarks/goals.toml")
CONTACT = {
    "contact_id": "1",
    "contact_name": "Bowman and Co",
    "exchange_rate": "",
    "consent_date": "",
    "created_date": "2026-11-28",
    "notes": "",
}


def samples(*cpu: float) -> list[dict[str, float]]:
    return [{"cpu": one, "wall": one * 2} for one in cpu]


def test_a_ratio_compares_within_each_round() -> None:
    # The second round was slow for both, the third only for us: a ratio of medians would be 2.
    measure = summary({OURS: samples(1, 20, 8), BARE: samples(1, 10, 2)}, count=10, base=BARE)
    assert measure[OURS]["ratio"] == 2
    assert measure[OURS]["speed"] == 0.5
    assert measure[BARE]["ratio"] == 1
    assert measure[OURS]["cpu_us"] == pytest.approx(800_000)
    assert measure[OURS]["rate"] == pytest.approx(1 / 1.6)
    assert measure[OURS]["rounds"] == 3


def test_a_peer_without_samples_or_without_the_base_has_no_ratio() -> None:
    measure = summary({OURS: samples(1), "zohopy": []}, count=1, base=BARE)
    assert set(measure) == {OURS}
    assert "ratio" not in measure[OURS]


def test_instructions_are_compared_with_the_base() -> None:
    assert counted({OURS: 30.0, BARE: 20.0}, BARE)[OURS] == {"instructions": 30, "ratio": 1.5, "speed": 1 / 1.5}
    assert counted({OURS: 30.0}, BARE) == {OURS: {"instructions": 30}}


def test_results_keep_four_digits() -> None:
    assert rounded({OURS: {"ratio": 1.23456, "rate": 123456.0}}) == {OURS: {"ratio": 1.235, "rate": 123500.0}}


@pytest.mark.parametrize(
    ("limits", "measured", "met"),
    [
        ({"at_most": 1.25}, 1.25, True),
        ({"at_most": 1.25}, 1.26, False),
        ({"at_most": 1.25, "tolerance": 0.1}, 1.37, True),
        ({"at_most": 1.25, "tolerance": 0.1}, 1.38, False),
        ({"at_least": 2.0}, 2.0, True),
        ({"at_least": 2.0}, 1.99, False),
        ({"at_least": 2.0, "tolerance": 0.1}, 1.81, True),
        ({"at_least": 2.0, "tolerance": 0.1}, 1.79, False),
    ],
)
def test_a_goal_is_met_within_its_tolerance(limits: dict[str, float], measured: float, met: bool) -> None:
    goal = goals.Goal("decoding", "decode.contact", "speed", **limits)  # type: ignore[arg-type]
    assert goal.met(measured) is met
    lines = goals.missed([goal], {"decode.contact": {OURS: {"speed": measured}}})
    assert bool(lines) is not met


def test_what_was_not_measured_misses_its_goal_unless_it_is_optional() -> None:
    goal = goals.Goal("decoding", "decode.contact", "speed", at_least=2)
    optional = goals.Goal("instructions", "instructions.contact", "ratio", at_most=2, optional=True)
    assert goals.missed([goal, optional], {}) == ["decoding: not measured (decode.contact)"]
    assert "not measured" in "\n".join(goals.table([optional], {}))


def test_an_aim_is_shown_but_not_held() -> None:
    goal = goals.Goal("contact", "contact@10", "ratio", at_most=1.6, tolerance=0.1, aim=1.25)
    measures = {"contact@10": {OURS: {"ratio": 1.5}}}
    assert goals.missed([goal], measures) == []
    assert goals.table([goal], measures)[2:] == ["| contact | 1.25 | 1.5 | no | at most 1.6 ± 10% |"]


def test_a_goal_has_one_limit() -> None:
    with pytest.raises(ValueError, match="either"):
        goals.Goal("decoding", "decode.contact", "speed")


def test_every_goal_is_measured_by_the_quick_run() -> None:
    measured = {"import", "page@10", "instructions.contact", "instructions.page"}
    measured |= {f"contact@{size}" for size in QUICK.concurrency} | {f"rows@{size}" for size in QUICK.rows}
    measured |= {f"decode.{body}" for body in ("contact", "page", "page-one", "page-all")}
    assert {goal.measure for goal in GOALS} <= measured


def test_the_part_between_the_markers_is_replaced() -> None:
    page = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nby hand\n"
    assert report.inserted(page, "new") == f"# Title\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nby hand\n"
    with pytest.raises(ValueError, match="lacks"):
        report.inserted("# Title\n", "new")


def results() -> dict[str, object]:
    values = {"ratio": 1.5, "speed": 2.5, "cpu_us": 200.0, "wall_us": 250.0, "rate": 4000.0, "rounds": 9.0}
    both = {OURS: {**values, "megabytes": 40.0}, BARE: {**values, "ratio": 1.0, "megabytes": 30.0}}
    return {
        "command": "make bench",
        "date": "2026-11-28",
        "commit": "abc",
        "machine": "2 cores",
        "load": [1.0, 2.0],
        "seconds": 600,
        "server": "nginx",
        "peers": {
            OURS: {"label": PEERS[OURS].label, "versions": {"aiohttp": "3"}, "shape": "live"},
            BARE: {"label": PEERS[BARE].label, "versions": {"aiohttp": "3"}, "shape": "null"},
        },
        "measures": {
            "contact@1": both,
            "contact@10": both,
            "page@10": both,
            "rows@1000": both,
            "rows@10000": both,
            "organisations@1": both,
            "decode.contact": {OURS: values, JSON: {**values, "speed": 1.0}},
            "instructions.decode.contact": {OURS: {"instructions": 1e5, "speed": 3.0}},
            "import": {OURS: {"ms": 5.0, "rounds": 9.0}},
        },
        "server_busy": {"contact@10": 0.2},
        "notes": ["zohopy is left out: not installed"],
    }


def test_the_report_has_a_line_a_peer_and_says_what_is_left_out() -> None:
    text = report.markdown(results(), GOALS, "benchmarks")
    assert "| **zoho_async** | 1.50 | 1.50 |  |  | 200 | 200 | 4,000 | 4,000 |" in text
    assert "| bare aiohttp + msgspec | 1.00 | 1.00 |" in text
    assert "zohopy is left out: not installed" in text
    assert "served null for the empty text of numbers and dates: bare aiohttp + msgspec" in text
    assert "at most 20% of a core (contact@10)" in text
    assert "zohopy |" not in text


def test_tables_have_as_many_cells_in_every_line() -> None:
    table: list[str] = []
    for line in [*report.markdown(results(), GOALS, "benchmarks").splitlines(), ""]:
        if line.startswith("|"):
            table.append(line)
        else:
            assert len({row.count("|") for row in table}) <= 1, table[:1]
            table = []


def test_plots_are_well_formed_and_follow_the_scheme_of_the_page() -> None:
    plots = report.plots(results())
    for name, plot in plots.items():
        root = ElementTree.fromstring(plot)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert "prefers-color-scheme: dark" in plot
        assert "currentColor" in plot
    assert plots["contact.svg"].count("<rect") == 2
    assert plots["memory.svg"].count("<polyline") == 2


def test_plots_without_a_measurement_are_empty() -> None:
    for plot in report.plots({**results(), "measures": {}}).values():
        ElementTree.fromstring(plot)


def test_labels_are_escaped_and_lines_stay_inside() -> None:
    plot = svg.lines("a < b", {"x & y": [(1, 5), (1000, 5)]}, {"x & y": 0}, "n")
    root = ElementTree.fromstring(plot)
    (path,) = [one.attrib["points"] for one in root.iter() if one.tag.endswith("polyline")]
    across = [float(point.split(",")[0]) for point in path.split()]
    assert across == sorted(across)
    assert 0 <= across[0] < across[-1] <= svg.WIDTH


def test_axis_labels_are_short() -> None:
    assert [svg.short(value) for value in (0.5, 20, 1000, 2_000_000)] == ["0.5", "20", "1k", "2M"]


def test_members_that_a_peer_cannot_read_are_left_out() -> None:
    text = json.dumps({"code": 0, "contact": CONTACT}).encode()
    names = ("exchange_rate", "consent_date", "created_date")
    left = json.loads(responses.without_members(text, names))["contact"]
    assert left == {"contact_id": "1", "contact_name": "Bowman and Co", "created_date": "2026-11-28", "notes": ""}


def test_pages_of_a_long_list_differ_and_end() -> None:
    context = {"page": 1, "per_page": 200, "has_more_page": False}
    page = {"contacts": [{"contact_id": "4600000000000000008"}], "page_context": context}
    body = json.dumps(page, separators=(",", ":")).encode()
    first, last = (json.loads(responses.page_of(body, number, 2)) for number in (1, 2))
    assert first["contacts"] != last["contacts"]
    assert first["page_context"] == {"page": 1, "per_page": 200, "has_more_page": True}
    assert last["page_context"] == {"page": 2, "per_page": 200, "has_more_page": False}


def test_the_server_answers_by_shape_and_page(tmp_path: Path) -> None:
    for shape in responses.SHAPES:
        (tmp_path / f"contact-{shape}").write_bytes(shape.encode())
    (tmp_path / "page").write_bytes(b'{"page":1,"per_page":200,"has_more_page":false}')
    answer = server.answers(tmp_path)
    contact = answer(b"/null/books/v3/contacts/460000000000000?organization_id=1")
    assert contact.endswith(b"Content-Length: 4\r\n\r\nnull")
    assert b'"page":7,"per_page":200,"has_more_page":true' in answer(b"/live-9/books/v3/contacts?page=7")
    configuration = server.nginx_configuration(tmp_path, 8080)
    assert configuration.count("location = ") == 2 * len(responses.SHAPES)
    assert configuration.count("{") == configuration.count("}")


def test_a_spec_is_bundled_into_one_document() -> None:
    whole = bundled(PROJECT / "specs/books/contacts.yaml")
    references = {node["$ref"] for node in nodes(whole) if isinstance(node.get("$ref"), str)}
    assert {reference.partition("#")[0] for reference in references} == {""}
    for reference in references:
        _, _, kind, name = reference.split("/")
        assert name in whole["components"][kind]


def test_processes_see_this_library_and_no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTPS_PROXY", "http_proxy", "PYTHONDONTWRITEBYTECODE", "ZOHO_REFRESH_TOKEN"):
        monkeypatch.setenv(name, "x")
    environment = environment_of(tmp_path)
    assert {"HTTPS_PROXY", "http_proxy", "PYTHONDONTWRITEBYTECODE", "ZOHO_REFRESH_TOKEN"}.isdisjoint(environment)
    assert environment["PYTHONPATH"].startswith(str(PROJECT))


def test_peers_take_turns_and_one_that_fails_is_left_out_with_a_note(tmp_path: Path) -> None:
    body = tmp_path / "page"
    body.write_bytes(b"{}")
    environment = environment_of(tmp_path)
    del environment["PYTHONPYCACHEPREFIX"]  # compiling asyncio once more would take most of this test's time
    run = Run(QUICK, tmp_path, environment, server.Servers("", "", "none", []))
    with processes(run, [JSON]) as opened:
        arguments = {"path": str(body), "kind": "page", "count": 3}
        assert len(interleaved(run, opened, 4, "decode", arguments)[JSON]) == 4
        assert run.notes == []
        out_of_time = Run(replace(QUICK, minutes=0), tmp_path, environment, run.servers)
        assert len(interleaved(out_of_time, opened, 4, "decode", arguments)[JSON]) == 1
        assert interleaved(run, opened, 4, "decode", {**arguments, "path": str(tmp_path / "absent")}) == {}
        opened[JSON].end()  # as after a measure without an answer; the next measure must not fail
        with pytest.raises(PeerError, match="was ended"):
            opened[JSON].ask("memory")
    (note,) = run.notes
    assert note.startswith("json.loads is left out of decode")
    assert "FileNotFoundError" in note


def test_nothing_that_begins_late_outlasts_the_run(tmp_path: Path) -> None:
    run = Run(FULL, tmp_path, {}, server.Servers("", "", "none", []))
    assert run.patience(ANSWER) == ANSWER
    for minutes, seconds in ((0.0, AFTER_END), (-1.0, 1.0)):
        late = Run(replace(FULL, minutes=minutes), tmp_path, {}, run.servers)
        assert late.patience(ANSWER) == pytest.approx(seconds, abs=1)
    assert FULL.minutes * 60 + AFTER_END + len(CLIENTS) < 20 * 60


def test_an_interrupted_run_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "measured", interrupted)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the handler of this process stays
    monkeypatch.setattr(sys, "argv", ["compare.py", "--results", str(tmp_path / "a"), "--page", str(tmp_path / "b")])
    assert compare.main() == 130
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    compare.replace(page, "old")
    with pytest.raises(UnicodeEncodeError):
        compare.replace(page, "new" * 10_000 + "\ud800")
    assert page.read_text(encoding="utf-8") == "old"
    compare.replace(page, "new")
    assert page.read_text(encoding="utf-8") == "new"


def test_every_peer_has_a_color_of_its_own() -> None:
    plots = [svg.bars("All", [("a", 1, "1")], [at]) for at in range(len(PEERS))]
    used = {plot.partition('class="bar ')[2].partition('"')[0] for plot in plots}
    assert len(used) == len(PEERS)
    assert all(svg.STYLE.count(f".{color} {{") == 2 for color in used)


def test_a_short_axis_has_marks() -> None:
    assert list(svg.decades(*svg.span([38, 59]))) == [30, 40, 50, 60]
    assert list(svg.decades(2, 4)) == [100, 200, 500, 1000, 2000, 5000, 10_000]


def test_plans_name_known_peers() -> None:
    for plan in (FULL, QUICK):
        assert set(plan.peers) | set(plan.counted) <= set(CLIENTS)
        assert plan.minutes < 20
    assert set(DECODERS) <= set(PEERS)


def test_pydantic_models_have_the_fields_of_the_structs() -> None:
    from zoho_async.books import Contact

    envelope = pydantic_envelope(Contact, "contact", many=False)
    model = envelope.model_fields["contact"].annotation
    assert set(model.model_fields) == set(Contact.__struct_fields__)
    read = envelope.model_validate({"code": 0, "message": "success", "contact": {"contact_id": "1"}})
    assert read.contact.contact_id == "1"


def test_the_command_explains_itself_and_writes_a_report_from_results(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "benchmarks/compare.py")]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "bench-check" in shown
    stored, page = tmp_path / "results.json", tmp_path / "benchmarks.md"
    stored.write_text(json.dumps(results()), encoding="utf-8")
    page.write_text(f"# Benchmarks\n\n{report.BEGIN}\n{report.END}\n", encoding="utf-8")
    options = ["--report", "--results", str(stored), "--page", str(page)]
    subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert "| **zoho_async** | 1.50 |" in page.read_text(encoding="utf-8")
    assert (tmp_path / "benchmarks/contact.svg").exists()
