"""Send the head what no task may carry, over SSH before Ray starts: API key, token, extra files, the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from yellowdog_ray.commands.package import REFUSAL, Package, running_version, unpack_program
from yellowdog_ray.config.local_files import by_remote_path
from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings
from yellowdog_ray.credentials import HEAD_FILE, Credentials
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.node.authentication import HEAD_AUTH_FILE, HEAD_AUTH_OWNER, MODE_TOKEN, SHELL_FILE
from yellowdog_ray.node.variables import AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH
from yellowdog_ray.remote.ssh import UPLOAD_SECONDS, SshTarget

_REMOTE_KEY = "~/ray_bootstrap_key.pem"
_CREDENTIALS = PurePosixPath(HEAD_FILE).relative_to("~").as_posix()

# The shell reads this program as its input, since process lists show arguments. Every file is written atomically.
_WRITE = """\
set -e
umask 077
mkdir -p ~/.raydog ~/.ray
chmod 700 ~/.raydog
write() { cat > "$1.new"; mv "$1.new" "$1"; }
"""

# In the first line: Debian's ~/.bashrc returns early in a shell that is not interactive.
_SOURCE_LINE = f"[ ! -f ~/{SHELL_FILE} ] || . ~/{SHELL_FILE}  # by RayDog: authentication of Ray"
_SHELLS = f"""\
source_first() {{
  if grep -qsF '{SHELL_FILE}' "$1"; then return; fi
  {{ echo '{_SOURCE_LINE}'; cat "$1" 2>/dev/null || :; }} > ~/.raydog/new
  cat ~/.raydog/new > "$1"
  rm -f ~/.raydog/new
}}
login=~/.profile
for file in ~/.bash_login ~/.bash_profile; do if [ -f "$file" ]; then login=$file; fi; done
source_first "$login" && source_first ~/.bashrc || echo "the shell's files cannot be changed" >&2
"""

_LOCAL_ONLY = ("token_file", "token_place")
"""Keys of `Internal` with paths of the user's machine."""

_SPARE_RAY = "{ echo 500 > /proc/self/oom_score_adj; } 2>/dev/null || :"
"""Where memory is short, the kernel ends what runs in login shells, such as drivers, before Ray's own processes.

Ray gives its workers the score 1,000 (`worker_oom_score_adjustment`); its other processes have less than a driver
(`head/kinds.py`).
"""

_TOKEN_MARK = "RayDog-token "  # noqa: S105 - a word before the token, in the output of a command


@dataclass(frozen=True)
class Authentication:
    """Ray's authentication on one head.

    Attributes:
        mode: its mode; None for a head of an earlier RayDog, which is left alone.
        head_id: the head's node id.
        token: the token for a head that has none yet.
    """

    mode: str | None = None
    head_id: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Delivered:
    """What a head has reported.

    Attributes:
        token: the token that it has; empty without token authentication.
        running: RayDog's version in the autoscaler that runs there; None if none runs, or an earlier RayDog does.
    """

    token: str = field(default="", repr=False)
    running: str | None = None


def deliver(
    target: SshTarget,
    credentials: Credentials,
    settings: ProviderSettings,
    authentication: Authentication,
    package: Package,
) -> Delivered:
    """Send the head what the monitor needs and no task may carry: API key, token, RayDog, and the user's extra files.

    Raises:
        HeadUnusable: the head cannot take RayDog's package.
        SshError: a file could not be written, or the token not be read.
    """
    text = program(credentials, authentication) + unpack_program(package)
    try:
        output = target.run("sh -s", text.encode(), UPLOAD_SECONDS)
    except SshError as error:
        if REFUSAL in str(error):
            raise HeadUnusable(str(error)) from error
        raise
    upload_files(target, dict(by_remote_path(settings.files_to_upload)))
    # A login shell may print other lines.
    tokens = [line.removeprefix(_TOKEN_MARK) for line in output.splitlines() if line.startswith(_TOKEN_MARK)]
    if authentication.mode == MODE_TOKEN and not tokens:
        raise SshError(f"{target.address}: the head did not report its token")
    return Delivered(tokens[-1] if tokens else "", running_version(output, target.node_id))


def program(credentials: Credentials, authentication: Authentication) -> str:
    """The shell program that writes API key and token on the head, and prints the token that the head has."""
    parts = [_WRITE, _write(_CREDENTIALS, credentials.as_dotenv())]
    if authentication.mode is None:
        return "".join(parts)
    lines = [f"unset {AUTH_TOKEN}", f'export {AUTH_TOKEN_PATH}="$HOME/{HEAD_AUTH_FILE}"']
    lines = [*(lines if authentication.mode == MODE_TOKEN else ()), f"export {AUTH_MODE}={authentication.mode}"]
    if authentication.mode == MODE_TOKEN:
        owner = authentication.head_id
        parts += [
            f'if ! [ -s ~/{HEAD_AUTH_FILE} ] || [ "$(cat ~/{HEAD_AUTH_OWNER} 2>/dev/null)" != {owner} ]; then\n',
            _write(HEAD_AUTH_FILE, authentication.token),
            _write(HEAD_AUTH_OWNER, owner),
            "fi\n",
            f"printf '{_TOKEN_MARK}'; cat ~/{HEAD_AUTH_FILE}; echo\n",  # `echo` would interpret backslashes
        ]
    return "".join([*parts, _write(SHELL_FILE, "\n".join([*lines, _SPARE_RAY]) + "\n"), _SHELLS])


def _write(path: str, text: str) -> str:
    """A command that writes this text to a file below the home."""
    text = text if text.endswith("\n") else f"{text}\n"
    end = "END_OF_FILE"
    while end in text:
        end += "_"
    return f"write ~/{path} <<'{end}'\n{text}{end}\n"


def upload_files(target: SshTarget, files: Mapping[str, str]) -> None:
    """Copy the user's extra files.

    Args:
        target: the head.
        files: local paths by remote path.
    """
    for remote, local in files.items():
        target.upload(local, remote.removeprefix("~/"))


def for_the_head(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as the head needs it: without paths and SSH proxies of the user's machine.

    Ray has put `setup_commands` before those of head and workers, and on the head it would do so once more.
    """
    provider = dict(config["provider"])
    provider.pop("_config_cache_path", None)
    provider.pop("files_to_upload", None)
    provider["auth"] = {"ssh_user": config["auth"]["ssh_user"], "ssh_private_key": _REMOTE_KEY}
    auth = {key: value for key, value in config["auth"].items() if key != "ssh_public_key"}
    internal = {key: value for key, value in provider.get(INTERNAL_KEY, {}).items() if key not in _LOCAL_ONLY}
    return {**config, "provider": {**provider, INTERNAL_KEY: internal}, "auth": auth, "setup_commands": []}
