"""Random operations on a platform, in any order, with a check of all invariants after each step.

Each run is the same, unless `RAYDOG_SEARCH_EXAMPLES` says how many new ones to try: for example
`RAYDOG_SEARCH_EXAMPLES=2000 pytest tests/yellowdog_local/test_invariants.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from yellowdog_client.model import (
    AutoShutdown,
    ComputeRequirementTemplateUsage,
    FailurePolicy,
    NodeWorkerTarget,
    ProvisionedWorkerPoolProperties,
    ResubmissionDestination,
    RetryPolicy,
    RunSpecification,
    SimulatorComputeSource,
    Task,
    TaskGroup,
    TaskStatus,
    WorkerStatus,
    WorkRequirement,
    WorkRequirementStatus,
)

from tests.simulation.lab import Lab, LabMaker, after
from tests.simulation.platform_invariants import Witness
from tests.simulation.transitions import Transitions
from yellowdog_local.errors import ApiError
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.messages import AgentEvent
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.records import NodeRecord
from yellowdog_local.state.settings import AbortEndState, Settings

SEARCH_EXAMPLES = int(os.environ.get("RAYDOG_SEARCH_EXAMPLES", "0"))
A_DAY = 86_400.0

_T = TypeVar("_T")
FLAGS = (
    "lost_node_terminates_instance",
    "cancel_waiting_tasks_at_pool_shutdown",
    "tasks_after_preemption_warning",
    "autoscale_counts_booting_nodes",
    "autoscale_shares_demand",
    "group_failure_aborts_executing_tasks",
    "hold_returns_allocated_tasks",
    "replace_shut_down_nodes",
    "timeout_kills_at_once",
    "zero_idle_timeout_spares_unused",
)
WHICH = st.integers(0, 11)  # index of a thing, modulo their number
IDLE = st.sampled_from([None, 0.0, 1.0, 5.0])
LIMIT = st.sampled_from([None, None, 1, 2])
TASK = st.fixed_dictionaries(
    {
        "seconds": st.sampled_from([None, 0, 1, 4, 30]),
        "exit_code": st.sampled_from([0, 0, 3]),
        "abort_seconds": st.sampled_from([0, 0, 5]),
        "timeout": st.sampled_from([None, None, 2, 6]),
    }
)
GROUP = st.fixed_dictionaries(
    {
        "keep": st.booleans(),
        "fail_fast": st.booleans(),
        "retries": st.sampled_from([None, 0, 1, 2]),
        "task_timeout": st.sampled_from([None, None, 3]),
        "workers": st.tuples(LIMIT, LIMIT, LIMIT),
        "ttl": st.sampled_from([None, None, 3]),
        "follows": st.sampled_from([False, False, True]),
        "resubmits": st.sampled_from([False, False, True]),
    }
)


def _templates(lab: Lab) -> tuple[str, ...]:
    """Templates for each behaviour of instances: slow, slow to end, terminating unexpectedly, scarce, refused."""
    slow = SimulatorComputeSource(
        name="slow",
        instanceStartupTimeSeconds=3,
        instanceStartupTimeVariance=0.5,
        instanceShutdownTimeSeconds=4,
        limit=8,
    )
    dying = SimulatorComputeSource(name="dying", unexpectedInstanceTerminationProbability=0.5, limit=8)
    scarce, first, second = (SimulatorComputeSource(name=name, limit=2) for name in ("scarce", "first", "second"))
    refused = SimulatorComputeSource(name="refused", failOnProvision=True)
    return (
        "demo/local",
        lab.template(slow, name="slow"),
        lab.template(dying, name="dying"),
        lab.template(scarce, name="scarce"),
        lab.template(first, second, strategy="Waterfall", name="both"),
        lab.template(refused, name="refused"),
    )


def _active_nodes(lab: Lab) -> list[NodeRecord]:
    return [node for node in lab.platform.store.nodes.values() if node.status.active]


# What may be done to machines: to one of which things, and by which call.
_Way = tuple[Callable[[Lab], Iterable[Any]], Callable[..., object]]
_ENDINGS: dict[str, _Way] = {
    "shut down a node": (
        lambda lab: lab.platform.store.nodes.values(),
        lambda lab, node: lab.platform.nodes.shut_down(node),
    ),
    "shut down a pool": (
        lambda lab: lab.platform.store.pools.values(),
        lambda lab, pool: lab.platform.pools.shut_down(pool),
    ),
    "terminate a requirement": (
        lambda lab: lab.platform.store.requirements.values(),
        lambda lab, requirement: lab.platform.compute.terminate(requirement),
    ),
    "terminate an instance": (
        lambda lab: lab.platform.store.instances.values(),
        lambda lab, instance: lab.platform.instances.terminate(instance, "its user terminated it"),
    ),
    "deprovision an instance": (
        lambda lab: lab.platform.store.instances.values(),
        lambda lab, instance: lab.platform.compute.deprovision(instance.requirement, [instance]),
    ),
    "lose a host": (lambda lab: lab.hosts.instance_ids, lambda lab, host: lab.hosts.lose(host)),
    "unplug a host": (lambda lab: lab.hosts.instance_ids, lambda lab, host: lab.hosts.unplug(host)),
}
_CHANGES: dict[str, _Way] = {
    "change the workers of a node": (
        _active_nodes,
        lambda lab, node, number: lab.platform.nodes.set_workers(node, number),
    ),
    "warn a node": (_active_nodes, lambda lab, node, _number: lab.platform.nodes.warn(node)),
    "resize a pool": (
        lambda lab: lab.platform.store.pools.values(),
        lambda lab, pool, number: lab.platform.pools.resize(pool, number),
    ),
    "stop a requirement": (
        lambda lab: lab.platform.store.requirements.values(),
        lambda lab, requirement, _number: lab.platform.compute.stop(requirement),
    ),
    "start a requirement": (
        lambda lab: lab.platform.store.requirements.values(),
        lambda lab, requirement, _number: lab.platform.compute.start(requirement),
    ),
}


class Errors(logging.Handler):
    """Collects the platform's error log: each entry is a failure outside any call of the test."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(logging.Formatter().format(record))


