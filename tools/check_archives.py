"""Installs the built archives into empty environments and tries them; run by `make dist`.

    python tools/check_archives.py [dist]

The wheel with and without the extra `cli` under every supported Python that is found; the wheel with all extras and the
source archive under the one that runs this. What is in the archives is checked too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
MODULES = ("zoho_async", "zoho_async.bulk", "zoho_async.books", "zoho_async.fake", "zoho_async.webhooks")
MODULES_OF_EXTRAS = ("zoho_async.cli", "zoho_async.dlt", "zoho_async.fleet", "zoho_async.transport.otel")
IN_SOURCE = {
    *("zoho_async", "specs", "codegen", "docs"),
    *("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"),
}
_README = "from importlib.metadata import metadata; print(metadata('zoho_async').get_payload())"
_CALL = """
import asyncio
from zoho_async import Zoho
async def main():
    async with Zoho.from_env() as zoho:
        print((await zoho.books.contacts.create({"contact_name": "Bowman"})).contact_name)
asyncio.run(main())
"""
_BOUND_S = 300


def pythons() -> dict[str, str]:
    """An interpreter for each supported version that is installed, by version."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {here: sys.executable} if here in VERSIONS else {}
    for version in VERSIONS:
        candidates = [shutil.which(f"python{version}"), *map(str, sorted(root.glob(f"{version}.*/bin/python")))]
        for candidate in filter(None, candidates):
            done = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
            if version not in found and done.returncode == 0:
                found[version] = candidate
    return found


def run(*command: str, fails: bool = False, **variables: str) -> str:
    """Output of a command, which must succeed, or fail where that is expected."""
    env = {**os.environ, **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_BOUND_S, check=False)
    shown = done.stdout + done.stderr
    if (done.returncode != 0) is not fails:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{shown}")
    return shown


def environment(python: str, folder: Path) -> Path:
    """An empty environment; returns the folder of its programs."""
    run(python, "-m", "venv", str(folder))
    return folder / "bin"


def install(programs: Path, what: str) -> None:
    """Install an archive into an environment."""
    run(str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", what)


def extras(wheel: Path) -> list[str]:
    """The extras that a wheel declares."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    return [str(extra) for extra in metadata.get_all("Provides-Extra", [])]


def try_fake(programs: Path) -> None:
    """Start the fake without extras, make a call, and end it."""
    with subprocess.Popen([programs / "python", "-m", "zoho_async.fake"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            access = json.loads(process.stdout.readline())
            variables = {
                "ZOHO_API_URL": access["url"],
                "ZOHO_ACCESS_TOKEN": access["access_token"],
                "ZOHO_ORGANIZATION_ID": access["organization_id"],
            }
            assert run(str(programs / "python"), "-c", _CALL, **variables).strip() == "Bowman"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(_BOUND_S) == 0


def check_contents(wheel: Path, source: Path) -> None:
    """Nothing but the package is in the wheel, nothing but what makes it in the source archive."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    information = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"zoho_async", information}, names
    assert {"zoho_async/py.typed", f"{information}/licenses/LICENSE"} <= set(names)
    with tarfile.open(source) as archive:
        inside = [name.partition("/")[2] for name in archive.getnames()]
    assert {name.partition("/")[0] for name in inside} == IN_SOURCE, inside
    assert [name for name in inside if name.startswith("docs/")] == ["docs/package_readme.py"]


def main() -> None:
    """Check the archives of a folder."""
    dist = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    version = wheel.name.split("-")[1]
    check_contents(wheel, source)
    with tempfile.TemporaryDirectory() as name:
        for number, python in pythons().items():
            programs = environment(python, Path(name) / number)
            install(programs, str(wheel))
            run(str(programs / "python"), "-c", f"import {', '.join(MODULES)}")
            assert "](docs/" not in run(str(programs / "python"), "-c", _README), "links that break on an index"
            try_fake(programs)
            assert "zoho_async[cli]" in run(str(programs / "zoho-async"), "--version", fails=True)
            install(programs, f"{wheel}[cli]")
            assert version in run(str(programs / "zoho-async"), "--version")
            run(str(programs / "zoho-async"), "columns", "books", "contacts")
            print(f"Python {number}: {wheel.name} works without extras and with [cli]")
        programs = environment(sys.executable, Path(name) / "extras")
        install(programs, f"{wheel}[{','.join(extras(wheel))}]")
        run(str(programs / "python"), "-c", f"import {', '.join(MODULES_OF_EXTRAS)}")
        print(f"{wheel.name} works with all extras")
        programs = environment(sys.executable, Path(name) / "source")
        install(programs, str(source))
        run(str(programs / "python"), "-c", f"import {', '.join(MODULES)}")
        print(f"{source.name} can be installed")
    for number in VERSIONS:
        if number not in pythons():
            print(f"Python {number}: not found, not tried")


if __name__ == "__main__":
    main()
