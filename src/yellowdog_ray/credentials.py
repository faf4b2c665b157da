"""The YellowDog API key: its sources, and its form in the head's file. Must not import `config` or `remote`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values, find_dotenv

from yellowdog_ray.errors import CredentialsError
from yellowdog_ray.node.variables import API_KEY_ID, API_KEY_SECRET, API_URL
from yellowdog_ray.redaction import hide

DEFAULT_URL = "https://api.yellowdog.ai"

HEAD_FILE = "~/.raydog/credentials"
"""The file on the head, mode 0600, that `ray up` writes over SSH."""


@dataclass(frozen=True)
class Credentials:
    """An application's key, and its platform's URL. The repr does not contain the secret."""

    url: str
    key_id: str
    key_secret: str = field(repr=False)

    def as_environment(self) -> dict[str, str]:
        """The environment variables that hold these credentials."""
        return {API_URL: self.url, API_KEY_ID: self.key_id, API_KEY_SECRET: self.key_secret}

    def as_dotenv(self) -> str:
        """The lines of a `.env` file that hold these credentials."""
        return "".join(f"{name}={value}\n" for name, value in self.as_environment().items())


def load_credentials() -> Credentials:
    """Find the key: in the environment, then in a `.env` from the working directory upwards, then in the head's file.

    Raises:
        CredentialsError: a part of the key is in none of them.
    """
    dotenv = find_dotenv(usecwd=True)
    head_file = Path(HEAD_FILE).expanduser()
    found: dict[str, str | None] = {API_URL: DEFAULT_URL}
    for file in (head_file, Path(dotenv) if dotenv else None):
        if file is not None and file.is_file():
            found |= {name: value for name, value in dotenv_values(file).items() if value}
    found |= {name: os.environ[name] for name in (API_KEY_ID, API_KEY_SECRET, API_URL) if os.environ.get(name)}

    missing = [name for name in (API_KEY_ID, API_KEY_SECRET) if not found.get(name)]
    if missing:
        raise CredentialsError(
            f"no YellowDog API key: {' and '.join(missing)} not set. Set them in the environment, or in a file .env in "
            f"{Path.cwd()} or a folder above it. `raydog local start` prints the lines for a local platform."
        )
    hide(str(found[API_KEY_SECRET]))
    return Credentials(
        url=str(found[API_URL]).rstrip("/"), key_id=str(found[API_KEY_ID]), key_secret=str(found[API_KEY_SECRET])
    )
