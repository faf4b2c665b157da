"""Sessions with agents: who may speak for an instance, commands waiting for it, when it was last heard of.

Knows no tasks and no pools: what an agent says is handed to the hooks. Simulated agents use the same calls as the HTTP
routes do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from yellowdog_local.errors import Gone, NotFound, Unauthorized
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord
from yellowdog_local.state.store import Store

Command = dict[str, Any]


class WorkerTarget(BaseModel):
    """How many workers a machine that joins a configured pool wants to have."""

    model_config = ConfigDict(extra="ignore")

    targetType: Literal["PER_NODE", "PER_VCPU"] = "PER_NODE"  # noqa: N815
    targetCount: float = Field(default=1.0, gt=0)  # noqa: N815


class Registration(BaseModel):
    """What an agent says of itself when it registers."""

    model_config = ConfigDict(extra="ignore")

    instanceId: str  # noqa: N815  names of the wire
    hostname: str
    privateIpAddress: str  # noqa: N815
    publicIpAddress: str  # noqa: N815
    vcpus: float = Field(gt=0)
    ram: float = Field(gt=0)
    supportedTaskTypes: list[str]  # noqa: N815
    agentVersion: str  # noqa: N815
    # Only from machines that join a configured pool: what a provisioned one's compute source says.
    provider: Literal["AWS", "GOOGLE", "AZURE", "OCI", "ON_PREMISE"] = "ON_PREMISE"
    region: str | None = None
    instanceType: str | None = None  # noqa: N815
    sourceName: str | None = None  # noqa: N815
    createWorkers: WorkerTarget | None = None  # noqa: N815


class AgentEvent(BaseModel):
    """What an agent says of a task."""

    model_config = ConfigDict(extra="ignore")

    taskId: str  # noqa: N815
    attempt: int
    type: Literal["STARTED", "FINISHED"]
    exitCode: int | None = None  # noqa: N815
    errorType: Literal["UNABLE_START_PROCESS", "UNABLE_WRITE_TASK_DATA"] | None = None  # noqa: N815
    message: str | None = None


class ActionEnd(BaseModel):
    """What an agent says of a node action that it was told to do; it failed if `exitCode` is not 0."""

    model_config = ConfigDict(extra="ignore")

    action: int
    type: Literal["ACTION_FINISHED"] = "ACTION_FINISHED"
    exitCode: int  # noqa: N815
    message: str | None = None


class AgentHooks(Protocol):
    """Who hears what agents say. Called under the platform's lock."""

    def agent_registered(self, instance: InstanceRecord, registration: Registration) -> str:
        """An agent is there; answers its platform node's id. Repeated calls answer the same."""

    def agent_reported(self, node_id: str, event: AgentEvent) -> None:
        """A task has started or finished."""

    def agent_silent(self, node_id: str, seconds: float) -> None:
        """An agent has not been heard of for so long."""

    def agent_heard(self, node_id: str) -> None:
        """An agent that was silent is heard of again."""


class Commands(Protocol):
    """The way of commands to agents."""

    def send(self, node_id: str, command: Command) -> None:
        """Queue a command for the agent of a platform node."""


@dataclass(eq=False)
class Session:
    """One agent's session. `polls` open long polls, or `in_process`, count as being heard of all the time."""

    node_id: str
    token: str
    last_heard: datetime
    in_process: bool
    commands: list[Command] = field(default_factory=list)
    sent: int = 0
    polls: int = 0
    silent: bool = False
    ended: bool = False
    wakers: list[Callable[[], None]] = field(default_factory=list)


