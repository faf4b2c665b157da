"""Which kind of hosts a platform has: what the user asked for, or the best that this machine grants, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from yellowdog_local.hosts.requirements import (
    MissingRequirementError,
    check_namespace_hosts,
    check_process_hosts,
)


class HostKind(str, Enum):
    """What `--hosts` takes."""

    AUTO = "auto"
    NAMESPACE = "namespace"
    PROCESS = "process"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Choice:
    """The kind that is used.

    Attributes:
        kind: never AUTO.
        why: a clause that goes on a sentence: "process hosts, because ...".
    """

    kind: HostKind
    why: str


def choose(wish: HostKind) -> Choice:
    """Look at the machine, and decide.

    Raises:
        MissingRequirementError: the machine cannot run what is asked for, or neither kind of real hosts.
    """
    if wish is HostKind.AUTO:
        return _best()
    if wish is HostKind.NAMESPACE:
        check_namespace_hosts()
    if wish is HostKind.PROCESS:
        check_process_hosts()
    return Choice(wish, "you asked for them")


def _best() -> Choice:
    try:
        check_namespace_hosts()
    except MissingRequirementError as error:
        no_namespaces = str(error)
    else:
        return Choice(HostKind.NAMESPACE, "this machine grants namespaces")
    try:
        check_process_hosts()
    except MissingRequirementError as error:
        raise MissingRequirementError(
            f"this machine can run neither kind of hosts. Namespace hosts: {no_namespaces}. Process hosts: {error}"
        ) from error
    return Choice(HostKind.PROCESS, f"namespace hosts are not possible here: {no_namespaces}")
