"""Puts this process into a world's hands: clocks, threads, random numbers, sockets, SSH and the environment."""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
import shutil
import uuid
from datetime import datetime
from email import message_from_string
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft7Validator
from yellowdog_client.model import SimulatorComputeSource

import yellowdog_ray
from tests.simulation import ray_time
from tests.simulation.config import BOOT_SECONDS, KEY_FILE
from tests.simulation.lab import URL, Lab
from tests.ssh_keys import write_key
from yellowdog_ray.commands.deliver import Delivered
from yellowdog_ray.config.check import ok
from yellowdog_ray.node.scripts import STORE_FOLDER
from yellowdog_ray.private_file import write_private

if TYPE_CHECKING:
    from tests.simulation.world import World

_PAGED_MODULES = tuple(
    f"yellowdog_ray.{name}"
    for name in ("platform.calls", "cluster.task_cache", "cluster.task_reading", "cluster.platform_nodes")
)
"""The modules of the provider that count in pages."""

_NOT_OURS = ("RAYDOG_ON_HEAD", "RAYDOG_WORK_REQUIREMENT_ID", "RAY_enable_autoscaler_v2")


def prepare(world: World) -> None:
    """Replace everything that could make two runs of one seed differ. The world's monkeypatch restores it."""
    _replace_chance(world)
    _replace_time(world)
    _replace_threads(world)
    _replace_ssh(world)
    _use_fast_parsers(world)
    # It logs once in a process, of which several simulated heads share this one.
    world.monkeypatch.setattr("yellowdog_ray.monitor.head_side.report_own_version", lambda: None)
    # What runs on this machine would be in the story.
    world.monkeypatch.setattr("yellowdog_ray.monitor.head_machine.HeadMachine.tick", lambda *_: None)
    world.wire.install(world.monkeypatch)
    world.tags.install(world.monkeypatch)
    _replace_environment(world)
    if world.page_size is not None:
        for module in _PAGED_MODULES:
            world.monkeypatch.setattr(f"{module}.PAGE_SIZE", world.page_size)
    add_templates(world.lab, world.shutdown_seconds)


def add_templates(lab: Lab, shutdown_seconds: int = 0) -> None:
    """Add the templates of a simulated cluster, of which there is more than any test needs."""
    for name, seconds in BOOT_SECONDS.items():
        source = SimulatorComputeSource(
            name=name,
            instanceStartupTimeSeconds=seconds,
            instanceShutdownTimeSeconds=shutdown_seconds,
            limit=10_000,
        )
        lab.template(source, name=name)


def renew_store_folder(home: Path) -> None:
    """Let a new head have the folder that its supervisor makes, without the files of an earlier head."""
    shutil.rmtree(home / STORE_FOLDER, ignore_errors=True)
    (home / STORE_FOLDER).mkdir(parents=True)


