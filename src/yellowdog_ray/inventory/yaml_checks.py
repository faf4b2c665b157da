"""The checks of a YAML under `raydog doctor`: those of `raydog validate`, by subject, and the cluster's token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yellowdog_ray.config.check import Check, State, ok, unchecked
from yellowdog_ray.config.finding import Finding
from yellowdog_ray.config.readable import load

if TYPE_CHECKING:
    from yellowdog_ray.config.models import ProviderSettings
    from yellowdog_ray.platform.client import Platform

YAML, KEY, SCRIPTS, FILES = "YAML", "SSH key", "scripts", "files to copy"
_GOOD = {
    YAML: "no mistake in its keys and values",
    KEY: "OpenSSH can use it",
    SCRIPTS: "bash can read them",
    FILES: "they exist and can be read",
}
_SUBJECTS = {
    "auth": KEY,
    "provider.auth": KEY,
    "provider.ray_head_node_task_script": SCRIPTS,
    "provider.ray_worker_node_task_script": SCRIPTS,
    "provider.files_to_upload": FILES,
    "file_mounts": FILES,
}
_USERDATA = ("userdata", "extra_userdata")


class YamlReport:
    """The findings of `raydog validate`, made once for the checks of several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._made: list[Finding] | None = None

    def findings(self) -> list[Finding]:
        """Every mistake of the YAML, or else its warnings.

        Raises:
            ConfigError: the file cannot be read.
        """
        from yellowdog_ray.config.validation import validate

        with self._lock:
            if self._made is None:
                self._made = validate(self._file)
            return self._made

    def checks(self) -> list[Check]:
        """The findings by subject, and the subjects without one."""
        found = [
            Check(
                _subject(finding.text),
                State.WARNING if finding.is_warning else State.FAILED,
                f"{self._file}:{finding.line}:{finding.column}: {finding.text}",
            )
            for finding in self.findings()
        ]
        is_broken = any(check.state is State.FAILED and check.subject == YAML for check in found)
        for subject in _GOOD.keys() - {check.subject for check in found}:
            reason = "a mistake of the YAML may keep this from being checked: correct that first"
            found.append(unchecked(subject, reason) if is_broken else ok(subject, _GOOD[subject]))
        return sorted(found, key=lambda check: list(_GOOD).index(check.subject))

    def if_good(self, subject: str, check: Callable[[Path], Iterable[Check]]) -> Iterator[Check]:
        """The checks that only a YAML without mistakes allows."""
        if any(not finding.is_warning for finding in self.findings()):
            yield unchecked(subject, "the YAML has mistakes: correct them first")
        else:
            yield from check(self._file)


def _subject(text: str) -> str:
    key = text.split(":", 1)[0].split(" ", 1)[0]
    if key.rpartition(".")[2] in _USERDATA:
        return SCRIPTS
    known = (subject for start, subject in _SUBJECTS.items() if key == start or key.startswith(f"{start}."))
    return next(known, YAML)


def check_token_file(file: Path) -> list[Check]:
    """Whether the cluster's token can be kept on this machine. Writes a file for a moment, as `ray up` does."""
    from yellowdog_ray.commands.cluster_token import ClusterToken
    from yellowdog_ray.node.authentication import MODE_TOKEN

    subject = "token"
    settings, cluster = settings_of(file)
    if settings.auth_mode != MODE_TOKEN:
        return [unchecked(subject, "the cluster has none (`ray_auth`)")]
    ClusterToken(settings, cluster).check_file()
    return [ok(subject, "the cluster's token can be kept on this machine")]


def settings_of(file: Path, connect: Callable[[], Platform] | None = None) -> tuple[ProviderSettings, str]:
    """The settings of a YAML as `ray up` completes it, and the cluster's name.

    Args:
        file: the YAML.
        connect: gives the platform, which then fills in the `resources` that the YAML does not state.

    Raises:
        ConfigError: the YAML has a mistake.
    """
    from yellowdog_ray.commands.machine_sizes import fill_in
    from yellowdog_ray.config.bootstrap import bootstrap
    from yellowdog_ray.config.models import parse_provider
    from yellowdog_ray.config.ray_schema import with_empty_resources
    from yellowdog_ray.config.ray_steps import completed
    from yellowdog_ray.config.validation import prepared

    source = str(file)
    config: dict[str, Any] = load(file)
    if connect is None:
        config = with_empty_resources(prepared(config))
    else:
        config = prepared(fill_in(completed(config), source, connect))
    result, _ = bootstrap(config, source, [file.resolve().parent, Path.cwd()])
    return parse_provider(result["provider"], source), result["cluster_name"]
