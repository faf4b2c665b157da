"""SSH sessions in a process list."""

import pytest

from yellowdog_ray.monitor.logins import count_sessions

LISTENER = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0016 0200007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:18EB 0200007F:D432 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
"""


@pytest.fixture
def proc(tmp_path):
    """Makes a process list."""

    def make(*titles: str, name: str = "sshd"):
        for number, title in enumerate(titles, 1):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "comm").write_text(f"{name}\n")
            (folder / "cmdline").write_bytes(title.encode() + b"\0\0")
        (tmp_path / "99").mkdir()  # a process that has just ended
        return tmp_path

    return make


@pytest.mark.parametrize("title", ["sshd: yd-agent@pts/0", "sshd: yd-agent@notty", "sshd: yd-agent@pts/0,pts/1"])
def test_session_counts(proc, title):
    assert count_sessions(proc(LISTENER, "sshd: yd-agent [priv]", title)) == 1


def test_session_that_only_forwards_ports_counts(proc):
    assert count_sessions(proc(LISTENER, "sshd: yd-agent")) == 1


def test_session_of_newer_openssh_counts(proc):
    assert count_sessions(proc("sshd-session: ubuntu@pts/3", name="sshd-session")) == 1


@pytest.mark.parametrize("title", ["sshd: yd-agent [priv]", "sshd: root [net]", "sshd: [accepted]", LISTENER])
def test_connection_before_its_login_does_not_count(proc, title):
    assert count_sessions(proc(title)) == 0


def test_other_process_does_not_count(proc):
    assert count_sessions(proc("sshd: yd-agent@pts/0", name="vim")) == 0


def test_connections_count_where_no_server_is_visible(proc):
    folder = proc("bash", name="bash")
    (folder / "net").mkdir()
    (folder / "net/tcp").write_text(TABLE)

    assert count_sessions(folder) == 1


def test_connections_do_not_count_where_the_server_is_visible(proc):
    folder = proc(LISTENER)
    (folder / "net").mkdir()
    (folder / "net/tcp").write_text(TABLE)

    assert count_sessions(folder) == 0


def test_own_machine_can_be_read():
    assert count_sessions() >= 0
