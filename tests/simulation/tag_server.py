"""The Valkey on the head, as far as the provider uses it; it may be down, and it may start again empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis


class TagServer:
    """One store.

    Attributes:
        up: whether it answers.
        drip: lets the time of one call pass, while answers come a byte at a time; None while they come at once.
    """

    def __init__(self) -> None:
        self.up = False
        self.drip: Callable[[], object] | None = None
        self._hashes: dict[str, dict[bytes, bytes]] = {}

    def start(self) -> None:
        """Answer from now on, with an empty store."""
        self.up = True
        self.drip = None
        self._hashes.clear()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the Redis client's connection; its own rules for retries stay in force."""
        server = self

        class Client(redis.Redis):
            def execute_command(self, *command: Any, **_: Any) -> Any:
                return self.get_retry().call_with_retry(lambda: server.execute(*command), lambda error: None)

        monkeypatch.setattr(redis, "Redis", Client)

    def poison(self, key: str, fields: dict[bytes, bytes]) -> None:
        """Write what another program on the head may write."""
        self._hashes.setdefault(key, {}).update(fields)

    def execute(self, command: str, key: str, *arguments: str) -> Any:
        """Execute one command.

        Raises:
            redis.ConnectionError: the store is down.
            redis.TimeoutError: its answer takes longer than the call may.
        """
        if not self.up:
            raise redis.ConnectionError("connection refused")
        if self.drip is not None:
            self.drip()
            raise redis.TimeoutError("no whole answer in time")
        commands: dict[str, Callable[..., Any]] = {
            "HGET": self._hget,
            "HGETALL": dict,
            "HSET": self._hset,
            "HDEL": self._hdel,
        }
        return commands[command](self._hashes.setdefault(key, {}), *(argument.encode() for argument in arguments))

    @staticmethod
    def _hget(fields: dict[bytes, bytes], name: bytes) -> bytes | None:
        return fields.get(name)

    @staticmethod
    def _hset(fields: dict[bytes, bytes], *pairs: bytes) -> int:
        new = dict(zip(pairs[::2], pairs[1::2], strict=True))
        added = len(new.keys() - fields.keys())
        fields.update(new)
        return added

    @staticmethod
    def _hdel(fields: dict[bytes, bytes], *names: bytes) -> int:
        return sum(fields.pop(name, None) is not None for name in names)
