"""The Makefile explains itself, and the sizes of tests hold for all of them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from support import profiles

PROJECT = Path(__file__).parents[1]
TESTS = PROJECT / "tests"


def test_make_alone_explains_every_target_and_needs_no_environment(tmp_path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (tmp_path / "Makefile").write_text(makefile, encoding="utf-8")
    done = subprocess.run(["make"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert sorted(re.findall(r"^make (\S+) +\S", done.stdout, flags=re.MULTILINE)) == sorted(targets.split())
    assert list(tmp_path.iterdir()) == [tmp_path / "Makefile"]


def test_ratios_are_held_by_a_release_and_not_by_the_tests() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^test:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    assert "bench" not in recipe
    assert "`make bench-check`" in (PROJECT / "docs/release.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", profiles.SLOW)
def test_a_slow_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert (TESTS / path).exists()
    assert not function or f"def {function}(" in (TESTS / path).read_text(encoding="utf-8")


def test_every_property_takes_its_number_of_examples_from_the_profile() -> None:
    fixed = r"settings\((?:[^()]|\([^()]*\))*(?:max_examples=(?!examples\()|derandomize=|deadline=|database=)"
    found = [path.name for path in TESTS.rglob("test_*.py") if re.search(fixed, path.read_text(encoding="utf-8"))]
    assert found == []


def test_examples_and_sizes_grow_with_the_profile() -> None:
    current = profiles.size()
    seen: list[tuple[int, int, str]] = []
    try:
        for name in ("quick", "test", "soak"):
            settings.load_profile(name)
            seen.append((profiles.examples(50), profiles.examples(1), profiles.sized("small", big="big")))
    finally:
        settings.load_profile(current)
    assert seen == [(5, 1, "small"), (50, 1, "small"), (500, 10, "big")]
