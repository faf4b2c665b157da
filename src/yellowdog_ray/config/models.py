"""The YAML's `provider`, `node_config` and `auth` sections as typed models, with the messages about wrong keys.

Pure, apart from reading the files that the YAML names. Must not import `platform`.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from yellowdog_ray import names
from yellowdog_ray.config.limits import MAX_BUILD_MINUTES, MAX_LIFETIME_HOURS, MIN_BUILD_MINUTES, MIN_LIFETIME_HOURS
from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.paths import path_mistake
from yellowdog_ray.config.ports import free_port
from yellowdog_ray.config.userdata import full_userdata
from yellowdog_ray.errors import ConfigError
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


def _name(value: str) -> str:
    if not names.is_valid_name(value):
        raise ValueError(f"{shown(value)} is not a name that YellowDog accepts: use {names.NAMING_RULE}")
    return value


def _tag(value: str) -> str:
    if not names.is_valid_tag(value):
        raise ValueError(
            f"{shown(value)} is not a tag that YellowDog accepts: use lower-case letters, digits, '-', '_', '.' and "
            f"':', at most {names.MAX_TAG_LENGTH} characters"
        )
    return value


def _user(value: str) -> str:
    # Ray and OpenSSH put the name into commands, and expand characters such as `$`, `{` and `%` there.
    if not re.fullmatch(r"[A-Za-z0-9_.@][A-Za-z0-9_.@-]*", value):
        raise ValueError(
            f"{shown(value)} is not the name of a user (letters, digits, '_', '.', '-' and '@'): name the user that "
            "runs the tasks, usually `yd-agent`"
        )
    return value


def _path(value: str) -> str:
    if mistake := path_mistake(value):
        raise ValueError(mistake)
    return value


def _number(value: object) -> object:
    """Refuse true and false, which Python counts as 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "this is no number")
    return value


def _files(value: object) -> object:
    """Refuse in one message what is neither of the two forms; pydantic gives a message for each."""
    parts = [*value, *value.values()] if isinstance(value, Mapping) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise PydanticCustomError("files", "neither a list nor a mapping of paths")
    return value


def _template(value: str) -> str:
    return _reference(value, "a template's id (ydid:crt:...)")


def _pool(value: str) -> str:
    return _reference(value, "a worker pool's id (ydid:wrkrpool:...)")


def _optional(check: Callable[[str], str]) -> Callable[[str | None], str | None]:
    return lambda value: None if value is None else check(value)


def _reference(value: str, an_id: str) -> str:
    if value.startswith("ydid:") or "/" in value.strip("/"):
        return value
    raise ValueError(f"{shown(value)} is neither {an_id} nor its `namespace/name`")


@dataclass(frozen=True)
class Remedy:
    """The advice at the end of a message about a wrong or missing key; part of the key's annotation."""

    text: str


_BOOLEAN = Remedy("write true or false")
_HOURS = Remedy(f"give a number of hours from {MIN_LIFETIME_HOURS} to {MAX_LIFETIME_HOURS:,}, for example 2.5")
_MINUTES = Remedy(f"give a number of minutes from {MIN_BUILD_MINUTES} to {MAX_BUILD_MINUTES:,}, for example 10")

Hours = Annotated[float, BeforeValidator(_number), _HOURS]
Minutes = Annotated[float, BeforeValidator(_number), _MINUTES]
Name = Annotated[str, AfterValidator(_name)]
Tag = Annotated[str, AfterValidator(_tag)]

