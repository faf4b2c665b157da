"""One random run: the user, the load and everything that fails, in a world with two neighbours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from ray.autoscaler.node_launch_exception import NodeLaunchException

from tests.simulation.config import QUICK, cluster_config, node_type
from tests.simulation.distortions import SHOWS_NOTHING
from tests.simulation.exceptions import settling_seconds, unnoticed_seconds
from tests.simulation.limits import SPARE_SECONDS, TICK
from tests.simulation.random_runs import home
from tests.simulation.random_runs.incidents import abort_copies, happen, start_control_store
from tests.simulation.random_runs.scenario import (
    CLUSTER,
    NEIGHBOURS,
    UNNAMED,
    CallTrouble,
    Command,
    LastDown,
    Load,
    MachineTrouble,
    Scenario,
)
from tests.simulation.ray_commands import CommandFailed
from tests.simulation.raylets import Demand
from tests.simulation.trouble import Trouble
from tests.simulation.user_commands import add_neighbour
from tests.simulation.world import World
from yellowdog_local import faults
from yellowdog_local.state.settings import Settings


class NoCluster(Exception):
    """No cluster could be launched on this platform, although no call failed."""


class RandomRun(World):
    """A world with a scenario.

    Args:
        scenario: what the run is about.
        home: an empty directory.
        settings: the platform's settings.
    """

    def __init__(
        self,
        scenario: Scenario,
        home: Path,
        settings: Settings = Settings(),  # noqa: B008 - immutable
    ) -> None:
        super().__init__(
            home,
            autoscaler=scenario.autoscaler,
            seed=scenario.seed,
            tag_store=True,
            late_jobs=scenario.late_jobs,
            settings=settings,
        )
        self.scenario = scenario
        self.shutdown_seconds = scenario.shutdown_seconds
        self.head_clock_error = timedelta(seconds=scenario.head_clock_error)
        self.page_size = scenario.page_size
        self.witness.aborts_get_lost = any(isinstance(one.rule, faults.AbortLost) for one in scenario.machines)
        self.yaml = self.user_config()

    def user_config(self, name: str = CLUSTER) -> dict[str, Any]:
        """The user's YAML."""
        changes = self.scenario.changes
        template = {"template": QUICK} if name in NEIGHBOURS else {}
        most = changes["max_workers"]
        types: dict[str, Any] = {
            "head": node_type(QUICK, resources={"CPU": 0}, max_workers=0),
            "cpu": node_type(min_workers=changes["min_workers"], max_workers=most, **template),
        }
        if name == CLUSTER:
            types["late"] = node_type(resources={"LATE": 1}, min_workers=0, max_workers=most)
        if changes["gpu"]:
            types["gpu"] = node_type(resources={"GPU": 1}, min_workers=0, max_workers=most)
        config = cluster_config(
            name,
            self.key,
            cluster_lifetime_hours=20,
            worker_node_build_timeout_minutes=changes["build_minutes"],
            max_workers=most,
            idle_timeout_minutes=changes["idle_minutes"],
            available_node_types=types,
        )
        if name == CLUSTER and self.scenario.home is not None:
            config["provider"]["idle_termination_minutes"] = self.scenario.home.minutes
        return config

    def begin(self) -> None:
        """Bring up the neighbours, of which nothing may change from then on.

        Raises:
            NoCluster: the platform refused one.
        """
        for name in NEIGHBOURS:
            try:
                add_neighbour(self, self.user_config(name), {"cpu": 1})
            except CommandFailed as error:
                raise NoCluster(str(error)) from error
            except NodeLaunchException as error:
                raise NoCluster(error.description) from error
        self.wire.manners = self.scenario.manners
        self.pass_time(settling_seconds(self.settings, SPARE_SECONDS))
        self.ours.begin()

    def run(self) -> None:
        """Run the whole story of our cluster. Raises `Violation`."""
        scenario = self.scenario
        for command in scenario.ups:
            self._try(self.up, command)
        self._must_come_up()
        self._live()
        self.want_load(scenario.last_load)
        self._demand_is_served()
        self.witness.look()
        self._all_is_tidy()
        if scenario.home is not None:
            home.go_home(self, scenario.home)
        elif scenario.gives_back:
            self.want_load(Load(self.seconds, ()))
            self._all_is_given_back()
        for command in scenario.downs:
            self._try(self.down, command)
        self.end_all_trouble()
        self._last_down(scenario.last_down if scenario.home is None else LastDown())
        self._stays_down()
        self.witness.look()

    def _live(self) -> None:
        """The main phase: load, users, and all that goes wrong."""
        scenario = self.scenario
        self._troubled(scenario.calls)
        self._troubled(scenario.machines)
        for load in scenario.loads:
            self.at(load.at, lambda load=load: self.want_load(load))
        for incident in scenario.incidents:
            self.at(incident.at, lambda incident=incident: happen(self, incident))
        if scenario.home is not None:
            home.plan_visits(self, scenario.home)
        # A user cannot act on the end of the head's instance before the platform shows it.
        self.pass_time(scenario.length + unnoticed_seconds(self.settings))
        if scenario.home is not None:
            home.complete_its_end(self)
        if self.head is None or not (self.monitor or self.agenda.holds(self.start_again)):
            self._must_come_up()  # a `ray up` that failed may leave a head without an autoscaler
        self.end_all_trouble()
        if scenario.home is not None:
            home.come(self)

    def _try(self, run: Callable[..., bool], command: Command) -> None:
        self._troubled(command.troubles)
        run(command.kill)

    def _must_come_up(self) -> None:
        self.end_all_trouble()
        if not self.up():
            self.fail("commands", "`ray up` fails though nothing is wrong")

    def _last_down(self, last: LastDown) -> None:
        if last.is_compute_broken:
            self._down_without_compute()
        if last.late_pool is not None:
            self.want(Demand({"LATE": 1}))
            self.wire.add(Trouble("late", "POST */template"))
            self.pass_time(TICK)
            self.wire.at_call(last.late_pool, "ray down", "GET /work/requirements/ydid:*", self.wire.deliver)
        if last.is_slow_head:
            self.want(Demand({"LATE": 1}), Demand({"CPU": 1}, 7))
            self.lab.faults.add(faults.AbortLost(pool=f"{CLUSTER}-*", task="head-*"))
        lagging = [] if last.lagging is None else [Trouble(SHOWS_NOTHING, last.lagging)]
        lagging += [Trouble(*trouble) for trouble in UNNAMED.get(last.unnamed or "", ())]
        for trouble in lagging:
            self.wire.add(trouble)
        if not self.down():
            self.fail("commands", "`ray down` fails though nothing is wrong")
        for trouble in lagging:
            self.wire.remove(trouble)

    def _down_without_compute(self) -> None:
        """A `ray down` that cannot read what becomes of the instances ends everything all the same."""
        with self.wire.trouble("an empty object", "GET /compute/requirements/*"):
            self.down()
        self.pass_time(self.checks.tidy_seconds)
        if instances := list(self.ours.instances()):
            self.fail("left", f"{len(instances)} instances live after a `ray down` that could not read about them")

    def _stays_down(self) -> None:
        calls = self.wire.total
        self.pass_time(120 + unnoticed_seconds(self.settings))
        self.checks.nothing_is_left()
        if self.wire.total != calls:
            self.fail("calls", f"somebody still asks after `ray down`: {self.wire.calls[-5:]}")

    def want_load(self, load: Load) -> None:
        """Let Ray's users want this load, and nothing else."""
        self.want(*load.demands)
        self.story.add("users", f"want {load}")

    # Trouble

    def _troubled(self, troubles: tuple[CallTrouble, ...] | tuple[MachineTrouble, ...]) -> None:
        """Let these begin and end in their time, counted from now."""
        for trouble in troubles:
            self.at(trouble.begins, lambda trouble=trouble: self._begin(trouble), anywhere=True)

    def _begin(self, trouble: CallTrouble | MachineTrouble) -> None:
        self.story.add("trouble", f"begins: {trouble}")
        if isinstance(trouble, CallTrouble):
            on_wire = trouble.on_wire()
            self.wire.add(on_wire)
            stands, end = lambda: on_wire in self.wire.troubles, lambda: self.wire.remove(on_wire)
        else:
            rule_id = self.lab.faults.add(trouble.rule)
            stands, end = lambda: self.lab.faults.is_active(rule_id), lambda: self.lab.faults.remove(rule_id)
        self.at(trouble.ends - trouble.begins, lambda: self._end(trouble, stands, end), anywhere=True)

    def _end(
        self, trouble: CallTrouble | MachineTrouble, stands: Callable[[], bool], end: Callable[[], object]
    ) -> None:
        if not stands():
            return
        end()
        self.story.add("trouble", f"ends: {trouble}")
        self.checks.trouble_has_changed()
        if isinstance(trouble, CallTrouble) and trouble.is_outage:
            self.checks.outage_has_ended()

    def end_all_trouble(self) -> None:
        """From now on nothing fails, and nothing is planned to."""
        self.story.add("trouble", "all trouble ends")
        self.agenda.keep_only(self.start_again)
        abort_copies(self)
        start_control_store(self)
        self.gcs.hold(0)
        self.wire.troubles.clear()
        self.lab.faults.clear()
        if self.monitor is not None:
            self.monitor.process.kill = None
        self.checks.trouble_has_changed()

    # What must come true once nothing fails any more

    @property
    def _least(self) -> int:
        return int(self.scenario.changes["min_workers"])

    def _demand_is_served(self) -> None:
        """Wait until everything that is wanted runs."""
        limit = self.checks.served_seconds
        self.wait(lambda: not self.ray.pending and len(self.ray.workers) >= self._least, limit, "served")
        self.pass_time(SPARE_SECONDS + TICK)
        self.wait(lambda: not self.ray.pending, limit, "served")

    def _all_is_tidy(self) -> None:
        """Wait until every instance belongs to a node that is listed."""
        self.wait(lambda: not self.checks.instances.since, self.checks.tidy_seconds, "tidy")

    def _all_is_given_back(self) -> None:
        """Wait until nothing but `min_workers` is left; the idle timeout is at most a minute."""
        limit = 60.0 + self.checks.tidy_seconds
        self.wait(lambda: len(list(self.ours.instances())) <= self._least + 1, limit, "given back")

    def wait(self, done: Callable[[], bool], seconds: float, check: str) -> None:
        """Let time pass until something is so, at most so many seconds; after that the check of this name fails."""
        began = self.seconds
        self.pass_time(2 * TICK)
        while not done():
            if self.seconds - began > seconds:
                self.fail(check, f"after {seconds:.0f} s: {self._state()}")
            self.pass_time(TICK)
        self.story.add("invariants", f"{check} after {self.seconds - began:.0f} s")

    def _state(self) -> str:
        instances = len(list(self.ours.instances()))
        return (
            f"{self.ray.pending} still waits; {len(self.ray.workers)} workers have joined; {instances} instances live, "
            f"of which no listed node needs {sorted(self.checks.instances.since)}"
        )
