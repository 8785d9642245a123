"""The demonstration: loads real data, kills a worker meanwhile, and compares every byte.

Writes each line of the Python standard library's source under the key `path:line-number`, kills a worker with SIGKILL
half-way and continues. Then it reads every file back by a scan of its prefix and compares it with the original.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from datasets.pysource import SourceFile, source_files
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from shardstore import Client, LocalCluster, OutcomeUnknown, Unavailable

BATCH = 16_384
TIMEOUT_SECONDS = 60.0
VICTIM = "worker-0"


def run(cluster: LocalCluster, data: Path, console: Console) -> bool:
    """Load all files, kill a worker, and read all back. Returns whether every file is unchanged."""
    files = source_files()
    total = sum(len(file.content.splitlines()) for file in files)
    console.print(f"{len(files):,} files of the standard library, {total:,} lines; store in {data}", soft_wrap=True)
    with cluster.connect() as db, _progress(console) as progress:
        started = time.perf_counter()
        repeated = _load(db, cluster, files, total, progress)
        loaded = time.perf_counter()
        db.flush(timeout=TIMEOUT_SECONDS)
        flushed = time.perf_counter()
        different = _compare(db, files, total, progress)
        compared = time.perf_counter()
    console.print(
        f"wrote    {_rate(total, loaded - started)}, while {VICTIM} was killed ({repeated} batches repeated)",
        soft_wrap=True,
    )
    console.print(f"flushed  in {flushed - loaded:.2f} s; {_bytes_on_disk(data):,} bytes on disk")
    console.print(f"read     {_rate(total, compared - flushed)}, {len(files):,} prefix scans")
    for file in different:
        console.print(f"[red]different: {os.fsdecode(file.name)}[/red]")
    console.print("all files are the same, byte for byte" if not different else f"{len(different)} files differ")
    return not different


def _load(db: Client, cluster: LocalCluster, files: list[SourceFile], total: int, progress: Progress) -> int:
    """Write every record. Returns how many batches were repeated because a worker was killed."""
    bar = progress.add_task("writing", total=total)
    records = (record for file in files for record in file.records())
    repeated = written = 0
    while batch := list(islice(records, BATCH)):
        half_way = written < total // 2 <= written + len(batch)
        stream = _with_a_kill(batch, cluster, progress) if half_way else batch
        while not _written(db, stream):
            repeated += 1
            stream = batch
        written += len(batch)
        progress.update(bar, completed=written)
    return repeated


def _written(db: Client, records: Iterable[tuple[bytes, bytes]]) -> bool:
    """Write the records. Returns False if they must be written again, since they may not have been written."""
    try:
        db.put_many(records, timeout=TIMEOUT_SECONDS)
    except (OutcomeUnknown, Unavailable):
        return False
    return True


def _with_a_kill(
    batch: list[tuple[bytes, bytes]], cluster: LocalCluster, progress: Progress
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the batch, and kill a worker after its first half."""
    yield from batch[: len(batch) // 2]
    pid = cluster.processes()[VICTIM]
    os.kill(pid, signal.SIGKILL)
    progress.console.print(f"killed {VICTIM} (process {pid}) with SIGKILL; still writing")
    yield from batch[len(batch) // 2 :]


def _compare(db: Client, files: list[SourceFile], total: int, progress: Progress) -> list[SourceFile]:
    bar = progress.add_task("reading back", total=total)
    different = []
    for file in files:
        found = list(db.scan(prefix=file.prefix, timeout=TIMEOUT_SECONDS))
        if found != list(file.records()) or b"".join(value for _, value in found) != file.content:
            different.append(file)
        progress.advance(bar, len(found))
    return different


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _rate(records: int, seconds: float) -> str:
    return f"{records:,} records in {seconds:.2f} s, {records / seconds:,.0f} a second"


def _bytes_on_disk(data: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in data.rglob("*") if path.is_file())
