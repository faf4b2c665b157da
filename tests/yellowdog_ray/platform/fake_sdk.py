"""The SDK's client in tests of single calls: what it was asked, and what it answers. Makes no HTTP call."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

from yellowdog_client.model import Slice

from yellowdog_ray.platform.calls import Calls
from yellowdog_ray.platform.responses import Responses
from yellowdog_ray.platform.retry import RetryPolicy

C = TypeVar("C", bound=Calls)


class Search:
    """Results of a search, on one page."""

    def __init__(self, *items: object) -> None:
        self._items = list(items)

    def slice(self, _: object) -> Any:
        """The only page."""
        return Slice(items=self._items)


def calls_of(kind: type[C], monotonic: Callable[[], float] = lambda: 0.0, **services: Any) -> C:
    """Calls whose SDK client has these services, each a mapping of its methods."""
    client: Any = SimpleNamespace(**{name: SimpleNamespace(**methods) for name, methods in services.items()})
    return kind(client, Responses(), "demo", RetryPolicy(monotonic=monotonic))
