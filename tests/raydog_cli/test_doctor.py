"""`raydog doctor`: planted misconfigurations are found, each with its remedy; the good ones of this machine pass."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import __version__ as ray_version
from yellowdog_client.model import ApiKey

from tests.raydog_cli import planted
from tests.raydog_cli.planted import BAD, EVERY, ON_THIS_MACHINE, Plant
from tests.raydog_cli.world import World, free_port
from tests.yellowdog_ray.cluster_lab import BOOT, make_head
from tests.yellowdog_ray.inventory.conftest import Raydog
from tests.yellowdog_ray.ray_cli import assert_refused, ray
from yellowdog_local import faults
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.commands import laptop_checks
from yellowdog_ray.inventory import doctor
from yellowdog_ray.inventory.account import Account
from yellowdog_ray.inventory.platform_checks import check_exposure
from yellowdog_ray.node.ray_versions import has_tokens


@pytest.fixture
def world(
    local: RunningPlatform,
    cluster_yaml: dict[str, Any],
    in_a_users_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(laptop_checks, "DASHBOARD_PORT", free_port())  # another test, or a user, may have the real one
    monkeypatch.setattr(laptop_checks, "CLIENT_SERVER_PORT", free_port())
    made = World(local, cluster_yaml, in_a_users_folder, monkeypatch)
    with made.stack:
        yield made


NEEDS_TOKENS = pytest.mark.skipif(not has_tokens(ray_version), reason="this version of Ray has no tokens")


def cases(plants: Iterable[Plant]) -> list[Any]:
    """Parameters for these plants. Some concern the cluster's token, which old versions of Ray do not have."""
    of_tokens = (planted.file_in_the_way, planted.token_with_spaces, planted.full_disk)
    return [
        pytest.param(plant, id=plant.__name__, marks=[NEEDS_TOKENS] if plant in of_tokens else []) for plant in plants
    ]


@pytest.mark.parametrize("plant", cases(EVERY))
def test_planted_mistake_is_found_with_its_remedy(world: World, raydog: Raydog, plant: Plant):
    mark, subject, remedy = EVERY[plant]
    plant(world)

    result = raydog.run("doctor", world.write())

    lines = [line for line in result.stdout.splitlines() if line.startswith(f"  {mark} {subject}")]
    assert any(remedy in line for line in lines), result.output
    assert result.exit_code == (1 if mark == BAD else 0), result.output


@pytest.mark.parametrize("plant", cases(ON_THIS_MACHINE))
def test_ray_up_refuses_what_doctor_finds_on_this_machine(world: World, plant: Plant):
    plant(world)

    result = ray("up", world.config, world.home, "--yes")

    assert_refused(result, world.local, ON_THIS_MACHINE[plant][1])


def states(shape: dict[str, Any]) -> dict[str, str]:
    return {check["subject"]: check["state"] for check in shape["checks"]}


@NEEDS_TOKENS
def test_good_machine_yaml_and_account_have_nothing_wrong(world: World, raydog: Raydog):
    result = raydog.run("doctor", world.write())

    assert result.exit_code == 0, result.output
    marks = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert set(marks) == {"✓", "-"}
    unknown = {line.split(":")[0].strip(" -") for line in result.stdout.splitlines() if line.startswith("  - ")}
    assert unknown == {"way to the head", "image sim-image", "task type"}


def test_doctor_creates_nothing_and_takes_few_calls(world: World, raydog: Raydog):
    file = world.write()
    mark = world.local.calls.mark()

    raydog.run("doctor", file)

    assert world.local.calls.count("POST /work/**", since=mark) == 0
    assert world.local.calls.count("POST /workerPools/**", since=mark) == 0
    assert world.local.calls.count("*", since=mark) <= 17  # one for the labels of the template


