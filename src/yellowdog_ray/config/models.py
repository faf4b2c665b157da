"""The YAML's `provider` and `auth` sections as typed models, with the messages about wrong keys.

No I/O except reading the files that the YAML names. Must not import `platform`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from yellowdog_ray.config import limits, values
from yellowdog_ray.config.levels import Section
from yellowdog_ray.config.mistakes import Mistake, refuse
from yellowdog_ray.config.model_mistakes import mistakes_of
from yellowdog_ray.config.values import Remedy
from yellowdog_ray.node.authentication import MODE_DISABLED, MODE_TOKEN
from yellowdog_ray.node.variables import DEFAULT_TAG_SERVER_PORT

INTERNAL_KEY = "_raydog"
"""Under `provider`: results of `bootstrap_config` for `create_node`, which receives one node type only."""

MISTAKES_KEY = "_raydog_mistakes"
"""Under `provider`, between two of Ray's steps: mistakes in Ray's keys, which Ray would report by a traceback."""

FILLED_KEY = "_raydog_resources"
"""Under `provider`, for `bootstrap_config`: the origin of `resources` that the YAML does not state."""

RAY_PROVIDER_KEYS = frozenset(
    {
        "type",
        "module",
        "disable_node_updaters",
        "disable_launch_config_check",
        "foreground_node_launch",
        "worker_liveness_check",
        "worker_rpc_drain",
        "use_internal_ips",
        "use_external_head_ip",
        "use_node_id_as_ip",
        "_config_cache_path",
    }
)
"""Ray's own keys under `provider` (autoscaler/_private and v2 of Ray 2.60). RayDog passes them on."""


class Auth(Section):
    """SSH to the head: the YAML's top-level `auth`, or the copy of it under `provider`."""

    level: ClassVar[str] = "under `auth`"

    ssh_user: values.User = Field(description="The user that runs the tasks and accepts SSH, usually `yd-agent`.")
    ssh_private_key: values.OptionalPath = Field(
        default=None, description="The path of the private key file of `ssh_user`. Required in the top-level `auth`."
    )
    ssh_public_key: values.OptionalPath = Field(
        default=None, description="Ray's key: the path of the public key file. RayDog ignores it."
    )
    ssh_proxy_command: str | None = Field(
        default=None,
        description="OpenSSH's `ProxyCommand`, if only another host can reach the head, such as "
        "`ssh -W %h:%p bastion.example.com`.",
    )
    ssh_proxy_use_node_id: values.UnquotedBoolean = Field(
        default=False, description="Whether `ssh_proxy_command` receives the node's id as `%h` instead of its address."
    )


class NodeTypeSummary(Section):
    """The part of every node type that RayDog needs, not only of the one that it launches."""

    compute_requirement_template: str | None = None
    worker_pool: str | None = None
    instance_tags: dict[str, str] = Field(default_factory=dict)
    max_workers: int | None = None
    resources: dict[str, int | float] = Field(default_factory=dict)
    resources_origin: str | None = None
    """The origin of `resources` that the YAML does not state."""
    resources_unknown: str | None = None
    """Why RayDog could not fill in `resources`."""
    machine_labels: dict[str, str] = Field(default_factory=dict)
    """Ray's labels of every machine that the YAML does not state."""


class Internal(Section):
    """Results of `bootstrap_config` for `create_node` and for the monitor.

    Attributes:
        is_partial: whether the YAML was read for a command that uses or ends a cluster, and not checked as a whole.
        user: the name of the user who ran `ray up`, for a tag of the machines; empty if unknown.
        token_file: the local file that Ray copies over the head's token; empty if there is none. Not sent to the head.
        token_place: the key of the YAML that names it, for messages.
    """

    source: str = ""
    is_partial: bool = False
    user: str = ""
    max_workers: int | None = None
    head_resources: dict[str, int | float] = Field(default_factory=dict)
    head_labels: dict[str, str] = Field(default_factory=dict)
    head_machine_labels: dict[str, str] = Field(default_factory=dict)
    head_updater: str = ""
    worker_updater: str = ""
    token_file: str = ""
    token_place: str = ""
    node_types: dict[str, NodeTypeSummary] = Field(default_factory=dict)


