"""Namespace hosts: time from the provisioning call to the end of the first `ssh`."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from yellowdog_client.model import ComputeRequirementTemplateUsage, ProvisionedWorkerPoolProperties

from benchmarks.local.nodes import add_template
from benchmarks.local.processes import TIMEOUT_SECONDS
from benchmarks.machine import Cores
from benchmarks.results import Report
from yellowdog_local.hosts.namespace import NamespaceHosts
from yellowdog_local.hosts.prerequisites import MissingRequirementError, check_namespace_hosts
from yellowdog_local.hosts.real import make_key
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.server import ServerThread
from yellowdog_local.state.clock import RealClock

KEY = "local"


def measure_hosts(report: Report, cores: Cores, runs: int) -> None:
    """Measure from the provisioning call to the end of the first `ssh`, one host at a time.

    Platform and hosts share the two cores, as in normal use.
    """
    row = report.row("a namespace host answers ssh, from the request", "s", 1.5)
    os.sched_setaffinity(0, {cores.platform, cores.provider})
    try:
        check_namespace_hosts()
    except MissingRequirementError as error:
        row.cannot(KEY, str(error))
        return
    with tempfile.TemporaryDirectory(prefix="raydog-bench-") as directory:
        key = Path(directory) / "id_ed25519"
        make_key(key, "bench")
        public_key = key.with_name("id_ed25519.pub").read_text(encoding="utf-8")
        hosts = NamespaceHosts(Path(directory) / "data", public_key)
        hosts.open()
        platform = LocalPlatform(hosts=hosts, clock=RealClock())
        try:
            with ServerThread(platform, hosts.gateway) as server:
                hosts.platform_url = server.url
                add_template(platform, startup_seconds=0)
                row.add(KEY, *(_time_of_a_host(platform, key, number) for number in range(runs)))
        finally:
            platform.close()


def _time_of_a_host(platform: LocalPlatform, key: Path, number: int) -> float:
    usage = ComputeRequirementTemplateUsage(
        "bench/bench", f"pool-{number}", requirementNamespace="bench", targetInstanceCount=1
    )
    began = time.perf_counter()
    with platform.locked():
        pool = platform.pools.provision(usage, ProvisionedWorkerPoolProperties())
    (instance,) = pool.requirement.instances.values()
    while True:
        address = instance.entity.publicIpAddress
        if address is not None and _ssh_works(key, address):
            break
        if time.perf_counter() - began > TIMEOUT_SECONDS:
            raise TimeoutError(f"the host did not answer ssh within {TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    with platform.locked():
        platform.compute.terminate(pool.requirement)
    return seconds


def _ssh_works(key: Path, address: str) -> bool:
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    flags = [part for option in (*options, "IdentitiesOnly=yes", "ConnectTimeout=1") for part in ("-o", option)]
    command = ["ssh", "-F", "none", "-i", str(key), *flags, f"yd-agent@{address}", "true"]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0
