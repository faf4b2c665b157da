"""Everything that RayDog can complain about, as one small tree.

* RayDogError
  x ConfigError            the YAML, or a file that it names, is wrong
  x CredentialsError       no usable YellowDog API key
  x HeadError
    - HeadBuildTimeout     the head did not become reachable in time
    - HeadEnded            the head's task ended before Ray was up
    - HeadUnreachable      no network leads from this machine to the head
  x SshError               OpenSSH could not reach the head, or a command on it failed
    - HostKeyChanged       what answers at the head's address is not the host that it was
  x ClusterNameTaken       the name belongs to a work requirement that is not a RayDog cluster
  x DeadlinePassed         the cluster's lifetime is over
  x LaunchPaused           a node type is left alone for a while after failed launches
  x NodeBuildError         a worker that was asked for did not come up
    - NoCapacity           the sources of its template have no instances to give
    - QuotaExceeded        the account may not have more of them
    - ProvisioningFailed   they failed for another reason
    - NeverAllocated       no platform node took its task in time
    - NeverJoined          its task ran, but Ray did not come up on it in time
    - SetupFailed          Ray's updater could not set it up over SSH
  x PlatformError          YellowDog did not do what was asked
    - NotAuthorised        the key is wrong, revoked, or may not do this
    - NotFound             the thing is not there
    - AlreadyExists        the name is taken
    - Refused              the request was understood and declined
    - Throttled            too many requests; says nothing about capacity
    - Unavailable          no answer, or a server error; the call may have been applied
      = MalformedResponse  an answer that is not YellowDog's; the call may have been applied
"""

from __future__ import annotations

from typing import ClassVar

from yellowdog_ray.redaction import redact


class RayDogError(Exception):
    """Root of the tree. Its text is written for the user: what is wrong, and what to do.

    Attributes:
        code: a stable word for logs, tests and scripts; shorter than 20 characters, Ray's limit for a
            launch failure's category (`ray.autoscaler.node_launch_exception`).
    """

    code: ClassVar[str] = "RayDogError"

    def __init__(self, text: str) -> None:
        super().__init__(redact(text))


class ConfigError(RayDogError):
    """The user's YAML, or a file that it names, cannot be used."""

    code = "BadConfig"


class CredentialsError(RayDogError):
    """The user gave no API key, or half of one."""

    code = "NoCredentials"


class HeadError(RayDogError):
    """The head node could not be brought up."""

    code = "HeadFailed"


class HeadBuildTimeout(HeadError):
    """The head did not become reachable within `head_node_build_timeout_minutes`."""

    code = "HeadBuildTimeout"


class HeadEnded(HeadError):
    """The head's task ended while the user was waiting for it."""

    code = "HeadEnded"


class HeadUnreachable(HeadError):
    """The head has only a private address, and the user's machine is not in that network."""

    code = "HeadUnreachable"


class SshError(RayDogError):
    """OpenSSH could not reach the head, or what it ran there failed."""

    code = "SshFailed"


class HostKeyChanged(SshError):
    """The head's host has another SSH host key than when this machine first met it."""

    code = "HostKeyChanged"


class ClusterNameTaken(RayDogError):
    """The user chose a cluster name that another kind of work requirement already has."""

    code = "ClusterNameTaken"


class DeadlinePassed(RayDogError):
    """A node was asked for after the end of the cluster's lifetime."""

    code = "LifetimeOver"


class LaunchPaused(RayDogError):
    """A node type was asked for again while it is left alone after failed launches. Its code is the failure's own."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code  # type: ignore[misc]  # per class everywhere else


class NodeBuildError(RayDogError):
    """A worker that the platform has accepted did not become a Ray node."""

    code = "NodeBuildFailed"


class NoCapacity(NodeBuildError):
    """The sources of the template have no instances to give."""

    code = "NoCapacity"


class QuotaExceeded(NodeBuildError):
    """The user's account with the cloud provider may not have more instances."""

    code = "QuotaExceeded"


class ProvisioningFailed(NodeBuildError):
    """The sources of the template failed, neither for want of capacity nor for a quota."""

    code = "ProvisioningFailed"


class NeverAllocated(NodeBuildError):
    """No platform node took the worker's task within `worker_node_build_timeout_minutes`."""

    code = "NeverAllocated"


class NeverJoined(NodeBuildError):
    """The worker's task ran for `worker_node_build_timeout_minutes`, and Ray did not come up on it."""

    code = "NeverJoined"


class SetupFailed(NodeBuildError):
    """A command of the user's set-up failed on the worker, or its files could not be copied there."""

    code = "SetupFailed"


class PlatformError(RayDogError):
    """YellowDog did not do what was asked."""

    code = "PlatformError"


class NotAuthorised(PlatformError):
    """The API key is wrong, revoked, or may not do this."""

    code = "NotAuthorised"


class NotFound(PlatformError):
    """The platform has no such thing."""

    code = "NotFound"


class AlreadyExists(PlatformError):
    """The name is taken: by somebody else, or by an earlier try of our own that went through."""

    code = "AlreadyExists"


class Refused(PlatformError):
    """The platform understood the request and declined it."""

    code = "Refused"


class Throttled(PlatformError):
    """Too many requests. This is not a lack of capacity."""

    code = "Throttled"


class Unavailable(PlatformError):
    """No answer, or an answer that is no answer. What was asked may have been done all the same."""

    code = "Unavailable"


class MalformedResponse(Unavailable):
    """Whatever answered at YD_API_URL did not send what YellowDog sends. The request may have been applied."""

    code = "MalformedResponse"
