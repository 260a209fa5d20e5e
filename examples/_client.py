"""What the examples share: a client from the variables ZOHO_..., and names that no earlier run has used."""

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from zoho_async import FileStore, Zoho


def connect(**options: Any) -> Zoho:
    """`Zoho.from_env()` with a token store, because Zoho issues ten tokens in ten minutes to all programs together."""
    account = "\n".join(os.environ.get(name, "") for name in ("ZOHO_CLIENT_ID", "ZOHO_REFRESH_TOKEN"))
    name = hashlib.sha256(account.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"zoho-async-examples-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return Zoho.from_env(store=FileStore(folder / f"{name}.json"), **options)


def unique(name: str) -> str:
    """The name with a random suffix: Zoho refuses a second contact of one name."""
    return f"{name} {secrets.token_hex(4)}"
