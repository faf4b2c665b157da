"""Ray's token authentication on a node: the files, and the lines in front of each task script. Text only.

The head receives the token over SSH. A worker's task carries a ticket, which these lines exchange for the token at the
head's token service. docs/security.md has the reasons.
"""

from __future__ import annotations

from yellowdog_ray.node import variables
from yellowdog_ray.node.lines import with_lines
from yellowdog_ray.node.ports import DASHBOARD_AGENT_PORT
from yellowdog_ray.node.ray_versions import OPEN_AGENTS_PATTERN
from yellowdog_ray.node.scripts import AGENT_HOME, HEAD_LOST_SECONDS
from yellowdog_ray.node.start_hook import AGENT_HOOK, MODULE

MODE_TOKEN = "token"  # noqa: S105 - a mode of Ray's, no secret
"""Value of `variables.AUTH_MODE`: every request needs the token."""

MODE_DISABLED = "disabled"
"""Value of `variables.AUTH_MODE`: no request needs a token, even on an image that has one."""

TOKEN_SERVICE_PORT = 16668
"""The port of the token service on the head."""

HEAD_AUTH_FILE = ".ray/auth_token"
"""The token on the head, below the home directory: the file that Ray reads by default."""

HEAD_AUTH_OWNER = ".raydog/auth_token_of"
"""On the head, below the home directory: the node id of the head that `HEAD_AUTH_FILE` was written for."""

SHELL_FILE = ".raydog/shell"
"""On the head, below the home directory: the variables of login shells."""

RETRY_SECONDS = 300
"""How long a worker tries to get its token, for example while Ray's monitor restarts. It tries for `HEAD_LOST_SECONDS`
only while the head's machine does not answer."""

_HOME = f"${{{variables.AGENT_HOME}:-{AGENT_HOME}}}"

# By file names: a Python takes longer, and another version of Ray needs no hook.
_IF_AGENTS_ARE_OPEN = f"""\
# Ray 2.52 and 2.53 require no token at port {DASHBOARD_AGENT_PORT}, unless a hook of `ray start` lets them.
if [ -z "${{{variables.START_HOOK}:-}}" ] &&
  compgen -G "{_HOME}/venv/lib/python3*/site-packages/ray-{OPEN_AGENTS_PATTERN}.dist-info" >/dev/null; then
"""

# `ray up` sends the module of the hook to the head later, but before Ray starts.
_GUARD_HEADS_AGENT = f"""\
{_IF_AGENTS_ARE_OPEN}  export {variables.START_HOOK}={AGENT_HOOK}
fi
"""

_GUARD_WORKERS_AGENT = f"""\
{_IF_AGENTS_ARE_OPEN}  if "{_HOME}/venv/bin/python" -c "from {MODULE} import guard_agents" 2>/dev/null; then
    export {variables.START_HOOK}={AGENT_HOOK}
  else
    echo "RayDog on this image is too old to close port {DASHBOARD_AGENT_PORT} (docs/security.md)" >&2
  fi
fi
"""

_HEAD_LINES = f"""\
# Ray's token authentication, by RayDog: `ray up` sends the token over SSH. Delete an earlier or an image's token.
unset {variables.AUTH_TOKEN}
export {variables.AUTH_TOKEN_PATH}="{_HOME}/{HEAD_AUTH_FILE}"
find "${variables.AUTH_TOKEN_PATH}" ! -cnewer "$0" -delete 2>/dev/null
{_GUARD_HEADS_AGENT}"""

