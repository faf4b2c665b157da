"""What a random run is about: the cluster, its load, and all that goes wrong. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.distortions import SHOWS_NOTHING, Manners
from tests.simulation.processes import Kill
from tests.simulation.raylets import Demand
from tests.simulation.trouble import Trouble
from yellowdog_local.faults.rules import Rule

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


OUTAGE_KINDS = ("refused", "hang", "500", "502", "503", "401")

OUTAGE_SECONDS = 60.0
"""Readings take place at least every 15 s, so that one fails in an outage of this length."""


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

    @property
    def is_outage(self) -> bool:
        """Whether every call fails for long."""
        lasts = self.ends - self.begins >= OUTAGE_SECONDS
        return lasts and self.calls == "*" and self.probability == 1.0 and self.kind in OUTAGE_KINDS

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

COPY = "somebody copies a task"
"""An incident that is drawn after those."""

REQUEST = "users request nodes"
STORE_DIES = "the control store dies"
HEAD_PROCESSES = (REQUEST, STORE_DIES)
"""Incidents that are drawn last of all; the first concerns autoscaler v2 only."""


@dataclass(frozen=True)
class Incident:
    """Something happens once.

    Attributes:
        what: one of `INCIDENTS`, `LATER_INCIDENTS` or `HEAD_PROCESSES`, `COPY`, or "the head is lost".
        which: chooses among those that it may strike, from 0 to 1.
        kill: for a killed autoscaler, when exactly.
        pause: for a killed autoscaler or control store, how long it is away; for a copy, how long it runs (seconds).
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


UNNAMED = {
    "by name": (("404", "GET /workerPools/demo/*"),),
    "in lists": (("404", "GET /workerPools/demo/*"), (SHOWS_NOTHING, "GET /workerPools/")),
}
"""Kinds and calls of the troubles in which pools are not shown."""


@dataclass(frozen=True)
class LastDown:
    """What the last `ray down`, which must succeed, comes across.

    Attributes:
        is_slow_head: whether the head outlives its abort for a while, with demand for more nodes.
        late_pool: at which read of the work requirement by `ray down` the platform serves a call of the autoscaler
            that provisions a pool, and whose answer was lost; None for no such call.
        lagging: a pattern of the searches that show nothing meanwhile; None for none.
        is_compute_broken: whether another `ray down` comes before, which cannot read what becomes of the instances.
        unnamed: how the platform does not show pools: not "by name", or not "in lists" either; None if it shows them.
    """

    is_slow_head: bool = False
    late_pool: int | None = None
    lagging: str | None = None
    is_compute_broken: bool = False
    unnamed: str | None = None


@dataclass(frozen=True)
class Visit:
    """Somebody uses the cluster for a while, beside the load.

    Attributes:
        begins, ends: seconds from the beginning of the main phase.
        kind: one of `users.VISITS`.
    """

    begins: float
    ends: float
    kind: str


@dataclass(frozen=True)
class Home:
    """The cluster ends itself when it is idle.

    Attributes:
        minutes: the cluster's `idle_termination_minutes`.
        visits: who uses it.
        silences: when, and for how long, Ray answers nothing (seconds).
        kill: when the autoscaler is killed as the cluster ends itself at last; None for no kill.
        pause: how long it is away then (seconds).
        comes_back: whether somebody uses the cluster again while it is away.
        is_deaf: whether workers ignore their aborts at last.
        is_blind: whether the autoscaler starts again at last, and can never read a worker pool.
    """

    minutes: float
    visits: tuple[Visit, ...] = ()
    silences: tuple[tuple[float, float], ...] = ()
    kill: Kill | None = None
    pause: float = 5.0
    comes_back: bool = False
    is_deaf: bool = False
    is_blind: bool = False


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
        head_clock_error: how far the clock of the head is ahead (seconds).
        page_size: entries per page of the lists that the provider reads; None for its own size.
        home: how the cluster ends itself when it is idle; None if it does not.
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
    head_clock_error: float = 0.0
    page_size: int | None = None
    home: Home | None = None

    def lines(self) -> list[str]:
        """What it is about, for the head of a story."""
        return [
            f"seed {self.seed}, autoscaler {self.autoscaler}, {self.changes}",
            f"{self.manners}, {self.last_down}, instances terminate in {self.shutdown_seconds} s",
            f"the head's clock is {self.head_clock_error:g} s ahead, pages have {self.page_size or 1_000} entries",
            *([str(self.home)] if self.home else []),
            *(f"from {trouble.begins:g} s to {trouble.ends:g} s: {trouble}" for trouble in self.calls),
            *(f"from {trouble.begins:g} s to {trouble.ends:g} s: {trouble}" for trouble in self.machines),
        ]
