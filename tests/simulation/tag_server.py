"""The Valkey on the head, as far as the provider asks it; it may be dead, and it may come back empty."""

from __future__ import annotations

from typing import Any

import pytest
import redis


class TagServer:
    """One store.

    Attributes:
        up: whether it answers.
    """

    def __init__(self) -> None:
        self.up = False
        self._hashes: dict[str, dict[str, str]] = {}

    def start(self) -> None:
        """Answer from now on, with nothing in it."""
        self.up = True
        self._hashes.clear()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the Redis client."""
        server = self

        class Client:
            def __init__(self, **_: Any) -> None:
                pass

            def close(self) -> None:
                pass

            def hget(self, key: str, name: str) -> str | None:
                return server.hash(key).get(name)

            def hgetall(self, key: str) -> dict[str, str]:
                return dict(server.hash(key))

            def hset(self, key: str, name: str = "", value: str = "", mapping: dict[str, str] | None = None) -> int:
                fields = mapping or {name: value}
                known = server.hash(key)
                new = fields.keys() - known.keys()
                known.update(fields)
                return len(new)

        monkeypatch.setattr(redis, "Redis", Client)

    def hash(self, key: str) -> dict[str, str]:
        """One of its hashes.

        Raises:
            redis.ConnectionError: it does not answer.
        """
        if not self.up:
            raise redis.ConnectionError("connection refused")
        return self._hashes.setdefault(key, {})
