"""Runs scenarios, one after the other in one process, and says how each one ended. Not to be used by two threads."""

from __future__ import annotations

import gc
import logging
import shlex
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.random_runs.draw import scenario
from tests.simulation.random_runs.random_run import NoCluster, RandomRun
from tests.simulation.random_runs.sabotage import SABOTAGES
from tests.simulation.story import Story, StoryHandler
from tests.simulation.violation import Violation
from yellowdog_local.state.profiles import changed
from yellowdog_local.state.settings import Settings

NO_CLUSTER = "settings"
"""In place of a failed check: with these settings of the platform, no cluster can be launched."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        invariant: the one that did not hold; None if all did.
        text: what did not hold.
        story: all that happened.
        seconds: how long the run was for those in it.
        calls: how many platform calls were made.
    """

    seed: int
    autoscaler: str
    invariant: str | None
    text: str
    story: str
    seconds: float
    calls: int
    settings: Settings = Settings()  # noqa: RUF009 - immutable

    @property
    def command(self) -> str:
        """What reproduces it."""
        assumed = "".join(f" --assume {shlex.quote(word)}" for word in changed(self.settings))
        return f"scripts/chaos --seed {self.seed} --autoscaler {self.autoscaler}{assumed}"


@dataclass(frozen=True)
class Order:
    """What another process is to run."""

    seed: int
    autoscaler: str | None
    sabotage: str | None
    settings: Settings = Settings()  # noqa: RUF009 - immutable


def run_order(order: Order) -> Outcome:
    """Run what was ordered."""
    return run(order.seed, order.autoscaler, order.sabotage, order.settings)


def run(
    seed: int,
    autoscaler: str | None = None,
    sabotage: str | None = None,
    settings: Settings = Settings(),  # noqa: B008 - immutable
) -> Outcome:
    """Run the scenario of a seed, with the provider as it is, or broken in one of the ways of `sabotage`."""
    what = scenario(seed, autoscaler)
    invariant, text = None, ""
    with tempfile.TemporaryDirectory(prefix="raydog-chaos-") as home, RandomRun(what, Path(home), settings) as world:
        began = world.seconds
        with _logged(world):
            try:
                world.begin()
                if sabotage is not None:
                    SABOTAGES[sabotage](world.monkeypatch)
                world.run()
            except Violation as violation:
                invariant, text = violation.invariant, str(violation)
                world.story.add("invariants", text)
                if violation.__cause__ is not None:
                    world.story.lines += traceback.format_exception(violation.__cause__)
            except AssertionError as error:  # of a check that is no invariant of the provider
                invariant, text = "platform", f"{type(error).__name__}: {error}"
                world.story.lines += traceback.format_exception(error)
            except NoCluster as error:
                invariant, text = NO_CLUSTER, f"no cluster can exist with {' '.join(changed(settings))}: {error}"
            except Exception as error:  # noqa: BLE001 - a mistake of the simulation must not end all runs
                invariant, text = "simulation", f"{type(error).__name__}: {error}"
                world.story.lines += traceback.format_exception(error)
        story = "\n".join([*what.lines(), "", str(world.story)])
        return Outcome(seed, what.autoscaler, invariant, text, story, world.seconds - began, world.wire.total, settings)


_LOUD = {"yellowdog_ray": logging.INFO, "ray.autoscaler": logging.ERROR}
_SILENT = ("ray", "yellowdog_local", "urllib3")


@contextmanager
def _logged(world: RandomRun) -> Iterator[Story]:
    """Have the provider's log, and Ray's complaints, in the story and nowhere else."""
    handler = StoryHandler(world.story, lambda: world.processes.name)
    loggers = [logging.getLogger(name) for name in {*_LOUD, *_SILENT}]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.handlers = [handler] if logger.name in _LOUD else []
        logger.propagate = False
        logger.setLevel(_LOUD.get(logger.name, logging.CRITICAL))
    try:
        yield world.story
    finally:
        for logger, level, propagate, handlers in before:
            logger.level, logger.propagate, logger.handlers = level, propagate, handlers


def spare_imports() -> None:
    """Leave what is imported out of garbage collections, which take a tenth of a run's time otherwise."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
