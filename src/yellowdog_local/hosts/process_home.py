"""The files of a process host: home, Python environment, SSH server's configuration. Starts nothing.

A namespace host has the layout of a YellowDog image: see `rootfs.py`. A process host shares the machine's files, so the
same files are in a directory of the host, and its environment names them:

    <disk>/home              HOME and YD_AGENT_HOME; `venv` in it is the host's own Python environment
    <disk>/data              YD_AGENT_DATA: where tasks run
    <disk>/etc               configuration of sshd, logins, the agent and user data
    /tmp/raydog-<platform>/<number>   TMPDIR: a short path, because it holds Ray's sockets
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shlex
import shutil
import site
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from yellowdog_local.hosts.guest import process_view

TEMPORARY = Path("/tmp")  # noqa: S108 (with private directories in it)
VIEW = "raydog_process_view"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT_HEAD_BYTES = 1024  # the part of a script that may name its interpreter


@dataclass(frozen=True)
class ProcessHome:
    """The paths of one host.

    Attributes:
        disk: the host's directory, inside the platform's.
        temporary: the host's directory for temporary files.
        logs: the host's log directory.
        address: the host's address.
        mark: the host's mark.
        user: the user of its processes and logins.
    """

    disk: Path
    temporary: Path
    logs: Path
    address: str
    mark: int
    user: str

    @property
    def home(self) -> Path:
        """HOME and YD_AGENT_HOME."""
        return self.disk / "home"

    @property
    def data(self) -> Path:
        """YD_AGENT_DATA."""
        return self.disk / "data"

    @property
    def etc(self) -> Path:
        """The directory of configuration files."""
        return self.disk / "etc"

    @property
    def agent_config(self) -> Path:
        """The agent's configuration, with its token."""
        return self.etc / "agent.json"

    @property
    def sshd_config(self) -> Path:
        """The configuration of the host's SSH server."""
        return self.etc / "sshd_config"

    @property
    def python(self) -> Path:
        """The interpreter of the host's Python environment."""
        return self.home / "venv" / "bin" / "python"

    def environment(self) -> dict[str, str]:
        """The environment of the agent's service and of logins."""
        return {
            "HOME": str(self.home),
            "USER": self.user,
            "LOGNAME": self.user,
            "SHELL": "/bin/bash",
            "PATH": f"{self.home}/venv/bin:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.temporary),
        }

    def agent_paths(self) -> dict[str, str]:
        """Further variables of user data and logins; tasks get them from the agent."""
        return {"YD_AGENT_HOME": str(self.home), "YD_AGENT_DATA": str(self.data)}


def temporary_root(data_directory: Path) -> Path:
    """The directory of the temporary directories of a platform's hosts."""
    name = hashlib.sha256(str(data_directory.resolve()).encode()).hexdigest()[:8]
    return TEMPORARY / f"raydog-{name}"


def current_user() -> pwd.struct_passwd | None:
    """The account of this process's user; None if it has none."""
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        return None


def create(place: ProcessHome, public_key: str, host_key: str, agent_config: dict[str, str]) -> None:
    """Create all directories and files of a host.

    Raises:
        OSError: they cannot be created.
    """
    for directory in (place.home, place.home / ".ssh", place.data, place.etc):
        directory.mkdir(parents=True)
    place.temporary.mkdir(mode=0o700)
    _write(place.etc / "host_key", host_key, 0o600)
    _write(place.etc / "authorized_keys", public_key.strip() + "\n", 0o600)
    _write(place.home / ".ssh" / "authorized_keys", public_key.strip() + "\n", 0o600)
    _write(place.agent_config, json.dumps(agent_config), 0o600)
    _write(place.sshd_config, _sshd_config(place))
    _write(place.etc / "login", _login(place), 0o755)
    profile = f"# The environment with Ray comes first, in login shells too.\nexport PATH={_quoted(place)}:$PATH\n"
    _write(place.home / ".bashrc", profile)
    _write(place.home / ".profile", profile)
    _make_python_environment(place)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _quoted(place: ProcessHome) -> str:
    return shlex.quote(f"{place.home}/venv/bin")


