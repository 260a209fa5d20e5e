"""What `from zoho_async import Zoho` costs above `import asyncio, msgspec`.

    python benchmarks/import_time.py [--pairs 40] [--budget 15]

Fresh processes, one of each kind in turn, so that a busy machine troubles both alike; bytecode is written first and
only read afterwards. Milliseconds, as the processes themselves measure them. Exits 1 when the median of the
differences is above the budget.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = "import asyncio, msgspec"
OURS = f"{BASE}\nfrom zoho_async import Zoho"
MEASURED = "from time import perf_counter\nstart = perf_counter()\n{}\nprint(perf_counter() - start)"


def milliseconds(program: str, environment: dict[str, str]) -> float:
    """How long the imports of one fresh process take."""
    command = [sys.executable, "-c", MEASURED.format(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout) * 1000


def measured(pairs: int) -> tuple[list[float], list[float]]:
    """Times of both kinds, taken in turn."""
    with tempfile.TemporaryDirectory() as cache:
        # Bytecode of our own making: whether the environment lets it be written elsewhere is left out of the question.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        root = str(Path(__file__).parent.parent)
        environment = {**kept, "PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": root}
        for program in (BASE, OURS):
            milliseconds(program, environment)
        base: list[float] = []
        ours: list[float] = []
        for _ in range(pairs):
            base.append(milliseconds(BASE, environment))
            ours.append(milliseconds(OURS, environment))
    return base, ours


def main() -> int:
    """Prints the medians; 1 when the budget is overrun."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=40, help="how many processes of each kind")
    parser.add_argument("--budget", type=float, default=15.0, help="milliseconds")
    given = parser.parse_args()
    base, ours = measured(given.pairs)
    above = statistics.median(second - first for first, second in zip(base, ours, strict=True))
    print(f"{statistics.median(base):7.2f} ms  import asyncio, msgspec")
    print(f"{statistics.median(ours):7.2f} ms  and from zoho_async import Zoho")
    print(f"{above:7.2f} ms  above; the budget is {given.budget:g} ms ({given.pairs} pairs)")
    return 1 if above > given.budget else 0


if __name__ == "__main__":
    raise SystemExit(main())
