"""Results as Markdown tables and plots."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import goals, svg
from .peers import BARE, JSON, OURS, PEERS

BEGIN = "<!-- results: written by make bench -->"
END = "<!-- end of results -->"
Results = Mapping[str, Any]


def inserted(page: str, content: str) -> str:
    """The page with its part between the markers replaced.

    Raises:
        ValueError: The page lacks the markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    return f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}"


def rows_of(title: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (title, ["---"] * len(title), *rows)]


def cell(measure: Mapping[str, Mapping[str, float]], peer: str, key: str, form: Callable[[float], str]) -> str:
    """One value; empty where it was not measured."""
    value = measure.get(peer, {}).get(key)
    return "" if value is None else form(value)


def times(value: float) -> str:
    return f"{value:.2f}"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def thousands(value: float) -> str:
    return f"{value / 1000:,.0f} k"


def tenths(value: float) -> str:
    return f"{value:,.1f}"


def with_peers(results: Results, names: Sequence[str], columns: Sequence[tuple[str, str, Any]]) -> list[list[str]]:
    """A table with a line a peer.

    Args:
        results: The results.
        names: The measures that a peer must have one of.
        columns: Measure, value in it, and its format.
    """
    measures = results["measures"]
    return [
        [label_of(peer), *[cell(measures.get(measure, {}), peer, key, form) for measure, key, form in columns]]
        for peer in PEERS
        if any(peer in measures.get(name, {}) for name in names)
    ]


def label_of(peer: str) -> str:
    """A peer's name in a table; ours stands out."""
    return f"**{PEERS[peer].label}**" if peer == OURS else PEERS[peer].label


def numbers(measures: Mapping[str, Any], kind: str) -> list[int]:
    """The sizes for which there is a measure `kind@size`."""
    return sorted(int(name.partition("@")[2]) for name in measures if name.startswith(f"{kind}@"))


def markdown(results: Results, held: Sequence[goals.Goal], folder: str) -> str:
    """The whole part between the markers."""
    parts = [
        environment(results),
        requests(results),
        f"![CPU time of one contact]({folder}/contact.svg)\n\n![CPU time of a page]({folder}/page.svg)",
        concurrency(results),
        f"![Contacts a second by concurrency]({folder}/concurrency.svg)",
        decoding(results),
        f"![Decoding a contact]({folder}/decoding.svg)",
        lists(results),
        f"![Peak memory of long lists]({folder}/memory.svg)",
        organisations(results),
        imports(results),
        "### Goals\n\n" + "\n".join(goals.table(held, results["measures"])),
        left_out(results),
    ]
    return "\n\n".join(wrapped(part) for part in parts if part)


def wrapped(text: str) -> str:
    """The text with lines of prose as short as those of the other pages."""
    lines = [
        line
        if line.startswith(("|", "#", "!"))
        else textwrap.fill(
            line, 120, subsequent_indent="  " * line.startswith("- "), break_long_words=False, break_on_hyphens=False
        )
        for line in text.split("\n")
    ]
    return "\n".join(lines)


def environment(results: Results) -> str:
    """The machine, the versions and what is compared with what."""
    versions: dict[str, str] = {}
    for peer in results["peers"].values():
        versions |= peer["versions"]
    listed = ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
    shapes = {
        "null": "null for the empty text of numbers and dates",
        "absent": "responses without the members whose empty text stands for a number or date",
    }
    lines = [
        f"`{results['command']}` on {results['date']}, commit {results['commit']}: {results['machine']}; load at the "
        f"start and the end {results['load'][0]:.1f} and {results['load'][1]:.1f}; {results['seconds']:,.0f} s.",
        f"Server: {results['server']}. Versions: {listed}.",
        "A ratio is the CPU time of a peer divided by that of bare aiohttp with msgspec in the same round, the median "
        "of all rounds. Responses have the shape of the live service: five members of a contact that should be numbers "
        "or dates are empty text.",
    ]
    for shape, words in shapes.items():
        unable = [peer["label"] for name, peer in results["peers"].items() if peer["shape"] == shape and name != JSON]
        if unable:
            lines.append(f"These cannot read that, and are served {words}: {', '.join(unable)}.")
    return "\n".join(lines)


def requests(results: Results) -> str:
    """One contact and a page, 10 at once."""
    columns = (
        ("contact@10", "ratio", times),
        ("page@10", "ratio", times),
        ("instructions.contact", "ratio", times),
        ("instructions.page", "ratio", times),
        ("contact@10", "cpu_us", whole),
        ("page@10", "cpu_us", whole),
        ("contact@10", "rate", whole),
        ("page@10", "rate", whole),
    )
    title = ["10 at once", "contact, ratio", "page of 200, ratio", "contact, ratio of instructions"]
    title += ["page, ratio of instructions", "contact, µs", "page, µs", "contacts a second", "pages a second"]
    return "### Requests\n\n" + "\n".join(rows_of(title, with_peers(results, ["contact@10", "page@10"], columns)))


