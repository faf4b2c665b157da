"""Measures the share of the head's supervisor in `ray up`, on real hosts.

`python -m benchmarks.supervised_up [--pairs N]`
docs/development/head.md has the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import yaml

from benchmarks.contenders import RAYDOG
from benchmarks.lab import lab
from benchmarks.ray_cluster import ray_cluster
from yellowdog_ray.node.scripts import CANNOT_SUPERVISE, HEAD_SCRIPT

CHECK = '"${supervise[@]}" --check 2>/dev/null'


def up_seconds(*, supervised: bool) -> float:
    """The duration of one `ray up`, whose hosts end with its platform."""
    with (
        tempfile.TemporaryDirectory(prefix="raydog-bench-") as directory,
        lab(kind="real", python=RAYDOG.python) as platform,
        ray_cluster(RAYDOG, platform.address, Path(directory)) as cluster,
    ):
        cluster.env["HOME"] = directory
        config = yaml.safe_load(cluster.yaml.read_text(encoding="utf-8"))
        script = HEAD_SCRIPT if supervised else HEAD_SCRIPT.replace(CHECK, f"( exit {CANNOT_SUPERVISE} )")
        assert supervised == (script == HEAD_SCRIPT)  # noqa: S101 - the script has changed
        config["provider"]["ray_head_node_task_script"] = script
        cluster.yaml.write_text(yaml.safe_dump(config), encoding="utf-8")
        return cluster.ray("up", "-y").seconds


def main() -> int:
    """Measure pairs of clusters; the order within a pair alternates."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supervised_up")
    parser.add_argument("--pairs", type=int, default=8)
    options = parser.parse_args()
    more = []
    for number in range(options.pairs):
        order = (True, False) if number % 2 else (False, True)
        seconds = {supervised: up_seconds(supervised=supervised) for supervised in order}
        more.append(seconds[True] - seconds[False])
        print(f"with {seconds[True]:.2f} s, without {seconds[False]:.2f} s: {more[-1]:+.2f} s", flush=True)
    print(f"median of {len(more)} pairs: {median(more):+.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
