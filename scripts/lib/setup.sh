# shellcheck shell=bash
# Set-up that the scripts share. Source it after `set -euo pipefail`; sourcing only defines functions.
#
#   setup_packages          install missing Debian packages                   (0: all installed, 1: not)
#   setup_engine            the same for a container engine, which one test needs
#   setup_packer            the same for Packer, which one test needs
#   setup_venv DIR WISHED   make DIR ready for Python WISHED (3.12, 3.10)      (0: ready, 1: failed, 3: no such Python)
#                           with Ray RAY_VERSION if that is set (a version, or nightly), else with the locked Ray
#   has_nightly             whether the package index has a nightly wheel of Ray
#   setup_main_venv         .venv with the preferred Python, or with the best one of this machine
#   setup_official_cli      YellowDog's own command line in its own environment, for the tests that drive it
#   setup_sdk NAME WISHED   another version of YellowDog's SDK (WISHED: ==15.9, or nothing for the newest) in SDK_DIR/NAME
#   setup_examples VENV     the libraries of examples/ in an environment of their own, with the Python of VENV
#   setup_bench             what benchmarks need, in .venv; the published package, in its own environment
#   setup_mutation          what scripts/mutate needs, in .venv
#   setup_docs              what scripts/docs needs, in an environment of its own, without Ray
#   venv_python DIR         version of the Python in DIR, for example 3.12
#   root_prefix             set ROOT_PREFIX: how to run a command as root      (0: possible, 1: not)
#
# Each function returns at once when there is nothing to do. All files stay in the checkout, except Debian packages.

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly REPO
readonly TOOLS_DIR="$REPO/.venv-tools"
readonly STAMP_NAME=".raydog-setup"
readonly STAMP_FORMAT=2
# Written by scripts/lock.
readonly LOCK=requirements/dev.txt
readonly EXAMPLES_LOCK=requirements/examples.txt
readonly BENCH_LOCK=requirements/bench.txt
readonly MUTATION_LOCK=requirements/mutation.txt
readonly DOCS_LOCK=requirements/docs.txt
# tests/e2e/test_examples.py names this directory too: laptop and hosts of that test use it.
readonly EXAMPLES_DIR=.venv-examples
readonly MAIN_PYTHON=3.12
# tests/official_cli runs it unmodified, and names this directory too.
readonly OFFICIAL_CLI="yellowdog-cli==15.3.0"
readonly OFFICIAL_CLI_DIR=.venv-yellowdog-cli
# benchmarks/ measures it, and names this directory too.
readonly PUBLISHED="yellowdog-ray==2.0.0"
readonly PUBLISHED_DIR=.venv-published
# Each version is a directory for PYTHONPATH: it precedes the SDK of the environment, and has no other package.
readonly SDK_DIR=.venv-sdk
# tests/test_site.py names this directory too.
readonly DOCS_DIR=.venv-docs
# shellcheck disable=SC2034  # for scripts/test
readonly SECOND_PYTHON=3.10 SMOKE_PYTHON=3.13
# The nightly wheels of Ray have the version 3.0.0.dev0.
readonly NIGHTLY_RAY=">=3.0.0.dev0"
# shellcheck disable=SC2034  # for scripts/test
readonly NIGHTLY_HINT="Ray's own wheels are at https://docs.ray.io/en/latest/ray-overview/installation.html: download
       one into a directory, and run this again with UV_FIND_LINKS=DIRECTORY"
# Substitutes for MAIN_PYTHON, best first.
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

# Milliseconds as seconds: 0.4 s.
seconds() { printf '%d.%d s' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }

# shellcheck source=scripts/lib/debian.sh
source "$REPO/scripts/lib/debian.sh"
# shellcheck source=scripts/lib/uv.sh
source "$REPO/scripts/lib/uv.sh"

# -------------------------------------------------------------------------------------------------- environments

