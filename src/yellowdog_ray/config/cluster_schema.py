"""The JSON schema of a cluster's YAML, for editors: the installed Ray's schema, with RayDog's keys and rules.

`raydog schema` prints it; `schemas/raydog-cluster.schema.json` is the one of the locked Ray. `raydog validate` finds
more: a schema expresses few rules between values, and checks no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ray
from pydantic import BaseModel

from yellowdog_ray import names
from yellowdog_ray.config import ray_keys
from yellowdog_ray.config.installed_schema import rays_schema
from yellowdog_ray.config.limits import (
    IDLE_TIMEOUT_MINUTES,
    MAX_NUMBER,
    MAX_RESOURCE,
    MIN_OBJECT_STORE_BYTES,
    UPSCALING_SPEED,
)
from yellowdog_ray.config.models import INTERNAL_KEY, Auth, ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.config.paths import NO_CONTROL_CHARACTERS
from yellowdog_ray.config.ray_schema import LEGACY
from yellowdog_ray.config.values import whole

Schema = dict[str, Any]

_ID = "https://github.com/yellowdog/raydog/blob/main/schemas/raydog-cluster.schema.json"
_NO_CONTAINERS = "Leave it out: RayDog starts Ray in the nodes' tasks. For containers see docs/containers.md."

_RAYS_PROVIDER_KEYS: Mapping[str, tuple[str, bool]] = {
    "use_internal_ips": ("Whether Ray and RayDog use the nodes' private addresses.", False),
    "use_external_head_ip": ("Whether `ray` commands use the head's public address.", False),
    "use_node_id_as_ip": ("Whether Ray's monitor uses node ids as addresses. Leave it out.", False),
    "disable_launch_config_check": ("Whether Ray keeps nodes whose configuration has changed.", True),
    "foreground_node_launch": ("Whether autoscaler v1 launches all nodes of a tick in one batch.", True),
    "worker_liveness_check": ("Whether autoscaler v1 ends workers that send no heartbeat.", True),
    "worker_rpc_drain": ("Whether autoscaler v1 of older versions of Ray drains a worker before it ends it.", True),
}
"""Ray's true-or-false keys under `provider`: the meaning, and the default in a cluster of RayDog."""

_NODE_TYPE_KEYS = {
    "node_config": "RayDog's settings of the machines of this node type.",
    "min_workers": "Minimum number of workers of this node type. Default: 0.",
    "max_workers": "Maximum number of workers of this node type. Default: the top-level `max_workers`.",
    "idle_timeout_s": "Seconds without work after which Ray terminates a worker. Default: the top-level "
    "`idle_timeout_minutes`.",
    "priority": "Ray's key: a node type with a higher number is preferred. Default: 0.",
    "resources": "The resources of one node in whole numbers, such as `{CPU: 4, GPU: 1}`; `memory` and "
    "`object_store_memory` in bytes. Without it, RayDog fills in what YellowDog describes.",
    "labels": "Ray's labels of the nodes: a mapping of text to text.",
    "docker": _NO_CONTAINERS,
}
_TOP_LEVEL = {
    "cluster_name": f"Also the name of the YellowDog work requirement: {names.NAMING_RULE}.",
    "provider": "Where the cluster runs: RayDog's keys, and Ray's keys for its node provider.",
    "max_workers": "Maximum number of workers of all node types together.",
    "upscaling_speed": f"Ray's key. Default: {UPSCALING_SPEED}, because Ray's own default for external providers is "
    "one node per tick.",
    "idle_timeout_minutes": "Minutes without work after which Ray terminates a worker. Default: "
    f"{IDLE_TIMEOUT_MINUTES}.",
    "auth": "SSH access of `ray` commands to the head.",
    "docker": _NO_CONTAINERS,
    "head_node_type": "The key of `available_node_types` that describes the head.",
    "available_node_types": "The node types: each key is a name, each value its settings.",
}


def cluster_schema() -> Schema:
    """The schema, in JSON schema's draft 7."""
    schema = rays_schema()
    keys = schema["properties"]
    keys["cluster_name"] |= {
        "pattern": whole(names.NAME_PATTERN),
        "patternErrorMessage": f"Use {names.NAMING_RULE}.",
        "maxLength": names.MAX_NAME_LENGTH,
    }
    for key in ("max_workers", "upscaling_speed", "idle_timeout_minutes", "no_restart"):
        keys[key]["maximum"] = MAX_NUMBER
    keys["idle_timeout_minutes"]["type"] = ["number", "null"]
    for key in ray_keys.LISTS_OF_TEXT:
        keys[key]["items"] = {"type": "string"}
    keys["file_mounts"]["additionalProperties"] = {"type": "string", "minLength": 1}
    keys["provider"] = _provider(keys["provider"])
    keys["auth"] = _auth(keys["auth"])
    keys["docker"] = _without_containers(keys["docker"])
    keys["available_node_types"] = _node_types(keys["available_node_types"])
    _describe(keys, _TOP_LEVEL)
    for key in LEGACY:
        keys[key] = {"enum": [None, {}, []], "description": "A key of old files, without effect: leave it out."}
    return {
        **schema,
        "$id": _ID,
        "title": "RayDog cluster",
        "description": f"A Ray cluster on YellowDog with Ray {ray.__version__}: see docs/configuration.md.",
        "required": [*ray_keys.REQUIRED, "head_node_type", "available_node_types"],
        "anyOf": [{"required": ["auth"]}, {"properties": {"provider": {"required": ["auth"]}}}],
    }


