"""The simulated world: a platform, the processes of ours that use it, one cluster under Ray's real autoscaler.

Time passes on the platform's clock only. `tick` is one round of the head's autoscaler; `pass_time` runs all rounds and
events that become due. After each round the world is checked (`checks.py`).
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.agenda import Agenda
from tests.simulation.checks import Checks
from tests.simulation.cluster_view import ClusterView
from tests.simulation.config import CONFIG_FILE, KEY_FILE
from tests.simulation.lab import Lab
from tests.simulation.machine import prepare, renew_store_folder
from tests.simulation.monitor import TICK_SECONDS, Monitor, Tick
from tests.simulation.platform_invariants import Witness
from tests.simulation.processes import Kill, Killed, Process, Processes
from tests.simulation.ray_commands import ray_down, ray_up
from tests.simulation.raylets import Demand, FakeGcs, RayCluster
from tests.simulation.story import Story
from tests.simulation.tag_server import TagServer
from tests.simulation.user_commands import run_on_laptop
from tests.simulation.v1 import V1
from tests.simulation.v2 import V2
from tests.simulation.violation import Violation
from tests.simulation.wire import Wire
from yellowdog_local.faults.rules import parse
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_ray.provider import RayDogNodeProvider

_KINDS: dict[str, type[V1] | type[V2]] = {"v1": V1, "v2": V2}


class World(ClusterView):
    """One platform and one cluster on it. A context manager: at its end this process is as it was before.

    Args:
        home: an empty directory, the home of the user and of the head's user.
        autoscaler: "v1" or "v2".
        seed: decides everything that is random.
        tag_store: whether the head has a tag store; without one nobody listens at its port.
        late_jobs: how often, from 0 to 1, work in threads is left for the next round.
        settings: the platform's settings; kept as an attribute too.

    Attributes:
        shutdown_seconds: how long an instance takes to terminate.
        head_clock_error: how far the clock of the head is ahead.
        page_size: entries per page of the lists that the provider reads; None for the provider's own size.
        ray: Ray's side of the present cluster: raylets and load.
        gcs: Ray's control store.
        witness: checks the platform itself, at the end of a scenario or whenever `look` is called.
        monitor: the head's autoscaler, while it runs.
        config: the configuration on the head, once a `ray up` has succeeded.
        listing: the ids that the provider listed for Ray in the last round; None if it listed nothing.
    """

    shutdown_seconds = 0
    head_clock_error = timedelta(0)
    page_size: int | None = None

    def __init__(
        self,
        home: Path,
        *,
        autoscaler: str = "v2",
        seed: int = 0,
        tag_store: bool = False,
        late_jobs: float = 0.0,
        settings: Settings = Settings(),  # noqa: B008 - immutable
    ) -> None:
        self.seed = seed
        self.chance = random.Random(f"raydog world {seed}")
        clock, hosts = SteppedClock(), SimulatedHosts()
        self.settings = settings = settings.model_copy(update={"random_seed": seed})
        platform = LocalPlatform(hosts=hosts, clock=clock, settings=settings, api_key=("id", "secret"))
        super().__init__(Lab(platform, clock, hosts))
        self.witness = Witness(self.lab)
        self.processes = Processes()
        self.story = Story(clock.now)
        self.wire = Wire(platform, self.processes, self.chance, self.story, self.pass_time)
        self.tags = TagServer()
        self.checks = Checks(self)
        self.ray = RayCluster(self.tasks, clock.now)
        self.gcs = FakeGcs(self.ray)
        self.monitor: Monitor | None = None
        self.config: dict[str, Any] | None = None
        self.listing: set[str] | None = None
        self.agenda = Agenda()
        self.monkeypatch = pytest.MonkeyPatch()
        self.home = home
        self.key = home / "id_ed25519"
        self.kind = _KINDS[autoscaler]
        self._tag_store = tag_store
        self._late_jobs = late_jobs
        self._head: str | None = None
        self._lives = 0
        self._pause = 5.0

    def __enter__(self) -> World:
        """Put Ray and the provider into this world."""
        prepare(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore this process."""
        self.monkeypatch.undo()
        self.lab.platform.close()

    def fail(self, check: str, text: str, cause: BaseException | None = None) -> None:
        """Raise `Violation`: something does not hold."""
        raise Violation(check, text) from cause

    # Time

    @property
    def seconds(self) -> float:
        """The time."""
        return self.lab.clock.now().timestamp()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with all rounds and events that become due, unless they cannot happen where this is called."""
        on_head = self.processes.current.background
        end = self.seconds + seconds
        while True:
            due = self.agenda.next(end, anywhere_only=on_head)
            monitor = None if on_head or self.monitor is None or self.monitor.due > end else self.monitor
            if due is not None and (monitor is None or due.at <= monitor.due):
                self._move_to(due.at)
                self.agenda.remove(due)
                due.happen()
            elif monitor is not None:
                self._move_to(monitor.due)
                self._tick_when_due(monitor)
            else:
                break
        self._move_to(end)

    def at(self, seconds: float, happen: Callable[[], None], *, anywhere: bool = False) -> None:
        """Plan an event, so many seconds from now; `anywhere`: also while the head is in the middle of a call."""
        self.agenda.add(self.seconds + seconds, happen, anywhere=anywhere)

    def _move_to(self, moment: float) -> None:
        if moment > self.seconds:
            self.lab.advance(moment - self.seconds)

    # The user's commands

    def laptop(self, name: str) -> Process:
        """A process on the user's machine."""
        return Process(name, {"RAY_UP_enable_autoscaler_v2": "1" if self.kind is V2 else "0"})

    def up(self, kill: Kill | None = None) -> bool:
        """One `ray up`. Returns whether it succeeded; then the head's autoscaler runs."""
        config = run_on_laptop(self, "ray up", lambda: ray_up(self.yaml, self.pass_time), kill)
        if config is None:
            return False
        self.config = config
        head = self.head
        if head is None:
            self.fail("commands", "`ray up` says that the head is there, and it is not")
        if head.entity.name != self._head:
            self.start_head(str(head.entity.name))
        return True

    def start_head(self, name: str) -> None:
        """Begin the life of a new head, which has the files that it needs."""
        self._head = name
        self.ray = RayCluster(self.tasks, self.lab.clock.now, self.head_clock_error)
        self.gcs = FakeGcs(self.ray)
        self.monitor = None
        renew_store_folder(self.home)
        self.start_monitor()

    def up_again(self, **changes: Any) -> None:
        """Another `ray up`, with changes to the YAML, as far as the head's autoscaler sees it."""
        provider = {**self.yaml["provider"], **changes.pop("provider", {})}
        self.yaml = {**self.yaml, "provider": provider, **changes}
        with self.processes.inside(self.laptop("ray up")):
            config = RayDogNodeProvider.bootstrap_config(copy.deepcopy(self.yaml))
            self.config = RayDogNodeProvider(config["provider"], config["cluster_name"]).prepare_for_head_node(config)
        self._write_config()
        self.autoscaler.read_config()

    def down(self, kill: Kill | None = None) -> bool:
        """One `ray down`. Returns whether it says that it succeeded; then nothing may be left."""
        done = run_on_laptop(self, "ray down", lambda: ray_down(self.yaml, self.pass_time) or True, kill)
        if done:
            self.checks.nothing_is_left()
        return bool(done)

    # The head

    def start_tag_store(self) -> None:
        """Start the head's tag store, if it has one."""
        if self._tag_store:
            self.tags.start()

    def start_monitor(self) -> None:
        """Begin another life of the head's autoscaler, if the head lives; it has no memory of the one before."""
        head = self.head
        if head is None or head.worker is None or self.config is None or head.entity.name != self._head:
            return
        self._lives += 1
        self._write_config()
        environment = {name: str(value) for name, value in (head.entity.environment or {}).items()}
        process = Process("head", environment, background=True, clock_error=self.head_clock_error)
        with self.processes.inside(process):
            self.kind.prepare(self.monkeypatch, environment)
            file = self.home / CONFIG_FILE
            self.monitor = Monitor(
                self.kind, process, file, self.gcs, lambda: sum(1 for _ in self.tasks()), lambda: self.seconds
            )
        self.monitor.due = self.seconds + TICK_SECONDS
        self.story.add("head", f"the autoscaler begins its life {self._lives}")

    def _write_config(self) -> None:
        assert self.config is not None
        self.config["auth"]["ssh_private_key"] = str(self.home / KEY_FILE)
        (self.home / CONFIG_FILE).write_text(json.dumps(self.config))

    def restart_autoscaler(self) -> None:
        """Begin another life of the head's autoscaler at once."""
        self.start_monitor()

    def stop_monitor(self, reason: str, pause: float) -> None:
        """End the head's autoscaler, and begin another life of it after a pause (seconds)."""
        self.story.add("head", f"the autoscaler ends: {reason}")
        self.monitor = None
        self.at(pause, self.start_again)

    def start_again(self) -> None:
        """Begin another life of the head's autoscaler, unless it runs."""
        if self.monitor is None:
            self.start_monitor()

    def condemn_monitor(self, kill: Kill, pause: float) -> None:
        """Kill the head's autoscaler at one of its next calls, and begin another life of it after a pause (seconds)."""
        if self.monitor is not None and self.monitor.process.kill is None:
            self.story.add("head", f"the autoscaler will be killed {kill} from now")
            self.monitor.process.condemn(kill)
            self._pause = pause

    @contextmanager
    def dying(self, kill: Kill) -> Iterator[None]:
        """Kill the head's autoscaler in a block, which ends there; afterwards it runs again."""
        process = self._running.process
        process.condemn(kill)
        with suppress(Killed):
            yield
        assert process.struck, f"the autoscaler was not killed {kill}"
        self.restart_autoscaler()

    def tick(self, seconds: float = TICK_SECONDS) -> bool:
        """Let time pass on the platform, then run one round of Ray's monitor. Returns whether Ray carried it out."""
        self.lab.advance(seconds)
        return self._round(self._running).done

    def ticks(self, count: int) -> None:
        """Run several rounds, each of which Ray must carry out."""
        for _ in range(count):
            assert self.tick()

    def run_threads(self) -> None:
        """Run the work of the autoscaler's threads, and what becomes due at once on the platform."""
        monitor = self._running
        with self.processes.inside(monitor.process):
            monitor.process.work_off()
        self.lab.advance()

    def _tick_when_due(self, monitor: Monitor) -> None:
        if self.head is None or self.head.entity.name != self._head:
            self.story.add("head", "the autoscaler is gone with its head")
            self.monitor = None
            return
        try:
            self._round(monitor)
        except Killed:
            self.stop_monitor(f"killed {monitor.process.kill}", self._pause)

    def _round(self, monitor: Monitor) -> Tick:
        self._observe()
        self.wire.clear()
        self.listing = None
        before = self.checks.before_tick(monitor)
        calls = monitor.process.calls
        with self.processes.inside(monitor.process):
            try:
                tick = monitor.tick()
                if monitor.process.jobs and self.chance.random() >= self._late_jobs:
                    monitor.process.work_off()
            except Exception as error:  # noqa: BLE001  a violation, or excused by trouble
                tick = monitor.last
                self.checks.loop_raised(monitor, error)
        tick.calls = monitor.process.calls - calls
        monitor.due = max(monitor.due, self.seconds) + TICK_SECONDS
        self.listing = tick.listing
        self.checks.after_tick(monitor, tick, before)
        return tick

    def _observe(self) -> None:
        """Let raylets join and die, and note what has become of tasks and instances."""
        self.ray.observe()
        now = {f"task {task.entity.name}": task.status.value for task in self.tasks()}
        now |= {f"instance {instance.id}": instance.status.value for instance in self.ours.instances()}
        self.story.note_states(now)

    # Load and faults

    def want(self, *demands: Demand) -> None:
        """Let Ray's users want this, and nothing else."""
        self.ray.demands = list(demands)

    def want_cpus(self, count: int) -> None:
        """Let Ray's users want so many tasks of one CPU each."""
        self.want(*([Demand({"CPU": 1}, count)] if count else []))

    def grow_to(self, count: int) -> None:
        """Grow to so many busy workers, all of which join."""
        self.want_cpus(count)
        self.ticks(4)
        assert len(self.ray.workers) == count

    def lose(self, node_id: str) -> None:
        """Let the instance of a node die."""
        worker = self.task(node_id).worker
        assert worker is not None
        self.lab.hosts.lose(worker.node.instance.id)

    def fault(self, kind: str, **fields: Any) -> str:
        """Put a fault of the platform in force. Returns its id."""
        return self.lab.faults.add(parse({"kind": kind, **fields}))

    @property
    def in_trouble(self) -> bool:
        """Whether calls fail, or lists lag."""
        return bool(self.wire.troubles or self.lab.faults.has_call_rules or self.lab.faults.has_list_rules)

    # Ray's and the provider's objects

    @property
    def _running(self) -> Monitor:
        assert self.monitor is not None, "the head's autoscaler does not run"
        return self.monitor

    @property
    def autoscaler(self) -> V1 | V2:
        """Ray's autoscaler, in its present life."""
        return self._running.autoscaler

    @property
    def provider(self) -> RayDogNodeProvider:
        """The node provider of the autoscaler's present life."""
        return self._running.provider

    def listed(self, name: str | None = None) -> set[str]:
        """Ids of the listed workers, or of those of one type."""
        nodes = self.provider.side.cluster.snapshot.nodes.values()
        return {node.id for node in nodes if not node.is_head and name in (None, node.node_type)}
