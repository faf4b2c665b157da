"""Puts this process into a world's hands: clocks, threads, random numbers, sockets, SSH, and the two templates."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

from yellowdog_client.model import (
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    SimulatorComputeSource,
)

from tests.simulation import ray_time
from tests.simulation.wire2 import URL
from yellowdog_local.platform import LocalPlatform

if TYPE_CHECKING:
    from tests.simulation.random_runs.world import World

BOOT_SECONDS = {"quick": 2, "roomy": 8}
"""The compute sources: heads boot quickly, since `ray up` polls meanwhile; workers are pending for more than a tick."""


def prepare(world: World) -> None:
    """Take hold of all that could make two runs of one seed differ. The world's monkeypatch puts it back."""
    patch = world.monkeypatch
    chance = random.Random(f"raydog names {world.scenario.seed}")
    random.seed(world.scenario.seed)
    ray_time.put_on_clock(patch, world.clock.now)
    ray_time.replace_pools(patch, world.processes.make_pool)
    for module in ("commands.side", "platform.concurrency"):
        patch.setattr(f"yellowdog_ray.{module}.ThreadPoolExecutor", world.processes.make_pool)
    patch.setattr("uuid.uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    patch.setattr("secrets.token_hex", lambda count=8: f"{chance.getrandbits(8 * count):0{2 * count}x}")
    patch.setattr("yellowdog_ray.clock.SystemClock.now", lambda _: world.clock.now())
    patch.setattr("yellowdog_ray.clock.SystemClock.monotonic", lambda _: world.seconds)
    patch.setattr("yellowdog_ray.clock.SystemClock.sleep", lambda _, seconds: _sleep(world, seconds))
    retry_defaults = (0.0, lambda seconds: _sleep(world, seconds), lambda: world.seconds)
    patch.setattr("yellowdog_ray.platform.retry.RetryPolicy.__init__.__defaults__", retry_defaults)
    patch.setattr("yellowdog_ray.monitor.outage.Outage.__init__.__defaults__", (lambda: world.seconds,))
    patch.setattr("yellowdog_ray.commands.wait.try_ssh", lambda _: None)
    patch.setattr("yellowdog_ray.commands.deliver.deliver", lambda *_: world.tags.start())
    patch.setattr("yellowdog_ray.commands.versions.on", lambda _: None)  # it cannot tell
    patch.setattr("yellowdog_ray.commands.side.TunnelledPort", lambda _: lambda: 1)
    patch.setattr("ray._raylet.GcsClient", lambda address: world.gcs)
    world.wire.install(patch)
    world.tags.install(patch)
    for name in ("RAYDOG_ON_HEAD", "RAYDOG_WORK_REQUIREMENT_ID", "RAY_enable_autoscaler_v2"):
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(world.home))
    patch.setenv("YD_API_URL", URL)
    patch.setenv("YD_API_KEY_ID", "id")
    patch.setenv("YD_API_KEY_SECRET", "secret")
    patch.chdir(world.home)
    world.key.write_text("not a real key\n")
    (world.home / "ray_bootstrap_key.pem").write_text("not a real key\n")
    with world.platform.locked():
        for name, seconds in BOOT_SECONDS.items():
            _add_template(world.platform, name, seconds)


def _sleep(world: World, seconds: float) -> None:
    process = world.processes.current
    if process is not None and process.background:
        world.fail("loop", f"the provider sleeps {seconds} s on the head")
    world.pass_time(seconds)


def _add_template(platform: LocalPlatform, name: str, boot_seconds: int) -> None:
    source = SimulatorComputeSource(name=name, instanceStartupTimeSeconds=boot_seconds, limit=10_000)
    kept = platform.templates.add_source(ComputeSourceTemplate(source=source, namespace="demo"))
    platform.templates.add_requirement(
        ComputeRequirementStaticTemplate(
            name=name,
            strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
            sources=[ComputeSourceUsage(sourceTemplateId=kept.id or "")],
            namespace="demo",
        )
    )
