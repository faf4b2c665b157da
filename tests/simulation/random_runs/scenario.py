"""What a random run is about, made from a seed: the cluster, its load, and all that goes wrong. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.distortions import LIST_KINDS, Manners
from tests.simulation.processes import Kill
from tests.simulation.raylets import Demand
from tests.simulation.wire import Trouble
from yellowdog_local import faults
from yellowdog_local.faults.rules import MachineFault, Rule

CLUSTER = "crew-west"
NEIGHBOURS = ("crew", "crew-west-2")
"""Other clusters of the account: one whose name is the beginning of ours, one whose name ours is the beginning of."""

WORKER_POOLS = f"{CLUSTER}-[cg]pu-*"

CALL_TROUBLES = (
    *("refused", "hang", "hang, applied", "cut", "500, applied", "delay", "drips"),
    *("500", "502", "503", "400", "403", "404", "409", "422"),
    *("429", "429, retry after 1", "429, retry after 20"),
    *("a web page", "half an answer", "an empty object", "an empty list", "null", "another thing"),
)
"""How a call may go wrong. What says 'applied', 'cut', 'delay' and 'drips' are served; the rest are not."""

CALLS = (
    "*",
    "*",
    "GET *",
    "[PD][OUE]* *",
    "POST *",
    "GET /work/tasks",
    "GET /work/requirements*",
    "PUT /work/requirements*",
    "POST */tasks",
    "* /workerPools*",
    "POST */template",
    "* /compute*",
    "DELETE *",
)


@dataclass(frozen=True)
class CallTrouble:
    """For a while, calls go wrong.

    Attributes:
        begins, ends: seconds from the beginning of the phase that it belongs to.
        kind: one of `CALL_TROUBLES`, or "401".
        calls: which calls, as a pattern of `VERB path`.
        probability: how many of them.
    """

    begins: float
    ends: float
    kind: str
    calls: str
    probability: float

    def on_wire(self) -> Trouble:
        """The fault to put in force."""
        return Trouble(self.kind, self.calls, self.probability)

    def __str__(self) -> str:
        return f"{self.probability:.0%} of the calls '{self.calls}': {self.kind}"


@dataclass(frozen=True)
class MachineTrouble:
    """For a while, machines, tasks or lists go wrong: a fault of the local platform's."""

    begins: float
    ends: float
    rule: Rule

    def __str__(self) -> str:
        return repr(self.rule)


@dataclass(frozen=True)
class Load:
    """From now on Ray's users want this, and nothing else."""

    at: float
    demands: tuple[Demand, ...]

    def __str__(self) -> str:
        return " and ".join(f"{demand.count} x {demand.resources}" for demand in self.demands) or "nothing"


INCIDENTS = (
    *("a worker is lost", "a worker is lost", "all workers are lost"),
    *("a worker's raylet dies", "a worker's agent falls silent", "the next raylet never joins"),
    *("the autoscaler starts anew", "the autoscaler is killed", "the autoscaler is killed"),
    *("the tag store dies", "the tag store starts empty"),
    *("somebody shuts a pool down", "somebody aborts a task", "the user says `ray up` again"),
)

LATER_INCIDENTS = (
    "a platform node's address changes",
    "the tag store is poisoned",
    "the tag store drips",
)
"""Incidents that are drawn apart, so that the others of a seed stay as they are."""


@dataclass(frozen=True)
class Incident:
    """Something happens once.

    Attributes:
        what: one of `INCIDENTS` or `LATER_INCIDENTS`, or "the head is lost".
        which: chooses among those that it may strike, from 0 to 1.
        kill: for a killed autoscaler, when exactly.
        pause: for a killed autoscaler, how long it is away (seconds).
    """

    at: float
    what: str
    which: float = 0.0
    kill: Kill = field(default_factory=lambda: Kill(1, applied=False))
    pause: float = 5.0


@dataclass(frozen=True)
class Command:
    """A try of `ray up` or `ray down`.

    Attributes:
        kill: when it is killed, or None.
        troubles: what is wrong with calls meanwhile.
    """

    kill: Kill | None = None
    troubles: tuple[CallTrouble, ...] = ()


@dataclass(frozen=True)
class LastDown:
    """What the last `ray down`, which must succeed, comes across.

    Attributes:
        is_slow_head: whether the head outlives its abort for a while, with demand for more nodes.
        late_pool: at which reading of the work requirement by `ray down` the platform serves a call of the autoscaler
            that makes a pool, and whose answer was lost; None for no such call.
    """

    is_slow_head: bool = False
    late_pool: int | None = None


