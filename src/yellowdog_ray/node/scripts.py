"""The default task scripts of head and workers, and the start commands that wait for Ray. Text only.

`bash` runs a task script as a YellowDog task. The task ends when Ray on its node ends, and Ray is stopped when the task
is aborted (SIGTERM).
"""

from __future__ import annotations

from yellowdog_ray.node import kit, variables
from yellowdog_ray.node.package import CURRENT
from yellowdog_ray.node.ports import GCS_PORT, RAY_START_OPTIONS
from yellowdog_ray.node.start_hook import AGENT_HOOK, HOOK

AGENT_HOME = variables.DEFAULT_AGENT_HOME
"""Default installation directory of the YellowDog agent, and home of its user; `variables.AGENT_HOME` overrides it."""

SETS_UP = "sets-up"
"""Value of `variables.UPDATER`: the updater sets the node up, then creates a file; the script waits and starts Ray."""

STARTS_RAY = "starts-ray"
"""Value of `variables.UPDATER`: the updater starts Ray too; the script only holds the node."""

_STOP_SECONDS = 3  # without a head; Ray stops within 2 s where it waits for nothing
_RESTART_SECONDS = 30  # above the time of `ray stop` and `ray start`

SUPERVISOR = "yellowdog_ray.head"
"""The module that supervises the head's processes. `node` must not import it."""

CANNOT_SUPERVISE = 3
"""Exit code of it and of its check, after it has printed why it cannot supervise a head. Nothing of Ray runs then."""

STORE_FOLDER = ".raydog/store"
"""The files of the tag server, below the agent's home."""

EVENTS_FILE = f"{STORE_FOLDER}/restarts"
"""The restarts of the head's processes, below the agent's home: a JSON object a line."""

REQUESTED_FILE = f"{STORE_FOLDER}/requested"
"""The last request of `request_resources` to autoscaler v2, below the agent's home, as JSON."""

_MISSES = 3  # polls in a row without a raylet: short of memory, pgrep skips processes that it cannot read
_MISSED_PAUSE_SECONDS = 2

HEAD_LOST_SECONDS = 40
"""A worker's task ends when its head has not answered for this time. Ray's own timeout is 60 s, but Ray does not detect
the loss of a machine that closes no connection. A restart of the control store takes less time."""

HEAD_POLL_SECONDS = 10
"""How often a worker polls a head that answers: each poll is a connection to the control store."""

_LOST_HEAD_POLL_SECONDS = 2

_NODE_ID = variables.CLOUD_INSTANCE_ID
_TAG_PORT = f"${{{variables.TAG_SERVER_PORT}:-{variables.DEFAULT_TAG_SERVER_PORT}}}"

SET_UP_FILE = ".raydog/set-up"
"""The file, below the agent's home, that Ray's updater creates after its last command on a node."""

_ENVIRONMENT_FILE = ".raydog/environment"

