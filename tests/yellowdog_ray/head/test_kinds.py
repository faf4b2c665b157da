"""The kinds of process on a head, by command lines of Ray 2.50 to 2.60."""

import pytest

from yellowdog_ray.head.kinds import (
    AUTOSCALER,
    CLIENT_SERVER,
    CONTROL_STORE,
    DASHBOARD,
    LOG_MONITOR,
    RAYLET,
    TAG_SERVER,
    kind_of,
)

PYTHON, RAY = "/opt/yellowdog/agent/venv/bin/python", "/opt/yellowdog/agent/venv/lib/python3.12/site-packages/ray"


@pytest.mark.parametrize(
    ("kind", "argv"),
    [
        (RAYLET, [f"{RAY}/core/src/ray/raylet/raylet", f"--dashboard_agent_command={PYTHON} {RAY}/dashboard/agent.py"]),
        (CONTROL_STORE, [f"{RAY}/core/src/ray/gcs/gcs_server", "--log_dir=/tmp/ray/session/logs"]),
        (AUTOSCALER, [PYTHON, "-u", f"{RAY}/autoscaler/v2/monitor.py", "--logs-dir=/tmp/ray/session/logs"]),
        (AUTOSCALER, [PYTHON, "-u", f"{RAY}/autoscaler/_private/monitor.py"]),
        (LOG_MONITOR, [PYTHON, "-u", f"{RAY}/_private/log_monitor.py", "--session-dir=/tmp/ray/session"]),
        (DASHBOARD, [PYTHON, f"{RAY}/dashboard/dashboard.py", "--host=127.0.0.1", "--port=8265"]),
        (CLIENT_SERVER, [PYTHON, "-m", "ray.util.client.server", "--address=192.0.2.1:6379", "--mode=proxy"]),
        (CLIENT_SERVER, [PYTHON, f"{RAY}/_private/workers/setup_worker.py", "-m", "ray.util.client.server"]),
    ],
)
def test_kind_is_recognized(kind, argv):
    assert kind_of(argv) is kind


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [PYTHON, f"{RAY}/dashboard/agent.py"],
        [PYTHON, "train.py", "--log", "a", "b", "monitor.py"],
        [PYTHON, "-m", "ray.util.client.server", "--mode=specific-server"],
    ],
)
def test_other_process_has_no_kind(argv):
    assert kind_of(argv) is None


def test_kernel_ends_what_costs_more_before_what_costs_less():
    spare, essential = (DASHBOARD, LOG_MONITOR, CLIENT_SERVER), (CONTROL_STORE, AUTOSCALER, TAG_SERVER)
    scores = [{kind.memory_badness for kind in kinds} for kinds in ((RAYLET,), essential, spare)]

    assert max(scores[0]) == 0 < min(scores[1]) <= max(scores[1]) < min(scores[2]) <= max(scores[2]) < 500