def test_machine_and_account_are_checked_without_a_yaml(world: World, raydog: Raydog):
    shape = raydog.json("doctor")

    assert shape["good"] is True
    assert states(shape)["namespace"] == states(shape)["reading worker pools"] == "ok"
    assert {check["section"] for check in shape["checks"]} == {"This machine", "YellowDog"}


def test_key_with_no_namespace_is_found_without_a_yaml(world: World, raydog: Raydog):
    planted.foreign_namespace(world)
    world.local.platform.application.readableNamespaces = []

    assert states(raydog.json("doctor"))["namespace"] == "failed"


def test_key_that_may_not_read_its_own_application_is_good(world: World, raydog: Raydog):
    world.refuse("GET /application")

    shape = raydog.json("doctor", world.write())

    assert shape["good"] is True
    assert states(shape)["permission to create"] == "not checked"


def test_key_that_may_not_read_roles_images_or_policies_leaves_them_unchecked(world: World, raydog: Raydog):
    planted.no_image(world)
    for call in ("GET /account/**", "GET /images/**", "GET /namespaces/*/policy"):
        world.refuse(call)

    shape = raydog.json("doctor", world.write())

    assert shape["good"] is True
    image = next(subject for subject in states(shape) if subject.startswith("image ydid:"))
    assert {states(shape)[subject] for subject in (image, "permission to create", "namespace's limit")} == {
        "not checked"
    }


def test_credential_that_the_application_may_use_is_good(world: World, raydog: Raydog):
    planted.with_keyring(world, "main")
    with world.local.client() as client:
        key = ApiKey(world.local.key_id, world.local.key_secret)
        application = str(world.local.platform.application.id)
        client.keyring_client.grant_application_access_to_keyring("cloud", application, key)
    file = world.write()

    assert states(raydog.json("doctor", file))["credential cloud/main"] == "ok"
    world.refuse("GET /keyrings/*")
    assert states(raydog.json("doctor", file))["credential cloud/main"] == "not checked"


def test_template_that_the_key_may_not_test_is_unchecked(world: World, raydog: Raydog):
    world.refuse("PUT /compute/templates/test")

    shape = raydog.json("doctor", world.write())

    assert states(shape)["template demo/local"] == "not checked"
    assert shape["good"] is True


def test_living_cluster_is_reported_as_one_that_ray_up_updates(world: World, raydog: Raydog, make_cluster):
    make_head(make_cluster("demo"))

    result = raydog.run("doctor", world.write())

    assert "✓ cluster name: cluster 'demo' is alive" in result.stdout


@pytest.mark.parametrize(("is_reached", "mark"), [(True, "✓"), (False, "!")])
def test_address_of_a_running_head_is_tried(world: World, raydog: Raydog, make_cluster, monkeypatch, is_reached, mark):
    make_head(make_cluster("demo"))
    world.local.advance(BOOT)
    tried = []
    monkeypatch.setattr("yellowdog_ray.remote.ssh.answers", lambda host, _: tried.append(host) or is_reached)

    result = raydog.run("doctor", world.write())

    assert result.exit_code == 0, result.output
    assert f"{mark} head's address: " in result.stdout
    assert len(tried) == 1
    assert "without a head" not in result.stdout


def test_yaml_with_mistakes_hides_no_mistake_elsewhere(world: World, raydog: Raydog):
    world.config["max_wrokers"] = 3
    planted.no_template(world)
    planted.full_disk(world)

    shape = raydog.json("doctor", world.write())

    assert states(shape)["YAML"] == states(shape)["template demo/locla"] == "failed"
    assert states(shape)["directory ~/.raydog"] == "failed"
    assert states(shape)["resources"] == states(shape)["token"] == "not checked"


def test_file_that_is_no_yaml_is_reported_with_its_place(world: World, raydog: Raydog):
    (world.home / "cluster.yaml").write_text("a: [\n")

    result = raydog.run("doctor", "cluster.yaml")

    assert result.exit_code == 1
    assert "✗ YAML: cluster.yaml:2:1: this is no YAML" in result.stdout


