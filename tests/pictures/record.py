"""One life of a cluster on the simulated platform, with the commands whose output the documentation shows.

Time, names and chance are those of the simulation, so each recording has the same text. Imports no test.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from raydog_cli.main import app
from tests.simulation.config import QUICK, cluster_config, node_type
from tests.simulation.raylets import Demand
from tests.simulation.user_commands import add_neighbour
from tests.simulation.world import World

FOLDER = Path(__file__).parents[2] / "docs/pictures"

COLUMNS = 132
_TITLE = "raydog"
_HOME = "/home/ann"
_TEN_MINUTES = 700.0


@dataclass(frozen=True)
class Picture:
    """One command with its output.

    Attributes:
        name: the file's name without its ending.
        command: what the user types.
        output: what it prints, with the terminal's codes.
    """

    name: str
    command: str
    output: str

    def as_svg(self) -> str:
        """The picture as a terminal would show it."""
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        console.print(Text("$ ", "green") + Text(self.command, "bold"))
        console.print(Text.from_ansi(self.output.rstrip()))
        svg = console.export_svg(title=_TITLE, unique_id=f"raydog-{self.name}")
        return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # the documentation loads nothing


def shown_text(svg: str) -> str:
    """The text of a picture, for comparisons: rich's own drawing may change between its versions."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - a file of this repository
    texts = ["".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text")]
    return re.sub(r"\s+", " ", " ".join(texts)).strip()


def subjects(text: str) -> list[str]:
    """What `raydog doctor` has checked: the rest of its output depends on the machine."""
    return re.findall(r"[✓✗!] ([^:]+):", text)


def record(home: Path) -> Iterator[Picture]:
    """Every picture, in the order of the cluster's life.

    Args:
        home: an empty directory.
    """
    with World(home, autoscaler="v2", seed=18) as world:
        patch = world.monkeypatch
        patch.setattr("raydog_cli.common.is_terminal", lambda: True)
        for name, value in {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
            patch.setenv(name, value)
        patch.delenv("NO_COLOR", raising=False)
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        no_time = (None, lambda: world.seconds)
        patch.setattr("yellowdog_ray.commands.progress.Progress.__init__.__defaults__", no_time)
        yield from _life(world)


def _life(world: World) -> Iterator[Picture]:
    add_neighbour(world, cluster_config("training", world.key, cluster_lifetime_hours=8), {"worker": 2})
    world.pass_time(40 * 60)
    world.yaml = cluster_config(
        "demo",
        world.key,
        cluster_lifetime_hours=4,
        available_node_types={
            "head": node_type(QUICK, resources={"CPU": 0}, max_workers=0),
            "cpu": node_type(QUICK, max_workers=10),
            "gpu": node_type(resources={"CPU": 0, "GPU": 1}, max_workers=2),
        },
    )
    world.ours.begin()
    if not world.up():
        raise RuntimeError("`ray up` has failed")
    world.fault("capacity", source="roomy", limit=2)
    world.fault("task-exits", task="cpu-*", exit_code=3, times=1)
    world.want(Demand({"CPU": 1}, 3), Demand({"GPU": 1}, 1))
    world.pass_time(90)
    yield _picture(world, "doctor", "raydog doctor")
    yield _picture(world, "list", "raydog list")
    yield _picture(world, "status", "raydog status demo -n demo")
    yield _picture(world, "why", "raydog why demo -n demo")
    yield _picture(world, "events", "raydog events demo -n demo")
    yield _picture(world, "logs", "raydog logs demo -n demo")
    yield _picture(world, "down", "raydog down demo -n demo --yes")
    yield from _leftovers(world)


def _leftovers(world: World) -> Iterator[Picture]:
    """The head of the other cluster is aborted in YellowDog's portal; its workers remain."""
    head = next(task for task in world.lab.platform.store.tasks.values() if str(task.entity.name).startswith("head-"))
    world.lab.platform.tasks.cancel_by_user(head, abort=True)
    world.pass_time(_TEN_MINUTES)
    yield _picture(world, "gc", "raydog gc -n demo --dry-run")
    world.witness.look()


def _picture(world: World, name: str, command: str) -> Picture:
    with world.processes.inside(world.laptop(command)):
        result = CliRunner().invoke(app, command.split()[1:], catch_exceptions=False)
    return Picture(name, command, result.output.replace(str(world.home), _HOME))