class ProviderSettings(Section):
    """RayDog's own keys under `provider`."""

    level: ClassVar[str] = "under `provider`"
    rays_keys: ClassVar[frozenset[str]] = RAY_PROVIDER_KEYS

    cluster_namespace: Annotated[
        values.Name, Remedy("name the YellowDog namespace of the cluster, for example `my-team`")
    ] = Field(description="The YellowDog namespace of the work requirement and the worker pools.")
    cluster_tag: values.OptionalTag = Field(
        default=None, description="A tag for the work requirement and the worker pools."
    )
    instance_tags: values.Tags = Field(
        default_factory=dict,
        description="Tags of all machines of the cluster, such as `{team: research}`, by which your cloud's bill "
        "groups them: a mapping of text to text. RayDog adds `ray-cluster-name` and `ray-user`.",
    )
    cluster_lifetime_hours: values.Hours = Field(
        default=1.0,
        ge=limits.MIN_LIFETIME_HOURS,
        le=limits.MAX_LIFETIME_HOURS,
        description=f"Hours, from {limits.MIN_LIFETIME_HOURS} to {limits.MAX_LIFETIME_HOURS:,}. One deadline for the "
        "whole cluster, counted from its creation. Workers that join late have the same deadline.",
    )
    idle_termination_minutes: values.OptionalMinutes = Field(
        default=None,
        ge=limits.MIN_IDLE_MINUTES,
        le=limits.MAX_IDLE_MINUTES,
        description=f"Minutes, from {limits.MIN_IDLE_MINUTES} to {limits.MAX_IDLE_MINUTES:,}. A cluster that is idle "
        "for so long ends itself, head included. Without the key it never does.",
    )
    head_node_build_timeout_minutes: values.Minutes = Field(
        default=10.0,
        ge=limits.MIN_BUILD_MINUTES,
        le=limits.MAX_BUILD_MINUTES,
        description="Minutes: the maximum wait of `ray up` for a reachable head. After the timeout `ray up` removes "
        "everything it created.",
    )
    worker_node_build_timeout_minutes: values.Minutes = Field(
        default=10.0,
        ge=limits.MIN_BUILD_MINUTES,
        le=limits.MAX_BUILD_MINUTES,
        description="Minutes: the maximum wait for a worker's machine (`NeverAllocated`), and then for Ray to join "
        "(`NeverJoined`). RayDog then terminates the worker. With set-up over SSH, each step has this limit.",
    )
    head_node_tag_server_port: values.Port = Field(
        default=DEFAULT_TAG_SERVER_PORT,
        ge=1,
        le=65535,
        description="The head's port for Valkey, which stores Ray's mutable tags. The head's script must use the same "
        "port. The ports of other servers are refused.",
    )
    auth: Auth | None = Field(default=None, description="Optional copy of the top-level `auth`.")
    ray_head_node_task_script: values.OptionalScript = Field(
        default=None, description="The script that runs Ray on the head: text, or `file:<path>`."
    )
    ray_worker_node_task_script: values.OptionalScript = Field(
        default=None, description="The script that runs Ray on a worker: text, or `file:<path>`."
    )
    api_key_in_head_task: values.Boolean = Field(
        default=False,
        description="Also puts the API key into the head task's environment, for scripts that read it there. Everyone "
        "who may see the task can read it; `ray up` warns.",
    )
    worker_address_check: values.Boolean = Field(
        default=True,
        description="A worker receives the token only at an address that YellowDog lists for it. Write `false` "
        "only where workers reach the head through address translation.",
    )
    ray_auth: values.RayAuth = Field(
        default=None,
        description="Whether the cluster requires a Ray token from everyone who connects. Fixed when the cluster "
        "is created.",
    )
    head_restart: values.Boolean = Field(
        default=False,
        description="If the head's machine is lost, a worker starts another head, and sends it the cluster's files. Up "
        "to three workers keep these files, the API key among them (Security).",
    )
    publish_events: values.Boolean = Field(
        True, description="The head publishes decisions and state on YellowDog, for `raydog events` and `why`."
    )
    files_to_upload: values.Files = Field(
        default_factory=list,
        description="Files for the head: a list of paths, or a mapping of remote path to local path. A relative path "
        "in a list keeps its place below the head's home; other paths go to the home itself.",
    )
    internal: Internal = Field(default_factory=Internal, alias=INTERNAL_KEY)

    @property
    def lifetime(self) -> timedelta:
        """The cluster's lifetime."""
        return timedelta(hours=self.cluster_lifetime_hours)

    @property
    def auth_mode(self) -> str:
        """The mode of Ray's authentication in a new cluster."""
        return MODE_DISABLED if self.ray_auth == "none" else MODE_TOKEN


