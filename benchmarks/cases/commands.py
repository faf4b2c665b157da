"""Cases 1, 2 and 3: `ray up`, the first task on a new worker, and `ray down`, on real hosts.

One cluster gives all three: its head starts, each of two tasks needs a new worker, and the cluster is torn down.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.contenders import PUBLISHED, RAYDOG, REPOSITORY, Contender, Failed
from benchmarks.lab import BOOT_SECONDS, Lab, lab
from benchmarks.ray_cluster import RayCluster, ray_cluster, ssh
from benchmarks.real_head import head_without_ray
from benchmarks.results import Report
from benchmarks.session import Session

NAME = "commands"
TITLE = "`ray up`, the first task on a new worker, `ray down`"

JOB = REPOSITORY / "benchmarks/first_task.py"
WORKERS = 2
RAY_DOWN_SLEEPS = 5.0
"""Pause of `ray down` between two polls for live nodes (autoscaler/_private/commands.py of Ray 2.60)."""

LIVES, FEW_LIVES = 5, 4
"""Each run's first task has another phase within the autoscaler's tick; without that, all have the same."""

UP = "ray up"
UP_RAY = "ray up, until Ray answers on the head"
UP_ABOVE = "of that, above the boot and the start of Ray's command"
UP_OURS = "of that, before `ray start` begins on the head"
FIRST = "first task on a new worker, from demand to its start"
FIRST_OURS = "of that, neither boot nor Ray's start on the host"
JOINING = "`ray start`, until the node has joined"
RUNNING = "until a Ray worker runs the task"
DOWN = f"ray down of a head with {WORKERS} workers"
DOWN_ABOVE = f"of that, above the start of Ray's command and {RAY_DOWN_SLEEPS:.0f} s"
ALONE = "`ray start --head` alone on such a host, until Ray answers"

PUBLISHING = ("POST /work/requirements", "PUT /work/requirements/{id}/transition/")
"""The beginnings of the calls by which RayDog's head publishes its state. They launch nothing: a launch adds a task
group to the work requirement (`PUT /work/requirements`), provisions a pool and submits tasks."""

_RAY_SECONDS = 60
_RAY_ANSWERS = f"""\
for i in $(seq {_RAY_SECONDS * 20}); do [ -s /tmp/ray/ray_current_cluster ] && exit; sleep 0.05; done; exit 1"""


def run(session: Session) -> Report:
    """Measure several clusters of each contender."""
    report = Report(NAME)
    for contender in session.contenders:
        runs = min(session.runs, LIVES if contender is RAYDOG else FEW_LIVES)
        for number in range(runs):
            session.say(f"{contender.label}: life {number + 1} of {runs}")
            live(session, report, contender, phase=number / runs)
            if contender is PUBLISHED:
                _ray_alone(session, report)
    report.note(
        f"A host boots in {BOOT_SECONDS} s. Clusters measured: {LIVES} of RayDog, {FEW_LIVES} of {PUBLISHED.label}. "
        f"Each runs a first task on each of {WORKERS} workers. `ray start` alone is measured on an idle head of "
        f"{PUBLISHED.label}, which can be up without Ray."
    )
    return report


def live(session: Session, report: Report, contender: Contender, delay: float = 0.0, phase: float = 0.0) -> None:
    """Measure one cluster, from `ray up` to `ray down`.

    Args:
        session: the run.
        report: receives the figures.
        contender: the measured package.
        delay: additional duration of each platform call (seconds).
        phase: delay of the first task as a share of a tick.
    """
    at = f" at {delay * 1e3:.0f} ms per call" if delay else ""
    with (
        session.attempt(report, contender, UP + at),
        tempfile.TemporaryDirectory(prefix="raydog-bench-") as directory,
        lab(kind="real", python=contender.python) as platform,
        ray_cluster(contender, platform.address, Path(directory)) as cluster,
    ):
        platform.delay(delay)
        measure_up(report, platform, cluster, at)
        time.sleep(phase * contender.tick_seconds)
        measure_first_task(report, platform, cluster, at)
        _grow_on(session, report, platform, cluster, at)
        _down(report, platform, cluster, at)
        last = [report.row(name + at).cells[contender.key].values[-1] for name in (UP_RAY, FIRST, DOWN)]
        session.say(f"{contender.label}{at}: up {last[0]:.1f} s, first task {last[1]:.1f} s, down {last[2]:.1f} s")


def measure_up(report: Report, platform: Lab, cluster: RayCluster, at: str = "") -> None:
    """Measure `ray up`, until Ray answers on the head."""
    key, cli, mark = cluster.contender.key, _command_start(cluster), platform.mark()
    up = cluster.ray("up", "-y")
    head = platform.nodes()[0]
    address = platform.executing()[0]["ip"]
    answered = up.seconds + _wait_for_ray(cluster, address)
    calls = platform.timed_calls(mark)
    asked = max(wall for wall, _, route in calls if not route.startswith("GET") and wall < head["started"])
    ray_start = cluster.process_began(address, "start", "--head")
    moments = {
        "start of Ray's command, checks of the YAML": calls[0][0] - calls[0][1] / 1e3,
        "platform calls, until the head's task is submitted": asked,
        "boot, until its task runs": head["started"],
        "files over SSH, until `ray start` begins": ray_start,
        "`ray start`, until its control store starts": cluster.process_began(address, "/gcs_server"),
        "`ray start`, until its dashboard serves and the raylet starts": cluster.process_began(address, "/raylet"),
        "`ray start`, until the raylet's agents run and Ray answers": up.began + answered,
    }
    parts = _between(up.began, moments)
    report.row(UP + at, "s").add(key, up.seconds)
    report.row(UP_RAY + at, "s").add(key, answered)
    report.row(UP_ABOVE + at, "s", 3.0).add(key, answered - BOOT_SECONDS - cli)
    report.row(UP_OURS + at, "s").add(key, ray_start - up.began - BOOT_SECONDS - cli)
    report.row(f"start of Ray's command alone (`ray up --help`){at}", "s").add(key, cli)
    for name, seconds in parts.items():
        report.row(f"ray up: {name}{at}", "s").add(key, seconds)
    report.row(f"ray up: platform calls made{at}").add(key, len(calls))
    report.series.setdefault(f"ray up {key}{at}", []).append(parts)


def _between(began: float, moments: dict[str, float]) -> dict[str, float]:
    """Duration of each part, from the end times of all parts."""
    ends = [began, *moments.values()]
    return {name: end - start for name, start, end in zip(moments, ends, ends[1:], strict=False)}


def _command_start(cluster: RayCluster) -> float:
    """Start-up time of Ray's command (seconds)."""
    began = time.perf_counter()
    command = [str(cluster.contender.python.with_name("ray")), "up", "--help"]
    subprocess.run(command, env=cluster.env, check=True, capture_output=True)
    return time.perf_counter() - began


