"""`python -m codegen` writes the generated files; `--check` only says which ones differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .load import SpecError
from .write import build, differing, orphans, strays, write


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when all is well, 1 when the specs have faults or (with --check) a file differs."""
    project = Path(__file__).parent.parent
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 naming every file that differs")
    parser.add_argument("--specs", type=Path, help="folder of the specs (default: specs/ of the project)")
    parser.add_argument("--root", type=Path, default=project, help="where the files go (default: the project)")
    given = parser.parse_args(arguments)
    try:
        texts = build(given.specs or given.root / "specs")
    except SpecError as error:
        print("\n".join(error.faults), file=sys.stderr)
        print(f"{len(error.faults)} fault(s) in the specs; nothing was written", file=sys.stderr)
        return 1
    if not given.check:
        for line in write(given.root, texts):
            print(line)
        return 0
    stale = [f"{path}: differs from the specs; run python -m codegen" for path in differing(given.root, texts)]
    stale += [f"{path}: no longer generated; run python -m codegen" for path in orphans(given.root, texts)]
    stale += [f"{path}: is not generated, and only generated files belong there" for path in strays(given.root, texts)]
    for line in stale:
        print(line, file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