@dataclass(frozen=True)
class Scenario:
    """Everything about one run.

    Attributes:
        autoscaler: "v1" or "v2".
        changes: what the cluster's YAML has beside the usual.
        ups: the tries of `ray up` before the last one, with which nothing is wrong.
        loads, incidents, calls, machines: what happens while the cluster runs.
        length: how long that phase is (seconds).
        last_load: what is wanted when all trouble is over.
        gives_back: whether all load ends before `ray down`.
        downs: the tries of `ray down` before the last one.
        late_jobs: how often, from 0 to 1, work in threads is left for the next tick.
        manners: how the platform behaves throughout the run.
        shutdown_seconds: how long an instance takes to terminate.
        last_down: what the last `ray down` comes across.
    """

    seed: int
    autoscaler: str
    changes: dict[str, Any]
    ups: tuple[Command, ...]
    loads: tuple[Load, ...]
    incidents: tuple[Incident, ...]
    calls: tuple[CallTrouble, ...]
    machines: tuple[MachineTrouble, ...]
    length: float
    last_load: Load
    gives_back: bool
    downs: tuple[Command, ...]
    late_jobs: float = 0.0
    manners: Manners = field(default_factory=Manners)
    shutdown_seconds: int = 0
    last_down: LastDown = field(default_factory=LastDown)

    def lines(self) -> list[str]:
        """What it is about, for the head of a story."""
        return [
            f"seed {self.seed}, autoscaler {self.autoscaler}, {self.changes}",
            f"{self.manners}, {self.last_down}, instances terminate in {self.shutdown_seconds} s",
            *(f"from {trouble.begins:g} s to {trouble.ends:g} s: {trouble}" for trouble in self.calls),
            *(f"from {trouble.begins:g} s to {trouble.ends:g} s: {trouble}" for trouble in self.machines),
        ]


def scenario(seed: int, autoscaler: str | None = None) -> Scenario:
    """The scenario of a seed."""
    made = _Maker(random.Random(f"raydog {seed}")).make(seed, autoscaler)
    return _Harsher(random.Random(f"raydog harsher {seed}"), made).make()


MAX_WORKERS = 8


@dataclass
class _Maker:
    chance: random.Random
    length: float = 0.0
    changes: dict[str, Any] = field(default_factory=dict)

    def make(self, seed: int, autoscaler: str | None) -> Scenario:
        chance = self.chance
        drawn = chance.choice(("v1", "v2"))
        self.changes = self._changes()
        self.length = chance.choice((60.0, 100.0, 100.0, 160.0, 240.0))
        return Scenario(
            seed=seed,
            autoscaler=autoscaler or drawn,
            changes=self.changes,
            ups=self._commands(0.3),
            loads=self._loads(),
            incidents=self._incidents(),
            calls=tuple(self._call_trouble(self.length) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))),
            machines=tuple(self._machine_trouble() for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
            length=self.length,
            last_load=Load(self.length, self._demands()),
            gives_back=chance.random() < 0.35,
            downs=self._commands(0.4),
            late_jobs=chance.choice((0.0, 0.0, 0.3)),
        )

    def _changes(self) -> dict[str, Any]:
        chance = self.chance
        return {
            "min_workers": chance.choice((0, 0, 0, 1, 2)),
            "max_workers": MAX_WORKERS,
            "build_minutes": chance.choice((1, 1, 2)),
            "idle_minutes": chance.choice((0.2, 0.2, 0.5, 1)),
            "gpu": chance.random() < 0.4,
        }

    def _demands(self) -> tuple[Demand, ...]:
        chance = self.chance
        demands = []
        if (count := chance.choice((0, 1, 1, 2, 3, 5))) > 0:
            demands.append(Demand({"CPU": 1}, count))
        if self.changes["gpu"] and chance.random() < 0.5:
            demands.append(Demand({"GPU": 1}, chance.choice((1, 2))))
        return tuple(demands)

    def _loads(self) -> tuple[Load, ...]:
        times = sorted(self._moment() for _ in range(self.chance.choice((1, 2, 3, 5))))
        return (Load(0.0, self._demands()), *(Load(at, self._demands()) for at in times))

    def _moment(self) -> float:
        return float(round(self.chance.uniform(0, self.length)))

    def _incidents(self) -> tuple[Incident, ...]:
        chance = self.chance
        incidents = [self._incident(chance.choice(INCIDENTS)) for _ in range(chance.choice((0, 1, 1, 2, 3, 5)))]
        if chance.random() < 0.04:
            incidents.append(self._incident("the head is lost"))
        return tuple(sorted(incidents, key=lambda incident: incident.at))

    def _incident(self, what: str) -> Incident:
        chance = self.chance
        return Incident(self._moment(), what, chance.random(), self._kill(12), chance.choice((5.0, 30.0, 70.0)))

    def _kill(self, most: int) -> Kill:
        return Kill(self.chance.randint(1, most), applied=self.chance.random() < 0.5)

    def _commands(self, probability: float) -> tuple[Command, ...]:
        chance = self.chance
        commands: list[Command] = []
        while chance.random() < probability and len(commands) < 3:
            kill = self._kill(25) if chance.random() < 0.6 else None
            troubles = tuple(self._call_trouble(60.0) for _ in range(chance.choice((0, 1, 1)) if kill else 1))
            commands.append(Command(kill, troubles))
        return tuple(commands)

    def _call_trouble(self, length: float) -> CallTrouble:
        chance = self.chance
        begins = float(round(chance.uniform(0, length * 0.7)))
        lasts = chance.choice((10.0, 30.0, 60.0, length))
        if chance.random() < 0.08:
            return CallTrouble(begins, begins + lasts, "401", "*", 1.0)
        kind = chance.choice(CALL_TROUBLES)
        return CallTrouble(begins, begins + lasts, kind, chance.choice(CALLS), chance.choice((0.1, 0.3, 0.6, 1.0)))

    def _machine_trouble(self) -> MachineTrouble:
        begins = self._moment()
        return MachineTrouble(begins, begins + self.chance.choice((10.0, 40.0, 90.0)), self._rule())

    def _rule(self) -> Rule:
        chance = self.chance
        if chance.random() < 0.15:
            return faults.ListingLag(call="GET *", seconds=chance.choice((3.0, 12.0)))
        some = {
            "pool": WORKER_POOLS,
            "seed": chance.randrange(1000),
            "probability": chance.choice((0.3, 0.7, 1.0)),
        }
        rules: tuple[MachineFault, ...] = (
            faults.NeverBoots(**some),
            faults.NeverRegisters(**some),
            faults.Lost(**some, after_seconds=chance.choice((0.0, 20.0))),
            faults.Lost(**some, after_seconds=chance.choice((0.0, 20.0)), notice=True, notice_seconds=30.0),
            faults.TaskExits(**some),
            faults.AbortLost(**some),
            faults.Capacity(source="roomy", limit=chance.choice((0, 1, 3))),
        )
        return chance.choice(rules)


