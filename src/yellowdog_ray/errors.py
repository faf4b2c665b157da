"""Every error of RayDog, as one tree.

* RayDogError
  x ConfigError            the YAML, or a file that it names, is wrong
  x CredentialsError       no usable YellowDog API key
  x HeadError
    - HeadBuildTimeout     the head did not become reachable in time
    - HeadEnded            the head's task ended before Ray was up
    - HeadUnreachable      this machine has no route to the head
    - HeadOutdated         its RayDog is too old for what the YAML requires
    - HeadUnusable         RayDog cannot run on the head's image
  x SshError               OpenSSH could not reach the head, or a command on it failed
    - HostKeyChanged       another host answers at the head's address
  x ClusterNameTaken       the name belongs to a work requirement that is not a RayDog cluster
  x DeadlinePassed         the cluster's lifetime is over
  x TeardownIncomplete     something was still alive long after `ray down` began
  x InternalError          a bug in RayDog
  x LaunchBackedOff        a node type backs off after failed launches
  x NodeBuildError         a launched worker did not become a Ray node
    - NoCapacity           the sources of its template have no instances left
    - QuotaExceeded        the cloud account's quota is reached
    - ProvisioningFailed   the sources failed for another reason
    - NeverAllocated       no platform node took its task in time
    - NeverJoined          its task ran, but Ray did not join in time
    - EndedBeforeJoin      its task ended before Ray joined
    - EndedAfterJoin       its task ended within a minute after Ray joined
    - SetupFailed          Ray's updater could not set it up over SSH
  x PlatformError          YellowDog did not do what RayDog requested
    - NotAuthorised        the key is wrong, revoked, or may not do this
    - NotFound             no such object
    - AlreadyExists        the name is taken
    - Refused              YellowDog declined the request
    - Throttled            too many requests; says nothing about capacity
    - Unavailable          no answer, or a server error; the call may have been applied
      = MalformedResponse  an answer that is not YellowDog's; the call may have been applied
"""

from __future__ import annotations

from typing import ClassVar

from yellowdog_ray.redaction import redact


class RayDogError(Exception):
    """Root of the tree. The text is for the user: the problem, and the remedy.

    Attributes:
        code: a stable word for logs, tests and scripts; shorter than 20 characters, Ray's limit for a
            launch failure's category (`ray.autoscaler.node_launch_exception`).
    """

    code: ClassVar[str] = "RayDogError"

    def __init__(self, text: str) -> None:
        super().__init__(redact(text))


class ConfigError(RayDogError):
    """The user's YAML, or a file that it names, has a mistake."""

    code = "BadConfig"


class CredentialsError(RayDogError):
    """The user gave no API key, or only a part of it."""

    code = "NoCredentials"


class HeadError(RayDogError):
    """The head did not come up."""

    code = "HeadFailed"


class HeadBuildTimeout(HeadError):
    """The head did not become reachable within `head_node_build_timeout_minutes`."""

    code = "HeadBuildTimeout"


class HeadEnded(HeadError):
    """The head's task ended while `ray up` was waiting for it."""

    code = "HeadEnded"


class HeadUnreachable(HeadError):
    """The head has only a private address, and the user's machine is not in that network."""

    code = "HeadUnreachable"


class HeadOutdated(HeadError):
    """The RayDog on the head's image is too old for what the YAML requires."""

    code = "HeadOutdated"


class HeadUnusable(HeadError):
    """The head's image lacks something that RayDog needs, and `ray up` cannot supply it."""

    code = "HeadUnusable"


class SshError(RayDogError):
    """OpenSSH did not reach the head, or a command on the head failed."""

    code = "SshFailed"


class HostKeyChanged(SshError):
    """The head's host shows another SSH host key than at the first connection."""

    code = "HostKeyChanged"


class ClusterNameTaken(RayDogError):
    """The cluster's name belongs to a work requirement that is not a RayDog cluster, or has another configuration."""

    code = "ClusterNameTaken"


class DeadlinePassed(RayDogError):
    """A launch was requested after the end of the cluster's lifetime."""

    code = "LifetimeOver"


class TeardownIncomplete(RayDogError):
    """The platform still shows something alive, long after RayDog requested its end."""

    code = "TeardownIncomplete"


class InternalError(RayDogError):
    """A bug in RayDog: an exception that no failure of the platform or the user's input explains."""

    code = "InternalError"


class LaunchBackedOff(RayDogError):
    """A launch was requested while the node type backs off. The code is that of the failure behind the back-off."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code  # type: ignore[misc]  # per class everywhere else


class NodeBuildError(RayDogError):
    """A worker that the platform accepted did not become a Ray node."""

    code = "NodeBuildFailed"


class NoCapacity(NodeBuildError):
    """The sources of the template have no instances left."""

    code = "NoCapacity"


class QuotaExceeded(NodeBuildError):
    """The quota of the user's account with the cloud provider is reached."""

    code = "QuotaExceeded"


class ProvisioningFailed(NodeBuildError):
    """The sources of the template failed for a reason other than capacity or quota."""

    code = "ProvisioningFailed"


class NeverAllocated(NodeBuildError):
    """No platform node took the worker's task within `worker_node_build_timeout_minutes`."""

    code = "NeverAllocated"


class NeverJoined(NodeBuildError):
    """The worker's task ran for `worker_node_build_timeout_minutes`, and Ray did not join."""

    code = "NeverJoined"


class EndedBeforeJoin(NodeBuildError):
    """The worker's task ended, by itself or with its machine, before Ray joined."""

    code = "EndedBeforeJoin"


class EndedAfterJoin(NodeBuildError):
    """The worker's task ended, by itself or with its machine, within a minute after Ray joined."""

    code = "EndedAfterJoin"


class SetupFailed(NodeBuildError):
    """A command of the user's set-up failed on the worker, or a file could not be copied to it."""

    code = "SetupFailed"


class PlatformError(RayDogError):
    """YellowDog did not do what RayDog requested."""

    code = "PlatformError"


class NotAuthorised(PlatformError):
    """The API key is wrong, revoked, or may not do this."""

    code = "NotAuthorised"


class NotFound(PlatformError):
    """The platform has no such object."""

    code = "NotFound"


class AlreadyExists(PlatformError):
    """The name is taken: by somebody else, or by an earlier attempt of RayDog that succeeded."""

    code = "AlreadyExists"


class Refused(PlatformError):
    """The platform declined the request."""

    code = "Refused"


class Throttled(PlatformError):
    """Too many requests. This is not a lack of capacity."""

    code = "Throttled"


class Unavailable(PlatformError):
    """No usable answer. The platform may have applied the call."""

    code = "Unavailable"


class MalformedResponse(Unavailable):
    """The response at YD_API_URL is not one of YellowDog's. The platform may have applied the call."""

    code = "MalformedResponse"
