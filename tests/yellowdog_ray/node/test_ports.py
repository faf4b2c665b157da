"""The fixed ports of the default task scripts, and the options of Ray that set them."""

import pytest
from ray.scripts.scripts import start

from yellowdog_ray.node.ports import RAY_START_OPTIONS, RAY_START_PORTS
from yellowdog_ray.node.scripts import HEAD_SCRIPT, WORKER_SCRIPT

OPTIONS = {option: parameter for parameter in start.params for option in parameter.opts}


@pytest.mark.parametrize("name", RAY_START_PORTS)
def test_option_exists_in_ray_and_has_no_fixed_port_of_its_own(name):
    assert not isinstance(OPTIONS[f"--{name}"].default, int) or OPTIONS[f"--{name}"].default == 0


def test_ports_are_outside_the_ranges_of_workers_and_of_outgoing_connections():
    last_of_workers = OPTIONS["--max-worker-port"].default

    assert len(set(RAY_START_PORTS.values())) == len(RAY_START_PORTS)
    assert all(last_of_workers < port < 32768 for port in RAY_START_PORTS.values())


@pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
def test_default_script_starts_ray_with_all_ports(script):
    lines = script.replace("\\\n", " ").splitlines()
    (command,) = (line for line in lines if line.startswith(("ray start ", "ray_start=(ray start ")))

    assert " ".join(RAY_START_OPTIONS.split()) in " ".join(command.split())
