"""The parts of the default task scripts by which workers replace a lost head (`provider.head_restart`). Text only.

A worker gets a kit of the head's own files from the head's token service. The fingerprint of the service is in the
worker's task, and the cluster's token, which the worker has, gets the kit. docs/security.md has the consequences.
"""

from __future__ import annotations

from yellowdog_ray.node import kit, variables
from yellowdog_ray.node.scripts import HEAD_SCRIPT, WORKER_SCRIPT

RENEW_SECONDS = 20
"""How often a carrier renews its kit."""

RETRY_SECONDS = 60
"""After this time, a worker requests the kit again that it could not get yet."""

WAIT_SECONDS = 300
"""After this time, a worker that is no carrier requests to become one again."""

_CANNOT_CARRY = 3
"""Exit code of the fetch on an image on which no carrier runs. After any other end it is started again."""

_WORKERS_TRAP = (
    f'[ "${{{variables.AUTH_MODE}:-}}" != token ] || trap \'finish; rm -f "${variables.AUTH_TOKEN_PATH}"\' EXIT\n'
)
_WORKERS_WATCH = "  watch_head\n  pause $((missed"
_FIRST_WAIT, _LAST_WAIT = "do pause 0.1; done\n", "do pause 0.2; done\n"

_FETCH = f"""\
import base64, hashlib, io, json, os, shutil, socket, ssl, subprocess, sys, tarfile
import threading, time

parent, kit, token_file = int(sys.argv[1]), *sys.argv[2:4]
head, port = os.environ["{variables.HEAD_IP}"], int(os.environ["{variables.TOKEN_SERVICE}"])
digest, renewed, failed, disk, check = "", time.monotonic(), False, threading.Lock(), None
PROGRAM = '''
import shutil, sys
try:
    import yellowdog_ray.carrier.__main__
    why = "" if shutil.which("ssh") else "it has no ssh"
except (AttributeError, ImportError, SyntaxError) as error:  # others may pass
    why = "%s: %s" % (type(error).__name__, error)
if why:
    print(why, file=sys.stderr)
    sys.exit({_CANNOT_CARRY})
'''
os.umask(0o077)


def ask():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the fingerprint identifies the head
    with socket.create_connection((head, port), 5) as plain, context.wrap_socket(plain) as connection:
        connection.settimeout(30)
        if hashlib.sha256(connection.getpeercert(True)).hexdigest() != os.environ["{variables.TOKEN_FINGERPRINT}"]:
            raise OSError("another certificate")
        with open(token_file) as file:
            has = digest if os.path.isdir(kit) else ""
            question = {{"kit": has, "node": os.environ["{variables.CLOUD_INSTANCE_ID}"], "token": file.read()}}
        connection.sendall(json.dumps(question).encode() + b"\\n")
        answer = connection.makefile("rb").readline({2 * kit.MAX_BYTES})
        if not answer.endswith(b"\\n"):
            raise OSError("the head closed the connection after %d bytes" % len(answer))
        return json.loads(answer.decode())


def drop():
    for folder in (kit, kit + ".new"):
        shutil.rmtree(folder, ignore_errors=True)


def watch():  # the script of a task that was killed deletes nothing, and may be gone before this program starts
    while os.getppid() == parent:
        time.sleep(1)
    while not disk.acquire(timeout=0.1):
        if check:
            check.kill()
    drop()
    os._exit(1)


def unpack(archive, folder):
    global check
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, **({{"filter": "data"}} if hasattr(tarfile, "data_filter") else {{}}))
        names = files.getnames()
    path = os.pathsep.join(filter(None, [folder + "/{kit.PACKAGE}", os.environ.get("{variables.PYTHON_PATH}")]))
    environment = {{**os.environ, "{variables.PYTHON_PATH}": path}}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.PIPE) as check:
        try:
            _, error = check.communicate(timeout=120)
        finally:
            check.kill()
    why = error.decode(errors="replace").strip().splitlines()[-1:]
    if not all(os.path.exists(folder + "/" + name) for name in names):
        raise OSError("another program deletes the kit")
    if check.returncode not in (0, {_CANNOT_CARRY}):
        raise OSError("the check of the kit ended with %d: %s" % (check.returncode, "".join(why)))
    if check.returncode:
        drop()
        print("RayDog: this worker's image cannot replace a lost head:", *why, file=sys.stderr, flush=True)
        os._exit({_CANNOT_CARRY})


def keep(answer):
    global digest
    if "archive" in answer:
        archive = base64.b64decode(answer["archive"])
        if hashlib.sha256(archive).hexdigest() != answer["digest"]:
            raise OSError("a damaged kit")
        unpack(archive, kit + ".new")
        shutil.rmtree(kit, ignore_errors=True)
        os.rename(kit + ".new", kit)
        digest = answer["digest"]
    renewed_at = str(time.clock_gettime(time.CLOCK_BOOTTIME))
    for name, text in (("{kit.RENEWED}", renewed_at), ("{kit.CARRIERS}", answer["{kit.CARRIERS}"])):
        with open(kit + "/" + name + ".new", "w") as file:
            file.write(text)
        os.rename(kit + "/" + name + ".new", kit + "/" + name)


def renew():
    answer = ask()
    with disk:
        try:
            if "{kit.CARRIERS}" in answer:
                keep(answer)
                return {RENEW_SECONDS}
            wait = min(max(int(answer["wait"]), {RENEW_SECONDS}), {WAIT_SECONDS})
            drop()
            return wait
        finally:
            shutil.rmtree(kit + ".new", ignore_errors=True)


threading.Thread(target=watch, daemon=True).start()
pause = 1
while True:
    time.sleep(pause)
    try:
        pause = renew()
        renewed = time.monotonic()
    except Exception as error:
        pause = {RENEW_SECONDS}
        if not failed:
            kind = type(error).__name__
            why = [" ".join(str(error).split())[:300]] if isinstance(error, OSError) else []  # others may have secrets
            print("RayDog: this worker could not get the head's files:", kind, *why, file=sys.stderr, flush=True)
        failed = True
        if time.monotonic() - renewed > {kit.OLD_SECONDS}:
            with disk:
                drop()
"""

