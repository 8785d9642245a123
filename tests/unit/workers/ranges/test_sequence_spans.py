"""Spans as bytes: from columns as from a list."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shardstore.workers.ranges.sequence_spans import (
    APPLIED,
    COUNTED,
    SPAN_BYTES_MAX,
    SequenceSpan,
    decode_spans,
    encode_span,
    encode_span_columns,
    encode_spans,
)

STEPS = st.one_of(st.integers(1, 3), st.integers(100, 20_000), st.integers(2**40, 2**55))


@given(
    steps=st.lists(st.tuples(STEPS, STEPS), min_size=1, max_size=30),
    kind=st.sampled_from([APPLIED, COUNTED]),
    before=st.integers(0, 2**62),
)
def test_columns_of_spans_are_encoded_as_the_list_of_them(steps: list[tuple[int, int]], kind: int, before: int) -> None:
    spans, last = [], before
    for gap, length in steps:
        first = last + gap
        last = first + length - 1
        spans.append(SequenceSpan(first, last, kind))
    firsts, lasts = (np.array([span[side] for span in spans], np.uint64) for side in (0, 1))
    known = SequenceSpan(before, before, kind)
    assert encode_spans([known]) + encode_span_columns(firsts, lasts, kind, before) == encode_spans([known, *spans])
    assert encode_span_columns(firsts, lasts, kind, 0) == encode_spans(spans)
    assert decode_spans(encode_span_columns(firsts, lasts, kind, 0)) == spans


def test_a_span_has_a_maximum_size() -> None:
    assert len(encode_span(2**64 - 1, 2**64 - 1, COUNTED, 0)) <= SPAN_BYTES_MAX
    assert len(encode_span(1, 2**62, COUNTED, 0)) <= SPAN_BYTES_MAX
