"""Hooks of mkdocs: addresses from pyproject.toml, links to files outside `docs/`, and those of `llms.txt`."""

from __future__ import annotations

import posixpath
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"\]\((\.\./[^)\s]*)\)")


def urls() -> dict[str, str]:
    """The addresses in `project.urls`."""
    found: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    return found


def on_config(config: Any) -> Any:
    """Set the addresses of the site and of the repository."""
    config["site_url"], config["repo_url"] = urls()["Documentation"], urls()["Repository"]
    config["repo_name"] = "Repository"  # mkdocs names only hosts that it knows
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Turn links to files outside `docs/` into links to the repository."""
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))

    def absolute(found: re.Match[str]) -> str:
        path, _, anchor = found[1].partition("#")
        there = posixpath.normpath(posixpath.join(folder, path))
        if there.startswith("docs/"):
            return found[0]
        return f"]({config['repo_url']}/blob/main/{there}{'#' + anchor if anchor else ''})"

    return _LINK.sub(absolute, markdown)


def on_post_page(output: str, **_: Any) -> str:
    """Leave the theme's program no mark to load the repository's stars from another host by."""
    return output.replace(' data-md-component="source"', "")


def on_post_template(output_content: str, **_: Any) -> str:
    """The same for the page that is shown for an unknown address."""
    return on_post_page(output_content)


def on_post_build(*, config: Any) -> None:
    """Turn the links of `llms.txt` into addresses of pages."""
    text = Path(config["site_dir"]) / "llms.txt"
    pages = re.sub(r"\]\(([^):]+)\.md\)", rf"]({config['site_url']}\1/)", text.read_text("utf-8"))
    text.write_text(pages, encoding="utf-8")
