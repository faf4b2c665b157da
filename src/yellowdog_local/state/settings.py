"""What is not known about the real platform, one named setting each, with the value assumed here."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field
from yellowdog_client.model import CloudProvider


class AbortEndState(str, Enum):
    """Where a task ends that was aborted while it was in progress."""

    ABORTED = "ABORTED"
    FAILED = "FAILED"


class Settings(BaseModel):
    """How the local platform behaves where the real one's behaviour is not documented."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    autoscale_interval_seconds: float = Field(default=1.0, gt=0)
    """How often pools are scaled while tasks wait for workers (seconds)."""

    autoscale_counts_booting_nodes: bool = True
    """Whether platform nodes that still boot are counted as serving waiting tasks; if not, more are asked for."""

    autoscale_shares_demand: bool = True
    """Whether a waiting task makes one matching pool grow; if not, each that matches."""

    abort_end_state: AbortEndState = AbortEndState.ABORTED
    """Status of a task that was aborted while in progress."""

    abort_grace_seconds: float = Field(default=30.0, ge=0)
    """What agents wait between SIGTERM to the task's process and SIGKILL to its process group (seconds)."""

    abort_signals_process_group: bool = False
    """Whether the SIGTERM of an abort goes to the task's whole process group, not to its process alone."""

    timeout_kills_at_once: bool = False
    """Whether a task that exceeds its timeout gets SIGKILL at once, not SIGTERM first as when it is aborted."""

    group_failure_aborts_executing_tasks: bool = False
    """Whether a task group that fails by finishIfAnyTaskFailed aborts its executing tasks; else it lets them finish."""

    hold_returns_allocated_tasks: bool = True
    """Whether holding work returns to READY what is allocated and has not been handed to an agent."""

    refuse_cancelling_executing_tasks: bool = False
    """Whether cancelling an executing task without abort is refused; if not, it changes nothing."""

    heartbeat_period_seconds: float = Field(default=10.0, gt=0)
    """How often an agent is to be heard of (seconds)."""

    heartbeat_late_seconds: float = Field(default=30.0, gt=0)
    """Silence after which a platform node is LATE (seconds)."""

    heartbeat_lost_seconds: float = Field(default=60.0, gt=0)
    """Silence after which a platform node is LOST and its tasks with it (seconds)."""

    lost_node_terminates_instance: bool = True
    """Whether the instance of a LOST platform node is terminated."""

    instance_death_noticed_seconds: float = Field(default=0.0, ge=0)
    """Time between an instance's death and that of its platform node, with its tasks (seconds)."""

    default_slice_size: int = Field(default=100, ge=1, le=1000)
    """Entries per slice when a search does not say (entries)."""

    lists_newest_first: bool = False
    """Whether lists whose order a search does not say begin with the newest; else with the oldest."""

    default_node_boot_timeout_seconds: float = Field(default=600.0, gt=0)
    """A pool's nodeBootTimeout when it is omitted (seconds)."""

    default_idle_node_shutdown: bool = False
    """Whether idleNodeShutdown is enabled when it is omitted."""

    default_idle_pool_shutdown: bool = False
    """Whether idlePoolShutdown is enabled when it is omitted."""

    default_min_nodes: int = Field(default=0, ge=0)
    """A pool's minNodes when it is omitted (platform nodes)."""

    default_max_nodes: int = Field(default=0, ge=0)
    """A pool's maxNodes when it is omitted, or its target or minNodes where that is more (platform nodes)."""

    max_nodes_limit: int | None = Field(default=None, ge=1)
    """The most that maxNodes may be; None for no limit (platform nodes)."""

    zero_idle_timeout_spares_unused: bool = True
    """Whether an idle timeout of 0 spares platform nodes and pools that no task has used yet."""

    replace_shut_down_nodes: bool = True
    """Whether autoscaling may replace platform nodes that a user shut down; if not, the pool's maximum falls."""

    default_workers_per_node: int = Field(default=1, ge=1)
    """A pool's workers per platform node when createNodeWorkers is omitted (workers)."""

    allocated_workers_are_working: bool = True
    """Whether workingWorkerCount counts a worker from its claim on; if not, from the start of its task."""

    auto_create_namespaces: bool = True
    """Whether creating something in an unknown namespace creates the namespace; otherwise it is refused."""

    default_namespace: str = "default"
    """The namespace of a configured worker pool that names none."""

    reuse_finished_names: bool = True
    """Whether the name of a finished requirement or pool may be given again."""

    accept_template_names: bool = True
    """Whether a compute requirement template may be given as namespace/name where its id is asked for."""

    refuse_omitted_task_groups: bool = True
    """Whether updating a work requirement refuses to omit task groups; if not, they stay as they are."""

    task_types_immutable: bool = True
    """Whether updating a work requirement refuses to change a task group's task types."""

    enforce_names: bool = True
    """Whether names are held to the naming rules: a-z, 0-9, - and _, a letter first, at most 60 characters."""

    max_tasks_per_call: int = Field(default=10_000, ge=1)
    """Tasks accepted by one call (tasks)."""

    max_instances: int = Field(default=10_000, ge=1)
    """Instances that one compute requirement may ask for at once (instances)."""

    max_task_data_bytes: int | None = Field(default=None, ge=0)
    """The most that a task's taskData may be; None for no limit (bytes)."""

    max_environment_bytes: int | None = Field(default=None, ge=0)
    """The most that a task's environment, names and values, may be; None for no limit (bytes)."""

    max_arguments_bytes: int | None = Field(default=None, ge=0)
    """The most that a task's arguments may be together; None for no limit (bytes)."""

    max_user_data_bytes: int | None = Field(default=None, ge=0)
    """The most that userData may be; None for no limit. On AWS it is 16 KiB (bytes)."""

    task_environment: dict[str, str] = Field(default_factory=dict)
    """Variables that every task finds, such as HOME, USER, PATH; those left out are the agent's own."""

    task_umask: int | None = Field(default=None, ge=0, le=0o777)
    """The umask of a task's process; None for the agent's own."""

    allocation_latency_seconds: float = Field(default=0.0, ge=0)
    """Time between a task's allocation and its start on the agent (seconds)."""

    retry_delay_seconds: float = Field(default=0.0, ge=0)
    """Time between a task's failure and its return to READY when it is retried (seconds)."""

    retry_on_same_worker: bool = True
    """Whether a task that is retried may get the worker again on which it failed."""

    retention_seconds: float | None = Field(default=None, ge=0)
    """Time after which ended tasks, platform nodes, instances and pools are seen no more; None for never (seconds)."""

    count_expired_tasks: bool = True
    """Whether a task group's counts keep tasks that are seen no more."""

    cancel_waiting_tasks_at_pool_shutdown: bool = False
    """Whether shutting down a pool cancels waiting tasks that no other pool could run."""

    default_startup_seconds: float = Field(default=2.0, ge=0)
    """Start-up time of instances whose source is not a simulator source (seconds)."""

    simulator_refresh_seconds: float = Field(default=60.0, gt=0)
    """How often unexpectedInstanceTerminationProbability is drawn for each running instance (seconds)."""

    event_name: str = "entity_updated"
    """The name of the events of event streams."""

    event_ids: bool = False
    """Whether the events of event streams are numbered."""

    event_streams_begin_with_state: bool = True
    """Whether an event stream begins with the present state; if not, with the first change."""

    event_keep_alive_seconds: float = Field(default=15.0, gt=0)
    """Time after which a silent event stream sends a comment; clients give up after 90 s (seconds)."""

    event_interval_seconds: float = Field(default=0.1, ge=0)
    """Time in which an entity's changes are collected into one event (seconds)."""

    close_finished_event_streams: bool = True
    """Whether an event stream ends after the final state; the CLI waits for that, SDK listeners spin."""

    preemption_notice_seconds: float = Field(default=120.0, ge=0)
    """Time between a node's preemptionWarningTime and the loss of its instance (seconds)."""

    tasks_after_preemption_warning: bool = False
    """Whether a node that was warned of its preemption still gets new tasks."""

    recorded_calls: int = Field(default=100_000, ge=1)
    """How many calls of the API are kept one by one; what is counted per route is never dropped (calls)."""

    not_found_error_type: str = "NotFoundException"
    """The errorType of a 404. One that the SDK has an exception for would hide the 404 from its callers."""

    invalid_request_status: int = Field(default=400, ge=400, le=499)
    """The HTTP status of an InvalidRequestException."""

    duplicate_status: int = Field(default=400, ge=400, le=499)
    """The HTTP status when a name is taken."""

    duplicate_error_type: str = "InvalidRequestException"
    """The errorType when a name of a requirement or pool is taken."""

    duplicate_task_names_error_type: str = "ConflictException"
    """The errorType when a task's name is taken; clients look for its text."""

    illegal_transition_status: int = Field(default=403, ge=400, le=499)
    """The HTTP status when a requirement's status does not allow what is asked for."""

    instance_id_prefix: str = Field(default="i-sim-", pattern="^[a-z0-9-]+$")
    """What instance ids begin with; a number follows."""

    simulator_provider: CloudProvider | None = None
    """The provider of simulator sources and their instances and platform nodes."""

    random_seed: int | None = None
    """Seed of start-up variance, unexpected terminations and ids; None draws anew each time."""

    account_name: str = "local"
    """The account name that the platform reports."""
