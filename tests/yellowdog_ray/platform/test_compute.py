"""Calls of the compute service."""

from types import SimpleNamespace

import pytest
from yellowdog_client.model import AwsInstance, ComputeRequirement, ComputeRequirementTemplate, InstanceId, InstanceType

from tests.yellowdog_ray.platform.fake_sdk import Search, calls_of
from yellowdog_ray.platform.compute import TEMPLATE_SECONDS, ComputeCalls
from yellowdog_ray.platform.types import MachineSize


@pytest.fixture
def template():
    made = ComputeRequirementTemplate()
    made.id = "ydid:crt:1"
    return made


def test_id_of_a_template_is_cached_for_a_while(template):
    clock, reads = SimpleNamespace(now=0.0), []

    def by_name(namespace, name):
        reads.append((namespace, name))
        return template

    compute = calls_of(
        ComputeCalls, lambda: clock.now, compute_client={"get_compute_requirement_template_by_name": by_name}
    )

    for clock.now in (0.0, TEMPLATE_SECONDS - 1, TEMPLATE_SECONDS):
        assert compute.template_id("demo/t") == "ydid:crt:1"
    assert reads == [("demo", "t")] * 2


def test_template_is_read_by_its_id(template):
    compute = calls_of(
        ComputeCalls, compute_client={"get_compute_requirement_template_by_id": {"ydid:crt:1": template}.get}
    )

    assert compute.template_id("ydid:crt:1") == "ydid:crt:1"


def test_size_is_that_of_the_instance_type_with_exactly_this_name():
    kinds = [
        InstanceType(name="m5.large.x", defaultVcpus=9, ramInMib=9),
        InstanceType(name="m5.large", defaultVcpus=2, ramInMib=None),
        InstanceType(name="m5.large", defaultVcpus=2, ramInMib=8192, defaultGpus={"a": 1, "b": 2}),
    ]
    compute = calls_of(ComputeCalls, cloud_info_client={"get_instance_types": lambda _: Search(*kinds)})

    assert compute.instance_type("AWS", "m5.large") == MachineSize(2, 8, 3)
    assert compute.instance_type(None, "m5") is None


@pytest.mark.parametrize(("wanted", "ended"), [({"i-1", "i-9"}, ["i-1"]), ({"i-9"}, [])])
def test_only_instances_of_the_requirement_are_terminated(wanted, ended):
    requests = []
    listed = [AwsInstance(id=InstanceId("s", name)) for name in ("i-1", "i-2")]
    compute = calls_of(
        ComputeCalls,
        compute_client={
            "get_instances": lambda _: Search(*listed),
            "get_compute_requirement_by_id": lambda _: ComputeRequirement("demo", "r", None),
            "terminate_instances_by_id": lambda _, ids: requests.append([one.instanceId for one in ids]),
        },
    )

    assert compute.terminate_instances("r", wanted) == ended
    assert requests == ([ended] if ended else [])
