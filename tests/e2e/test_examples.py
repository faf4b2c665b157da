"""Each program of examples/ does its work, on one cluster, which the steps of the CI pipeline begin and end."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import REPOSITORY, YAMLS, Box, as_user, running_box
from tests.e2e.ray_cli import PlatformView, Ray, wait_until
from tests.programs import run_program

PROGRAMS = REPOSITORY / ".venv-examples/bin"
CLUSTER = "ci-17"
KEY = "any:text"
"""The object store's; it checks none."""
STORE_PORT, SERVE_PORT, CLIENT_PORT = 5000, 8000, 10001
START, JOB, END = "Start the cluster", "Run the job", "End the cluster"
CLIENT_SERVER_FAILED = "Starting Ray client server failed"
"""Ray's message when the process that it starts for a client exits at once. Ray's proxy forks it while threads of gRPC
run, which fails now and then on a busy machine; a user runs the cell again (docs/examples.md)."""
OUTSIDE = ["Install Ray and RayDog", "Write the SSH key"]
"""Steps of the pipeline that prepare its machine."""


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A platform whose hosts have the examples' libraries."""
    with running_box(tmp_path_factory.mktemp("platform"), PROGRAMS) as box:
        yield box


@pytest.mark.skipif(not PROGRAMS.is_dir(), reason="needs the libraries of examples/: `scripts/test` installs them")
@pytest.mark.timeout(560)
def test_examples_do_their_work_on_one_cluster(box: Box, tmp_path: Path) -> None:
    text = YAMLS["v2"].read_text().replace("name: demo", f"name: {CLUSTER}").replace("minutes: 0.2", "minutes: 2")
    ray, platform = as_user(tmp_path, box, text, "v2"), box.view()
    ray.yaml = ray.yaml.rename(tmp_path / "raydog.yaml")
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    pipeline = Pipeline(ray)

    assert pipeline.run(START) == 0
    store = Store(ray, platform)
    sweep_survives_loss_of_a_worker(ray, box, platform, store)
    batch_inference_writes_labels(ray, store)
    assert pipeline.run(JOB) == 0
    with forwarded(ray, SERVE_PORT, CLIENT_PORT):
        notebook_uses_the_cluster(ray)
        service_answers(ray)
    (tmp_path / "examples/ci/job.py").write_text("raise SystemExit(1)\n")
    assert pipeline.run(JOB) != 0
    assert pipeline.steps_after_failure_of(JOB) == [END]
    assert pipeline.run(END) == 0

    assert (platform.live_instances(), platform.live_pools(), platform.unfinished_work()) == (0, [], [])


class Pipeline:
    """The workflow of GitHub Actions; its steps run as a runner would run them."""

    def __init__(self, ray: Ray) -> None:
        self._ray = ray
        workflow = yaml.safe_load((ray.folder / "examples/ci/github-actions.yml").read_text())
        job = workflow["jobs"]["ray"]
        self._steps: list[dict[str, Any]] = [step for step in job["steps"] if "run" in step]
        self._env = {"CLUSTER": job["env"]["CLUSTER"].replace("${{ github.run_id }}", "17")}
        assert self._env["CLUSTER"] == CLUSTER
        assert [step["name"] for step in self._steps] == [*OUTSIDE, START, JOB, END]

    def run(self, name: str) -> int:
        """Run a step; gives its exit code."""
        (step,) = (step for step in self._steps if step["name"] == name)
        environment = {**self._ray.env, **self._env, "PATH": f"{self._ray.bin}:{self._ray.env['PATH']}"}
        done = run_program(["bash", "-e", "-c", step["run"]], seconds=150, cwd=self._ray.folder, env=environment)
        print(f"{name}:\n{done.stdout}")  # noqa: T201 - shown by pytest when a test fails
        return done.returncode

    def steps_after_failure_of(self, name: str) -> list[str]:
        names = [step["name"] for step in self._steps]
        later = self._steps[names.index(name) + 1 :]
        return [step["name"] for step in later if step.get("if") == "always()"]