_REDEEM = f"""\
import errno, hashlib, json, os, socket, ssl, sys, time

head, port = os.environ["{variables.HEAD_IP}"], int(os.environ["{variables.TOKEN_SERVICE}"])
nonce, parent, path = os.urandom(16).hex(), os.getppid(), sys.argv[1]


def fail(why):
    sys.exit("RayDog: this worker gets no token of its cluster, and cannot join: " + why)


def request(source):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the fingerprint identifies the head
    start = (source, 0) if source else None
    with socket.create_connection((head, port), 5, start) as plain:
        contact[0] = time.monotonic()
        return ask(context, plain)


def ask(context, plain):
    with context.wrap_socket(plain) as connection:
        if hashlib.sha256(connection.getpeercert(True)).hexdigest() != os.environ["{variables.TOKEN_FINGERPRINT}"]:
            fail("the program at port %d of %s is not the head's token service (other certificate)" % (port, head))
        question = {{"node": os.environ["{variables.CLOUD_INSTANCE_ID}"], "nonce": nonce}}
        question["ticket"] = os.environ["{variables.TICKET}"]
        connection.sendall(json.dumps(question).encode() + b"\\n")
        return json.loads(connection.makefile("rb").readline(8192).decode())


# Of these addresses of this host the first is used; None is the system's choice. The service may add listed ones.
sources, refusal = [None], None
not_ours = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)
deadline, pause = time.monotonic() + {RETRY_SECONDS}, 0.1
contact = [time.monotonic()]  # with the head's machine
while True:
    source = sources[0]
    try:
        answer = request(source)
        why = answer.get("retry")
    except (OSError, ValueError) as error:
        answer, why = {{}}, "no answer from %s, port %d: %s" % (head, port, error)
        if isinstance(error, ConnectionRefusedError):  # the machine runs, and Ray's monitor may be starting again
            contact[0] = time.monotonic()
        if source and (isinstance(error, socket.gaierror) or getattr(error, "errno", None) in not_ours):
            answer = {{"refused": refusal}}
        else:
            sources.append(sources.pop(0))  # the head may be reachable from another only
    if "elsewhere" in answer and refusal is None:
        sources += answer["elsewhere"].split()
    if "refused" in answer:
        refusal = answer["refused"]
        sources.pop(0)
        if not sources:
            fail(answer["refused"])
        continue
    if "token" in answer:
        break
    if time.monotonic() > deadline:
        fail("%s (%d s)" % (why, {RETRY_SECONDS}))
    if time.monotonic() - contact[0] > {HEAD_LOST_SECONDS}:
        fail("%s (%d s); is the head's machine lost, or port %d closed?" % (why, {HEAD_LOST_SECONDS}, port))
    if os.getppid() != parent:  # the task was aborted
        sys.exit(1)
    time.sleep(pause)
    pause = min(2 * pause, 1)
os.umask(0o077)
try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(new, "wb") as file:
        os.fchmod(new, 0o600)
        file.write(answer["token"].encode())
    os.rename(path + ".new", path)
except OSError as error:
    fail("%s cannot be written: %s" % (path, error.strerror or error))
"""

_WORKER_LINES = f"""\
# Ray's token authentication, by RayDog: the task's ticket gets the cluster's token from the head, once.
unset {variables.AUTH_TOKEN}
export {variables.AUTH_TOKEN_PATH}="{_HOME}/.raydog/tokens/${variables.CLOUD_INSTANCE_ID}"
raydog_python="{_HOME}/venv/bin/python"
[ -x "$raydog_python" ] || raydog_python=$(command -v python3) || {{
  echo "RayDog: python3 is missing on this image, so this worker cannot get the token of its cluster" >&2
  exit 1
}}
"$raydog_python" -I -S - "${variables.AUTH_TOKEN_PATH}" <<'RAYDOG' || exit 1
{_REDEEM}RAYDOG
unset {variables.TICKET} raydog_python
{_GUARD_WORKERS_AGENT}"""


def head_script(script: str) -> str:
    """A head's task script of a cluster with tokens: the script, with the lines in front that place the token."""
    return with_lines(script, _HEAD_LINES)


def worker_script(script: str) -> str:
    """A worker's task script of a cluster with tokens: the script, with the lines in front that get the token."""
    return with_lines(script, _WORKER_LINES)
