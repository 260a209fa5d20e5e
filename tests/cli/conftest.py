from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from support.process import Cli

from zoho_async.fake import FakeZoho


@pytest.fixture(autouse=True, scope="package")
def usual_hangups() -> Generator[None, None, None]:
    """Processes that are started here do not inherit that somebody has started us with `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def cli(fake: FakeZoho, tmp_path: Path) -> Cli:
    return Cli.against(fake, tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write_file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", newline="")
        return path

    return write_file
