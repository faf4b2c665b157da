"""The processes of the agent: tasks and node actions, each in a process group of its own. Standard library only.

Starts, signals and waits for processes; reports nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from yellowdog_local.hosts.guest.connection import Json

BASH = "/bin/bash"
INHERITED = ("HOME", "USER", "LOGNAME", "PATH", "SHELL", "LANG", "TMPDIR")


def node_environment(config: Json) -> dict[str, str]:
    """The environment of every process that this node runs."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return (
        environment
        | (config.get("taskEnvironment") or {})
        | {
            "YD_PROVIDER": config["provider"],
            "YD_REGION": config["region"],
            "YD_INSTANCE_TYPE": config["instanceType"],
            "YD_INSTANCE_ID": config["instanceId"],
            "YD_AGENT_DATA": config["data"],
            "YD_AGENT_HOME": config["home"],
        }
    )


class _Execution:
    _process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kill the process and its group, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


class Task(_Execution):
    """One execution of a task: its process, its directory and the file of its output."""

    def __init__(self, command: Json, config: Json) -> None:
        self.id: str = command["taskId"]
        self.attempt: int = command.get("attempt", 0)
        self._command = command
        self._config = config
        self._safe_id = self.id.replace(":", "_")
        self.directory = Path(config["data"], "workers", self._safe_id)

    def prepare(self) -> None:
        """Create the task's directory with its data.

        Raises:
            OSError: it cannot be created.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._command.get("taskData") is not None:
            (self.directory / "taskdata.txt").write_text(self._command["taskData"], encoding="utf-8")
        logs = self._config.get("taskLogs")
        if logs:
            # The output goes straight to the logs: readable while the task runs, and after the host was killed.
            suffix = f"-attempt-{self.attempt}" if self.attempt else ""
            kept = Path(logs, f"{self._safe_id}{suffix}.txt")
            kept.touch()
            (self.directory / "taskoutput.txt").symlink_to(kept)

    def start(self) -> None:
        """Start the task's process.

        Raises:
            OSError: it cannot be started.
            ValueError: an argument or variable cannot be passed to a process.
        """
        with (self.directory / "taskoutput.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [BASH, *self._command.get("arguments", [])],
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=-1 if self._config.get("taskUmask") is None else self._config["taskUmask"],
            )

    def wait(self) -> int:
        """Wait for the end of the process, delete the directory, and return the exit code as a shell would."""
        code = self._process.wait() if self._process else 0
        self.remove_directory()
        return 128 - code if code < 0 else code

    def remove_directory(self) -> None:
        """Delete the task's directory; the file of its output stays."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def terminate(self) -> None:
        """Send SIGTERM to the task's process alone, or to its process group if the platform is set so."""
        if self._process is None or self._process.poll() is not None:
            return
        if self._config.get("abortProcessGroup"):
            os.killpg(self._process.pid, signal.SIGTERM)
        else:
            self._process.terminate()

    def _environment(self) -> dict[str, str]:
        environment = node_environment(self._config) | {
            "YD_TASK_GROUP_ID": self._command.get("taskGroupId", ""),
            "YD_TASK_ID": self.id,
            "YD_WORKER_SLOT": str(self._command.get("slot", 1)),
        }
        return environment | (self._command.get("environment") or {})


class Action(_Execution):
    """A node action: a file to write or a command to run, beside the tasks of the node."""

    def __init__(self, command: Json, config: Json) -> None:
        self.number: int = command["number"]
        self._command = command
        self._config = config

    def run(self) -> tuple[int, str | None]:
        """Run the action to its end; the exit code, 0 for success, and the error."""
        try:
            if self._command["kind"] == "WRITE_FILE":
                # Relative paths, of files and commands, are below the agent's home.
                path = Path(self._config["home"], self._command["path"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._command["content"], encoding="utf-8")
                return 0, None
            code = self._run_command()
        except (OSError, ValueError) as error:
            return 1, str(error)
        return code, None if code == 0 else f"exit code {code}"

    def _run_command(self) -> int:
        command, config = self._command, self._config
        kept = Path(config.get("taskLogs") or os.devnull)
        with (kept / f"action-{self.number}.txt" if kept.is_dir() else kept).open("ab") as output:
            self._process = subprocess.Popen(
                [Path(config["home"], command["path"]), *command["arguments"]],
                cwd=config["home"],
                env=node_environment(config) | command["environment"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        code = self._process.wait()
        return 128 - code if code < 0 else code
