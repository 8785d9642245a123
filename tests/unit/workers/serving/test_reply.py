"""The replies to waiting requests."""

from __future__ import annotations

import pytest

from shardstore.wire.messages import Refusal, decode
from shardstore.wire.wire_format import Header, Op, Status, decode_reply
from shardstore.workers.serving.reply import Asker


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("", "segment 7 has no files of its own yet"),
        ("disk full", "segment 7 has no files of its own yet, the latest job failed: disk full"),
    ],
)
def test_who_waits_for_the_files_of_a_child_is_told_what_keeps_them(failure: str, words: str) -> None:
    answer = Asker("clients", b"peer", Header(Op.SCAN)).wait_for_files(7, failure)
    assert decode_reply(answer.frames).status == Status.UNAVAILABLE
    assert decode(Refusal, answer.frames[1]).what == words
