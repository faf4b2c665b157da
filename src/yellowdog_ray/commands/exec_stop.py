"""`ray exec --stop` and `ray submit --stop`: removes the commands from Ray's line that cannot succeed. No I/O.

Ray appends `ray stop`, `ray teardown`, which Ray 2.60 no longer has, and `sudo shutdown`, for which the agent's user
has no right. `ray stop` suffices: the head's task ends with it, and the workers' tasks once Ray there has lost it.
"""

from __future__ import annotations

from typing import Any

import click

USELESS = "; ray teardown ~/ray_bootstrap_config.yaml --yes --workers-only; sudo shutdown -h now"
"""The text that `exec_cluster` appends to `ray stop` (autoscaler/_private/commands.py of Ray 2.50 to 2.60)."""


def ends_well(runner: Any) -> Any:
    """Ray's command runner, changed so that a command with `--stop` ends after `ray stop`."""
    context = click.get_current_context(silent=True)
    if context is None or not context.params.get("stop"):
        return runner
    run = runner.run

    def run_without_useless(cmd: str | None = None, *arguments: Any, **options: Any) -> Any:
        return run(cmd.replace(USELESS, "") if cmd else cmd, *arguments, **options)

    runner.run = run_without_useless
    return runner
