"""The exploration finds mistakes on both sides that only few orders of the steps show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.readable_range import ReadableRange
from shardstore.identifiers import Stored
from shardstore.tables.digests import digest_of
from shardstore.tables.manifest import Manifest
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.wire.board_format import FIRST_FILTER, SEQUENCE
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.ranges.owned_range import OwnedRange
from tests.interleavings import cases
from tests.interleavings.direct_client import Stale
from tests.interleavings.read_boards import ReadBoard
from tests.interleavings.recorded_cluster import RecordedCluster
from tests.interleavings.setting import Explored, prepare, read_all_ways
from tests.interleavings.test_direct_reads import Case, get, get_at_once, get_other

Plant = Callable[[pytest.MonkeyPatch], None]


def bits_after_the_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    late: list[tuple[RangeSlot, Sequence[bytes]]] = []
    note, take_answer = RangeSlot.note, RecordedCluster._take_answer

    def answer_and_note(cluster: RecordedCluster, frames: Sequence[bytes]) -> None:
        take_answer(cluster, frames)
        while late:
            note(*late.pop())

    patch.setattr(RangeSlot, "note", lambda slot, keys: late.append((slot, keys)))
    patch.setattr(RecordedCluster, "_take_answer", answer_and_note)


def range_deletion_shown_after_the_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    late: list[RangeSlot] = []
    note_clear, take_answer = RangeSlot.note_clear, RecordedCluster._take_answer

    def answer_and_note(cluster: RecordedCluster, frames: Sequence[bytes]) -> None:
        take_answer(cluster, frames)
        while late:
            note_clear(late.pop())

    def keep(slot: RangeSlot) -> None:
        late.append(slot)

    patch.setattr(RangeSlot, "note_clear", keep)
    patch.setattr(RecordedCluster, "_take_answer", answer_and_note)


def filter_dropped_before_the_version_is_raised(patch: pytest.MonkeyPatch) -> None:
    replace = OwnedRange.replace

    def drop_and_replace(owned: OwnedRange, manifest: Manifest) -> list[str]:
        if owned.slot is not None:
            owned.slot.drop(bool(owned.overlay.active.lsn_first), False)
        return replace(owned, manifest)

    patch.setattr(OwnedRange, "replace", drop_and_replace)


def no_second_look_at_the_slot(patch: pytest.MonkeyPatch) -> None:
    def get_at_first_look(readable: ReadableRange, key: bytes, digest: tuple[int, int]) -> Stored | Ask | None:
        slot = readable._slot()
        if slot is None or any(named and readable._is_in_memory(named, digest) for named in slot[2:]):
            return ASK
        return readable._files.segment(readable.route.segment, slot[1]).get(key, digest)

    patch.setattr(ReadableRange, "get", get_at_first_look)


def no_second_look_when_all_is_ready(patch: pytest.MonkeyPatch) -> None:
    def get_ready(readable: ReadableRange, key: bytes) -> Stored | NotReady | None:
        look, digest = readable._look, digest_of(key)
        if look is None or readable._words[readable._sequence_at] != look.sequence or not readable.board.is_current():
            return NOT_READY
        if any(readable._is_in_memory(named, digest) for named in (look.active, look.sealed)) or look.segment is None:
            return NOT_READY
        return look.segment.get_ready(key, digest)

    patch.setattr(ReadableRange, "get_ready", get_ready)


def look_is_never_too_old(patch: pytest.MonkeyPatch) -> None:
    def get_ready(readable: ReadableRange, key: bytes) -> Stored | NotReady | None:
        look, digest = readable._look, digest_of(key)
        if look is None or any(readable._is_in_memory(named, digest) for named in (look.active, look.sealed)):
            return NOT_READY
        if look.segment is None:
            return NOT_READY
        sequence = readable._words[readable._sequence_at]
        found = look.segment.get_ready(key, digest) if readable.board.is_current() else NOT_READY
        return found if readable._words[readable._sequence_at] == sequence else NOT_READY

    patch.setattr(ReadableRange, "get_ready", get_ready)


def incarnation_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ReadBoard, "is_current", lambda self: True)


def closed_after_the_child_accepts(patch: pytest.MonkeyPatch) -> None:
    fence = OwnedRange.fence

    def fence_only(owned: OwnedRange, lsn: int) -> None:
        slot, owned.slot = owned.slot, None
        fence(owned, lsn)
        owned.slot = slot  # which is closed when the range is retired

    patch.setattr(OwnedRange, "fence", fence_only)


def sequence_is_raised_before_the_change_only(patch: pytest.MonkeyPatch) -> None:
    def change(slot: Any, *fields: tuple[int, int]) -> None:
        slot._words[slot._at + SEQUENCE] += 2
        for field, value in fields:
            slot._words[slot._at + field] = value

    patch.setattr(RangeSlot, "_change", change)


def fields_change_in_another_order(patch: pytest.MonkeyPatch) -> None:
    change = RangeSlot._change
    patch.setattr(RangeSlot, "_change", lambda slot, *fields: change(slot, *reversed(fields)))


def sequence_is_raised_after_the_change_only(patch: pytest.MonkeyPatch) -> None:
    def change(slot: Any, *fields: tuple[int, int]) -> None:
        for field, value in fields:
            slot._words[slot._at + field] = value
        slot._words[slot._at + SEQUENCE] += 2

    patch.setattr(RangeSlot, "_change", change)


def sequence_is_raised_after_a_change_in_another_order(patch: pytest.MonkeyPatch) -> None:
    sequence_is_raised_after_the_change_only(patch)
    fields_change_in_another_order(patch)


def filter_cleared_before_the_slot_is_closed(patch: pytest.MonkeyPatch) -> None:
    close = RangeSlot.close

    def clear_and_close(slot: Any) -> None:
        for named in {slot._active, slot._sealed}:
            if named >= FIRST_FILTER:
                filters = slot._filters
                filters.give_back(named - FIRST_FILTER)
                assert filters.take() == named - FIRST_FILTER  # by another range
        close(slot)

    patch.setattr(RangeSlot, "close", clear_and_close)


def bits_after_a_slot_is_opened(patch: pytest.MonkeyPatch) -> None:
    late: list[tuple[Any, list[bytes]]] = []
    opened, change, set_bits = RangeSlot._opened, RangeSlot._change, RangeSlot._set_bits

    def open_without_bits(slot: RangeSlot, keys: Collection[bytes] | None) -> int:
        patch.setattr(RangeSlot, "_set_bits", lambda slot, keys: late.append((slot, keys)))
        named = opened(slot, keys)
        patch.setattr(RangeSlot, "_set_bits", set_bits)
        return named

    def change_and_set_bits(slot: RangeSlot, *fields: tuple[int, int]) -> None:
        change(slot, *fields)
        while late:
            set_bits(*late.pop())

    patch.setattr(RangeSlot, "_opened", open_without_bits)
    patch.setattr(RangeSlot, "_change", change_and_set_bits)


@pytest.mark.parametrize(
    ("plant", "case"),
    [
        (bits_after_a_slot_is_opened, cases.opening),
        (bits_after_the_acknowledgement, cases.write),
        (range_deletion_shown_after_the_acknowledgement, cases.range_deletion),
        (range_deletion_shown_after_the_acknowledgement, cases.range_deletion_over_writes),
        (filter_dropped_before_the_version_is_raised, cases.drain_and_reuse),
        (no_second_look_at_the_slot, cases.drain_and_reuse),
        (look_is_never_too_old, cases.drain_and_reuse),
        (incarnation_is_not_looked_at, cases.kill),
        (closed_after_the_child_accepts, cases.move),
        (sequence_is_raised_before_the_change_only, cases.fence_and_reuse),
        (sequence_is_raised_after_a_change_in_another_order, cases.drain_and_reuse),
        (filter_cleared_before_the_slot_is_closed, cases.fence_and_reuse),
    ],
)
def test_a_mistake_is_found(plant: Plant, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)
    plant(monkeypatch)
    with pytest.raises(Stale):
        read_all_ways(case(), [get_at_once, get], Explored())


def test_a_filter_that_was_seen_with_another_key_may_be_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)
    no_second_look_when_all_is_ready(monkeypatch)
    with pytest.raises(Stale):
        read_all_ways(cases.drain_and_reuse(), [get_other, get], Explored())


@pytest.mark.parametrize("plant", [fields_change_in_another_order, sequence_is_raised_after_the_change_only])
@pytest.mark.parametrize("case", [cases.drain_and_reuse, cases.fence_and_reuse])
def test_the_odd_sequence_and_the_order_of_fields_each_suffice(
    plant: Plant, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(monkeypatch)
    plant(monkeypatch)
    explored = Explored()
    read_all_ways(case(), [get_at_once, get], explored)
    assert explored.direct
