"""Configured worker pools: their users' own machines join them with the pool's token.

The real platform's protocol for joining is not public. Here an agent uses the same calls as one of a provisioned
instance (`api/agent.py`), with these differences:

- `Authorization: yd-agent <token secret>` with the secret of the pool's token instead of the instance's token;
- the agent chooses `instanceId`, unique in its pool; the same id is the same machine;
- the registration may contain `provider` (ON_PREMISE), `region`, `instanceType` and `sourceName` of the machine;
- it may contain `createWorkers` ({"targetType": "PER_NODE" or "PER_VCPU", "targetCount": n}), for which pools have no
  property here.

An expired token admits no further machine; registered ones continue. A regenerated token replaces the old one at
once; a refreshed token keeps its secret and gets a new expiry time.

The scheduler treats such a pool as any other: it has a hidden requirement without sources and instances.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta

from yellowdog_client.model import (
    AddConfiguredWorkerPoolRequest,
    CloudProvider,
    ComputeRequirement,
    ComputeRequirementStatus,
    ConfiguredWorkerPool,
    ConfiguredWorkerPoolProperties,
    InstanceId,
    InstanceStatus,
    NodeWorkerTarget,
    ProvisionedWorkerPoolProperties,
    SimulatorComputeSource,
    SimulatorInstance,
    SingleSourceProvisionStrategy,
    WorkerPoolToken,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import InvalidRequest, NotCovered, Unauthorized
from yellowdog_local.messages import Registration
from yellowdog_local.pools.provisioned import Pools
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord, MembersRecord, PoolRecord, RequirementRecord, SourceRecord
from yellowdog_local.state.store import Store, found

_log = logging.getLogger(__name__)


class ConfiguredPools:
    """Configured worker pools. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, id_maker: ids.Ids, namespaces: Namespaces, pools: Pools) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._namespaces = namespaces
        self._pools = pools

    def add(self, request: AddConfiguredWorkerPoolRequest) -> tuple[PoolRecord, WorkerPoolToken]:
        """Add a pool; returns it with the token for its machines."""
        namespace = request.namespace or self._kernel.settings.default_namespace
        self._namespaces.check_name("name", request.name)
        self._pools.refuse_taken_name(namespace, request.name)
        properties = request.properties or ConfiguredWorkerPoolProperties()
        if properties.nodeConfiguration is not None:
            raise NotCovered("A worker pool's nodeConfiguration")
        if (properties.targetNodeCount or 0) < 0:
            raise InvalidRequest(f"properties.targetNodeCount must be 0 or above, not {properties.targetNodeCount}")
        self._namespaces.use(namespace)
        pool = self._make(namespace, request.name, properties)
        self._store.add_pool(pool)
        token = WorkerPoolToken(secrets.token_urlsafe(24), self._expiry(request.tokenTtl))
        self._store.members[pool.id] = MembersRecord(pool, token)
        _log.info("configured worker pool %s/%s was added", namespace, request.name)
        return pool, token

    def token(self, pool_id: str) -> WorkerPoolToken:
        """The token of a pool."""
        return self._of(pool_id).token

    def refresh_token(self, pool_id: str, ttl: timedelta | None) -> WorkerPoolToken:
        """Set a new expiry time of a pool's token."""
        token = self.token(pool_id)
        token.expiryTime = self._expiry(ttl)
        return token

    def regenerate_token(self, pool_id: str, ttl: timedelta | None) -> WorkerPoolToken:
        """Replace a pool's token; the old one is invalid from now on."""
        members = self._of(pool_id)
        members.token = WorkerPoolToken(secrets.token_urlsafe(24), self._expiry(ttl))
        return members.token

    def join(self, secret: str, registration: Registration) -> InstanceRecord | None:
        """The machine of an agent that sends a pool's token; None if no pool has this token."""
        for members in self._store.members.values():
            if secrets.compare_digest(members.token.secret or "", secret):
                return self._join(members, registration)
        return None

    def _join(self, members: MembersRecord, registration: Registration) -> InstanceRecord:
        known = members.machines.get(registration.instanceId)
        if known is not None and (known.node is None or known.node.status.active):
            return known
        expiry: datetime | None = members.token.expiryTime
        if expiry is not None and self._kernel.now() >= expiry:
            raise Unauthorized("The worker pool's token has expired")
        machine = self._machine(members, registration)
        members.machines[machine.id] = machine
        return machine

    def _of(self, pool_id: str) -> MembersRecord:
        pool = self._store.pool(pool_id)
        if not pool.configured:
            raise InvalidRequest(f"Worker pool '{pool.name}' is not a configured worker pool")
        return found("Worker pool", pool_id, self._store.members.get(pool_id))

    def _expiry(self, ttl: timedelta | None) -> datetime | None:
        return self._kernel.now() + ttl if ttl else None

    def _make(self, namespace: str, name: str, properties: ConfiguredWorkerPoolProperties) -> PoolRecord:
        now = self._kernel.now()
        hidden = RequirementRecord(
            seq=0,
            id="",
            entity=ComputeRequirement(namespace, name, SingleSourceProvisionStrategy([])),
            namespace=namespace,
            name=name,
            created=now,
            sources=[],
            status=ComputeRequirementStatus.RUNNING,
        )
        hidden.entity.status = hidden.status
        pool = PoolRecord(
            seq=self._kernel.next_sequence(),
            id=self._ids.new("wrkrpool"),
            entity=ConfiguredWorkerPool(namespace=namespace, name=name, createdTime=now, properties=properties),
            namespace=namespace,
            name=name,
            requirement=hidden,
            properties=ProvisionedWorkerPoolProperties(
                workerTag=properties.workerTag,
                createNodeWorkers=NodeWorkerTarget.per_node(self._kernel.settings.default_workers_per_node),
            ),
            target=0,
            min_nodes=0,
            max_nodes=0,
            boot_timeout=0,
            idle_node_seconds=None,
            idle_pool_seconds=None,
            created=now,
            configured=True,
            awaited=properties.targetNodeCount or 0,
        )
        pool.entity.id, pool.entity.status, pool.entity.statusChangedTime = pool.id, pool.status, now
        hidden.pool = pool
        return pool

    def _machine(self, members: MembersRecord, registration: Registration) -> InstanceRecord:
        source = SourceRecord(id="", entity=_source(registration))
        entity = SimulatorInstance()
        entity.id = InstanceId("", registration.instanceId)
        requirement = members.pool.requirement
        machine = InstanceRecord(
            seq=self._kernel.next_sequence(),
            id=registration.instanceId,
            entity=entity,
            requirement=requirement,
            source=source,
            token=members.token.secret or "",
            status=InstanceStatus.RUNNING,
        )
        source.counts[InstanceStatus.RUNNING] = 1
        # The platform has no host for it that could end.
        machine.host_gone = True
        return machine


def _source(registration: Registration) -> SimulatorComputeSource:
    """The machine's location and type, as a compute source, the form that provisioned instances have."""
    source = SimulatorComputeSource(name=registration.sourceName or "")
    source.provider = CloudProvider[registration.provider]
    source.region = registration.region or ""
    source.instanceType = registration.instanceType or ""
    return source
