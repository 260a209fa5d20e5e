"""The HTML report of a push or pull: self-contained, escaped, with plots."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.process import Cli

from zoho_async import bulk
from zoho_async.cli.commands.report_file import SAMPLES, ReportFile
from zoho_async.cli.console.html_report import ReportedRow, RunPage, html_page
from zoho_async.fake import FakeZoho


class Page(HTMLParser):
    """Tags, texts and addresses of a page; the tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "action")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"


async def test_a_push_is_reported_with_what_was_rejected(cli: Cli, fake: FakeZoho) -> None:
    (cli.folder / "a.csv").write_text("contact_name,cf_external_id\nA,1\n,2\n<b>&,3\n")
    fake.script("books.contacts.upsert", ["pass", "status:400"])
    push = ("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id", "--concurrency", "1")
    assert (await cli(*push, "--report", "r.html")).code == 3
    text = (cli.folder / "r.html").read_text()
    page = Page(text)
    assert page.addresses == []
    assert "http" not in text.replace("<!doctype html>", "").replace("</html>", "").replace("<html", "")
    assert {"svg", "polyline", "table"} <= {*page.tags}
    assert "b" not in page.tags
    assert "contact_name: is required" in page.text
    assert "1000: 1, required: 1" in page.text
    assert re.search(r"failed\n2\n66\.7%", page.text.replace(" ", "")), page.text
    assert "4 (2 writes, 2 reads)" in page.text, page.text
    assert "prefers-color-scheme: dark" in text
    # Only long values break inside a word: `status` in a narrow window does not.
    assert re.findall(r"([^{}\n]+) \{ overflow-wrap: anywhere; \}", text) == ["td:last-child"]


async def test_a_pull_is_reported(cli: Cli, fake: FakeZoho) -> None:
    fake.seed({"contact_name": f"N{i}"} for i in range(30))
    assert (await cli("pull", "books", "contacts", "--to", "a.csv", "--report", "r.html")).code == 0
    assert "changed\n30\n100.0%" in Page((cli.folder / "r.html").read_text()).text.replace(" ", "")


async def test_a_report_that_cannot_be_written(cli: Cli, fake: FakeZoho) -> None:
    (cli.folder / "a.csv").write_text("contact_name\nA\n")
    push = ("push", "books", "contacts", "--from", "a.csv", "--report")
    refused = await cli(*push, "none/r.html")
    assert (refused.code, "there is no folder none" in refused.err, fake.received) == (2, True, [])
    (cli.folder / "r").mkdir()
    warned = await cli(*push, "r")
    assert (warned.code, "warning: r cannot be written" in warned.err) == (0, True)
    assert (await cli(*push, "r.html", "--dry-run")).code == 2


def test_a_plot_has_no_more_points_than_its_bound(tmp_path: Path) -> None:
    report = ReportFile(tmp_path / "r.html")
    for number in range(5 * SAMPLES):
        report.sample(number, number)
    assert SAMPLES // 4 < len(report._samples) <= SAMPLES
    report.write_pull("t", {}, bulk.PullSummary(records=5, seconds=60.0), json=False)
    assert "60.0 s" in (tmp_path / "r.html").read_text()
    assert ReportFile(None).sample(1, 1) is None


def test_everything_is_escaped() -> None:
    evil = '<script>"&'
    row = ReportedRow(number=1, status=evil, kind=evil, reason=evil)
    report = RunPage(
        title=evil,
        facts={evil: evil},
        outcomes={evil: 1},
        samples=[(0, 0, 0), (1, 1, 1)],
        rejected=[row],
        more_rejected=2,
    )
    page = Page(html_page(report))
    assert "script" not in page.tags
    assert "and 2 more" in page.text


@pytest.mark.parametrize("samples", [[], [(0.0, 0, 0)], [(0.0, 0, 0), (0.0, 0, 0)]])
def test_an_empty_run_has_a_page_too(samples: list[tuple[float, int, int]]) -> None:
    text = html_page(RunPage(title="t", facts={}, outcomes={"created": 0}, samples=samples))
    assert "Nothing to show." in Page(text).text