_PREAMBLE = f"""\
#!/bin/bash
# Runs Ray as a YellowDog task. Replace it with `KEY` under `provider:` in the cluster's YAML.
set -u
export HOME="${{{variables.AGENT_HOME}:-{AGENT_HOME}}}"
source "$HOME/venv/bin/activate"

connect_to_head() {{ LC_ALL=C timeout 1 bash -c ': <>"/dev/tcp/${{{variables.HEAD_IP}:-127.0.0.1}}/{GCS_PORT}"'; }}
head_answers() {{ connect_to_head 2>/dev/null; }}
# A refused connection is an answer of the machine: its control store may be starting again, and Ray times out itself.
head_machine_answers() {{ local error; error=$(connect_to_head 2>&1) || [[ $error == *refused* ]]; }}

# Sets `now` to seconds that a step of the wall clock does not change, unlike SECONDS.
read_clock() {{ {{ read -r now _ </proc/uptime; }} 2>/dev/null && now=${{now%.*}} || now=$SECONDS; }}

# Without a head, `ray stop` may wait long for its answers: then force it.
finish() {{
  trap '' TERM
  ray stop &
  local answered=''
  while kill -0 $! 2>/dev/null; do
    read_clock
    head_answers && answered=$now
    [ $((now - ${{answered:=$now}})) -lt {_STOP_SECONDS} ] || {{ ray stop --force; break; }}
    sleep 0.2
  done
  echo "Ray stopped"
}}
trap finish EXIT
trap 'exit 143' TERM  # the platform aborts a task with SIGTERM

pause() {{ sleep "$1" & wait $!; }}  # unlike sleep alone, a signal interrupts it

# On a worker: end the task, and so its machine, when the head's machine is gone or out of reach.
next_poll=0 unanswered=''
watch_head() {{
  read_clock
  [ -n "${{{variables.HEAD_IP}:-}}" ] && [ "$now" -ge "$next_poll" ] || return 0
  if head_machine_answers; then
    next_poll=$((now + {HEAD_POLL_SECONDS})) unanswered=''
    return
  fi
  next_poll=$((now + {_LOST_HEAD_POLL_SECONDS})) unanswered=${{unanswered:-$now}}
  [ $((now - unanswered)) -lt {HEAD_LOST_SECONDS} ] || {{
    echo "The head has not answered for {HEAD_LOST_SECONDS} s; the task ends"
    exit 0
  }}
}}

# {variables.UPDATER} says what Ray's updater does over SSH.
set_up="$HOME/{SET_UP_FILE}"
environment="$HOME/{_ENVIRONMENT_FILE}"
mkdir -p "$HOME/.raydog" && chmod 700 "$HOME/.raydog"
rm -f "$set_up" "$environment"  # of an earlier task on this machine
kits="$HOME/{kit.FOLDER}"  # secrets (provider.head_restart): delete those of a task that was killed
[ -d "$kits" ] && [ ! -L "$kits" ] || rm -f "$kits"
for old in "$kits"/*; do
  pid=${{old##*/}} pid=${{pid%.new}}
  [ "$pid" != $$ ] && grep -qzs "^{variables.HEAD_RESTART}=" "/proc/$pid/environ" || rm -rf "$old"
done

wait_for_set_up() {{
  echo "Waiting for Ray's updater to set this node up"
  until [ -f "$set_up" ]; do pause 0.2; watch_head; done
}}

raylet_of_this_node() {{
  local pid pids
  pids=$(pgrep -x raylet)
  [ $? -le 1 ] || return 2  # pgrep failed, as on a machine short of memory or processes
  for pid in $pids; do
    grep -qzx "{_NODE_ID}=${_NODE_ID}" "/proc/$pid/environ" 2>/dev/null && return 0
  done
  return 1
}}

# The updater's commands start Ray, and may restart it: the task ends once no raylet has run for {_RESTART_SECONDS} s.
hold() {{
  local joined='' missed=0
  echo "Waiting for Ray's updater to start Ray"
  declare -p "${{!RAY@}}" "${{!AUTOSCALER_@}}" "${{!{variables.PYTHON_PATH}@}}" PATH > "$environment.new" &&
    mv "$environment.new" "$environment"
  until [ -n "$joined" ] && [ "$missed" -gt {_RESTART_SECONDS} ]; do
    raylet_of_this_node
    case $? in 0) joined=1 missed=0 ;; 1) missed=$((missed + 1)) ;; *) missed=0 ;; esac
    watch_head
    pause 1
  done
  echo "The raylet has exited; the task ends"
  exit 0
}}
"""

_LET_UPDATER = f"""
case "${{{variables.UPDATER}:-}}" in
  {SETS_UP}) wait_for_set_up ;;
  {STARTS_RAY}) hold ;;
esac
"""

# `ray start --block` goes on when its raylet leaves gracefully (idle, drained, `ray stop`): the task would go on, and
# cost money, without Ray. So the task watches the raylet, and ends with it.
_WATCH = f"""\
ray_pid=$!
joined='' missed=0
while kill -0 "$ray_pid" 2>/dev/null; do
  pgrep -P "$ray_pid" -x raylet >/dev/null
  case $? in
    0) joined=1 missed=0 ;;
    1) [ -z "$joined" ] || missed=$((missed + 1)) ;;
    *) missed=0 ;;  # pgrep failed, as on a machine short of memory or processes
  esac
  if [ "$missed" -ge {_MISSES} ]; then
    echo "The raylet has exited; the task ends"
    exit 0
  fi
  watch_head
  pause $((missed ? {_MISSED_PAUSE_SECONDS} : 1))
done
wait "$ray_pid"
"""