# find_python 3.12: print the path of an interpreter of that version, if there is one.
find_python() {
  local wished="$1" candidate candidates=()
  candidate="$(command -v "python$wished" || true)"
  [ -z "$candidate" ] || candidates+=("$candidate")
  # A pyenv shim on the PATH runs the selected version only; the other versions are in their own directories.
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

# Inputs of an environment: Python's version first, then the files that decide the packages.
stamp_for() {
  printf '%s %s %s %s%s\n' "$1" "$STAMP_FORMAT" "$REPO" \
    "$(cd "$REPO" && cat pyproject.toml packages/*/pyproject.toml "$LOCK" "$BENCH_LOCK" | sha256sum)" "$(ray_stamp)"
}

# A nightly wheel has the same version every day.
ray_stamp() {
  printf '%s' "${RAY_VERSION:-}"
  [ "${RAY_VERSION:-}" != nightly ] || date +%F
}

setup_venv() { unless_stamped "$1" "$STAMP_NAME" "$(stamp_for "$2")" build_venv "$1" "$2"; }

# unless_stamped DIR FILE STAMP COMMAND...: install into an environment, unless its FILE has this stamp. Another script
# may have installed it while this one waited for the lock.
unless_stamped() { has_stamp "${@:1:3}" || { is_own "$1" && locked "$1" install_unless_stamped "$@"; }; }

# A link may lead to the environment of another checkout.
is_own() {
  [ ! -L "$REPO/$1" ] || fail "$1 is a symbolic link: the set-up would change the environment behind it. Remove the link."
}

install_unless_stamped() { has_stamp "${@:1:3}" || "${@:4}"; }

has_stamp() { [ -x "$REPO/$1/bin/python" ] && [ -f "$REPO/$1/$2" ] && [ "$(<"$REPO/$1/$2")" = "$3" ]; }

# locked NAME COMMAND...: two scripts started together must not build one environment at the same time. A subshell would
# lose UV_COMMAND.
locked() {
  mkdir -p "$TOOLS_DIR"
  local lock status=0
  exec {lock}>"$TOOLS_DIR/lock-${1#.}"
  flock "$lock"
  "${@:2}" || status=$?
  exec {lock}>&-
  return "$status"
}

build_venv() {
  local dir="$1" wished="$2" python began
  began="$(now_ms)"
  # No interpreter is downloaded unless the user allows it: UV_PYTHON_DOWNLOADS=automatic.
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

# Modules are compiled as pip does: Ray starts in half the time, and a freshly booted host would compile them each time.
install_into() (
  cd "$REPO" || exit
  "$UV_COMMAND" pip sync --quiet --compile-bytecode --require-hashes --python "$1/bin/python" "$LOCK" || exit
  install_checkout "$1/bin/python" dev || exit
  case "${RAY_VERSION:-}" in
  "") ;;
  nightly) install_ray "$1" --prerelease=allow --reinstall-package ray --refresh-package ray "ray[default]$NIGHTLY_RAY" ;;
  *) install_ray "$1" "ray[default]==$RAY_VERSION" ;;
  esac
)

install_ray() { "$UV_COMMAND" pip install --quiet --compile-bytecode --python "$1/bin/python" "${@:2}"; }

has_nightly() {
  find_uv || return 1
  index_like_pip
  printf 'ray%s\n' "$NIGHTLY_RAY" |
    "$UV_COMMAND" pip compile --quiet --no-header --no-deps --prerelease=allow - >/dev/null 2>&1
}

# install_checkout PYTHON GROUP: without an index this succeeds only if the lock covers every requirement of both
# pyproject.toml, and the group.
install_checkout() {
  env -u UV_FIND_LINKS "$UV_COMMAND" pip install --quiet --offline --no-index --no-build-isolation --python "$1" \
    -e . -e packages/yellowdog-local --group "$2" || fail "requirements/ does not cover pyproject.toml: run scripts/lock."
}

# .venv with MAIN_PYTHON; if the machine has none, a warning, and the best other version.
setup_main_venv() {
  local wished status found
  for wished in "$MAIN_PYTHON" "${OTHER_PYTHONS[@]}"; do
    status=0
    setup_venv .venv "$wished" || status=$?
    case "$status" in
    0)
      found="$(venv_python .venv)"
      [ "$found" = "$MAIN_PYTHON" ] || warn "this machine has no Python $MAIN_PYTHON: using $found."
      return 0
      ;;
    3) ;; # no such Python: the next one
    *) return "$status" ;;
    esac
  done
  fail "this machine has no Python 3.10 to 3.13. Install one, or let uv download it: UV_PYTHON_DOWNLOADS=automatic $0"
}

