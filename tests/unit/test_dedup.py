"""The dedup window: every row of its table, its bounds, and its way through a manifest."""

from __future__ import annotations

import msgpack

from shardstore.identifiers import ClientId, RequestId
from shardstore.limits import DEDUP_CLIENTS, DEDUP_WINDOW
from shardstore.workers.ranges.dedup import DedupWindow, Noted, Verdict


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


def test_joined_windows_know_what_any_of_them_knows() -> None:
    left, right = DedupWindow(), DedupWindow()
    for sequence in (1, 4):
        left.note(request(7, sequence), 10 + sequence)
    for sequence in (2, 3):
        right.note(request(7, sequence), 20 + sequence)
    right.note(request(8, 9), 30)
    whole = DedupWindow.joined([left, right])
    for sequence, lsn in ((1, 11), (2, 22), (3, 23), (4, 14)):
        assert whole.judge(request(7, sequence), retry=True) is Verdict.DUPLICATE
        assert whole.noted(request(7, sequence)) == Noted(lsn, None)
    assert whole.judge(request(7, 5), retry=False) is Verdict.NEW
    assert whole.judge(request(8, 9), retry=True) is Verdict.DUPLICATE
    assert left.judge(request(7, 2), retry=True) is Verdict.TOO_OLD, "they are as they were"


def test_of_joined_windows_the_highest_floor_counts() -> None:
    left, right = DedupWindow(window=2), DedupWindow()
    for sequence in (10, 11, 12):
        left.note(request(7, sequence), sequence)
    right.note(request(7, 3), 99)
    whole = DedupWindow.joined([left, right])
    assert whole.judge(request(7, 3), retry=True) is Verdict.DUPLICATE
    for sequence in (4, 10):
        assert whole.judge(request(7, sequence), retry=True) is Verdict.TOO_OLD


def test_a_joined_window_is_bounded_and_its_floor_never_goes_back() -> None:
    left, right = DedupWindow(), DedupWindow()
    for sequence in range(1, DEDUP_WINDOW + 1):
        left.note(request(7, 2 * sequence), sequence)
        right.note(request(7, 2 * sequence + 1), sequence)
    whole = DedupWindow.joined([left, right])
    newest = 2 * DEDUP_WINDOW + 1
    assert whole.judge(request(7, newest - DEDUP_WINDOW + 1), retry=True) is Verdict.DUPLICATE
    assert whole.judge(request(7, newest - DEDUP_WINDOW), retry=True) is Verdict.TOO_OLD
    left, right = DedupWindow(window=1), DedupWindow()
    left.note(request(7, 50), 1)
    left.note(request(7, 51), 2)
    for sequence in range(1, DEDUP_WINDOW):
        right.note(request(7, sequence), sequence)
    whole = DedupWindow.joined([left, right])
    for sequence in range(2_000, 2_003):
        whole.note(request(7, sequence), sequence)
    carried = DedupWindow.from_document(whole.to_document(0))
    assert carried.judge(request(7, 49), retry=True) is Verdict.TOO_OLD, "another window had passed it"


def test_joined_clients_are_bounded_and_that_one_was_forgotten_is_known() -> None:
    left, right = DedupWindow(), DedupWindow()
    for client in range(1, DEDUP_CLIENTS + 1):
        left.note(request(client, 1), client)
    right.note(request(DEDUP_CLIENTS + 1, 1), 1)
    whole = DedupWindow.joined([left, right])
    assert whole.judge(request(1, 1), retry=True) is Verdict.TOO_OLD
    assert whole.judge(request(2, 1), retry=True) is Verdict.DUPLICATE
    assert whole.judge(request(DEDUP_CLIENTS + 1, 1), retry=True) is Verdict.DUPLICATE
    assert DedupWindow.joined([DedupWindow(), whole]).judge(request(1, 1), retry=True) is Verdict.TOO_OLD


def test_what_is_carried_is_known_whatever_log_it_comes_to() -> None:
    window = DedupWindow()
    window.note(request(7, 4), 1_000_000)
    window.note(request(7, 5), 1_000_001, b"7")
    carried = DedupWindow.from_document(msgpack.unpackb(msgpack.packb(window.to_carry()), strict_map_key=False))
    assert [carried.noted(request(7, sequence)) for sequence in (4, 5)] == [Noted(0, None), Noted(0, b"7")]
    assert carried.judge(request(7, 3), retry=True) is Verdict.TOO_OLD
    assert carried.judge(request(7, 6), retry=True) is Verdict.NEW
    drained = DedupWindow.from_document(carried.to_document(3))
    assert drained.judge(request(7, 5), retry=True) is Verdict.DUPLICATE, "a manifest of another log keeps it"
