"""Counts the restarts of the head's processes in the metrics that Ray's autoscaler exports to Prometheus."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

RESTARTS = "raydog_head_process_restarts"
"""The counter, which Prometheus shows with the suffix `_total`."""


def restart_counter() -> Callable[[], None]:
    """Add the counter to the autoscaler's metrics. Returns what counts a restart; it never fails.

    Without `prometheus_client`, which Ray's dashboard brings, nothing is counted.
    """
    try:
        from prometheus_client import Counter
        from ray.autoscaler._private.prom_metrics import AutoscalerPrometheusMetrics

        # Ray's monitor serves this registry, and gives a node provider no way to it.
        metrics = next(found for found in gc.get_objects() if type(found) is AutoscalerPrometheusMetrics)
        counter = Counter(RESTARTS, "Restarts of processes of Ray on the head.", registry=metrics.registry)
    except (ImportError, StopIteration, AttributeError, TypeError, ValueError) as error:
        logger.debug("restarts of the head's processes are not in Ray's metrics: %s", error)
        return lambda: None
    return counter.inc
