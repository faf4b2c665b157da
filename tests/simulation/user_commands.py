"""Commands on the user's machine: each is a process, which may be killed and whose end is in the story."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.config import BOOTED_SECONDS
from tests.simulation.monitor import TICK_SECONDS
from tests.simulation.processes import Kill, Killed
from tests.simulation.ray_commands import CommandFailed, make_head, make_workers, run_command

if TYPE_CHECKING:
    from tests.simulation.world import World


def run_on_laptop(world: World, name: str, run: Callable[[], Any], kill: Kill | None) -> Any:
    """Run a command of the cluster's user. Returns its result; None if it failed or was killed."""
    process = world.laptop(name)
    if kill:
        process.condemn(kill)
    world.story.add(name, f"begins{f', and will be killed {kill}' if kill else ''}")
    result = None
    with world.processes.inside(process):
        try:
            result = run_command(run)
        except CommandFailed as error:
            world.story.add(name, f"fails: {error}")
        except Killed:
            world.story.add(name, f"is killed {kill}")
        except Exception as error:  # noqa: BLE001  a violation, whatever it is
            world.fail("commands", f"`{name}` ends with a traceback: {error!r}", error)
        else:
            world.story.add(name, "succeeds")
    world.checks.others_are_untouched()
    return result


def add_neighbour(world: World, config: dict[str, Any], workers: dict[str, int]) -> None:
    """Launch another cluster with so many workers of each type, which run on without an autoscaler."""
    with world.processes.inside(world.laptop(config["cluster_name"])):
        run_command(lambda: make_head(config))
        world.pass_time(BOOTED_SECONDS + world.wire.manners.address_delay)
        make_workers(config, workers)
    world.pass_time(TICK_SECONDS)