HEAD_SCRIPT = (
    _PREAMBLE.replace("KEY", "ray_head_node_task_script")
    + f"""
# On a machine of your own, secrets of an earlier cluster's head may remain: delete those older than this task.
# Delete this cluster's at the end.
secrets=("$HOME/ray_bootstrap_key.pem" "$HOME/.raydog/credentials" "$HOME/.raydog/shell" "$HOME/{STORE_FOLDER}")
[ "${{{variables.AUTH_MODE}:-}}" != token ] || secrets+=("${variables.AUTH_TOKEN_PATH}")
find "${{secrets[@]}}" ! -cnewer "$0" -delete 2>/dev/null
trap 'finish; rm -rf "${{secrets[@]}}"' EXIT

# The tag server: it stores Ray's mutable tags, and listens on the loopback interface only.
valkey=$(command -v valkey-server || command -v redis-server) || {{
  echo "Neither valkey-server nor redis-server is installed on the head's image" >&2
  exit 1
}}

# The supervisor is in RayDog's package, which `ray up` sends first.
until [ -e "$HOME/{CURRENT}" ] || [ -f "$HOME/ray_bootstrap_key.pem" ]; do pause 0.1; done

# Fixed ports, so that a firewall can name them.
ray_start=(ray start --head --port={GCS_PORT} {RAY_START_OPTIONS}
  --autoscaling-config="$HOME/ray_bootstrap_config.yaml")

# The supervisor runs the tag server and, at a line of its standard input, Ray. It starts again each process that dies.
supervisor=
supervise=(python -m {SUPERVISOR} --folder "$HOME/{STORE_FOLDER}" --server "$valkey" --port "{_TAG_PORT}")
"${{supervise[@]}}" --check 2>/dev/null
checked=$?
if [ $checked -eq 0 ]; then
  exec {{to_supervisor}}> >(exec "${{supervise[@]}}" -- "${{ray_start[@]}}")
  supervisor=$!
  # `ray stop` is not a failure of Ray's processes. At the end of its input, the supervisor ends with the tag server.
  trap 'kill -TERM "$supervisor" 2>/dev/null; finish; exec {{to_supervisor}}>&-; wait "$supervisor"
    rm -rf "${{secrets[@]}}"' EXIT
elif [ $checked -ne {CANNOT_SUPERVISE} ]; then
  echo "The supervisor does not run on this image: the head ends with the first of Ray's processes that dies"
fi

start_tag_server() {{ "$valkey" --port "{_TAG_PORT}" --bind 127.0.0.1 --save '' --appendonly no & }}
[ -n "$supervisor" ] || start_tag_server

# Ray has no option for the address of its client server, so a hook of RayDog's, which `ray up` sends, sets it.
# The supervisor sets its own, which includes this one; Ray's updater may start Ray too.
if [ "${{{variables.START_HOOK}:-{AGENT_HOOK}}}" = {AGENT_HOOK} ]; then
  export {variables.START_HOOK}={HOOK}
fi

{_LET_UPDATER}
# `ray up` copies this file last: all others are there then.
echo "Waiting for the cluster's configuration"
until [ -f "$HOME/ray_bootstrap_key.pem" ]; do pause 0.2; done

if [ -n "$supervisor" ]; then
  (echo) >&"$to_supervisor"  # in a subshell, which SIGPIPE ends if the supervisor has ended
  wait "$supervisor"
  ended=$?
  [ $ended -eq {CANNOT_SUPERVISE} ] || exit $ended
  echo "Ray starts without the supervisor: the head ends with the first of Ray's processes that dies"
  trap 'finish; rm -rf "${{secrets[@]}}"' EXIT
  start_tag_server
fi

"${{ray_start[@]}}" --block &
"""
    + _WATCH
)

WORKER_SCRIPT = (
    _PREAMBLE.replace("KEY", "ray_worker_node_task_script")
    + f"""[ "${{{variables.AUTH_MODE}:-}}" != token ] || trap 'finish; rm -f "${variables.AUTH_TOKEN_PATH}"' EXIT
{_LET_UPDATER}
# Fixed ports, so that a firewall can name them.
ray start --address="${variables.HEAD_IP}:{GCS_PORT}" \\
  {RAY_START_OPTIONS} --block &
"""
    + _WATCH
)

_READY_SECONDS = 120
_POLLS_PER_SECOND = 5
_PROGRESS_SECONDS = 3
_SESSION_POLLS = 20 * _POLLS_PER_SECOND  # limit: the session directory of Ray in a container may not be visible


_THIS_HEAD = f"{_NODE_ID}=${{{_NODE_ID}:-head-.*}}"  # `ray up` exports the head's id under autoscaler v2

# Ready means that this head's own gcs_server listens; a process of another user cannot be examined.
_OURS_LISTENS = (
    "ours() { local pid inode sockets; sockets=$(awk "
    f"'$2 ~ /:{GCS_PORT:04X}$/ && $4 == \"0A\" {{print $10}}' /proc/net/tcp /proc/net/tcp6 2>/dev/null); "
    "for pid in $(pgrep -x gcs_server); do "
    "[ -e /proc/$pid/environ ] || continue; [ -r /proc/$pid/environ ] || return 0; "
    f'grep -qzxs "{_THIS_HEAD}" /proc/$pid/environ || continue; '
    "for inode in $sockets; do "
    'ls -l /proc/$pid/fd 2>/dev/null | grep -q "socket:.$inode." && return 0; done; done; return 1; }; '
)