_WORKER_PART = f"""\
# By RayDog (provider.head_restart): this worker may get the head's files, and replace the head if its machine is lost.
raydog_kit="$HOME/{kit.FOLDER}/$$" raydog_aborted='' raydog_fetch='' raydog_fetch_at=0
fetch_kit() {{
  exec python -I -S - "$$" "$raydog_kit" "${variables.AUTH_TOKEN_PATH}" <<'RAYDOG'
{_FETCH}RAYDOG
}}
remove_kit() {{ rm -rf "$raydog_kit" "$raydog_kit.new"; rmdir "$HOME/{kit.FOLDER}" 2>/dev/null; }}
# Start the fetch again if it was killed: its kit would grow old.
keep_fetching() {{
  [ -n "$raydog_fetch_at" ] && ! kill -0 "$raydog_fetch" 2>/dev/null || return 0
  if [ -n "$raydog_fetch" ]; then
    wait "$raydog_fetch" 2>/dev/null
    [ $? -ne {_CANNOT_CARRY} ] || raydog_fetch_at=''
    raydog_fetch=''
    remove_kit
  fi
  read_clock
  [ -n "$raydog_fetch_at" ] && [ "$now" -ge "$raydog_fetch_at" ] || return 0
  raydog_fetch_at=$((now + {RETRY_SECONDS}))
  fetch_kit &
  raydog_fetch=$!
}}
keep_fetching
stop_fetch() {{ kill "$raydog_fetch" && wait "$raydog_fetch"; }} 2>/dev/null
delete_kit() {{ stop_fetch; remove_kit; }}
replace_head() {{
  stop_fetch
  [ -f "$raydog_kit/{kit.CARRIERS}" ] && ! head_machine_answers && [ -z "$raydog_aborted" ] || return 0
  echo "The head's machine does not answer: this worker may replace the head"
  {variables.PYTHON_PATH}="$raydog_kit/{kit.PACKAGE}${{{variables.PYTHON_PATH}:+:${variables.PYTHON_PATH}}}" \\
    timeout "${variables.HEAD_RESTART}" python -m yellowdog_ray.carrier "$raydog_kit" &
  raydog_carrier=$!
  trap 'kill "$raydog_carrier" 2>/dev/null' TERM
  [ -z "$raydog_aborted" ] || kill "$raydog_carrier"
  wait "$raydog_carrier" || wait "$raydog_carrier"
}}
end_task() {{
  trap '' TERM
  [ -z "$raydog_aborted" ] || delete_kit  # first: `ray stop` may take longer than the platform waits
  finish &  # in a shell of its own, which ignores SIGTERM: this one notes an abort meanwhile
  local finishing=$!
  trap 'raydog_aborted=1; delete_kit' TERM
  until wait "$finishing" || [ $? -ne 143 ]; do :; done
  replace_head
  delete_kit
  rm -f "${variables.AUTH_TOKEN_PATH}"
}}
trap 'raydog_aborted=1; exit 143' TERM
trap end_task EXIT
"""

_HEAD_PART = f"""\
# By RayDog (provider.head_restart): a head that a worker has started ends if that worker does not send its files.
read_clock
raydog_started=$now
within_time() {{
  read_clock
  [ "${{{variables.HEAD_RESTART}:-0}}" -eq 0 ] || [ $((now - raydog_started)) -lt "${variables.HEAD_RESTART}" ] || {{
    echo "No worker has sent this head its files"
    exit 1
  }}
}}
"""


def worker_script(script: str = WORKER_SCRIPT) -> str:
    """The default worker script, of a worker that may replace a lost head."""
    script = _replaced(script, _WORKERS_WATCH, _WORKERS_WATCH.replace("watch_head", "watch_head\n  keep_fetching"))
    return _replaced(script, _WORKERS_TRAP, _WORKER_PART)


def head_script(script: str = HEAD_SCRIPT) -> str:
    """The default head script, of a head that may be another's replacement."""
    waits = "# The supervisor is in RayDog's package"
    script = _replaced(script, waits, f"{_HEAD_PART}\n{waits}")
    for wait in (_FIRST_WAIT, _LAST_WAIT):
        script = _replaced(script, wait, wait.replace("; done", "; within_time; done"))
    return script


def _replaced(script: str, old: str, new: str) -> str:
    """A script with a part replaced that it has exactly once.

    Raises:
        ValueError: it has not, so it is no default script.
    """
    if script.count(old) != 1:
        raise ValueError(f"a task script without the part: {old}")
    return script.replace(old, new)
