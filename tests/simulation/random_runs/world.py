"""One random run: a platform with our cluster and its neighbours, the user, the head, and all that goes wrong."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.machine import prepare
from tests.simulation.monitor import Monitor
from tests.simulation.processes import Kill, Killed, Process, Processes
from tests.simulation.random_runs.incidents import happen
from tests.simulation.random_runs.invariants import Invariants
from tests.simulation.random_runs.scenario import (
    CLUSTER,
    NEIGHBOURS,
    CallTrouble,
    Command,
    Load,
    MachineTrouble,
    Scenario,
)
from tests.simulation.ray_commands import CommandFailed, ray_down, ray_up, told
from tests.simulation.raylets import FakeGcs, RayCluster
from tests.simulation.story import Story
from tests.simulation.tag_server import TagServer
from tests.simulation.v1 import V1
from tests.simulation.v2 import V2
from tests.simulation.violation import Violation
from tests.simulation.wire2 import Wire
from tests.simulation.world import cluster_config, node_type
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.records import TaskRecord, WorkRecord
from yellowdog_local.state.settings import Settings
from yellowdog_ray.provider import RayDogNodeProvider

TICK_SECONDS = 5.0
"""Ray's AUTOSCALER_UPDATE_INTERVAL_S."""

_KINDS: dict[str, type[V1] | type[V2]] = {"v1": V1, "v2": V2}


@dataclass(order=True)
class _Due:
    at: float
    order: int
    anywhere: bool = field(compare=False)
    happen: Callable[[], None] = field(compare=False)


