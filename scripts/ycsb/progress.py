"""The progress display of a phase: an updated line on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ycsb import run
from ycsb.settings import Phase, Settings

SECONDS_BETWEEN_LINES = 5


@contextmanager
def shown(settings: Settings, console: Console) -> Iterator[run.OnProgress]:
    """Yields a function for `run_phase` that shows the progress of the phase."""
    doing = "loading" if settings.phase is Phase.LOAD else f"running {settings.workload}"
    total = settings.operations_expected
    if not console.is_terminal:
        yield lambda progress: _print(doing, progress, total, console)
        return
    now = TextColumn("{task.fields[now]}", markup=False)
    with Progress(
        TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn(), now, console=console, transient=True
    ) as display:
        bar = display.add_task(doing, total=total, now="")
        yield lambda progress: display.update(bar, completed=progress.operations, now=_now(progress))


def _print(doing: str, progress: run.Progress, total: int | None, console: Console) -> None:
    if progress.point.second % SECONDS_BETWEEN_LINES == 0:
        of_all = "" if total is None else f" of {total:,}"
        console.print(f"{doing}: {progress.operations:,}{of_all} operations, {_now(progress)}", soft_wrap=True)


def _now(progress: run.Progress) -> str:
    point = progress.point
    faults = f", {progress.faults:,} faults" if progress.faults else ""
    return f"{point.operations:,}/s, p50 {point.p50_ns / 1e3:,.0f} us, p99 {point.p99_ns / 1e3:,.0f} us{faults}"
