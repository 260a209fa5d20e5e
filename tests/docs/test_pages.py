"""The pages: built strictly, generated ones up to date, one address for all links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]


def test_the_pages_can_be_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    home = (tmp_path / "index.html").read_text("utf-8")
    assert f"{URLS['Repository']}/blob/main/README.md" in home, "links out of docs/ lead to the repository"
    api = (tmp_path / "reference" / "api" / "client" / "index.html").read_text("utf-8")
    assert "with_options" in api
    assert sorted(loaded_from_elsewhere(tmp_path)) == []
    links = re.findall(r"\]\(([^)]+)\)", (tmp_path / "llms.txt").read_text("utf-8"))
    assert all(link.startswith(URLS["Documentation"]) for link in links)
    assert [link for link in links if not (tmp_path / link.removeprefix(URLS["Documentation"])).is_dir()] == []
    assert [path.name for path in tmp_path.rglob("*.py")] == [], "programs are no pages"


def loaded_from_elsewhere(site: Path) -> set[str]:
    """Addresses of other hosts that a page or a style sheet would load."""
    found: set[str] = set()
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page.read_text("utf-8")):
            if 'rel="canonical"' not in tag:
                found.update(re.findall(r"""(?:src|href)=["']?((?:https?:)?//[^"' >]+)""", tag))
        assert 'class="mermaid"' not in page.read_text("utf-8"), "its program comes from another host"
        assert 'data-md-component="source"' not in page.read_text("utf-8"), "a repository's stars, too"
    for sheet in site.rglob("*.css"):
        found.update(re.findall(r"""url\(["']?((?:https?:)?//[^"')]+)""", sheet.read_text("utf-8")))
    return found


def generator(name: str) -> ModuleType:
    """A program in `docs/` that writes pages or pictures."""
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_map_of_the_packages_is_up_to_date() -> None:
    made = generator("make_map")
    assert made.PICTURE.read_text("utf-8") == made.picture()


def test_the_pages_of_columns_are_up_to_date() -> None:
    pages = generator("make_columns").pages()
    assert {path: path.read_text("utf-8") for path in pages} == pages
    assert set(pages) == set((DOCS / "reference" / "columns").iterdir())


def test_the_summary_for_language_models_links_to_pages() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (DOCS / "llms.txt").read_text("utf-8"))
    assert len(links) >= 5
    assert [link for link in links if not (DOCS / link).is_file()] == []


def test_the_address_of_the_project_stands_in_one_place() -> None:
    address = URLS["Repository"]
    assert all(url.startswith(address) for url in URLS.values())
    host = address.split("/")[2]
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    named = {name for name in files if host in (ROOT / name).read_text("utf-8", errors="replace")}
    assert named == {"pyproject.toml"}
