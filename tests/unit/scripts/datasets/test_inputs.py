"""The sources of records: files, compressed files, the standard input and directories of source."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets.batches import batches
from datasets.display import Display
from datasets.inputs import FileInput, Format
from datasets.plain_lines import read_lines
from datasets.pysource import SourceTree, standard_library
from datasets.records import BadData, BadRecord, Place
from rich.console import Console

KEYS = Format("lines", read_lines, {"key_is_line": True})
CONTENT = b"".join(b"line %d\n" % number for number in range(1_000))
COMPRESSIONS = pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)]
)


@COMPRESSIONS
def test_compressed_files_are_read_from_any_place(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"lines{suffix}"
    path.write_bytes(compress(CONTENT))
    source = FileInput(str(path), KEYS)
    everything = list(source.records(Place()))
    assert [record.key for record in everything] == CONTENT.splitlines()
    assert list(source.records(everything[499].end)) == everything[500:]


@COMPRESSIONS
def test_what_stands_before_the_damage_is_given(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"lines{suffix}"
    path.write_bytes((compress(CONTENT) + compress(CONTENT))[:-20])
    found = batches(FileInput(str(path), KEYS), Place(), skip_bad=False)
    assert len(next(found).records) >= 1_000
    with pytest.raises(BadData, match=r"lines\S+ cannot be read further: "):
        next(found)


def test_garbage_in_a_compressed_file_is_bad_data(tmp_path: Path) -> None:
    for suffix in (".gz", ".xz", ".bz2"):
        (tmp_path / f"f{suffix}").write_bytes(b"this is not compressed")
        with pytest.raises(BadData, match="cannot be read further"):
            next(batches(FileInput(str(tmp_path / f"f{suffix}"), KEYS), Place(), skip_bad=True))


def test_a_compressed_file_is_measured_by_its_own_bytes(tmp_path: Path) -> None:
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(CONTENT))
    source = FileInput(str(path), KEYS)
    places = [source.consumed(record.end) for record in source.records(Place())]
    assert places[-1] == source.size == path.stat().st_size


def test_the_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    source = FileInput("-", KEYS)
    assert (source.identity, source.size, source.name) == (None, None, "standard input")
    assert [record.key for record in source.records(Place())] == [b"a", b"b"]


def test_a_pipe_has_no_identity(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert FileInput(str(tmp_path / "pipe"), KEYS).identity is None


def test_the_path_is_the_same_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "link").symlink_to("f")
    monkeypatch.chdir(tmp_path)
    assert FileInput("f", KEYS).path == FileInput(str(tmp_path / "link"), KEYS).path == str(tmp_path / "f")


class TestSourceTree:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        for name, content in {
            "b.py": b"one\ntwo\r\nthree",
            "a/x.py": b"\n\n",
            "a/empty.py": b"",
            "c.txt": b"no source",
            "site-packages/d.py": b"installed",
        }.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        (tmp_path / "directory.py").mkdir()
        return tmp_path

    def test_every_line_of_source_is_a_record(self, tree: Path) -> None:
        assert [(record.key, record.value) for record in SourceTree(tree).records(Place())] == [
            (b"a/x.py:00000001", b"\n"),
            (b"a/x.py:00000002", b"\n"),
            (b"b.py:00000001", b"one\n"),
            (b"b.py:00000002", b"two\r\n"),
            (b"b.py:00000003", b"three"),
        ]

    def test_any_place_can_be_gone_on_from(self, tree: Path) -> None:
        source = SourceTree(tree)
        everything = list(source.records(Place()))
        assert everything[-1].end == Place(source.size, 5)
        for index, record in enumerate(everything, 1):
            assert list(source.records(record.end)) == everything[index:]

    @pytest.mark.parametrize("change", ["written", "added", "removed"])
    def test_its_identity_changes_with_any_file(self, tree: Path, change: str) -> None:
        before = SourceTree(tree).identity
        assert SourceTree(tree).identity == before
        if change == "written":
            os.utime(tree / "b.py", ns=(1, 1))
        elif change == "added":
            (tree / "new.py").write_bytes(b"")
        else:
            (tree / "a" / "empty.py").unlink()
        assert SourceTree(tree).identity != before

    def test_a_bad_record_names_its_file(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("datasets.records.VALUE_BYTES_MAX", 4)
        bad = [record for record in SourceTree(tree).records(Place()) if isinstance(record, BadRecord)]
        assert bad[0] == BadRecord(4, Place(11, 4), f"in {tree}/b.py: the value is longer than 4 bytes")

    def test_the_standard_library_is_one(self) -> None:
        assert b"__future__.py:00000001" in {record.key for record, _ in zip(_records(), range(1_000), strict=False)}


def _records() -> object:
    return SourceTree(standard_library()).records(Place())


class TestDisplay:
    def test_elsewhere_than_on_a_terminal_there_is_a_line_now_and_then(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"x" * 2048)
        times = iter([0.0, 4.9, 5.0, 5.0, 9.9, 10.0, 10.0])
        said = io.StringIO()
        display = Display(Console(file=said, width=1_000), lambda: next(times))
        with display.showing("loading", FileInput(str(tmp_path / "f"), KEYS)) as show:
            for number in range(1, 5):
                show(Place(512 * number, number), 1_000 * number)
        assert said.getvalue().splitlines() == [
            f"loading {tmp_path}/f: 1.0 KiB of 2.0 KiB, 2,000 records",
            f"loading {tmp_path}/f: 2.0 KiB of 2.0 KiB, 4,000 records",
        ]

    def test_on_a_terminal_there_is_a_bar(self, tmp_path: Path) -> None:
        (tmp_path / "[f]").write_bytes(b"x" * 2048)
        said = io.StringIO()
        display = Display(Console(file=said, width=200, force_terminal=True))
        with display.showing("loading", FileInput(str(tmp_path / "[f]"), KEYS)) as show:
            show(Place(2048, 1), 1_234)
            display.say("between")
        assert "2.0/2.0 KiB" in said.getvalue()
        assert "1,234 records" in said.getvalue()
        assert "[f]" in said.getvalue()
        assert "between" in said.getvalue()
