"""Every error of RayDog, as one tree; `code` is Ray's launch-failure category, in brackets if it is not the class.

* RayDogError
  x ConfigError (BadConfig)           the YAML, or a file that it names, is wrong
  x CredentialsError (NoCredentials)  no usable YellowDog API key
  x HeadError (HeadFailed)
    - HeadBuildTimeout                the head did not become reachable in time
    - HeadEnded                       the head's task ended before Ray was up
    - HeadUnreachable                 the laptop has no route to the head
    - HeadOutdated                    its RayDog is too old for what the YAML requires
    - HeadUnusable                    RayDog cannot run on the head's image
  x SshError (SshFailed)              OpenSSH could not reach the head, or a command on it failed
    - HostKeyChanged                  another host answers at the head's address
  x ClusterNameTaken                  the name belongs to a work requirement that is not a RayDog cluster
  x LifetimeOver                      the cluster's lifetime is over
  x TeardownIncomplete                something was still alive long after `ray down` began
  x InternalError                     a bug in RayDog
  x LaunchBackedOff                   a node type backs off after failed launches
  x NodeBuildError (NodeBuildFailed)  a launched worker did not become a Ray node
    - NoCapacity                      the sources of its template have no instances left
    - QuotaExceeded                   the cloud account's quota is reached
    - ProvisioningFailed              the sources failed for another reason
    - NeverAllocated                  no platform node took its task in time
    - NeverJoined                     its task ran, but Ray did not join in time
    - EndedBeforeJoin                 its task ended before Ray joined
    - EndedAfterJoin                  its task ended within a minute after Ray joined
    - SetupFailed                     Ray's updater could not set it up over SSH
  x PlatformError                     YellowDog did not do what RayDog requested
    - NotAuthorised                   the key is wrong, revoked, or may not do this
    - NotFound                        no such object
    - AlreadyExists                   the name is taken
    - Refused                         YellowDog declined the request
    - Throttled                       too many requests; says nothing about capacity
    - Unavailable                     no answer, or a server error; the call may have been applied
      = MalformedResponse             an answer that is not YellowDog's; the call may have been applied
"""

from __future__ import annotations

from typing import ClassVar

from yellowdog_ray.printable import lines
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
    """The user's YAML, or a file that it names, has a mistake.

    Remedy: correct what the message names. `raydog validate` shows every mistake at once.
    """

    code = "BadConfig"

    def __init__(self, text: str) -> None:
        super().__init__(lines(text))


class CredentialsError(RayDogError):
    """The user gave no API key, or only a part of it.

    Remedy: set `YD_API_KEY_ID` and `YD_API_KEY_SECRET`.
    """

    code = "NoCredentials"


class HeadError(RayDogError):
    """The head did not come up.

    Remedy: read the message and the head's log, then run `ray up` again.
    """

    code = "HeadFailed"


class HeadBuildTimeout(HeadError):
    """The head did not become reachable within `head_node_build_timeout_minutes`.

    Remedy: read the last state in the message. Raise the timeout if the image boots slowly.
    """

    code = "HeadBuildTimeout"


class HeadEnded(HeadError):
    """The head's task ended while `ray up` was waiting for it.

    Remedy: read the task's error in the message, and its output on the head.
    """

    code = "HeadEnded"


class HeadUnreachable(HeadError):
    """The head has only a private address, and the laptop is not in that network.

    Remedy: set `auth.ssh_proxy_command`, or run `ray` inside that network.
    """

    code = "HeadUnreachable"


class HeadOutdated(HeadError):
    """The RayDog on the head's image is too old for what the YAML requires.

    Remedy: put a newer RayDog into the image, or remove the key that requires it.
    """

    code = "HeadOutdated"


class HeadUnusable(HeadError):
    """The head's image lacks something that RayDog needs, and `ray up` cannot supply it.

    Remedy: let the image contain what the message names.
    """

    code = "HeadUnusable"


class SshError(RayDogError):
    """OpenSSH did not reach the head, or a command on the head failed.

    Remedy: check the address, the key, the user and the firewall with `ssh`.
    """

    code = "SshFailed"


class HostKeyChanged(SshError):
    """The head's host shows another SSH host key than at the first connection.

    Remedy: if the change is legitimate, remove the file that the message names.
    """

    code = "HostKeyChanged"


