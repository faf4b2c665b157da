"""examples/autoscaler/templates.json: YellowDog's own command line creates templates that provision machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

from yellowdog_client import PlatformClient
from yellowdog_client.model import ComputeRequirementTemplateUsage

from tests.official_cli.command_line import OfficialCli
from tests.yellowdog_local.host_support import eventually

EXAMPLE = Path(__file__).parents[2] / "examples/autoscaler/templates.json"


def filled_in() -> list[dict]:
    """The example with the text in <angle brackets> filled in."""
    text = EXAMPLE.read_text().replace("<your-namespace>", "demo")
    return json.loads(re.sub(r"<([^<>]+)>", lambda place: place[1].replace("...", "1"), text))


def assert_provisions(client: PlatformClient, template: str, expected: dict[str, int]) -> None:
    """Provision two machines with a template, and compare the numbers of machines of each source."""
    usage = ComputeRequirementTemplateUsage(
        templateId=template, requirementNamespace="demo", requirementName=template.split("/")[1], targetInstanceCount=2
    )
    made = client.compute_client.provision_compute_requirement_template(usage)

    def counts() -> dict[str, int]:
        now = client.compute_client.get_compute_requirement_by_id(made.id)
        return {source.name: source.instanceSummary.aliveCount for source in now.provisionStrategy.sources}

    eventually(lambda: counts() == expected)


def test_example_templates_are_created_and_provision_spot_machines_for_workers_first(
    client: PlatformClient, yd: OfficialCli
) -> None:
    created = yd.run("yd-create", "--yes", "--json", yd.file("templates.json", filled_in())).json

    assert [entry["action"] for entry in created] == ["created"] * 4
    assert_provisions(client, "demo/ray-head", {"ray-on-demand": 2})
    assert_provisions(client, "demo/ray-worker", {"ray-spot": 2, "ray-on-demand": 0})