def test_missing_file_ends_with_exit_code_2(world: World, raydog: Raydog):
    result = raydog.run("doctor", "no.yaml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: no.yaml cannot be read (No such file or directory): correct the path")


@pytest.mark.parametrize("path", [".", "/dev/null"])
def test_path_that_is_no_file_is_named_as_such(world: World, raydog: Raydog, path: str):
    result = raydog.run("doctor", path)

    assert result.exit_code == 2
    assert f"{path} is no regular file" in result.stderr


@pytest.mark.parametrize(("mode", "count"), [(0o644, 1), (0o600, 0)])
def test_key_file_that_others_may_read_is_a_warning(world: World, raydog: Raydog, mode: int, count: int):
    file = world.home / ".env"
    file.write_text(
        f"YD_API_URL={world.local.url}\nYD_API_KEY_ID={world.local.key_id}\n"
        f"YD_API_KEY_SECRET={world.local.key_secret}\n"
    )
    file.chmod(mode)
    for name in ("YD_API_URL", "YD_API_KEY_ID", "YD_API_KEY_SECRET"):
        world.patch.delenv(name)
    world.patch.chdir(world.home)

    found = [check for check in raydog.json("doctor")["checks"] if f"chmod 600 {file}" in check["text"]]

    assert [check["state"] for check in found] == ["warning"] * count


@pytest.mark.parametrize(("host", "count"), [("platform.test", 1), ("10.1.2.3", 1), ("127.0.0.9", 0), ("[::1]", 0)])
def test_unencrypted_url_of_another_machine_is_a_warning(monkeypatch, host: str, count: int):
    monkeypatch.setenv("YD_API_URL", f"http://{host}:8000")
    monkeypatch.setenv("YD_API_KEY_ID", "id")
    monkeypatch.setenv("YD_API_KEY_SECRET", "secret")

    assert len(list(check_exposure(Account(0.0)))) == count


def test_unreachable_platform_leaves_the_local_checks(world: World, raydog: Raydog):
    world.patch.setenv("YD_API_URL", f"http://127.0.0.1:{free_port()}")
    planted.open_key(world)

    shape = raydog.json("doctor", world.write())

    assert shape["good"] is False
    assert states(shape)["connection"] == states(shape)["SSH key"] == "failed"
    assert states(shape)["programs"] == states(shape)["scripts"] == "ok"
    assert states(shape)["account, templates, pools"] == "not checked"


def test_checks_that_hang_are_named_and_left_unchecked(world: World, raydog: Raydog):
    world.patch.setattr(doctor, "GRACE_SECONDS", 0.0)
    world.patch.setattr(doctor, "CHECK_SECONDS", 2.0)
    world.stack.enter_context(world.local.faults.during(faults.Hang(call="GET /workerPools")))

    result = raydog.run("doctor", world.write())

    assert "still checking: " in result.stderr
    assert "- reading: no answer within 2 s" in result.stdout
    assert "✓ namespace: " in result.stdout


def test_silent_platform_is_a_failed_check(world: World, raydog: Raydog):
    world.patch.setattr(doctor, "GRACE_SECONDS", 0.1)
    world.patch.setattr(doctor, "CHECK_SECONDS", 0.3)
    world.stack.enter_context(world.local.faults.during(faults.Hang(call="GET /application")))

    result = raydog.run("doctor", "--json")
    shape = json.loads(result.stdout)

    assert (shape["good"], states(shape)["connection"]) == (False, "failed")
    assert "still checking: API key" in result.stderr


def test_plain_marks_replace_those_that_the_output_cannot_show(world: World, raydog: Raydog):
    planted.open_key(world)
    command = [sys.executable, "-c", "from raydog_cli.main import app; app()", "doctor", world.write()]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:replace", "YD_API_URL": "http://127.0.0.1:1"}

    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert done.returncode == 1
    assert "  FAILED SSH key: " in done.stdout
    assert "  ok programs: " in done.stdout
