"""Draws the scenario of a seed. Pure.

Each class draws by numbers of its own, so that an addition leaves what the classes before it draw as it is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.distortions import LIST_KINDS, MOVES, Manners
from tests.simulation.processes import Kill
from tests.simulation.random_runs.scenario import (
    CALL_TROUBLES,
    CALLS,
    COPY,
    INCIDENTS,
    LATER_INCIDENTS,
    OUTAGE_KINDS,
    REQUEST,
    STORE_DIES,
    UNNAMED,
    WORKER_POOLS,
    CallTrouble,
    Command,
    Home,
    Incident,
    LastDown,
    Load,
    MachineTrouble,
    Scenario,
    Visit,
)
from tests.simulation.raylets import Demand
from tests.simulation.users import VISITS
from yellowdog_local import faults
from yellowdog_local.faults.rules import MachineFault, Rule


def scenario(seed: int, autoscaler: str | None = None) -> Scenario:
    """The scenario of a seed."""
    made = _Maker(random.Random(f"raydog {seed}")).make(seed, autoscaler)
    harsher = _Harsher(random.Random(f"raydog harsher {seed}"), made).make()
    hostile = _Hostile(random.Random(f"raydog hostile {seed}"), harsher).make()
    hidden = _with_hidden_pools(random.Random(f"raydog hidden {seed}"), hostile)
    store = _with_dying_store(random.Random(f"raydog store {seed}"), hidden)
    return _with_home(random.Random(f"raydog home {seed}"), store)


HOME_SEEDS = 5_000_000
"""From this seed on, every cluster ends itself when it is idle; below, one in seven."""


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


@dataclass
class _Hostile:
    """Adds what was drawn last of all, by numbers of its own: wrong clocks, small pages, outages, lagging searches."""

    chance: random.Random
    scenario: Scenario

    def make(self) -> Scenario:
        chance, scenario = self.chance, self.scenario
        outage = self._outage()
        return replace(
            scenario,
            length=max([scenario.length, *(one.ends + 60.0 for one in outage)]),
            loads=self._loads(outage),
            head_clock_error=chance.choice((0.0, 0.0, 600.0, -600.0, 7200.0, -7200.0)),
            page_size=chance.choice((None, None, 2, 3, 5)),
            calls=(*scenario.calls, *self._moving_lists(), *outage),
            machines=(*scenario.machines, *self._exiting_scripts()),
            incidents=tuple(sorted((*scenario.incidents, *self._copies()), key=lambda incident: incident.at)),
            last_down=replace(
                scenario.last_down,
                lagging=chance.choice((None, None, "GET /work/requirements", "GET *")),
                is_compute_broken=chance.random() < 0.15,
            ),
        )

    def _moment(self) -> float:
        return float(round(self.chance.uniform(0, self.scenario.length)))

    def _moving_lists(self) -> tuple[CallTrouble, ...]:
        chance = self.chance
        if chance.random() >= 0.3:
            return ()
        begins = self._moment()
        ends = begins + chance.choice((30.0, 90.0, self.scenario.length))
        return (CallTrouble(begins, ends, MOVES, "GET *", chance.choice((0.3, 1.0))),)

    def _loads(self, outage: tuple[CallTrouble, ...]) -> tuple[Load, ...]:
        """Loads that need launches in an outage and after it."""
        loads = self.scenario.loads
        for one in outage:
            others = [load for load in loads if not one.begins <= load.at <= one.ends + 60.0]
            loads = (*others, Load(one.begins + 5.0, (Demand({"CPU": 1}, MAX_WORKERS),)))
        return loads

    def _outage(self) -> tuple[CallTrouble, ...]:
        chance = self.chance
        if chance.random() >= 0.12:
            return ()
        begins = float(round(chance.uniform(0, 40)))
        kind = chance.choice(OUTAGE_KINDS)
        return (CallTrouble(begins, begins + chance.choice((100.0, 180.0, 240.0)), kind, "*", 1.0),)

    def _exiting_scripts(self) -> tuple[MachineTrouble, ...]:
        chance = self.chance
        if chance.random() >= 0.1:
            return ()
        begins = float(round(chance.uniform(0, 40)))
        rule = faults.TaskExits(pool=WORKER_POOLS, exit_code=chance.choice((0, 1, 137)))
        return (MachineTrouble(begins, begins + chance.choice((100.0, 200.0)), rule),)

    def _copies(self) -> tuple[Incident, ...]:
        chance = self.chance
        if chance.random() >= 0.15:
            return ()
        return (Incident(self._moment(), COPY, chance.random(), pause=chance.choice((20.0, 60.0))),)


def _with_hidden_pools(chance: random.Random, scenario: Scenario) -> Scenario:
    """Let the platform not show pools by their names, or not in lists either, during some last `ray down`."""
    unnamed = chance.choice((None, None, None, *UNNAMED))
    if scenario.last_down.lagging == "GET *":
        unnamed = None  # there would be no way to find a pool
    return replace(scenario, last_down=replace(scenario.last_down, unnamed=unnamed))


def _with_home(chance: random.Random, scenario: Scenario) -> Scenario:
    """Let some clusters end themselves when they are idle, while users come and go."""
    if scenario.seed < HOME_SEEDS and scenario.seed % 7 != 4:
        return scenario
    length = scenario.length

    def moment() -> float:
        return float(round(chance.uniform(0, length)))

    def visit() -> Visit:
        begins = moment()
        return Visit(begins, begins + chance.choice((0.0, 2.0, 30.0, 120.0)), chance.choice(VISITS))

    home = Home(
        minutes=chance.choice((1, 1, 1.5, 3)),
        visits=tuple(visit() for _ in range(chance.choice((0, 1, 2, 4)))),
        silences=tuple((moment(), chance.choice((3.0, 20.0))) for _ in range(chance.choice((0, 0, 1)))),
        kill=chance.choice((None, Kill(chance.randint(1, 14), applied=chance.random() < 0.5))),
        pause=chance.choice((1.0, 5.0, 30.0)),
        comes_back=chance.random() < 0.4,
        is_deaf=chance.random() < 0.2,
    )
    is_blind = chance.random() < 0.4 and home.kill is None and not home.is_deaf
    return replace(scenario, home=replace(home, is_blind=is_blind))


def _with_dying_store(chance: random.Random, scenario: Scenario) -> Scenario:
    """Let the control store die in some runs, once or twice, with or without nodes that users hold."""
    if chance.random() >= 0.2:
        return scenario
    deaths = [round(chance.uniform(0.3, 1.0) * scenario.length) for _ in range(chance.choice((1, 1, 2)))]
    incidents = [Incident(float(at), STORE_DIES, pause=chance.choice((1.0, 5.0, 30.0, 70.0))) for at in deaths]
    if chance.random() < 0.7 and scenario.autoscaler == "v2":
        incidents.append(Incident(float(round(chance.uniform(0, 20))), REQUEST, chance.random()))
    return replace(scenario, incidents=tuple(sorted((*scenario.incidents, *incidents), key=lambda one: one.at)))
