"""What is known to be empty is empty, whatever is put; and it is remembered as long as nothing is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.workers.ranges.empty_spans import SPANS_MAX, EmptySpans
from tests.unit.test_deleted_keys import key

SPANS = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda span: KeyRange(key(span[0]), key(sum(span))))


class Model(RuleBasedStateMachine):
    """Beside the numbers below 100 that have no value, as far as was said."""

    def __init__(self) -> None:
        super().__init__()
        self.spans = EmptySpans()
        self.empty: set[int] = set()

    @rule(found=st.one_of(SPANS, st.just(KeyRange(key(70)))))
    def note(self, found: KeyRange) -> None:
        self.spans.note(found)
        self.empty |= {number for number in range(100) if key(number) in found}

    @rule(numbers=st.lists(st.integers(0, 99), max_size=3))
    def put(self, numbers: list[int]) -> None:
        self.spans.note_put([key(number) for number in numbers])
        self.empty -= set(numbers)

    @rule(wanted=st.one_of(SPANS, st.just(EVERYTHING)), reverse=st.booleans())
    def ask(self, wanted: KeyRange, reverse: bool) -> None:
        left = self.spans.left_of(wanted, reverse)
        passed = {
            number for number in range(100) if key(number) in wanted and (left is None or key(number) not in left)
        }
        assert passed <= self.empty
        if left is not None:
            assert left.start == wanted.start if reverse else left.end == wanted.end


TestModel = Model.TestCase


@given(SPANS, st.booleans())
def test_a_span_is_left_out_from_either_end(span: KeyRange, reverse: bool) -> None:
    spans = EmptySpans()
    spans.note(span)
    assert spans.left_of(EVERYTHING, reverse) == EVERYTHING, "it is in the middle"
    assert spans.left_of(span, reverse) is None
    wider = KeyRange(b"", span.end) if reverse else KeyRange(span.start, b"")
    left = KeyRange(b"", span.start) if reverse else KeyRange(span.end, b"")
    assert spans.left_of(wider, reverse) == left


def test_spans_that_touch_are_one() -> None:
    spans = EmptySpans()
    for first in (20, 0, 10):
        spans.note(KeyRange(key(first), key(first + 10)))
    assert spans.left_of(KeyRange(key(0)), reverse=False) == KeyRange(key(30))


def test_a_put_takes_only_its_own_place_out() -> None:
    spans = EmptySpans()
    spans.note(EVERYTHING)
    spans.note_put([key(50)])
    assert spans.left_of(EVERYTHING, reverse=False) == KeyRange(key(50))
    assert spans.left_of(EVERYTHING, reverse=True) == KeyRange(b"", key(50) + b"\0")


def test_many_puts_into_one_span_leave_few_spans() -> None:
    spans = EmptySpans()
    spans.note(EVERYTHING)
    for number in range(10 * SPANS_MAX):
        spans.note_put([key(number)])
        assert len(spans._spans) <= SPANS_MAX
    assert spans.left_of(KeyRange(key(number) + b"\0"), reverse=False) is None


def test_the_latest_are_kept() -> None:
    spans = EmptySpans()
    found = [KeyRange(key(3 * at), key(3 * at + 1)) for at in range(SPANS_MAX + 1)]
    for span in found:
        spans.note(span)
    assert [spans.left_of(span, reverse=False) for span in found] == [found[0]] + [None] * SPANS_MAX
