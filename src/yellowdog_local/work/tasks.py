"""Tasks, one at a time: add, allocate, start, finish, abort, time out, lose, retry.

Does not end task groups: `work.requirements` detects that a group has finished.
"""

from __future__ import annotations

import logging

from yellowdog_client.model import Task, TaskError, TaskErrorType, TaskStatus, TaskTemplate, TaskWorkingTime

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import DuplicateTaskNames, InvalidOperation, InvalidRequest, NotCovered, check_size
from yellowdog_local.messages import AgentEvent, Command, Commands
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import TASK, TaskEvent
from yellowdog_local.state.records import GroupRecord, TaskRecord, WorkerRecord
from yellowdog_local.state.retention import Retention
from yellowdog_local.state.settings import AbortEndState, Settings
from yellowdog_local.state.slots import Slots
from yellowdog_local.state.store import Store
from yellowdog_local.work.retries import may_retry, resubmission

_log = logging.getLogger(__name__)


class Tasks:
    """Tasks, one at a time. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, namespaces: Namespaces, agents: Commands, slots: Slots) -> None:
        self._kernel = kernel
        self._store = store
        self._namespaces = namespaces
        self._agents = agents
        self._slots = slots
        self._retention = Retention(kernel, store)
        self.touched_groups: dict[str, GroupRecord] = {}

    def add(self, group: GroupRecord, entities: list[Task]) -> list[TaskRecord]:
        """Add tasks to a task group, all or none."""
        self._check_addition(group, entities)
        return [self._add(group, entity) for entity in entities]

    def cancel(self, task: TaskRecord, *, abort: bool) -> None:
        """Cancel a waiting task; abort one that is in progress if requested, else leave it."""
        if task.status.waiting:
            self._move(task, "cancel")
        elif task.status.in_progress and abort:
            self._abort(task)

    def cancel_by_user(self, task: TaskRecord, *, abort: bool) -> None:
        """Cancel a task at its user's request."""
        if task.status.in_progress and not abort and self._kernel.settings.refuse_cancelling_executing_tasks:
            raise InvalidOperation(f"Task '{task.id}' cannot be cancelled without abort: it is {task.status}")
        self.cancel(task, abort=abort)

    def return_to_ready(self, task: TaskRecord) -> None:
        """Take an allocated task back from its YellowDog worker, unless the agent has received it."""
        if task.status is not TaskStatus.ALLOCATED or task.handed_over or task.entity.abortRequestedTime is not None:
            return
        self._leave_worker(task)
        task.entity.workerId = task.entity.nodeId = None
        self._move(task, "return")

    def discard(self, task: TaskRecord) -> None:
        """Discard a waiting task, since its task group is failing."""
        if task.status.waiting:
            self._move(task, "discard")

    def make_ready(self, task: TaskRecord) -> None:
        """Release a task for allocation after its dependency or retry delay."""
        if task.status is TaskStatus.PENDING:
            self._move(task, "release")

    def allocate(self, task: TaskRecord, worker: WorkerRecord) -> None:
        """Allocate a task to a free YellowDog worker."""
        self._slots.claim(worker, task.group, task)
        task.worker, task.handed_over = worker, False
        task.entity.workerId, task.entity.nodeId = worker.id, worker.node.id
        self._move(task, "allocate")
        attempt = task.attempt
        latency = self._kernel.settings.allocation_latency_seconds
        if latency > 0:
            self._kernel.after(latency, lambda: self._hand_over(task, worker, attempt))
        else:
            self._hand_over(task, worker, attempt)

    def reported(self, node_id: str, event: AgentEvent) -> None:
        """Handle a report of a platform node's agent; an outdated or repeated one is ignored.

        A finished task has no worker, and a task that leaves its worker starts another attempt.
        """
        task = self._store.tasks.get(event.taskId)
        if task is None or task.worker is None or task.worker.node.id != node_id or task.attempt != event.attempt:
            return
        if event.type == "STARTED":
            self._started(task)
        else:
            self._finished(task, event)

    def lost(self, task: TaskRecord, reason: str) -> None:
        """Fail or end a task whose platform node has ended."""
        if task.status.in_progress:
            # The loss has achieved what a pending abort was for.
            if task.entity.abortRequestedTime is not None and task.abort_error is None:
                self._end_aborted(task)
            else:
                self._fail(task, TaskErrorType.ALLOCATION_LOST, f"The allocation was lost: {reason}")

    def _move(self, task: TaskRecord, event: TaskEvent) -> None:
        """Move a task to its next status, and update everything that counts it."""
        before = TASK.move(task, event)
        status = task.status
        if status.finished or status is TaskStatus.EXECUTING:
            _log.info("task %s (%s) is %s", task.id, task.entity.name or "unnamed", status)
        if status.finished:
            task.entity.finishedTime = self._kernel.now()
            self._retention.of_task(task)
        group = task.group
        group.index(task, before)
        self._touch(group)

    def _touch(self, group: GroupRecord) -> None:
        group.last_updated.mark(self._kernel.now())
        self._store.note_ready(group)
        self.touched_groups[group.id] = group
        self._kernel.want_pass()

    def _check_addition(self, group: GroupRecord, entities: list[Task]) -> None:
        limit = self._kernel.settings.max_tasks_per_call
        if len(entities) > limit:
            raise InvalidRequest(f"No more than {limit} tasks can be added at once")
        names = [entity.name for entity in entities if entity.name is not None]
        if len(set(names)) < len(names) or any(name in group.names for name in names):
            raise DuplicateTaskNames
        for entity in entities:
            self._check(group, entity)
            _check_size(entity, self._kernel.settings)

    def _check(self, group: GroupRecord, entity: Task) -> None:
        if entity.name is not None:
            self._namespaces.check_name("name", entity.name)
        if task_type(group, entity) not in group.spec.taskTypes:
            raise InvalidRequest(
                f"taskType '{task_type(group, entity)}' is not one of the task group's task types: "
                + ", ".join(group.spec.taskTypes)
            )
        if entity.data is not None and (entity.data.inputs or entity.data.outputs):
            raise NotCovered("Moving a task's data (inputs, outputs)")

    def _add(self, group: GroupRecord, entity: Task) -> TaskRecord:
        group.tasks_made += 1
        entity.id = ids.child("task", group.id, group.tasks_made)
        entity.taskGroupId, entity.retryCount, entity.errors = group.id, 0, []
        status = TaskStatus.PENDING if group.waiting_on_dependency else TaskStatus.READY
        entity.status = status
        task = TaskRecord(seq=self._kernel.next_sequence(), id=entity.id, entity=entity, group=group, status=status)
        self._store.tasks[task.id] = group.tasks[task.id] = task
        if entity.name is not None:
            group.names[entity.name] = task
        group.index(task, None)
        self._touch(group)
        return task

    def _hand_over(self, task: TaskRecord, worker: WorkerRecord, attempt: int) -> None:
        if task.worker is not worker or task.attempt != attempt or task.status is not TaskStatus.ALLOCATED:
            return
        if task.entity.abortRequestedTime is not None:
            self._end_aborted(task)  # the agent has not received the task and cannot end it
        else:
            task.handed_over = True
            self._agents.send(worker.node.id, _run_command(task, worker))

    def _abort(self, task: TaskRecord) -> None:
        if task.entity.abortRequestedTime is None:
            task.entity.abortRequestedTime = self._kernel.now()
            task.abort_error = None  # the user's request takes precedence over a pending timeout
            self._touch(task.group)
            self._send_abort(task, kill=False)

    def _send_abort(self, task: TaskRecord, *, kill: bool) -> None:
        if task.worker is not None:
            how = {"kill": True} if kill else {}
            self._agents.send(task.worker.node.id, {"type": "ABORT_TASK", "taskId": task.id, **how})

    def _started(self, task: TaskRecord) -> None:
        if task.status is not TaskStatus.ALLOCATED:
            return
        task.entity.startedTime = self._kernel.now()
        self._move(task, "start")
        timeout = task.entity.timeout or task.group.spec.taskTimeout
        if timeout:
            task.deadline = self._kernel.after(timeout.total_seconds(), lambda: self._timed_out(task))

    def _timed_out(self, task: TaskRecord) -> None:
        if task.status.in_progress and task.entity.abortRequestedTime is None:
            task.abort_error = TaskErrorType.TIMED_OUT
            self._send_abort(task, kill=self._kernel.settings.timeout_kills_at_once)

    def _finished(self, task: TaskRecord, event: AgentEvent) -> None:
        if task.abort_error is not None:
            self._fail(task, task.abort_error, "The task exceeded its timeout", event.exitCode)
        elif task.entity.abortRequestedTime is not None:
            self._end_aborted(task, event.exitCode)
        elif event.errorType is not None:
            self._fail(task, event.errorType, event.message or event.errorType, event.exitCode)
        elif event.exitCode != 0:
            message = event.message or f"The process ended with exit code {event.exitCode}"
            self._fail(task, TaskErrorType.PROCESS_NON_ZERO_EXIT, message, event.exitCode)
        else:
            self._leave_worker(task)
            self._move(task, "complete")

    def _end_aborted(self, task: TaskRecord, exit_code: int | None = None) -> None:
        fails = self._kernel.settings.abort_end_state is AbortEndState.FAILED
        if fails:
            self._note_error(task, TaskErrorType.PROCESS_NON_ZERO_EXIT, "The task was aborted", exit_code)
        self._leave_worker(task)
        self._move(task, "fail" if fails else "abort")

    def _fail(self, task: TaskRecord, error_type: str, message: str, exit_code: int | None = None) -> None:
        error = self._note_error(task, error_type, message, exit_code)
        self._leave_worker(task)
        retries = task.entity.retryCount or 0
        retried = not task.group.status.terminating and may_retry(task.group.spec, retries, error)
        error.causedFailure = not retried
        if not retried:
            resubmitted = self._resubmit(task, error)
            self._move(task, "resubmit" if resubmitted else "fail")
            return
        task.entity.retryCount = retries + 1
        task.entity.workerId = task.entity.nodeId = None
        self._move(task, "retry")
        delay = self._kernel.settings.retry_delay_seconds
        if delay > 0:
            self._kernel.after(delay, lambda: self.make_ready(task))
        else:
            self.make_ready(task)

    def _resubmit(self, task: TaskRecord, error: TaskError) -> bool:
        """Add a copy of a failed task to the task group that its failure policy names; returns whether there is one."""
        name = resubmission(task.group.spec, error)
        work = task.group.work
        destination = next((group for group in work.groups if group.entity.name == name), None)
        if destination is None or not _takes_resubmissions(destination) or task.group.status.terminating:
            return False
        sent = task.entity
        copy = Task(
            # Names stay unique within a task group, also with other resubmitted tasks.
            name=sent.name if sent.name not in destination.names else None,
            tag=sent.tag,
            taskType=sent.taskType,
            arguments=sent.arguments,
            taskData=sent.taskData,
            environment=sent.environment,
            timeout=sent.timeout,
        )
        added = self._add(destination, copy)
        added.entity.resubmittedFromTaskId, sent.resubmittedToTaskId = task.id, added.id
        return True

    def _note_error(self, task: TaskRecord, error_type: str, message: str, exit_code: int | None) -> TaskError:
        error = TaskError(
            timestamp=self._kernel.now(),
            error=message,
            nodeId=task.entity.nodeId,
            workerId=task.entity.workerId,
            errorType=error_type,
            statusAtFailure=task.status,
            processExitCode=exit_code,
            causedFailure=True,
        )
        task.entity.errors = [*(task.entity.errors or ()), error]
        return error

    def _leave_worker(self, task: TaskRecord) -> None:
        if task.deadline is not None:
            task.deadline.cancel()
        if task.status is TaskStatus.EXECUTING and task.entity.startedTime is not None:
            executing = self._kernel.now() - task.entity.startedTime
            task.entity.workingTime = TaskWorkingTime(executing=executing)
        worker, task.worker = task.worker, None
        # Later reports about this attempt are outdated.
        task.attempt += 1
        task.abort_error = task.deadline = None
        if worker is not None:
            self._slots.release(worker)


