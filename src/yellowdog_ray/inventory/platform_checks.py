"""The checks of the account and of a YAML's templates, images and pools. They read, and change nothing.

A fact that only spending would show is reported as not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from yellowdog_ray.clock import SystemClock
from yellowdog_ray.config.check import Check, failed, ok, unchecked, warning
from yellowdog_ray.credentials import readable_key_file
from yellowdog_ray.errors import MalformedResponse, NotAuthorised, NotFound, Refused
from yellowdog_ray.inventory.account import Account
from yellowdog_ray.inventory.plan import NodeTypePlan, Plan
from yellowdog_ray.inventory.yaml_checks import settings_of
from yellowdog_ray.node.variables import API_URL
from yellowdog_ray.platform.account_types import KeyringView, SourceView
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.platform_clock import WARNING as CLOCK_WARNING
from yellowdog_ray.platform.preflight import IMAGE_IDS, NEEDED
from yellowdog_ray.platform.types import WorkRequirementView

_PROBE = "raydog-doctor"
"""A part of names that nothing has: a search for it shows whether the key may search."""

_MOST_NAMESPACES = 5
"""Without a YAML, in how many namespaces the key's permissions are tried."""

_NOT_ALLOWED = (NotAuthorised, Refused)
_UNKNOWN_SYSTEM = ("", "None")
_WARNING = "warning: "  # the beginning of a line of `describe_origins` that warns


def check_key(account: Account) -> Check:
    """Whether the platform answers, and accepts the key: two calls at most.

    Raises:
        PlatformError: it does not.
    """
    subject, url = "API key", account.platform.url
    try:
        application = account.platform.application()
    except _NOT_ALLOWED:
        account.platform.has_namespace(_PROBE)  # a key that is refused altogether is refused here too
        return ok(subject, f"{url} accepts it. It may not read the application that it belongs to")
    return ok(subject, f"{url} accepts it: application '{application.name}' of account '{application.account}'")


