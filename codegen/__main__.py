"""`python -m codegen` writes the generated files; `--check` only lists those that differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .load import SpecError
from .write import build, differing, stale_files, unexpected_files, write


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 when the specs have errors or (with --check) a file differs."""
    project = Path(__file__).parent.parent
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 naming every file that differs")
    parser.add_argument("--specs", type=Path, help="folder of the specs (default: specs/ of the project)")
    parser.add_argument("--root", type=Path, default=project, help="where the files go (default: the project)")
    given = parser.parse_args(arguments)
    try:
        texts = build(given.specs or given.root / "specs")
    except SpecError as error:
        print("\n".join(error.errors), file=sys.stderr)
        print(f"{len(error.errors)} error(s) in the specs; nothing was written", file=sys.stderr)
        return 1
    if not given.check:
        for line in write(given.root, texts):
            print(line)
        return 0
    checks = (
        (differing(given.root, texts), "differs from the specs; run python -m codegen"),
        (stale_files(given.root, texts), "no longer generated; run python -m codegen"),
        (unexpected_files(given.root, texts), "is not generated, and only generated files belong there"),
    )
    stale = [f"{path}: {text}" for paths, text in checks for path in paths]
    for line in stale:
        print(line, file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