# ----------------------------------------------------------------------------------- YellowDog's own command line

# setup_official_cli VENV: with the Python of a prepared environment.
setup_official_cli() { has_official_cli || locked "$OFFICIAL_CLI_DIR" install_official_cli "$1"; }

has_official_cli() {
  local dir="$REPO/$OFFICIAL_CLI_DIR"
  [ -x "$dir/bin/yd" ] && [ -f "$dir/$STAMP_NAME" ] && [ "$(<"$dir/$STAMP_NAME")" = "$OFFICIAL_CLI $REPO" ]
}

install_official_cli() {
  has_official_cli && return 0
  local dir="$REPO/$OFFICIAL_CLI_DIR"
  find_uv || return 1
  index_like_pip
  say "Installing $OFFICIAL_CLI into $OFFICIAL_CLI_DIR (tests run it)"
  rm -rf "$dir"
  if ! "$UV_COMMAND" venv --quiet --no-project --python "$REPO/$1/bin/python" "$dir" ||
    ! "$UV_COMMAND" pip install --quiet --python "$dir/bin/python" "$OFFICIAL_CLI"; then
    fail "$OFFICIAL_CLI could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  echo "$OFFICIAL_CLI $REPO" >"$dir/$STAMP_NAME"
}

# ------------------------------------------------------------------------------------------ libraries of examples/

# setup_examples VENV: with the Python of a prepared environment.
setup_examples() { unless_stamped "$EXAMPLES_DIR" "$STAMP_NAME" "$(examples_stamp "$1")" install_examples "$1"; }

examples_stamp() { printf '%s %s\n' "$(stamp_for "$(venv_python "$1")")" "$(sha256sum <"$REPO/$EXAMPLES_LOCK")"; }

install_examples() {
  find_uv || return 1
  index_like_pip
  say "Installing the libraries of examples/ into $EXAMPLES_DIR"
  if ! build_examples "$1"; then
    fail "the packages for $EXAMPLES_DIR could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  examples_stamp "$1" >"$REPO/$EXAMPLES_DIR/$STAMP_NAME"
}

build_examples() (
  cd "$REPO" || exit
  rm -rf "${REPO:?}/$EXAMPLES_DIR"
  "$UV_COMMAND" venv --quiet --no-project --python "$1/bin/python" "$EXAMPLES_DIR" || exit
  "$UV_COMMAND" pip sync --quiet --compile-bytecode --require-hashes --python "$EXAMPLES_DIR/bin/python" \
    "$EXAMPLES_LOCK" || exit
  install_checkout "$EXAMPLES_DIR/bin/python" examples
)

# -------------------------------------------------------------------------------------------- versions of the SDK

# The newest one is read from the index every day.
setup_sdk() {
  local dir="$SDK_DIR/$1" stamp="yellowdog-sdk$2 $REPO"
  [ -n "$2" ] || stamp+=" $(date +%F)"
  if [ -f "$REPO/$dir/$STAMP_NAME" ] && [ "$(<"$REPO/$dir/$STAMP_NAME")" = "$stamp" ]; then return 0; fi
  find_uv || return 1
  index_like_pip
  rm -rf "${REPO:?}/$dir"
  if ! "$UV_COMMAND" pip install --quiet --no-deps --python "$REPO/.venv/bin/python" --target "$REPO/$dir" \
    "yellowdog-sdk$2"; then
    fail "yellowdog-sdk$2 could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  echo "$stamp" >"$REPO/$dir/$STAMP_NAME"
}

# sdk_version PATH: of the SDK that a Python with this PYTHONPATH loads.
sdk_version() {
  PYTHONPATH="$1" "$REPO/.venv/bin/python" -c 'from importlib.metadata import version; print(version("yellowdog-sdk"))'
}

# The lower limit in pyproject.toml.
oldest_sdk() { sed -n 's/.*"yellowdog-sdk>=\([0-9.]*\)".*/\1/p' "$REPO/pyproject.toml"; }

