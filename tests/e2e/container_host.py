"""User data that makes a namespace host a machine for containers: Podman's service behind the command `docker`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

IMAGE = "localhost/ray"
PROGRAMS = ("podman", "crun")
EVENTS = "podman-events.log"
"""The engine's own record of what it did, in the host's log directory."""

_SCRIPT = """\
#!/bin/bash
set -euo pipefail
# Overlays cannot lie on the host's disk, which is one. There are no control groups on the host, only crun can do
# without, and even that looks whether there might be.
mkdir -p /etc/containers /var/lib/containers
mount -t tmpfs -o mode=755 tmpfs /var/lib/containers
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
cat >/etc/containers/containers.conf <<CONF
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=$(ulimit -Hu):$(ulimit -Hu)"]
volumes = [VOLUMES]
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "file"
events_logfile_path = "/var/log/raydog/EVENTS"
CONF

# An image that is almost empty: what it should hold is mounted into it, by `volumes`.
root=$(mktemp -d)
mkdir -m 1777 "$root/tmp"
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$root/$directory"; done
tar -C "$root" -c . | podman import --change 'ENV PATH=PATHS' - IMAGE

# Who may talk to this socket is root, as are the members of the group `docker` where there is Docker.
mkdir -m 755 /run/podman
podman system service --time=0 unix:///run/podman/podman.sock >/var/log/raydog/podman.log 2>&1 &
until [ -S /run/podman/podman.sock ]; do sleep 0.1; done
chown yd-agent /run/podman/podman.sock
rm -f /usr/local/bin/docker
printf '#!/bin/sh\\nexec podman --url unix:///run/podman/podman.sock "$@"\\n' >/usr/local/bin/docker
chmod 755 /usr/local/bin/docker
"""


def missing_programs() -> list[str]:
    """What this machine lacks."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def user_data() -> str:
    """The script. The containers' Python environment is the one that runs the tests."""
    environment, sources = Path(sys.prefix), Path(__file__).resolve().parents[2] / "src"
    needed = {"/usr", *(str(path.resolve()) for path in (environment, Path(sys.base_prefix), sources))}
    volumes = ", ".join(f'"{path}:{path}:ro"' for path in sorted(needed))
    paths = f"{environment.resolve()}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    text = _SCRIPT.replace("VOLUMES", volumes).replace("PATHS", paths)
    return text.replace("IMAGE", IMAGE).replace("EVENTS", EVENTS)
