"""Records workers that did not become Ray nodes: one error in the log, and the back-off of their type.

Does not decide which workers have failed (monitor/liveness.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.errors import NodeBuildError

logger = logging.getLogger(__name__)

MAX_LOGGED = 5
"""How many node ids one error names."""


def record_failure(backoff: BackOff, node_type: str, node_ids: Sequence[str], reason: NodeBuildError) -> None:
    """Log failed workers of one type with their reason, and let the type back off."""
    logger.error(
        "%d node(s) of type '%s' failed (%s): %s: %s",
        len(node_ids),
        node_type,
        ", ".join(node_ids[:MAX_LOGGED]),
        reason.code,
        reason,
    )
    backoff.failed(node_type, reason, node_ids)
