"""Draws reports as small SVG files that change only with the figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.contenders import Contender
from benchmarks.results import Report

_COLOURS = {"raydog": "#1f6feb", "published": "#d1602f"}
_PARTS = ("#8b949e", "#d1602f", "#57ab5a", "#d4a72c", "#1f6feb", "#8957e5", "#bf4b8a")
_ROUND_HOURS = 0.5

mpl.use("svg")
mpl.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "raydog",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def draw(report: Report, contenders: Sequence[Contender], directory: Path) -> list[str]:
    """Draw a case's plots. Returns the names of the files."""
    drawers = {"listing": _listing, "growth": _growth, "commands": _commands, "day": _day}
    drawer = drawers.get(report.case)
    if drawer is None:
        return []
    directory.mkdir(parents=True, exist_ok=True)
    return [_save(directory, report.case, drawer(report, contenders))]


def _save(directory: Path, name: str, figure: Any) -> str:
    figure.tight_layout()
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    return f"{name}.svg"


def _sizes(points: dict[str, Any]) -> tuple[list[int], list[Any]]:
    sizes = sorted(int(size) for size in points)
    return sizes, [points[str(size)] for size in sizes]


def _listing(report: Report, contenders: Sequence[Contender]) -> Any:
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    for contender in contenders:
        for kind, line in (("nothing changed", "-"), ("one node ended", "--")):
            points = report.series.get(contender.key, {}).get(kind)
            if points:
                sizes, values = _sizes(points)
                colour = _COLOURS[contender.key]
                axes.plot(sizes, values, line, marker="o", color=colour, label=f"{contender.label}, {kind}")
    axes.axhline(5, color="#57ab5a", linewidth=1, label="goal if nothing changed")
    axes.set(xscale="log", yscale="log", xlabel="live nodes", ylabel="processor time, ms", title="One listing")
    axes.legend(frameon=False)
    return figure


def _growth(report: Report, contenders: Sequence[Contender]) -> Any:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2))
    for contender in contenders:
        for version, line in (("v2", "-"), ("v1", "--")):
            points = report.series.get(f"{contender.key} {version}")
            if not points:
                continue
            sizes, values = _sizes(points)
            style = {"linestyle": line, "marker": "o", "color": _COLOURS[contender.key]}
            label = f"{contender.label}, {version}"
            left.plot(sizes, [point["provider"] for point in values], label=label, **style)
            right.plot(sizes, [point["calls"] for point in values], label=label, **style)
    left.set(xscale="log", yscale="log", xlabel="nodes", ylabel="s", title="Time in the provider")
    right.set(xscale="log", yscale="log", xlabel="nodes", title="Platform calls")
    left.legend(frameon=False)
    return figure


def _commands(report: Report, contenders: Sequence[Contender]) -> Any:
    titles = {"ray up": "`ray up`", "first task": "The first task on a new worker", "ray down": "`ray down`"}
    figure, all_axes = plt.subplots(3, 1, figsize=(8.4, 7.6))
    for axes, (what, title) in zip(all_axes, titles.items(), strict=True):
        _timeline(axes, {one.label: report.series.get(f"{what} {one.key}", []) for one in contenders})
        axes.set(xlabel="s, medians", title=title)
    return figure


def _timeline(axes: Axes, lives: dict[str, list[dict[str, float]]]) -> None:
    shown = [label for label in lives if lives[label]]
    for place, label in enumerate(reversed(shown)):
        left = 0.0
        for colour, name in zip(_PARTS, lives[label][0], strict=False):
            seconds = statistics.median(life[name] for life in lives[label])
            axes.barh(place, seconds, left=left, color=colour, label=name if label == shown[0] else None)
            left += seconds
    axes.set_yticks(range(len(shown)), list(reversed(shown)))
    if shown:
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2)


def _day(report: Report, contenders: Sequence[Contender]) -> Any:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0))
    for contender in contenders:
        points = report.series.get(contender.key, [])
        hours = [(number + 1) * _ROUND_HOURS for number in range(len(points))]
        for axes, name in ((left, "memory"), (right, "tick")):
            if points:
                axes.plot(hours, [point[name] for point in points], color=_COLOURS[contender.key])
    for axes, unit, title in ((left, "MiB", "Memory of the provider's process"), (right, "ms", "A tick")):
        _from_zero(axes)
        axes.set(xlabel="hour of the day", ylabel=unit, title=title)
    return figure


def _from_zero(axes: Axes) -> None:
    axes.set_ylim(0, axes.get_ylim()[1] * 1.2)