def schema_text() -> str:
    """The schema as a file's text."""
    return json.dumps(cluster_schema(), indent=2) + "\n"


def _provider(rays: Schema) -> Schema:
    own = _section(ProviderSettings)
    flags = {
        key: {"type": "boolean", "default": default, "description": _with_default(text, default)}
        for key, (text, default) in _RAYS_PROVIDER_KEYS.items()
    }
    updaters = {
        **rays["properties"]["disable_node_updaters"],
        "description": "Whether Ray runs no set-up over SSH on workers. Default: true without commands and files for "
        "them.",
    }
    own["properties"] = {
        "type": {"const": "external", "description": "Ray's kind of provider: `external`."},
        "module": {
            "type": "string",
            "pattern": r"^[^\s.]+(\.[^\s.]+)+$",
            "default": ray_keys.MODULE,
            "description": f"The class that Ray loads: `{ray_keys.MODULE}`.",
        },
        **own["properties"],
        **flags,
        "disable_node_updaters": updaters,
    }
    copied = own["properties"]["auth"]["description"]
    own["properties"]["auth"] = _section(Auth) | {"type": ["object", "null"], "description": copied}
    own["required"] = ["type", "module", *own["required"]]
    return own


def _node_types(rays: Schema) -> Schema:
    ((pattern, rays_type),) = rays["patternProperties"].items()
    keys = rays_type["properties"]
    keys["node_config"] = _node_config()
    for key in ray_keys.COUNTS:
        keys[key] |= {"minimum": 0, "maximum": MAX_NUMBER}
    keys["priority"]["maximum"] = MAX_NUMBER
    keys["resources"] = {
        "type": ["object", "null"],
        "properties": {
            "object_store_memory": {
                "type": "integer",
                "maximum": MAX_RESOURCE,
                "anyOf": [{"const": 0}, {"minimum": MIN_OBJECT_STORE_BYTES}],
                "description": f"Bytes of Ray's object store: at least {MIN_OBJECT_STORE_BYTES:,}, or 0.",
            },
            "CPU": _amount("Number of CPUs."),
            "GPU": _amount("Number of GPUs."),
            "memory": _amount("Bytes of memory for tasks, without the object store."),
        },
        "additionalProperties": _amount("Amount of a custom resource."),
    }
    keys["labels"] = {
        "type": "object",
        "propertyNames": {
            "pattern": whole(f"([a-zA-Z0-9_.-]+/)?{ray_keys.LABEL_PATTERN}"),
            "not": {"const": ray_keys.NODE_ID_LABEL},
        },
        "additionalProperties": {"type": "string", "pattern": whole(f"({ray_keys.LABEL_PATTERN})?")},
    }
    keys["docker"] = _without_containers(keys["docker"])
    _describe(keys, _NODE_TYPE_KEYS)
    return {
        **rays,
        "minProperties": 1,
        "propertyNames": {"pattern": whole(rf"(?=.*\S){NO_CONTROL_CHARACTERS}")},
        "patternProperties": {pattern: {**rays_type, "required": ["node_config"]}},
    }


def _amount(text: str) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": MAX_RESOURCE, "description": text}


def _node_config() -> Schema:
    """Either a template, or a configured pool and nothing else."""
    section = _section(NodeConfig)
    others = {key: {"type": "null"} for key in section["properties"] if key != "worker_pool"}
    section["if"] = {"properties": {"worker_pool": {"type": "string"}}, "required": ["worker_pool"]}
    section["then"] = {"properties": others}
    section["else"] = {
        "properties": {"compute_requirement_template": {"type": "string"}},
        "required": ["compute_requirement_template"],
    }
    return section


def _without_containers(docker: Schema) -> Schema:
    keys = {
        key: {**section, "maxLength": 0} if key in ray_keys.CONTAINER_KEYS else section
        for key, section in docker["properties"].items()
    }
    return {**docker, "properties": keys}


def _auth(rays: Schema) -> Schema:
    """The section at the top level, where Ray refuses empty values, with Ray's own rule between two keys."""
    section = _section(Auth)
    for value in section["properties"].values():
        if isinstance(value["type"], list):
            value["type"] = value["type"][0]
    section["properties"]["ssh_private_key"]["minLength"] = 1
    return {**section, "required": [*section["required"], "ssh_private_key"], "allOf": rays["allOf"]}


def _section(model: type[BaseModel]) -> Schema:
    """The schema of a model, without references and titles."""
    made = model.model_json_schema()
    properties = {key: _value(value) for key, value in made["properties"].items() if key != INTERNAL_KEY}
    return {
        "type": "object",
        "properties": properties,
        "required": list(made.get("required", [])),
        "additionalProperties": False,
    }


def _value(made: Schema) -> Schema:
    """One value: pydantic's `anyOf` with null becomes a list of types, which editors show better."""
    value = {key: part for key, part in made.items() if key != "title"}
    choices = value.get("anyOf", [])
    if len(choices) == 2 and {"type": "null"} in choices:
        (other,) = (choice for choice in choices if choice != {"type": "null"})
        del value["anyOf"]
        value |= other
        if "type" in value:
            value["type"] = [value["type"], "null"]
        if "enum" in value:
            value["enum"] = [*value["enum"], None]
    if value.get("default") is None:
        value.pop("default", None)
    else:
        value["description"] = _with_default(value["description"], value["default"])
    return value


def _with_default(text: str, default: object) -> str:
    return f"{text} Default: {json.dumps(default)}."


def _describe(keys: Schema, texts: Mapping[str, str]) -> None:
    for key, text in texts.items():
        keys[key]["description"] = text
