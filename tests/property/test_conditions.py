"""Random conditional operations, retries, outcome questions, syncs, drains and kills against a model of the worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.options import Durability
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.worker_driver import WorkerDriver

KEYS = [b"a", b"b", b"c"]
VALUES = [None, b"", b"x", b"3"]
CLIENTS = [11, 12]
OPERATION = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.tuples(st.just("compare"), st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from(VALUES)),
    st.tuples(st.just("increment"), st.sampled_from(KEYS), st.sampled_from([1, -4, 2**63 - 1])),
)
ACTION = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(CLIENTS), OPERATION),
    st.tuples(st.just("ask"), st.sampled_from(CLIENTS), OPERATION),
    st.tuples(st.just("again"), st.sampled_from(CLIENTS)),
    st.tuples(st.just("outcome"), st.sampled_from(CLIENTS)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("flush")),
    st.tuples(st.just("kill")),
)


class Model:
    """Every request takes effect when the worker receives it. A restart undoes nothing, since power is never lost.

    A request may be retried unless a later one of its client has overtaken it; the reply is then the same.
    """

    def __init__(self, root: Path, durability: Durability) -> None:
        self.worker = WorkerDriver(root, durability).serve()
        self.values: dict[bytes, bytes] = {}
        self.latest: dict[int, tuple[int, tuple[Any, ...], Any]] = {}
        self.sequences = dict.fromkeys(CLIENTS, 0)
        self.questions = 1_000_000
        self.expected: list[tuple[int, Any]] = []

    def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("ask", client, operation):
                self.sequences[client] += 1
                told = self.effect(operation)
                self.latest[client] = (self.sequences[client], operation, told)
                self.send(client, *self.latest[client])
            case ("again", client) if client in self.latest:
                self.send(client, *self.latest[client], flags=int(Flag.RETRY))
            case ("outcome", client) if client in self.latest:
                self.ask_outcome(client)
            case ("sync",) if self.worker.syncs:
                self.worker.sync()
            case ("flush",):
                self.questions += 1
                self.worker.ask(Op.FLUSH, client=99, sequence=self.questions)
                self.worker.settle()
            case ("kill",):
                self.kill()

    def effect(self, operation: tuple[Any, ...]) -> Any:
        """The reply: True or False for a condition, a number for an increment, a status for a refusal or a put."""
        kind, key, *rest = operation
        before = self.values.get(key)
        if kind == "increment":
            if before not in (None, b"3") and not (before or b"").lstrip(b"-").isdigit():
                return Status.INVALID
            number = int(before or b"0") + rest[0]
            if not -(2**63) <= number < 2**63:
                return Status.INVALID
            self.values[key] = b"%d" % number
            return number
        if kind == "compare" and before != rest[0]:
            return False
        if rest[-1] is None:
            self.values.pop(key, None)
        else:
            self.values[key] = rest[-1]
        return True if kind == "compare" else Status.OK

    def send(self, client: int, sequence: int, operation: tuple[Any, ...], told: Any, flags: int = 0) -> None:
        fields = {"client": client, "sequence": sequence * 100 + client, "flags": flags}
        match operation:
            case ("put", key, None):
                fields.pop("flags")
                self.worker.delete([key], **fields)
            case ("put", key, value):
                self.worker.put({key: value}, **fields)
            case ("compare", key, expected, value):
                self.worker.compare_and_set(key, expected, value, **fields)
            case ("increment", key, by):
                self.worker.increment(key, by, **fields)
        self.expected.append((fields["sequence"], told))

    def ask_outcome(self, client: int) -> None:
        sequence, operation, told = self.latest[client]
        self.questions += 1
        asked = self.worker.outcome(operation[1], sequence * 100 + client, client, client=99, sequence=self.questions)
        self.expected.append((asked, "not_applied" if failed(told) else "applied"))

    def kill(self) -> None:
        """Retry requests without a reply. A failed condition may be evaluated again unless its reply has arrived."""
        self.worker.settle()
        self.check_answers()
        self.latest = {client: latest for client, latest in self.latest.items() if not failed(latest[2])}
        self.worker = WorkerDriver(
            self.worker.root, self.worker.durability, epoch=self.worker.epoch + 1, create=False
        ).serve()

    def check_answers(self) -> None:
        for sequence, told in self.expected:
            for header, _frames in self.worker.answers(sequence):
                if isinstance(told, Status):
                    assert header.status == told
                else:
                    assert header.status == Status.OK
                    assert self.worker.told(sequence) == told
            assert self.worker.answers(sequence), "no answer"
        self.expected.clear()


def failed(told: Any) -> bool:
    return told is False or told is Status.INVALID


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(Durability)), st.lists(ACTION, min_size=5, max_size=60))
def test_conditions_are_judged_and_told_as_by_a_register(durability: Durability, actions: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as root:
        model = Model(Path(root), durability)
        for action in actions:
            model.act(action)
        model.worker.settle()
        model.check_answers()
        assert model.worker.get(KEYS) == [model.values.get(key) for key in KEYS]
