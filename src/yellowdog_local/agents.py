"""Sessions with agents: authentication, pending commands, and the time of the last call.

Imports no task and no pool: reports are passed on as events. Simulated agents use the same calls as the HTTP routes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from yellowdog_local.errors import Gone, NotFound, Unauthorized
from yellowdog_local.events import Events
from yellowdog_local.messages import ActionEnd, AgentEvent, Command, Registration
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.store import Store


@dataclass(eq=False)
class Session:
    """One agent's session. An open long poll (`polls`), or `in_process`, counts as a call that never ends."""

    node_id: str
    token: str
    last_call: datetime
    in_process: bool
    commands: list[Command] = field(default_factory=list)
    sent: int = 0
    polls: int = 0
    silent: bool = False
    ended: bool = False
    wakers: list[Callable[[], None]] = field(default_factory=list)


class Agents:
    """All agents' sessions. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, events: Events) -> None:
        self._kernel = kernel
        self._store = store
        self._events = events
        self._sessions: dict[str, Session] = {}

    def register(self, token: str, registration: Registration, *, in_process: bool = False) -> str:
        """Begin a session; returns the platform node's id."""
        instance = self._store.instances_by_token.get(token) or self._events.agent_joining(token, registration)
        if instance is None or instance.id != registration.instanceId:
            raise Unauthorized("Unknown agent token")
        if not instance.status.alive:
            raise Gone("The instance is being terminated")
        node_id = self._events.agent_registered(instance, registration)
        if node_id not in self._sessions:
            session = Session(node_id, token, self._kernel.now(), in_process)
            self._sessions[node_id] = session
            if not in_process:
                self._watch(session)
        return node_id

    def session(self, node_id: str, token: str) -> Session:
        """The session of a platform node, if the caller shows its token."""
        session = self._sessions.get(node_id)
        if session is None:
            self._refuse_ended(node_id, token)
            raise NotFound("Node", node_id)
        if session.token != token:
            raise Unauthorized("Unknown agent token")
        if session.ended and not session.commands:
            raise Gone("The platform has ended this platform node")
        return session

    def _refuse_ended(self, node_id: str, token: str) -> None:
        """Refuse, as ended, the platform node of an agent whose session has already been removed."""
        node = self._store.nodes.get(node_id)
        if node is not None and node.status.gone and node.instance.token == token:
            raise Gone("The platform has ended this platform node")

    def commands(self, session: Session, after: int) -> list[Command]:
        """The commands that the agent has not acknowledged by `after`, the last sequence it has received."""
        self.note_call(session)
        session.commands = [command for command in session.commands if command["sequence"] > after]
        if session.ended and not session.commands:
            self._remove(session)
            raise Gone("The platform has ended this platform node")
        return list(session.commands)

    def report(self, session: Session, events: Sequence[AgentEvent | ActionEnd]) -> None:
        """Pass on an agent's reports about its tasks and node actions."""
        self.note_call(session)
        for event in events:
            if isinstance(event, ActionEnd):
                self._events.action_ended(session.node_id, event)
                continue
            self._events.agent_reported(session.node_id, event)

    def note_call(self, session: Session) -> None:
        """Note that an agent has made a call."""
        session.last_call = self._kernel.now()
        if session.silent:
            session.silent = False
            self._events.agent_returned(session.node_id)

    def send(self, node_id: str, command: Command) -> None:
        """Queue a command for an agent and wake its open polls."""
        session = self._sessions.get(node_id)
        if session is None or session.ended:
            return
        session.sent += 1
        session.commands.append({"sequence": session.sent, **command})
        self._wake(session)

    def end(self, node_id: str, last: Command | None = None) -> None:
        """End a session: the agent's next call is refused, after it has received the last command if there is one."""
        session = self._sessions.get(node_id)
        if session is None or session.ended:
            return
        session.commands.clear()
        if last is not None:
            self.send(node_id, last)
        session.ended = True
        self._wake(session)
        if not session.commands or session.in_process:
            self._remove(session)
        else:  # its agent may never fetch its last command
            self._kernel.after(self._kernel.settings.heartbeat_lost_seconds, lambda: self._remove(session))

    def _remove(self, session: Session) -> None:
        self._sessions.pop(session.node_id, None)

    def disconnect(self, node_id: str) -> None:
        """Count an in-process agent as silent from now on, as if its host's cable were pulled."""
        session = self._sessions.get(node_id)
        if session is not None and session.in_process:
            session.in_process = False
            session.last_call = self._kernel.now()
            self._watch(session)

    def wake_all(self) -> None:
        """Wake every waiting poll, so that a server can stop."""
        for session in self._sessions.values():
            self._wake(session)

    def _wake(self, session: Session) -> None:
        for waker in session.wakers:
            self._kernel.defer(waker)

    def _watch(self, session: Session) -> None:
        # One timer per agent, armed again for the remaining time: an agent that calls costs one check per threshold.
        settings = self._kernel.settings
        last_call = self._kernel.now() if session.polls else session.last_call
        silence = (self._kernel.now() - last_call).total_seconds()
        threshold = settings.heartbeat_late_seconds
        if silence >= threshold:
            threshold = settings.heartbeat_lost_seconds
        self._kernel.after(max(0.001, threshold - silence), lambda: self._check(session))

    def _check(self, session: Session) -> None:
        if session.ended or session.in_process:
            return
        if session.polls:
            session.last_call = self._kernel.now()
        silence = (self._kernel.now() - session.last_call).total_seconds()
        if silence >= self._kernel.settings.heartbeat_late_seconds:
            session.silent = True
            self._events.agent_silent(session.node_id, silence)
        if not session.ended:
            self._watch(session)


class InProcessAgents:
    """The calls of agents within this process, from any thread: the same as over HTTP, without polling."""

    def __init__(self, kernel: Kernel, agents: Agents) -> None:
        self.locked = kernel.locked
        self.call_later = kernel.after
        self._agents = agents

    def register(self, token: str, registration: Registration, waker: Callable[[], None]) -> Session | None:
        """Begin a session whose `waker` is called after each command; None if the platform refuses the agent."""
        with self.locked():
            try:
                node_id = self._agents.register(token, registration, in_process=True)
                session = self._agents.session(node_id, token)
            except (Gone, Unauthorized):
                return None
            session.wakers.append(waker)
            return session

    def commands(self, session: Session, after: int) -> list[Command]:
        """The commands after the last one that was received; none once the session has ended."""
        with self.locked():
            return [] if session.ended else self._agents.commands(session, after)

    def report(self, session: Session, event: AgentEvent | ActionEnd) -> None:
        """Report about a task or a node action; ignored once the session has ended."""
        with self.locked():
            if not session.ended:
                self._agents.report(session, [event])

    def disconnect(self, session: Session) -> None:
        """Count the agent as silent from now on."""
        with self.locked():
            self._agents.disconnect(session.node_id)
