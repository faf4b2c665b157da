"""Every declared step is taken by a scenario, an undeclared one is refused, and the page is up to date."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from yellowdog_client.model import (
    NodeStatus,
    RunSpecification,
    TaskGroup,
    TaskStatus,
    WorkRequirement,
)
from yellowdog_client.model.exceptions import InternalServerException

import yellowdog_local
from tests.simulation.lab import Lab, LabMaker
from tests.simulation.transitions import RECORDS, Transitions, shown_otherwise
from tests.yellowdog_local.state import scenarios_of_machines, scenarios_of_work
from yellowdog_local.state import lives
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.lifecycle import Lifecycle, UndeclaredStep
from yellowdog_local.state.lives_page import page
from yellowdog_local.testing import local_platform
from yellowdog_local.work import requirements

SOURCES = Path(yellowdog_local.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "development" / "lives.md"
Step = tuple[str, Any, str]


def _declared() -> set[Step]:
    return {(lifecycle.name, status, event) for lifecycle in lives.ALL for status, event in lifecycle.steps}


def _taken_by(module: ModuleType, make_lab: LabMaker, monkeypatch: pytest.MonkeyPatch) -> set[Step]:
    taken: set[Step] = set()
    move = Lifecycle.move

    def recorded(self: Lifecycle[Any, Any], record: Any, event: str) -> Any:
        before = move(self, record, event)
        taken.add((self.name, before, event))
        return before

    monkeypatch.setattr(Lifecycle, "move", recorded)
    for scenario in module.SCENARIOS:
        scenario(make_lab)
    return taken


def test_every_declared_step_is_taken_by_a_scenario(make_lab: LabMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = _taken_by(scenarios_of_work, make_lab, monkeypatch)
    taken |= _taken_by(scenarios_of_machines, make_lab, monkeypatch)
    assert _declared() - taken == set()


@pytest.mark.parametrize("module", [scenarios_of_work, scenarios_of_machines], ids=["work", "machines"])
def test_every_observed_transition_is_declared(module: ModuleType, make_lab: LabMaker) -> None:
    transitions = Transitions()
    transitions.start()
    try:
        for scenario in module.SCENARIOS:
            scenario(make_lab)
    finally:
        transitions.stop()
    assert len(transitions.seen) > 40
    assert transitions.undeclared == set()


@pytest.mark.parametrize("module", [scenarios_of_work, scenarios_of_machines], ids=["work", "machines"])
def test_scenarios_are_all_listed(module: ModuleType) -> None:
    functions = [function for _, function in inspect.getmembers(module, inspect.isfunction)]
    public = [f for f in functions if f.__module__ == module.__name__ and not f.__name__.startswith("_")]
    assert sorted(public, key=str) == sorted(module.SCENARIOS, key=str)


def test_undeclared_step_is_refused_and_changes_nothing(lab: Lab) -> None:
    node = lab.node(lab.booted(1))
    with pytest.raises(UndeclaredStep, match=r"Platform node ydid:node:.*'recover' is not declared in status RUNNING"):
        lives.PLATFORM_NODE.move(node, "recover")
    assert (node.status, node.entity.status) == (NodeStatus.RUNNING, NodeStatus.RUNNING)


def test_undeclared_step_is_an_internal_error_with_its_name_over_http(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(requirements, "TASK_GROUP", replace(lives.TASK_GROUP, steps={}))
    group = TaskGroup("group", RunSpecification(["bash"]))
    with local_platform(clock=SteppedClock()) as running, running.client() as client:
        work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
        with pytest.raises(InternalServerException, match=r"UndeclaredStep: Task group .* the event 'hold'"):
            client.work_client.hold_work_requirement(work)
    errors = [record.exc_info for record in caplog.records if record.levelname == "ERROR"]
    assert {info[0] for info in errors if info} == {UndeclaredStep}  # the SDK retries a 500


def test_move_changes_record_and_entity_and_returns_the_status_before(lab: Lab) -> None:
    (task,) = lab.tasks(lab.group(), "a")
    assert lives.TASK.move(task, "cancel") is TaskStatus.READY
    assert (task.status, task.entity.status) == (TaskStatus.CANCELLED, TaskStatus.CANCELLED)
    lab.platform.store.tasks.clear()


@pytest.mark.parametrize("lifecycle", lives.ALL, ids=lambda lifecycle: lifecycle.name)
class TestTable:
    def test_every_status_of_the_platform_occurs_or_has_a_reason(self, lifecycle: Lifecycle[Any, Any]) -> None:
        statuses = set(type(next(iter(lifecycle.first))))
        occurring = {*lifecycle.first, *lifecycle.steps.values()}
        assert {status for status, _event in lifecycle.steps} <= occurring
        assert occurring | lifecycle.unused.keys() == statuses
        assert not occurring & lifecycle.unused.keys()

    def test_every_event_has_a_meaning_and_a_step(self, lifecycle: Lifecycle[Any, Any]) -> None:
        assert lifecycle.events.keys() == {event for _status, event in lifecycle.steps}

    def test_every_status_leads_to_an_end(self, lifecycle: Lifecycle[Any, Any]) -> None:
        ending = set(lifecycle.last)
        assert ending
        while True:
            more = {status for (status, _event), after in lifecycle.steps.items() if after in ending} - ending
            if not more:
                break
            ending |= more
        assert ending == {*lifecycle.first, *lifecycle.steps.values()}

    def test_record_of_its_kind_is_observed(self, lifecycle: Lifecycle[Any, Any]) -> None:
        assert lifecycle in RECORDS.values()


ASSIGNED: dict[str, str] = {
    "state/lifecycle.py move": "the engine",
    "compute/instances.py boot": "the first status",
    "compute/requirements.py _keep": "the first status",
    "compute/requirements.py _source": "of a source, which has no lifecycle",
    "compute/requirements.py _request_instances": "of a source, which has no lifecycle",
    "pools/configured.py _make": "the first status",
    "pools/provisioned.py provision": "the first status",
    "work/requirements.py add": "the first status",
    "work/requirements.py _add_group": "the first status",
    "work/tasks.py _add": "the first status",
    "compute/clouds.py set_machine": "of a source: its type and image, by the names of its cloud",
    "work/requirements.py _update_group": "of a task group: four attributes that a user may change",
}
"""The functions that assign a status, or attributes by a computed name, and of what."""


def assigns_status(node: ast.AST) -> bool:
    """Whether a node can assign a status: as an attribute, by `setattr`, or by the attributes' dictionary."""
    match node:
        case ast.Attribute(attr="status", ctx=ast.Store()):
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[*_, attribute, _]) if "setattr" in name:
            return not isinstance(attribute, ast.Constant) or attribute.value == "status"
        case ast.Subscript(value=ast.Call(func=ast.Name(id="vars")) | ast.Attribute(attr="__dict__"), ctx=ast.Store()):
            return True
        case ast.Attribute(value=ast.Call(func=ast.Name(id="vars")) | ast.Attribute(attr="__dict__"), attr="update"):
            return True
    return False


