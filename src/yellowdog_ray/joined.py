"""Which nodes have joined Ray, asked of Ray's own control store on the head. Knows nothing of YellowDog.

Only Ray's old autoscaler needs it: it kills a node whose status says `up-to-date` before its raylet is known.
"""

from __future__ import annotations

import logging

from yellowdog_ray.scripts import GCS_PORT

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 3


class JoinedNodes:
    """The node ids of the raylets that have joined. Only on the head."""

    def __init__(self, address: str = f"127.0.0.1:{GCS_PORT}") -> None:
        self._address = address
        self._client: object = None
        self._ids: frozenset[str] = frozenset()

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._ids

    def refresh(self) -> None:
        """Ask again; while there is no answer the last one stands."""
        # A private name, the same one that Ray's monitor itself uses; without it statuses stay as they were made.
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled

        try:
            if self._client is None:
                self._client = GcsClient(address=self._address)
            nodes = self._client.get_all_node_info(timeout=_TIMEOUT_SECONDS)  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - Ray's client raises errors of many kinds, none of them ours to judge
            logger.debug("Ray's control store does not answer: %s", error)
            return
        self._ids = frozenset(info.instance_id for info in nodes.values() if info.instance_id)
