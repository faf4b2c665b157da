"""What is not known about the real platform, one named setting each, with the value assumed here."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field


class AbortEndState(str, Enum):
    """Where a task ends that was aborted while it was in progress."""

    ABORTED = "ABORTED"
    FAILED = "FAILED"


class Settings(BaseModel):
    """How the local platform behaves where the real one's behaviour is not documented."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    autoscale_interval_seconds: float = Field(default=1.0, gt=0)
    """How often pools are scaled while tasks wait for workers (seconds)."""

    abort_end_state: AbortEndState = AbortEndState.ABORTED
    """Status of a task that was aborted while in progress."""

    abort_grace_seconds: float = Field(default=30.0, ge=0)
    """What agents wait between SIGTERM to the task's process and SIGKILL to its process group (seconds)."""

    heartbeat_period_seconds: float = Field(default=10.0, gt=0)
    """How often an agent is to be heard of (seconds)."""

    heartbeat_late_seconds: float = Field(default=30.0, gt=0)
    """Silence after which a platform node is LATE (seconds)."""

    heartbeat_lost_seconds: float = Field(default=60.0, gt=0)
    """Silence after which a platform node is LOST and its tasks with it (seconds)."""

    lost_node_terminates_instance: bool = True
    """Whether the instance of a LOST platform node is terminated."""

    default_slice_size: int = Field(default=100, ge=1, le=1000)
    """Entries per slice when a search does not say (entries)."""

    default_node_boot_timeout_seconds: float = Field(default=600.0, gt=0)
    """A pool's nodeBootTimeout when it is omitted (seconds)."""

    default_idle_node_shutdown: bool = False
    """Whether idleNodeShutdown is enabled when it is omitted."""

    default_idle_pool_shutdown: bool = False
    """Whether idlePoolShutdown is enabled when it is omitted."""

    default_min_nodes: int = Field(default=0, ge=0)
    """A pool's minNodes when it is omitted (platform nodes). maxNodes defaults to the larger of this and the target."""

    default_workers_per_node: int = Field(default=1, ge=1)
    """A pool's workers per platform node when createNodeWorkers is omitted (workers)."""

    auto_create_namespaces: bool = True
    """Whether creating something in an unknown namespace creates the namespace; otherwise it is refused."""

    default_namespace: str = "default"
    """The namespace of a configured worker pool that names none."""

    reuse_finished_names: bool = True
    """Whether the name of a finished requirement or pool may be given again."""

    enforce_names: bool = True
    """Whether names are held to the naming rules: a-z, 0-9, - and _, a letter first, at most 60 characters."""

    max_tasks_per_call: int = Field(default=10_000, ge=1)
    """Tasks accepted by one call (tasks)."""

    max_instances: int = Field(default=10_000, ge=1)
    """Instances that one compute requirement may ask for at once (instances)."""

    allocation_latency_seconds: float = Field(default=0.0, ge=0)
    """Time between a task's allocation and its start on the agent (seconds)."""

    retry_delay_seconds: float = Field(default=0.0, ge=0)
    """Time between a task's failure and its return to READY when it is retried (seconds)."""

    cancel_waiting_tasks_at_pool_shutdown: bool = False
    """Whether shutting down a pool cancels waiting tasks that no other pool could run."""

    default_startup_seconds: float = Field(default=2.0, ge=0)
    """Start-up time of instances whose source is not a simulator source (seconds)."""

    simulator_refresh_seconds: float = Field(default=60.0, gt=0)
    """How often unexpectedInstanceTerminationProbability is drawn for each running instance (seconds)."""

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

    random_seed: int | None = None
    """Seed of start-up variance, unexpected terminations and ids; None draws anew each time."""

    account_name: str = "local"
    """The account name that the platform reports."""
