"""Private keys for tests that need one that OpenSSH can read: made once per run, never committed."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path


def write_key(path: Path, which: int = 0) -> Path:
    """Write a private key without a passphrase. Each number gives another key."""
    path.write_text(_key(which))
    path.chmod(0o600)
    return path


@cache
def _key(which: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"key{which}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path.read_text()
