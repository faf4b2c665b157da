"""The shell program that writes a head's secret files: API key, token, and the variables of login shells.

`ray up` runs it on the head over SSH, and so does a carrier.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from yellowdog_ray.credentials import HEAD_FILE, Credentials
from yellowdog_ray.node.authentication import HEAD_AUTH_FILE, HEAD_AUTH_OWNER, MODE_TOKEN, SHELL_FILE
from yellowdog_ray.node.variables import AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH

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

_SPARE_RAY = "{ echo 500 > /proc/self/oom_score_adj; } 2>/dev/null || :"
"""Where memory is short, the kernel ends what runs in login shells, such as drivers, before Ray's own processes.

Ray gives its workers the score 1,000 (`worker_oom_score_adjustment`); its other processes have less than a driver
(`head/kinds.py`).
"""

TOKEN_MARK = "RayDog-token "  # noqa: S105 - a word before the token, in the output of a command


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


def program(credentials: Credentials, authentication: Authentication) -> str:
    """The shell program that writes API key and token on the head, and prints the token that the head has."""
    parts = [_WRITE, written(_CREDENTIALS, credentials.as_dotenv())]
    if authentication.mode is None:
        return "".join(parts)
    lines = [f"unset {AUTH_TOKEN}", f'export {AUTH_TOKEN_PATH}="$HOME/{HEAD_AUTH_FILE}"']
    lines = [*(lines if authentication.mode == MODE_TOKEN else ()), f"export {AUTH_MODE}={authentication.mode}"]
    if authentication.mode == MODE_TOKEN:
        owner = authentication.head_id
        parts += [
            f'if ! [ -s ~/{HEAD_AUTH_FILE} ] || [ "$(cat ~/{HEAD_AUTH_OWNER} 2>/dev/null)" != {owner} ]; then\n',
            written(HEAD_AUTH_FILE, authentication.token),
            written(HEAD_AUTH_OWNER, owner),
            "fi\n",
            f"printf '{TOKEN_MARK}'; cat ~/{HEAD_AUTH_FILE}; echo\n",  # `echo` would interpret backslashes
        ]
    return "".join([*parts, written(SHELL_FILE, "\n".join([*lines, _SPARE_RAY]) + "\n"), _SHELLS])


def written(path: str, text: str) -> str:
    """A command that writes this text to a file below the home."""
    text = text if text.endswith("\n") else f"{text}\n"
    end = "END_OF_FILE"
    while end in text:
        end += "_"
    return f"write ~/{path} <<'{end}'\n{text}{end}\n"
