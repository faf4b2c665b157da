"""Runs console scripts in children of this process, which has imported their packages: that takes most of their time.

Runs in the environment of YellowDog's command line, so it imports nothing else. Each line of the input is a JSON object
with `argv`, `directory`, `variables`, `seconds`, and the files `out` and `err`; the answer is a line with the exit
code, negative for a signal.
"""

import json
import os
import runpy
import signal
import sys
from typing import Any

import requests  # noqa: F401 - for the children
import rich.console  # noqa: F401
import yellowdog_client.model  # noqa: F401


def become(run: dict[str, Any]) -> None:
    """Run a console script in this process, as an interpreter of its own would."""
    os.environ.clear()
    os.environ.update(run["variables"])
    os.chdir(run["directory"])
    for number, path in enumerate((os.devnull, run["out"], run["err"])):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the old one has read ahead
    sys.argv = run["argv"]
    signal.alarm(run["seconds"])
    runpy.run_path(sys.argv[0], run_name="__main__")


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        become(json.loads(line))
        break
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
