"""The part of a random run in which the cluster ends itself when it is idle, while users come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.exceptions import unnoticed_seconds
from tests.simulation.idle_checks import HOME_SECONDS
from tests.simulation.limits import TICK
from tests.simulation.random_runs.scenario import WORKER_POOLS, Home, Load
from tests.simulation.trouble import Trouble
from tests.simulation.users import DRIVER
from yellowdog_local import faults
from yellowdog_ray.monitor.idle_end import FAILED_ROUNDS

if TYPE_CHECKING:
    from tests.simulation.random_runs.random_run import RandomRun

LAST, LATE = "the last visitor", "a late visitor"

BLIND_SECONDS = 2 * 2 * FAILED_ROUNDS * TICK
"""How much later an idle cluster ends that can never be listed: two steps of its end fail, at every second tick."""


def plan_visits(run: RandomRun, home: Home) -> None:
    """Let users come and go, and Ray answer nothing for a while, counted from now."""
    for visit in home.visits:
        name = f"the visitor of {visit.begins:g} s"
        run.at(visit.begins, lambda visit=visit, name=name: come(run, name, visit.kind))
        run.at(visit.ends, lambda name=name: _go(run, name))
    for begins, seconds in home.silences:
        run.at(begins, lambda seconds=seconds: _fall_silent(run, seconds))


def come(run: RandomRun, name: str = LAST, kind: str = DRIVER) -> None:
    """Let somebody begin to use the cluster, unless it has begun to end."""
    if not run.checks.home.committed:
        run.story.add("users", f"{name} comes: a {kind}")
        run.ray.users.come(name, kind)


def _go(run: RandomRun, name: str) -> None:
    run.story.add("users", f"{name} goes")
    run.ray.users.leave(name)


def _fall_silent(run: RandomRun, seconds: float) -> None:
    run.story.add("head", f"Ray answers nothing for {seconds:g} s")
    run.ray.users.silent = True
    run.at(seconds, run.ray.users.speak, anywhere=True)


def complete_its_end(run: RandomRun) -> None:
    """All visitors go. An end that has begun while calls failed is completed soon after they succeed again."""
    run.end_all_trouble()
    run.ray.users.speak()
    run.ray.users.leave_all()
    if run.checks.home.committed:
        run.wait(lambda: run.head is None, HOME_SECONDS, "home")


def go_home(run: RandomRun, home: Home) -> None:
    """The last user goes. After the time, and a minute more, nothing is left, or an empty pool that was hidden."""
    run.want_load(Load(run.seconds, ()))
    _go(run, LAST)
    seconds = home.minutes * 60
    if home.is_deaf:
        run.lab.faults.add(faults.AbortLost(pool=WORKER_POOLS))
    if home.kill is not None:
        run.wait(lambda: _is_about_to_end(run), seconds + HOME_SECONDS, "home")
        run.condemn_monitor(home.kill, home.pause)
        if home.comes_back:
            run.at(TICK + 1, lambda: come(run, LATE))
            run.at(TICK + 1 + seconds, lambda: _go(run, LATE))
            seconds *= 2
        seconds += home.minutes * 60 + home.pause + 2 * TICK
    if home.is_blind:
        run.wire.add(Trouble("500", f"GET /workerPools/*/{WORKER_POOLS}"))
        run.restart_autoscaler()
        seconds += BLIND_SECONDS
    run.wait(lambda: run.head is None, seconds + HOME_SECONDS, "home")
    run.wire.troubles.clear()
    run.wait(lambda: not any(run.ours.instances()), HOME_SECONDS, "home")
    if home.is_blind:
        return  # what could not be read may be left, an empty pool, until somebody runs `ray down`
    run.wait(lambda: not run.ours.left, HOME_SECONDS + unnoticed_seconds(run.settings), "home")


def _is_about_to_end(run: RandomRun) -> bool:
    """Whether the next round ends the cluster, or the one after it."""
    left = run.provider.side.idleness.seconds_left
    return left is not None and left <= TICK
