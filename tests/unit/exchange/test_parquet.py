"""What is written into a file of Parquet is read back, by pyarrow too; other files are refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from shardstore import keys
from shardstore.errors import Corruption, InvalidRequest, StorageFailure
from shardstore.exchange import parquet
from shardstore.exchange.content import ExportEnd, ExportEntries, ExportSection
from shardstore.exchange.sections import Source
from shardstore.key_range import EVERYTHING
from tests.unit.exchange.samples import pieces, plain


class FakeStore:
    """Gives its entries to an export."""

    def __init__(self, entries: Sequence[ExportEntries]) -> None:
        self._entries = entries

    def _scan_with_moments(self, *_: object, **__: object) -> Iterator[ExportEntries]:
        return iter(self._entries)


def sections() -> list[tuple[ExportSection, list[ExportEntries]]]:
    found: list[tuple[ExportSection, list[ExportEntries]]] = []
    for piece in pieces():
        if isinstance(piece, ExportSection):
            found.append((piece, []))
        elif isinstance(piece, ExportEntries):
            found[-1][1].append(piece)
    return found


def write(path: Path, section: ExportSection, entries: list[ExportEntries]) -> int:
    db: Any = FakeStore(entries)
    return parquet.write(db, str(path), [Source(section, b"", EVERYTHING)], None, lambda _: None)


@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_a_section_is_read_back(tmp_path: Path, number: int) -> None:
    section, entries = sections()[number]
    total = write(tmp_path / "file", section, entries)
    read = [placed.piece for placed in parquet.read(str(tmp_path / "file"))]
    assert read[0] == section
    assert read[-1] == ExportEnd(total)
    assert list(map(plain, read[1:-1])) == list(map(plain, entries))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_page_that_changed_is_noticed(tmp_path: Path) -> None:
    values = [b"%050d" % number for number in range(2_000)]
    write(tmp_path / "file", ExportSection(), [ExportEntries([b"%04d" % at for at in range(2_000)], values)])
    data = bytearray((tmp_path / "file").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Corruption, match=r"this is no file of an export, or it is damaged: .*CRC checksum"):
        list(parquet.read(str(tmp_path / "file")))
    with pytest.raises(StorageFailure, match="gone': No such file or directory"):
        list(parquet.read(str(tmp_path / "gone")))


def test_row_groups_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1_000)
    pages = [ExportEntries([b"%d" % at], [bytes(600)]) for at in range(5)]
    write(tmp_path / "file", ExportSection(), pages)
    read = [placed.piece for placed in parquet.read(str(tmp_path / "file"))]
    assert [len(piece.keys) for piece in read if isinstance(piece, ExportEntries)] == [2, 2, 1]


def test_typed_keys_and_values_are_columns(tmp_path: Path) -> None:
    kind = keys.Tuple(str, int | None)
    stored = kind.encode_many([("ada", None), ("ada", 7)])
    write(tmp_path / "file", ExportSection("x", kind.description, "Int/1"), [ExportEntries(stored, [b"1", b"-2"])])
    table = pyarrow.parquet.read_table(tmp_path / "file").to_pydict()
    assert [table[name] for name in ("key_0", "key_1", "value")] == [["ada", "ada"], [None, 7], [1, -2]]


def test_what_the_columns_cannot_hold_is_refused(tmp_path: Path) -> None:
    kind = keys.Int()
    entries = [ExportEntries([kind.encode(1 << 80)], [b"v"])]
    with pytest.raises(InvalidRequest, match="Parquet cannot hold this, JSON Lines can: "):
        write(tmp_path / "file", ExportSection("x", kind.description), entries)
    with pytest.raises(InvalidRequest, match="Parquet cannot hold this key, JSON Lines can: "):
        write(tmp_path / "file", ExportSection("x", kind.description), [ExportEntries([b"\xff"], [b"v"])])
    assert not (tmp_path / "file").exists()


def test_a_file_has_one_section_and_is_not_replaced(tmp_path: Path) -> None:
    db: Any = FakeStore([])
    with pytest.raises(
        InvalidRequest, match="a file of Parquet has one space: name it with --space, or --space '' for keys of none"
    ):
        parquet.write(db, str(tmp_path / "file"), [], None, lambda _: None)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match="file' exists: remove it, or choose another name"):
        write(tmp_path / "file", ExportSection(), [])


def test_other_files_are_no_exports(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"PAR1 garbage PAR1")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other")
    section = ExportSection()
    schema = pyarrow.schema([("a", pyarrow.int64())], metadata={b"shardstore": b"{}"})
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}, schema=schema), tmp_path / "no section")
    with_section = schema.with_metadata({b"shardstore": pyarrow_metadata(section)})
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}, schema=with_section), tmp_path / "columns")
    said = {}
    for name in ("garbage", "other", "no section", "columns"):
        with pytest.raises(Corruption) as error:
            list(parquet.read(str(tmp_path / name)))
        said[name] = error.value.what
    assert "this is no file of an export, or it is damaged: " in said["garbage"]
    assert said["no section"] == said["other"] == "this is no section"
    assert said["columns"] == "its columns are not those of its section"


def pyarrow_metadata(section: ExportSection) -> bytes:
    return parquet.to_json(section._asdict()).encode()


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest) as error:
        write(tmp_path / "file", ExportSection(), [])
    assert str(error.value) == "Parquet needs pyarrow: `pip install 'shardstore[parquet]'`"
