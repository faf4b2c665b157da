"""The counter of restarts in the metrics of Ray's autoscaler."""

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import generate_latest
from ray.autoscaler._private.prom_metrics import AutoscalerPrometheusMetrics

from yellowdog_ray.monitor import head_metrics
from yellowdog_ray.monitor.head_metrics import RESTARTS, restart_counter


def test_restarts_are_in_the_metrics_of_the_autoscaler(monkeypatch):
    metrics = AutoscalerPrometheusMetrics(session_name="session")
    monkeypatch.setattr(head_metrics.gc, "get_objects", lambda: [1, metrics])
    count = restart_counter()
    assert f"{RESTARTS}_total 0.0" in generate_latest(metrics.registry).decode()

    count()

    assert f"{RESTARTS}_total 1.0" in generate_latest(metrics.registry).decode()


@pytest.mark.parametrize("objects", [[], [object.__new__(AutoscalerPrometheusMetrics)]])
def test_restarts_are_not_counted_where_the_autoscaler_has_no_metrics(monkeypatch, objects):
    monkeypatch.setattr(head_metrics.gc, "get_objects", lambda: objects)

    restart_counter()()