class AnythingGoes(RuleBasedStateMachine):
    """All operations of users, hosts and time; a refused one must change no count."""

    def __init__(self) -> None:
        super().__init__()
        self.lab: Lab
        self.sound = False
        self.names = 0
        self.errors = Errors()
        logging.getLogger("yellowdog_local").addHandler(self.errors)
        self.transitions = Transitions()
        self.transitions.start()

    @initialize(
        latency=st.sampled_from([0.0, 1.5]),
        retry_delay=st.sampled_from([0.0, 2.5]),
        abort_end=st.sampled_from(AbortEndState),
        flags=st.fixed_dictionaries({name: st.booleans() for name in FLAGS}),
        noticed=st.sampled_from([0.0, 0.0, 2.0]),
        retention=st.sampled_from([None, None, 20.0]),
        tasks=st.lists(TASK, min_size=1, max_size=5),
    )
    def a_platform(
        self,
        latency: float,
        retry_delay: float,
        abort_end: AbortEndState,
        flags: dict[str, bool],
        noticed: float,
        retention: float | None,
        tasks: list[dict[str, Any]],
    ) -> None:
        clock, hosts = SteppedClock(), SimulatedHosts()
        chosen = Settings(
            random_seed=1,
            allocation_latency_seconds=latency,
            retry_delay_seconds=retry_delay,
            abort_end_state=abort_end,
            instance_death_noticed_seconds=noticed,
            retention_seconds=retention,
            **flags,
        )
        self.lab = Lab(LocalPlatform(hosts=hosts, clock=clock, settings=chosen), clock, hosts)
        self.platform, self.store = self.lab.platform, self.lab.platform.store
        self.templates = _templates(self.lab)
        self.witness = Witness(self.lab)
        # A pool and some tasks: without them most runs would do little.
        self.lab.booted(2, maxNodes=4, createNodeWorkers=NodeWorkerTarget.per_node(2))
        group = self.lab.group()
        self._locked(lambda: self.platform.work.add_tasks(group, [_task(said, self._name("task")) for said in tasks]))

    # ---------------------------------------------------------------------------------------------------- create

    @rule(
        template=WHICH,
        sizes=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
        workers=st.integers(1, 3),
        boot_timeout=st.sampled_from([None, None, 1, 10]),
        idle_node=IDLE,
        idle_pool=IDLE,
    )
    def provision_a_pool(
        self,
        template: int,
        sizes: tuple[int, int, int],
        workers: int,
        boot_timeout: float | None,
        idle_node: float | None,
        idle_pool: float | None,
    ) -> None:
        least, more, most = sizes
        properties = ProvisionedWorkerPoolProperties(
            createNodeWorkers=NodeWorkerTarget.per_node(workers),
            minNodes=least,
            maxNodes=least + more + most,
            nodeBootTimeout=_span(boot_timeout),
            idleNodeShutdown=_shutdown(idle_node),
            idlePoolShutdown=_shutdown(idle_pool),
        )
        usage = self._usage(template, least + more)
        self._locked(lambda: self.platform.pools.provision(usage, properties))

    @rule(
        template=WHICH, count=st.integers(0, 3), maintain=st.booleans(), shutdown=st.sampled_from([None, None, 0.0, 6])
    )
    def provision_a_requirement(self, template: int, count: int, maintain: bool, shutdown: float | None) -> None:
        usage = self._usage(template, count)
        usage.maintainInstanceCount, usage.autoShutdown = maintain, _shutdown(shutdown)
        self._locked(lambda: self.platform.compute.provision(usage))

    @rule(groups=st.lists(GROUP, min_size=0, max_size=3), priority=st.integers(0, 1))
    def make_a_work_requirement(self, groups: list[dict[str, Any]], priority: int) -> None:
        made: list[TaskGroup] = []
        for said in groups:
            made.append(self._group(said, made))
        work = WorkRequirement("demo", self._name("work"), made, priority=priority)
        self._locked(lambda: self.platform.work.add(work))

    @precondition(lambda self: self.store.works)
    @rule(which=WHICH, said=GROUP)
    def add_a_group(self, which: int, said: dict[str, Any]) -> None:
        work = self._of(self.store.works.values(), which)
        groups = [group.entity for group in work.groups]
        groups.append(self._group(said, groups))
        changed = WorkRequirement(work.entity.namespace, work.entity.name, groups, priority=work.entity.priority)
        changed.id = work.id
        self._locked(lambda: self.platform.work.update(changed))

    @precondition(lambda self: self.store.groups)
    @rule(which=WHICH, tasks=st.lists(TASK, min_size=1, max_size=4))
    def add_tasks(self, which: int, tasks: list[dict[str, Any]]) -> None:
        group = self._of(self.store.groups.values(), which)
        entities = [_task(said, self._name("task")) for said in tasks]
        self._locked(lambda: self.platform.work.add_tasks(group, entities))

    # --------------------------------------------------------------------------------------------------- change

    @precondition(lambda self: self.store.tasks)
    @rule(which=WHICH, abort=st.booleans())
    def cancel_a_task(self, which: int, abort: bool) -> None:
        unfinished = [task for task in self.store.tasks.values() if not task.status.finished]
        task = self._of(unfinished or self.store.tasks.values(), which)
        self._locked(lambda: self.platform.tasks.cancel(task, abort=abort))

    @precondition(lambda self: self.store.works)
    @rule(
        which=WHICH,
        status=st.sampled_from(
            [
                WorkRequirementStatus.HELD,
                WorkRequirementStatus.RUNNING,
                WorkRequirementStatus.FINISHING,
                WorkRequirementStatus.CANCELLING,
            ]
        ),
        abort=st.booleans(),
    )
    def hold_start_finish_or_cancel_a_work_requirement(
        self, which: int, status: WorkRequirementStatus, abort: bool
    ) -> None:
        work = self._of(self.store.works.values(), which)
        self._locked(lambda: self.platform.work.transition(work, status, abort=abort))

    # One rule for all endings of machines and one for all changes: a rule for each would leave too few machines.

    @rule(how=st.sampled_from([*_ENDINGS, "shut down a node", "shut down a node"]), which=WHICH)
    def end_machines(self, how: str, which: int) -> None:
        of, end = _ENDINGS[how]
        self._to_one(of, which, end)

    @rule(how=st.sampled_from([*_CHANGES]), which=WHICH, number=st.integers(0, 4))
    def change_machines(self, how: str, which: int, number: int) -> None:
        of, change = _CHANGES[how]
        self._to_one(of, which, lambda lab, thing: change(lab, thing, number))

    @precondition(lambda self: self.store.nodes)
    @rule(which=WHICH)
    def hear_of_an_agent(self, which: int) -> None:
        node = self._of(self.store.nodes.values(), which)
        agents = self.platform.agents
        self._locked(lambda: agents.note_call(agents.session(node.id, node.instance.token)))

    @precondition(lambda self: self.store.tasks and self.store.nodes)
    @rule(which=WHICH, back=st.integers(0, 2), started=st.booleans(), node=WHICH)
    def an_agent_tells_old_news(self, which: int, back: int, started: bool, node: int) -> None:
        """An agent that was cut off sends an outdated report, which has no effect."""
        task = self._of(self.store.tasks.values(), which)
        current = 0 if task.worker is None else 1
        attempt = task.attempt - current - back
        of = task.worker.node if task.worker is not None else self._of(self.store.nodes.values(), node)
        kind: Any = "STARTED" if started else "FINISHED"
        news = AgentEvent(taskId=task.id, attempt=attempt, type=kind, exitCode=0)
        before = (task.status, task.attempt, task.worker, len(task.entity.errors or ()))
        self._locked(lambda: self.platform.tasks.reported(of.id, news))
        assert (task.status, task.attempt, task.worker, len(task.entity.errors or ())) == before

    @rule(seconds=st.sampled_from([0.5, 1, 2, 3, 5]))
    def let_time_pass(self, seconds: float) -> None:
        self._do(lambda: self.lab.advance(seconds))

    @rule(seconds=st.sampled_from([10, 31, 61, 700]))
    def let_much_time_pass(self, seconds: float) -> None:
        self._do(lambda: self.lab.advance(seconds))

    # --------------------------------------------------------------------------------------------------- check

    @invariant()
    def all_that_must_hold_holds(self) -> None:
        self.sound = False
        self.witness.look()
        assert self.transitions.undeclared == set()
        assert self.errors.messages == []
        self.sound = True

    def teardown(self) -> None:
        try:
            if self.sound:  # otherwise a failure is reported already, and this would hide it
                self._end_everything()
        finally:
            self.transitions.stop()
            logging.getLogger("yellowdog_local").removeHandler(self.errors)
            if hasattr(self, "lab"):
                self.platform.close()

    def _end_everything(self) -> None:
        for work in self.store.works.values():
            self._locked(
                lambda work=work: self.platform.work.transition(work, WorkRequirementStatus.CANCELLING, abort=True)
            )
        for pool in self.store.pools.values():
            self._locked(lambda pool=pool: self.platform.pools.shut_down(pool))
        for requirement in self.store.requirements.values():
            self._locked(lambda requirement=requirement: self.platform.compute.terminate(requirement))
        self.lab.advance(A_DAY)
        self.all_that_must_hold_holds()
        self.witness.nothing_is_alive()

    # --------------------------------------------------------------------------------------------------- helpers

    def _do(self, call: Callable[[], object]) -> None:
        self.sound = False
        with contextlib.suppress(ApiError):  # a refusal is a valid answer
            call()
        self.sound = True

    def _locked(self, call: Callable[[], object]) -> None:
        self._do(lambda: self.lab.do(lambda _platform: call()))

    def _to_one(self, of: Callable[[Lab], Iterable[Any]], which: int, call: Callable[..., object]) -> None:
        things = list(of(self.lab))
        if not things:
            return
        thing = self._of(things, which)
        if isinstance(thing, str):  # a host: its events start without the platform's lock
            self._do(lambda: call(self.lab, thing))
        else:
            self._locked(lambda: call(self.lab, thing))

    def _of(self, things: Iterable[_T], which: int) -> _T:
        """One of the things by index from the newest, which has the most events."""
        listed: Sequence[_T] = list(things)
        return listed[-1 - which % len(listed)]

    def _name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}-{self.names}"

    def _usage(self, template: int, count: int) -> ComputeRequirementTemplateUsage:
        return ComputeRequirementTemplateUsage(
            templateId=self._of(self.templates[::-1], template),
            requirementNamespace="demo",
            requirementName=self._name("machines"),
            targetInstanceCount=count,
        )

    def _group(self, said: dict[str, Any], others: list[TaskGroup]) -> TaskGroup:
        least, most, per_worker = said["workers"]
        first = others[0].name if others else None
        destination = [ResubmissionDestination(first)] if said["resubmits"] and first else None
        return TaskGroup(
            name=self._name("group"),
            runSpecification=RunSpecification(
                ["bash"],
                minWorkers=least,
                maxWorkers=most,
                tasksPerWorker=per_worker,
                taskTimeout=_span(said["task_timeout"]),
                retryPolicy=RetryPolicy(said["retries"]) if said["retries"] is not None else None,
                failurePolicy=FailurePolicy(destination) if destination else None,
            ),
            finishIfAllTasksFinished=not said["keep"],
            finishIfAnyTaskFailed=said["fail_fast"],
            completedTaskTtl=_span(said["ttl"]),
            dependencies=[first] if said["follows"] and first else None,
        )


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _shutdown(seconds: float | None) -> AutoShutdown | None:
    return None if seconds is None else after(seconds)