class World:
    """Everything in one run. To be used as a context manager; nothing of it outlives that.

    Args:
        scenario: what the run is about.
        home: an empty directory.

    Attributes:
        gcs: Ray's control store.
        ray: Ray's side of the present cluster.
        monitor: the head's autoscaler, while it runs.
        config: the configuration on the head, once a `ray up` has succeeded.
        neighbours: names of the clusters that nobody may touch.
    """

    def __init__(self, scenario: Scenario, home: Path) -> None:
        self.scenario = scenario
        self.chance = random.Random(f"raydog world {scenario.seed}")
        self.clock = SteppedClock()
        self.hosts = SimulatedHosts()
        self.platform = LocalPlatform(
            hosts=self.hosts, clock=self.clock, settings=Settings(random_seed=scenario.seed), api_key=("id", "secret")
        )
        self.processes = Processes()
        self.story = Story(self.clock.now)
        self.wire = Wire(self.platform, self.processes, self.chance, self.story, self.pass_time)
        self.tags = TagServer()
        self.ray = RayCluster(self.tasks, self.clock.now)
        self.monitor: Monitor | None = None
        self.config: dict[str, Any] | None = None
        self.neighbours = frozenset(NEIGHBOURS)
        self.invariants = Invariants(self)
        self.gcs = FakeGcs(self.ray)
        self._head: str | None = None
        self._agenda: list[_Due] = []
        self._states: dict[str, str] = {}
        self._lives = 0
        self._orders = itertools.count()
        self.monkeypatch = pytest.MonkeyPatch()
        self.home = home
        self.key = home / "id_ed25519"

    def __enter__(self) -> World:
        """Put Ray and the provider into this world."""
        prepare(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Put everything back."""
        self.monkeypatch.undo()
        self.platform.close()

    @property
    def seconds(self) -> float:
        """The time."""
        return self.clock.now().timestamp()

    # Time

    def pass_time(self, seconds: float) -> None:
        """Let time pass; what is due happens, unless it cannot where this is called."""
        process = self.processes.current
        on_head = process is not None and process.background
        end = self.seconds + seconds
        while True:
            due = self._next_due(end, anywhere_only=on_head)
            ticks = self.monitor is not None and not on_head and self.monitor.due <= end
            if due is not None and not (ticks and self.monitor and self.monitor.due < due.at):
                self._move_to(due.at)
                self._agenda.remove(due)
                due.happen()
            elif ticks and self.monitor:
                self._move_to(self.monitor.due)
                self._tick(self.monitor)
            else:
                break
        self._move_to(end)

    def at(self, seconds: float, what: Callable[[], None], *, anywhere: bool = False) -> None:
        """Have something happen later; `anywhere` says that it may happen while the head is in the middle of a call."""
        self._agenda.append(_Due(self.seconds + seconds, next(self._orders), anywhere, what))

    def _next_due(self, end: float, *, anywhere_only: bool) -> _Due | None:
        due = [entry for entry in self._agenda if entry.at <= end and (entry.anywhere or not anywhere_only)]
        return min(due, default=None)

    def _move_to(self, moment: float) -> None:
        if moment > self.seconds:
            self.clock.advance(moment - self.seconds)

    # The user's commands

    def laptop(self, name: str) -> Process:
        """A process on the user's machine."""
        return Process(name, {"RAY_UP_enable_autoscaler_v2": "1" if self.scenario.autoscaler == "v2" else "0"})

    def user_config(self, name: str = CLUSTER) -> dict[str, Any]:
        """The user's YAML."""
        changes = self.scenario.changes
        quick = {"node_config": {"compute_requirement_template": "demo/quick"}}
        types: dict[str, Any] = {
            "head": node_type(resources={"CPU": 0}, max_workers=0, **quick),
            "cpu": node_type(min_workers=changes["min_workers"], max_workers=changes["max_workers"]),
        }
        if name in self.neighbours:
            types["cpu"] |= quick
        if changes["gpu"]:
            types["gpu"] = node_type(resources={"GPU": 1}, min_workers=0, max_workers=changes["max_workers"])
        config = cluster_config(
            name,
            self.key,
            cluster_lifetime_hours=20,
            max_workers=changes["max_workers"],
            idle_timeout_minutes=changes["idle_minutes"],
            available_node_types=types,
        )
        config["provider"]["worker_node_build_timeout_minutes"] = changes["build_minutes"]
        return config

    def up(self, command: Command = Command()) -> bool:  # noqa: B008  immutable
        """One `ray up`. Returns whether it succeeded."""
        config = self._command("ray up", command, lambda: ray_up(self.user_config(), self.pass_time))
        if config is None:
            return False
        self.config = config
        head = self.head
        if head is None:
            self.fail("commands", "`ray up` says that the head is there, and it is not")
        if head.entity.name != self._head:
            self._head = str(head.entity.name)
            self.ray = RayCluster(self.tasks, self.clock.now)
            self.gcs = FakeGcs(self.ray)
            self.monitor = None
            self.start_monitor()
        return True

    def down(self, command: Command = Command()) -> bool:  # noqa: B008  immutable
        """One `ray down`. Returns whether it says that it succeeded; then nothing may be left."""
        done = self._command("ray down", command, lambda: ray_down(self.user_config(), self.pass_time) or True)
        if done:
            self.invariants.nothing_is_left()
        return bool(done)

    def _command(self, name: str, command: Command, run: Callable[[], Any]) -> Any:
        process = self.laptop(name)
        if command.kill:
            process.condemn(command.kill)
        self.troubled(command.troubles)
        self.story.tell(name, f"begins{f', and will be killed {command.kill}' if command.kill else ''}")
        with self.processes.inside(process):
            try:
                result = told(run)
            except CommandFailed as error:
                self.story.tell(name, f"fails: {error}")
                result = None
            except Killed:
                self.story.tell(name, f"is killed {command.kill}")
                result = None
            except Exception as error:  # noqa: BLE001  a violation, whatever it is
                self.fail("commands", f"`{name}` ends with a traceback: {error!r}", error)
            else:
                self.story.tell(name, "succeeds")
        self.invariants.neighbours_are_untouched()
        return result

    # The head

    def start_monitor(self) -> None:
        """Begin another life of the head's autoscaler, if the head lives."""
        head = self.head
        if head is None or head.worker is None or self.config is None or head.entity.name != self._head:
            return
        self._lives += 1
        file = self.home / "ray_bootstrap_config.yaml"
        file.write_text(json.dumps(self.config))
        environment = {name: str(value) for name, value in (head.entity.environment or {}).items()}
        process = Process("head", environment, background=True)
        kind = _KINDS[self.scenario.autoscaler]
        with self.processes.inside(process):
            kind.prepare(self.monkeypatch, environment)
            self.monitor = Monitor(kind, process, file, self.gcs, self._count_tasks, lambda: self.seconds)
        self.monitor.due = self.seconds + TICK_SECONDS
        self.story.tell("head", f"the autoscaler begins its life {self._lives}")

    def stop_monitor(self, reason: str, pause: float) -> None:
        """End the head's autoscaler, and begin another life of it later."""
        self.story.tell("head", f"the autoscaler ends: {reason}")
        self.monitor = None
        self.at(pause, self._start_again)

    def condemn_monitor(self, kill: Kill, pause: float) -> None:
        """Have the head's autoscaler killed at one of its next calls, and begun again later."""
        if self.monitor is not None and self.monitor.process.kill is None:
            self.story.tell("head", f"the autoscaler will be killed {kill} from now")
            self.monitor.process.condemn(kill)
            self._pause = pause

    def _start_again(self) -> None:
        if self.monitor is None:
            self.start_monitor()

    _pause = 5.0

    def _tick(self, monitor: Monitor) -> None:
        if self.head is None or self.head.entity.name != self._head:
            self.story.tell("head", "the autoscaler is gone with its head")
            self.monitor = None
            return
        self._observe()
        before = self.invariants.before_tick(monitor)
        calls = monitor.process.calls
        with self.processes.inside(monitor.process):
            try:
                tick = monitor.tick()
                if monitor.process.jobs and self.chance.random() >= self.scenario.late_jobs:
                    monitor.process.work_off()
            except Killed:
                self.stop_monitor(f"killed {monitor.process.kill}", self._pause)
                return
            except Exception as error:  # noqa: BLE001  whatever it is, it is told
                tick = monitor._tick
                self.invariants.loop_raised(monitor, error)
        tick.calls = monitor.process.calls - calls
        monitor.due = max(monitor.due, self.seconds) + TICK_SECONDS
        self.invariants.after_tick(monitor, tick, before)

    def _observe(self) -> None:
        """Let raylets join and die, and tell what has become of tasks and instances."""
        self.ray.observe()
        now = {f"task {task.entity.name}": task.status.value for task in self.tasks()}
        now |= {f"instance {instance.id}": instance.status.value for instance in self.invariants.instances()}
        for name in sorted({*now, *self._states}):
            state = now.get(name, "gone")
            if self._states.get(name) != state:
                self.story.tell("platform", f"{name} is {state}")
        self._states = now

    # Trouble

    def troubled(self, troubles: tuple[CallTrouble, ...] | tuple[MachineTrouble, ...]) -> None:
        """Let these begin and end in their time, counted from now."""
        for trouble in troubles:
            self.at(trouble.begins, lambda trouble=trouble: self._begin(trouble), anywhere=True)

    def _begin(self, trouble: CallTrouble | MachineTrouble) -> None:
        self.story.tell("trouble", f"begins: {trouble}")
        if isinstance(trouble, CallTrouble):
            self.wire.troubles.append(trouble)
            rule_id = None
        else:
            rule_id = self.platform.faults.add(trouble.rule)
        self.at(trouble.ends - trouble.begins, lambda: self._end(trouble, rule_id), anywhere=True)

    def _end(self, trouble: CallTrouble | MachineTrouble, rule_id: str | None) -> None:
        if trouble in self.wire.troubles:
            self.wire.troubles.remove(trouble)  # type: ignore[arg-type]
        elif rule_id is None or not self.platform.faults.stands(rule_id):
            return
        else:
            self.platform.faults.remove(rule_id)
        self.story.tell("trouble", f"ends: {trouble}")
        self.invariants.trouble_has_changed()

    def all_trouble_ends(self) -> None:
        """From now on nothing goes wrong, and nothing is planned to."""
        self.story.tell("trouble", "all trouble ends")
        self._agenda = [due for due in self._agenda if due.happen == self._start_again]
        self.wire.troubles.clear()
        self.platform.faults.clear()
        if self.monitor is not None:
            self.monitor.process.kill = None
        self.invariants.trouble_has_changed()

    @property
    def in_trouble(self) -> bool:
        """Whether calls go wrong, or lists lag."""
        return bool(self.wire.troubles or self.platform.faults.concern_lists)

    # The phases of a run

    def begin(self) -> None:
        """Bring up the neighbours, of which nothing may change from then on."""
        self._neighbours_come_up()
        self.invariants.begin()

    def run(self) -> None:
        """The whole story of our cluster. Raises `Violation`."""
        scenario = self.scenario
        for command in scenario.ups:
            self.up(command)
        self._must_come_up()
        self.troubled(scenario.calls)
        self.troubled(scenario.machines)
        for load in scenario.loads:
            self.at(load.at, lambda load=load: self._want(load))
        for incident in scenario.incidents:
            self.at(incident.at, lambda incident=incident: happen(self, incident))
        self.pass_time(scenario.length)
        if self.head is None:
            self._must_come_up()
        self.all_trouble_ends()
        self._want(scenario.last_load)
        self.invariants.demand_is_served()
        self.invariants.all_is_tidy()
        if scenario.gives_back:
            self._want(Load(self.seconds, ()))
            self.invariants.all_is_given_back()
        for command in scenario.downs:
            self.down(command)
        self.all_trouble_ends()
        if not self.down():
            self.fail("commands", "`ray down` fails though nothing is wrong")
        self._stays_down()

    def _must_come_up(self) -> None:
        self.all_trouble_ends()
        if not self.up():
            self.fail("commands", "`ray up` fails though nothing is wrong")

    def _stays_down(self) -> None:
        calls = len(self.wire.calls)
        self.pass_time(120)
        self.invariants.nothing_is_left()
        if len(self.wire.calls) != calls:
            self.fail("calls", f"somebody still asks after `ray down`: {self.wire.calls[calls:][:5]}")

    def _want(self, load: Load) -> None:
        self.ray.demands = list(load.demands)
        self.story.tell("users", f"want {load}")

    def _neighbours_come_up(self) -> None:
        for name in NEIGHBOURS:
            with self.processes.inside(self.laptop(name)):
                told(lambda name=name: ray_up(self.user_config(name), self.pass_time))
                config = RayDogNodeProvider.bootstrap_config(self.user_config(name))
                provider = RayDogNodeProvider(config["provider"], name)
                provider.non_terminated_nodes({})
                tags = {"ray-node-type": "worker", "ray-user-node-type": "cpu", "ray-node-status": "uninitialized"}
                node_config = config["available_node_types"]["cpu"]["node_config"]
                provider.create_node_with_resources_and_labels(node_config, tags, 1, {"CPU": 1}, {})
            self.pass_time(5)

    def fail(self, invariant: str, text: str, cause: BaseException | None = None) -> None:
        """End the run: something does not hold."""
        raise Violation(invariant, text) from cause

    # What the platform holds

    @property
    def work(self) -> WorkRecord | None:
        """The present work requirement of our cluster."""
        works = [work for work in self.platform.store.works.values() if work.entity.name == CLUSTER]
        return next((work for work in works if not work.status.finished), None)

    def tasks(self) -> Iterator[TaskRecord]:
        """The tasks of our cluster, ended ones too."""
        if (work := self.work) is not None:
            for group in work.groups:
                yield from tuple(group.tasks.values())

    @property
    def head(self) -> TaskRecord | None:
        """The task of the cluster's head, while it lives."""
        heads = (task for task in self.tasks() if (task.entity.environment or {}).get("RAYDOG_ON_HEAD") == "1")
        return next((task for task in heads if not task.status.finished), None)

    def _count_tasks(self) -> int:
        return sum(1 for _ in self.tasks())
