import subprocess
import sys
import time

import pytest

from xasnn_stream.simulation import processes
from xasnn_stream.simulation.processes import (
    Children,
    ProcessError,
    free_ports,
    listens,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def _is_running(pid):
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0


def _write_pid_then_sleep(path):
    code = f"import os, time; open({str(path)!r}, 'w').write(str(os.getpid()))"
    return [sys.executable, "-c", code + "; time.sleep(60)"]


def test_children_end_even_when_the_parent_fails(tmp_path):
    pid_file = tmp_path / "pid"

    def fail():
        with Children(tmp_path / "logs") as children:
            children.start("sleeper", _write_pid_then_sleep(pid_file), {})
            children.wait_until(
                lambda: pid_file.exists() and pid_file.read_text() != "", "it", 10
            )
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        fail()
    assert not _is_running(int(pid_file.read_text()))


def test_children_end_in_the_reverse_order_of_their_start(tmp_path):
    log = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(log)!r}, 'a').write(sys.argv[1])\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with Children(tmp_path) as children:
        for name in ("a", "b", "c"):
            children.start(name, [sys.executable, "-c", code, name], {})
            output = tmp_path / f"{name}.log"
            children.wait_until(lambda o=output: "ready" in o.read_text(), name, 10)

    assert log.read_text() == "cba"


def test_a_child_that_will_not_end_is_killed_and_named(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(processes, "TERMINATE_S", 0.2)
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with Children(tmp_path) as children:
        children.start("stubborn", [sys.executable, "-c", code], {})
        log = tmp_path / "stubborn.log"
        children.wait_until(lambda: "ready" in log.read_text(), "it", 10)
        process = children._children[0].process

    assert process.returncode == -9
    assert f"stubborn did not end within 0.2 s and was killed; its log is {log}" in (
        caplog.text
    )


def test_a_child_that_even_stays_when_killed_is_named_and_the_others_end(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(processes, "TERMINATE_S", 0.1)
    monkeypatch.setattr(processes, "KILL_S", 0.1)
    with Children(tmp_path) as children:
        children.start("other", SLEEP, {})
        children.start("stuck", SLEEP, {})
        other, stuck = (child.process for child in children._children)
        for signal in ("terminate", "kill"):
            monkeypatch.setattr(stuck, signal, lambda: None)

    assert f"stuck (process {stuck.pid}) was killed and stays" in caplog.text
    assert other.returncode is not None
    monkeypatch.undo()
    stuck.kill()
    stuck.wait(10)


def test_a_child_can_be_killed_as_by_a_crash(tmp_path):
    with Children(tmp_path) as children:
        children.start("victim", SLEEP, {})
        pid = children._children[0].process.pid
        children.kill("victim")
        assert not _is_running(pid)
        children.check()


def test_a_child_that_ended_is_named_with_the_end_of_its_log(tmp_path):
    code = "print('one'); print('port is taken'); raise SystemExit(3)"
    with Children(tmp_path) as children:
        children.start("tiled", [sys.executable, "-c", code], {})
        with pytest.raises(ProcessError, match=r"(?s)tiled ended with code 3.*taken"):
            children.wait_until(lambda: False, "Tiled", 10)


def test_waiting_has_an_end(tmp_path):
    before = time.monotonic()
    with Children(tmp_path) as children:
        children.start("sleeper", SLEEP, {})
        with pytest.raises(ProcessError, match=r"it was not ready after 0\.2 s"):
            children.wait_until(lambda: False, "it", 0.2)

    assert time.monotonic() - before < 5


def test_the_environment_reaches_the_child(tmp_path):
    code = "import os, time; print(os.environ['KEY'], flush=True); time.sleep(60)"
    with Children(tmp_path) as children:
        children.start("it", [sys.executable, "-c", code], {"KEY": "secret"})
        log = tmp_path / "it.log"
        children.wait_until(lambda: log.read_text() == "secret\n", "it", 10)


def test_free_ports_are_different_and_nothing_listens_on_them():
    ports = free_ports(200)

    assert len(set(ports)) == 200
    assert not any(listens(port) for port in ports[:5])


def test_ports_are_held_until_all_are_chosen(monkeypatch):
    """A system that gives the lowest free port, as some do."""
    taken = set()

    class Probe:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            taken.discard(self.port)

        def bind(self, _):
            self.port = min(set(range(9000, 9010)) - taken)
            taken.add(self.port)

        def getsockname(self):
            return "127.0.0.1", self.port

    monkeypatch.setattr("socket.socket", Probe)
    assert free_ports(3) == [9000, 9001, 9002]