def _replace_chance(world: World) -> None:
    patch = world.monkeypatch
    chance = random.Random(f"raydog names {world.seed}")
    random.seed(world.seed)
    patch.setattr("uuid.uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    patch.setattr("secrets.token_hex", lambda count=8: f"{chance.getrandbits(8 * count):0{2 * count}x}")


def _replace_time(world: World) -> None:
    patch = world.monkeypatch

    def now() -> datetime:
        """The time by the clock of the machine whose process runs."""
        return world.lab.clock.now() + world.processes.current.clock_error

    ray_time.put_on_clock(patch, now)
    patch.setattr("yellowdog_ray.clock.SystemClock.now", lambda _: now())
    patch.setattr("yellowdog_ray.clock.SystemClock.monotonic", lambda _: world.seconds)
    patch.setattr("yellowdog_ray.clock.SystemClock.sleep", lambda _, seconds: _sleep(world, seconds))
    # `ray up` polls its head five times a second at first; most of these polls would find nothing new.
    patch.setattr("yellowdog_ray.commands.head_wait._POLL_SECONDS", 1.0)
    patch.setattr("redis.retry.sleep", lambda seconds: _sleep(world, seconds))
    retry_defaults = (0.0, lambda seconds: _sleep(world, seconds), lambda: world.seconds)
    patch.setattr("yellowdog_ray.platform.retry.RetryPolicy.__init__.__defaults__", retry_defaults)
    patch.setattr("yellowdog_ray.monitor.outage.Outage.__init__.__defaults__", (lambda: world.seconds,))
    patch.setattr("yellowdog_ray.commands.cluster_token.write_private", lambda *file: _write_at(now(), *file))


def _replace_threads(world: World) -> None:
    ray_time.replace_pools(world.monkeypatch, world.processes.make_pool)
    for module in _modules():
        if hasattr(module, "ThreadPoolExecutor"):
            world.monkeypatch.setattr(module, "ThreadPoolExecutor", world.processes.make_pool)


@cache
def _modules() -> list[ModuleType]:
    names = [module.name for module in pkgutil.walk_packages(yellowdog_ray.__path__, "yellowdog_ray.")]
    return [importlib.import_module(name) for name in names]


def _use_fast_parsers(world: World) -> None:
    """YAML, Ray's schema and the metadata of packages take a fifth of a run's time.

    libyaml is faster, Ray's schema is a valid one, and no package changes during a run.
    """
    patch = world.monkeypatch
    patch.setattr(yaml, "safe_load", _load)
    patch.setattr(yaml, "safe_dump", _dump)
    patch.setattr(Draft7Validator, "check_schema", lambda *_, **__: None)
    patch.setattr("importlib.metadata.email", SimpleNamespace(message_from_string=_parsed_metadata))


_parsed_metadata = cache(message_from_string)


def _load(text: str) -> Any:
    """As `yaml.safe_load`, which accepts what libyaml refuses: surrogate pairs."""
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return yaml.load(text, Loader=yaml.SafeLoader)


def _dump(*arguments: Any, **options: Any) -> Any:
    """As `yaml.safe_dump`, likewise."""
    try:
        return yaml.dump(*arguments, Dumper=yaml.CSafeDumper, **options)
    except UnicodeEncodeError:
        return yaml.dump(*arguments, Dumper=yaml.SafeDumper, **options)


def _replace_ssh(world: World) -> None:
    patch = world.monkeypatch
    patch.setattr("yellowdog_ray.config.ssh_key._check_contents", lambda *_: None)  # it starts `ssh-keygen`
    patch.setattr("yellowdog_ray.commands.laptop_checks.check_openssh", lambda _: ok("OpenSSH", "not run"))
    patch.setattr("yellowdog_ray.commands.head_wait.try_ssh", lambda _: None)
    patch.setattr("yellowdog_ray.commands.deliver.deliver", lambda *call: _deliver(world, *call))
    patch.setattr("yellowdog_ray.monitor.admission.Certificate", _Certificate)
    patch.setattr("yellowdog_ray.monitor.admission.TokenService", lambda *_: SimpleNamespace(port=0))
    patch.setattr("yellowdog_ray.commands.versions.on", lambda *_: None)  # versions over SSH are not available
    patch.setattr("yellowdog_ray.commands.laptop_side.TunnelledPort", lambda _: lambda: 1)
    patch.setattr("ray._raylet.GcsClient", lambda address: world.gcs)
    patch.setattr("yellowdog_ray.monitor.logins.count_sessions", lambda: world.ray.users.sessions)


def _replace_environment(world: World) -> None:
    patch = world.monkeypatch
    for name in _NOT_OURS:
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(world.home))
    patch.setenv("YD_API_URL", URL)
    patch.setenv("YD_API_KEY_ID", world.lab.key_id)
    patch.setenv("YD_API_KEY_SECRET", world.lab.key_secret)
    patch.chdir(world.home)
    for file in (world.key, world.home / KEY_FILE):
        write_key(file)


class _Certificate:
    """The certificate of a token service that no simulated worker can reach."""

    fingerprint = "0" * 64
    secret = b"secret"

    def __init__(self, _: Path) -> None:
        pass

    def context(self) -> None:
        return None


def _deliver(world: World, *call: Any) -> Delivered:
    """A new head takes its files, and the token that it is given."""
    world.start_tag_store()
    return Delivered(call[-2].token)


def _sleep(world: World, seconds: float) -> None:
    if world.processes.current.background and seconds:
        world.fail("loop", f"the provider sleeps {seconds} s on the head")
    world.pass_time(seconds)


def _write_at(moment: datetime, file: Path, content: bytes) -> None:
    """Write a file, at the simulated time: `ray down` compares the time of a token with the end of a cluster."""
    write_private(file, content)
    os.utime(file, (moment.timestamp(), moment.timestamp()))
