# shellcheck shell=bash
# uv, and the package index that it reads. Sourced by setup.sh.

# ------------------------------------------------------------------------------------------------------------ uv

# Set UV_COMMAND to a uv that supports dependency groups: the machine's, or one of our own under .venv-tools.
find_uv() {
  [ -z "${UV_COMMAND:-}" ] || return 0
  local candidate
  for candidate in uv "$TOOLS_DIR/uv/bin/uv"; do
    if uv_is_usable "$candidate"; then
      UV_COMMAND="$candidate"
      return 0
    fi
  done
  locked uv install_uv
}

uv_is_usable() { "$1" pip install --help 2>/dev/null | grep -q -e '--group'; }

install_uv() {
  if uv_is_usable "$TOOLS_DIR/uv/bin/uv"; then
    UV_COMMAND="$TOOLS_DIR/uv/bin/uv"
    return 0
  fi
  if ! command -v python3 >/dev/null 2>&1; then
    fail "python3 is not on the PATH: install it, or put one there."
    return 1
  fi
  say "Installing uv into .venv-tools (it creates the Python environments)"
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages "python3-venv  to create a private environment for uv" || return 1
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
       directory of wheels: pip config set global.find-links DIR. uv reads the same setting."

# uv has its own configuration. Where it has none, it uses the package indexes that pip uses on this machine.
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
    # pip selects the best version of all its indexes.
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
  fi
  value="$(pip_setting find-links)"
  [ -z "$value" ] || export UV_FIND_LINKS="${value// /,}"
  value="$(pip_setting cert)"
  if [ -n "$value" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$value"; fi
}

# pip_setting NAME: print the words of a pip setting; the environment precedes files, as in pip.
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