def _wait_for_ray(cluster: RayCluster, address: str) -> float:
    """Wait until a job can connect to Ray on the head (Ray writes a file): not every `ray up` waits for that."""
    began = time.monotonic()
    if subprocess.run([*ssh(cluster.ssh_key, address), _RAY_ANSWERS], check=False).returncode != 0:
        raise Failed(f"Ray did not answer on the head within {_RAY_SECONDS} s of the end of `ray up`")
    return time.monotonic() - began


def _ray_alone(session: Session, report: Report) -> None:
    """Measure `ray start --head` on an idle head."""
    with session.attempt(report, PUBLISHED, ALONE), head_without_ray(PUBLISHED, None, WORKERS) as (*_, login):
        began = time.monotonic()
        start = f". venv/bin/activate; ray start --head --port=6379 >/dev/null & {_RAY_ANSWERS}"
        subprocess.run([*login, start], check=True, capture_output=True)
        report.row(ALONE, "s").add(PUBLISHED.key, time.monotonic() - began)


def _grow_on(session: Session, report: Report, platform: Lab, cluster: RayCluster, at: str) -> None:
    """Launch the other workers, each by its own first task. After one failure, skip this for later clusters."""
    growing, contender = f"growing to {WORKERS} workers{at}", cluster.contender
    if any(row.name == growing and contender.key in row.cells for row in report.rows):
        return
    with session.attempt(report, contender, growing):
        for _ in range(1, WORKERS):
            measure_first_task(report, platform, cluster, at)


def measure_first_task(report: Report, platform: Lab, cluster: RayCluster, at: str = "") -> None:
    """Measure a task that needs a new worker."""
    key, mark, known = cluster.contender.key, platform.mark(), len(platform.nodes())
    job = cluster.ray("submit", str(JOB)).last_json
    nodes = platform.nodes()
    if len(nodes) == known:
        raise Failed(f"the task ran without a new node: the platform still has {known} nodes")
    worker = nodes[known]
    launches = [
        (wall - milliseconds / 1e3, wall)
        for wall, milliseconds, route in platform.timed_calls(mark)
        if not route.startswith(("GET", *PUBLISHING)) and wall > job["wanted"]
    ]
    began, ended = launches[0][0], max(end for _, end in launches if end < worker["started"])
    parts = {
        "until the autoscaler's tick": began - job["wanted"],
        "platform calls": ended - began,
        "boot": worker["registered"] - ended,
        "until the task runs": worker["started"] - worker["registered"],
        JOINING: job["joined"] - worker["started"],
        RUNNING: job["ran"] - job["joined"],
    }
    whole = job["ran"] - job["wanted"]
    rays = parts[JOINING] + parts[RUNNING]
    report.row(FIRST + at, "s").add(key, whole)
    report.row(FIRST_OURS + at, "s", 2.0).add(key, whole - BOOT_SECONDS - rays)
    for name, seconds in parts.items():
        report.row(f"first task: {name}{at}", "s").add(key, seconds)
    report.series.setdefault(f"first task {key}{at}", []).append(parts)


def _down(report: Report, platform: Lab, cluster: RayCluster, at: str) -> None:
    key, mark = cluster.contender.key, platform.mark()
    down = cluster.ray("down", "-y")
    cli = report.row(f"start of Ray's command alone (`ray up --help`){at}").cells[key].values[-1]
    ends = [wall - ms / 1e3 for wall, ms, route in platform.timed_calls(mark) if not route.startswith("GET")]
    before = ends[0] - down.began
    ended = platform.all_ended() - ends[0]
    parts = {
        "start of Ray's command, `ray stop` on the head if it comes first": before,
        "Ray stops on all nodes, until the last task has ended": ended,
        "instances end, Ray sleeps, until `ray down` ends": down.seconds - before - ended,
    }
    report.row(DOWN + at, "s").add(key, down.seconds)
    report.row(DOWN_ABOVE + at, "s", 1.0).add(key, down.seconds - cli - RAY_DOWN_SLEEPS)
    for name, seconds in parts.items():
        report.row(f"ray down: {name}{at}", "s").add(key, seconds)
    report.row(f"ray down: platform calls made{at}").add(key, platform.mark() - mark)
    report.row(f"ray down: tasks alive at its end{at}").add(key, platform.live())
    report.series.setdefault(f"ray down {key}{at}", []).append(parts)
