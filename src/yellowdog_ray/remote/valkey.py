"""A Valkey client whose calls are bounded in time and bytes, whatever answers at the port.

Imported at first use only: the Redis client takes 0.4 s to import, and most `ray` commands do not need it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from yellowdog_ray.budget import BoundedSocket, Budget, TooLarge

T = TypeVar("T")

HOST = "127.0.0.1"


class StoreError(Exception):
    """The store did not answer in time, or its answer is unusable."""


class StoreRefusal(StoreError):
    """The store answered with an error: it requires a password, or the key has a value of another type."""


class Valkey:
    """A connection to one port of this machine, opened at the first call and after each failure.

    Args:
        port: of the loopback interface.
        seconds: the deadline of a whole call.
        size: the bytes that a call may read.
    """

    def __init__(self, port: int, seconds: float, size: int) -> None:
        self.port = port
        budget = Budget(seconds, size)

        class BoundedConnection(redis.Connection):  # type: ignore[misc]  # the Redis client is untyped
            def _connect(self) -> Any:
                return BoundedSocket(super()._connect(), budget)

        self._budget = budget
        self._client = redis.Redis(
            connection_pool=redis.ConnectionPool(
                connection_class=BoundedConnection,
                host=HOST,
                port=port,
                # By default the client retries for seconds, in the autoscaler's loop.
                retry=Retry(NoBackoff(), 0),
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
            )
        )

    def call(self, command: Callable[[redis.Redis], T]) -> T:
        """Run one command, or several that share one budget.

        Raises:
            TooLarge: the answer is too long.
            StoreRefusal: the store answers with an error.
            StoreError: no complete answer in time, or an unusable one.
        """
        self._budget.begin()
        try:
            return command(self._client)
        except TooLarge:
            self.close()
            raise
        except (redis.ResponseError, redis.AuthenticationError) as error:
            self.close()
            # The client's first command, HELLO, fails with a text of its own where a password is required.
            locked = isinstance(error, redis.AuthenticationError) or "already authenticated" in str(error)
            raise StoreRefusal("a password is required" if locked else str(error)) from error
        except Exception as error:  # the client's parser raises anything on bytes that are no answer of Valkey's
            self.close()
            raise StoreError(str(error)) from error

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with contextlib.suppress(redis.RedisError, OSError):
            self._client.connection_pool.disconnect()
