"""Seed files: what a platform contains from its start."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from yellowdog_client.model import MachineImageFamilySearch

from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.directory import LocalPlatformError
from yellowdog_local.service.options import read_content
from yellowdog_local.service.seed_files import MAX_FILE_BYTES, SeedError, read_seed

EXAMPLE = Path(__file__).parents[3] / "examples/local/seed.json"
SOURCE = "ComputeSourceTemplate"


def contents(platform: LocalPlatform) -> dict[str, list[str]]:
    store = platform.store
    return {
        "namespaces": sorted(store.namespaces),
        "sources": [record.name for record in store.source_templates.values()],
        "templates": [f"{record.namespace}/{record.name}" for record in store.requirement_templates.values()],
        "images": [record.entity.name for record in platform.images.search(MachineImageFamilySearch())],
        "pools": [pool.name for pool in store.pools.values()],
    }


OF_THE_EXAMPLE = {
    "namespaces": ["demo", "my-team"],
    "sources": ["local", "slow"],
    "templates": ["demo/local", "my-team/ray-worker"],
    "images": ["ray-images"],
    "pools": ["on-premises"],
}


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_platform_contains_the_seed_from_its_start_and_after_a_reset(tmp_path: Path, ending: str) -> None:
    resources = json.loads(EXAMPLE.read_text())[::-1]  # the order does not matter
    file = tmp_path / f"seed.{ending}"
    file.write_text(json.dumps(resources) if ending == "json" else yaml.safe_dump(resources))
    platform = LocalPlatform(hosts=SimulatedHosts(), plant=read_content(None, file).plant)
    try:
        assert contents(platform) == OF_THE_EXAMPLE
        platform.reset()
        assert contents(platform) == OF_THE_EXAMPLE
    finally:
        platform.close()


def _example(**changes: Any) -> list[dict[str, Any]]:
    """The example with changes to its source template."""
    resources = json.loads(EXAMPLE.read_text())
    for key, value in changes.items():
        target = resources[1] if key in ("resource", "namespaces", "source") else resources[1]["source"]
        target[key] = value
    return list(resources)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"resource": SOURCE}, "must be a list of resources"),
        (["x"], "must be an object with the key 'resource'"),
        ([{"resource": [1]}], "[0]: the key 'resource' must be one of Namespace, "),
        (
            _example(resource="ComputeSourceTemplat"),
            "unknown kind of resource 'ComputeSourceTemplat': did you mean 'Com",
        ),
        (_example(namespaces="x"), "[1] ComputeSourceTemplate: unknown key 'namespaces': did you mean 'namespace'?"),
        (_example(limits=4), "unknown key 'source.limits': did you mean 'source.limit'?"),
        (_example(limit="4"), "[1] ComputeSourceTemplate: source.limit must be a whole number"),
        (_example(source=None), "[1] ComputeSourceTemplate: source must be set"),
    ],
    ids=["mapping", "text", "list", "kind", "key", "inner key", "value", "missing"],
)
def test_wrong_file_is_refused(tmp_path: Path, content: object, words: str) -> None:
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(content))

    with pytest.raises(SeedError) as refused:
        read_seed(file)

    assert str(refused.value).startswith(f"{file}: ")
    assert words in str(refused.value)


NAMESPACE = "{resource: Namespace, name: a"
UNREADABLE = {
    ("json", '[{"resource": "Namespace", "name": NaN}]'): "NaN is not a JSON value",
    ("json", '[{"resource": "Namespace", "name": 1e400}]'): "1e400 is out of range",
    ("json", '[{"resource": "Namespace", "name": "a", "name": "b"}]'): "the key 'name' occurs twice",
    ("json", "[" * 10_000): "nested more than",
    ("yaml", "- {resource: ConfiguredWorkerPool, name: p, properties: {targetNodeCount: .inf}}"): "a whole number",
    ("yaml", f"- {NAMESPACE}, 1: b}}"): "the key 1 is no text",
    ("yaml", f"- {NAMESPACE}, ~: b}}"): "the key None is no text",
    ("yaml", f"- {NAMESPACE}, name: b}}"): "the key 'name' occurs twice",
    ("YAML", "- &a [*a]"): "more than 100,000 values",
    ("yml", "\n".join(["- &a0 [x, x]"] + [f"- &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)])): "100,000",
    ("yaml", "#" * (MAX_FILE_BYTES + 1)): "1,000,001 bytes",
}


@pytest.mark.parametrize(("ending", "text"), UNREADABLE, ids=UNREADABLE.values())
def test_unreadable_file_is_refused_with_the_reason(tmp_path: Path, ending: str, text: str) -> None:
    file = tmp_path / f"seed.{ending}"
    file.write_text(text)

    with pytest.raises(SeedError) as refused:
        read_seed(file)

    assert UNREADABLE[ending, text] in str(refused.value)
    assert str(refused.value).isprintable()


def test_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "seed.json")

    with pytest.raises(SeedError, match="no regular file"):
        read_seed(tmp_path / "seed.json")


def test_name_in_a_message_is_printable(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text('- {resource: "a\\n::error::\\ud83d"}')

    with pytest.raises(SeedError, match=r"\\n::error::\\ud83d"):
        read_seed(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("limit", -1),
        ("instanceStartupTimeSeconds", -5),
        ("instanceStartupTimeVariance", -1),
        ("unexpectedInstanceTerminationProbability", 5),
        ("unexpectedInstanceTerminationProbability", -0.1),
    ],
)
def test_number_without_a_meaning_is_refused(tmp_path: Path, key: str, value: float) -> None:
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(_example(**{key: value})))

    with pytest.raises(LocalPlatformError, match=rf"\[1\] ComputeSourceTemplate: source\.{key} must be"):
        LocalPlatform(hosts=SimulatedHosts(), plant=read_content(None, file).plant)


def test_negative_size_of_a_pool_is_refused(tmp_path: Path) -> None:
    resources = _example()
    resources[4]["properties"]["targetNodeCount"] = -1
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(resources))

    with pytest.raises(LocalPlatformError, match=r"\[4\] ConfiguredWorkerPool: properties\.targetNodeCount must be"):
        LocalPlatform(hosts=SimulatedHosts(), plant=read_content(None, file).plant)


@pytest.mark.parametrize("text", ["[", "\x00", "!!bool x"])
@pytest.mark.parametrize("ending", ["json", "yml"])
def test_unreadable_file_is_refused(tmp_path: Path, text: str, ending: str) -> None:
    file = tmp_path / f"seed.{ending}"
    file.write_text(text)

    with pytest.raises(LocalPlatformError, match=r"--seed .*: not a readable file"):
        read_content(None, file)


def test_resource_that_the_platform_refuses_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "seed.json"
    file.write_text(json.dumps([*_example(), _example()[1]]))
    content = read_content(None, file)

    with pytest.raises(LocalPlatformError, match=r"--seed .*: \[5\] ComputeSourceTemplate: .*'slow'.* already exists"):
        LocalPlatform(hosts=SimulatedHosts(), plant=content.plant)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- resource: [\n", "not a readable file of JSON or YAML: line 2, column 1: expected the node content, but "),
        ("- a: \x07\n", "unacceptable character #x0007: special characters are not allowed at position 5"),
        (
            "- {resource: MachineImageFamily, namespace: demo, name: no}\n",
            "name must be a string, not False: put it in quotes",
        ),
        (
            "- {resource: MachineImageFamily, namespace: demo, name: 2026-01-01}\n",
            "not datetime.date(2026, 1, 1): put it in quotes",
        ),
    ],
)
def test_mistake_of_yaml_is_one_line_with_its_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(text)

    with pytest.raises(SeedError) as caught:
        read_seed(file)

    assert message in str(caught.value)
    assert "\\n" not in str(caught.value)
