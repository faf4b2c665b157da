"""Case 11: `ray up` and a first task with Ray's token authentication and without it, on real hosts, in alternation."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks.cases import commands
from benchmarks.contenders import RAYDOG, Contender
from benchmarks.lab import lab
from benchmarks.ray_cluster import RayCluster, ray_cluster
from benchmarks.results import Report
from benchmarks.session import Session

NAME = "tokens"
TITLE = "Token authentication"
TOKEN = replace(RAYDOG, key="token", label="`ray_auth: token`")
NONE = replace(RAYDOG, key="none", label="`ray_auth: none`")
COLUMNS = (TOKEN, NONE)

PAIRS = 8
"""Pairs of clusters; `ray start` varies by a second."""

UP = "ray up"
UP_MORE = "ray up: `token` above `none`, in pairs"
FIRST = "first task on a new worker, from demand to its start"
FIRST_MORE = "first task: `token` above `none`, in pairs"
ON_WORKER = "of that, from the start of the worker's task"

_FIGURES = (
    (UP, (commands.UP,)),
    (commands.UP_OURS, (commands.UP_OURS,)),
    (FIRST, (commands.FIRST,)),
    (ON_WORKER, (f"first task: {commands.JOINING}", f"first task: {commands.RUNNING}")),
)
"""The rows of the report, each the sum of rows of one measured cluster."""

_MOST_ABOVE = {UP: (UP_MORE, 0.3), FIRST: (FIRST_MORE, 0.2)}
"""The goals (seconds): what the token may cost."""


def run(session: Session) -> Report:
    """Measure pairs of clusters; the order within a pair alternates too."""
    report = Report(NAME)
    pairs = 1 if session.quick else PAIRS
    for number in range(pairs):
        session.say(f"pair {number + 1} of {pairs}")
        for contender in COLUMNS if number % 2 else reversed(COLUMNS):
            with session.attempt(report, contender, UP):
                _live(session, report, contender, phase=number / pairs)
    for name, (above, most) in _MOST_ABOVE.items():
        cells = report.row(name).cells
        if cells.keys() == {TOKEN.key, NONE.key}:
            both = zip(cells[TOKEN.key].values, cells[NONE.key].values, strict=False)
            report.row(above, "s", most).add(TOKEN.key, *(token - none for token, none in both))
    report.note(f"{pairs} pairs of clusters, each with a first task on one worker.")
    return report


def _live(session: Session, report: Report, contender: Contender, phase: float) -> None:
    """Measure one cluster, whose hosts end with its platform."""
    measured = Report(NAME)
    with (
        tempfile.TemporaryDirectory(prefix="raydog-bench-") as directory,
        lab(kind="real", python=contender.python) as platform,
        ray_cluster(contender, platform.address, Path(directory)) as cluster,
    ):
        cluster.env["HOME"] = directory  # the files that `ray down` would remove
        _set_mode(cluster, contender.key)
        commands.measure_up(measured, platform, cluster)
        time.sleep(phase * contender.tick_seconds)
        commands.measure_first_task(measured, platform, cluster)
    for name, rows in _FIGURES:
        seconds = sum(measured.row(row).cells[contender.key].values[0] for row in rows)
        report.row(name, "s").add(contender.key, seconds)
    session.say(
        f"{contender.label}: " + ", ".join(f"{row.cells[contender.key].values[-1]:.2f} s" for row in report.rows)
    )


def _set_mode(cluster: RayCluster, mode: str) -> None:
    config = yaml.safe_load(cluster.yaml.read_text(encoding="utf-8"))
    config["provider"]["ray_auth"] = mode
    cluster.yaml.write_text(yaml.safe_dump(config), encoding="utf-8")
