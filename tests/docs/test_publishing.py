"""The package is ready to be published: metadata, licences, container file, recipe of a release."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from zoho_async.fake.http.serve import parse

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
CONTAINERFILE = (ROOT / "containers" / "fake" / "Containerfile").read_text("utf-8")


def test_the_metadata_names_versions_typing_authors_and_addresses() -> None:
    versions = {f"Programming Language :: Python :: {one}" for one in ("3.11", "3.12", "3.13")}
    assert versions | {"Typing :: Typed"} <= set(PROJECT["classifiers"])
    assert (ROOT / "zoho_async" / "py.typed").exists()
    assert PROJECT["authors"]
    assert len(PROJECT["urls"]) >= 3
    assert {"dev", "test", "tests", "lint", "docs"} & PROJECT["optional-dependencies"].keys() == set()


def test_the_licence_of_every_direct_dependency_is_listed() -> None:
    text = (ROOT / "docs" / "reference" / "licences.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| ([a-z0-9-]+) \| [^|]+ \| ([^|]+) \|", text, re.MULTILINE))
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for lines in extras for line in lines)]
    assert {canonicalize_name(Requirement(line).name) for line in lines} <= listed.keys()
    assert "not declared" not in "".join(listed.values())


def test_the_makefile_lists_the_licences_of_all_extras() -> None:
    (extras,) = re.findall(r"^ALL_EXTRAS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(extras.split(",")) == PROJECT["optional-dependencies"].keys()


def test_the_container_file_copies_what_a_build_needs() -> None:
    copied = [path for line in re.findall(r"^COPY (.*) \S+$", CONTAINERFILE, re.MULTILINE) for path in line.split()]
    assert [path for path in copied if not (ROOT / path).exists()] == []
    hook = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["path"]
    assert {"pyproject.toml", "README.md", "zoho_async", hook, *PROJECT["license-files"]} <= set(copied)


def test_the_container_starts_the_fake_without_extras_and_root() -> None:
    (command,) = re.findall(r"^ENTRYPOINT \[(.*)\]$", CONTAINERFILE, re.MULTILINE)
    program, flag, module, *options = re.findall(r'"([^"]+)"', command)
    assert (program, flag, module) == ("python", "-m", "zoho_async.fake")
    settings = parse(options)
    assert settings["host"] == "0.0.0.0"
    assert f"EXPOSE {settings['port']}" in CONTAINERFILE
    assert re.search(r"^USER [1-9]", CONTAINERFILE, re.MULTILINE)


def test_the_recipe_of_a_release_replaces_every_address(tmp_path: Path) -> None:
    recipe = (ROOT / "docs" / "release.md").read_text("utf-8")
    commands = re.findall(r"^        ((?:OLD=|sed ).*)$", recipe, re.MULTILINE)
    assert len(commands) == 2
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    script = "\n".join(("set -e", "NEW=https://code.example.org/zoho_async", *commands))
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    urls = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    assert urls.keys() == PROJECT["urls"].keys()
    assert all(url.startswith("https://code.example.org/zoho_async") for url in urls.values())


def test_the_recipe_of_a_release_checks_and_rehearses() -> None:
    recipe = (ROOT / "docs" / "release.md").read_text("utf-8")
    assert recipe.index("make dist") < recipe.index("--repository testpypi") < recipe.index("twine upload dist/*")


def test_the_source_archive_takes_nothing_from_deeper_folders() -> None:
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [path for path in included if not path.startswith("/") or not (ROOT / path[1:]).exists()] == []
