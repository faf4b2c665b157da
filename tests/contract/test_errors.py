"""Each kind of error over the SDK: its exception, status, type and message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    ComputeRequirementDynamicTemplate,
    ComputeRequirementTemplateUsage,
    KeyringSearch,
    NamespaceSearch,
    ServicesSchema,
    SliceReference,
    WorkerPoolSearch,
)
from yellowdog_client.model.exceptions import (
    BaseCustomException,
    InternalServerException,
    InvalidRequestException,
    NotAuthorisedException,
)

from tests.contract.test_sdk import add, provision, submit
from tests.contract.test_worker_pools import Machine, configured
from yellowdog_local import errors, faults
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform, local_platform

Call = Callable[[PlatformClient], Any]


def twice(call: Call) -> Call:
    return lambda client: (call(client), call(client))


def ended_work(client: PlatformClient) -> None:
    work = submit(client)
    client.work_client.cancel_work_requirement(work)
    client.work_client.start_work_requirement(work)


def ended_compute(client: PlatformClient) -> None:
    pool = provision(client)
    client.compute_client.terminate_compute_requirement_by_id(pool.computeRequirementId)
    client.compute_client.reprovision_compute_requirement_by_id(pool.computeRequirementId)


def same_task_name(client: PlatformClient) -> None:
    add(client, submit(client), "a", "a")


def namespace_in_use(client: PlatformClient) -> None:
    submit(client)
    (demo,) = client.namespaces_client.get_namespaces(NamespaceSearch()).list_all()
    client.namespaces_client.delete_namespace(demo.id)


def size_of_nothing(client: PlatformClient) -> None:
    client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).slice(SliceReference(size=0))


def no_sources(client: PlatformClient) -> None:
    strategy = "co.yellowdog.platform.model.SplitProvisionStrategy"
    template = ComputeRequirementDynamicTemplate("none", strategy, namespace="demo", sourceNamespaces=["elsewhere"])
    made = client.compute_client.add_compute_requirement_template(template)
    client.compute_client.test_compute_requirement_template(ComputeRequirementTemplateUsage(made.id, "requirement"))


# Per class of errors.py that reaches a client of the API: how to get it, and what the SDK makes of it.
REFUSED: dict[type[errors.ApiError], tuple[Call, int | None, str]] = {
    errors.InvalidRequest: (size_of_nothing, None, "size must be between 1 and 1000"),
    errors.AlreadyExists: (twice(provision), None, "Worker pool 'pool' in namespace 'demo' already exists"),
    errors.NoSources: (no_sources, 400, "No sources meet the constraints of template 'none'"),
    errors.DuplicateTaskNames: (same_task_name, 400, "Task names must be unique within task group"),
    errors.Conflict: (namespace_in_use, 409, "ConflictException"),
    errors.NotFound: (lambda c: c.work_client.get_task_by_id("ydid:task:0:none:1:1"), 404, "NotFoundException"),
    errors.InvalidWorkStatus: (ended_work, 403, "InvalidWorkRequirementStatusException"),
    errors.InvalidComputeStatus: (ended_compute, 403, "InvalidComputeRequirementStatusException"),
    errors.NotCovered: (
        lambda c: c.compute_client.stop_compute_requirement_by_id(provision(c).computeRequirementId),
        422,
        "NotCoveredException",
    ),
}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_refusal_becomes_its_exception_in_the_sdk(client: PlatformClient, kind: type[errors.ApiError]) -> None:
    call, status, says = REFUSED[kind]
    expected = InvalidRequestException if status is None else requests.HTTPError
    with pytest.raises(expected, match=says) as refused:
        call(client)
    if status is not None:
        assert refused.value.response.status_code == status
        answer = refused.value.response.json()
        assert (answer["errorType"], bool(answer["message"]), answer["detail"]) == (kind.error_type, True, [])


def test_wrong_key_has_status_reason_and_type_of_unauthorized(local: RunningPlatform) -> None:
    schema = ServicesSchema(defaultUrl=local.url)
    with (
        PlatformClient.create(schema, ApiKey(local.key_id, "wrong")) as client,
        pytest.raises(requests.HTTPError, match="401 Client Error: Unauthorized") as refused,
    ):
        client.application_client.get_application_details()
    assert refused.value.response.json()["errorType"] == errors.Unauthorized.error_type


def test_terminated_node_is_gone_for_its_agent(local: RunningPlatform, client: PlatformClient) -> None:
    made = configured(client)
    client.worker_pool_client.shutdown_worker_pool(made.workerPool)
    answer = Machine(local, made.token.secret).register()
    assert (answer.status_code, answer.json()["errorType"]) == (410, errors.Gone.error_type)


def test_invalid_operation_is_a_base_exception_in_the_sdk() -> None:
    settings = Settings(refuse_cancelling_executing_tasks=True)
    with local_platform(clock=SteppedClock(), settings=settings) as local, local.client() as client:
        provision(client)
        local.advance(2)
        (task,) = add(client, submit(client), "a")
        with pytest.raises(BaseCustomException, match="cannot be cancelled without abort") as refused:
            client.work_client.cancel_task_by_id(task.id, abort=False)
        assert type(refused.value) is BaseCustomException


def test_every_kind_of_error_has_a_case() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ApiError)}
    elsewhere = {errors.Unauthorized, errors.Gone, errors.InvalidOperation, errors.BodyTooLarge, errors.BodyTimeout}
    assert kinds - set(REFUSED) == {errors.ApiError, *elsewhere}


MISSING: dict[str, Call] = {
    "work requirement": lambda c: c.work_client.get_work_requirement_by_id("ydid:workreq:0:none"),
    "work requirement by name": lambda c: c.work_client.get_work_requirement_by_name("demo", "none"),
    "task": lambda c: c.work_client.get_task_by_id("ydid:task:0:none:1:1"),
    "task to cancel": lambda c: c.work_client.cancel_task_by_id("ydid:task:0:none:1:1", abort=True),
    "worker pool": lambda c: c.worker_pool_client.get_worker_pool_by_id("ydid:wrkrpool:0:none"),
    "worker pool by name": lambda c: c.worker_pool_client.get_worker_pool_by_name("demo", "none"),
    "worker pool to end": lambda c: c.worker_pool_client.shutdown_worker_pool_by_id("ydid:wrkrpool:0:none"),
    "node": lambda c: c.worker_pool_client.get_node_by_id("ydid:node:0:none"),
    "worker": lambda c: c.worker_pool_client.get_node_by_worker_id("ydid:wrkr:0:none:1"),
    "compute requirement": lambda c: c.compute_client.get_compute_requirement_by_id("ydid:compreq:0:none"),
    "compute requirement by name": lambda c: c.compute_client.get_compute_requirement_by_name("demo", "none"),
    "source template": lambda c: c.compute_client.get_compute_source_template("ydid:cst:0:none"),
    "requirement template": lambda c: c.compute_client.get_compute_requirement_template_by_name("demo", "none"),
    "namespace": lambda c: c.namespaces_client.get_namespace("ydid:namespace:0:none"),
    "namespace policy": lambda c: c.namespaces_client.get_namespace_policy("none"),
    "image family": lambda c: c.images_client.get_image_family_by_name("demo", "none"),
    "image": lambda c: c.images_client.get_image("ydid:image:0:none"),
    "keyring": lambda c: c.keyring_client.get_keyring("ydid:keyring:0:none"),
    "allowance": lambda c: c.allowances_client.get_allowance_by_id("ydid:allow:0:none"),
    "application": lambda c: c.account_client.get_application("ydid:app:0:none"),
    "group": lambda c: c.account_client.get_group("ydid:group:0:none"),
    "role": lambda c: c.account_client.get_role("ydid:role:0:none"),
}


def test_unknown_entity_is_status_404(client: PlatformClient) -> None:
    for what, call in MISSING.items():
        with pytest.raises(requests.HTTPError) as missing:
            call(client)
        answer = missing.value.response
        assert (what, answer.status_code, answer.json()["errorType"]) == (what, 404, "NotFoundException")


@pytest.mark.parametrize(
    ("error_type", "expected"),
    [
        ("InvalidRequestException", InvalidRequestException),
        ("NotAuthorisedException", NotAuthorisedException),
        ("InternalServerException", InternalServerException),
        ("InvalidOperationException", BaseCustomException),
        ("MissingPermissionException", requests.HTTPError),
    ],
)
def test_every_error_type_of_the_real_platform_can_be_injected(
    local: RunningPlatform, client: PlatformClient, error_type: str, expected: type[Exception]
) -> None:
    rule = faults.Status(call="GET /keyrings/", status=403, error_type=error_type, message="no")
    with local.faults.during(rule), pytest.raises(expected, match="no") as refused:
        client.keyring_client.get_keyrings(KeyringSearch()).list_all()
    assert type(refused.value) is expected


def test_gateway_error_is_a_plain_http_error(local: RunningPlatform) -> None:
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    with local.faults.during(faults.Status(status=403)):
        answer = httpx.get(f"{local.url}/work/requirements", headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], "errorType" in answer.json()) == (403, False)
