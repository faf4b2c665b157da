"""Everything that can be checked before anything is spent: this machine, a YAML, the account. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

from yellowdog_ray.config.check import Check, failed, unchecked
from yellowdog_ray.config.readable import require_file
from yellowdog_ray.errors import CredentialsError, NotAuthorised, RayDogError
from yellowdog_ray.inventory import platform_checks as of_platform
from yellowdog_ray.inventory.account import Account
from yellowdog_ray.inventory.bounded import BoundedRun, Task
from yellowdog_ray.inventory.plan import Plan, read_plan
from yellowdog_ray.inventory.yaml_checks import YamlReport, check_token_file
from yellowdog_ray.node.ray_versions import has_tokens
from yellowdog_ray.node.variables import API_URL

CHECK_SECONDS = 15.0
"""How long the checks of this machine may take, the first call of the platform, and then all others."""

GRACE_SECONDS = 2.0
"""Time after which the user sees what is still being checked."""

LAPTOP, YAML, PLATFORM = "This machine", "YAML", "YellowDog"

Line = tuple[str, Check]
"""A check under its heading."""


def diagnose(file: Path | None, on_slow: Callable[[Sequence[str]], None]) -> list[Line]:
    """Make every check.

    Args:
        file: the cluster's YAML; without one, this machine and the account are checked.
        on_slow: receives the subjects of the checks that take longer than `GRACE_SECONDS`.

    Raises:
        ConfigError: there is no such file, or it is no regular one.
    """
    if file is not None:
        require_file(file)
    started = time.monotonic()
    plan = read_plan(file) if file else Plan("")
    report = YamlReport(file) if file else None
    local = BoundedRun(_local_tasks(plan, report), CHECK_SECONDS)
    door = _Door()
    gate = BoundedRun([Task(PLATFORM, "API key", door.open)], CHECK_SECONDS)
    busy = gate.wait(GRACE_SECONDS)
    if busy:
        on_slow([*busy, *local.wait(0.0)])
    opened = [(PLATFORM, _silence())] if gate.wait(CHECK_SECONDS) else gate.results()
    remote = BoundedRun(_platform_tasks(door.account, plan, report) if door.account else [], CHECK_SECONDS)
    if not busy:
        late = [check for run in (local, remote) for check in run.wait(started + GRACE_SECONDS - time.monotonic())]
        if late:
            on_slow(late)
    lines = [*local.results(), *opened, *remote.results()]
    if door.account is None:
        return [*lines, (PLATFORM, unchecked("account, templates, pools", door.reason))]
    return [*lines, (PLATFORM, of_platform.check_clock(door.account))]


def _silence() -> Check:
    text = f"YellowDog has not answered within {CHECK_SECONDS:g} s: check the network, {API_URL} and any proxy"
    return failed("connection", text)


class _Door:
    """The first call of the platform, without which no other is worth making.

    Attributes:
        account: the account, if the platform accepts the key.
        reason: why there is none.
    """

    def __init__(self) -> None:
        self.account: Account | None = None
        self.reason = "YellowDog has not answered in time"

    def open(self) -> Iterator[Check]:
        try:
            account = Account(0.0)
            check = of_platform.check_key(account)
        except CredentialsError as error:
            self.reason = "there is no usable API key"
            yield failed("API key", str(error))
        except RayDogError as error:
            refused = isinstance(error, NotAuthorised)
            self.reason = "YellowDog does not accept the API key" if refused else "YellowDog does not answer"
            yield failed("API key" if refused else "connection", str(error))
        else:
            self.account = account
            yield check
            yield from of_platform.check_exposure(account)


def _local_tasks(plan: Plan, report: YamlReport | None) -> list[Task]:
    from yellowdog_ray.commands import laptop_checks
    from yellowdog_ray.commands.way_to_head import check_way

    auth, keeps_token = plan.auth, plan.keeps_token and has_tokens(metadata.version("ray"))
    tasks = [
        Task(LAPTOP, "programs", lambda: laptop_checks.quick_checks(auth, keeps_token=keeps_token)),
        Task(LAPTOP, "installation", laptop_checks.check_installations),
        Task(LAPTOP, "ports", laptop_checks.check_ports),
    ]
    if report is None:
        return tasks
    tasks.append(Task(YAML, "YAML", report.checks))
    tasks.append(Task(YAML, "token", lambda: report.if_good("token", check_token_file)))
    if auth:
        tasks.append(Task(YAML, "way to the head", lambda: [check_way(auth, private=plan.private)]))
    return tasks


def _platform_tasks(account: Account, plan: Plan, report: YamlReport | None) -> list[Task]:
    namespace, cluster = plan.namespace, plan.cluster
    checks: list[tuple[str, Callable[[], Iterator[Check] | list[Check]]]] = [
        ("reading", lambda: of_platform.check_reading(account, namespace)),
        ("permission to create", lambda: of_platform.check_writing(account, namespace)),
    ]
    if namespace is None:
        checks.insert(0, ("namespace", lambda: of_platform.check_namespaces(account)))
    else:
        checks.insert(0, ("namespace", lambda: of_platform.check_namespace(account, namespace)))
        checks.append(("namespace's limit", lambda: of_platform.check_limit(account, plan, namespace)))
        if cluster:
            checks.append(("cluster name", lambda: of_platform.check_name(account, plan, cluster, namespace)))
    used = {(each.template, each.image): each for each in reversed(plan.node_types) if each.template}
    checks += [
        (f"template {each.template}", partial(of_platform.check_template, account, plan, each))
        for each in reversed(used.values())
    ]
    if any(each.pool for each in plan.node_types):
        checks.append(("worker pools", lambda: of_platform.check_pools(account, plan)))
    if report is not None:
        completed = partial(of_platform.check_completed, account, plan)
        checks.append(("resources", lambda: report.if_good("resources", completed)))
        checks.append(("task type", lambda: of_platform.check_task_type(plan)))
    return [Task(PLATFORM, subject, run) for subject, run in checks]