def _check_size(entity: Task, settings: Settings) -> None:
    variables = (part for pair in (entity.environment or {}).items() for part in pair)
    check_size("taskData", [entity.taskData or ""], settings.max_task_data_bytes)
    check_size("environment", variables, settings.max_environment_bytes)
    check_size("arguments", entity.arguments or (), settings.max_arguments_bytes)


def _takes_resubmissions(group: GroupRecord) -> bool:
    return not (group.status.terminated or group.status.terminating)


def task_type(group: GroupRecord, entity: Task) -> str | None:
    """A task's type, its own or its task group's."""
    return entity.taskType or _template(group).taskType


def _template(group: GroupRecord) -> TaskTemplate:
    return group.entity.taskTemplate or TaskTemplate()


def _run_command(task: TaskRecord, worker: WorkerRecord) -> Command:
    entity, template = task.entity, _template(task.group)
    return {
        "type": "RUN_TASK",
        "task": {
            "taskId": task.id,
            "attempt": task.attempt,
            "slot": worker.slot,
            "taskGroupId": task.group.id,
            "taskType": task_type(task.group, entity),
            "arguments": entity.arguments or [],
            "environment": {**(template.environment or {}), **(entity.environment or {})},
            "taskData": entity.taskData if entity.taskData is not None else template.taskData,
        },
    }
