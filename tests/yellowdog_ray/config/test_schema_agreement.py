"""The JSON schema and `raydog validate` agree about any YAML, except where no schema can express a rule."""

import re
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.selection import EXHAUSTIVE
from tests.yellowdog_ray.ray_cli import complete
from tests.yellowdog_ray.yaml_mistakes import WORKER
from yellowdog_ray.config.cluster_schema import cluster_schema
from yellowdog_ray.config.validation import validate

VALIDATOR = jsonschema.Draft7Validator(cluster_schema())

NOT_EXPRESSED = re.compile(
    r"there is no file|a path and no script|is a directory|is no regular file|longer than one can be"  # of files
    r"|is not one of available_node_types|above max_workers|two files would become|the same remote path"  # between keys
    r"|would be a file on the head|task groups"
    r"|has the remote path|the key itself|contains a NUL"  # of texts that look like something else
    r"|give a finite number|is nan|without a point|is a key that is no word|has the key \d|of YAML's type"  # no JSON
    r"|domain and '/' may precede"
)
"""Messages of mistakes that a schema accepts: it reads no file, compares no two values, and numbers of JSON are finite.

1.0 is an integer of JSON, whose keys are text. Of labels the schema checks a simpler rule.
"""

SCALARS: list[Any] = [
    *(None, True, False, 0, 1, 2, -1, 1.0, 1.5, 6379, 10**9, 10**23, float("inf"), float("nan")),
    *(
        "",
        " ",
        "a",
        "a b",
        "A",
        "my-team",
        "my-team/t",
        "ydid:crt:x",
        "/",
        "a/",
        "a//b",
        "a/$b",
        "<a>/b",
        "~/x",
        "$HOME/x",
        "file:x",
    ),
    *("true", "yes", "1", "1.5", "token", "none", "external", "head", "worker", "yellowdog_ray.provider.X"),
    *("a/$b", "<a>/b", "ydid:crt:...", "a/\x1bb"),
    *("a\n", "a\nb", "\0", "\x1b[31m", "\u2028", "é", "٣", "-oX=y", "%h", "x" * 64, "x" * 5000),
]
KEYS = ["a", "a/b", "a b", "", "CPU", "object_store_memory", "image", "ssh_user", "min_workers", "~/x", "a\n", "/x"]
PLACES = [
    *((key,) for key in ("cluster_name", "max_workers", "idle_timeout_minutes", "upscaling_speed", "no_restart")),
    *((key,) for key in ("head_node_type", "available_node_types", "provider", "auth", "docker", "metadata", "typo")),
    *((key,) for key in ("head_node", "worker_nodes")),
    *((key,) for key in ("file_mounts", "cluster_synced_files", "rsync_exclude", "setup_commands", "_typo")),
    *(("provider", key) for key in VALIDATOR.schema["properties"]["provider"]["properties"]),
    *(("provider", key) for key in ("internal", "_raydog", "_config_cache_path", "typo")),
    *(("provider", "auth", key) for key in ("ssh_user", "ssh_private_key", "ssh_proxy_use_node_id", "typo")),
    *(("auth", key) for key in VALIDATOR.schema["properties"]["auth"]["properties"]),
    WORKER,
    *(("available_node_types", name) for name in ("", " ", "é", "a\n", "a\x1b", "a\tb")),
    *((*WORKER, key) for key in ("min_workers", "max_workers", "idle_timeout_s", "priority", "docker", "typo")),
    *((*WORKER, key) for key in ("resources", "labels", "node_config", "worker_setup_commands")),
    *((*WORKER, "node_config", key) for key in ("compute_requirement_template", "worker_pool", "images_id", "typo")),
    *((*WORKER, "node_config", key) for key in ("metrics_enabled", "userdata", "extra_userdata", "instance_tags")),
    *((*WORKER, "resources", key) for key in ("CPU", "memory", "object_store_memory", "custom")),
    *((*WORKER, "labels", key) for key in ("a", "example.com/b", "a b")),
]

scalars = st.sampled_from(SCALARS)
values = st.one_of(
    scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from(KEYS), scalars, max_size=2), st.just({})
)
changes = st.dictionaries(st.sampled_from(PLACES), values, min_size=1, max_size=3)
removals = st.sets(st.sampled_from([place for place in PLACES if len(place) < 3]), max_size=1)


def changed(config: dict[str, Any], changes: dict[tuple[str, ...], Any], removed: set[tuple[str, ...]]):
    result = deepcopy(complete(config))
    for place, value in changes.items():
        section = result
        for key in place[:-1]:
            section = section.get(key)
            if not isinstance(section, dict):
                break
        else:
            section[place[-1]] = deepcopy(value)
    for place in removed:
        section = result if len(place) == 1 else result.get(place[0])
        if isinstance(section, dict):
            section.pop(place[-1], None)
    return result


@pytest.mark.search
@settings(
    max_examples=1000 if EXHAUSTIVE else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=changes, removed=removals)
@example(changes={("auth", "ssh_private_key"): None}, removed=set())
@example(changes={("cluster_name",): "a\n", (*WORKER, "priority"): 10**23}, removed=set())
@example(changes={("provider", "auth"): {}, ("provider", "_config_cache_path"): "x"}, removed={("auth",)})
@example(changes={("provider", "api_key_in_head_task"): "yes"}, removed=set())
def test_verdicts_agree(tmp_path, cluster_yaml, changes, removed):
    config = changed(cluster_yaml, changes, removed)
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))

    errors = [f"{error.json_path}: {error.message[:100]}" for error in VALIDATOR.iter_errors(config)]
    # An editor marks quotes around a number, of which `raydog validate` warns.
    texts = [found.text for found in validate(file) if not found.is_warning or " is in quotes, " in found.text]

    assert [text for text in texts if not text.isprintable()] == []
    if errors:
        assert texts, errors
    else:
        assert [text for text in texts if not NOT_EXPRESSED.search(text)] == []