def quoted_keys(section: Mapping[str, Any], model: type[BaseModel]) -> list[str]:
    """The keys of a section without mistakes whose numbers, or true and false, are in quotes."""
    known = {key: value for key, value in section.items() if key in model.model_fields}
    parsed = model.model_validate(known)
    return [key for key, value in known.items() if isinstance(value, str) and not isinstance(getattr(parsed, key), str)]


PROVIDER_FILE_KEYS = ("ray_head_node_task_script", "ray_worker_node_task_script")


def parse_provider(section: Mapping[str, Any], source: str) -> ProviderSettings:
    """Read the `provider` section.

    Args:
        section: the section, before or after `bootstrap_config`.
        source: the file's name, for messages.

    Raises:
        ConfigError: a key is missing, unknown or wrong.
    """
    refuse(provider_mistakes(section), source)
    return ProviderSettings.model_validate(_own_keys(section))


def provider_mistakes(section: object) -> list[Mistake]:
    """The mistakes in RayDog's keys of the `provider` section."""
    if not isinstance(section, Mapping):
        return mistakes_of(ProviderSettings, section, "provider")
    return mistakes_of(ProviderSettings, _own_keys(section), "provider")


def _own_keys(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in RAY_PROVIDER_KEYS}


def parse_usable_provider(section: Mapping[str, Any], source: str) -> ProviderSettings:
    """Read the `provider` section without the keys that have mistakes: they do not concern this command.

    Raises:
        ConfigError: `cluster_namespace` is missing or wrong.
    """
    return parse_provider(usable_keys(section, source), source)


def usable_keys(section: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The `provider` section without the keys that have mistakes; for the rest as `parse_usable_provider`."""
    mistakes = provider_mistakes(section)
    refuse([mistake for mistake in mistakes if mistake.place[1] == "cluster_namespace"], source)
    wrong = {str(mistake.place[1]) for mistake in mistakes}
    return {key: value for key, value in section.items() if key not in wrong}


def parse_auth(section: Mapping[str, Any], source: str) -> str:
    """Read the top-level `auth` section.

    Returns:
        The private key's path, as the YAML has it.

    Raises:
        ConfigError: a key is missing, unknown or wrong.
    """
    refuse(auth_mistakes(section), source)
    return str(section["ssh_private_key"])


def auth_mistakes(section: object) -> list[Mistake]:
    """The mistakes in the top-level `auth` section."""
    found = mistakes_of(Auth, section, "auth")
    if not isinstance(section, Mapping):
        return found
    if section.get("ssh_proxy_use_node_id") is True and not section.get("ssh_proxy_command"):
        text = (
            " needs auth.ssh_proxy_command: give a command that connects to a node by its id, or remove "
            "ssh_proxy_use_node_id"
        )
        found.append(Mistake(("auth", "ssh_proxy_use_node_id"), text))
    if section.get("ssh_private_key") in (None, ""):
        text = " is missing: name the private key file of `ssh_user` on the head, for example ~/.ssh/id_ed25519"
        found.append(Mistake(("auth", "ssh_private_key"), text))
    return found


def check_copied_auth(section: Mapping[str, Any], source: str) -> None:
    """Read `provider.auth`, which RayDog replaces by the top-level `auth`.

    Raises:
        ConfigError: it has a mistake.
    """
    if section.get("auth") is not None:
        refuse(mistakes_of(Auth, section["auth"], "provider.auth"), source)