class Store:
    """An object store on the head, as docs/examples.md starts it."""

    def __init__(self, ray: Ray, platform: PlatformView) -> None:
        ray("exec", f"nohup moto_server -H 0.0.0.0 -p {STORE_PORT} >/dev/null 2>&1 </dev/null &")
        (head,) = platform.addresses()
        self._address = f"{head}:{STORE_PORT}"
        wait_until(self._make_bucket, "the object store answers", 30)

    def url(self, name: str) -> str:
        """The URL of a directory, quoted for the shell of `ray submit`."""
        return f"'s3://{KEY}@bucket/{name}?scheme=http&endpoint_override={self._address}'"

    def keys(self, pattern: str) -> list[str]:
        """The names of objects that match."""
        with urllib.request.urlopen(f"http://{self._address}/bucket?list-type=2", timeout=5) as answer:
            names = re.findall("<Key>(.*?)</Key>", answer.read().decode())
        return [name for name in names if re.search(pattern, name)]

    def _make_bucket(self) -> bool:
        request = urllib.request.Request(f"http://{self._address}/bucket", method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                return True
        except OSError:
            return False


def sweep_survives_loss_of_a_worker(ray: Ray, box: Box, platform: PlatformView, store: Store) -> None:
    before: set[str] = set()
    with ray.running("submit", "examples/tune/sweep.py", "--", "--storage", store.url("sweeps")) as log:
        wait_until(lambda: len(store.keys(r"checkpoint_000000/state.npz$")) > 1, "two trials have checkpoints", 150)
        before = workers(platform)
        assert len(before) == 2
        lost = box.raydog(
            "fault", "add", "lost", "--pool", "*-worker-*", "--times", "1", "--notice", "--notice-seconds", "1"
        )
        assert lost.returncode == 0, lost.stdout
        wait_until(lambda: "best rate: " in log.read_text(), "the sweep ends", 150)
        printed = log.read_text()

    assert not before <= workers(platform), "a worker was lost"
    assert printed.count(" after 24 epochs") == 3, printed
    assert re.search(r"resumed after epoch [1-9]", printed), printed
    assert "failed trials: 0" in printed


def batch_inference_writes_labels(ray: Ray, store: Store) -> None:
    printed = ray("submit", "examples/data/batch_inference.py", "--", "--output", store.url("labels"))

    assert re.search(r"labelled 100000 points, (9\d|100)\.\d% of them right", printed), printed
    assert store.keys(r"^labels/.*\.parquet$")


def service_answers(ray: Ray) -> None:
    assert "the service is ready" in ray("submit", "examples/serve/app.py")
    with urllib.request.urlopen(f"http://127.0.0.1:{SERVE_PORT}/?x=3.5&y=2.5", timeout=30) as answer:
        assert json.load(answer)["spiral"] == 1


def notebook_uses_the_cluster(ray: Ray) -> None:
    file = ray.folder / "examples/notebook/cluster.ipynb"
    file.write_text(file.read_text().replace("demo.demo", f"demo.{CLUSTER}"))
    command = [str(ray.bin / "jupyter-execute"), "--inplace", str(file)]
    done = run_program(command, seconds=150, env=ray.env)
    if CLIENT_SERVER_FAILED in done.stdout:
        print(ray("exec", "tail -n 20 /tmp/ray/session_latest/logs/ray_client_server*"))  # noqa: T201 - shown on failure
        done = run_program(command, seconds=150, env=ray.env)
    assert done.returncode == 0, done.stdout
    assert "pi is about 3.14" in file.read_text()


@contextmanager
def forwarded(ray: Ray, *ports: int) -> Iterator[None]:
    """A terminal with `ray attach`, kept open."""
    options = [option for port in ports for option in ("--port-forward", str(port))]
    with subprocess.Popen(
        [str(ray.bin / "ray"), "attach", *options, str(ray.yaml)],
        cwd=ray.folder,
        env=ray.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as terminal:
        assert terminal.stdin is not None
        terminal.stdin.write("echo it is op''en\n")
        terminal.stdin.flush()
        assert any("it is open" in line for line in terminal.stdout or ())
        try:
            yield
        finally:
            terminal.stdin.write("exit\n")
            terminal.stdin.close()


def workers(platform: PlatformView) -> set[str]:
    return {str(task.name) for task in platform.live_nodes("worker")}
