"""`python -m examples`: runs every example against a FakeZoho of its own process, and says how each ended."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from zoho_async.fake import FakeZoho

FOLDER = Path(__file__).parent
SECONDS = 45
"""On an idle machine the slowest takes a third of it."""
AT_ONCE = 2


def programs() -> list[Path]:
    """Every example; modules whose names begin with `_` are used by others."""
    found = (path.relative_to(FOLDER) for path in FOLDER.rglob("*.py"))
    return sorted(path for path in found if not any(part.startswith("_") for part in path.parts))


def environment(fake: FakeZoho) -> dict[str, str]:
    """The variables that name the fake."""
    return {
        "ZOHO_API_URL": fake.url,
        "ZOHO_ACCOUNTS_URL": fake.url,
        "ZOHO_ORGANIZATION_ID": fake.organization_id,
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
    }


async def run(program: Path, variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of one example, which works in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            FOLDER / program,
            cwd=folder,
            env={**os.environ, **variables, "PYTEST_ADDOPTS": "-p no:schemathesis"},  # it takes seconds to import
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)  # with the servers and workers that it started
            await process.wait()
            return 124, f"not finished after {SECONDS} s"
    return process.returncode or 0, output.decode(errors="replace")


async def main() -> int:
    """Runs all; returns how many failed."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def report(program: Path, variables: dict[str, str]) -> bool:
        async with turns:
            began = time.monotonic()
            code, output = await run(program, variables)
        print(f"{program}: {'ended well' if code == 0 else f'exit code {code}'}, {time.monotonic() - began:.1f} s")
        if code:
            print(output)
        return code == 0

    async with FakeZoho(per_minute=None) as fake:
        results = await asyncio.gather(*(report(program, environment(fake)) for program in programs()))
    return results.count(False)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