def check_exposure(account: Account) -> Iterator[Check]:
    """Warnings of a key that others may read: in its file, or on the network. No call."""
    file = readable_key_file()
    if file is not None:
        yield warning("API key", f"other users of this machine may read {file}: run `chmod 600 {file}`")
    url = urlsplit(account.platform.url)
    if url.scheme == "http" and not _is_loopback(url.hostname or ""):
        yield warning(
            "API key",
            f"{account.platform.url} is not encrypted, so others on the network may read the key: write https:// in "
            f"{API_URL}, unless it is a platform for tests",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_clock(account: Account) -> Check:
    """The difference between this machine's clock and the platform's, after some calls."""
    subject, clock = "clock", account.platform.clock
    if not clock.is_set:
        return unchecked(subject, "too few answers have shown YellowDog's time")
    ahead = SystemClock().now() - clock.now()
    if abs(ahead) < CLOCK_WARNING:
        return ok(subject, "it agrees with YellowDog's")
    shown = timedelta(seconds=round(abs(ahead).total_seconds()))
    relation = "ahead of" if ahead > timedelta(0) else "behind"
    return warning(
        subject,
        f"this machine's clock is {shown} {relation} YellowDog's, so times in logs and certificates do not fit: set "
        "the clock, for example by NTP",
    )


def check_namespace(account: Account, namespace: str) -> Iterator[Check]:
    """Whether the key can read the namespace: two calls at most."""
    subject, readable = "namespace", account.application.namespaces
    if readable is not None and namespace not in readable:
        known = ", ".join(readable) or "none"
        yield failed(
            subject,
            f"this key cannot read namespace '{namespace}' (it can read: {known}): correct "
            "provider.cluster_namespace, or give the key's application access to it",
        )
    elif account.lacks(namespace):
        yield warning(
            subject,
            f"the account shows no namespace '{namespace}', and YellowDog may refuse to create it: correct "
            "provider.cluster_namespace, or create the namespace in YellowDog's portal",
        )
    else:
        yield ok(subject, f"the key can read '{namespace}'")


def check_namespaces(account: Account) -> list[Check]:
    """The namespaces that the key can read, without a YAML: one call at most."""
    readable = account.application.namespaces
    if readable is None:
        return [ok("namespace", "the key can read every namespace")]
    if not readable:
        return [failed("namespace", "this key can read no namespace: give its application access to one")]
    return [ok("namespace", f"the key can read: {', '.join(readable)}")]


def check_reading(account: Account, namespace: str | None) -> Iterator[Check]:
    """Whether the key may read what a cluster consists of: a call each, or one for each of some namespaces."""
    platform, readable = account.platform, account.namespaces(namespace)
    places = None if readable is None else readable[:_MOST_NAMESPACES]
    kinds: dict[str, tuple[str, Callable[[], object]]] = {
        "work requirements": ("WORK_REQUIREMENT_READ", lambda: platform.all_work(places, _PROBE)),
        "worker pools": ("WORKER_POOL_READ", lambda: platform.live_pools(places, _PROBE)),
        "compute requirements": ("COMPUTE_READ", lambda: platform.live_computes(places, _PROBE)),
    }
    for kind, (permission, read) in kinds.items():
        yield _check_read(kind, permission, read, f" in {', '.join(places)}" if places else "")


def _check_read(kind: str, permission: str, read: Callable[[], object], where: str) -> Check:
    try:
        read()
    except _NOT_ALLOWED:
        text = f"the key may not read {kind}{where}: give its application a role with {permission}"
        return failed(f"reading {kind}", text)
    return ok(f"reading {kind}", f"allowed{where}")


def check_writing(account: Account, namespace: str | None) -> Iterator[Check]:
    """Whether the roles of the key's application allow what a cluster needs. Trying it would cost money."""
    subject = "permission to create"
    try:
        application = account.application.id
        if not application:
            raise NotAuthorised("the key may not read its application")
        lacking = account.platform.lacking_permissions(application, namespace)
    except (*_NOT_ALLOWED, NotFound, MalformedResponse):
        yield unchecked(
            subject,
            "the key may not read the roles of its application. Only `ray up` shows whether it may "
            f"{'; '.join(NEEDED.values())}",
        )
        return
    where = f" in namespace '{namespace}'" if namespace else ""
    for permission in lacking:
        yield failed(
            subject,
            f"no role allows the key to {NEEDED[permission]}{where}: give its application a role with {permission}",
        )
    if not lacking:
        yield ok(subject, f"the roles of its application allow it{where}")


def check_name(account: Account, plan: Plan, cluster: str, namespace: str) -> Iterator[Check]:
    """Whether the cluster's name is free, or a cluster's of RayDog, whose head answers then."""
    from yellowdog_ray.cluster.generations import find_last_work, require_ours

    platform, subject = account.within(namespace), "cluster name"
    try:
        work = find_last_work(platform, cluster)
    except NotAuthorised:
        yield unchecked(subject, "the key may not read work requirements")
        return
    if work is None or work.finished:
        yield ok(subject, f"no cluster '{cluster}' is alive in namespace '{namespace}'")
        return
    require_ours(platform, cluster, work)
    yield ok(subject, f"cluster '{cluster}' is alive in namespace '{namespace}': `ray up` updates it")
    yield from _head_checks(platform, plan, work)


def _head_checks(platform: Platform, plan: Plan, work: WorkRequirementView) -> Iterator[Check]:
    """Whether a running head answers at its address: one call, and none if a proxy command leads to it."""
    from yellowdog_ray.commands.way_to_head import check_address

    if plan.auth and plan.auth.get("ssh_proxy_command"):
        return
    with suppress(*_NOT_ALLOWED):
        for node in platform.tagged_nodes(work.groups[0].worker_tag)[:1]:
            if address := node.private_ip if plan.private else node.public_ip or node.private_ip:
                yield check_address(address)


def check_limit(account: Account, plan: Plan, namespace: str) -> list[Check]:
    """Whether the namespace's policy allows so many nodes: one call."""
    subject = "namespace's limit"
    try:
        most = account.platform.most_nodes(namespace)
    except _NOT_ALLOWED:
        return [unchecked(subject, "the key may not read the namespace's policy")]
    needed = (plan.max_workers or 0) + 1
    if most is None or most >= needed:
        return [ok(subject, "none" if most is None else f"{most} nodes")]
    return [
        warning(
            subject,
            f"the policy of namespace '{namespace}' allows {most} node(s), and max_workers is {plan.max_workers}: "
            "lower max_workers, or raise autoscalingMaxNodes of the policy",
        )
    ]


def check_template(account: Account, plan: Plan, node_type: NodeTypePlan) -> Iterator[Check]:
    """A template with an image: whether it exists, and the sources that YellowDog would use: two calls, and images."""
    from yellowdog_ray.commands import up

    template = str(node_type.template)
    platform, subject = account.within(plan.namespace or ""), f"template {template}"
    try:
        up.check_template(platform, plan.source, template, node_type.name)
    except NotAuthorised:
        yield failed(subject, "the key may not read it: give its application a role with COMPUTE_READ")
        return
    try:
        sources = platform.planned_sources(template, node_type.image)
    except NotAuthorised:
        yield unchecked(subject, "it exists. The key may not test it, so its sources are unknown")
        return
    except (Refused, NotFound) as error:
        yield failed(
            subject, f"YellowDog cannot provision from it ({error}): correct the template in YellowDog's portal"
        )
        return
    if not sources:
        yield failed(subject, "it has no compute source: add one in YellowDog's portal")
        return
    yield ok(subject, f"YellowDog would use {'; '.join(map(_described, sources))}")
    yield from _check_limits(plan, template, sources)
    yield from _check_credentials(account, sources)
    for image in dict.fromkeys(source.image for source in sources if source.image):
        yield _check_image(account, image, f"image {image}")


def _described(source: SourceView) -> str:
    parts = [part for part in (source.region, source.instance_type) if part]
    return f"source {source.name} ({', '.join(parts)})" if parts else f"source {source.name}"


def _check_limits(plan: Plan, template: str, sources: Sequence[SourceView]) -> Iterator[Check]:
    limits = [source.limit for source in sources]
    known = [limit for limit in limits if limit is not None]
    needed = plan.machines_of(template)
    if len(known) == len(limits) and needed is not None and sum(known) < needed:
        yield warning(
            f"template {template}",
            f"its sources allow {sum(known)} machine(s), and the node types that name it need up to {needed}: lower "
            "max_workers, or raise the limit of a source",
        )


def _check_credentials(account: Account, sources: Sequence[SourceView]) -> Iterator[Check]:
    """Whether the sources' cloud credentials exist, and the key's application may use them: a call for each keyring."""
    users = {source.credential: source.name for source in reversed(sources) if "/" in (source.credential or "")}
    for credential, source in users.items():
        subject = f"credential {credential}"
        keyring, _, name = str(credential).partition("/")
        try:
            found = account.platform.keyring(keyring)
        except NotFound:
            yield warning(
                subject,
                f"YellowDog shows this key no keyring '{keyring}', which source '{source}' names: create it with that "
                "credential, and give the key's application access to it",
            )
        except _NOT_ALLOWED:
            yield unchecked(subject, "the key may not read keyrings")
        else:
            yield _check_credential(account, subject, found, keyring, name)


def _check_credential(account: Account, subject: str, found: KeyringView, keyring: str, name: str) -> Check:
    application = account.application
    if name not in found.credentials:
        text = f"keyring '{keyring}' has no credential '{name}': add it, or correct the credential of the source"
        return failed(subject, text)
    if found.accessors is not None and application.id and application.id not in found.accessors:
        return warning(
            subject,
            f"application '{application.name}' is not among those that may use keyring '{keyring}': give it access in "
            "YellowDog's portal, unless it has access by another way",
        )
    return ok(subject, "its keyring has it, and the key's application may use it")


def _check_image(account: Account, image: str, subject: str) -> Check:
    if not image.startswith(IMAGE_IDS):
        return unchecked(subject, "only its cloud shows whether it exists, and what it contains")
    try:
        found = account.platform.image(image)
    except NotFound as error:
        return failed(subject, f"YellowDog has no such image ({error}): correct images_id or the template")
    except _NOT_ALLOWED:
        return unchecked(subject, "the key may not read images")
    if found.system not in ("LINUX", *_UNKNOWN_SYSTEM):
        return failed(subject, f"image '{found.name}' is for {found.system}: RayDog's nodes need Linux")
    return ok(subject, f"'{found.name}'; what it contains shows only on a machine")


def check_pools(account: Account, plan: Plan) -> list[Check]:
    """The configured worker pools: whether they exist, and can serve the node types that name them."""
    from yellowdog_ray.commands.configured_pools import check_configured_pools
    from yellowdog_ray.config.models import Internal, NodeTypeSummary

    named = {
        each.name: NodeTypeSummary(worker_pool=each.pool, max_workers=each.max_workers)
        for each in plan.node_types
        if each.pool
    }
    internal = Internal(source=plan.source, node_types=named)
    warnings = check_configured_pools(account.within(plan.namespace or ""), internal)
    pools = ", ".join(sorted({str(each.worker_pool) for each in named.values()}))
    return [warning("worker pools", text) for text in warnings] or [
        ok("worker pools", f"{pools}: the machines offer task type `bash`, and one worker each")
    ]


def check_completed(account: Account, plan: Plan, file: Path) -> Iterator[Check]:
    """The YAML as `ray up` completes it: whether `resources` are known and fit the machines, and tags the clouds."""
    from yellowdog_ray.commands.machine_sizes import describe_origins, excess_warnings
    from yellowdog_ray.commands.machine_tags import tag_warnings

    platform = account.within(plan.namespace or "")
    settings, _ = settings_of(file, lambda: platform)
    internal = settings.internal
    lines = [*describe_origins(internal), *(f"{_WARNING}{text}" for text in excess_warnings(platform, internal))]
    for line in lines:
        text = line.removeprefix(_WARNING)
        yield warning("resources", text) if text != line else ok("resources", text)
    if not lines:
        yield ok("resources", "the YAML states them, and no machine is known to have less")
    for text in tag_warnings(platform, settings):
        yield warning("tags", text)


def check_task_type(plan: Plan) -> list[Check]:
    """The task type of RayDog's tasks, which only an agent shows."""
    if not any(each.template for each in plan.node_types):
        return []
    return [
        unchecked(
            "task type",
            "only a machine shows whether the agent of its image runs tasks of type `bash`: without it the head's task "
            "waits, and `ray up` reports it",
        )
    ]
