"""The agent on a host: registers with the platform, runs its tasks, reports their ends. Stdlib only, one file.

It stands in for YellowDog's own agent and keeps to what is known of that one: where a task runs, what its environment
holds, where its output goes. It runs as `yd-agent` on a host that has no package of ours, so it may import nothing of
them, and is started as `python3 agent.py CONFIG`, where CONFIG is a JSON file that its user alone can read: the
token must not be seen in the process list.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

VERSION = "raydog-local-1"
BASH = "/bin/bash"
POLL_SECONDS = 20.0
# Longer than any long poll, so that a connection whose other end vanished (a pulled cable) is given up in the end.
TIMEOUT_SECONDS = 30.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 5.0
FLUSH_SECONDS = 5.0
INHERITED = ("HOME", "USER", "LOGNAME", "PATH", "SHELL", "LANG", "TMPDIR")

Json = dict[str, Any]


def log(message: str) -> None:
    """Write to the agent's log (standard error)."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {message}", file=sys.stderr, flush=True)  # noqa: T201


class GoneError(Exception):
    """The platform has ended this node."""


class RefusedError(Exception):
    """The platform does not accept what we say, and will not when we repeat it."""


class Platform:
    """The platform as seen from a host: every call is repeated until it is answered."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"yd-agent {token}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call, repeated over any outage.

        Raises:
            GoneError: the platform has ended this node.
            RefusedError: it answered with another error of ours.
        """
        pause = FIRST_RETRY_SECONDS
        while True:
            status, text = self._try(method, path, body)
            if status == http.HTTPStatus.OK:
                answer: Json = json.loads(text)
                return answer
            if status == http.HTTPStatus.GONE:
                raise GoneError
            if 400 <= status < 500 and status != http.HTTPStatus.TOO_MANY_REQUESTS:
                raise RefusedError(f"{method} {path}: {status} {text[:500]}")
            log(f"{method} {path} failed ({status or text}): again in {pause:.1f} s")
            # Jitter: all agents lose the platform at the same moment, and should not come back at the same moment.
            time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    def _try(self, method: str, path: str, body: Json | None) -> tuple[int, str]:
        """The status and text of an answer; status 0 and a reason where there was none."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = self._connection or kind(self._host, timeout=TIMEOUT_SECONDS)
        self._connection = None
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, self._base + path, payload, self._headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, f"{type(error).__name__}: {error}"
        self._connection = connection
        return response.status, text


def node_environment(config: Json) -> dict[str, str]:
    """What every process finds in its environment that runs on this node."""
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


class Task:
    """One execution of a task: a process in its own group, its directory, and the record of its output."""

    def __init__(self, command: Json, config: Json) -> None:
        self.id: str = command["taskId"]
        self.attempt: int = command.get("attempt", 0)
        self._command = command
        self._config = config
        self._safe_id = self.id.replace(":", "_")
        self.directory = Path(config["data"], "workers", self._safe_id)
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make the task's directory with its data.

        Raises:
            OSError: it cannot be made.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._command.get("taskData") is not None:
            (self.directory / "taskdata.txt").write_text(self._command["taskData"], encoding="utf-8")
        logs = self._config.get("taskLogs")
        if logs:
            # The output is written straight to where people look for it: it can be read while the task runs, and
            # also when the host's power was cut in the middle of it.
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
        """The exit code as a shell would give it, once the process has ended; then the directory is deleted."""
        code = self._process.wait() if self._process else 0
        self.remove_directory()
        return 128 - code if code < 0 else code

    def remove_directory(self) -> None:
        """Delete the task's directory; the record of its output stays."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def terminate(self) -> None:
        """Ask the child to end, and only it, unless the platform wants all it has started to be asked."""
        if self._process is None or self._process.poll() is not None:
            return
        if self._config.get("abortProcessGroup"):
            os.killpg(self._process.pid, signal.SIGTERM)
        else:
            self._process.terminate()

    def kill(self) -> None:
        """End the child and its whole process group, if the child still runs."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        environment = node_environment(self._config) | {
            "YD_TASK_GROUP_ID": self._command.get("taskGroupId", ""),
            "YD_TASK_ID": self.id,
            "YD_WORKER_SLOT": str(self._command.get("slot", 1)),
        }
        return environment | (self._command.get("environment") or {})


class Action:
    """What a user asked this node to do beside its tasks: a file to write, or a command to run."""

    def __init__(self, command: Json, config: Json) -> None:
        self.number: int = command["number"]
        self._command = command
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> tuple[int, str | None]:
        """Do it to its end: an exit code, 0 if it succeeded, and what went wrong."""
        try:
            if self._command["kind"] == "WRITE_FILE":
                # A relative path is one below the agent's home, for files as for commands.
                path = Path(self._config["home"], self._command["path"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._command["content"], encoding="utf-8")
                return 0, None
            code = self._run_command()
        except (OSError, ValueError) as error:
            return 1, str(error)
        return code, None if code == 0 else f"it ended with {code}"

    def kill(self) -> None:
        """End a command with all that it has started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

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


class Reporter(threading.Thread):
    """Tells the platform what happens to tasks, in order, however long it takes to reach it."""

    def __init__(self, platform: Platform, node_id: str) -> None:
        super().__init__(name="reporter", daemon=True)
        self._platform = platform
        self._path = f"/agent/nodes/{node_id}/events"
        self._events: queue.Queue[Json] = queue.Queue()

    def tell(self, task: Task, kind: str, **details: object) -> None:
        """Queue one event of a task."""
        self._events.put({"taskId": task.id, "attempt": task.attempt, "type": kind, **details})

    def tell_end(self, action: Action, exit_code: int, message: str | None) -> None:
        """Queue the end of a node action."""
        end = {"action": action.number, "type": "ACTION_FINISHED", "exitCode": exit_code, "message": message}
        self._events.put(end)

    def flush(self) -> None:
        """Give what is queued a last chance to be told."""
        deadline = time.monotonic() + FLUSH_SECONDS
        while self._events.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def run(self) -> None:
        """Send batches until the process ends."""
        while True:
            batch = [self._events.get()]
            while not self._events.empty():
                batch.append(self._events.get())
            try:
                self._platform.call("POST", self._path, {"events": batch})
            except GoneError:
                log("events were not wanted any more: the node has been ended")
            except RefusedError as error:
                log(f"events were refused: {error}")
            for _ in batch:
                self._events.task_done()


