"""The default task scripts of head and workers, and the command with which `ray up` waits for Ray. Text only.

A task script is run by `bash` as a YellowDog task. It lives exactly as long as Ray does on its node: when Ray is gone
the task ends, and when the task is aborted (SIGTERM) Ray is stopped.
"""

from __future__ import annotations

GCS_PORT = 6379
"""Where Ray's head listens; workers join there."""

AGENT_HOME = "/opt/yellowdog/agent"
"""Where the YellowDog agent is installed by default, and home of its user; a task's YD_AGENT_HOME says where it is."""

UPDATER_VARIABLE = "RAYDOG_UPDATER"
"""In a task's environment: what its script leaves to Ray's updater, which comes by SSH. Without it, nothing."""

SETS_UP = "sets-up"
"""The updater sets the node up, and leaves a file when Ray may start."""

STARTS_RAY = "starts-ray"
"""The updater starts Ray too."""

_PATIENCE_SECONDS = 3  # Ray stops within two where nothing keeps it
_RESTART_SECONDS = 30  # `ray stop` and `ray start`, with time to spare

_SET_UP_FILE = ".raydog/set-up"
_ENVIRONMENT_FILE = ".raydog/environment"

_PREAMBLE = f"""\
#!/bin/bash
# Runs Ray as a YellowDog task. Replace it with `KEY` under `provider:` in the cluster's YAML.
set -u
export HOME="${{YD_AGENT_HOME:-{AGENT_HOME}}}"
source "$HOME/venv/bin/activate"

head_answers() {{ timeout 1 bash -c ': <>"/dev/tcp/${{RAY_HEAD_IP:-127.0.0.1}}/{GCS_PORT}"' 2>/dev/null; }}

# Where the head is gone, Ray may wait long for answers that cannot come any more.
finish() {{
  trap '' TERM
  ray stop &
  local answered=$SECONDS
  while kill -0 $! 2>/dev/null; do
    head_answers && answered=$SECONDS
    [ $((SECONDS - answered)) -lt {_PATIENCE_SECONDS} ] || {{ ray stop --force; break; }}
    sleep 0.2
  done
  echo "Ray stopped"
}}
trap finish EXIT
trap 'exit 143' TERM  # the platform aborts a task with SIGTERM

pause() {{ sleep "$1" & wait $!; }}  # unlike sleep alone, it can be aborted

# Where the YAML has Ray's updaters set nodes up over SSH, {UPDATER_VARIABLE} says what is left to them.
set_up="$HOME/{_SET_UP_FILE}"
environment="$HOME/{_ENVIRONMENT_FILE}"
mkdir -p "$HOME/.raydog"
rm -f "$set_up" "$environment"  # an earlier task's, where the machine was another node's before

wait_for_set_up() {{
  echo "Waiting for Ray's updater to set this node up"
  until [ -f "$set_up" ]; do pause 0.2; done
}}

raylet_of_this_node() {{
  local pid
  for pid in $(pgrep -x raylet); do
    grep -qzx "RAY_CLOUD_INSTANCE_ID=$RAY_CLOUD_INSTANCE_ID" "/proc/$pid/environ" 2>/dev/null && return 0
  done
  return 1
}}

# The updater's commands start Ray, and may start it again: the node has gone if there is no raylet for a while.
hold() {{
  local joined='' missed=0
  echo "Waiting for Ray's updater to start Ray"
  declare -p "${{!RAY@}}" "${{!AUTOSCALER_@}}" PATH > "$environment.new" && mv "$environment.new" "$environment"
  until [ -n "$joined" ] && [ "$missed" -gt {_RESTART_SECONDS} ]; do
    if raylet_of_this_node; then joined=1 missed=0; else missed=$((missed + 1)); fi
    pause 1
  done
  echo "The raylet has left: this node is done"
  exit 0
}}
"""

_LET_UPDATER = f"""
case "${{{UPDATER_VARIABLE}:-}}" in
  {SETS_UP}) wait_for_set_up ;;
  {STARTS_RAY}) hold ;;
esac
"""

# `ray start --block` stays behind when its raylet leaves gracefully (idle, drained, `ray stop`): the task would go on,
# and be paid for, without Ray. So watch the raylet too, and end with it.
_WATCH = """\
ray_pid=$!
joined=
while kill -0 "$ray_pid" 2>/dev/null; do
  if pgrep -P "$ray_pid" -x raylet >/dev/null; then
    joined=1
  elif [ -n "$joined" ]; then
    echo "The raylet has left: this node is done"
    exit 0
  fi
  pause 1
done
wait "$ray_pid"
"""

