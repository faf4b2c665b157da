#!/usr/bin/env bash
# Installs Valkey on a head node, to store Ray's mutable tags. Installs Redis if the distribution has no Valkey.
#
# Runs as root on Ubuntu and Debian: at boot, after node-setup.sh (`extra_userdata: file:scripts/install-valkey.sh`
# under `node_config` of the head), or once, to build an image. It can run again. The head's task script starts the
# server on its own port, so this script disables the distribution's service.
#
#   install-valkey.sh [--help]
#
# Set this variable here, or in the environment.
set -euo pipefail

# Version of the package, such as 8.0.1+dfsg1-1. Empty: the newest of the distribution.
VALKEY_VERSION="${VALKEY_VERSION:-}"

main() {
  case "${1:-}" in
  "") ;;
  -h | --help) usage && exit 0 ;;
  *) fail "unknown argument: $1 (see --help)" ;;
  esac
  [ "$(id -u)" -eq 0 ] || fail "must run as root: use sudo, or userdata"
  command -v apt-get >/dev/null || fail "apt-get not found: this script supports Ubuntu and Debian"
  install_server
  turn_service_off
  say "Ready: $("$(server)" --version)"
}

usage() { sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"; }

say() { echo "install-valkey: $*"; }

fail() {
  echo "install-valkey: error: $*" >&2
  exit 1
}

server() { command -v valkey-server || command -v redis-server; }

install_server() {
  if server >/dev/null; then
    say "Already installed"
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  # Wait for apt: the image may run its own updates at boot.
  apt-get -qq -o DPkg::Lock::Timeout=300 update ||
    say "warning: apt-get update failed; using the existing package lists"
  local package=valkey-server
  apt-cache show "$package" >/dev/null 2>&1 || package=redis-server
  say "Debian package $package"
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    "$package${VALKEY_VERSION:+=$VALKEY_VERSION}" >/dev/null ||
    fail "apt-get could not install $package: see above"
}

turn_service_off() {
  [ -d /run/systemd/system ] || return 0
  local service
  for service in valkey-server redis-server; do
    if systemctl is-enabled --quiet "$service" 2>/dev/null; then systemctl disable --now --quiet "$service"; fi
  done
}

main "$@"