def assigning_functions(source: str) -> set[str]:
    """The functions of a module that can assign a status."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {function.name for function in functions if any(map(assigns_status, ast.walk(function)))}


def test_only_declared_functions_assign_a_status() -> None:
    found = {
        f"{file.relative_to(SOURCES)} {function}"
        for file in SOURCES.rglob("*.py")
        for function in assigning_functions(file.read_text(encoding="utf-8"))
    }
    assert found == ASSIGNED.keys()


@pytest.mark.parametrize(
    "line",
    [
        "task.status = x",
        "task.entity.status, other = x, y",
        'setattr(task, "status", x)',
        "setattr(task, name, x)",
        'object.__setattr__(task, "status", x)',
        'vars(task)["status"] = x',
        'task.__dict__["status"] = x',
        "vars(task).update(status=x)",
    ],
)
def test_assignment_beside_the_engine_is_found(line: str) -> None:
    assert assigning_functions(f"def function():\n    {line}") == {"function"}


def test_status_that_only_an_entity_has_is_found(lab: Lab) -> None:
    (task,) = lab.tasks(lab.group(), "a")
    assert shown_otherwise(lab.platform.store) == []
    task.entity.status = TaskStatus.FAILED
    assert shown_otherwise(lab.platform.store) == [task.id]
    lab.platform.store.tasks.clear()


def test_page_is_up_to_date() -> None:
    command = "python -m yellowdog_local.state.lives > docs/development/lives.md"
    assert PAGE.read_text(encoding="utf-8") == page(lives.ALL), f"run `{command}`"
