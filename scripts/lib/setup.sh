# shellcheck shell=bash
# Set-up that the scripts share. Source it after `set -euo pipefail`; sourcing does nothing but define functions.
#
#   setup_packages          install the Debian packages that are missing      (0: all there, 1: not)
#   setup_engine            likewise a container engine, which one test needs
#   setup_venv DIR WISHED   make DIR ready for Python WISHED (3.12, 3.10)      (0: ready, 1: failed, 3: no such Python)
#                           with Ray RAY_VERSION if that is set, else with the newest
#   setup_main_venv         .venv with the preferred Python, or else with the best that the machine has
#   setup_official_cli      YellowDog's own command line in an environment of its own, for the tests that drive it
#   setup_bench             into .venv what benchmarks need besides, and the published package in an environment of its own
#   venv_python DIR         the version that a prepared DIR has, for example 3.12
#   root_prefix             sets ROOT_PREFIX: how to run something as root      (0: possible, 1: not)
#
# All of it is quick when there is nothing to do. Everything stays inside the checkout, except the Debian packages.

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly REPO
readonly TOOLS_DIR="$REPO/.venv-tools"
readonly STAMP_NAME=".raydog-setup"
readonly STAMP_FORMAT=1
readonly MAIN_PYTHON=3.12
# Driven unmodified by tests/official_cli, which knows the name of this directory too.
readonly OFFICIAL_CLI="yellowdog-cli==15.3.0"
readonly OFFICIAL_CLI_DIR=.venv-yellowdog-cli
# Measured by benchmarks/, which knows the name of this directory too.
readonly PUBLISHED="yellowdog-ray==2.0.0"
readonly PUBLISHED_DIR=.venv-published
# shellcheck disable=SC2034  # for scripts/test
readonly SECOND_PYTHON=3.10
# What may stand in for MAIN_PYTHON, best first.
readonly OTHER_PYTHONS=(3.11 3.13 3.10)

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  return 1
}

now_ms() {
  local stamp="${EPOCHREALTIME/[.,]/}"
  printf '%s' "${stamp%???}"
}

# Milliseconds, as people read them: 0.4 s.
seconds() { printf '%d.%d s' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }

# ---------------------------------------------------------------------------------------------------------- root

# Sets ROOT_PREFIX, an array to put before a command: empty for root, `sudo -E` for others.
root_prefix() {
  ROOT_PREFIX=()
  [ "$(id -u)" -eq 0 ] && return 0
  command -v sudo >/dev/null 2>&1 || return 1
  # Ask for a password only where somebody can type it.
  sudo -n true 2>/dev/null || [ -t 0 ] || return 1
  ROOT_PREFIX=(sudo -E)
}

# ---------------------------------------------------------------------------------------------- Debian packages

# Daemons live in sbin, which is not on everyone's PATH.
have() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

# Prints a line for each thing that is missing: package, reason.
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

# Installs what is missing of what local hosts need.
setup_packages() {
  local missing
  missing="$(missing_packages)"
  [ -z "$missing" ] || install_packages "$missing"
}

# crun and not runc: it runs containers where there are no control groups, as on namespace hosts.
setup_engine() {
  local missing
  missing="$(
    have podman || echo "podman  one test runs Ray in containers"
    have crun || echo "crun  Podman starts them with it"
  )"
  [ -z "$missing" ] || install_packages "$missing"
}

