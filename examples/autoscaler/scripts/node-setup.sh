#!/usr/bin/env bash
# Turns a base Ubuntu or Debian image into a node for Ray: YellowDog agent, Python with Ray, SSH, no firewall.
#
# Runs as root: at boot (`userdata: file:scripts/node-setup.sh` under `node_config`), or once, to build your own image,
# which boots minutes faster. It can run again at any time, and keeps existing installations.
#
#   node-setup.sh [--help]
#
# Set these variables here, or in the environment.
set -euo pipefail

# The versions of your own machine. Ray requires the same versions everywhere, for Python too: 3.12.4 is not 3.12.5.
# `python3` is the distribution's default; another one is, for example, `python3.12`.
PYTHON="${PYTHON:-python3}"
RAY_VERSION="${RAY_VERSION:-2.60.0}"
# RayDog for pip, such as the path of a wheel that the image contains. Empty: none, because `ray up` sends RayDog, and
# what it needs, to the head. A worker's image needs RayDog with Ray 2.52 and 2.53 only: see docs/security.md.
YELLOWDOG_RAY="${YELLOWDOG_RAY:-}"

# The public key of `auth.ssh_private_key`, such as `ssh-ed25519 AAAA... me@home`. The head needs it.
SSH_PUBLIC_KEY="${SSH_PUBLIC_KEY:-}"

# YellowDog's agent installer; unused if the image has an agent. Empty: the agent is installed in another way.
AGENT_INSTALLER_URL="${AGENT_INSTALLER_URL-https://raw.githubusercontent.com/yellowdog/resources/main/agent-install/linux/yd-agent-installer.sh}"

# The locations of the agent's installer.
readonly AGENT_USER=yd-agent
readonly AGENT_HOME=/opt/yellowdog/agent
readonly VENV="$AGENT_HOME/venv"

main() {
  case "${1:-}" in
  "") ;;
  -h | --help) usage && exit 0 ;;
  *) fail "unknown argument: $1 (see --help)" ;;
  esac
  check_machine
  install_packages
  install_agent
  make_python_environment
  put_ray_on_path
  authorise_ssh_key
  turn_firewall_off
  say "This node is ready, after $SECONDS s: $("$VENV/bin/ray" --version), $("$VENV/bin/python" --version)"
}

usage() { sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"; }

say() { echo "node-setup: $*"; }

fail() {
  echo "node-setup: error: $*" >&2
  exit 1
}

as_agent() { runuser -u "$AGENT_USER" -- env HOME="$AGENT_HOME" "$@"; }

check_machine() {
  [ "$(id -u)" -eq 0 ] || fail "must run as root: use sudo, or userdata"
  command -v apt-get >/dev/null || fail "apt-get not found: this script supports Ubuntu and Debian"
}

install_packages() {
  say "Debian packages"
  export DEBIAN_FRONTEND=noninteractive
  # Wait for apt: the image may run its own updates at boot.
  apt-get -qq -o DPkg::Lock::Timeout=300 update ||
    say "warning: apt-get update failed; using the existing package lists"
  # The agent's installer needs adduser and curl.
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    adduser ca-certificates curl openssh-server procps rsync "$PYTHON" "$PYTHON-venv" >/dev/null ||
    fail "apt-get could not install the packages: see above. Does this distribution have a package $PYTHON?"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old: Python 3.10 is required. Use a newer image, or set PYTHON=python3.12"
}

install_agent() {
  if [ -f "$AGENT_HOME/application.yaml" ]; then
    say "The YellowDog agent is installed already"
  elif [ -n "$AGENT_INSTALLER_URL" ]; then
    say "YellowDog agent"
    local installer
    installer="$(mktemp)"
    curl --fail --silent --show-error --location --retry 3 --output "$installer" "$AGENT_INSTALLER_URL" ||
      fail "could not download YellowDog's installer from $AGENT_INSTALLER_URL (AGENT_INSTALLER_URL)"
    bash "$installer" || fail "YellowDog's installer failed: see above"
    rm -f "$installer"
  else
    say "warning: there is no YellowDog agent, and AGENT_INSTALLER_URL is empty: no task can run here"
  fi
  getent passwd "$AGENT_USER" >/dev/null ||
    adduser --quiet --disabled-password --gecos "" --home "$AGENT_HOME" "$AGENT_USER"
}

make_python_environment() {
  say "Ray $RAY_VERSION in $VENV"
  [ -x "$VENV/bin/python" ] || as_agent "$PYTHON" -m venv "$VENV"
  as_agent "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    "ray[client]==$RAY_VERSION" "ray[default]==$RAY_VERSION" ${YELLOWDOG_RAY:+"$YELLOWDOG_RAY"} ||
    fail "pip could not install Ray${YELLOWDOG_RAY:+ and $YELLOWDOG_RAY}: see above. Is there a Ray $RAY_VERSION for $("$PYTHON" --version)?"
}

# `ray exec` and `ray submit` need `ray` and `python` on the PATH. The line must be the first: many a ~/.bashrc returns
# early.
put_ray_on_path() {
  local line="export PATH=$VENV/bin:\$PATH" file="$AGENT_HOME/.bashrc"
  ! grep -qsxF "$line" "$file" || return 0
  touch "$file"
  printf '%s\n' "$line" "$(<"$file")" >"$file.new"
  mv "$file.new" "$file"
  chown "$AGENT_USER:" "$file"
}

authorise_ssh_key() {
  local directory="$AGENT_HOME/.ssh"
  local file="$directory/authorized_keys"
  if [ -z "$SSH_PUBLIC_KEY" ]; then
    [ -s "$file" ] || say "warning: SSH_PUBLIC_KEY is empty, so nobody can log in as $AGENT_USER: unusable as a head"
    return 0
  fi
  install -d -m 700 -o "$AGENT_USER" -g "$(id -gn "$AGENT_USER")" "$directory"
  grep -qsxF "$SSH_PUBLIC_KEY" "$file" || echo "$SSH_PUBLIC_KEY" >>"$file"
  chmod 600 "$file"
  chown "$AGENT_USER:" "$file"
}

# Ray uses many ports. The cloud provider's network rules control access from outside.
turn_firewall_off() {
  if command -v ufw >/dev/null; then ufw --force disable >/dev/null; fi
  [ -d /run/systemd/system ] || return 0
  if systemctl is-active --quiet netfilter-persistent; then netfilter-persistent flush; fi
  local service
  for service in firewalld nftables netfilter-persistent; do
    if systemctl is-enabled --quiet "$service" 2>/dev/null; then systemctl disable --now --quiet "$service"; fi
  done
}

main "$@"
