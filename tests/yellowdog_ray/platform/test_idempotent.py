"""Creating calls on a scripted platform: a failure after which the thing may exist leads to a lookup by name."""

from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import AlreadyExists, NotAuthorised, PlatformError, Refused, Unavailable
from yellowdog_ray.platform.idempotent import add_task_group, provision_pool, submit_tasks
from yellowdog_ray.platform.provisioning import PoolSpec
from yellowdog_ray.platform.types import (
    Placement,
    PoolView,
    TaskGroupSpec,
    TaskGroupView,
    TaskSpec,
    TaskView,
    WorkRequirementView,
)

HOUR = timedelta(hours=1)
GROUP_SPEC = TaskGroupSpec("cpu", "ray-cpu", HOUR)
GROUP = TaskGroupView("g", "cpu", "ray-cpu", None, None, Placement(("ray-cpu",), ()))
WORK = WorkRequirementView("w", "ray", "RUNNING", False, False, datetime.now(timezone.utc), (GROUP,))
POOL_SPEC = PoolSpec("ray-cpu", None, NodeConfig(compute_requirement_template="demo/local"), 1, 1, HOUR, HOUR, HOUR)
POOL = PoolView("p", "ray-cpu", "RUNNING", False, "c")
SPECS = [TaskSpec(name, "sleep 1", {}, HOUR) for name in ("worker-1", "worker-2")]

AMBIGUOUS = [AlreadyExists("taken"), Refused("was added before"), Unavailable("no answer")]
CLEAR = [NotAuthorised("no")]


def task(name: str) -> TaskView:
    return TaskView(f"ydid:{name}", name, "g", False, False, "READY", False, None, {})


class ScriptedPlatform:
    """Fails to create while `error` is set, and shows what `work`, `pool_shown` and `tasks` say."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.work: WorkRequirementView | None = WORK
        self.pool_shown: PoolView | None = POOL
        self.tasks = [task("worker-1"), task("worker-2"), task("other")]
        self.lookups: list[tuple[str, ...]] = []

    def provision_pool(self, spec: PoolSpec) -> PoolView:
        assert spec == POOL_SPEC
        return self._created(POOL)

    def add_task_group(self, requirement_id: str, spec: TaskGroupSpec) -> WorkRequirementView:
        assert (requirement_id, spec) == ("w", GROUP_SPEC)
        return self._created(self.work)

    def submit_tasks(self, group_id: str, specs: list[TaskSpec]) -> list[TaskView]:
        assert group_id == "g"
        return self._created([task(spec.name) for spec in specs])

    def work_requirement(self, requirement_id: str) -> WorkRequirementView:
        self.lookups.append(("work requirement by id", requirement_id))
        assert self.work is not None
        return self.work

    def find_pool(self, name: str) -> PoolView | None:
        self.lookups.append(("pool", name))
        return self.pool_shown

    def named_tasks(self, group_id: str, name: str) -> list[TaskView]:
        self.lookups.append(("named tasks", group_id, name))
        return [one for one in self.tasks if one.name == name]

    def live_group_tasks(self, group_id: str) -> list[TaskView]:
        self.lookups.append(("tasks", group_id))
        return self.tasks

    def _created(self, thing):
        if self.error is not None:
            raise self.error
        return thing


@pytest.fixture
def platform() -> ScriptedPlatform:
    return ScriptedPlatform()


def without_groups() -> WorkRequirementView:
    return WorkRequirementView("w", "ray", "RUNNING", False, False, WORK.created, ())


CALLS = {
    "pool": lambda platform: provision_pool(platform, POOL_SPEC),
    "task group": lambda platform: add_task_group(platform, "w", GROUP_SPEC),
    "tasks": lambda platform: submit_tasks(platform, "g", SPECS),
}
LOOKUPS = {
    "pool": ("pool", "ray-cpu"),
    "task group": ("work requirement by id", "w"),
    "tasks": ("tasks", "g"),
}
CREATED = {"pool": POOL, "task group": GROUP, "tasks": [task("worker-1"), task("worker-2")]}


@pytest.mark.parametrize("thing", CALLS)
class TestCreatingCall:
    def test_success_needs_no_lookup(self, platform, thing):
        assert CALLS[thing](platform) == CREATED[thing]
        assert platform.lookups == []

    @pytest.mark.parametrize("error", AMBIGUOUS, ids=repr)
    def test_existing_thing_is_found_by_name_after_ambiguous_failure(self, platform, thing, error):
        platform.error = error

        assert CALLS[thing](platform) == CREATED[thing]
        assert platform.lookups == [LOOKUPS[thing]]

    @pytest.mark.parametrize("error", AMBIGUOUS, ids=repr)
    def test_failure_is_raised_when_nothing_exists(self, platform, thing, error):
        platform.error = error
        platform.work = without_groups() if thing == "task group" else None
        platform.pool_shown, platform.tasks = None, platform.tasks[1:]

        with pytest.raises(type(error), match=str(error)):
            CALLS[thing](platform)

    @pytest.mark.parametrize("error", CLEAR, ids=repr)
    def test_clear_failure_is_raised_without_lookup(self, platform, thing, error):
        platform.error = error

        with pytest.raises(type(error)):
            CALLS[thing](platform)
        assert platform.lookups == []


def test_add_task_group_fails_when_the_accepted_group_is_not_shown(platform):
    platform.work = without_groups()

    with pytest.raises(PlatformError, match="accepted task group 'cpu' but does not show it"):
        add_task_group(platform, "w", GROUP_SPEC)


def test_add_tasks_finds_a_single_task_by_its_name(platform):
    platform.error = AlreadyExists("taken")

    assert submit_tasks(platform, "g", SPECS[:1]) == [task("worker-1")]
    assert platform.lookups == [("named tasks", "g", "worker-1")]


def test_add_tasks_does_not_take_a_task_that_a_list_repeats_for_another(platform):
    platform.error = Unavailable("500")
    platform.tasks = [task("worker-1"), task("worker-1")]

    with pytest.raises(Unavailable):
        submit_tasks(platform, "g", SPECS)


def test_add_tasks_gives_a_task_once_that_a_list_repeats(platform):
    platform.error = Unavailable("500")
    platform.tasks = [task("worker-1"), task("worker-2"), task("worker-1")]

    assert submit_tasks(platform, "g", SPECS) == [task("worker-1"), task("worker-2")]
