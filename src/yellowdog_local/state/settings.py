"""Behaviour that the real platform does not document: a named setting for each, with the assumed value."""

from __future__ import annotations

import difflib
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from yellowdog_client.model import CloudProvider

NAME_PATTERN = "[a-z]([a-z0-9_-]{0,58}[a-z0-9])?"
"""The naming rules."""

MAX_COUNT = 2**31 - 1
"""Maximum of a number of entities or bytes; YellowDog's API has 32-bit integers."""

MAX_WORKERS_PER_NODE = 10_000
"""Each worker of a platform node is a record in memory."""

_VariableName = Annotated[str, Field(pattern=r"^[^=\x00]+$")]
_VariableValue = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class AbortEndState(str, Enum):
    """The final status of a task that is aborted while in progress."""

    ABORTED = "ABORTED"
    FAILED = "FAILED"


class Settings(BaseModel):
    """The local platform's behaviour where that of the real one is not documented."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: Any) -> Any:
        """Refuse an unknown setting, with the nearest known one."""
        for name in values if isinstance(values, dict) else ():
            if name not in cls.model_fields:
                raise ValueError(f"unknown setting '{name}': did you mean '{nearest_setting(name)}'?")
        return values

    autoscale_interval_seconds: float = Field(default=1.0, gt=0)
    """Interval of autoscaling while tasks wait for workers (seconds)."""

    autoscale_counts_booting_nodes: bool = True
    """Whether booting platform nodes count for waiting tasks; if not, more are requested."""

    autoscale_shares_demand: bool = True
    """Whether a waiting task scales up one matching pool; if not, every matching pool."""

    abort_end_state: AbortEndState = AbortEndState.ABORTED
    """Status of a task that was aborted while in progress."""

    abort_grace_seconds: float = Field(default=30.0, ge=0)
    """Time between SIGTERM to a task's process and SIGKILL to its process group (seconds)."""

    abort_signals_process_group: bool = False
    """Whether an abort sends SIGTERM to the task's process group; if not, to its process only."""

    timeout_kills_at_once: bool = False
    """Whether a task that times out gets SIGKILL at once; if not, SIGTERM first, as an aborted one."""

    group_failure_aborts_executing_tasks: bool = False
    """Whether a task group that fails by finishIfAnyTaskFailed aborts its executing tasks; if not, they finish."""

    hold_returns_allocated_tasks: bool = True
    """Whether holding work returns allocated tasks to READY that no agent has received."""

    refuse_cancelling_executing_tasks: bool = False
    """Whether cancelling an executing task without abort is refused; if not, it has no effect."""

    heartbeat_period_seconds: float = Field(default=10.0, gt=0)
    """Interval of an agent's calls (seconds)."""

    heartbeat_late_seconds: float = Field(default=30.0, gt=0)
    """Silence after which a platform node is LATE (seconds)."""

    heartbeat_lost_seconds: float = Field(default=60.0, gt=0)
    """Silence after which a platform node and its tasks are LOST (seconds)."""

    lost_node_terminates_instance: bool = True
    """Whether the instance of a LOST platform node is terminated."""

    instance_death_noticed_seconds: float = Field(default=0.0, ge=0)
    """Time between the end of an instance and the end of its platform node and tasks (seconds)."""

    default_slice_size: int = Field(default=100, ge=1, le=1000)
    """Default page size of a search (entries)."""

    lists_newest_first: bool = False
    """Whether searches without an order list the newest entity first; if not, the oldest."""

    default_node_boot_timeout_seconds: float = Field(default=600.0, gt=0)
    """A pool's nodeBootTimeout when it is omitted (seconds)."""

    default_idle_node_shutdown: bool = False
    """Whether idleNodeShutdown is enabled when it is omitted."""

    default_idle_pool_shutdown: bool = False
    """Whether idlePoolShutdown is enabled when it is omitted."""

    default_min_nodes: int = Field(default=0, ge=0, le=MAX_COUNT)
    """A pool's minNodes when it is omitted (platform nodes)."""

    default_max_nodes: int = Field(default=0, ge=0, le=MAX_COUNT)
    """A pool's maxNodes when it is omitted, or its target or minNodes where that is more (platform nodes)."""

    max_nodes_limit: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Maximum of maxNodes; None for no limit (platform nodes)."""

    zero_idle_timeout_spares_unused: bool = True
    """Whether an idle timeout of 0 does not apply to platform nodes and pools before their first task."""

    replace_shut_down_nodes: bool = True
    """Whether autoscaling may replace platform nodes that a user shut down; if not, the pool's maximum decreases."""

    default_workers_per_node: int = Field(default=1, ge=1, le=MAX_WORKERS_PER_NODE)
    """A pool's workers per platform node when createNodeWorkers is omitted (workers)."""

    allocated_workers_are_working: bool = True
    """Whether workingWorkerCount counts a worker from its claim; if not, from the start of its task."""

    auto_create_namespaces: bool = True
    """Whether an unknown namespace is created with the first entity in it; if not, the entity is refused."""

    default_namespace: str = Field(default="default", pattern=f"^{NAME_PATTERN}$")
    """The namespace of a configured worker pool whose request names none."""

    reuse_finished_names: bool = True
    """Whether the name of a finished requirement or pool may be reused."""

    accept_template_names: bool = True
    """Whether a compute requirement template may be given as namespace/name instead of its id."""

    refuse_omitted_task_groups: bool = True
    """Whether an update of a work requirement that omits task groups is refused; if not, they stay unchanged."""

    task_types_immutable: bool = True
    """Whether an update of a work requirement that changes task types is refused."""

    enforce_names: bool = True
    """Whether the naming rules are enforced: a-z, 0-9, - and _, a letter first, at most 60 characters."""

    max_tasks_per_call: int = Field(default=10_000, ge=1, le=MAX_COUNT)
    """Maximum tasks per call (tasks)."""

    max_instances: int = Field(default=10_000, ge=1, le=MAX_COUNT)
    """Maximum target of a compute requirement (instances)."""

    max_task_data_bytes: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    """Maximum size of a task's taskData; None for no limit (bytes)."""

    max_environment_bytes: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    """Maximum size of a task's environment, names and values; None for no limit (bytes)."""

    max_arguments_bytes: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    """Maximum size of all arguments of a task; None for no limit (bytes)."""

    max_user_data_bytes: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    """Maximum size of userData; None for no limit. On AWS it is 16 KiB (bytes)."""

    task_environment: dict[_VariableName, _VariableValue] = Field(default_factory=dict)
    """Variables in the environment of every task, such as HOME, USER, PATH; the others are the agent's own."""

    task_umask: int | None = Field(default=None, ge=0, le=0o777)
    """Umask of a task's process; None for that of the agent."""

    allocation_latency_seconds: float = Field(default=0.0, ge=0)
    """Time between a task's allocation and its start on the agent (seconds)."""

    retry_delay_seconds: float = Field(default=0.0, ge=0)
    """Time between a task's failure and its return to READY when it is retried (seconds)."""

    retry_on_same_worker: bool = True
    """Whether a retry may run on the worker on which the task failed."""

    retention_seconds: float | None = Field(default=None, ge=0)
    """Time after which ended tasks, platform nodes, instances and pools are removed; None for never (seconds)."""

    count_expired_tasks: bool = True
    """Whether a task group's counts include tasks that have been removed."""

    cancel_waiting_tasks_at_pool_shutdown: bool = False
    """Whether the shutdown of a pool cancels waiting tasks that no other pool could run."""

    default_startup_seconds: float = Field(default=2.0, ge=0)
    """Start-up time of instances whose source is not a simulator source (seconds)."""

    simulator_refresh_seconds: float = Field(default=60.0, gt=0)
    """Interval of drawing unexpectedInstanceTerminationProbability for each running instance (seconds)."""

    event_name: str = Field(default="entity_updated", pattern="^[A-Za-z0-9_.:-]+$")
    """The name of the events of event streams."""

    event_ids: bool = False
    """Whether the events of event streams are numbered."""

    event_streams_begin_with_state: bool = True
    """Whether an event stream starts with the current state; if not, with the first change."""

    event_keep_alive_seconds: float = Field(default=15.0, gt=0)
    """Time after which an idle event stream sends a comment; clients time out after 90 s (seconds)."""

    event_interval_seconds: float = Field(default=0.1, ge=0)
    """Time over which the changes of an entity are collected into one event (seconds)."""

    close_finished_event_streams: bool = True
    """Whether an event stream closes after the final state; the CLI waits for it, SDK listeners reconnect at once."""

    preemption_notice_seconds: float = Field(default=120.0, ge=0)
    """Time between a node's preemptionWarningTime and the loss of its instance (seconds)."""

    tasks_after_preemption_warning: bool = False
    """Whether a platform node with a preemption warning still gets new tasks."""

    recorded_calls: int = Field(default=100_000, ge=1, le=MAX_COUNT)
    """Number of API calls kept individually; the counts per route are always kept (calls)."""

    not_found_error_type: str = "NotFoundException"
    """The errorType of a 404. One for which the SDK has an exception would hide the 404 from its callers."""

    invalid_request_status: int = Field(default=400, ge=400, le=499)
    """The HTTP status of an InvalidRequestException."""

    duplicate_status: int = Field(default=400, ge=400, le=499)
    """The HTTP status if a name is taken."""

    duplicate_error_type: str = "InvalidRequestException"
    """The errorType if the name of a requirement or pool is taken."""

    duplicate_task_names_error_type: str = "ConflictException"
    """The errorType if the name of a task is taken; clients match its text."""

    illegal_transition_status: int = Field(default=403, ge=400, le=499)
    """The HTTP status of a request that a requirement's status does not allow."""

    instance_id_prefix: str = Field(default="i-sim-", pattern="^[a-z0-9-]+$")
    """Prefix of instance ids; a number follows."""

    simulator_provider: CloudProvider | None = None
    """The provider of simulator sources and their instances and platform nodes."""

    random_seed: int | None = None
    """Seed of start-up variance, unexpected terminations and ids; None for a random seed at each start."""

    account_name: str = "local"
    """The account name that the platform reports."""


def nearest_setting(name: str) -> str:
    """The known setting whose name is most similar to this one."""
    (nearest,) = difflib.get_close_matches(name[:80].lower(), Settings.model_fields, n=1, cutoff=0.0)
    return nearest