def _sshd_config(place: ProcessHome) -> str:
    return f"""\
ListenAddress {place.address}:22
HostKey "{place.etc}/host_key"
AuthorizedKeysFile "{place.etc}/authorized_keys"
AllowUsers {place.user}
PidFile none
# The directories above belong to this platform, wherever its user put them.
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
UseDNS no
PrintMotd no
PrintLastLog no
# Many of Ray's commands may connect at once.
MaxStartups 200
MaxSessions 200
AcceptEnv LANG LC_*
# A login gets the host's home and environment instead of the account's. The first of these is for bash, which reads
# `~/.bashrc` before anything else when it is started by sshd.
SetEnv "HOME={place.home}"
ForceCommand exec {shlex.quote(f"{place.etc}/login")}
Subsystem sftp {_sftp_server()}
"""


def _sftp_server() -> str:
    known = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
    return next((path for path in known if Path(path).exists()), "internal-sftp")


def _login(place: ProcessHome) -> str:
    variables = place.environment() | place.agent_paths()
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return f"""\
#!/bin/bash
# Every login to this host, with or without a command, begins here.
{exports}
unset MAIL
cd "$HOME" || exit 1
if [ -n "${{SSH_ORIGINAL_COMMAND+x}}" ]; then
  command=$SSH_ORIGINAL_COMMAND
  unset SSH_ORIGINAL_COMMAND
  exec /bin/bash -c "$command"
fi
exec -l /bin/bash
"""


def _make_python_environment(place: ProcessHome) -> None:
    """Create a virtual environment with all packages of the platform's; new packages stay in it."""
    directory = place.home / "venv"
    venv.EnvBuilder(symlinks=True).create(directory)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory), "platbase": str(directory)}))
    sources = Path(__file__).resolve().parents[2]
    shared = [*_package_directories(), str(sources)]
    lines = [f"import site; site.addsitedir({path!r})" for path in shared]
    # Last, so that it wraps the import hooks of other packages.
    _write(packages / "raydog_platform.pth", "\n".join([*lines, f"import {VIEW}; {VIEW}.install()"]) + "\n")
    view = {"mark": place.mark, "address": place.address, "temporary": str(place.temporary)}
    shutil.copyfile(process_view.__file__, packages / f"{VIEW}.py")
    _write(packages / f"{VIEW}.json", json.dumps(view))
    _add_scripts(Path(sysconfig.get_path("scripts")), directory / "bin")


def _package_directories() -> list[str]:
    found = [*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    return list(dict.fromkeys(path for path in found if Path(path).is_dir()))


def _add_scripts(theirs: Path, ours: Path) -> None:
    """Add the scripts of the platform's environment, such as `ray`; Python scripts get the host's interpreter."""
    for script in theirs.iterdir():
        target = ours / script.name
        if target.exists() or not script.is_file() or script.name.startswith("activate"):
            continue
        with script.open("rb") as file:
            head = file.read(_SCRIPT_HEAD_BYTES)
        interpreter = _interpreter_in(head, theirs)
        if interpreter is None:
            target.symlink_to(script)
            continue
        text = script.read_bytes().replace(interpreter, str(ours / "python").encode(), 1)
        target.write_bytes(text)
        target.chmod(0o755)


def _interpreter_in(head: bytes, directory: Path) -> bytes | None:
    """The path of a directory's Python in the first lines of a script, also after `#!/bin/sh`."""
    if not head.startswith(b"#!"):
        return None
    names = sorted((path.name for path in directory.glob("python*")), key=len, reverse=True)
    candidates = [str(directory / name).encode() for name in (*names, Path(sys.executable).name)]
    return next((name for name in candidates if name in head.splitlines()[0] or b"exec' " + name in head), None)
