"""The dedup window: every row of its table, its bounds, and its form in a manifest."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import ClientId, RequestId
from shardstore.limits import DEDUP_BYTES_MAX, DEDUP_CLIENTS, DEDUP_VALUES, DEDUP_WINDOW, MIB
from shardstore.workers.ranges.dedup import DedupVerdict, DedupWindow, Noted, WindowLimits
from shardstore.workers.ranges.results import BARRED, FAILED, Taken, WriteResult


def request(client: int, sequence: int) -> RequestId:
    return RequestId(ClientId(client), sequence)


def small(**limits: int) -> DedupWindow:
    return DedupWindow(WindowLimits(**limits))


def note(window: DedupWindow, client: int, *sequences: int, result: WriteResult = None) -> DedupWindow:
    """Note requests, and make all of them durable."""
    for sequence in sequences:
        window.note(request(client, sequence), sequence, sequence, result)
    return window


def reread(window: DedupWindow) -> DedupWindow:
    """The window after it was encoded and decoded, as in a file or a message."""
    return DedupWindow.from_document(msgpack.unpackb(msgpack.packb(window.to_carry()), strict_map_key=False))


def test_known_sequence_is_a_duplicate_with_its_lsn() -> None:
    window = DedupWindow()
    window.note(request(7, 1), 11, 10)
    assert window.judge(request(7, 1), retry=True) is DedupVerdict.DUPLICATE
    assert window.judge(request(7, 1), retry=False) is DedupVerdict.DUPLICATE
    assert window.noted(request(7, 1)) == (11, None)
    assert window.judge(request(7, 2), retry=True) is DedupVerdict.NEW
    assert window.judge(request(8, 1), retry=True) is DedupVerdict.NEW
    window.note(request(7, 2), 12, 11)
    assert window.noted(request(7, 1)) == (0, None), "it is durable, so no reply has to wait for it"


@pytest.mark.fault("C3")
def test_sequence_below_the_window_is_too_old_even_when_it_was_never_applied() -> None:
    window = note(small(spans=1), 7, 3, 5, 7, 9)
    assert window.judge(request(7, 6), retry=True) is DedupVerdict.TOO_OLD
    assert window.judge(request(7, 5), retry=True) is DedupVerdict.TOO_OLD
    assert window.judge(request(7, 7), retry=True) is DedupVerdict.DUPLICATE
    assert [window.has_forgotten(request(7, sequence)) for sequence in (3, 4, 5, 6, 9)] == [True] * 3 + [False] * 2


def test_sequence_that_was_overtaken_is_never_applied() -> None:
    window = note(DedupWindow(), 7, 9)
    for known in (window, reread(window)):
        for retry in (False, True):
            assert known.judge(request(7, 8), retry) is DedupVerdict.TOO_OLD
            assert known.judge(request(7, 10), retry) is DedupVerdict.NEW
        assert known.judge(request(8, 8), retry=False) is DedupVerdict.NEW


def test_retry_of_a_forgotten_client_is_too_old_and_its_new_requests_are_new() -> None:
    window = small(clients=2)
    for client in (1, 2, 1, 3):  # client 2 has been silent for longest
        window.note(request(client, client + len(window)), 0, 0)
    assert window.judge(request(2, 3), retry=True) is DedupVerdict.TOO_OLD
    assert window.judge(request(2, 4), retry=False) is DedupVerdict.NEW
    assert window.judge(request(1, 1), retry=True) is DedupVerdict.DUPLICATE


@pytest.mark.parametrize("gap", [1, 2, 100, 2**40], ids="gap {}".format)
def test_as_many_writes_of_a_client_are_known_as_is_promised(gap: int) -> None:
    sequences = [gap * number for number in range(1, 3 * DEDUP_WINDOW)]
    window = reread(note(DedupWindow(), 7, *sequences))
    latest = sequences[-DEDUP_WINDOW::33]
    assert [window.judge(request(7, each), retry=True) for each in latest] == [DedupVerdict.DUPLICATE] * len(latest)
    assert all(window.judge(request(7, each), retry=True) is not DedupVerdict.NEW for each in sequences[::99])
    assert window.size_bytes < 40 * DEDUP_WINDOW


def test_a_client_that_writes_to_one_range_is_known_by_a_single_run() -> None:
    window = note(DedupWindow(), 7, *range(1, 100_000))
    assert window.judge(request(7, 1), retry=True) is DedupVerdict.DUPLICATE
    assert window.size_bytes < 400
    assert len(msgpack.packb(window.to_carry())) < 100


def test_a_full_window_is_small_in_memory_and_in_the_manifest() -> None:
    window = DedupWindow()
    for client in range(DEDUP_CLIENTS):
        note(window, 2**62 + client, *range(1, 99))
    assert len(window) == DEDUP_CLIENTS
    assert window.size_bytes < MIB // 2
    assert len(msgpack.packb(window.to_carry())) < 64 * DEDUP_CLIENTS


def test_of_clients_that_write_to_several_ranges_in_turn_the_whole_window_fits() -> None:
    of_one = note(DedupWindow(), 1, *range(1, 5 * 2 * DEDUP_WINDOW, 5)).to_carry()["clients"][0]
    clients = [[client, *of_one[1:]] for client in range(1, DEDUP_CLIENTS + 1)]
    window = DedupWindow.from_document({"clients": clients})
    assert len(window) == DEDUP_CLIENTS
    assert window.judge(request(1, 5 * DEDUP_WINDOW + 1), retry=True) is DedupVerdict.DUPLICATE
    assert len(msgpack.packb(window.to_carry())) < window.size_bytes < DEDUP_BYTES_MAX


def test_whatever_clients_do_the_window_is_bounded_and_nothing_is_applied_twice() -> None:
    window = small(clients=32, bytes_max=20_000)
    for client in range(1, 64):
        for number in range(1, 70):
            window.note(request(client, number << 40), 0, 0, b"%d" % (2**62 + number))
            assert window.size_bytes <= 20_000
    assert len(msgpack.packb(window.to_carry())) <= window.size_bytes
    assert 16 < len(window) <= 32
    for client in range(1, 64):
        assert window.judge(request(client, 69 << 40), retry=True) is not DedupVerdict.NEW


def test_who_was_silent_longest_is_reduced_before_anybody_is_forgotten() -> None:
    window = small(bytes_max=2_000)
    for client in (1, 2, 3, 4):
        note(window, client, *range(2, 200, 2))
    assert window.judge(request(1, 198), retry=True) is DedupVerdict.TOO_OLD
    assert window.judge(request(1, 199), retry=True) is DedupVerdict.NEW
    assert window.judge(request(4, 198), retry=True) is DedupVerdict.DUPLICATE
    assert window.judge(request(9, 1), retry=True) is DedupVerdict.NEW, "no client is forgotten"
    assert all(window.has_forgotten(request(1, sequence)) for sequence in (2, 197, 198))
    window.shrink(0)
    assert window.judge(request(9, 1), retry=True) is DedupVerdict.TOO_OLD
    assert (len(window), window.size_bytes) == (0, 0)


def test_after_a_day_of_silence_only_the_newest_number_of_a_client_is_known() -> None:
    window = small(minutes=2)
    note(window, 7, 1, 3, 5)
    window.pass_minute()
    note(window, 8, 1)
    window.pass_minute()
    aged = reread(window)  # minutes continue in the next process
    for known in (window, aged):
        assert known.judge(request(7, 3), retry=True) is DedupVerdict.DUPLICATE
        known.pass_minute()
        if known is aged:
            known._limits = WindowLimits(minutes=2)
            known.pass_minute()
        assert known.judge(request(7, 5), retry=True) is DedupVerdict.TOO_OLD
        assert known.judge(request(7, 5), retry=False) is DedupVerdict.TOO_OLD
        assert known.judge(request(7, 6), retry=True) is DedupVerdict.NEW
        assert known.has_forgotten(request(7, 5))
    assert window.judge(request(8, 1), retry=True) is DedupVerdict.DUPLICATE


def test_the_latest_values_of_counters_are_known_and_of_older_ones_that_they_were_applied() -> None:
    window = DedupWindow()
    count = 3 * DEDUP_VALUES
    for sequence in range(1, count + 1):
        window.note(request(7, sequence), 0, 0, b"%d" % -sequence)
    for known in (window, reread(window)):
        for sequence in range(count - DEDUP_VALUES + 1, count + 1):
            assert known.judge(request(7, sequence), retry=True) is DedupVerdict.DUPLICATE
            assert known.noted(request(7, sequence)) == Noted(0, b"%d" % -sequence)
        assert known.judge(request(7, 1), retry=True) is DedupVerdict.TOO_OLD, "the result is no longer known"
        assert known.noted(request(7, 1)) == Noted(0, None), "but it is known that it was applied"


def test_what_a_client_took_last_is_known_until_its_next_write() -> None:
    window = note(DedupWindow(), 7, 1)
    small_bytes = window.size_bytes
    for sequence, taken in ((2, Taken(b"k", b" 3:4 " * 1_000)), (3, Taken(b"l", b""))):
        window.note(request(7, sequence), 0, 0, taken)
        for known in (window, reread(window), DedupWindow.joined([window], 0)):
            known.check_invariants()
            assert known.judge(request(7, sequence), retry=True) is DedupVerdict.DUPLICATE
            assert known.noted(request(7, sequence)) == Noted(0, taken)
    assert window.judge(request(7, 2), retry=True) is DedupVerdict.TOO_OLD
    note(window, 7, 4)
    assert window.size_bytes - small_bytes < 10
    assert window.judge(request(7, 3), retry=True) is DedupVerdict.TOO_OLD
    assert window.noted(request(7, 3)) == Noted(0, None), "but it is known that it was applied"


@pytest.mark.fault("H5")
def test_after_a_merge_what_was_taken_from_each_parent_is_known() -> None:
    one, other = (
        note(DedupWindow(), 7, 5, result=Taken(b"a", b"1")),
        note(DedupWindow(), 7, 6, result=Taken(b"b", b"2")),
    )
    merged = DedupWindow.joined([one, other], 0)
    merged.check_invariants()
    assert merged.noted(request(7, 5)) == Noted(0, Taken(b"a", b"1"))
    assert merged.noted(request(7, 6)) == Noted(0, Taken(b"b", b"2"))


def test_large_entries_that_were_taken_do_not_exceed_the_memory_of_a_window() -> None:
    window = DedupWindow()
    for client in range(1, 21):
        note(window, client, 1, result=Taken(b"k", bytes(MIB)))
        window.check_invariants()
    assert window.judge(request(20, 1), retry=True) is DedupVerdict.DUPLICATE
    assert window.judge(request(1, 1), retry=True) is not DedupVerdict.NEW


@pytest.mark.parametrize(("result", "verdict"), [(FAILED, DedupVerdict.DUPLICATE), (BARRED, DedupVerdict.TOO_OLD)])
def test_what_was_not_applied_stays_so(result: WriteResult, verdict: DedupVerdict) -> None:
    window = note(DedupWindow(), 7, 1)
    note(window, 7, 2, 3, result=result)
    note(window, 7, 4)
    for known in (window, reread(window)):
        assert [known.judge(request(7, each), retry=True) for each in (1, 2, 3, 4)] == [
            DedupVerdict.DUPLICATE,
            verdict,
            verdict,
            DedupVerdict.DUPLICATE,
        ]
        assert known.noted(request(7, 3)) == Noted(0, result)


def test_manifest_carries_only_what_is_durable() -> None:
    window = DedupWindow()
    window.note(request(7, 1), 10, 9)
    window.note(request(7, 2), 20, 9)
    window.note(request(8, 1), 21, 9)
    window.note(request(7, 3), 22, 9, b"5")
    carried = DedupWindow.from_document(window.to_document(10))
    assert carried.judge(request(7, 1), retry=True) is DedupVerdict.DUPLICATE
    assert carried.judge(request(7, 2), retry=True) is DedupVerdict.NEW
    assert carried.judge(request(8, 1), retry=True) is DedupVerdict.NEW
    carried = DedupWindow.from_document(window.to_document(21))
    assert carried.judge(request(7, 2), retry=True) is DedupVerdict.DUPLICATE
    assert carried.judge(request(7, 3), retry=True) is DedupVerdict.NEW
    assert DedupWindow.from_document({}).judge(request(7, 1), retry=True) is DedupVerdict.NEW


def test_what_is_replayed_from_the_log_is_known_once() -> None:
    window = note(DedupWindow(), 7, 1, 2)
    for sequence in (1, 2, 3):
        window.note_again(request(7, sequence), sequence, None)
    assert [window.judge(request(7, each), retry=True) for each in (1, 2, 3)] == [DedupVerdict.DUPLICATE] * 3
    assert window.judge(request(7, 4), retry=True) is DedupVerdict.NEW


@given(
    data=st.data(),
    spans=st.integers(1, 4),
    clients=st.integers(1, 4),
    bytes_max=st.sampled_from([700, 1_400, DEDUP_BYTES_MAX]),
    known=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30), st.sampled_from([None, FAILED, b"7"])), max_size=9),
    doubted=st.booleans(),
)
def test_requests_replayed_together_are_known_as_if_one_after_the_other(
    data: st.DataObject,
    spans: int,
    clients: int,
    bytes_max: int,
    known: list[tuple[int, int, WriteResult]],
    doubted: bool,
) -> None:
    windows = []
    for _ in range(2):
        window = small(spans=spans, clients=clients, values=2, bytes_max=bytes_max)
        for client, sequence, result in known:
            if window.judge(request(client, sequence), retry=False) is DedupVerdict.NEW:
                window.note(request(client, sequence), sequence, sequence, result)
        if doubted:
            for known_client in window.clients:
                known_client.is_doubtful = known_client.is_shared = True
        windows.append(window)
    requests = st.lists(st.tuples(st.sampled_from([1, 2, 2**64 - 1]), st.integers(1, 500)), max_size=120)
    for replayed in data.draw(st.lists(requests.map(sorted) | requests, max_size=3)):
        results = data.draw(st.just([None]) | st.lists(st.sampled_from([None, b"5", BARRED]), min_size=1))
        results = (results * len(replayed))[: len(replayed)]
        for (client, sequence), result in zip(replayed, results, strict=True):
            windows[0].note_again(request(client, sequence), 9, result)
        pairs = np.array(replayed, np.uint64).reshape(-1, 2)
        windows[1].note_all_again(pairs[:, 0], pairs[:, 1], results, 9)
        windows[1].check_invariants()
        assert windows[1].to_document(9) == windows[0].to_document(9)
        assert windows[1].size_bytes == windows[0].size_bytes


def test_floor_and_forgetting_survive_the_manifest() -> None:
    window = small(spans=1, clients=1)
    note(window, 1, 1)
    note(window, 2, 1, 3, 5, 7)
    carried = reread(window)
    assert carried.judge(request(2, 1), retry=True) is DedupVerdict.TOO_OLD
    assert carried.has_forgotten(request(2, 1))
    assert carried.judge(request(1, 1), retry=True) is DedupVerdict.TOO_OLD


def test_joined_windows_know_what_any_of_them_knows() -> None:
    left, right = DedupWindow(), DedupWindow()
    for sequence in (1, 4):
        left.note(request(7, sequence), 10 + sequence, 0)
    for sequence in (2, 3):
        right.note(request(7, sequence), 20 + sequence, 0)
    right.note(request(8, 9), 30, 0)
    whole = DedupWindow.joined([left, right], 0)
    for sequence, lsn in ((1, 11), (2, 22), (3, 23), (4, 14)):
        assert whole.judge(request(7, sequence), retry=True) is DedupVerdict.DUPLICATE
        assert whole.noted(request(7, sequence)) == Noted(lsn, None)
    assert whole.judge(request(7, 5), retry=False) is DedupVerdict.NEW
    assert whole.judge(request(8, 9), retry=True) is DedupVerdict.DUPLICATE
    assert left.judge(request(7, 2), retry=True) is DedupVerdict.TOO_OLD, "they are unchanged"


def test_of_joined_windows_the_highest_floor_counts() -> None:
    left, right = small(spans=1), DedupWindow()
    note(left, 7, 10, 12, 14, 16)
    note(right, 7, 3)
    whole = DedupWindow.joined([left, right], 0)
    assert whole.judge(request(7, 3), retry=True) is DedupVerdict.DUPLICATE
    for sequence in (4, 10):
        assert whole.judge(request(7, sequence), retry=True) is DedupVerdict.TOO_OLD
        assert whole.has_forgotten(request(7, sequence))


def test_a_floor_above_all_that_another_window_knows_makes_nothing_known() -> None:
    left, right = small(spans=1), DedupWindow()
    note(left, 7, 50, 60)
    left.shrink(0)
    left = DedupWindow.from_document({"forgot": False, "clients": [[7, 60, {}, {}]]})
    note(right, 7, 3)
    whole = DedupWindow.joined([left, right], 0)
    verdicts = [whole.judge(request(7, sequence), retry=True) for sequence in (3, 4, 60, 61)]
    assert verdicts == [DedupVerdict.DUPLICATE, DedupVerdict.TOO_OLD, DedupVerdict.TOO_OLD, DedupVerdict.NEW]
    note(whole, 7, 70)
    assert whole.judge(request(7, 65), retry=True) is DedupVerdict.TOO_OLD
    assert whole.noted(request(7, 65)) is None


def test_joined_clients_are_bounded_and_that_one_was_forgotten_is_known() -> None:
    left, right = DedupWindow(), DedupWindow()
    for client in range(1, DEDUP_CLIENTS + 1):
        note(left, client, 1)
    note(right, DEDUP_CLIENTS + 1, 1)
    whole = DedupWindow.joined([left, right], 0)
    assert whole.judge(request(1, 1), retry=True) is DedupVerdict.TOO_OLD
    assert whole.judge(request(2, 1), retry=True) is DedupVerdict.DUPLICATE
    assert whole.judge(request(DEDUP_CLIENTS + 1, 1), retry=True) is DedupVerdict.DUPLICATE
    assert DedupWindow.joined([DedupWindow(), whole], 0).judge(request(1, 1), retry=True) is DedupVerdict.TOO_OLD


def test_children_share_what_they_know_until_they_learn_more() -> None:
    parent = note(DedupWindow(), 7, 1, 3)
    left, right = DedupWindow.joined([parent], 0), DedupWindow.joined([parent], 0)
    assert left._clients[7] is right._clients[7] is parent._clients[7]
    note(left, 7, 4)
    note(right, 7, 6)
    assert [window.judge(request(7, 4), retry=True) for window in (parent, left, right)] == [
        DedupVerdict.NEW,
        DedupVerdict.DUPLICATE,
        DedupVerdict.TOO_OLD,
    ]
    note(parent, 7, 5)
    assert left.judge(request(7, 5), retry=True) is DedupVerdict.NEW


def test_windows_of_different_age_are_joined_by_the_silence_of_their_clients() -> None:
    left, right = small(minutes=2), small(minutes=2)
    note(left, 7, 1)
    for _ in range(3):
        right.pass_minute()
    note(right, 8, 1)
    whole = DedupWindow.joined([left, right], 0)
    whole._limits = WindowLimits(minutes=2)
    whole.pass_minute()
    assert [whole.judge(request(client, 1), retry=True) for client in (7, 8)] == [DedupVerdict.DUPLICATE] * 2


def test_of_joined_windows_the_clients_that_were_silent_longest_are_forgotten_first() -> None:
    silent, busy = note(DedupWindow(), 7, 1), DedupWindow()
    for window in (silent, busy):
        window.pass_minute()
    note(busy, 8, 1)
    note(busy, 9, 1)
    for windows in ((busy, silent), (silent, busy)):
        whole = DedupWindow.joined(windows, 0)
        whole.check_invariants()
        whole.shrink(whole.size_bytes - 1)
        verdicts = [whole.judge(request(client, 1), retry=True) for client in (7, 8, 9)]
        assert verdicts == [DedupVerdict.TOO_OLD, *[DedupVerdict.DUPLICATE] * 2]


def test_what_is_carried_is_known_whatever_log_it_comes_to() -> None:
    window = DedupWindow()
    window.note(request(7, 4), 1_000_000, 0)
    window.note(request(7, 5), 1_000_001, 0, b"7")
    carried = reread(window)
    assert [carried.noted(request(7, sequence)) for sequence in (4, 5)] == [Noted(0, None), Noted(0, b"7")]
    assert carried.judge(request(7, 3), retry=True) is DedupVerdict.TOO_OLD
    assert carried.judge(request(7, 6), retry=True) is DedupVerdict.NEW
    drained = DedupWindow.from_document(carried.to_document(3))
    assert drained.judge(request(7, 5), retry=True) is DedupVerdict.DUPLICATE, "a manifest of another log keeps it"


def test_the_window_of_an_older_manifest_is_read() -> None:
    results = {5: FAILED, 8: BARRED, 9: b"41", 10: b"42"}
    old = {"forgot": True, "clients": [[7, 2, dict.fromkeys((4, 5, 8, 9, 10), 99), results]]}
    window = DedupWindow.from_document(old)
    assert window.noted(request(7, 4)) == Noted(0, None)
    assert {sequence: window.noted(request(7, sequence)) for sequence in results} == {
        sequence: Noted(0, result) for sequence, result in results.items()
    }
    assert [window.noted(request(7, sequence)) for sequence in (3, 6, 7, 11)] == [None] * 4
    assert [window.has_forgotten(request(7, sequence)) for sequence in (2, 3)] == [True, False]
    assert window.judge(request(8, 1), retry=True) is DedupVerdict.TOO_OLD
    assert reread(window).to_carry() == window.to_carry()


def test_splits_and_merges_keep_each_request_that_waits_for_the_log_once() -> None:
    window = DedupWindow()
    for sequence in (1, 2, 3):
        window.note(request(1, sequence), lsn=sequence, lsn_durable=0)
    for _ in range(40):
        left, right = (DedupWindow.joined([window], 1) for _ in range(2))
        window = DedupWindow.joined([left, right], 1)
    assert list(window._unsynced) == [(2, 1, 2), (3, 1, 3)], "durable requests wait for nothing"
    noted = window.noted(request(1, 3))
    assert noted is not None
    assert noted.lsn == 3
    assert DedupWindow.from_document(window.to_document(1)).judge(request(1, 2), retry=True) is DedupVerdict.NEW
