#!/usr/bin/env bash
# Makes a node for Ray of a base Ubuntu or Debian image: YellowDog agent, Python environment with Ray, SSH, no firewall.
#
# Runs as root: at boot (`userdata: file:scripts/node-setup.sh` under `node_config`), or once, to make an image of your
# own, which boots minutes faster. May be run again at any time: what is there already stays as it is.
#
#   node-setup.sh [--help]
#
# Set these here, or in the environment.
set -euo pipefail

# The versions of your own machine. Ray wants the same everywhere, Python to its minor version: `python3` is the
# distribution's; where it has others, name one, such as `python3.12`.
PYTHON="${PYTHON:-python3}"
RAY_VERSION="${RAY_VERSION:-2.60.0}"
# What pip is to install: a version may follow (`yellowdog-ray==...`).
YELLOWDOG_RAY="${YELLOWDOG_RAY:-yellowdog-ray}"

# The public half of `auth.ssh_private_key`: a line like `ssh-ed25519 AAAA... me@home`. The head needs it.
SSH_PUBLIC_KEY="${SSH_PUBLIC_KEY:-}"

# YellowDog's installer of its agent; not used where there is an agent. Empty: the image gets its agent in another way.
AGENT_INSTALLER_URL="${AGENT_INSTALLER_URL-https://raw.githubusercontent.com/yellowdog/resources/main/agent-install/linux/yd-agent-installer.sh}"

# Where the agent's installer puts things.
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
  [ "$(id -u)" -eq 0 ] || fail "it must run as root: use sudo, or userdata"
  command -v apt-get >/dev/null || fail "there is no apt-get: this script is for Ubuntu and Debian"
}

install_packages() {
  say "Debian packages"
  export DEBIAN_FRONTEND=noninteractive
  # The image's own updates may be running at boot.
  apt-get -qq -o DPkg::Lock::Timeout=300 update ||
    say "warning: apt-get update failed; going on with the lists that are there"
  # adduser and curl are what the agent's installer uses.
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    adduser ca-certificates curl openssh-server procps rsync "$PYTHON" "$PYTHON-venv" >/dev/null ||
    fail "apt-get could not install what is needed: see above. Is there a package $PYTHON for this distribution?"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old: Python 3.10 is needed. Take a newer image, or set PYTHON=python3.12"
}

install_agent() {
  if [ -f "$AGENT_HOME/application.yaml" ]; then
    say "The YellowDog agent is installed already"
  elif [ -n "$AGENT_INSTALLER_URL" ]; then
    say "YellowDog agent"
    local installer
    installer="$(mktemp)"
    curl --fail --silent --show-error --location --retry 3 --output "$installer" "$AGENT_INSTALLER_URL" ||
      fail "YellowDog's installer could not be fetched from $AGENT_INSTALLER_URL (AGENT_INSTALLER_URL)"
    bash "$installer" || fail "YellowDog's installer failed: see above"
    rm -f "$installer"
  else
    say "warning: there is no YellowDog agent, and AGENT_INSTALLER_URL is empty: without one nothing runs here"
  fi
  getent passwd "$AGENT_USER" >/dev/null ||
    adduser --quiet --disabled-password --gecos "" --home "$AGENT_HOME" "$AGENT_USER"
}

make_python_environment() {
  say "Ray $RAY_VERSION in $VENV"
  [ -x "$VENV/bin/python" ] || as_agent "$PYTHON" -m venv "$VENV"
  as_agent "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    "ray[client]==$RAY_VERSION" "ray[default]==$RAY_VERSION" "$YELLOWDOG_RAY" ||
    fail "pip could not install Ray and $YELLOWDOG_RAY: see above. Is there a Ray $RAY_VERSION for $("$PYTHON" --version)?"
}

# `ray exec` and `ray submit` look for `ray` and `python` there. First in the file: many a ~/.bashrc ends early.
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
    [ -s "$file" ] || say "warning: SSH_PUBLIC_KEY is empty, so that nobody can log in as $AGENT_USER: no node for a head"
    return 0
  fi
  install -d -m 700 -o "$AGENT_USER" -g "$(id -gn "$AGENT_USER")" "$directory"
  grep -qsxF "$SSH_PUBLIC_KEY" "$file" || echo "$SSH_PUBLIC_KEY" >>"$file"
  chmod 600 "$file"
  chown "$AGENT_USER:" "$file"
}

# Ray's processes talk on many ports. Who may reach the nodes from outside is for the cloud provider's network rules.
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
