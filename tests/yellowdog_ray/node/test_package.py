"""The lines in front of the head's task script that put the sent package on Python's path."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from yellowdog_ray.node.package import CURRENT, PACKAGES, head_script


def path_in(script: str, **environment: str) -> str:
    """PYTHONPATH in a script."""
    text = head_script(script)
    done = subprocess.run(["bash", "-u"], input=text, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("script", ["#!/bin/bash\nset -eu\necho $PYTHONPATH", "echo $PYTHONPATH\n"])
def test_sent_package_is_on_the_path_of_a_script(script):
    assert path_in(script) == f"/opt/yellowdog/agent/{CURRENT}"


def test_sent_package_is_before_the_entries_of_the_image():
    path = path_in("echo $PYTHONPATH", PYTHONPATH="/opt/mine:/opt/more", YD_AGENT_HOME="/home/agent")

    assert path == f"/home/agent/{CURRENT}:/opt/mine:/opt/more"


def test_interpreter_of_a_script_stays_its_first_line():
    assert head_script("#!/usr/bin/env bash\necho x").startswith("#!/usr/bin/env bash\n")


class TestEarlierCluster:
    """The head's task runs on a machine of the user's own, again."""

    @pytest.fixture
    def current(self, tmp_path: Path) -> Path:
        (tmp_path / PACKAGES / "3.0.0-abc").mkdir(parents=True)
        return tmp_path / CURRENT

    def run(self, home: Path, after: Callable[[], None] = lambda: None) -> None:
        script = home / "taskdata.txt"
        script.write_text(head_script("set -e\n"))
        after()
        env = {"YD_AGENT_HOME": str(home), "PATH": os.environ["PATH"]}
        subprocess.run(["bash", "-e", str(script)], env=env, check=True)

    def test_link_of_an_earlier_cluster_is_deleted_and_its_package_kept(self, tmp_path, current):
        current.symlink_to("3.0.0-abc")

        self.run(tmp_path)

        assert [each.name for each in current.parent.iterdir()] == ["3.0.0-abc"]

    def test_link_that_came_before_the_first_line_ran_is_kept(self, tmp_path, current):
        def send() -> None:
            time.sleep(0.02)  # above the resolution of the file system's time
            current.symlink_to("3.0.0-abc")

        self.run(tmp_path, send)

        assert current.is_symlink()

    def test_first_cluster_of_a_machine_has_nothing_to_delete(self, tmp_path):
        self.run(tmp_path)