# install_packages LINES: each line is a package and why it is wanted.
install_packages() {
  local lines="$1" names=()
  mapfile -t names < <(awk '{print $1}' <<<"$lines")
  if ! command -v apt-get >/dev/null 2>&1; then
    fail "missing here: ${names[*]}. This is no Debian or Ubuntu; install them your own way."
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

# Runs as root, with package names as arguments. The packages of daemons start and enable them; nobody asked for
# that here. A policy keeps those services, and no others, from being started by this installation, and what is new
# is taken out of the boot sequence. A service that was there before is not touched.
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

# ------------------------------------------------------------------------------------------------------------ uv

# Sets UV to a uv that knows dependency groups: the machine's, or one of our own under .venv-tools.
find_uv() {
  [ -z "${UV_COMMAND:-}" ] || return 0
  local candidate
  for candidate in uv "$TOOLS_DIR/uv/bin/uv"; do
    if uv_is_usable "$candidate"; then
      UV_COMMAND="$candidate"
      return 0
    fi
  done
  install_uv
}

uv_is_usable() { "$1" pip install --help 2>/dev/null | grep -q -e '--group'; }

install_uv() {
  if ! command -v python3 >/dev/null 2>&1; then
    fail "python3 is not on the PATH: install it, or put one there."
    return 1
  fi
  say "Installing uv into .venv-tools (it makes the Python environments)"
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages "python3-venv  to make a private environment for uv" || return 1
  fi
  rm -rf "$TOOLS_DIR/uv"
  if ! python3 -m venv "$TOOLS_DIR/uv" >/dev/null ||
    ! "$TOOLS_DIR/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv; then
    rm -rf "$TOOLS_DIR/uv"
    fail "uv could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  UV_COMMAND="$TOOLS_DIR/uv/bin/uv"
}

readonly NETWORK_HINT="It needs the network. Without one, point pip at a package index of your own, or at a
       directory of wheels: pip config set global.find-links DIR. uv is told to look there too."

# uv has its own configuration. Where it has none, it is to look where pip looks on this machine.
index_like_pip() {
  [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}${UV_INDEX:-}${UV_EXTRA_INDEX_URL:-}${UV_FIND_LINKS:-}" ] || return 0
  [ -z "${UV_CONFIG_FILE:-}" ] || return 0
  [ ! -e "${XDG_CONFIG_HOME:-$HOME/.config}/uv/uv.toml" ] && [ ! -e /etc/uv/uv.toml ] || return 0
  local value
  value="$(pip_setting index-url)"
  [ -z "$value" ] || export UV_DEFAULT_INDEX="$value"
  value="$(pip_setting extra-index-url)"
  if [ -n "$value" ]; then
    export UV_INDEX="$value"
    # pip takes the best version of all its indexes.
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
  fi
  value="$(pip_setting find-links)"
  [ -z "$value" ] || export UV_FIND_LINKS="${value// /,}"
  value="$(pip_setting cert)"
  if [ -n "$value" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$value"; fi
}

# pip_setting NAME: the words of a pip setting; the environment comes before files, as for pip itself.
pip_setting() {
  local variable="PIP_${1^^}" value
  variable="${variable//-/_}"
  value="${!variable:-}"
  [ -n "$value" ] || value="$(any_pip config get "global.$1" 2>/dev/null || true)"
  xargs <<<"$value"
}

any_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip "$@"
  elif [ -x "$TOOLS_DIR/uv/bin/pip" ]; then
    "$TOOLS_DIR/uv/bin/python" -m pip "$@"
  fi
}

# -------------------------------------------------------------------------------------------------- environments

# find_python 3.12: prints the path of an interpreter of that version, if there is one.
find_python() {
  local wished="$1" candidate candidates=()
  candidate="$(command -v "python$wished" || true)"
  [ -z "$candidate" ] || candidates+=("$candidate")
  # A pyenv shim on the PATH answers for the selected version only; the others are in their own directories.
  while IFS= read -r candidate; do candidates+=("$candidate"); done < <(
    printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}/versions/$wished".*/bin/"python$wished" | sort -rV
  )
  candidates+=("$(command -v python3 || true)")
  for candidate in "${candidates[@]}"; do
    if [ -x "$candidate" ] && [ "$(version_of "$candidate")" = "$wished" ]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  "$UV_COMMAND" python find --no-project "$wished" 2>/dev/null
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

venv_python() { version_of "$REPO/$1/bin/python"; }

# What an environment depends on. The version of Python stands first.
stamp_for() {
  printf '%s %s %s %s%s\n' "$1" "$STAMP_FORMAT" "$REPO" "$(sha256sum <"$REPO/pyproject.toml")" "${RAY_VERSION:-}"
}

is_ready() {
  local dir="$REPO/$1"
  [ -x "$dir/bin/python" ] && [ -f "$dir/$STAMP_NAME" ] && [ "$(<"$dir/$STAMP_NAME")" = "$(stamp_for "$2")" ]
}

setup_venv() { is_ready "$1" "$2" || locked build_venv_once "$1" "$2"; }

build_venv_once() { is_ready "$1" "$2" || build_venv "$1" "$2"; }

# Two scripts started together must not build one environment at the same time. A subshell would lose UV_COMMAND.
locked() {
  mkdir -p "$TOOLS_DIR"
  local lock status=0
  exec {lock}>"$TOOLS_DIR/lock"
  flock "$lock"
  "$@" || status=$?
  exec {lock}>&-
  return "$status"
}

build_venv() {
  local dir="$1" wished="$2" python began
  began="$(now_ms)"
  # No interpreter is downloaded unless the user says so: UV_PYTHON_DOWNLOADS=automatic.
  export UV_PYTHON_DOWNLOADS="${UV_PYTHON_DOWNLOADS:-never}"
  find_uv || return 1
  python="$(find_python "$wished")" || return 3
  index_like_pip
  if [ "$(venv_python "$dir")" != "$wished" ]; then
    rm -rf "${REPO:?}/$dir"
    "$UV_COMMAND" venv --quiet --no-project --python "$python" "$REPO/$dir" || return 1
  fi
  say "Installing RayDog and its developer tools into $dir, Python $wished (minutes the first time: Ray is large)"
  if ! install_into "$dir"; then
    fail "the packages for $dir could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  stamp_for "$wished" >"$REPO/$dir/$STAMP_NAME"
  say "$dir is ready ($(seconds $(($(now_ms) - began))))"
}

# Compiled as well, as pip does: Ray starts in half the time, and a host that boots afresh would compile it each time.
install_into() (
  cd "$REPO" || exit
  "$UV_COMMAND" pip install --quiet --compile-bytecode --python "$1/bin/python" -e '.[local]' --group dev \
    ${RAY_VERSION:+"ray[default]==$RAY_VERSION"}
)

# .venv with MAIN_PYTHON if the machine has it; otherwise says so, and takes what there is.
setup_main_venv() {
  local wished status found
  for wished in "$MAIN_PYTHON" "${OTHER_PYTHONS[@]}"; do
    status=0
    setup_venv .venv "$wished" || status=$?
    case "$status" in
    0)
      found="$(venv_python .venv)"
      [ "$found" = "$MAIN_PYTHON" ] || warn "there is no Python $MAIN_PYTHON on this machine: going on with $found."
      return 0
      ;;
    3) ;; # no such Python: the next one
    *) return "$status" ;;
    esac
  done
  fail "no Python of 3.10 to 3.13 on this machine. Install one, or let uv fetch it: UV_PYTHON_DOWNLOADS=automatic $0"
}

