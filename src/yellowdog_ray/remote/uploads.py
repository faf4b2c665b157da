"""Gives the uploads of Ray's own command runner a deadline: Ray waits for rsync without end. Must not import Ray."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

from yellowdog_ray.remote import processes
from yellowdog_ray.remote.ssh import RSYNC, upload_seconds


def with_deadlines(runner: Any) -> Any:
    """Ray's command runner, changed so that its `run_rsync_up` has the deadline of `SshTarget.upload`.

    Its `run` stays as it is: a user's command may take hours.
    """
    upload = getattr(runner, "run_rsync_up", None)
    if upload is None or getattr(runner, "process_runner", None) is not subprocess:
        return runner

    def run_rsync_up(source: str, target: str, options: dict[str, Any] | None = None) -> None:
        seconds = upload_seconds(Path(source).expanduser())
        runner.process_runner = _Bounded(seconds)
        try:
            upload(source, target, options)
        except subprocess.TimeoutExpired as error:
            raise click.ClickException(f"{source} was not copied to {target} within {seconds:.0f} s") from error
        finally:
            runner.process_runner = subprocess

    runner.run_rsync_up = run_rsync_up
    return runner


class _Bounded:
    """The part of the module `subprocess` that Ray uses (its `process_runner`), with a deadline."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def check_call(
        self,
        command: Sequence[str],
        stdin: None = None,  # Ray passes the input of this process only
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> int:
        if command[0] == RSYNC[0]:
            command = [*RSYNC, *command[1:]]
        done = processes.run(command, self._seconds, stdin, stdout, stderr)
        done.check_returncode()
        return 0
