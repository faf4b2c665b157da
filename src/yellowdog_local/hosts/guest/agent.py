"""The agent of a host: registers with the platform, runs its tasks, reports their ends. Standard library only.

It stands in for YellowDog's own agent and does what is known of that one: the directory, the environment and the output
of a task. It runs as `yd-agent` on a host without our package, started by `__main__.py` as `agent CONFIG`. CONFIG is a
JSON file that only the agent's user can read: the token must not appear in the process list.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from pathlib import Path

from yellowdog_local.hosts.guest.connection import Connection, GoneError, Json, RefusedError
from yellowdog_local.hosts.guest.executions import Action, Task
from yellowdog_local.hosts.guest.log import log

VERSION = "raydog-local-1"
POLL_SECONDS = 20.0
FLUSH_SECONDS = 5.0


class Reporter(threading.Thread):
    """Reports the events of tasks and actions in order, over any outage of the platform."""

    def __init__(self, connection: Connection, node_id: str) -> None:
        super().__init__(name="reporter", daemon=True)
        self._connection = connection
        self._path = f"/agent/nodes/{node_id}/events"
        self._events: queue.Queue[Json] = queue.Queue()

    def report(self, task: Task, kind: str, **details: object) -> None:
        """Queue one event of a task."""
        self._events.put({"taskId": task.id, "attempt": task.attempt, "type": kind, **details})

    def report_end(self, action: Action, exit_code: int, message: str | None) -> None:
        """Queue the end of a node action."""
        end = {"action": action.number, "type": "ACTION_FINISHED", "exitCode": exit_code, "message": message}
        self._events.put(end)

    def flush(self) -> None:
        """Wait until the queued events are sent, for FLUSH_SECONDS at most."""
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
                self._connection.call("POST", self._path, {"events": batch})
            except GoneError:
                log("events were dropped: the platform has terminated the node")
            except RefusedError as error:
                log(f"events were dropped: the platform refused them: {error}")
            for _ in batch:
                self._events.task_done()


class Agent:
    """Polls the platform for commands and executes them."""

    def __init__(self, config: Json) -> None:
        self._config = config
        self._connection = Connection(config["url"], config["token"])
        self._tasks: dict[str, Task] = {}
        self._action: Action | None = None  # the platform sends one at a time
        self._lock = threading.Lock()
        self._grace = 0.0
        self._poll_seconds = POLL_SECONDS
        self._node_id = ""
        self._reporter: Reporter | None = None

    def run(self) -> int:
        """Execute commands until the platform shuts the node down; the exit code of the process."""
        try:
            self._register()
            self._serve()
        except GoneError:
            log("the platform has terminated this node")
        except RefusedError as error:
            log(f"the platform refused this agent: {error}")
            return 1
        finally:
            self._kill_all()
        return 0

    def _register(self) -> None:
        config = self._config
        fields = ("instanceId", "hostname", "privateIpAddress", "publicIpAddress")
        answer = self._connection.call(
            "POST",
            "/agent/register",
            {
                **{name: config[name] for name in fields},
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
        # A connection of its own: the agent's is occupied by long polls.
        self._reporter = Reporter(Connection(config["url"], config["token"]), self._node_id)
        self._reporter.start()
        log(f"registered as {self._node_id}")

    def _serve(self) -> None:
        last = 0
        while True:
            path = f"/agent/nodes/{self._node_id}/commands?after={last}&wait={self._poll_seconds:g}"
            for command in self._connection.call("GET", path)["commands"]:
                last = max(last, command["sequence"])
                if command["type"] == "RUN_TASK":
                    self._run_task(command["task"])
                elif command["type"] == "RUN_ACTION":
                    self._action = Action(command["action"], self._config)
                    threading.Thread(target=self._run_action, args=(self._action,), daemon=True).start()
                elif command["type"] == "ABORT_TASK":
                    self._abort(command["taskId"], kill=command.get("kill", False))
                elif command["type"] == "SHUTDOWN":
                    log("the platform shuts this node down")
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
        # Not in the waiting thread: an abort that follows at once must find a process.
        error = self._start(task)
        if error is not None:
            log(f"task {task.id} could not be started: {error[1]}")
            with self._lock:
                del self._tasks[task.id]
            task.remove_directory()
            reporter.report(task, "FINISHED", exitCode=None, errorType=error[0], message=error[1])
            return
        log(f"task {task.id} started in slot {command.get('slot', 1)}")
        reporter.report(task, "STARTED")
        threading.Thread(target=self._wait_for_end, args=(task, reporter), daemon=True).start()

    def _run_action(self, action: Action) -> None:
        code, message = action.run()
        log(f"node action {action.number} ended with exit code {code}: {message or 'success'}")
        if self._reporter is not None:
            self._reporter.report_end(action, code, message)

    @staticmethod
    def _start(task: Task) -> tuple[str, str] | None:
        """Start a task; the type and message of the error, if there is one."""
        try:
            task.prepare()
        except (OSError, UnicodeError) as error:
            return "UNABLE_WRITE_TASK_DATA", str(error)
        try:
            task.start()
        except (OSError, ValueError) as error:
            return "UNABLE_START_PROCESS", str(error)
        return None

    def _wait_for_end(self, task: Task, reporter: Reporter) -> None:
        code = task.wait()
        with self._lock:
            del self._tasks[task.id]
        log(f"task {task.id} ended with exit code {code}")
        reporter.report(task, "FINISHED", exitCode=code, errorType=None, message=None)

    def _abort(self, task_id: str, *, kill: bool) -> None:
        with self._lock:
            task = self._tasks.get(task_id)
        if task is None:
            return  # it has ended: its end is reported, or about to be
        log(f"task {task_id} is {'killed' if kill else 'aborted'}")
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


def main(arguments: list[str]) -> int:
    """Run the agent with the configuration in the file that the one argument names; the exit code."""
    (config,) = arguments
    return Agent(json.loads(Path(config).read_text(encoding="utf-8"))).run()