# A script of the user's may hide Ray in a container. So refuse only another head's
# gcs_server, or a server with a text protocol such as Redis.
_NOTHING_ELSE_LISTENS = (
    "ours() { local pid other= reply; for pid in $(pgrep -x gcs_server); do "
    f'grep -qzxs "{_THIS_HEAD}" /proc/$pid/environ && return 0; '
    f'grep -qzs "^{_NODE_ID}=" /proc/$pid/environ && other=1; done; [ -z "$other" ] || return 1; '
    f"reply=$( (exec 3<>/dev/tcp/127.0.0.1/{GCS_PORT}; printf 'PING\\r\\n' >&3; timeout 1 head -c 1 <&3) 2>/dev/null "
    "| tr -dc '+-'); [ -z \"$reply\" ]; }; "
)


def wait_for_ray_command(*, default_script: bool = True) -> str:
    """The head's start command: the head's task starts Ray, so the command waits until this cluster's Ray answers.

    Its text contains `ray start` and its option, because Ray warns about start commands that lack them.

    Args:
        default_script: whether the head's task runs `HEAD_SCRIPT`, so that its gcs_server is visible on the host.
    """
    listening = f"(exec 3<>/dev/tcp/127.0.0.1/{GCS_PORT}) 2>/dev/null"
    ours = (
        f"{{ ours || {{ other=$((${{other:-0}} + 1)); [ $other -le {_SESSION_POLLS} ] || {{ "
        f"echo 'Port {GCS_PORT} of the head is used by another program than Ray of this cluster, such as redis-server: "
        "remove it from the image'; exit 1; }; false; }; }"
    )
    address_file = f'"${{{variables.RAY_TMPDIR}:-${{TMPDIR:-/tmp}}}}/ray/ray_current_cluster"'  # Ray reads it there
    started = (
        f"listening=$((${{listening:-0}} + 1)) && {{ [ -s {address_file} ] || [ $listening -gt {_SESSION_POLLS} ]; }}"
    )
    return (_OURS_LISTENS if default_script else _NOTHING_ELSE_LISTENS) + _wait_command(
        "Waiting for ray start --head --autoscaling-config=~/ray_bootstrap_config.yaml in the head task",
        f"{listening} && {ours} && {started}",
        check_environment_command(),
    )


def wait_for_raylet_command() -> str:
    """A worker's start command: the node is set up and its task starts Ray, so the command waits until Ray runs."""
    return _wait_command("This node is set up; waiting for ray start in its task", "pgrep -x raylet >/dev/null")


def in_task_environment(command: str) -> str:
    """A user's start command with the environment of the task: the node's identity, and its virtual environment."""
    file = f"~/{_ENVIRONMENT_FILE}"
    wait = f"for i in $(seq {_SESSION_POLLS}); do [ -f {file} ] && break; sleep {1 / _POLLS_PER_SECOND}; done"
    return f"{wait}; . {file}; {command}"


def _wait_command(what: str, ready: str, then: str = ":") -> str:
    """Create the set-up file at every poll, since the script deletes it at its start, and wait for Ray."""
    is_quiet = f"[ $((i % {_PROGRESS_SECONDS * _POLLS_PER_SECOND})) -ne 0 ]"
    return (
        f"echo '{what}'; mkdir -p ~/.raydog; "
        f"for i in $(seq {_READY_SECONDS * _POLLS_PER_SECOND}); do touch ~/{SET_UP_FILE}; "
        f"{ready} && echo 'Ray is up' && {{ {then}; exit 0; }}; "
        f'{is_quiet} || echo "  [$((i / {_POLLS_PER_SECOND})) s] Ray is starting"; '
        f"sleep {1 / _POLLS_PER_SECOND}; done; "
        f"echo 'Ray did not start within {_READY_SECONDS} s: see taskoutput.txt of the task'; exit 1"
    )


def check_environment_command() -> str:
    """Reports what Ray on the head lacks of its task's environment; nothing if that cannot be read."""
    script = "provider.ray_head_node_task_script"
    environment = '"/proc/$(pgrep -o -x gcs_server)/environ"'
    return (
        f"for name in {variables.ON_HEAD} {variables.CLOUD_INSTANCE_ID}; do "
        f'grep -qzs "^$name=" {environment}; [ $? -ne 1 ] || '
        'echo "Ray on the head runs without $name in its environment, and autoscaling will not work. '
        f'{script} must pass its environment on to ray start, also into a container (docs/containers.md)"; done; '
        f'grep -qzs "^{variables.PYTHON_PATH}=.*/{CURRENT}" {environment}; [ $? -ne 1 ] || '
        f'echo "Ray on the head runs without ~/{CURRENT} in {variables.PYTHON_PATH}, and its autoscaler imports the '
        f'RayDog of the image. {script} must keep this entry, and pass it into a container (docs/nodes.md)"'
    )