class ClusterNameTaken(RayDogError):
    """The cluster's name belongs to a work requirement that is not a RayDog cluster, or has another configuration.

    Remedy: choose another `cluster_name`, or remove the other work requirement.
    """

    code = "ClusterNameTaken"


class LifetimeOver(RayDogError):
    """A launch was requested after the end of the cluster's lifetime.

    Remedy: raise `cluster_lifetime_hours`, and create the cluster again.
    """

    code = "LifetimeOver"


class TeardownIncomplete(RayDogError):
    """The platform still shows something alive, long after RayDog requested its end.

    Remedy: run `ray down` again. The message names what is left.
    """

    code = "TeardownIncomplete"


class InternalError(RayDogError):
    """A bug in RayDog: an exception that no failure of the platform or the user's input explains.

    Remedy: report it with the monitor's log.
    """

    code = "InternalError"


class LaunchBackedOff(RayDogError):
    """A launch was requested while the node type backs off. The code is that of the failure behind the back-off.

    Remedy: none; the next attempt follows by itself.
    """

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code  # type: ignore[misc]  # per class everywhere else


class NodeBuildError(RayDogError):
    """A worker that the platform accepted did not become a Ray node.

    Remedy: read the message in the log.
    """

    code = "NodeBuildFailed"


class NoCapacity(NodeBuildError):
    """The sources of the template have no instances left.

    Remedy: wait, or add sources or regions to the template.
    """

    code = "NoCapacity"


class QuotaExceeded(NodeBuildError):
    """The quota of the user's account with the cloud provider is reached.

    Remedy: raise the quota, or lower `max_workers`.
    """

    code = "QuotaExceeded"


class ProvisioningFailed(NodeBuildError):
    """The sources of the template failed for a reason other than capacity or quota.

    Remedy: read the source's message in the log.
    """

    code = "ProvisioningFailed"


class NeverAllocated(NodeBuildError):
    """No platform node took the worker's task within `worker_node_build_timeout_minutes`.

    Remedy: check the pool in YellowDog's portal: does the image have an agent?
    """

    code = "NeverAllocated"


class NeverJoined(NodeBuildError):
    """The worker's task ran for `worker_node_build_timeout_minutes`, and Ray did not join.

    Remedy: read the task's output.
    """

    code = "NeverJoined"


class EndedBeforeJoin(NodeBuildError):
    """The worker's task ended, by itself or with its machine, before Ray joined.

    Remedy: read the task's output; check `ray_worker_node_task_script` and Ray's version.
    """

    code = "EndedBeforeJoin"


class EndedAfterJoin(NodeBuildError):
    """The worker's task ended, by itself or with its machine, within a minute after Ray joined.

    Remedy: read the task's output.
    """

    code = "EndedAfterJoin"


class SetupFailed(NodeBuildError):
    """A command of the user's set-up failed on the worker, or a file could not be copied to it.

    Remedy: read the command's output in `monitor.out` on the head.
    """

    code = "SetupFailed"


class PlatformError(RayDogError):
    """YellowDog did not do what RayDog requested.

    Remedy: read the platform's message.
    """

    code = "PlatformError"


class NotAuthorised(PlatformError):
    """The API key is wrong, revoked, or may not do this.

    Remedy: check the key and its application's roles.
    """

    code = "NotAuthorised"


class NotFound(PlatformError):
    """The platform has no such object.

    Remedy: correct the name or id that the message names.
    """

    code = "NotFound"


class AlreadyExists(PlatformError):
    """The name belongs to an existing object: another user's, or that of an earlier attempt of RayDog.

    Remedy: choose another name, or run the command again.
    """

    code = "AlreadyExists"


class Refused(PlatformError):
    """The platform declined the request.

    Remedy: read the platform's message.
    """

    code = "Refused"


class Throttled(PlatformError):
    """Too many requests. This is not a lack of capacity.

    Remedy: none; it passes.
    """

    code = "Throttled"


class Unavailable(PlatformError):
    """No usable answer. The platform may have applied the call.

    Remedy: check YellowDog's status and the network.
    """

    code = "Unavailable"


class MalformedResponse(Unavailable):
    """The response at YD_API_URL is not one of YellowDog's. The platform may have applied the call.

    Remedy: check `YD_API_URL`, and proxies on the way to it.
    """

    code = "MalformedResponse"
    may_heal = False
    """Whether it may be a page of a proxy or gateway, in whose place YellowDog's answer comes later."""