SectionT = TypeVar("SectionT", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Auth(_Section):
    """SSH to the head: the YAML's top-level `auth`, or the copy of it under `provider`."""

    ssh_user: Annotated[str, AfterValidator(_user), Remedy("name the user that runs the tasks, usually `yd-agent`")]
    ssh_private_key: Annotated[str | None, AfterValidator(_optional(_path))] = None
    ssh_public_key: Annotated[str | None, AfterValidator(_optional(_path))] = None
    ssh_proxy_command: str | None = None
    ssh_proxy_use_node_id: bool = False


class NodeTypeSummary(_Section):
    """What RayDog needs of every node type, not only of the one that it launches."""

    compute_requirement_template: str | None = None
    worker_pool: str | None = None
    max_workers: int | None = None
    resources: dict[str, int | float] = Field(default_factory=dict)
    resources_origin: str | None = None
    """The origin of `resources` that the YAML does not state."""
    resources_unknown: str | None = None
    """Why RayDog could not fill in `resources`."""


class Internal(_Section):
    """Results of `bootstrap_config` for `create_node` and for the monitor.

    Attributes:
        is_partial: whether the YAML was read for a command that uses or ends a cluster, and not checked as a whole.
        token_file: the local file that Ray copies over the head's token; empty if there is none. Not sent to the head.
        token_place: the key of the YAML that names it, for messages.
    """

    source: str = ""
    is_partial: bool = False
    max_workers: int | None = None
    head_resources: dict[str, int | float] = Field(default_factory=dict)
    head_labels: dict[str, str] = Field(default_factory=dict)
    head_updater: str = ""
    worker_updater: str = ""
    token_file: str = ""
    token_place: str = ""
    node_types: dict[str, NodeTypeSummary] = Field(default_factory=dict)


class ProviderSettings(_Section):
    """RayDog's own keys under `provider`."""

    cluster_namespace: Annotated[Name, Remedy("name the YellowDog namespace of the cluster, for example `my-team`")]
    cluster_tag: Tag | None = None
    cluster_lifetime_hours: Hours = Field(default=1.0, ge=MIN_LIFETIME_HOURS, le=MAX_LIFETIME_HOURS)
    head_node_build_timeout_minutes: Minutes = Field(default=10.0, ge=MIN_BUILD_MINUTES, le=MAX_BUILD_MINUTES)
    worker_node_build_timeout_minutes: Minutes = Field(default=10.0, ge=MIN_BUILD_MINUTES, le=MAX_BUILD_MINUTES)
    head_node_tag_server_port: Annotated[
        int,
        BeforeValidator(_number),
        AfterValidator(free_port),
        Remedy(f"give a port number, for example {DEFAULT_TAG_SERVER_PORT}"),
    ] = Field(default=DEFAULT_TAG_SERVER_PORT, ge=1, le=65535)
    auth: Auth | None = None
    ray_head_node_task_script: str | None = None
    ray_worker_node_task_script: str | None = None
    api_key_in_head_task: Annotated[bool, _BOOLEAN] = False
    worker_address_check: Annotated[bool, _BOOLEAN] = True
    ray_auth: Annotated[
        Literal["token", "none"] | None, Remedy("write token or none (YAML reads `off` and `no` as false)")
    ] = None
    files_to_upload: Annotated[
        list[str] | dict[str, str],
        BeforeValidator(_files),
        Remedy("give a list of paths, or a mapping of remote path to local path"),
    ] = Field(default_factory=list)
    internal: Internal = Field(default_factory=Internal, alias=INTERNAL_KEY)

    @property
    def lifetime(self) -> timedelta:
        """The cluster's lifetime."""
        return timedelta(hours=self.cluster_lifetime_hours)

    @property
    def auth_mode(self) -> str:
        """The mode of Ray's authentication in a new cluster."""
        return MODE_DISABLED if self.ray_auth == "none" else MODE_TOKEN


class NodeConfig(_Section):
    """A node type's `node_config`. For a new key see docs/development/new-node-config-key.md."""

    compute_requirement_template: Annotated[
        str | None, AfterValidator(_optional(_template)), Remedy("give the template's id, or its `namespace/name`")
    ] = None
    worker_pool: Annotated[
        str | None,
        AfterValidator(_optional(_pool)),
        Remedy("give the configured worker pool's id, or its `namespace/name`"),
    ] = None
    images_id: str | None = None
    metrics_enabled: Annotated[bool | None, _BOOLEAN] = None
    userdata: str | None = None
    extra_userdata: str | None = None

    @property
    def template(self) -> str:
        """The template of a node type that has no `worker_pool`."""
        if self.compute_requirement_template is None:
            raise ConfigError("this node type names a worker pool, so RayDog provisions no machine for it")
        return self.compute_requirement_template

    @property
    def digest(self) -> str:
        """Six hexadecimal digits that identify the whole section."""
        return hashlib.sha256(self.model_dump_json(exclude_none=True).encode()).hexdigest()[:6]

    @property
    def full_userdata(self) -> str | None:
        """What cloud-init is to run: `userdata` followed by `extra_userdata`, or None where there is neither."""
        return full_userdata(self.userdata, self.extra_userdata)


PROVIDER_FILE_KEYS = ("ray_head_node_task_script", "ray_worker_node_task_script")
NODE_FILE_KEYS = ("userdata", "extra_userdata")


def parse_provider(section: Mapping[str, Any], source: str) -> ProviderSettings:
    """Read the `provider` section.

    Args:
        section: the section, before or after `bootstrap_config`.
        source: the file's name, for messages.

    Raises:
        ConfigError: a key is missing, unknown or wrong.
    """
    own = {key: value for key, value in section.items() if key not in RAY_PROVIDER_KEYS}
    return _parse(ProviderSettings, own, source, "provider", extra_known=RAY_PROVIDER_KEYS)


def parse_usable_provider(section: Mapping[str, Any], source: str) -> ProviderSettings:
    """Read the `provider` section without the keys that have mistakes: they do not concern this command.

    Raises:
        ConfigError: `cluster_namespace` is missing or wrong.
    """
    return parse_provider(usable_keys(section, source), source)


def usable_keys(section: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The `provider` section without the keys that have mistakes; for the rest as `parse_usable_provider`."""
    own = {key: value for key, value in section.items() if key not in RAY_PROVIDER_KEYS}
    try:
        ProviderSettings.model_validate(own)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        if "cluster_namespace" in wrong:
            parse_provider({key: value for key, value in section.items() if key == "cluster_namespace"}, source)
        return {key: value for key, value in section.items() if key not in wrong}
    return dict(section)


def parse_node_config(section: Mapping[str, Any], source: str, path: str) -> NodeConfig:
    """Read one node type's `node_config`, found at `path` of the file `source`.

    Raises:
        ConfigError: a key is missing, unknown or wrong, or two keys exclude each other.
    """
    config = _parse(NodeConfig, section, source, path)
    if config.worker_pool is None:
        if config.compute_requirement_template is None:
            raise ConfigError(
                f"{source}: {path}.compute_requirement_template is missing"
                f"{_remedy(NodeConfig, 'compute_requirement_template')}; or name a configured worker pool with "
                "`worker_pool`"
            )
        return config
    others = [key for key in NodeConfig.model_fields if key != "worker_pool" and getattr(config, key) is not None]
    if others:
        raise ConfigError(
            f"{source}: {path} has worker_pool and {', '.join(others)}: RayDog provisions no machines for a "
            "configured worker pool: remove one or the other"
        )
    return config


def parse_auth(section: Mapping[str, Any], source: str) -> str:
    """Read the top-level `auth` section.

    Returns:
        The private key's path, as the YAML has it.

    Raises:
        ConfigError: a key is missing, unknown or wrong.
    """
    auth = _parse(Auth, section, source, "auth")
    if auth.ssh_proxy_use_node_id and not auth.ssh_proxy_command:
        raise ConfigError(
            f"{source}: auth.ssh_proxy_use_node_id needs auth.ssh_proxy_command: give a command that connects to a "
            "node by its id, or remove ssh_proxy_use_node_id"
        )
    if not auth.ssh_private_key:
        raise ConfigError(
            f"{source}: auth.ssh_private_key is missing: name the private key file of "
            f"`{auth.ssh_user}` on the head, for example ~/.ssh/id_ed25519"
        )
    return auth.ssh_private_key


def check_copied_auth(section: Mapping[str, Any], source: str) -> None:
    """Read `provider.auth`, which RayDog replaces by the top-level `auth`.

    Raises:
        ConfigError: it has a mistake.
    """
    if section.get("auth") is not None:
        _parse(Auth, section["auth"], source, "provider.auth")


def _parse(
    model: type[SectionT],
    values: Mapping[str, Any],
    source: str,
    path: str,
    extra_known: frozenset[str] = frozenset(),
) -> SectionT:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: {path} must be a mapping of keys to values, not {shown(values)}")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        problems = [_problem(model, detail, path, extra_known) for detail in error.errors()]
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from error


def _problem(model: type[BaseModel], detail: Any, path: str, extra_known: frozenset[str]) -> str:
    place = ".".join([path, *(str(part) for part in detail["loc"])])
    key = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        known = sorted(_keys(model) | {word for word in extra_known if not word.startswith("_")})
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"
        return f"{place} is not a key of RayDog: {hint}"
    remedy = _remedy(model, key)
    if detail["type"] == "missing":
        return f"{place} is missing{remedy}"
    if detail["type"] == "value_error":
        return f"{place}: {detail['ctx']['error']}"
    return f"{place} is {shown(detail['input'])}, which is wrong ({detail['msg'].lower()}){remedy}"


def _remedy(model: type[BaseModel], key: str) -> str:
    field = model.model_fields.get(key)
    remedies = [part.text for part in field.metadata if isinstance(part, Remedy)] if field else []
    return f": {remedies[0]}" if remedies else ""


def _keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items() if field.alias != INTERNAL_KEY}
