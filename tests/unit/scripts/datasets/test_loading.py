"""The load: batches, marks and retries. A load interrupted anywhere ends like an uninterrupted one."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from datasets import batches, loading, marks, verifying
from datasets.display import Display
from datasets.inputs import FileInput, Format
from datasets.json_lines import read_json_lines
from datasets.loading import Loading, Totals, marks_of, remove_marks
from datasets.patient_client import REPEATS_MAX, PatientClient
from datasets.plain_lines import read_lines
from datasets.records import BadData, Place
from datasets.verifying import Verifying
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from shardstore import Busy, Closed, OutcomeUnknown, ShardstoreError, Unavailable
from tests.unit.scripts.datasets.fake_table import FakeTable

KEYS = Format("lines", read_lines, {"key_is_line": True})
NUMBERED = Format("lines", read_lines, {})
JSON_LINES = Format("jsonl", read_json_lines, {"key": "k"})


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ENTRIES", 3)


class Run:
    """One run of the script; `said` holds its messages."""

    def __init__(self, table: FakeTable, skip_bad: bool = False) -> None:
        self.said = io.StringIO()
        self.pauses: list[float] = []
        self.display = Display(Console(file=self.said, width=1_000))
        self.db = PatientClient(table, 30.0, self.display.say, self.pauses.append)
        self.skip_bad = skip_bad

    def load(self, *sources: FileInput, restart: bool = False) -> Totals:
        run = Loading(self.db, self.display, self.skip_bad)
        for source, mark in zip(sources, marks_of(sources, self.db, restart), strict=True):
            run.load(source, mark)
        remove_marks(sources, self.db)
        return run.totals

    def differences(self, *sources: FileInput) -> list[str]:
        compared = Verifying(self.db, self.display)
        for source in sources:
            compared.compare(source)
        return [f"{key.decode()} {difference}" for key, difference in compared.differences.items()]


def file_of(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def numbers(path: Path, count: int) -> FileInput:
    return FileInput(str(file_of(path, b"".join(b"%d\n" % number for number in range(count)))), KEYS)


class TestBatches:
    def sizes(self, source: FileInput) -> list[int]:
        return [len(batch.records) for batch in batches.batches(source, Place(), skip_bad=True)]

    def test_a_batch_is_bounded_by_entries(self, tmp_path: Path) -> None:
        assert self.sizes(numbers(tmp_path / "f", 8)) == [3, 3, 2]

    def test_a_batch_is_bounded_by_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batches, "BATCH_BYTES", 10)
        source = FileInput(str(file_of(tmp_path / "f", b"a" * 9 + b"\nb\n" + b"c" * 10 + b"\nd\n")), KEYS)
        assert self.sizes(source) == [2, 1, 1]

    def test_bad_records_count_as_entries(self, tmp_path: Path) -> None:
        source = FileInput(str(file_of(tmp_path / "f", b"1\n\n\n\n2\n")), KEYS)
        found = list(batches.batches(source, Place(), skip_bad=True))
        assert [(len(batch.records), len(batch.bad)) for batch in found] == [(1, 2), (1, 1)]

    def test_what_stands_before_a_bad_record_is_given(self, tmp_path: Path) -> None:
        source = FileInput(str(file_of(tmp_path / "f", b"1\n2\n\n3\n")), KEYS)
        given_batches = batches.batches(source, Place(), skip_bad=False)
        batch = next(given_batches)
        assert ([record.key for record in batch.records], batch.end) == ([b"1", b"2"], Place(4, 2))
        with pytest.raises(BadData) as caught:
            next(given_batches)
        assert str(caught.value) == f"{tmp_path}/f:3: the key is empty (use --skip-bad to skip it)"


class TestLoad:
    def test_everything_is_there_and_the_mark_is_not(self, tmp_path: Path) -> None:
        table = FakeTable()
        assert Run(table).load(numbers(tmp_path / "f", 8)) == Totals(8, 8, 0)
        assert sorted(table.content) == [b"%d" % number for number in range(8)]

    def test_a_mark_is_written_after_its_batch(self, tmp_path: Path) -> None:
        table = FakeTable()
        Run(table).load(numbers(tmp_path / "f", 4))
        assert table.calls == ["get", "put", "put", "put", "put", "delete"]
        table.failures = {len(table.calls) + 3: KeyboardInterrupt()}  # the second batch
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(numbers(tmp_path / "f", 4))
        (key,) = [key for key in table.content if key.startswith(marks.KEY_PREFIX)]
        mark = json.loads(table.content[key])
        assert (mark["path"], mark["position"], mark["line"], mark["records"]) == (str(tmp_path / "f"), 6, 3, 3)

    def test_bad_records_end_it_and_can_be_skipped_by_the_next_run(self, tmp_path: Path) -> None:
        table, content = FakeTable(), b'{"k":1}\n{"k":2}\nbroken\n{"k":3}\n'
        source = FileInput(str(file_of(tmp_path / "f", content)), JSON_LINES)
        for _ in range(2):
            with pytest.raises(BadData, match=r"f:3: broken JSON"):
                Run(table).load(source)
        run = Run(table, skip_bad=True)
        assert run.load(source) == Totals(1, 8, 1)
        assert f"continuing {tmp_path}/f at byte 16, after line 2; 2 records were loaded" in run.said.getvalue()
        assert f"skipped {tmp_path}/f:3: broken JSON" in run.said.getvalue()
        assert sorted(table.content) == [b"1", b"2", b"3"]

    def test_only_the_first_bad_records_are_shown(self, tmp_path: Path) -> None:
        run = Run(FakeTable(), skip_bad=True)
        source = FileInput(str(file_of(tmp_path / "f", b"\n" * 50 + b"a\n")), KEYS)
        assert run.load(source) == Totals(1, 1, 50)
        assert run.said.getvalue().count("the key is empty") == loading.SHOWN_MAX
        assert run.said.getvalue().count("not shown") == 1

    def test_files_that_were_done_are_not_loaded_again(self, tmp_path: Path) -> None:
        table = FakeTable()
        first, second = numbers(tmp_path / "a", 3), numbers(tmp_path / "b", 6)
        table.failures = {5: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(first, second)
        del table.content[b"0"]
        assert Run(table).load(first, second).records == 3
        assert sorted(table.content) == [b"1", b"2", b"3", b"4", b"5"]

    def test_a_restart_begins_at_the_start(self, tmp_path: Path) -> None:
        table, source = FakeTable(), numbers(tmp_path / "f", 9)
        table.failures = {5: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(source)
        assert Run(table).load(source, restart=True).records == 9

    def test_a_changed_file_is_refused_until_a_restart(self, tmp_path: Path) -> None:
        table = FakeTable()
        table.failures = {5: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(numbers(tmp_path / "f", 9))
        changed = numbers(tmp_path / "f", 10)
        with pytest.raises(
            BadData, match=r"f cannot be continued: it has changed since, .*size.*; --restart begins anew"
        ):
            Run(table).load(changed)
        assert Run(table).load(changed, restart=True).records == 10

    def test_a_touched_file_has_changed(self, tmp_path: Path) -> None:
        table, source = FakeTable(), numbers(tmp_path / "f", 9)
        table.failures = {5: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(source)
        os.utime(tmp_path / "f", ns=(1, 1))
        with pytest.raises(BadData, match="in its mtime_ns;"):
            Run(table).load(FileInput(str(tmp_path / "f"), KEYS))

    def test_a_replaced_file_has_changed(self, tmp_path: Path) -> None:
        table, source = FakeTable(), numbers(tmp_path / "f", 9)
        table.failures = {5: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(source)
        status = (tmp_path / "f").stat()
        numbers(tmp_path / "g", 9)
        os.utime(tmp_path / "g", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(tmp_path / "g", tmp_path / "f")
        with pytest.raises(BadData, match="in its inode;"):
            Run(table).load(FileInput(str(tmp_path / "f"), KEYS))

    def test_what_all_runs_did_is_told(self, tmp_path: Path) -> None:
        table = FakeTable()
        table.failures = {6: KeyboardInterrupt()}  # the mark after the third batch
        source = FileInput(str(file_of(tmp_path / "f", b"1\n\n\n2\n3\n\n4\n5\n")), KEYS)
        with pytest.raises(KeyboardInterrupt):
            Run(table, skip_bad=True).load(source)
        run = Run(table, skip_bad=True)
        assert run.load(source).records == 2
        assert "after line 6; 3 records were loaded before and 3 skipped" in run.said.getvalue()

    def test_other_options_are_refused(self, tmp_path: Path) -> None:
        table = FakeTable()
        table.failures = {5: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            Run(table).load(numbers(tmp_path / "f", 9))
        with pytest.raises(BadData, match=r'it was read as lines \{"key_is_line": true\}, and now as lines \{\}'):
            Run(table).load(FileInput(str(tmp_path / "f"), NUMBERED))

    @pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}", b'{"version": 1}', b'{"version": 2}'])
    def test_an_unreadable_mark_is_refused(self, tmp_path: Path, value: bytes) -> None:
        table, source = FakeTable(), numbers(tmp_path / "f", 3)
        table.content[marks.key_of(source.path)] = value
        with pytest.raises(BadData, match="the mark of an earlier load"):
            Run(table).load(source)


class TestRepeating:
    @pytest.mark.parametrize(
        ("failure", "pause"),
        [(Unavailable("down"), 0.5), (OutcomeUnknown("lost"), 0.5), (Busy("memory", 2, 1, 2 * 10**9), 2.0)],
    )
    @pytest.mark.parametrize("fails_after", [False, True])
    def test_what_may_pass_is_repeated(
        self, tmp_path: Path, failure: ShardstoreError, pause: float, fails_after: bool
    ) -> None:
        table = FakeTable()
        table.fails_after = fails_after
        table.failures = dict.fromkeys(range(2), failure)
        run = Run(table)
        assert run.load(numbers(tmp_path / "f", 8)).records == 8
        assert (run.db.repeats, run.pauses) == (2, [pause, pause])
        assert sorted(table.content) == [b"%d" % number for number in range(8)]

    def test_there_is_a_limit(self, tmp_path: Path) -> None:
        table = FakeTable()
        table.failures = {call: Unavailable("down") for call in range(1, 100)}
        with pytest.raises(Unavailable):
            Run(table).load(numbers(tmp_path / "f", 8))
        assert len(table.calls) == 1 + 1 + REPEATS_MAX

    def test_what_cannot_pass_is_not_repeated(self, tmp_path: Path) -> None:
        table = FakeTable()
        table.failures = {1: Closed("closed")}
        with pytest.raises(Closed):
            Run(table).load(numbers(tmp_path / "f", 8))
        assert len(table.calls) == 2


LINES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=12)


class TestInterruption:
    @given(lines=LINES, fails_after=st.booleans(), skip=st.integers(1, 4))
    def test_a_load_that_is_interrupted_ends_as_one_that_is_not(
        self, tmp_path_factory: pytest.TempPathFactory, lines: Sequence[tuple[str, int]], fails_after: bool, skip: int
    ) -> None:
        """Every run dies at its call number `skip`, or `skip` + 1, and so on, until one completes."""
        content = "".join(f'{{"k":"{key}","v":{value}}}\n' for key, value in lines).encode()
        path = file_of(tmp_path_factory.mktemp("load") / "f", content)
        table = FakeTable()
        table.fails_after = fails_after
        runs = 0
        while True:
            runs += 1
            table.failures = {len(table.calls) + skip + runs - 1: KeyboardInterrupt()}
            try:
                Run(table).load(FileInput(str(path), JSON_LINES))
                break
            except KeyboardInterrupt:
                pass
        assert table.content == {
            key.encode(): f'{{"k":"{key}","v":{value}}}'.encode() for key, value in dict(lines).items()
        }


class TestVerifying:
    def test_what_is_the_same_is_no_difference(self, tmp_path: Path) -> None:
        table, source = FakeTable(), numbers(tmp_path / "f", 8)
        Run(table).load(source)
        assert Run(table).differences(source) == []

    def test_what_is_lost_or_changed_is(self, tmp_path: Path) -> None:
        table, source = FakeTable(), numbers(tmp_path / "f", 8)
        Run(table).load(source)
        del table.content[b"3"]
        table.content[b"6"] = b"x"
        path = tmp_path / "f"
        assert Run(table).differences(source) == [f"3 {path}:4: not there", f"6 {path}:7: another value"]

    @given(lines=LINES, broken=st.sampled_from("abc"), how=st.sampled_from(["lost", "earlier", "other", "not"]))
    def test_of_a_key_the_last_record_counts(
        self, tmp_path_factory: pytest.TempPathFactory, lines: Sequence[tuple[str, int]], broken: str, how: str
    ) -> None:
        content = "".join(f'{{"k":"{key}","v":{value}}}\n' for key, value in lines).encode()
        source = FileInput(str(file_of(tmp_path_factory.mktemp("load") / "f", content)), JSON_LINES)
        table = FakeTable()
        Run(table).load(source)
        of_key = [f'{{"k":"{key}","v":{value}}}'.encode() for key, value in lines if key == broken]
        if of_key and how == "lost":
            del table.content[broken.encode()]
        elif of_key and how != "not":
            table.content[broken.encode()] = of_key[0] if how == "earlier" else b"other"
        right = not of_key or table.content.get(broken.encode()) == of_key[-1]
        assert [line[0] for line in Run(table).differences(source)] == ([] if right else [broken])

    def test_replaced_records_are_counted(self, tmp_path: Path) -> None:
        content = b'{"k":1,"v":1}\n{"k":2}\n{"k":1,"v":2}\n{"k":1,"v":3}\n{"k":2}\n'
        source = FileInput(str(file_of(tmp_path / "f", content)), JSON_LINES)
        table = FakeTable()
        run = Run(table)
        run.load(source)
        compared = Verifying(run.db, run.display)
        compared.compare(source)
        assert (compared.records, compared.replaced, compared.differences) == (5, 2, {})

    def test_too_many_differences_end_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(verifying, "OPEN_MAX", 4)
        with pytest.raises(BadData, match="more than 4 keys"):
            Run(FakeTable()).differences(numbers(tmp_path / "f", 6))
