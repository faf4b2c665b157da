"""The node types that can hold a request, and the demand that waits once the starting workers have joined. No call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from yellowdog_ray.cluster.published import HeadState, NodeTypeState, Shape
from yellowdog_ray.inventory.facts import Facts
from yellowdog_ray.inventory.findings import BOOT
from yellowdog_ray.inventory.status import NODE_TYPE_TAG

UNDECLARED = ("memory", "object_store_memory")
"""Resources that Ray detects on the node if the YAML does not declare them."""

SET_BY_RAY = ("ray.io/node-id", "ray.io/accelerator-type")
"""Labels that Ray detects on the node if the YAML does not declare them."""

_ROUNDING = 1e-9


def fits(shape: Shape, kind: NodeTypeState) -> bool:
    """Whether an empty node of a type can hold one request of a shape."""
    return bool(_number(shape, kind.resources)) and has_labels(shape, kind)


def has_labels(shape: Shape, kind: NodeTypeState) -> bool:
    """Whether a type's labels satisfy a shape's selectors, or are unknown."""
    labels = kind.labels
    if labels is None:
        return True
    return all(
        _satisfies(labels.get(key), selector)
        for key, selector in shape.labels.items()
        if key in labels or key not in SET_BY_RAY
    )


def _satisfies(value: str | None, selector: str) -> bool:
    """Whether a label has one of the values of a selector, such as `a`, `in(a,b)`, `!a` or `!in(a,b)`."""
    text = selector.removeprefix("!")
    values = text[3:-1].split(",") if text.startswith("in(") and text.endswith(")") else [text]
    return (value in values) != selector.startswith("!")


def _number(shape: Shape, free: Mapping[str, float]) -> int:
    """How many requests of a shape fit into free resources, at most as many as wait."""
    numbers = [
        int(free.get(name, 0.0) / amount + _ROUNDING)
        for name, amount in shape.resources.items()
        if amount > 0 and (name in free or name not in UNDECLARED)
    ]
    return min([shape.count, *numbers])


def left_over(facts: Facts, state: HeadState) -> list[Shape]:
    """The demand without what the workers that have not joined can hold; resources that are unknown hold all."""
    starting = [(kind, dict(kind.resources)) for kind in _starting(facts, state)]
    return [shape for each in state.demand or () if (shape := _without(each, starting)).count]


def _without(shape: Shape, starting: list[tuple[NodeTypeState, dict[str, float]]]) -> Shape:
    for kind, free in starting:
        if not has_labels(shape, kind):
            continue
        number = _number(shape, free) if kind.resources else shape.count
        for name, amount in shape.resources.items():
            if name in free:
                free[name] -= number * amount
        shape = shape.model_copy(update={"count": shape.count - number})
        if not shape.count:
            break
    return shape


def _starting(facts: Facts, state: HeadState) -> Iterator[NodeTypeState]:
    """The type of each worker that had not joined when the state was published, and is about to."""
    for name, kind in state.node_types.items():
        tasks = [task for task in facts.workers if task.tags.get(NODE_TYPE_TAG) == name]
        new = sum(not task.executing or task.started is None or task.started > state.at - BOOT for task in tasks)
        for _ in range(max(0, min(new, len(tasks) - (kind.alive or 0)))):
            yield kind
