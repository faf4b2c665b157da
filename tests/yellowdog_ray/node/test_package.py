"""The lines in front of the head's task script that put the sent package on Python's path."""

import subprocess

import pytest

from yellowdog_ray.node.package import CURRENT, head_script


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