def concurrency(results: Results) -> str:
    """Contacts at rising concurrency."""
    sizes = numbers(results["measures"], "contact")
    if len(sizes) < 2:
        return ""
    columns = [(f"contact@{size}", "ratio", times) for size in sizes]
    columns += [(f"contact@{size}", "rate", whole) for size in sizes]
    title = ["at once", *[f"{size}, ratio" for size in sizes], *[f"{size}, a second" for size in sizes]]
    names = [f"contact@{size}" for size in sizes]
    return "### Concurrency\n\n" + "\n".join(rows_of(title, with_peers(results, names, columns)))


def decoding(results: Results) -> str:
    """Decoding beside `json.loads`."""
    bodies = {
        "contact": "contact",
        "page": "page of 200",
        "page-one": "page, one row of another shape",
        "page-all": "page, all rows of another shape",
    }
    names = [f"decode.{body}" for body in bodies]
    columns = [(name, "speed", times) for name in names] + [("decode.contact", "cpu_us", tenths)]
    title = ["times as fast as json.loads", *bodies.values(), "contact, µs"]
    counted = [
        f"{bodies[body]} {values['speed']:.2f}"
        for body in bodies
        if (values := results["measures"].get(f"instructions.decode.{body}", {}).get(OURS))
    ]
    after = f"\n\nIn instructions, {PEERS[OURS].label} against json.loads: {', '.join(counted)}." if counted else ""
    return "### Decoding\n\n" + "\n".join(rows_of(title, with_peers(results, names, columns))) + after


def lists(results: Results) -> str:
    """Long lists: rows a second and memory."""
    sizes = numbers(results["measures"], "rows")
    if not sizes:
        return ""
    names = [f"rows@{size}" for size in sizes]
    columns = [(name, "ratio", times) for name in names] + [(name, "megabytes", tenths) for name in names]
    title = ["rows of a list", *[f"{size:,}, ratio" for size in sizes], *[f"{size:,}, peak MB" for size in sizes]]
    return "### Long lists\n\n" + "\n".join(rows_of(title, with_peers(results, names, columns)))


def organisations(results: Results) -> str:
    """Many organisations in one process."""
    sizes = numbers(results["measures"], "organisations")
    if not sizes:
        return ""
    names = [f"organisations@{size}" for size in sizes]
    columns = [(name, "ratio", times) for name in names] + [(name, "megabytes", tenths) for name in names]
    title = ["organisations", *[f"{size:,}, ratio" for size in sizes], *[f"{size:,}, peak MB" for size in sizes]]
    text = "A contact of each organisation in turn, ten at once, in one process."
    return f"### Organisations\n\n{text}\n\n" + "\n".join(rows_of(title, with_peers(results, names, columns)))


def imports(results: Results) -> str:
    """Import time."""
    if "import" not in results["measures"]:
        return ""
    rows = with_peers(results, ["import"], (("import", "ms", tenths),))
    return "### Import\n\n" + "\n".join(rows_of(["above asyncio and msgspec", "ms"], rows))


def left_out(results: Results) -> str:
    """Notes on what was not measured, and the share of time that the server worked."""
    notes = [f"- {note}" for note in results["notes"]]
    fewest = {
        name: min(one.get("rounds", 1) for one in measure.values())
        for name, measure in results["measures"].items()
        if not name.startswith(("rows", "instructions"))
    }
    if short := [f"{name} ({rounds:.0f})" for name, rounds in fewest.items() if rounds < 5]:
        notes.append(f"- Less than five rounds of the slowest peer, for want of time: {', '.join(short)}.")
    busiest = max(results["server_busy"].items(), key=lambda pair: pair[1], default=None)
    if busiest is not None:
        notes.append(f"- The server used at most {busiest[1]:.0%} of a core ({busiest[0]}).")
    return "### Notes\n\n" + "\n".join(notes) if notes else ""


# -- plots


def plots(results: Results) -> dict[str, str]:
    """SVG files by name."""
    measures = results["measures"]
    colors = {peer: at for at, peer in enumerate(PEERS)}

    def bar(title: str, name: str, key: str, form: Callable[[float], str], measure_of: str = "") -> str:
        measure = measures.get(measure_of or name, {})
        rows = [(PEERS[peer].label, one[key], form(one[key])) for peer, one in measure.items() if key in one]
        return svg.bars(title, rows, [colors[peer] for peer, one in measure.items() if key in one])

    def line(title: str, kind: str, key: str, x_label: str) -> str:
        series: dict[str, list[tuple[float, float]]] = {}
        for size in numbers(measures, kind):
            for peer, one in measures[f"{kind}@{size}"].items():
                series.setdefault(PEERS[peer].label, []).append((size, one[key]))
        return svg.lines(title, series, {PEERS[peer].label: colors[peer] for peer in PEERS}, x_label)

    against = f"as a multiple of {PEERS[BARE].label}"
    return {
        "contact.svg": bar(f"CPU time of one contact, {against}", "contact@10", "ratio", times),
        "page.svg": bar(f"CPU time of a page of 200, {against}", "page@10", "ratio", times),
        "decoding.svg": bar("Decoding a contact, times as fast as json.loads", "decode.contact", "speed", times),
        "concurrency.svg": line("Contacts a second", "contact", "rate", "requests at once"),
        "memory.svg": line("Peak memory of a streamed list, MB", "rows", "megabytes", "rows"),
    }
