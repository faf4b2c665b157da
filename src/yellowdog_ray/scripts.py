"""The default task scripts of head and workers, and the command with which `ray up` waits for Ray. Text only.

A task script is run by `bash` as a YellowDog task. It lives exactly as long as Ray does on its node: when Ray is gone
the task ends, and when the task is aborted (SIGTERM) Ray is stopped.
"""

from __future__ import annotations

GCS_PORT = 6379
"""Where Ray's head listens; workers join there."""

AGENT_HOME = "/opt/yellowdog/agent"
"""Where the YellowDog agent is installed by default, and home of its user; a task's YD_AGENT_HOME says where it is."""

_PREAMBLE = f"""\
#!/bin/bash
# Runs Ray as a YellowDog task. Replace it with `KEY` under `provider:` in the cluster's YAML.
set -u
export HOME="${{YD_AGENT_HOME:-{AGENT_HOME}}}"
source "$HOME/venv/bin/activate"

finish() {{
  trap '' TERM
  ray stop
  echo "Ray stopped"
}}
trap finish EXIT
trap 'exit 143' TERM  # the platform aborts a task with SIGTERM
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
  sleep 1 &
  wait $!
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

# `ray up` copies this file last: then everything else is in place.
echo "Waiting for the cluster's configuration"
until [ -f "$HOME/ray_bootstrap_key.pem" ]; do
  sleep 0.2 &
  wait $!
done

ray start --head --port={GCS_PORT} \\
  --autoscaling-config="$HOME/ray_bootstrap_config.yaml" --block &
"""
    + _WATCH
)

WORKER_SCRIPT = (
    _PREAMBLE.replace("KEY", "ray_worker_node_task_script")
    + f"""
ray start --address="$RAY_HEAD_IP:{GCS_PORT}" --block &
"""
    + _WATCH
)

_READY_SECONDS = 120
_POLLS_PER_SECOND = 5
_PROGRESS_SECONDS = 3
_PATIENCE_SECONDS = 20  # Ray in a container may keep its session folder to itself


def wait_for_ray_command() -> str:
    """The head's start command: Ray is started by the head's task, so wait until it answers.

    It names `ray start` and its option in words, because Ray warns about start commands that lack them.
    """
    listening = f"(exec 3<>/dev/tcp/127.0.0.1/{GCS_PORT}) 2>/dev/null"
    address_file = '"${RAY_TMPDIR:-${TMPDIR:-/tmp}}/ray/ray_current_cluster"'  # where Ray looks for it
    settled = f"{{ [ -s {address_file} ] || [ $i -gt {_PATIENCE_SECONDS * _POLLS_PER_SECOND} ]; }}"
    said_often = f"[ $((i % {_PROGRESS_SECONDS * _POLLS_PER_SECOND})) -ne 0 ]"
    return (
        "echo 'Waiting for ray start --head --autoscaling-config=~/ray_bootstrap_config.yaml in the head task'; "
        f"for i in $(seq {_READY_SECONDS * _POLLS_PER_SECOND}); do "
        f"{listening} && {settled} && echo 'Ray is up' && exit 0; "
        f'{said_often} || echo "  [$((i / {_POLLS_PER_SECOND})) s] Ray is starting"; '
        f"sleep {1 / _POLLS_PER_SECOND}; done; "
        f"echo 'Ray did not start within {_READY_SECONDS} s: see taskoutput.txt of the head task'; exit 1"
    )