@dataclass
class _Harsher:
    """Adds to a scenario what was drawn later than the rest, by numbers of its own."""

    chance: random.Random
    scenario: Scenario

    def make(self) -> Scenario:
        chance, scenario = self.chance, self.scenario
        return replace(
            scenario,
            manners=Manners(chance.choice((0.0, 0.0, 3.0, 12.0)), ends_early=chance.random() < 0.3),
            shutdown_seconds=chance.choice((0, 0, 0, 4, 15)),
            calls=(*scenario.calls, *self._distorted_lists(0.3)),
            machines=(*scenario.machines, *self._exiting_scripts()),
            incidents=tuple(sorted((*scenario.incidents, *self._incidents()), key=lambda incident: incident.at)),
            downs=tuple(replace(one, troubles=(*one.troubles, *self._distorted_lists(0.2))) for one in scenario.downs),
            last_down=LastDown(chance.random() < 0.5, chance.choice((None, None, 1, 2, 3, 4))),
        )

    def _moment(self) -> float:
        return float(round(self.chance.uniform(0, self.scenario.length)))

    def _distorted_lists(self, probability: float) -> tuple[CallTrouble, ...]:
        chance = self.chance
        if chance.random() >= probability:
            return ()
        begins, calls = self._moment(), chance.choice(("GET /work/tasks", "GET /workerPools/nodes", "GET *"))
        ends = begins + chance.choice((10.0, 60.0, self.scenario.length))
        return (CallTrouble(begins, ends, chance.choice(LIST_KINDS), calls, chance.choice((0.2, 0.6, 1.0))),)

    def _exiting_scripts(self) -> tuple[MachineTrouble, ...]:
        chance = self.chance
        if chance.random() >= 0.15:
            return ()
        begins = self._moment()
        rule = faults.TaskExits(pool=WORKER_POOLS, exit_code=chance.choice((0, 1, 1, 127)))
        return (MachineTrouble(begins, begins + chance.choice((30.0, 90.0)), rule),)

    def _incidents(self) -> list[Incident]:
        chance = self.chance
        count = chance.choice((0, 0, 1, 2))
        return [Incident(self._moment(), chance.choice(LATER_INCIDENTS), chance.random()) for _ in range(count)]
