"""The output of launch_cluster.py: how to connect, and a status line that continues whatever is down."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import cluster_console
import pytest
import status_line
from rich.console import Console
from status_line import Snapshot, StatusLine

from shardstore.errors import Unavailable

UP = {"keys": {"PUT": 7, "GET": 3}, "buffered_bytes": 2048, "wal": {"retained_bytes": 5}}
DOWN = {"unavailable": "worker 1 is down"}


def test_the_line_tells_of_a_worker_that_is_down() -> None:
    stats = {"router": {"ranges": 8, "workers": {0: {"state": "up"}, 1: {"state": "down"}}}, 0: UP, 1: DOWN}
    line = Snapshot.of(stats).line(None, 1.0)
    assert line.partition("buffered")[2] == " 2.0 KiB   WAL 5 B   8 ranges   1 of 2 workers up"


def test_without_figures_of_the_router_there_is_no_line() -> None:
    with pytest.raises(Unavailable, match="no answer within 2 s"):
        Snapshot.of({"router": {"unavailable": "no answer within 2 s"}, 0: UP})


class Flaky:
    """A client whose cluster cannot be reached at first, then has no statistics, and then some."""

    def __init__(self) -> None:
        self.answers: Iterator[Any] = iter([Unavailable("nobody listens"), self, Unavailable("the router is down")])
        self.closed = Event()

    def connect(self, url: str, timeout: float) -> Flaky:
        return self._next()

    def stats(self, timeout: float) -> dict[Any, Any]:
        return self._next()

    def close(self) -> None:
        self.closed.set()

    def _next(self) -> Any:
        answer = next(self.answers, {"router": {"ranges": 1, "workers": {0: {"state": "up"}}}, 0: UP})
        if isinstance(answer, Unavailable):
            raise answer
        return answer


def test_the_line_survives_every_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky, shown, seen = Flaky(), [], Event()

    def show(text: str, soft_wrap: bool) -> None:
        shown.append(text)
        if len(shown) == 3:
            seen.set()

    console = Console(file=io.StringIO())
    monkeypatch.setattr(console, "print", show)
    monkeypatch.setattr(status_line, "connect", flaky.connect)
    monkeypatch.setattr(status_line, "SECONDS_ELSEWHERE", 0.001)
    line = StatusLine(console)
    line.start("unix://x")
    assert seen.wait(20)
    line.stop()
    assert shown[:2] == ["no statistics: nobody listens", "no statistics: the router is down"]
    assert "1 of 1 workers up" in shown[2]
    assert flaky.closed.is_set()


def test_printed_commands_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "it's [red]here"
    console = Console(file=io.StringIO(), highlight=False)
    monkeypatch.setattr(cluster_console, "serve", lambda settings, on_ready: on_ready("unix://x"))
    monkeypatch.setattr(StatusLine, "start", lambda self, url: None)
    cluster_console._serve({"data": data}, console)
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    [shell] = [line.partition(":")[2] for line in printed if line.lstrip().startswith("in a shell:")]
    assert shlex.split(shell)[1:] == ["put", "greeting", "hello", "--data", str(data)]
    [python] = [line.partition(":")[2] for line in printed if line.lstrip().startswith("in Python:")]
    assert repr(str(data)) in python
    compile(python.strip(), "printed", "exec")