def _task(said: dict[str, Any], name: str) -> Task:
    environment = {"SIM_ABORT_SECONDS": str(said["abort_seconds"]), "SIM_TASK_EXIT_CODE": str(said["exit_code"])}
    if said["seconds"] is not None:
        environment["SIM_TASK_SECONDS"] = str(said["seconds"])
    return Task(name=name, taskType="bash", environment=environment, timeout=_span(said["timeout"]))


TestAnythingGoes = AnythingGoes.TestCase
TestAnythingGoes.settings = settings(
    max_examples=SEARCH_EXAMPLES or 120,
    stateful_step_count=40,
    derandomize=not SEARCH_EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnythingGoes.pytestmark = [pytest.mark.timeout(max(60, SEARCH_EXAMPLES * 2))]


# ----------------------------------------------------------------------------- one test for each defect that was found


def test_new_worker_of_a_draining_node_gets_no_task(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    group = lab.group()
    lab.tasks(group, "a")
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.shut_down(node))
    lab.do(lambda p: p.nodes.set_workers(node, 2))
    (waits,) = lab.tasks(group, "b")
    assert waits.status is TaskStatus.READY


def test_new_worker_of_a_late_node_gets_no_task(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    lab.hosts.unplug(lab.hosts.instance_ids[0])
    lab.advance(31)
    lab.do(lambda p: p.nodes.set_workers(lab.node(pool), 2))
    (waits,) = lab.tasks(lab.group(), "a")
    assert waits.status is TaskStatus.READY


def test_removed_worker_stays_shut_down_after_its_node_recovers(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.set_workers(node, 0))
    lab.hosts.unplug(node.instance.id)
    lab.advance(31)
    lab.do(lambda p: p.agents.note_call(p.agents.session(node.id, node.instance.token)))
    assert node.workers[0].status is WorkerStatus.SHUTDOWN


def test_removed_worker_stays_shut_down_after_its_node_is_lost(lab: Lab) -> None:
    pool = lab.booted(1)
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.set_workers(node, 0))
    lab.hosts.lose(node.instance.id)
    assert node.workers[0].status is WorkerStatus.SHUTDOWN


def test_task_aborted_during_its_timeout_is_not_retried(lab: Lab) -> None:
    lab.booted(1)
    group = lab.group(retryPolicy=RetryPolicy(1))
    slow = {"SIM_ABORT_SECONDS": "5"}
    (task,) = lab.tasks(group, "a", timeout=timedelta(seconds=1), environment=slow)
    lab.advance(2)
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(60)
    assert task.status is TaskStatus.ABORTED


def test_task_aborted_between_allocation_and_start_ends(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=2)
    lab.booted(1)
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(60)
    assert task.status is TaskStatus.ABORTED


def test_retry_delay_is_kept_after_another_group_ends(make_lab: LabMaker) -> None:
    lab = make_lab(retry_delay_seconds=100)
    lab.booted(1)
    retries, ends = lab.work(
        "work", lab.group_spec("retries", retryPolicy=RetryPolicy(1)), lab.group_spec("ends", keep=False)
    ).groups
    task = lab.ending(retries, "a", 1, exit_code=3)
    lab.advance(2)
    lab.ending(ends, "b", 1)
    lab.advance(2)
    assert task.status is TaskStatus.PENDING


def test_working_time_is_not_taken_from_an_earlier_attempt(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=2)
    lab.booted(1, maxNodes=1)
    task = lab.ending(lab.group(retryPolicy=RetryPolicy(1)), "a", 1, exit_code=3)
    lab.advance(4)
    assert task.status is TaskStatus.ALLOCATED
    lab.hosts.lose(lab.hosts.instance_ids[0])
    assert task.entity.workingTime is not None
    assert task.entity.workingTime.executing == timedelta(seconds=1)
