"""Random operations on a platform, in any order, with a check of all invariants after each step.

Each run is the same, unless `RAYDOG_SEARCH_EXAMPLES` says how many new ones to try: for example
`RAYDOG_SEARCH_EXAMPLES=2000 pytest tests/yellowdog_local/test_invariants.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    FailurePolicy,
    NodeWorkerTarget,
    ProvisionedWorkerPoolProperties,
    ResubmissionDestination,
    RetryPolicy,
    RunSpecification,
    TaskGroup,
    WorkRequirement,
    WorkRequirementStatus,
)

from tests.selection import EXHAUSTIVE
from tests.simulation.lab import Lab
from tests.simulation.platform_invariants import Witness
from tests.simulation.transitions import Transitions, shown_otherwise
from tests.yellowdog_local.random_operations import (
    CHANGES,
    ENDINGS,
    FLAGS,
    GROUP,
    IDLE,
    TASK,
    WHICH,
    idle_shutdown,
    new_task,
    span,
    templates,
)
from yellowdog_local.errors import ApiError
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.messages import AgentEvent
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.settings import AbortEndState, Settings

SEARCH_EXAMPLES = int(os.environ.get("RAYDOG_SEARCH_EXAMPLES", "0"))
A_DAY = 86_400.0

_T = TypeVar("_T")


class Errors(logging.Handler):
    """Collects the platform's error log: each entry is a failure outside any call of the test."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(logging.Formatter().format(record))


class RandomOperations(RuleBasedStateMachine):
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
        self.templates = templates(self.lab)
        self.witness = Witness(self.lab)
        # A pool and some tasks: without them most runs would do little.
        self.lab.booted(2, maxNodes=4, createNodeWorkers=NodeWorkerTarget.per_node(2))
        group = self.lab.group()
        self._locked(
            lambda: self.platform.work.add_tasks(group, [new_task(drawn, self._name("task")) for drawn in tasks])
        )

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
            nodeBootTimeout=span(boot_timeout),
            idleNodeShutdown=idle_shutdown(idle_node),
            idlePoolShutdown=idle_shutdown(idle_pool),
        )
        usage = self._usage(template, least + more)
        self._locked(lambda: self.platform.pools.provision(usage, properties))

    @rule(
        template=WHICH, count=st.integers(0, 3), maintain=st.booleans(), shutdown=st.sampled_from([None, None, 0.0, 6])
    )
    def provision_a_requirement(self, template: int, count: int, maintain: bool, shutdown: float | None) -> None:
        usage = self._usage(template, count)
        usage.maintainInstanceCount, usage.autoShutdown = maintain, idle_shutdown(shutdown)
        self._locked(lambda: self.platform.compute.provision(usage))

    @rule(groups=st.lists(GROUP, min_size=0, max_size=3), priority=st.integers(0, 1))
    def make_a_work_requirement(self, groups: list[dict[str, Any]], priority: int) -> None:
        made: list[TaskGroup] = []
        for drawn in groups:
            made.append(self._group(drawn, made))
        work = WorkRequirement("demo", self._name("work"), made, priority=priority)
        self._locked(lambda: self.platform.work.add(work))

    @precondition(lambda self: self.store.works)
    @rule(which=WHICH, drawn=GROUP)
    def add_a_group(self, which: int, drawn: dict[str, Any]) -> None:
        work = self._of(self.store.works.values(), which)
        groups = [group.entity for group in work.groups]
        groups.append(self._group(drawn, groups))
        changed = WorkRequirement(work.entity.namespace, work.entity.name, groups, priority=work.entity.priority)
        changed.id = work.id
        self._locked(lambda: self.platform.work.update(changed))

    @precondition(lambda self: self.store.groups)
    @rule(which=WHICH, tasks=st.lists(TASK, min_size=1, max_size=4))
    def add_tasks(self, which: int, tasks: list[dict[str, Any]]) -> None:
        group = self._of(self.store.groups.values(), which)
        entities = [new_task(drawn, self._name("task")) for drawn in tasks]
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

    @rule(how=st.sampled_from([*ENDINGS, "shut down a node", "shut down a node"]), which=WHICH)
    def end_machines(self, how: str, which: int) -> None:
        of, end = ENDINGS[how]
        self._to_one(of, which, end)

    @rule(how=st.sampled_from([*CHANGES]), which=WHICH, number=st.integers(0, 4))
    def change_machines(self, how: str, which: int, number: int) -> None:
        of, change = CHANGES[how]
        self._to_one(of, which, lambda lab, thing: change(lab, thing, number))

    @precondition(lambda self: self.store.nodes)
    @rule(which=WHICH)
    def agent_calls_again(self, which: int) -> None:
        node = self._of(self.store.nodes.values(), which)
        agents = self.platform.agents
        self._locked(lambda: agents.note_call(agents.session(node.id, node.instance.token)))

    @precondition(lambda self: self.store.tasks and self.store.nodes)
    @rule(which=WHICH, back=st.integers(0, 2), started=st.booleans(), node=WHICH)
    def agent_sends_outdated_report(self, which: int, back: int, started: bool, node: int) -> None:
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
    def advance_a_little(self, seconds: float) -> None:
        self._do(lambda: self.lab.advance(seconds))

    @rule(seconds=st.sampled_from([10, 31, 61, 700]))
    def advance_far(self, seconds: float) -> None:
        self._do(lambda: self.lab.advance(seconds))

    # --------------------------------------------------------------------------------------------------- check

    @invariant()
    def invariants_hold(self) -> None:
        self.sound = False
        self.witness.look()
        assert self.transitions.undeclared == set()
        assert shown_otherwise(self.store) == []
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
        self.invariants_hold()
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

    def _group(self, drawn: dict[str, Any], others: list[TaskGroup]) -> TaskGroup:
        least, most, per_worker = drawn["workers"]
        first = others[0].name if others else None
        destination = [ResubmissionDestination(first)] if drawn["resubmits"] and first else None
        return TaskGroup(
            name=self._name("group"),
            runSpecification=RunSpecification(
                ["bash"],
                minWorkers=least,
                maxWorkers=most,
                tasksPerWorker=per_worker,
                taskTimeout=span(drawn["task_timeout"]),
                retryPolicy=RetryPolicy(drawn["retries"]) if drawn["retries"] is not None else None,
                failurePolicy=FailurePolicy(destination) if destination else None,
            ),
            finishIfAllTasksFinished=not drawn["keep"],
            finishIfAnyTaskFailed=drawn["fail_fast"],
            completedTaskTtl=span(drawn["ttl"]),
            dependencies=[first] if drawn["follows"] and first else None,
        )


TestRandomOperations = RandomOperations.TestCase
TestRandomOperations.settings = settings(
    max_examples=SEARCH_EXAMPLES or (120 if EXHAUSTIVE else 40),
    stateful_step_count=40,
    derandomize=not SEARCH_EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestRandomOperations.pytestmark = [pytest.mark.search, pytest.mark.timeout(max(60, SEARCH_EXAMPLES * 2))]
