"""The common behaviour of child processes, in real processes: readiness, signals, and the death of the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from shardstore.system import process

LIMIT_S = 20
PYTHON = [sys.executable, "-P", "-c"]

WAITS = """
import sys, threading
from shardstore.system.process import end_with_parent, install_stop_signals, report_ready
end_with_parent()
install_stop_signals(lambda: print("stopping", flush=True))
report_ready(int(sys.argv[1]), "here")
threading.Event().wait()
"""
STARTS_ONE_THAT_WAITS = """
import subprocess, sys
with subprocess.Popen([sys.executable, "-P", "-c", sys.argv[1], sys.argv[2]], pass_fds=[int(sys.argv[2])]) as child:
    child.wait()
"""


@pytest.mark.fault("W8")
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_to_stop_and_the_second_ends(first: signal.Signals, second: signal.Signals) -> None:
    reader, writer = os.pipe()
    arguments = [*PYTHON, WAITS, str(writer)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[writer]) as child:
        os.close(writer)
        with open(reader) as status:
            assert status.read() == '{"endpoint": "here"}\n'
        assert child.stdout is not None
        child.send_signal(first)
        assert child.stdout.readline() == b"stopping\n"
        child.send_signal(second)
        assert child.wait(LIMIT_S) == process.EXIT_SIGNALLED_TWICE


@pytest.mark.fault("W3")
def test_end_of_the_parents_pipe_ends_the_child() -> None:
    with subprocess.Popen([*PYTHON, WAITS, "-1"], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(LIMIT_S) == process.EXIT_ORPHANED


@pytest.mark.fault("W3")
def test_a_killed_parent_ends_the_child_even_if_its_pipe_stays_open() -> None:
    status_reader, status_writer = os.pipe()
    held_open_reader, held_open_writer = os.pipe()
    alive_reader, alive_writer = os.pipe()
    parent = subprocess.Popen(
        [*PYTHON, STARTS_ONE_THAT_WAITS, WAITS, str(status_writer)],
        stdin=held_open_reader,
        stdout=alive_writer,
        pass_fds=[status_writer],
    )
    os.close(alive_writer)
    os.close(held_open_reader)
    with parent, open(status_reader) as status, open(alive_reader) as alive:
        os.close(status_writer)
        assert status.readline()
        parent.kill()
        assert alive.read() == ""  # ends once no process holds the child's standard output
    os.close(held_open_writer)


def test_a_signal_that_the_parent_blocks_is_heard_all_the_same() -> None:
    program = f"from shardstore.system.process import heed_signals; heed_signals(){WAITS}"
    reader, writer = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = subprocess.Popen(
            [*PYTHON, program, str(writer)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[writer]
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(writer)
    with child, open(reader) as status:
        assert status.read()
        assert child.stdout is not None
        child.terminate()
        assert child.stdout.readline() == b"stopping\n"
        child.kill()


LEAVES_AN_ORPHAN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])"
ADOPTS_ORPHANS = f"""
import ctypes, os, sys
from queue import SimpleQueue
import psutil
from shardstore.cluster.child_process import ChildProcess, Exited
from tests.process.deadlines import wait_until
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # a subreaper gets orphans, as the first process of a container does
happenings = SimpleQueue()
ChildProcess("parent", lambda *fds: [sys.executable, "-c", {LEAVES_AN_ORPHAN!r}], os.environ, happenings.put)
assert isinstance(happenings.get(timeout=20), Exited)
wait_until(lambda: not psutil.Process().children(), "nobody is left, not even a zombie")
"""


def test_orphans_that_come_to_the_first_process_of_a_container_are_buried() -> None:
    done = subprocess.run([sys.executable, "-c", ADOPTS_ORPHANS], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


BURIES = """
import ctypes, os, subprocess, sys
import psutil
from shardstore.cluster.orphans import bury_orphans
from tests.process.deadlines import wait_until
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # a subreaper gets orphans, as the first process of a container does
zombies = lambda: [child.pid for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
subprocess.run([sys.executable, "-c", "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''])"])
wait_until(zombies, "an orphan has ended")
bury_orphans(list)
assert not psutil.Process().children()
ours = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
wait_until(zombies, "one of ours has ended")
bury_orphans(lambda: [ours.pid])
assert ours.wait() == 7, "its exit code is left for who waits for it"
bury_orphans(list)
"""


def test_orphans_of_strangers_are_buried_and_our_own_children_left_to_who_waits_for_them() -> None:
    done = subprocess.run([sys.executable, "-c", BURIES], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("W11")
def test_optimised_python_is_refused() -> None:
    program = "from shardstore.system.process import refuse_optimised_python as check; check()"
    assert subprocess.run([*PYTHON, program], check=False).returncode == 0
    refused = subprocess.run([sys.executable, "-O", *PYTHON[1:], program], check=False, capture_output=True)
    assert refused.returncode == 1
    assert b"python -O" in refused.stderr
