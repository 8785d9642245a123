"""The dedup window: every row of its table, its bounds, and its way through a manifest."""

from __future__ import annotations

from shardstore.identifiers import ClientId, RequestId
from workers.ranges.dedup import DedupWindow, Verdict


def request(client: int, sequence: int) -> RequestId:
    return RequestId(ClientId(client), sequence)


def test_known_sequence_is_a_duplicate_with_its_lsn() -> None:
    window = DedupWindow()
    window.note(request(7, 1), 11)
    assert window.judge(request(7, 1), retry=True) is Verdict.DUPLICATE
    assert window.judge(request(7, 1), retry=False) is Verdict.DUPLICATE
    assert window.noted(request(7, 1)) == (11, None)
    assert window.judge(request(7, 2), retry=True) is Verdict.NEW
    assert window.judge(request(8, 1), retry=True) is Verdict.NEW


def test_sequence_below_the_window_is_too_old_even_when_it_was_never_applied() -> None:
    window = DedupWindow(window=2)
    for sequence in (3, 5, 6, 7):
        window.note(request(7, sequence), sequence)
    assert window.judge(request(7, 4), retry=True) is Verdict.TOO_OLD
    assert window.judge(request(7, 5), retry=True) is Verdict.TOO_OLD
    assert window.judge(request(7, 6), retry=True) is Verdict.DUPLICATE


def test_sequence_that_was_overtaken_is_never_applied() -> None:
    window = DedupWindow()
    window.note(request(7, 9), 1)
    for retry in (False, True):
        assert window.judge(request(7, 8), retry) is Verdict.TOO_OLD
        assert window.judge(request(7, 10), retry) is Verdict.NEW
    carried = DedupWindow.from_document(window.to_document(1))
    assert carried.judge(request(7, 8), retry=False) is Verdict.TOO_OLD
    assert window.judge(request(8, 8), retry=False) is Verdict.NEW


def test_retry_of_a_forgotten_client_is_too_old_and_its_new_requests_are_new() -> None:
    window = DedupWindow(clients=2)
    for client in (1, 2, 1, 3):  # client 2 was silent longest
        window.note(request(client, client), client)
    assert window.judge(request(2, 2), retry=True) is Verdict.TOO_OLD
    assert window.judge(request(2, 3), retry=False) is Verdict.NEW
    assert window.judge(request(1, 1), retry=True) is Verdict.DUPLICATE


def test_manifest_carries_only_what_is_logged_up_to_the_drained_lsn() -> None:
    window = DedupWindow()
    window.note(request(7, 1), 10)
    window.note(request(7, 2), 20)
    window.note(request(8, 1), 21)
    carried = DedupWindow.from_document(window.to_document(10))
    assert carried.judge(request(7, 1), retry=True) is Verdict.DUPLICATE
    assert carried.judge(request(7, 2), retry=True) is Verdict.NEW
    assert carried.judge(request(8, 1), retry=True) is Verdict.NEW
    assert DedupWindow.from_document({}).judge(request(7, 1), retry=True) is Verdict.NEW


def test_floor_and_forgetting_survive_the_manifest() -> None:
    window = DedupWindow(window=1, clients=1)
    for client, sequence in ((1, 1), (2, 1), (2, 2)):
        window.note(request(client, sequence), sequence)
    carried = DedupWindow.from_document(window.to_document(99))
    assert carried.judge(request(2, 1), retry=True) is Verdict.TOO_OLD
    assert carried.judge(request(1, 1), retry=True) is Verdict.TOO_OLD
