"""Reports RayDog's version in the autoscaler on the head: in its log, and in a file that the next `ray up` reads."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import yellowdog_ray
from yellowdog_ray.node import variables
from yellowdog_ray.node.package import CURRENT, RUNNING
from yellowdog_ray.private_file import write_private

logger = logging.getLogger(__name__)


@functools.cache
def report_own_version() -> None:
    """Log the version of this process, and warn if `ray up` has sent another. Once per process; never fails."""
    root = Path(yellowdog_ray.__path__[0]).parent
    sent = Path.home() / CURRENT
    own = _label(root) if root.parent == sent.parent else f"{yellowdog_ray.__version__} (not sent by `ray up`)"
    logger.info("RayDog %s, from %s", own, root)
    if not sent.is_dir():  # the `ray up` of an earlier RayDog made this cluster
        return
    if sent.resolve() != root:
        logger.warning(
            "RayDog %s from %s runs here, and not %s, which `ray up` has sent to %s. Does "
            "provider.ray_head_node_task_script replace %s, or not pass it into a container? (docs/nodes.md)",
            own,
            root,
            _label(sent.resolve()),
            sent,
            variables.PYTHON_PATH,
        )
    _write(f"{os.environ.get(variables.CLOUD_INSTANCE_ID, '')} {own}\n")


def _label(root: Path) -> str:
    """The version for people, from the name of a package's directory."""
    version, _, digest = root.name.rpartition("-")
    return f"{version} ({digest})"


def _write(text: str) -> None:
    try:
        write_private(Path.home() / RUNNING, text.encode())
    except OSError as error:
        logger.warning("~/%s cannot be written, so `ray up` cannot report this version: %s", RUNNING, error)
