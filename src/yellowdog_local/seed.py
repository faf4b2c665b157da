"""The initial content of a platform: a namespace and templates, ready for provisioning."""

from __future__ import annotations

from yellowdog_client.model import (
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    SimulatorComputeSource,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.compute.templates import Templates

NAMESPACE = "demo"
TEMPLATE = "local"
STARTUP_SECONDS = 2
LIMIT = 20


def seed(namespaces: Namespaces, templates: Templates) -> None:
    """Create the namespace `demo` with a source template and a requirement template named `local`."""
    namespaces.create(NAMESPACE)
    source = templates.add_source(
        ComputeSourceTemplate(
            source=SimulatorComputeSource(name=TEMPLATE, instanceStartupTimeSeconds=STARTUP_SECONDS, limit=LIMIT),
            namespace=NAMESPACE,
            description="Hosts on this machine",
        )
    )
    templates.add_requirement(
        ComputeRequirementStaticTemplate(
            name=TEMPLATE,
            strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
            sources=[ComputeSourceUsage(sourceTemplateId=source.id or "")],
            namespace=NAMESPACE,
            description="Hosts on this machine",
        )
    )
