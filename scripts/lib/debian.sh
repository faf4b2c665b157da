# shellcheck shell=bash
# Root and Debian packages. Sourced by setup.sh.

# ---------------------------------------------------------------------------------------------------------- root

# Set ROOT_PREFIX, an array to put before a command: empty for root, `sudo -E` for others.
root_prefix() {
  ROOT_PREFIX=()
  [ "$(id -u)" -eq 0 ] && return 0
  command -v sudo >/dev/null 2>&1 || return 1
  # A password prompt needs a terminal.
  sudo -n true 2>/dev/null || [ -t 0 ] || return 1
  ROOT_PREFIX=(sudo -E)
}

# ---------------------------------------------------------------------------------------------- Debian packages

# Daemons are installed in sbin, which is not on every user's PATH.
have() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

# Print one line for each missing package: package, reason.
missing_packages() {
  have sshd || echo "openssh-server  the SSH server of each local host"
  have ssh || echo "openssh-client  Ray's commands reach a host by SSH"
  have ip || echo "iproute2  the network of the local hosts"
  have rsync || echo "rsync  Ray copies files with it"
  have redis-server || have valkey-server || echo "$(tag_store_package)  Ray's mutable tags are kept in it on a head"
}

tag_store_package() {
  if command -v apt-cache >/dev/null 2>&1 && ! apt-cache show redis-server >/dev/null 2>&1 &&
    apt-cache show valkey-server >/dev/null 2>&1; then
    echo valkey-server
  else
    echo redis-server
  fi
}

# Install the missing packages of those that local hosts need.
setup_packages() {
  local missing
  missing="$(missing_packages)"
  [ -z "$missing" ] || install_packages "$missing"
}

# crun, not runc: it runs containers without control groups, as on namespace hosts.
setup_engine() {
  local missing
  missing="$(
    have podman || echo "podman  one test runs Ray in containers"
    have crun || echo "crun  Podman starts them with it"
  )"
  [ -z "$missing" ] || install_packages "$missing"
}

# Debian's Packer contains the builder of AWS images; Packer 1.10 and later download it. Not every release of Debian and
# Ubuntu has the package, so that it is not installed with the others.
setup_packer() { [ -x /usr/bin/packer ] || install_packages "packer  one test validates images/node.pkr.hcl"; }

# install_packages LINES: each line is a package and its reason. One at a time: apt-get has a lock too.
install_packages() { locked apt apt_install "$1"; }

apt_install() {
  local lines="$1" names=()
  mapfile -t names < <(awk '{print $1}' <<<"$lines")
  if ! command -v apt-get >/dev/null 2>&1; then
    fail "missing here: ${names[*]}. This is not Debian or Ubuntu: install them with your package manager."
    return 1
  fi
  if ! root_prefix; then
    fail "missing here: ${names[*]}. To install them: sudo apt-get install ${names[*]}"
    return 1
  fi
  say "Installing Debian packages${ROOT_PREFIX[0]:+ with sudo}:"
  awk '{name = $1; $1 = ""; printf "      %-16s%s\n", name, $0}' <<<"$lines"
  if ! "${ROOT_PREFIX[@]}" bash -s -- "${names[@]}" <<<"$APT_SCRIPT"; then
    fail "apt-get could not install ${names[*]}: see above. It needs root, and the network or a package mirror."
    return 1
  fi
}

# Runs as root, with package names as arguments. Packages of daemons start and enable their services, which nobody
# requested here. A policy prevents this installation from starting those services, and new services are disabled.
# A service that was installed before is not changed.
APT_SCRIPT="$(cat <<'AS_ROOT'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
saved="$policy.before-raydog"

put_policy_back() {
  rm -f "$policy"
  [ ! -e "$saved" ] || mv "$saved" "$policy"
}

keep_services_off() {
  if [ ! -e "$saved" ] && [ -e "$policy" ]; then mv "$policy" "$saved"; fi
  trap put_policy_back EXIT
  trap 'exit 1' HUP INT TERM
  {
    echo '#!/bin/sh'
    echo 'case "$1" in ssh|ssh.*|sshd*|redis*|valkey*|rsync*|podman*) exit 101 ;; esac'
    echo "[ -x $saved ] && exec $saved \"\$@\""
    echo 'exit 0'
  } >"$policy"
  chmod 755 "$policy"
}

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'; }

take_out_of_boot() {
  local unit
  command -v systemctl >/dev/null 2>&1 || return 0
  for unit in $(dpkg -L "$1" | sed -nE 's#.*/systemd/system/([^/@]+\.(service|socket))$#\1#p'); do
    systemctl disable --quiet "$unit" 2>/dev/null || true
    echo "      $unit is installed but off; to use it yourself: systemctl enable --now $unit"
  done
}

new=()
for package in "$@"; do is_installed "$package" || new+=("$package"); done
apt-get -qq update </dev/null || echo "warning: apt-get update failed; trying with the lists that are there" >&2
keep_services_off
apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" </dev/null >/dev/null
for package in "${new[@]}"; do take_out_of_boot "$package"; done
AS_ROOT
)"
readonly APT_SCRIPT