HEAD_SCRIPT = (
    _PREAMBLE.replace("KEY", "ray_head_node_task_script")
    + f"""
# A machine of your own may have been the head of an earlier cluster: what is older than this task is not its own. And
# secrets do not stay.
secrets=("$HOME/ray_bootstrap_key.pem" "$HOME/.raydog/credentials")
find "${{secrets[@]}}" ! -cnewer "$0" -delete 2>/dev/null
trap 'finish; rm -f "${{secrets[@]}}"' EXIT

# Ray's mutable tags live here; only this machine's loopback can reach them.
valkey=$(command -v valkey-server || command -v redis-server) || {{
  echo "Neither valkey-server nor redis-server is installed on the head's image" >&2
  exit 1
}}
"$valkey" --port "${{RAYDOG_TAG_SERVER_PORT:-16667}}" --bind 127.0.0.1 --save '' --appendonly no &

{_LET_UPDATER}
# `ray up` copies this file last: then everything else is in place.
echo "Waiting for the cluster's configuration"
until [ -f "$HOME/ray_bootstrap_key.pem" ]; do pause 0.2; done

ray start --head --port={GCS_PORT} \\
  --autoscaling-config="$HOME/ray_bootstrap_config.yaml" --block &
"""
    + _WATCH
)

WORKER_SCRIPT = (
    _PREAMBLE.replace("KEY", "ray_worker_node_task_script")
    + f"""{_LET_UPDATER}
ray start --address="$RAY_HEAD_IP:{GCS_PORT}" --block &
"""
    + _WATCH
)

_READY_SECONDS = 120
_POLLS_PER_SECOND = 5
_PROGRESS_SECONDS = 3
_PATIENCE_POLLS = 20 * _POLLS_PER_SECOND  # Ray in a container may keep its session folder to itself


def wait_for_ray_command() -> str:
    """The head's start command: Ray is started by the head's task, so wait until it answers.

    It names `ray start` and its option in words, because Ray warns about start commands that lack them.
    """
    listening = f"(exec 3<>/dev/tcp/127.0.0.1/{GCS_PORT}) 2>/dev/null"
    address_file = '"${RAY_TMPDIR:-${TMPDIR:-/tmp}}/ray/ray_current_cluster"'  # where Ray looks for it
    settled = (
        f"listening=$((${{listening:-0}} + 1)) && {{ [ -s {address_file} ] || [ $listening -gt {_PATIENCE_POLLS} ]; }}"
    )
    return _wait_command(
        "Waiting for ray start --head --autoscaling-config=~/ray_bootstrap_config.yaml in the head task",
        f"{listening} && {settled}",
        check_environment_command(),
    )


def wait_for_raylet_command() -> str:
    """A worker's start command: the node is set up, and Ray is started by its task, so wait until it runs."""
    return _wait_command("This node is set up; waiting for ray start in its task", "pgrep -x raylet >/dev/null")


def in_task_environment(command: str) -> str:
    """A user's start command with what the task knows: who the node is, and where the virtual environment is."""
    file = f"~/{_ENVIRONMENT_FILE}"
    wait = f"for i in $(seq {_PATIENCE_POLLS}); do [ -f {file} ] && break; sleep {1 / _POLLS_PER_SECOND}; done"
    return f"{wait}; . {file}; {command}"


def _wait_command(what: str, ready: str, then: str = ":") -> str:
    """Let the task start Ray, again and again since its script removes what it finds at its start, and wait for Ray."""
    said_often = f"[ $((i % {_PROGRESS_SECONDS * _POLLS_PER_SECOND})) -ne 0 ]"
    return (
        f"echo '{what}'; mkdir -p ~/.raydog; "
        f"for i in $(seq {_READY_SECONDS * _POLLS_PER_SECOND}); do touch ~/{_SET_UP_FILE}; "
        f"{ready} && echo 'Ray is up' && {{ {then}; exit 0; }}; "
        f'{said_often} || echo "  [$((i / {_POLLS_PER_SECOND})) s] Ray is starting"; '
        f"sleep {1 / _POLLS_PER_SECOND}; done; "
        f"echo 'Ray did not start within {_READY_SECONDS} s: see taskoutput.txt of the task'; exit 1"
    )


def check_environment_command() -> str:
    """Says what Ray on the head lacks of its task's environment; nothing if that cannot be seen."""
    remedy = "provider.ray_head_node_task_script must pass its environment on to ray start, also into a container"
    return (
        "for name in RAYDOG_ON_HEAD RAY_CLOUD_INSTANCE_ID; do "
        'grep -qzs "^$name=" "/proc/$(pgrep -o -x gcs_server)/environ"; [ $? -ne 1 ] || '
        'echo "Ray on the head runs without $name in its environment, and this cluster will not grow as it should: '
        f'{remedy} (docs/containers.md)"; done'
    )
