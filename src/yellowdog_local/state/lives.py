"""The lifecycle of each entity, as data: status and event give the next status. Imports no service and no record.

A status changes by `Lifecycle.move` and by nothing else; `move` refuses a step that no table declares.
`python -m yellowdog_local.state.lives > docs/development/lives.md` draws the tables; a test compares page and tables.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

from yellowdog_client.model import (
    ComputeRequirementStatus,
    InstanceStatus,
    NodeStatus,
    TaskGroupStatus,
    TaskStatus,
    WorkerPoolStatus,
    WorkerStatus,
    WorkRequirementStatus,
)

from yellowdog_local.state.lifecycle import Lifecycle
from yellowdog_local.state.lives_page import page

_Task, _Group, _Work = TaskStatus, TaskGroupStatus, WorkRequirementStatus
_Pool, _Node, _Worker = WorkerPoolStatus, NodeStatus, WorkerStatus
_Requirement, _Instance = ComputeRequirementStatus, InstanceStatus

TaskEvent = Literal[
    "release", "allocate", "return", "start", "complete", "fail", "retry", "resubmit", "abort", "cancel", "discard"
]
TASK = Lifecycle[TaskStatus, TaskEvent](
    name="Task",
    first={
        _Task.READY: "added to a task group",
        _Task.PENDING: "added to a task group that waits for another one",
    },
    events={
        "release": "The task group that this one depends on has completed, or the delay before a retry is over.",
        "allocate": "The scheduler gives the task to a free YellowDog worker.",
        "return": "The work requirement is held before the agent has received the task.",
        "start": "The agent reports that the process has started.",
        "complete": "The agent reports exit code 0.",
        "fail": "The attempt has failed, or an abort ends as a failure (`abort_end_state`); there is no retry.",
        "retry": "The attempt has failed, and the retry policy allows another one.",
        "resubmit": "The attempt has failed, and the failure policy adds a copy to another task group.",
        "abort": "An abort has taken effect, or the platform node of an aborted task is gone.",
        "cancel": "The task or its work requirement is cancelled before a worker has the task.",
        "discard": "The task group fails before a worker has the task.",
    },
    steps={
        (_Task.PENDING, "release"): _Task.READY,
        (_Task.PENDING, "cancel"): _Task.CANCELLED,
        (_Task.PENDING, "discard"): _Task.DISCARDED,
        (_Task.READY, "allocate"): _Task.ALLOCATED,
        (_Task.READY, "cancel"): _Task.CANCELLED,
        (_Task.READY, "discard"): _Task.DISCARDED,
        (_Task.ALLOCATED, "return"): _Task.READY,
        (_Task.ALLOCATED, "start"): _Task.EXECUTING,
        (_Task.ALLOCATED, "complete"): _Task.COMPLETED,
        (_Task.ALLOCATED, "fail"): _Task.FAILED,
        (_Task.ALLOCATED, "retry"): _Task.PENDING,
        (_Task.ALLOCATED, "resubmit"): _Task.RESUBMITTED,
        (_Task.ALLOCATED, "abort"): _Task.ABORTED,
        (_Task.EXECUTING, "complete"): _Task.COMPLETED,
        (_Task.EXECUTING, "fail"): _Task.FAILED,
        (_Task.EXECUTING, "retry"): _Task.PENDING,
        (_Task.EXECUTING, "resubmit"): _Task.RESUBMITTED,
        (_Task.EXECUTING, "abort"): _Task.ABORTED,
    },
    unused={
        _Task.DOWNLOADING: "Tasks with data inputs are refused.",
        _Task.UPLOADING: "Tasks with data outputs are refused.",
    },
)

GroupEvent = Literal["claim", "hold", "resume", "finish", "fail", "cancel", "complete", "complete with failures", "end"]
TASK_GROUP = Lifecycle[TaskGroupStatus, GroupEvent](
    name="Task group",
    first={
        _Group.PENDING: "added to a work requirement",
        _Group.HELD: "added to a work requirement that is held",
    },
    events={
        "claim": "The task group has its first YellowDog worker.",
        "hold": "The work requirement is held.",
        "resume": "The work requirement is started again.",
        "finish": "The work requirement is to finish: all tasks that were added run, no more are accepted.",
        "fail": "A task has failed, and the task group has `finishIfAnyTaskFailed`.",
        "cancel": "The work requirement is cancelled.",
        "complete": "All tasks have finished, none of them failed, and the task group may end.",
        "complete with failures": "All tasks have finished, some of them failed, and the task group may end.",
        "end": "All tasks have finished after a failure or a cancellation.",
    },
    steps={
        (_Group.PENDING, "claim"): _Group.RUNNING,
        (_Group.PENDING, "hold"): _Group.HELD,
        (_Group.PENDING, "finish"): _Group.FINISHING,
        (_Group.PENDING, "fail"): _Group.FAILING,
        (_Group.PENDING, "cancel"): _Group.CANCELLING,
        (_Group.PENDING, "complete"): _Group.COMPLETED,
        (_Group.PENDING, "complete with failures"): _Group.FAILED,
        (_Group.RUNNING, "hold"): _Group.HELD,
        (_Group.RUNNING, "finish"): _Group.FINISHING,
        (_Group.RUNNING, "fail"): _Group.FAILING,
        (_Group.RUNNING, "cancel"): _Group.CANCELLING,
        (_Group.RUNNING, "complete"): _Group.COMPLETED,
        (_Group.RUNNING, "complete with failures"): _Group.FAILED,
        (_Group.HELD, "resume"): _Group.PENDING,
        (_Group.HELD, "finish"): _Group.FINISHING,
        (_Group.HELD, "fail"): _Group.FAILING,
        (_Group.HELD, "cancel"): _Group.CANCELLING,
        (_Group.FINISHING, "fail"): _Group.FAILING,
        (_Group.FINISHING, "cancel"): _Group.CANCELLING,
        (_Group.FINISHING, "complete"): _Group.COMPLETED,
        (_Group.FINISHING, "complete with failures"): _Group.FAILED,
        (_Group.FAILING, "cancel"): _Group.CANCELLING,
        (_Group.FAILING, "end"): _Group.FAILED,
        (_Group.CANCELLING, "end"): _Group.CANCELLED,
    },
)

WorkEvent = Literal["hold", "resume", "finish", "cancel", "complete", "fail", "end"]
WORK_REQUIREMENT = Lifecycle[WorkRequirementStatus, WorkEvent](
    name="Work requirement",
    first={_Work.RUNNING: "added"},
    events={
        "hold": "A user holds the work requirement.",
        "resume": "A user starts the work requirement again.",
        "finish": "A user requests that it finishes after the tasks that were added.",
        "cancel": "A user cancels the work requirement.",
        "complete": "All task groups have ended, none of them failed.",
        "fail": "All task groups have ended, at least one of them failed.",
        "end": "All task groups have ended after a cancellation.",
    },
    steps={
        (_Work.RUNNING, "hold"): _Work.HELD,
        (_Work.RUNNING, "finish"): _Work.FINISHING,
        (_Work.RUNNING, "cancel"): _Work.CANCELLING,
        (_Work.RUNNING, "complete"): _Work.COMPLETED,
        (_Work.RUNNING, "fail"): _Work.FAILED,
        (_Work.HELD, "resume"): _Work.RUNNING,
        (_Work.HELD, "finish"): _Work.FINISHING,
        (_Work.HELD, "cancel"): _Work.CANCELLING,
        (_Work.HELD, "fail"): _Work.FAILED,
        (_Work.FINISHING, "cancel"): _Work.CANCELLING,
        (_Work.FINISHING, "complete"): _Work.COMPLETED,
        (_Work.FINISHING, "fail"): _Work.FAILED,
        (_Work.CANCELLING, "end"): _Work.CANCELLED,
    },
)

PoolEvent = Literal["claim", "idle", "empty", "shut down", "end"]
WORKER_POOL = Lifecycle[WorkerPoolStatus, PoolEvent](
    name="Worker pool",
    first={_Pool.PENDING: "provisioned or configured"},
    events={
        "claim": "A task group claims a YellowDog worker of the pool.",
        "idle": "There are platform nodes, and no YellowDog worker is claimed.",
        "empty": "The last platform node has ended.",
        "shut down": "A user, an idle timeout or the end of its compute requirement shuts the pool down.",
        "end": "All platform nodes and the compute requirement have ended.",
    },
    steps={
        (_Pool.PENDING, "claim"): _Pool.RUNNING,
        (_Pool.PENDING, "idle"): _Pool.IDLE,
        (_Pool.PENDING, "empty"): _Pool.EMPTY,
        (_Pool.PENDING, "shut down"): _Pool.SHUTDOWN,
        (_Pool.IDLE, "claim"): _Pool.RUNNING,
        (_Pool.IDLE, "empty"): _Pool.EMPTY,
        (_Pool.IDLE, "shut down"): _Pool.SHUTDOWN,
        (_Pool.RUNNING, "idle"): _Pool.IDLE,
        (_Pool.RUNNING, "empty"): _Pool.EMPTY,
        (_Pool.RUNNING, "shut down"): _Pool.SHUTDOWN,
        (_Pool.EMPTY, "claim"): _Pool.RUNNING,
        (_Pool.EMPTY, "idle"): _Pool.IDLE,
        (_Pool.EMPTY, "shut down"): _Pool.SHUTDOWN,
        (_Pool.SHUTDOWN, "end"): _Pool.TERMINATED,
    },
    unused={_Pool.CONFIGURING: "A pool with a node configuration is refused."},
)

NodeEvent = Literal["late", "recover", "lose", "deregister", "terminate"]
PLATFORM_NODE = Lifecycle[NodeStatus, NodeEvent](
    name="Platform node",
    first={_Node.RUNNING: "its agent has registered"},
    events={
        "late": "The agent has been silent for `heartbeat_late_seconds`.",
        "recover": "A late agent calls again.",
        "lose": "The agent has been silent for `heartbeat_lost_seconds`.",
        "deregister": "The node was shut down and its tasks have ended.",
        "terminate": "The instance is terminated.",
    },
    steps={
        (_Node.RUNNING, "late"): _Node.LATE,
        (_Node.RUNNING, "lose"): _Node.LOST,
        (_Node.RUNNING, "deregister"): _Node.DEREGISTERED,
        (_Node.RUNNING, "terminate"): _Node.TERMINATED,
        (_Node.LATE, "recover"): _Node.RUNNING,
        (_Node.LATE, "lose"): _Node.LOST,
        (_Node.LATE, "deregister"): _Node.DEREGISTERED,
        (_Node.LATE, "terminate"): _Node.TERMINATED,
        (_Node.DEREGISTERED, "terminate"): _Node.TERMINATED,
    },
)

WorkerEvent = Literal["claim", "release", "late", "recover", "recover claimed", "lose", "shut down"]
WORKER = Lifecycle[WorkerStatus, WorkerEvent](
    name="YellowDog worker",
    first={_Worker.STOPPED: "its platform node has registered, or a node action adds it"},
    events={
        "claim": "A task group claims the worker.",
        "release": "The task group releases the worker.",
        "late": "The platform node is late.",
        "recover": "The platform node recovers, and no task group has the worker.",
        "recover claimed": "The platform node recovers, and a task group has the worker.",
        "lose": "The platform node is lost or terminated.",
        "shut down": "The platform node deregisters, or a node action removes the worker.",
    },
    steps={
        (_Worker.STOPPED, "claim"): _Worker.RUNNING,
        (_Worker.STOPPED, "late"): _Worker.LATE,
        (_Worker.STOPPED, "lose"): _Worker.LOST,
        (_Worker.STOPPED, "shut down"): _Worker.SHUTDOWN,
        (_Worker.RUNNING, "release"): _Worker.STOPPED,
        (_Worker.RUNNING, "late"): _Worker.LATE,
        (_Worker.RUNNING, "lose"): _Worker.LOST,
        (_Worker.LATE, "recover"): _Worker.STOPPED,
        (_Worker.LATE, "recover claimed"): _Worker.RUNNING,
        (_Worker.LATE, "lose"): _Worker.LOST,
        (_Worker.LATE, "shut down"): _Worker.SHUTDOWN,
    },
    unused={
        _Worker.DOING_TASK: "A worker with a task is RUNNING.",
        _Worker.SLEEPING: "A worker without a task is STOPPED.",
        _Worker.STARTING: "A claimed worker starts its task at once.",
        _Worker.BATCH_ALLOCATION: "Tasks are allocated one by one.",
    },
)

RequirementEvent = Literal["provision", "provisioned", "stop", "stopped", "start", "terminate", "end"]
COMPUTE_REQUIREMENT = Lifecycle[ComputeRequirementStatus, RequirementEvent](
    name="Compute requirement",
    first={
        _Requirement.NEW: "added; no call returns this status",
        _Requirement.RUNNING: "that of a configured pool, which no call returns",
    },
    events={
        "provision": "Instances are requested from the sources, or an instance boots again.",
        "provisioned": "No instance is booting.",
        "stop": "A user stops all instances.",
        "stopped": "All instances have stopped.",
        "start": "A user starts all instances.",
        "terminate": "A user, a timeout or the worker pool terminates the requirement.",
        "end": "All instances have ended.",
    },
    steps={
        (_Requirement.NEW, "provision"): _Requirement.PROVISIONING,
        (_Requirement.NEW, "provisioned"): _Requirement.RUNNING,
        (_Requirement.PROVISIONING, "provisioned"): _Requirement.RUNNING,
        (_Requirement.PROVISIONING, "terminate"): _Requirement.TERMINATING,
        (_Requirement.RUNNING, "provision"): _Requirement.PROVISIONING,
        (_Requirement.RUNNING, "stop"): _Requirement.STOPPING,
        (_Requirement.RUNNING, "start"): _Requirement.STARTING,
        (_Requirement.RUNNING, "terminate"): _Requirement.TERMINATING,
        (_Requirement.STOPPING, "stopped"): _Requirement.STOPPED,
        (_Requirement.STOPPING, "provision"): _Requirement.PROVISIONING,
        (_Requirement.STOPPING, "terminate"): _Requirement.TERMINATING,
        (_Requirement.STOPPED, "stop"): _Requirement.STOPPING,
        (_Requirement.STOPPED, "start"): _Requirement.STARTING,
        (_Requirement.STOPPED, "provision"): _Requirement.PROVISIONING,
        (_Requirement.STOPPED, "terminate"): _Requirement.TERMINATING,
        (_Requirement.STARTING, "provision"): _Requirement.PROVISIONING,
        (_Requirement.STARTING, "provisioned"): _Requirement.RUNNING,
        (_Requirement.STARTING, "terminate"): _Requirement.TERMINATING,
        (_Requirement.TERMINATING, "end"): _Requirement.TERMINATED,
    },
)

InstanceEvent = Literal["boot", "stop", "stopped", "start", "restart", "terminate", "end"]
INSTANCE = Lifecycle[InstanceStatus, InstanceEvent](
    name="Instance",
    first={
        _Instance.PENDING: "requested from a source",
        _Instance.RUNNING: "a machine that joins a configured pool",
    },
    events={
        "boot": "The host has booted.",
        "stop": "A user stops the instance or its requirement.",
        "stopped": "The shutdown time is over.",
        "start": "A user starts the instance or its requirement.",
        "restart": "A user restarts the instance.",
        "terminate": "A user, a timeout, the requirement or the node's shutdown terminates it, or the host has ended.",
        "end": "The host is gone and the shutdown time is over.",
    },
    steps={
        (_Instance.PENDING, "boot"): _Instance.RUNNING,
        (_Instance.PENDING, "terminate"): _Instance.TERMINATING,
        (_Instance.RUNNING, "stop"): _Instance.STOPPING,
        (_Instance.RUNNING, "restart"): _Instance.PENDING,
        (_Instance.RUNNING, "terminate"): _Instance.TERMINATING,
        (_Instance.STOPPING, "stopped"): _Instance.STOPPED,
        (_Instance.STOPPING, "terminate"): _Instance.TERMINATING,
        (_Instance.STOPPED, "start"): _Instance.PENDING,
        (_Instance.STOPPED, "terminate"): _Instance.TERMINATING,
        (_Instance.TERMINATING, "end"): _Instance.TERMINATED,
    },
    unused={
        _Instance.UNAVAILABLE: "A host either exists or is gone.",
        _Instance.UNKNOWN: "The platform creates its hosts itself.",
    },
)

ALL: tuple[Lifecycle[Any, Any], ...] = (
    WORK_REQUIREMENT,
    TASK_GROUP,
    TASK,
    WORKER_POOL,
    PLATFORM_NODE,
    WORKER,
    COMPUTE_REQUIREMENT,
    INSTANCE,
)

if __name__ == "__main__":
    sys.stdout.write(page(ALL))
