"""The keeper of one of the raylet's agents: it stands between the two, and starts the agent again when it dies.

The raylet ends itself with any of its agents, and with it the head. An agent watches its parent's process id, which the
raylet gives it in its environment; the keeper gives it its own. Must not import Ray.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from yellowdog_ray.head import processes
from yellowdog_ray.head.events import Events, Restart
from yellowdog_ray.head.kinds import SPARE_BADNESS
from yellowdog_ray.head.processes import Command
from yellowdog_ray.head.restarts import FIRST_BACK_OFF_SECONDS, Restarts
from yellowdog_ray.node import variables

MODULE = __name__

_PARENT_POLL_SECONDS = 1.0  # Ray's agents poll their parent, too. A parent-death signal would follow a thread of it.

NAMES = {"agent.py": "dashboard agent", "main.py": "runtime environment agent"}
"""The names in messages, by program."""


class Keeper:
    """Keeps an agent running.

    Args:
        command: how to start the agent.
        events: where to report restarts.
        supervisor: the process id of the supervisor; None without one.
    """

    def __init__(self, command: Command, events: Events, supervisor: int | None) -> None:
        self._command = command
        self._events = events
        self._supervisor = supervisor
        self._restarts = Restarts()
        self._name = next((NAMES[name] for word in command.argv if (name := Path(word).name) in NAMES), "agent")
        self.pid: int | None = None

    def run(self) -> int:
        """Run until the agent ends gracefully, or does not get beyond its start; returns its exit code."""
        pid = self._start()
        while True:
            self.pid = pid
            started = time.monotonic()
            kills = processes.out_of_memory_kills()
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            self.pid = None
            died = time.monotonic()
            back_off = self._restarts.died(died, died - started, graceful=False)
            if code in processes.GRACEFUL_CODES or self._restarts.in_crash_loop:
                return code if code >= 0 else 128 - code
            time.sleep(back_off)
            pid = self._start_again()
            out_of_memory = processes.out_of_memory_kills() > kills
            self._report(processes.reason_of(code, out_of_memory=out_of_memory), died)

    def _start(self) -> int:
        return processes.start(self._command, with_input=True, memory_badness=SPARE_BADNESS)

    def _start_again(self) -> int:
        while True:
            with suppress(OSError):  # such as too little memory for another process
                return self._start()
            time.sleep(FIRST_BACK_OFF_SECONDS)

    def _report(self, reason: str, died: float) -> None:
        now = time.monotonic()
        restart = Restart(time.time(), self._name, round(now - died, 1), reason, self._restarts.recent(now))
        self._events.append(restart)
        if self._supervisor is not None:
            os.kill(self._supervisor, signal.SIGUSR1)

    def stop(self) -> None:
        """End with the raylet."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)
        sys.exit(0)


def main() -> int:
    """Run the agent whose command line this program is given."""
    raylet = int(os.environ.get(variables.RAYLET_PID, os.getppid()))
    environment = {**os.environ, variables.RAYLET_PID: str(os.getpid())}
    supervisor = environment.pop(variables.SUPERVISOR, None)
    command = Command(sys.argv[1:], environment, str(Path.cwd()))
    events = Events(Path(environment.get(variables.HEAD_EVENTS, os.devnull)))
    keeper = Keeper(command, events, int(supervisor) if supervisor else None)
    signal.signal(signal.SIGTERM, lambda *_: keeper.stop())
    signal.signal(signal.SIGALRM, lambda *_: None if os.getppid() == raylet else keeper.stop())
    signal.setitimer(signal.ITIMER_REAL, _PARENT_POLL_SECONDS, _PARENT_POLL_SECONDS)
    return keeper.run()


if __name__ == "__main__":
    sys.exit(main())
