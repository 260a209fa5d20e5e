"""What mypy and pyright make of typical uses, at their strictest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
USES = HERE / "typing" / "uses.py"


def checked(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env={**os.environ, **environment},
    )


def test_mypy_infers_the_exact_types(tmp_path: Path) -> None:
    options = ("--strict", "--config-file=", "--no-error-summary", f"--cache-dir={tmp_path}")
    done = checked("mypy", *options, str(USES), MYPYPATH=str(HERE.parent))
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


def test_pyright_infers_the_exact_types() -> None:
    done = checked("pyright", "--outputjson", "--project", str(USES.parent), "--pythonpath", sys.executable)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    assert [(it["range"]["start"]["line"] + 1, it["message"]) for it in report["generalDiagnostics"]] == []
