"""Resources that a node type declares and its machines turn out not to have."""

import logging

from tests.yellowdog_ray.cluster_lab import BOOT, grow
from yellowdog_ray.config.models import Internal
from yellowdog_ray.monitor.declared_resources import DeclaredResources


def test_declared_resources_give_one_warning_when_machines_are_smaller(local, head_side, caplog):
    caplog.set_level(logging.WARNING)
    types = {"node_types": {"cpu": {"resources": {"CPU": 64}}, "head": {"resources": {"CPU": 0}}}}
    settings = head_side.settings
    settings.replace(settings.current.model_copy(update={"internal": Internal.model_validate(types)}))
    grow(head_side, 3)
    local.advance(BOOT)
    duty = DeclaredResources(head_side, settings)

    for _ in range(2):
        duty.tick(head_side.refresh())

    (message,) = [record.getMessage() for record in caplog.records if "declares" in record.getMessage()]
    assert "its type 'cpu' declares CPU: 64, but its machine has 2" in message
    assert "Correct available_node_types.cpu.resources" in message


def test_node_of_a_removed_type_is_not_checked(local, head_side, caplog):
    settings = head_side.settings
    settings.replace(settings.current.model_copy(update={"internal": Internal()}))
    grow(head_side, 1)
    local.advance(BOOT)

    DeclaredResources(head_side, settings).tick(head_side.refresh())

    assert "declares" not in caplog.text
