"""Labels of the machine: the lines in front of a task script, run by bash against a cloud's service on this machine."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ray import _raylet

from yellowdog_ray.node import machine_labels
from yellowdog_ray.node.machine_labels import label_value, with_machine_labels, zone_label

SHOW = '#!/bin/bash\nset -u\nfor name in MARKET_TYPE REGION ZONE; do name=RAY_NODE_$name; echo "${!name-}"; done\n'

AWS = {
    ("PUT", "/latest/api/token"): "secret",
    ("GET", "/latest/meta-data/placement/availability-zone"): "eu-west-2a",
    ("GET", "/latest/meta-data/instance-life-cycle"): "spot",
}
GOOGLE = {
    ("GET", "/computeMetadata/v1/instance/zone"): "projects/1/zones/europe-west2-b",
    ("GET", "/computeMetadata/v1/instance/scheduling/preemptible"): "FALSE",
}
AZURE = {
    ("GET", "/metadata/instance/compute/zone?api-version=2021-02-01&format=text"): "2",
    ("GET", "/metadata/instance/compute/priority?api-version=2021-02-01&format=text"): "",
}


class Cloud:
    """A cloud's service for its machines: the answers, the headers of each request, and its address."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], str] = {}
        self.headers: list[dict[str, str]] = []
        self.address = ("127.0.0.1", 0)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cloud.headers.append(dict(self.headers))
            answer = cloud.answers.get((self.command, self.path))
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write((answer if answer is not None else "not found").encode())

        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(cloud.address, Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    cloud.address = server.server_address[:2]
    yield cloud
    server.shutdown()
    thread.join()
    server.server_close()


def labels(cloud: Cloud, timeout: str = "1", **environment: str) -> list[str]:
    """Market type, region and zone of a node with this environment; an empty text where there is none."""
    script = with_machine_labels(SHOW, cloud.address).replace("timeout 1 ", f"timeout {timeout} ")
    command = ["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", *(f"{name}={value}" for name, value in environment.items())]
    done = subprocess.run(
        [*command, "bash", "-eu", "-o", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("provider", "region", "answers", "expected"),
    [
        ("AWS", "eu-west-2", AWS, ["spot", "eu-west-2", "eu-west-2a"]),
        ("GOOGLE", "europe-west2", GOOGLE, ["on-demand", "europe-west2", "europe-west2-b"]),
        ("AZURE", "uksouth", AZURE, ["on-demand", "uksouth", "uksouth-2"]),
        ("OCI", "uk-london-1", {}, ["", "uk-london-1", ""]),
        ("ON_PREMISE", "", {}, ["", "", ""]),
        ("AWS", "eu-west-2", {}, ["", "eu-west-2", ""]),
    ],
)
def test_labels_are_those_of_the_machine(cloud, provider, region, answers, expected):
    cloud.answers = answers

    assert labels(cloud, YD_PROVIDER=provider, YD_REGION=region) == expected


def test_token_of_aws_is_sent(cloud):
    cloud.answers = AWS

    labels(cloud, YD_PROVIDER="AWS")

    assert cloud.headers[0]["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert [each["X-aws-ec2-metadata-token"] for each in cloud.headers[1:]] == ["secret", "secret"]


def test_known_labels_need_no_request(cloud):
    found = labels(cloud, YD_PROVIDER="AWS", RAY_NODE_MARKET_TYPE="spot", RAY_NODE_ZONE="z", RAY_NODE_REGION="r")

    assert found == ["spot", "r", "z"]
    assert cloud.headers == []


def test_value_that_ray_would_refuse_is_left_out(cloud):
    cloud.answers = {**AWS, ("GET", "/latest/meta-data/placement/availability-zone"): "$(touch x) y"}

    assert labels(cloud, YD_PROVIDER="AWS", YD_REGION="my region") == ["spot", "", ""]


def test_service_that_is_not_there_is_left_out(cloud):
    cloud.address = ("127.0.0.1", 1)

    assert labels(cloud, YD_PROVIDER="GOOGLE", YD_REGION="r") == ["", "r", ""]


def test_service_that_hangs_is_left_out_after_its_timeout(cloud):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cloud.address = silent.getsockname()

        assert labels(cloud, timeout="0.1", YD_PROVIDER="AWS", YD_REGION="r") == ["", "r", ""]


def test_names_are_those_of_the_installed_ray():
    assert machine_labels.VARIABLES == {
        _raylet.RAY_NODE_MARKET_TYPE_KEY: _raylet.NODE_MARKET_TYPE_ENV,
        _raylet.RAY_NODE_REGION_KEY: _raylet.NODE_REGION_ENV,
        _raylet.RAY_NODE_ZONE_KEY: _raylet.NODE_ZONE_ENV,
    }
    assert _raylet.RAY_NODE_ACCELERATOR_TYPE_KEY == machine_labels.ACCELERATOR


def test_zone_of_azure_contains_the_region():
    assert zone_label("uksouth", "1") == "uksouth-1"
    assert zone_label(None, "1") is None
    assert zone_label("r", "eu-west-2a") == "eu-west-2a"
    assert zone_label("r", "Uocm:AD-1") is label_value("") is label_value(None) is None
