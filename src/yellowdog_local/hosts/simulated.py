"""Hosts without processes: each is a record that boots, registers and runs tasks on the platform's clock.

A task runs until it is aborted, unless its environment says otherwise:

- `SIM_TASK_SECONDS`: time until it ends (seconds);
- `SIM_TASK_EXIT_CODE`: the exit code with which it then ends (0);
- `SIM_ABORT_SECONDS`: time from an abort to its end (seconds; 0).

A command of a node action takes `SIM_ACTION_SECONDS` (0) and ends with `SIM_ACTION_EXIT_CODE` (0). No file is written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from yellowdog_local.agents import InProcessAgents, Session
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest, HostTraits
from yellowdog_local.messages import ActionEnd, AgentEvent, Registration, WorkerTarget
from yellowdog_local.state.clock import Timer

_EXIT_AFTER_SIGTERM, _EXIT_AFTER_SIGKILL = 143, 137


@dataclass(eq=False)
class _Host:
    request: HostRequest
    listener: HostListener
    address: HostAddress
    boot: Timer | None = None
    session: Session | None = None
    seen: int = 0
    unplugged: bool = False
    tasks: dict[str, _Run] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class _Run:
    attempt: int
    environment: dict[str, str]
    timer: Timer | None = None


class _NoListener:
    """The listener of a machine that is no host of the platform."""

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        """Do nothing."""

    def host_gone(self, instance_id: str, reason: str) -> None:
        """Do nothing."""


class SimulatedHosts:
    """Creates hosts that exist only as records, guarded by the platform's lock."""

    kind = "simulated"
    traits = HostTraits(runs_tasks=False, own_network=True, own_processes=True, own_files=True)

    def __init__(
        self, *, vcpus: float = 2.0, ram: float = 4.0, supported_task_types: Sequence[str] = ("bash",)
    ) -> None:
        self._vcpus = vcpus
        self._ram = ram
        self._task_types = list(supported_task_types)
        self._hosts: dict[str, _Host] = {}
        self._numbers = itertools.count(1)
        self._agents: InProcessAgents | None = None

    def use_agents(self, agents: InProcessAgents) -> None:
        """Set how agents reach the platform; the platform calls this once."""
        self._agents = agents

    @property
    def instance_ids(self) -> list[str]:
        """The ids of the existing hosts, oldest first."""
        return list(self._hosts)

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Boot a host; it runs after the request's boot time."""
        host = _Host(request, listener, self._next_address(request.instance_id))
        agents = self._connected_agents()
        with agents.locked():
            self._hosts[request.instance_id] = host
            host.boot = agents.call_later(request.boot_seconds, lambda: self._booted(host))

    def join(self, token: str, instance_id: str, *, slots: int = 1, **fields: Any) -> None:
        """Let a machine that is no host of the platform join a configured pool.

        Args:
            token: the pool's token.
            instance_id: the machine's id, unique in its pool.
            slots: its number of YellowDog workers.
            fields: other fields of `Registration`, in the place of the defaults.
        """
        fields = {"createWorkers": WorkerTarget(targetCount=slots), **fields}
        request = HostRequest(instance_id, token, None, "", "", "", 0.0)
        host = _Host(request, _NoListener(), self._next_address(instance_id), fields=fields)
        with self._connected_agents().locked():
            self._hosts[instance_id] = host
            self._booted(host)

    def _next_address(self, instance_id: str) -> HostAddress:
        number = next(self._numbers)
        return HostAddress(
            hostname=f"host-{instance_id}",
            private_ip=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            public_ip=f"198.{18 + (number >> 16 & 1)}.{number >> 8 & 255}.{number & 255}",
        )

    def destroy(self, instance_id: str) -> None:
        """Power a host off without a shutdown."""
        self._remove(instance_id, "")

    def stop(self, instance_id: str) -> None:
        """Power a host off without an event; it may be created again."""
        with self._connected_agents().locked():
            self._power_off(instance_id)

    def close(self) -> None:
        """Destroy all hosts."""
        for instance_id in self.instance_ids:
            self._remove(instance_id, "")

    def lose(self, instance_id: str, reason: str = "the host was lost") -> None:
        """End a host unexpectedly; its cloud detects it at once. A machine that has joined only becomes silent."""
        self._remove(instance_id, reason)

    def unplug(self, instance_id: str) -> None:
        """Cut a host's network: its agent becomes silent, while the cloud still shows it running."""
        agents = self._connected_agents()
        with agents.locked():
            host = self._hosts.get(instance_id)
            if host is not None:
                host.unplugged = True
                if host.session is not None:
                    agents.disconnect(host.session)

    def _connected_agents(self) -> InProcessAgents:
        if self._agents is None:
            raise RuntimeError("simulated hosts belong to a LocalPlatform: pass them to one")
        return self._agents

    def _remove(self, instance_id: str, reason: str) -> None:
        with self._connected_agents().locked():
            host = self._power_off(instance_id)
            if host is not None:
                host.listener.host_gone(instance_id, reason)

    def _power_off(self, instance_id: str) -> _Host | None:
        host = self._hosts.pop(instance_id, None)
        if host is None:
            return None
        for timer in (host.boot, *(run.timer for run in host.tasks.values())):
            if timer is not None:
                timer.cancel()
        host.tasks.clear()
        if host.session is not None and isinstance(host.listener, _NoListener):
            self._connected_agents().disconnect(host.session)
        return host

    def _booted(self, host: _Host) -> None:
        host.listener.host_running(host.request.instance_id, host.address)
        if host.unplugged:
            return
        usual = {
            "instanceId": host.request.instance_id,
            "hostname": host.address.hostname,
            "privateIpAddress": host.address.private_ip,
            "publicIpAddress": host.address.public_ip,
            "vcpus": self._vcpus,
            "ram": self._ram,
            "supportedTaskTypes": self._task_types,
            "agentVersion": "simulated",
        }
        registration = Registration(**{**usual, **host.fields})
        host.session = self._connected_agents().register(host.request.agent_token, registration, self._waker(host))

    def _waker(self, host: _Host) -> Callable[[], None]:
        return lambda: self._execute_commands(host)

    def _execute_commands(self, host: _Host) -> None:
        agents = self._connected_agents()
        with agents.locked():
            if host.session is None or host.unplugged or host.request.instance_id not in self._hosts:
                return
            for command in agents.commands(host.session, host.seen):
                host.seen = command["sequence"]
                if command["type"] == "RUN_TASK":
                    self._run(host, command["task"])
                elif command["type"] == "RUN_ACTION":
                    self._run_action(host, command["action"])
                elif command["type"] == "ABORT_TASK":
                    self._abort(host, command["taskId"], kill=command.get("kill", False))

    def _run_action(self, host: _Host, action: dict[str, Any]) -> None:
        environment = action.get("environment", {})
        end = ActionEnd(action=action["number"], exitCode=int(environment.get("SIM_ACTION_EXIT_CODE", "0")))
        seconds = float(environment.get("SIM_ACTION_SECONDS", "0"))
        if seconds > 0:
            self._connected_agents().call_later(seconds, lambda: self._report(host, end))
        else:
            self._report(host, end)

    def _run(self, host: _Host, task: dict[str, Any]) -> None:
        run = _Run(task["attempt"], task["environment"])
        host.tasks[task["taskId"]] = run
        self._report(host, AgentEvent(taskId=task["taskId"], attempt=run.attempt, type="STARTED"))
        seconds = run.environment.get("SIM_TASK_SECONDS")
        if seconds is not None:
            exit_code = int(run.environment.get("SIM_TASK_EXIT_CODE", "0"))
            self._end_later(host, task["taskId"], float(seconds), exit_code)

    def _abort(self, host: _Host, task_id: str, *, kill: bool) -> None:
        run = host.tasks.get(task_id)
        if run is None:
            return
        seconds = 0.0 if kill else float(run.environment.get("SIM_ABORT_SECONDS", "0"))
        self._end_later(host, task_id, seconds, _EXIT_AFTER_SIGKILL if kill else _EXIT_AFTER_SIGTERM)

    def _end_later(self, host: _Host, task_id: str, seconds: float, exit_code: int) -> None:
        run = host.tasks[task_id]
        if run.timer is not None:
            run.timer.cancel()
        if seconds > 0:
            run.timer = self._connected_agents().call_later(seconds, lambda: self._end(host, task_id, exit_code))
        else:
            self._end(host, task_id, exit_code)

    def _end(self, host: _Host, task_id: str, exit_code: int) -> None:
        run = host.tasks.pop(task_id, None)
        if run is not None:
            self._report(
                host,
                AgentEvent(taskId=task_id, attempt=run.attempt, type="FINISHED", exitCode=exit_code),
            )

    def _report(self, host: _Host, event: AgentEvent | ActionEnd) -> None:
        if host.session is not None and not host.unplugged:
            self._connected_agents().report(host.session, event)
