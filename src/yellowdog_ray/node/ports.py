"""The fixed ports of a node's servers, from which a firewall can be written. docs/security.md has the table."""

from __future__ import annotations

GCS_PORT = 6379
"""The port of Ray's control store on the head; workers join there."""

DASHBOARD_PORT = 8265
"""The port of Ray's dashboard on the head, which also accepts jobs (`_private/ray_constants.py` of Ray 2.60)."""

CLIENT_SERVER_PORT = 10001
"""The port of Ray's client server on the head (`scripts/scripts.py` of Ray 2.60)."""

AUTOSCALER_METRICS_PORT = 44217
"""The port of the autoscaler's metrics on the head (`autoscaler/_private/constants.py` of Ray 2.60)."""

DASHBOARD_METRICS_PORT = 44227
"""The port of the dashboard's metrics on the head (`dashboard/consts.py` of Ray 2.60)."""

DASHBOARD_AGENT_PORT = 52365
"""The port of each node's dashboard agent, HTTP (`_private/ray_constants.py` of Ray 2.60)."""

RAY_START_PORTS = {
    "node-manager-port": 20020,
    "object-manager-port": 20021,
    "runtime-env-agent-port": 20022,
    "dashboard-agent-grpc-port": 20023,
    "metrics-export-port": 20024,
}
"""Options of `ray start` whose ports are random by default, and the ports of the default task scripts.

They are above the ports of Ray's workers (10002 to 19999) and below those of Linux's outgoing connections (from 32768).
IANA assigns them to no service.
"""

RAY_START_OPTIONS = " ".join(f"--{option}={port}" for option, port in RAY_START_PORTS.items())
"""These options in the default task scripts."""
