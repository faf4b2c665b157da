"""Messages between the platform and its agents, as data. Imports nothing of the platform."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Command = dict[str, Any]


class WorkerTarget(BaseModel):
    """The number of YellowDog workers of a machine that joins a configured pool."""

    model_config = ConfigDict(extra="ignore")

    targetType: Literal["PER_NODE", "PER_VCPU"] = "PER_NODE"  # noqa: N815
    targetCount: float = Field(default=1.0, gt=0)  # noqa: N815


class Registration(BaseModel):
    """An agent's description of itself and its machine."""

    model_config = ConfigDict(extra="ignore")

    instanceId: str  # noqa: N815  names of the wire
    hostname: str
    privateIpAddress: str  # noqa: N815
    publicIpAddress: str  # noqa: N815
    vcpus: float = Field(gt=0)
    ram: float = Field(gt=0)
    supportedTaskTypes: list[str]  # noqa: N815
    agentVersion: str  # noqa: N815
    # Only from machines that join a configured pool: a provisioned one has these from its compute source.
    provider: Literal["AWS", "GOOGLE", "AZURE", "OCI", "ON_PREMISE"] = "ON_PREMISE"
    region: str | None = None
    instanceType: str | None = None  # noqa: N815
    sourceName: str | None = None  # noqa: N815
    createWorkers: WorkerTarget | None = None  # noqa: N815


class AgentEvent(BaseModel):
    """An agent's report about one attempt of a task."""

    model_config = ConfigDict(extra="ignore")

    taskId: str  # noqa: N815
    attempt: int
    type: Literal["STARTED", "FINISHED"]
    exitCode: int | None = None  # noqa: N815
    errorType: Literal["UNABLE_START_PROCESS", "UNABLE_WRITE_TASK_DATA"] | None = None  # noqa: N815
    message: str | None = None


class ActionEnd(BaseModel):
    """An agent's report that a node action has ended; it failed if `exitCode` is not 0."""

    model_config = ConfigDict(extra="ignore")

    action: int
    type: Literal["ACTION_FINISHED"] = "ACTION_FINISHED"
    exitCode: int  # noqa: N815
    message: str | None = None


class Commands(Protocol):
    """Sends commands to agents."""

    def send(self, node_id: str, command: Command) -> None:
        """Queue a command for the agent of a platform node."""