class Agent:
    """Does what the platform commands."""

    def __init__(self, config: Json) -> None:
        self._config = config
        self._platform = Platform(config["url"], config["token"])
        self._tasks: dict[str, Task] = {}
        self._action: Action | None = None  # the platform asks for one at a time
        self._lock = threading.Lock()
        self._grace = 0.0
        self._poll_seconds = POLL_SECONDS
        self._node_id = ""
        self._reporter: Reporter | None = None

    def run(self) -> int:
        """Serve until the platform says that it is enough."""
        try:
            self._register()
            self._serve()
        except GoneError:
            log("the platform has ended this node")
        except RefusedError as error:
            log(f"the platform does not want this agent: {error}")
            return 1
        finally:
            self._kill_all()
        return 0

    def _register(self) -> None:
        config = self._config
        shown = ("instanceId", "hostname", "privateIpAddress", "publicIpAddress")
        answer = self._platform.call(
            "POST",
            "/agent/register",
            {
                **{name: config[name] for name in shown},
                "vcpus": float(config.get("vcpus") or os.cpu_count() or 1),
                "ram": float(config.get("ram") or _memory_gb()),
                "supportedTaskTypes": ["bash"],
                "agentVersion": VERSION,
            },
        )
        self._node_id = answer["nodeId"]
        self._grace = float(answer["abortGraceSeconds"])
        # Each poll is a heartbeat.
        self._poll_seconds = min(POLL_SECONDS, float(answer["heartbeatSeconds"]))
        self._config |= {name: answer.get(name) for name in ("abortProcessGroup", "taskEnvironment", "taskUmask")}
        # A connection of its own: the agent's is busy with waiting for commands.
        self._reporter = Reporter(Platform(config["url"], config["token"]), self._node_id)
        self._reporter.start()
        log(f"registered as {self._node_id}")

    def _serve(self) -> None:
        last = 0
        while True:
            path = f"/agent/nodes/{self._node_id}/commands?after={last}&wait={self._poll_seconds:g}"
            for command in self._platform.call("GET", path)["commands"]:
                last = max(last, command["sequence"])
                if command["type"] == "RUN_TASK":
                    self._run_task(command["task"])
                elif command["type"] == "RUN_ACTION":
                    self._action = Action(command["action"], self._config)
                    threading.Thread(target=self._act, args=(self._action,), daemon=True).start()
                elif command["type"] == "ABORT_TASK":
                    self._abort(command["taskId"], kill=command.get("kill", False))
                elif command["type"] == "SHUTDOWN":
                    log("shut down by the platform")
                    if self._reporter:
                        self._reporter.flush()
                    return

    def _run_task(self, command: Json) -> None:
        task = Task(command, self._config)
        reporter = self._reporter
        if reporter is None:
            return
        with self._lock:
            if task.id in self._tasks:
                log(f"task {task.id} is running already")
                return
            self._tasks[task.id] = task
        # Started here and not in the waiting thread: an abort that follows at once must find a process.
        error = self._start(task)
        if error is not None:
            log(f"task {task.id} could not be started: {error[1]}")
            with self._lock:
                del self._tasks[task.id]
            task.remove_directory()
            reporter.tell(task, "FINISHED", exitCode=None, errorType=error[0], message=error[1])
            return
        log(f"task {task.id} started in slot {command.get('slot', 1)}")
        reporter.tell(task, "STARTED")
        threading.Thread(target=self._await_end, args=(task, reporter), daemon=True).start()

    def _act(self, action: Action) -> None:
        code, message = action.run()
        log(f"node action {action.number} ended with {code}: {message or 'done'}")
        if self._reporter is not None:
            self._reporter.tell_end(action, code, message)

    @staticmethod
    def _start(task: Task) -> tuple[str, str] | None:
        """Start a task; an error's type and words if that does not work."""
        try:
            task.prepare()
        except (OSError, UnicodeError) as error:
            return "UNABLE_WRITE_TASK_DATA", str(error)
        try:
            task.start()
        except (OSError, ValueError) as error:
            return "UNABLE_START_PROCESS", str(error)
        return None

    def _await_end(self, task: Task, reporter: Reporter) -> None:
        code = task.wait()
        with self._lock:
            del self._tasks[task.id]
        log(f"task {task.id} ended with {code}")
        reporter.tell(task, "FINISHED", exitCode=code, errorType=None, message=None)

    def _abort(self, task_id: str, *, kill: bool) -> None:
        with self._lock:
            task = self._tasks.get(task_id)
        if task is None:
            return  # it ended meanwhile, and the platform has been or will be told
        log(f"task {task_id} is being {'killed' if kill else 'aborted'}")
        if kill:
            task.kill()
            return
        task.terminate()
        timer = threading.Timer(self._grace, task.kill)
        timer.daemon = True
        timer.start()

    def _kill_all(self) -> None:
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.kill()
        if self._action is not None:
            self._action.kill()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def main() -> int:
    """Read the configuration and serve."""
    if len(sys.argv) != 2:
        log("usage: agent.py CONFIG")
        return 2
    return Agent(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run()


if __name__ == "__main__":
    sys.exit(main())
