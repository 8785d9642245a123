"""The limits of batches: the same data through a bare dict, a bare file and bare pyzmq."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import zmq

from benchmarks.child import child_process, endpoints
from benchmarks.records import Records
from benchmarks.settings import Settings
from benchmarks.timing import Figures, medians, rate
from shardstore.limits import KIB
from shardstore.wire.wire_format import HEADER_BYTES

COPY_BYTES_MAX = 64 * KIB
"""Longer frames are sent without a copy, which is faster above about this size."""
ANSWER_MS = 60_000


def dict_update(settings: Settings, records: Records) -> Figures:
    """Put all records into an empty dict."""

    def run() -> Figures:
        table: dict[bytes, bytes] = {}
        return rate(len(records.keys), lambda: table.update(zip(records.keys, records.values, strict=True)))

    return _median_of_runs(settings, run)


def dict_get(settings: Settings, records: Records) -> Figures:
    """Read the keys from a dict that holds the records."""
    table = dict(zip(records.keys, records.values, strict=True))
    keys, _ = records.reads()
    return _median_of_runs(settings, lambda: rate(len(keys), lambda: list(map(table.get, keys))))


def synced_write(settings: Settings, records: Records, entries: int) -> Figures:
    """Append keys and values to a file, with a sync after every `entries` entries."""
    pieces = _pieces(records, entries)

    def run() -> Figures:
        with settings.temporary_directory() as directory, open(f"{directory}/log", "wb", buffering=0) as file:
            return rate(len(records.keys), lambda: _write_and_sync(file.fileno(), pieces))

    return _median_of_runs(settings, run)


def one_way(settings: Settings, records: Records, entries: int) -> Figures:
    """Send keys and values to another process in messages of `entries` entries, until the last has arrived."""
    messages = [[bytes(HEADER_BYTES), *piece] for piece in _pieces(records, entries)]
    return _median_of_runs(settings, lambda: _send_one_way(messages, len(records.keys)))


def _median_of_runs(settings: Settings, run: Callable[[], Figures]) -> Figures:
    return medians([run() for _ in range(settings.runs)])


def _write_and_sync(descriptor: int, pieces: Sequence[tuple[bytes, bytes]]) -> None:
    for piece in pieces:
        os.writev(descriptor, piece)
        os.fdatasync(descriptor)


def _send_one_way(messages: Sequence[list[bytes]], entries: int) -> Figures:
    with ExitStack() as stack:
        endpoint = stack.enter_context(endpoints("sink"))[0]
        stack.enter_context(child_process(_receive, endpoint, len(messages)))
        socket = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.PAIR))
        socket.set(zmq.LINGER, 0)
        socket.bind(endpoint)
        _wait(socket)

        def send() -> None:
            for message in messages:
                socket.send_multipart(message, copy=len(message[-1]) <= COPY_BYTES_MAX)
            _wait(socket)

        return rate(entries, send)


def _pieces(records: Records, entries: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"".join(records.keys[at : at + entries]), b"".join(records.values[at : at + entries]))
        for at in range(0, len(records.keys), entries)
    ]


def _wait(socket: zmq.Socket[bytes]) -> None:
    if not socket.poll(ANSWER_MS):
        raise SystemExit("the receiving process does not reply")
    socket.recv()


def _receive(endpoint: str, messages: int) -> None:
    socket = zmq.Context().socket(zmq.PAIR)
    socket.connect(endpoint)
    socket.send(b"ready")
    for _ in range(messages):
        socket.recv_multipart()
    socket.send(b"done")
