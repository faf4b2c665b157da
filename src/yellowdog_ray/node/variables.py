"""Every environment variable that crosses from one process to another, defined once. Imports nothing of RayDog.

The constants hold the names. `CONTRACT` gives each one's writer, its reader, and the meaning of its absence. No other
module of `yellowdog_ray` and `raydog_cli` contains such a name as a literal;
`tests/yellowdog_ray/node/test_variables.py` enforces that.

Processes: the *laptop* runs a `ray` command. The *monitor* is Ray's autoscaler on the head. A *task script* runs Ray on
a node, in the environment that the task was submitted with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Variable:
    """The contract of one environment variable.

    Attributes:
        name: the variable's name.
        written_by: the process that sets it.
        read_by: the processes that read it.
        absent: the meaning of its absence.
    """

    name: str
    written_by: str
    read_by: str
    absent: str


_contract: dict[str, Variable] = {}

_LAPTOP_FOR_HEAD = "laptop, in the head's task"
_EVERY_TASK = "laptop in the head's task, monitor in workers' tasks"


def _variable(name: str, *, written_by: str, read_by: str, absent: str) -> str:
    _contract[name] = Variable(name, written_by, read_by, absent)
    return name


# RayDog's own

ON_HEAD = _variable(
    "RAYDOG_ON_HEAD",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="monitor (`1`: this process runs on the head), for its side and for the order of the key's sources",
    absent="this process is a `ray` command on a laptop",
)
WORK_REQUIREMENT_ID = _variable(
    "RAYDOG_WORK_REQUIREMENT_ID",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="monitor: the only work requirement that it may use",
    absent="the work requirement is found by the cluster's name",
)
TAG_SERVER_PORT = _variable(
    "RAYDOG_TAG_SERVER_PORT",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="the head's task script; laptop, to compare it with the YAML",
    absent="the script uses `DEFAULT_TAG_SERVER_PORT`",
)
NODE_TAGS = _variable(
    "RAYDOG_NODE_TAGS",
    written_by=_EVERY_TASK,
    read_by="laptop and monitor, at every listing: the node's tags at creation, as a JSON object",
    absent="the task is not a node, and is not listed",
)
UPDATER = _variable(
    "RAYDOG_UPDATER",
    written_by=_EVERY_TASK,
    read_by="the default task scripts (`sets-up` or `starts-ray`: what they leave to Ray's updater); laptop",
    absent="the script starts Ray at once",
)
WORKER_UPDATER = _variable(
    "RAYDOG_WORKER_UPDATER",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="laptop, at a later `ray up`: what workers' tasks leave to Ray's updaters",
    absent="workers have no updaters",
)
UPDATED_NODE_TYPES = _variable(
    "RAYDOG_UPDATED_NODE_TYPES",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="laptop, at a later `ray up`: the node types that the updaters can set up, as a JSON list",
    absent="no node type has updaters",
)

HEAD_RESTART = _variable(
    "RAYDOG_HEAD_RESTART",
    written_by="laptop, in the head's task (`0`); a carrier, in the task of the head that replaces a lost one; "
    "monitor, in workers' tasks",
    read_by="the default head script: the seconds after which it ends if no carrier has sent its files; the default "
    "worker script: the seconds that a carrier has; monitor; laptop, at a later `ray up`",
    absent="a lost head is not replaced (`provider.head_restart`)",
)

# Ray's, for one node

CLOUD_INSTANCE_ID = _variable(
    "RAY_CLOUD_INSTANCE_ID",
    written_by=_EVERY_TASK,
    read_by="Ray's raylet, which reports it to the control store; the default task scripts: the node id",
    absent="Ray's node matches no node of ours: autoscaler v2 terminates workers, and never scales without the head",
)
NODE_TYPE_NAME = _variable(
    "RAY_NODE_TYPE_NAME",
    written_by=_EVERY_TASK,
    read_by="Ray's raylet: the key of `available_node_types`",
    absent="autoscaler v2 has no node type for Ray's node",
)
OVERRIDE_RESOURCES = _variable(
    "RAY_OVERRIDE_RESOURCES",
    written_by=_EVERY_TASK,
    read_by="`ray start`: the node's resources, as a JSON object; laptop, to compare it with the YAML",
    absent="Ray measures the machine",
)
OVERRIDE_LABELS = _variable(
    "RAY_OVERRIDE_LABELS",
    written_by=_EVERY_TASK,
    read_by="`ray start`: the node's labels, as a JSON object; laptop, to compare it with the YAML",
    absent="the node has Ray's default labels only",
)
_MACHINE = (
    "monitor in workers' tasks, laptop in the head's, where the template decides it; the first lines of each script"
)
NODE_MARKET_TYPE = _variable(
    "RAY_NODE_MARKET_TYPE",
    written_by=_MACHINE,
    read_by="`ray start`: the default of the label `ray.io/market-type` (`spot` or `on-demand`)",
    absent="the node has no such label by default",
)
NODE_REGION = _variable(
    "RAY_NODE_REGION",
    written_by="as `RAY_NODE_MARKET_TYPE`",
    read_by="`ray start`: the default of the label `ray.io/availability-region`",
    absent="the node has no such label by default",
)
NODE_ZONE = _variable(
    "RAY_NODE_ZONE",
    written_by="as `RAY_NODE_MARKET_TYPE`",
    read_by="`ray start`: the default of the label `ray.io/availability-zone`",
    absent="the node has no such label by default",
)
HEAD_IP = _variable(
    "RAY_HEAD_IP",
    written_by="monitor, in workers' tasks",
    read_by="the workers' task script: the address to join",
    absent="the node is the head",
)
RAYLET_CONNECT_TIMEOUT = _variable(
    "RAY_raylet_client_connect_timeout_milliseconds",
    written_by=_EVERY_TASK,
    read_by="Ray: milliseconds between two attempts to connect to a local socket",
    absent="Ray's own: 1,000",
)
RAYLET_CONNECT_ATTEMPTS = _variable(
    "RAY_raylet_client_num_connect_attempts",
    written_by=_EVERY_TASK,
    read_by="Ray: the number of such attempts",
    absent="Ray's own: 10",
)
RAY_TMPDIR = _variable(
    "RAY_TMPDIR",
    written_by="the user, in a task script or image",
    read_by="Ray; the head's start command: the parent directory of Ray's session",
    absent="`TMPDIR`, or `/tmp`",
)
START_HOOK = _variable(
    "RAY_START_HOOK",
    written_by="the head's default task script; with Ray 2.52 and 2.53 the first lines of every task script; the user",
    read_by="`ray start`: a function to call before it starts Ray's processes",
    absent="Ray's client server listens on the head's address too; Ray 2.52 and 2.53 require no token at their agents",
)

STORE = _variable(
    "RAYDOG_STORE",
    written_by="the supervisor on the head, for `ray start`",
    read_by="the hook of `ray start`: the file that says where Ray keeps its control store",
    absent="Ray keeps it in the memory of its process",
)
SUPERVISOR = _variable(
    "RAYDOG_SUPERVISOR",
    written_by="the supervisor on the head, for Ray's processes",
    read_by="the keepers of the raylet's agents: the process to which they report restarts",
    absent="restarts of agents are not in the task's output",
)
HEAD_EVENTS = _variable(
    "RAYDOG_HEAD_EVENTS",
    written_by="as `RAYDOG_SUPERVISOR`",
    read_by="the keepers of the raylet's agents: the file of restarts",
    absent="restarts of agents are not recorded",
)
RAYLET_PID = _variable(
    "RAY_RAYLET_PID",
    written_by="Ray's raylet, for its agents; their keepers on the head",
    read_by="an agent: the parent with which it ends",
    absent="an agent of Ray does not start",
)
EXTERNAL_STORAGE_NAMESPACE = _variable(
    "RAY_external_storage_namespace",
    written_by="the hook of `ray start` on the head",
    read_by="Ray: the prefix of the control store's keys",
    absent="Ray's own prefix",
)
REDIS_PASSWORD = _variable(
    "RAY_REDIS_PASSWORD",
    written_by="`ray start`, for its client server; a hook of ours removes it on the head",
    read_by="Ray's client server",
    absent="Ray's client server reaches the control store through its own server, and needs no password",
)

# Ray's token authentication

AUTH_MODE = _variable(
    "RAY_AUTH_MODE",
    written_by=_EVERY_TASK + "; `ray up`, in a file of the head's login shells",
    read_by="Ray in every process (`token` or `disabled`); monitor, for workers' tasks; laptop, at a later `ray up`",
    absent="Ray decides: up to 2.58 without tokens; from 2.59 with tokens where it finds one; from 2.61 with tokens",
)
AUTH_TOKEN = _variable(
    "RAY_AUTH_TOKEN",
    written_by="the user on the laptop, who brings a token",
    read_by="Ray; laptop, in `ray up`: the token of a new cluster",
    absent="Ray reads the file of `RAY_AUTH_TOKEN_PATH`; a new cluster gets a random token",
)
AUTH_TOKEN_PATH = _variable(
    "RAY_AUTH_TOKEN_PATH",
    written_by="the first lines of every task script; the user on the laptop",
    read_by="Ray; monitor; laptop, in `ray up`: the file with the token of a new cluster",
    absent="Ray reads `~/.ray/auth_token`",
)
TICKET = _variable(
    "RAYDOG_TICKET",
    written_by="monitor, in workers' tasks",
    read_by="the first lines of a worker's task script, which redeem it once for the token, and unset it",
    absent="the worker needs no token",
)
TOKEN_SERVICE = _variable(
    "RAYDOG_TOKEN_SERVICE",
    written_by="monitor, in workers' tasks",
    read_by="the first lines of a worker's task script: the port of the head's token service",
    absent="the worker needs no token",
)
TOKEN_FINGERPRINT = _variable(
    "RAYDOG_TOKEN_FINGERPRINT",
    written_by="monitor, in workers' tasks",
    read_by="the first lines of a worker's task script: the SHA-256 of the token service's certificate, hexadecimal",
    absent="the worker needs no token",
)

# Python's

PYTHON_PATH = _variable(
    "PYTHONPATH",
    written_by="the first lines of the head's task script, in front of the user's own entries",
    read_by="Python in `ray start`, the monitor, and every process of Ray on the head",
    absent="the monitor imports the RayDog of the image, and warns if that is not the one that `ray up` has sent",
)

# Ray's, for its autoscaler on the head

AUTOSCALER_V2 = _variable(
    "RAY_enable_autoscaler_v2",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="Ray and the monitor (`1`: autoscaler v2 runs); laptop, at a later `ray up`",
    absent="autoscaler v1 runs",
)
MAX_CONCURRENT_LAUNCHES = _variable(
    "AUTOSCALER_MAX_CONCURRENT_LAUNCHES",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="Ray: the number of nodes that may be in launch at once",
    absent="Ray's own: 10",
)
MAX_LAUNCH_BATCH = _variable(
    "AUTOSCALER_MAX_LAUNCH_BATCH",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="Ray: the number of nodes in one launch request",
    absent="Ray's own: 5",
)
UPDATE_INTERVAL = _variable(
    "AUTOSCALER_UPDATE_INTERVAL_S",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="Ray: seconds between two ticks of its autoscaler",
    absent="Ray's own: 5",
)
NODE_START_WAIT = _variable(
    "AUTOSCALER_NODE_START_WAIT_S",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="Ray's updaters: seconds in which a node must answer by SSH",
    absent="Ray's own: 900",
)
RESOURCE_LOADS_PERIOD = _variable(
    "RAY_gcs_pull_resource_loads_period_milliseconds",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="Ray's control store: milliseconds between two polls of all nodes for pending work; laptop, at a later "
    "`ray up`",
    absent="Ray's own: 1,000",
)
ALLOCATE_TIMEOUT = _variable(
    "RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="autoscaler v2: seconds from a worker's launch to its joining",
    absent="Ray's own: 3,600; 300 from Ray 2.50 to 2.53",
)
RAY_INSTALL_TIMEOUT = _variable(
    "RAY_AUTOSCALER_RECONCILE_RAY_INSTALL_STATUS_TIMEOUT_S",
    written_by=_LAPTOP_FOR_HEAD,
    read_by="autoscaler v2: seconds that an updater may take to set a worker up",
    absent="Ray's own: 1,800",
)

# On the laptop

UP_AUTOSCALER_V2 = _variable(
    "RAY_UP_enable_autoscaler_v2",
    written_by="the user (`0` chooses autoscaler v1)",
    read_by="Ray and RayDog, in `ray up` on the laptop",
    absent="the cluster gets autoscaler v2",
)

# YellowDog's

AGENT_HOME = _variable(
    "YD_AGENT_HOME",
    written_by="the YellowDog agent, in every task",
    read_by="the default task scripts: the home directory on the node",
    absent="`/opt/yellowdog/agent`",
)
PROVIDER = _variable(
    "YD_PROVIDER",
    written_by="the YellowDog agent, in every task",
    read_by="the first lines of each task script: the cloud whose service gives the machine's zone",
    absent="the zone is that of the template, or unknown",
)
REGION = _variable(
    "YD_REGION",
    written_by="the YellowDog agent, in every task",
    read_by="the first lines of each task script: the cloud's region of the machine",
    absent="the region is that of the template, or unknown",
)
API_KEY_ID = _variable(
    "YD_API_KEY_ID",
    written_by="the user or a `.env` on the laptop; laptop, in the head's file and, with `api_key_in_head_task`, task",
    read_by="laptop and monitor",
    absent="the command fails: no API key",
)
API_KEY_SECRET = _variable(
    "YD_API_KEY_SECRET",
    written_by="as `YD_API_KEY_ID`",
    read_by="laptop and monitor",
    absent="the command fails: no API key",
)
API_URL = _variable(
    "YD_API_URL",
    written_by="as `YD_API_KEY_ID`",
    read_by="laptop and monitor",
    absent="YellowDog's public platform",
)

DEFAULT_AGENT_HOME = "/opt/yellowdog/agent"
"""Default installation directory of the YellowDog agent, and home of its user; `AGENT_HOME` overrides it."""

FIRST_HEAD = "0"
"""Value of `HEAD_RESTART` on the head of `ray up`, which sends the head's files and waits for it."""

DEFAULT_TAG_SERVER_PORT = 16667
"""The port of the tag server (Valkey) on the head where the YAML states none."""

CONTRACT: Mapping[str, Variable] = MappingProxyType(_contract)
"""Every variable by name."""
