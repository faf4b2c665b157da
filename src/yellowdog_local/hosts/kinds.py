"""Chooses the kind of a platform's hosts: the requested one, or the best that this machine supports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from yellowdog_local.hosts.prerequisites import (
    MissingRequirementError,
    check_namespace_hosts,
    check_process_hosts,
)


class HostKind(str, Enum):
    """The values of `--hosts`."""

    AUTO = "auto"
    NAMESPACE = "namespace"
    PROCESS = "process"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Choice:
    """The chosen kind.

    Attributes:
        kind: the kind; never AUTO.
        why: the reason, as a clause.
    """

    kind: HostKind
    why: str


def choose(requested: HostKind) -> Choice:
    """Check the machine and choose the kind of hosts.

    Raises:
        MissingRequirementError: the machine supports neither the requested kind nor, for AUTO, any real hosts.
    """
    if requested is HostKind.AUTO:
        return _best()
    if requested is HostKind.NAMESPACE:
        check_namespace_hosts()
    if requested is HostKind.PROCESS:
        check_process_hosts()
    return Choice(requested, "as requested")


def _best() -> Choice:
    try:
        check_namespace_hosts()
    except MissingRequirementError as error:
        no_namespaces = str(error)
    else:
        return Choice(HostKind.NAMESPACE, "this machine supports namespaces")
    try:
        check_process_hosts()
    except MissingRequirementError as error:
        raise MissingRequirementError(
            f"this machine can run neither kind of hosts. Namespace hosts: {no_namespaces}. Process hosts: {error}"
        ) from error
    return Choice(HostKind.PROCESS, f"namespace hosts are not possible here: {no_namespaces}")
