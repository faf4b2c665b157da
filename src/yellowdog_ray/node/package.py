"""The package `yellowdog_ray` on the head: the directories that `ray up` sends it to, and Python's path. Text only.

The autoscaler on the head runs the package of the user's machine, whatever the image contains: docs/nodes.md.
"""

from __future__ import annotations

from yellowdog_ray.node import variables
from yellowdog_ray.node.lines import with_lines

PACKAGES = ".raydog/package"
"""Below the head's home directory: one directory `<version>-<digest>` for each package that was sent."""

CURRENT = f"{PACKAGES}/current"
"""A link to the last one. Only the package is there, so that nothing else of the image is shadowed."""

DEPENDENCIES = ".dependencies"
"""Below a package's directory: distributions that the image lacks. `yellowdog_ray` itself puts it on Python's path.

The name cannot be imported by accident.
"""

RUNNING = ".raydog/autoscaler"
"""Below the head's home directory: node id and RayDog's version of the autoscaler that runs, written at its start."""

_DIRECTORY = f"${{{variables.AGENT_HOME}:-{variables.DEFAULT_AGENT_HOME}}}/{CURRENT}"
_EARLIER_ENTRIES = f"${{{variables.PYTHON_PATH}:+:${variables.PYTHON_PATH}}}"

_HEAD_LINES = f"""\
# By RayDog: `ray up` sends its own package over SSH, and the autoscaler imports that one before the image's.
# A link that is older than this task is an earlier cluster's.
export {variables.PYTHON_PATH}="{_DIRECTORY}{_EARLIER_ENTRIES}"
find "{_DIRECTORY}" ! -cnewer "$0" -delete 2>/dev/null || :
"""


def head_script(script: str) -> str:
    """A head's task script: the script, with the lines in front that put the sent package on Python's path."""
    return with_lines(script, _HEAD_LINES)