# ---------------------------------------------------------------------------------------------------- benchmarks

# After setup_main_venv. Without the published package RayDog is measured alone.
setup_bench() {
  unless_stamped .venv "$BENCH_STAMP" "$(bench_stamp)" install_bench || return 1
  unless_stamped "$PUBLISHED_DIR" "$STAMP_NAME" "$(published_stamp)" install_published ||
    warn "$PUBLISHED could not be installed: RayDog is measured alone."
}

readonly BENCH_STAMP=.raydog-bench

bench_stamp() { stamp_for "$(venv_python .venv)"; }

published_stamp() { printf '%s ray==%s %s %s\n' "$PUBLISHED" "$(ray_version)" "$(venv_python .venv)" "$REPO"; }

ray_version() { "$REPO/.venv/bin/python" -c 'from importlib.metadata import version; print(version("ray"))'; }

install_bench() {
  find_uv || return 1
  index_like_pip
  say "Installing what benchmarks need into .venv"
  "$UV_COMMAND" pip install --quiet --compile-bytecode --require-hashes --python "$REPO/.venv/bin/python" \
    -r "$REPO/$BENCH_LOCK" || return 1
  bench_stamp >"$REPO/.venv/$BENCH_STAMP"
}

# After setup_main_venv.
setup_mutation() { unless_stamped .venv "$MUTATION_STAMP" "$(mutation_stamp)" install_mutation; }

readonly MUTATION_STAMP=.raydog-mutation

mutation_stamp() { printf '%s %s\n' "$(bench_stamp)" "$(sha256sum <"$REPO/$MUTATION_LOCK")"; }

install_mutation() {
  find_uv || return 1
  index_like_pip
  say "Installing what mutation tests need into .venv"
  "$UV_COMMAND" pip install --quiet --compile-bytecode --require-hashes --python "$REPO/.venv/bin/python" \
    -r "$REPO/$MUTATION_LOCK" || return 1
  mutation_stamp >"$REPO/.venv/$MUTATION_STAMP"
}

# --------------------------------------------------------------------------------------------- documentation site

setup_docs() { unless_stamped "$DOCS_DIR" "$STAMP_NAME" "$(docs_stamp)" install_docs; }

docs_stamp() { printf '%s %s\n' "$(sha256sum <"$REPO/$DOCS_LOCK")" "$REPO"; }

install_docs() {
  local dir="$REPO/$DOCS_DIR" wished python=""
  export UV_PYTHON_DOWNLOADS="${UV_PYTHON_DOWNLOADS:-never}"
  find_uv || return 1
  for wished in "$MAIN_PYTHON" "${OTHER_PYTHONS[@]}"; do
    [ -n "$python" ] || python="$(find_python "$wished" || true)"
  done
  [ -n "$python" ] || fail "this machine has no Python 3.10 to 3.13." || return 1
  index_like_pip
  say "Installing what the documentation site needs into $DOCS_DIR"
  rm -rf "$dir"
  if ! "$UV_COMMAND" venv --quiet --no-project --python "$python" "$dir" ||
    ! "$UV_COMMAND" pip install --quiet --require-hashes --python "$dir/bin/python" -r "$REPO/$DOCS_LOCK"; then
    fail "MkDocs could not be installed: see above. $NETWORK_HINT"
    return 1
  fi
  docs_stamp >"$dir/$STAMP_NAME"
}

# With the same Python and Ray, so that only the packages differ.
install_published() {
  local dir="$REPO/$PUBLISHED_DIR"
  find_uv || return 1
  index_like_pip
  say "Installing $PUBLISHED into $PUBLISHED_DIR (RayDog is measured beside it)"
  rm -rf "$dir"
  "$UV_COMMAND" venv --quiet --no-project --python "$REPO/.venv/bin/python" "$dir" &&
    "$UV_COMMAND" pip install --quiet --compile-bytecode --python "$dir/bin/python" "$PUBLISHED" \
      "ray[default]==$(ray_version)" || return 1
  published_stamp >"$dir/$STAMP_NAME"
}
