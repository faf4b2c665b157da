"""What only the text of a YAML shows: duplicate keys, of which Ray passes on the last value, and misread numbers."""

import click
import pytest
import yaml

from tests.yellowdog_ray.ray_cli import complete
from yellowdog_ray.config.as_written import warnings_of_file
from yellowdog_ray.provider import RayDogNodeProvider


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: 1\nb:\n  - c: 1\n    c: 2\na: 3\n", ["4:5", "5:1"]),
        ("a: &x {b: 1, b: 2}\nc: *x\n", ["1:14"]),
        ("a: &x\n  b: *x\n", []),
        ("<<: {a: 1}\n<<: {a: 2}\n", []),
        ("a: [1\n", []),
        ("", []),
    ],
)
def test_duplicate_keys_are_found_once_at_their_place(tmp_path, text, places):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)

    assert [warning.removeprefix(f"{file}:").split(": the key")[0] for warning in warnings_of_file(file)] == places


def test_file_that_cannot_be_read_has_no_warnings(tmp_path):
    assert warnings_of_file(tmp_path / "https:" / "cluster.yaml") == []


@pytest.mark.parametrize(("command", "warns"), [("up", True), ("down", False)])
def test_ray_up_warns_of_duplicate_keys(tmp_path, cluster_yaml, capsys, command, warns):
    file = tmp_path / "cluster.yaml"
    file.write_text(f"{yaml.safe_dump(complete(cluster_yaml))}max_workers: 3\n")
    with click.Context(click.Command(command), info_name=command) as context:
        context.params["cluster_config_file"] = str(file)
        RayDogNodeProvider.bootstrap_config(complete(cluster_yaml))

    assert ("the key max_workers occurs twice, and the last one counts" in capsys.readouterr().out) is warns


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("a: {b: 1:30}\n", ["1:8: a.b is 1:30, which YAML reads as 90, in base 60: write a number without a colon"]),
        ("a:\n- -1:30.5\n", ["2:3: a.0 is -1:30.5, which YAML reads as -90.5, in base 60"]),
        ("a: 010\n", ["1:4: a is 010, which YAML reads as 8, in base 8: write the number without leading zeros"]),
        ("a: '1:30'\nb: 0\nc: 0x10\nd: 1.5\ne: 08\nf: 12:60\ng: 'x'\nh: 1_000\n", []),
    ],
)
def test_numbers_in_other_bases_are_found_at_their_place(tmp_path, text, findings):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)

    found = [warning.removeprefix(f"{file}:") for warning in warnings_of_file(file)]

    assert len(found) == len(findings)
    assert [one for one, start in zip(found, findings, strict=True) if not one.startswith(start)] == []
