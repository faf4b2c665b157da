"""The lines in front of task scripts that let the dashboard agents of Ray 2.52 and 2.53 require the token."""

import os
import subprocess
import sys

import pytest

from tests.yellowdog_ray.node.worker_task import Worker
from yellowdog_ray.node import variables
from yellowdog_ray.node.authentication import head_script, worker_script
from yellowdog_ray.node.start_hook import AGENT_HOOK


class TestOpenAgents:
    """Ray 2.52 and 2.53, whose dashboard agents require no token, get a hook from either kind of lines."""

    SCRIPT = f'echo "${{{variables.START_HOOK}:-none}}"'

    @pytest.fixture(params=["head", "worker"])
    def task(self, request: pytest.FixtureRequest, worker: Worker) -> Worker:
        worker.environment["KIND"] = request.param
        return worker

    def run(self, task: Worker, ray: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
        """Run a script on an image with this version of Ray, whose `python` is this program."""
        environment = task.home / "venv"
        (environment / "lib/python3.12/site-packages" / f"ray-{ray}.dist-info").mkdir(parents=True)
        (environment / "bin").mkdir()
        (environment / "bin/python").write_text(f'#!/bin/bash\n{python} "$@"\n')
        (environment / "bin/python").chmod(0o755)
        file = task.home / "taskdata.txt"
        file.write_text((head_script if task.environment["KIND"] == "head" else worker_script)(self.SCRIPT))
        return subprocess.run(
            ["bash", str(file)],
            env={**task.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @pytest.mark.parametrize("ray", ["2.52.0", "2.52.1", "2.53.0"])
    def test_hook_closes_them(self, task, ray):
        done = self.run(task, ray)

        assert done.stdout == f"{AGENT_HOOK}\n", done.stderr
        assert done.stderr == ""

    @pytest.mark.parametrize("ray", ["2.51.2", "2.54.0", "2.60.0"])
    def test_other_versions_need_no_hook(self, task, ray):
        assert self.run(task, ray).stdout == "none\n"

    def test_hook_of_the_user_is_kept(self, task):
        task.environment[variables.START_HOOK] = "my.hook"

        assert self.run(task, "2.52.1").stdout == "my.hook\n"

    def test_workers_image_with_an_older_raydog_starts_with_a_warning(self, task):
        older = f'[ "$1" != -c ] && exec {sys.executable}'

        done = self.run(task, "2.52.1", older)

        if task.environment["KIND"] == "head":  # it gets the hook from `ray up`
            assert done.stdout == f"{AGENT_HOOK}\n"
            return
        assert done.stdout == "none\n"
        assert "RayDog on this image is too old to close port 52365" in done.stderr