class Agents:
    """All agents' sessions. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store) -> None:
        self._kernel = kernel
        self._store = store
        self._sessions: dict[str, Session] = {}
        self.hooks: AgentHooks | None = None
        self.on_action_end: Callable[[str, ActionEnd], None] = lambda _node_id, _end: None
        self.joining: Callable[[str, Registration], InstanceRecord | None] = lambda _token, _registration: None

    def register(self, token: str, registration: Registration, *, in_process: bool = False) -> str:
        """Begin a session; answers the platform node's id."""
        instance = self._store.instances_by_token.get(token) or self.joining(token, registration)
        if instance is None or instance.id != registration.instanceId:
            raise Unauthorized("Unknown agent token")
        if not instance.status.alive or self.hooks is None:
            raise Gone("The instance is being terminated")
        node_id = self.hooks.agent_registered(instance, registration)
        if node_id not in self._sessions:
            session = Session(node_id, token, self._kernel.now(), in_process)
            self._sessions[node_id] = session
            if not in_process:
                self._watch(session)
        return node_id

    def session(self, node_id: str, token: str) -> Session:
        """The session of a platform node, for whoever shows its token."""
        session = self._sessions.get(node_id)
        if session is None:
            self._refuse_ended(node_id, token)
            raise NotFound("Node", node_id)
        if session.token != token:
            raise Unauthorized("Unknown agent token")
        if session.ended and not session.commands:
            raise Gone("The platform has ended this node")
        return session

    def _refuse_ended(self, node_id: str, token: str) -> None:
        """Tell an agent whose session is forgotten already that its node has ended."""
        node = self._store.nodes.get(node_id)
        if node is not None and node.status.gone and node.instance.token == token:
            raise Gone("The platform has ended this node")

    def commands(self, session: Session, after: int) -> list[Command]:
        """The commands that the agent has not acknowledged by `after`, the last sequence it has seen."""
        self.heard(session)
        session.commands = [command for command in session.commands if command["sequence"] > after]
        if session.ended and not session.commands:
            self._forget(session)
            raise Gone("The platform has ended this node")
        return list(session.commands)

    def report(self, session: Session, events: Sequence[AgentEvent | ActionEnd]) -> None:
        """Take in what an agent says of its tasks and node actions."""
        self.heard(session)
        if self.hooks is None:
            return
        for event in events:
            if isinstance(event, ActionEnd):
                self.on_action_end(session.node_id, event)
                continue
            self.hooks.agent_reported(session.node_id, event)

    def heard(self, session: Session) -> None:
        """Note that an agent was heard of."""
        session.last_heard = self._kernel.now()
        if session.silent and self.hooks is not None:
            session.silent = False
            self.hooks.agent_heard(session.node_id)

    def send(self, node_id: str, command: Command) -> None:
        """Queue a command for an agent and wake whoever waits for it."""
        session = self._sessions.get(node_id)
        if session is None or session.ended:
            return
        session.sent += 1
        session.commands.append({"sequence": session.sent, **command})
        self._wake(session)

    def end(self, node_id: str, last: Command | None = None) -> None:
        """End a session: the agent is told so at its next call, or, where there is one, gets a last command first."""
        session = self._sessions.get(node_id)
        if session is None or session.ended:
            return
        session.commands.clear()
        if last is not None:
            self.send(node_id, last)
        session.ended = True
        self._wake(session)
        if not session.commands or session.in_process:
            self._forget(session)
        else:  # its agent may never come for its last command
            self._kernel.after(self._kernel.settings.heartbeat_lost_seconds, lambda: self._forget(session))

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.node_id, None)

    def silence(self, node_id: str) -> None:
        """Stop counting an in-process agent as heard of, as when its host's cable is pulled."""
        session = self._sessions.get(node_id)
        if session is not None and session.in_process:
            session.in_process = False
            session.last_heard = self._kernel.now()
            self._watch(session)

    def wake_all(self) -> None:
        """Wake every waiting poll, so that a server can stop."""
        for session in self._sessions.values():
            self._wake(session)

    def _wake(self, session: Session) -> None:
        for waker in session.wakers:
            self._kernel.defer(waker)

    def _watch(self, session: Session) -> None:
        # One timer per agent, armed again for what is left: an agent that speaks costs one call per threshold.
        settings = self._kernel.settings
        heard_at = self._kernel.now() if session.polls else session.last_heard
        silence = (self._kernel.now() - heard_at).total_seconds()
        threshold = settings.heartbeat_late_seconds
        if silence >= threshold:
            threshold = settings.heartbeat_lost_seconds
        self._kernel.after(max(0.001, threshold - silence), lambda: self._check(session))

    def _check(self, session: Session) -> None:
        if session.ended or session.in_process or self.hooks is None:
            return
        if session.polls:
            session.last_heard = self._kernel.now()
        silence = (self._kernel.now() - session.last_heard).total_seconds()
        if silence >= self._kernel.settings.heartbeat_late_seconds:
            session.silent = True
            self.hooks.agent_silent(session.node_id, silence)
        if not session.ended:
            self._watch(session)


class InProcessAgents:
    """What agents that live in this process call, from any thread: the same calls as over HTTP, without polling."""

    def __init__(self, kernel: Kernel, agents: Agents) -> None:
        self.locked = kernel.locked
        self.call_later = kernel.after
        self._agents = agents

    def register(self, token: str, registration: Registration, waker: Callable[[], None]) -> Session | None:
        """Begin a session whose `waker` is called after each command; None where the platform has no use for it."""
        with self.locked():
            try:
                node_id = self._agents.register(token, registration, in_process=True)
                session = self._agents.session(node_id, token)
            except (Gone, Unauthorized):
                return None
            session.wakers.append(waker)
            return session

    def commands(self, session: Session, after: int) -> list[Command]:
        """The commands after the last one that was seen; none once the session has ended."""
        with self.locked():
            return [] if session.ended else self._agents.commands(session, after)

    def report(self, session: Session, event: AgentEvent | ActionEnd) -> None:
        """Say what has become of a task or a node action; nobody listens once the session has ended."""
        with self.locked():
            if not session.ended:
                self._agents.report(session, [event])

    def silence(self, session: Session) -> None:
        """Be heard of no more."""
        with self.locked():
            self._agents.silence(session.node_id)
