"""Random batches with conditions, takes, retries, syncs, drains and kills against a model of the worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.options import Durability
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.worker_driver import WorkerDriver, scan_all

KEYS = [b"a", b"b", b"c", b"d", b"e", b"ff"]
VALUES = [None, b"", b"1", b"22"]
CLIENTS = [11, 12, 13]
BOUNDS = [b"", b"b", b"d", b"d\0"]
changes = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=4)
conditions = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
bounds = st.tuples(st.sampled_from(BOUNDS), st.sampled_from(BOUNDS)).filter(lambda each: not each[1] or each < each[1:])
OPERATION = st.one_of(
    st.tuples(st.just("batch"), changes, st.just({})),
    st.tuples(st.just("batch"), changes, conditions),
    st.tuples(st.just("take"), bounds, st.booleans()),
    st.tuples(st.just("take"), st.just((b"", b"")), st.booleans()),
)
ACTION = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(CLIENTS), OPERATION),
    st.tuples(st.just("ask"), st.sampled_from(CLIENTS), OPERATION),
    st.tuples(st.just("ask"), st.sampled_from(CLIENTS), OPERATION),
    st.tuples(st.just("again"), st.sampled_from(CLIENTS)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("flush")),
    st.tuples(st.just("kill")),
    st.tuples(st.just("scan")),
)
NOTHING = None


class Model:
    """Every request takes effect when the worker receives it. A restart undoes nothing, since power is never lost."""

    def __init__(self, root: Path, durability: Durability) -> None:
        self.worker = WorkerDriver(root, durability).serve()
        self.values: dict[bytes, bytes] = {}
        self.latest: dict[int, tuple[int, tuple[Any, ...], Any]] = {}
        self.sequences = dict.fromkeys(CLIENTS, 0)
        self.flushes = 0
        self.expected: list[tuple[int, str, Any]] = []

    def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("ask", client, operation):
                self.sequences[client] += 1
                told = self.effect(operation)
                self.latest[client] = (self.sequences[client], operation, told)
                self.send(client, *self.latest[client])
            case ("again", client) if client in self.latest:
                self.send(client, *self.latest[client], flags=int(Flag.RETRY))
            case ("sync",) if self.worker.syncs:
                self.worker.sync()
            case ("flush",):
                self.flushes += 1
                self.worker.ask(Op.FLUSH, client=99, sequence=1_000_000 + self.flushes)
                self.worker.settle()
            case ("kill",):
                self.kill()
            case ("scan",):
                self.worker.settle()
                assert scan_all(self.worker, ScanRequest()) == sorted(self.values.items())

    def effect(self, operation: tuple[Any, ...]) -> Any:
        """What the reply says: whether a batch was applied, or the entry that was taken."""
        match operation:
            case ("batch", changes, required):
                if any(self.values.get(key) != value for key, value in required.items()):
                    return False
                self.values |= changes
                self.values = {key: value for key, value in self.values.items() if value is not None}
                return True
            case ("take", (start, end), reverse):
                keys = sorted(key for key in self.values if key >= start and (not end or key < end))
                if not keys:
                    return NOTHING
                key = keys[-1 if reverse else 0]
                return key, self.values.pop(key)
        raise AssertionError(operation)

    def send(self, client: int, sequence: int, operation: tuple[Any, ...], told: Any, flags: int = 0) -> None:
        fields = {"client": client, "sequence": sequence * 1_000 + client * 10, "flags": flags}
        match operation:
            case ("batch", changes, required):
                self.worker.batch(changes, required, **fields)
            case ("take", (start, end), reverse):
                self.worker.take(start, end, reverse, **fields)
        self.expected.append((fields["sequence"], operation[0], told))

    def kill(self) -> None:
        """What logged nothing may be judged again after a kill, unless its reply has arrived."""
        self.worker.settle()
        self.check_answers()
        self.latest = {client: latest for client, latest in self.latest.items() if logged(*latest[1:])}
        self.worker = WorkerDriver(
            self.worker.root, self.worker.durability, epoch=self.worker.epoch + 1, create=False
        ).serve()

    def check_answers(self) -> None:
        for sequence, kind, told in self.expected:
            answers = self.worker.answers(sequence)
            assert answers, "no answer"
            for header, frames in answers:
                assert header.status == Status.OK
                entry = (frames[1], frames[2]) if kind == "take" and header.entries else NOTHING
                assert told == (entry if kind == "take" else bool(header.entries))
        self.expected.clear()


def logged(operation: tuple[Any, ...], told: Any) -> bool:
    return told not in (False, NOTHING) and bool(operation[0] == "take" or operation[1])


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(list(Durability)), st.lists(ACTION, min_size=5, max_size=60))
def test_batches_and_takes_are_those_of_a_sorted_dict(durability: Durability, actions: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as root:
        model = Model(Path(root), durability)
        for action in actions:
            model.act(action)
        model.act(("scan",))
        model.check_answers()
        assert model.worker.get(KEYS) == [model.values.get(key) for key in KEYS]
