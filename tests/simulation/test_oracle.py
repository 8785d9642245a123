"""The oracle accepts the histories of a register, and no others."""

from __future__ import annotations

import pytest

from tests.simulation.oracle import Oracle, Outcome, Violation, Write

KEY = b"key"


class History:
    """A readable way to give an oracle the history of one key."""

    def __init__(self) -> None:
        self.oracle = Oracle([KEY])

    def write(self, value: bytes | None, start: int, end: int | None, outcome: Outcome = Outcome.APPLIED) -> Write:
        write = self.oracle.invoke(KEY, value, start)
        if end is not None:
            self.oracle.complete(write, outcome, end)
        return write

    def read(self, value: bytes | None, start: int, end: int) -> None:
        self.oracle.read(KEY, value, start, end)

    def end(self, found: bytes | None = None) -> None:
        self.oracle.end_era({KEY: found})


@pytest.fixture
def history() -> History:
    return History()


def test_a_read_sees_the_latest_write(history: History) -> None:
    history.read(None, 0, 1)
    history.write(b"1", 2, 3)
    history.read(b"1", 4, 5)
    history.write(b"2", 6, 7)
    with pytest.raises(Violation, match="although put b'2'"):
        history.read(b"1", 8, 9)


def test_a_read_beside_a_write_may_see_either(history: History) -> None:
    history.write(b"1", 0, 1)
    history.write(b"2", 2, 9)
    history.read(b"1", 3, 8)
    history.read(b"2", 3, 8)
    history.end()


def test_what_was_read_once_stays(history: History) -> None:
    history.write(b"1", 0, 1)
    history.write(b"2", 2, None)
    history.read(b"2", 3, 4)
    with pytest.raises(Violation):
        history.read(b"1", 5, 6)


def test_a_write_without_an_answer_may_come_late_and_once(history: History) -> None:
    history.write(b"1", 0, None)
    history.write(b"2", 1, 2)
    history.read(b"2", 3, 4)
    history.read(b"1", 5, 6)
    history.write(b"3", 7, 8)
    with pytest.raises(Violation):
        history.read(b"1", 9, 10)


def test_an_acknowledged_write_is_not_absent(history: History) -> None:
    history.write(b"1", 0, 1)
    with pytest.raises(Violation, match="where a value must be"):
        history.read(None, 2, 3)


def test_a_deleted_key_stays_deleted(history: History) -> None:
    history.write(b"1", 0, 1)
    history.write(None, 2, 3)
    history.read(None, 4, 5)
    with pytest.raises(Violation):
        history.read(b"1", 6, 7)
    with pytest.raises(Violation, match="must be absent"):
        history.oracle.read_present(KEY, 6, 7)


def test_what_was_refused_is_never_read(history: History) -> None:
    history.write(b"1", 0, 1, Outcome.REFUSED)
    with pytest.raises(Violation, match="refused"):
        history.read(b"1", 2, 3)


def test_what_was_read_is_not_refused_later(history: History) -> None:
    write = history.write(b"1", 0, None)
    history.read(b"1", 1, 2)
    with pytest.raises(Violation, match="was refused"):
        history.oracle.complete(write, Outcome.REFUSED, 3)


def test_a_value_nobody_wrote_is_noticed(history: History) -> None:
    with pytest.raises(Violation, match="nobody wrote"):
        history.read(b"garbage", 0, 1)


def test_values_may_not_come_back_in_turns(history: History) -> None:
    history.write(b"1", 0, 10)
    history.write(b"2", 0, 10)
    for start, value in ((11, b"1"), (13, b"2"), (15, b"1")):
        history.read(value, start, start + 1)
    with pytest.raises(Violation, match="no order"):
        history.end()


def test_an_era_begins_with_what_was_found(history: History) -> None:
    history.write(b"1", 0, 1)
    history.write(b"2", 2, None)
    history.end(found=b"1")
    history.read(b"1", 3, 4)
    with pytest.raises(Violation):
        history.read(b"2", 5, 6)


def test_only_what_was_written_lately_may_be_lost(history: History) -> None:
    history.write(b"1", 0, 1)
    history.write(b"2", 10, 11)
    history.oracle.read(KEY, b"1", 20, 21, lost_after_ns=5)
    with pytest.raises(Violation):
        history.oracle.read(KEY, b"1", 20, 21, lost_after_ns=15)


OTHER = b"other"


@pytest.fixture
def oracle() -> Oracle:
    """Two keys with values."""
    oracle = Oracle([KEY, OTHER])
    for key in (KEY, OTHER):
        oracle.complete(oracle.invoke(key, b"old " + key, 0), Outcome.APPLIED, 1)
    return oracle


def begin_batch(oracle: Oracle) -> list[Write]:
    return oracle.invoke_together({KEY: b"new", OTHER: None}, 2)


def test_what_is_read_of_a_batch_shows_all_of_it(oracle: Oracle) -> None:
    begin_batch(oracle)
    oracle.read(OTHER, b"old other", 3, 4)
    oracle.read(KEY, b"new", 5, 6)
    with pytest.raises(Violation, match="although delete"):
        oracle.read(OTHER, b"old other", 7, 8)


def test_a_batch_of_which_nothing_is_read_may_not_be_there(oracle: Oracle) -> None:
    begin_batch(oracle)
    for key in (KEY, OTHER):
        oracle.read(key, b"old " + key, 3, 4)
    oracle.end_era({KEY: b"old key", OTHER: b"old other"})


def test_no_part_of_a_batch_that_was_refused_is_read(oracle: Oracle) -> None:
    writes = begin_batch(oracle)
    oracle.complete(writes[1], Outcome.REFUSED, 3)
    with pytest.raises(Violation, match="a part of a batch was refused of which another was read"):
        oracle.read(KEY, b"new", 4, 5)


@pytest.mark.parametrize(("key", "other"), [(b"new", None), (b"old key", b"old other"), (None, b"old other")])
def test_what_a_power_loss_leaves_of_a_batch_is_whole_or_nothing(
    oracle: Oracle, key: bytes | None, other: bytes | None
) -> None:
    begin_batch(oracle)
    oracle.end_era({KEY: key, OTHER: other})


def test_half_a_batch_after_a_power_loss_is_found(oracle: Oracle) -> None:
    begin_batch(oracle)
    with pytest.raises(Violation, match="a part of a batch is missing"):
        oracle.end_era({KEY: b"new", OTHER: b"old other"})


def test_an_entry_is_taken_once(oracle: Oracle) -> None:
    for number in (1, 2):
        take = oracle.invoke(KEY, None, 2)
        if number == 1:
            oracle.replace(take, b"old key", 4)
        else:
            with pytest.raises(Violation, match="two writes took the place"):
                oracle.replace(take, b"old key", 4)
        oracle.complete(take, Outcome.APPLIED, 4)


def test_what_was_withdrawn_explains_nothing(oracle: Oracle) -> None:
    take = oracle.invoke(KEY, None, 2)
    oracle.read(KEY, None, 3, 4)
    oracle.withdraw(take)
    with pytest.raises(Violation, match="where a value must be"):
        oracle.read(KEY, None, 5, 6)
