"""The YAML's `node_config` of a node type as a typed model, with the messages about wrong keys. No I/O, no state.

Must not import `platform`. For a new key see docs/development/new-node-config-key.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from yellowdog_ray.config import values
from yellowdog_ray.config.levels import Section
from yellowdog_ray.config.mistakes import Mistake, refuse
from yellowdog_ray.config.model_mistakes import mistakes_of, remedy_of
from yellowdog_ray.config.userdata import full_userdata
from yellowdog_ray.errors import ConfigError

NODE_FILE_KEYS = ("userdata", "extra_userdata")
"""The keys whose value may be `file:<path>`."""


class NodeConfig(Section):
    """A node type's `node_config`."""

    level: ClassVar[str] = "under `node_config` of a node type"

    compute_requirement_template: values.OptionalTemplate = Field(
        default=None,
        description="The template for the type's machines: its id, or its `namespace/name`. Required unless there is a "
        "`worker_pool`.",
    )
    worker_pool: values.OptionalPool = Field(
        default=None,
        description="A configured worker pool to use instead: its id, or its `namespace/name`. It excludes the other "
        "keys.",
    )
    images_id: values.OptionalImage = Field(default=None, description="The image, if the template does not set one.")
    metrics_enabled: values.OptionalBoolean = Field(
        default=None, description="Whether YellowDog collects metrics from the nodes."
    )
    instance_tags: values.OptionalTags = Field(
        default=None,
        description="Further tags of the type's machines. They replace tags of the same key in "
        "`provider.instance_tags`.",
    )
    userdata: str | None = Field(
        default=None,
        description="A script or cloud-init data, run as root at boot, before Ray starts: text, or `file:<path>`. "
        "Without a first line for cloud-init it runs in bash.",
    )
    extra_userdata: str | None = Field(
        default=None,
        description="As `userdata`, which it follows. After a shell script it runs in a subshell with that script's "
        "variables, also after `exit`. After `exec`, or an `exit` with a `trap` of the script's own, it does not; `ray "
        "up` warns. Texts of two formats or shells, such as `#cloud-config` and `#!/bin/bash`, become separate parts.",
    )

    def __hash__(self) -> int:
        return hash(self.digest)  # the mapping of tags has none

    def with_tags(self, tags: Mapping[str, str]) -> NodeConfig:
        """This section with further tags of its machines; its own have precedence. A configured pool has none."""
        if not tags or self.worker_pool is not None:
            return self
        merged = {**tags, **(self.instance_tags or {})}
        return self.model_copy(update={"instance_tags": dict(sorted(merged.items()))})

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
        """The text that cloud-init runs: `userdata` followed by `extra_userdata`, or None where there is neither."""
        return full_userdata(self.userdata, self.extra_userdata)


def parse_node_config(section: Mapping[str, Any], source: str, path: str) -> NodeConfig:
    """Read one node type's `node_config`, found at `path` of the file `source`.

    Raises:
        ConfigError: a key is missing, unknown or wrong, or two keys exclude each other.
    """
    refuse(node_config_mistakes(section, path), source)
    return NodeConfig.model_validate(dict(section))


def node_config_mistakes(section: object, path: str) -> list[Mistake]:
    """The mistakes in a node type's `node_config`, found at `path` of the YAML."""
    found = mistakes_of(NodeConfig, section, path)
    if not isinstance(section, Mapping):
        return found
    stated = {key for key in NodeConfig.model_fields if section.get(key) is not None}
    if not stated & {"worker_pool", "compute_requirement_template"}:
        remedy = remedy_of(NodeConfig, "compute_requirement_template")
        text = f" is missing{remedy}; or name a configured worker pool with `worker_pool`"
        found.append(Mistake((path, "compute_requirement_template"), text))
    others = [key for key in NodeConfig.model_fields if key in stated - {"worker_pool"}]
    if "worker_pool" in stated and others:
        text = (
            f" has worker_pool and {', '.join(others)}: RayDog provisions no machines for a configured worker pool: "
            "remove one or the other"
        )
        found.append(Mistake((path,), text))
    return found