# ----------------------------------------------------------------------------------- YellowDog's own command line

# setup_official_cli VENV: with the Python of a prepared environment.
setup_official_cli() { has_official_cli || locked install_official_cli "$1"; }

has_official_cli() {
  local dir="$REPO/$OFFICIAL_CLI_DIR"
  [ -x "$dir/bin/yd" ] && [ -f "$dir/$STAMP_NAME" ] && [ "$(<"$dir/$STAMP_NAME")" = "$OFFICIAL_CLI $REPO" ]
}

install_official_cli() {
  has_official_cli && return 0
  local dir="$REPO/$OFFICIAL_CLI_DIR"
  find_uv || return 1
  index_like_pip
  say "Installing $OFFICIAL_CLI into $OFFICIAL_CLI_DIR (the tests drive it)"
  rm -rf "$dir"
  if ! "$UV_COMMAND" venv --quiet --no-project --python "$REPO/$1/bin/python" "$dir" ||
    ! "$UV_COMMAND" pip install --quiet --compile-bytecode --python "$dir/bin/python" "$OFFICIAL_CLI"; then
    fail "$OFFICIAL_CLI could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  echo "$OFFICIAL_CLI $REPO" >"$dir/$STAMP_NAME"
}

# ---------------------------------------------------------------------------------------------------- benchmarks

# After setup_main_venv. Without the published package RayDog is measured alone.
setup_bench() {
  has_stamp .venv "$BENCH_STAMP" "$(bench_stamp)" || locked install_bench || return 1
  has_stamp "$PUBLISHED_DIR" "$STAMP_NAME" "$(published_stamp)" || locked install_published ||
    warn "$PUBLISHED could not be installed: RayDog is measured alone."
}

readonly BENCH_STAMP=.raydog-bench

has_stamp() { [ -x "$REPO/$1/bin/python" ] && [ -f "$REPO/$1/$2" ] && [ "$(<"$REPO/$1/$2")" = "$3" ]; }

bench_stamp() { stamp_for "$(venv_python .venv)"; }

published_stamp() { printf '%s ray==%s %s %s\n' "$PUBLISHED" "$(ray_version)" "$(venv_python .venv)" "$REPO"; }

ray_version() { "$REPO/.venv/bin/python" -c 'from importlib.metadata import version; print(version("ray"))'; }

install_bench() {
  find_uv || return 1
  index_like_pip
  say "Installing what benchmarks need into .venv"
  (cd "$REPO" && "$UV_COMMAND" pip install --quiet --compile-bytecode --python .venv/bin/python --group bench) || return 1
  bench_stamp >"$REPO/.venv/$BENCH_STAMP"
}

# With the same Python and Ray, so that only the packages differ.
install_published() {
  local dir="$REPO/$PUBLISHED_DIR"
  find_uv || return 1
  index_like_pip
  say "Installing $PUBLISHED into $PUBLISHED_DIR (RayDog is measured beside it)"
  rm -rf "$dir"
  "$UV_COMMAND" venv --quiet --no-project --python "$REPO/.venv/bin/python" "$dir" &&
    "$UV_COMMAND" pip install --quiet --compile-bytecode --python "$dir/bin/python" "$PUBLISHED" "ray[default]==$(ray_version)" || return 1
  published_stamp >"$dir/$STAMP_NAME"
}
