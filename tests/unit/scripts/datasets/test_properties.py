"""Properties of every reader: written records are read, reading can continue at every place, no input breaks it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from datasets import csv_table
from datasets.csv_rows import read_csv
from datasets.deb822 import read_deb822
from datasets.json_lines import read_json_lines
from datasets.plain_lines import read_lines
from datasets.records import Place
from hypothesis import given
from hypothesis import strategies as st

READERS: dict[str, tuple[Callable[..., Any], dict[str, Any], bytes]] = {
    # name: reader, options, the beginning of the file
    "lines": (read_lines, {}, b""),
    "keys": (read_lines, {"key_is_line": True}, b""),
    "csv": (read_csv, {"key": ["a"]}, b"a,b\n"),
    "csv without header": (read_csv, {"key": ["b"], "columns": ["a", "b"], "raw": True, "delimiter": ";"}, b""),
    "jsonl": (read_json_lines, {"key": "a"}, b""),
    "deb822": (read_deb822, {"key": ["a"]}, b""),
}

PIECES = [b"a,b\n", b"a", b"1", b"\xff", b",", b";", b'"', b'""', b"\n", b"\r\n", b"\r", b" ", b"\t", b"#", b"a: 1\n"]
PIECES += [b"b:", b'{"a":1}\n', b'{"a"', b":", b"\xef\xbb\xbf", b"\0"]
CONTENT = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEY = TEXT.filter(bool)


@pytest.mark.parametrize("name", READERS)
@given(content=CONTENT)
def test_any_place_can_be_gone_on_from(name: str, content: bytes) -> None:
    reader, options, head = READERS[name]
    everything = list(reader(io.BytesIO(head + content), Place(), **options))
    for index, record in enumerate(everything, 1):
        assert list(reader(io.BytesIO(head + content), record.end, **options)) == everything[index:]


@pytest.mark.parametrize("name", READERS)
@given(content=CONTENT)
def test_places_and_lines_rise(name: str, content: bytes) -> None:
    reader, options, head = READERS[name]
    content = head + content
    behind = Place()
    for record in reader(io.BytesIO(content), Place(), **options):
        assert behind.position < record.end.position <= len(content)
        assert behind.line < record.line <= record.end.line
        before = content[: record.end.position]
        assert record.end.line == before.count(b"\n") + (not before.endswith(b"\n"))
        behind = record.end


class Pipe(io.BytesIO):
    """An input that can be read only once."""

    def seek(self, *arguments: int) -> int:
        raise io.UnsupportedOperation("a pipe")


@pytest.mark.parametrize("name", READERS)
@given(content=CONTENT)
def test_a_pipe_gives_what_a_file_gives(name: str, content: bytes) -> None:
    reader, options, head = READERS[name]
    from_file = list(reader(io.BytesIO(head + content), Place(), **options))
    assert list(reader(Pipe(head + content), Place(), **options)) == from_file


@given(rows=st.lists(st.tuples(KEY, TEXT, TEXT)), delimiter=st.sampled_from(",;\t"))
def test_csv_comes_back_as_it_was_written(rows: list[tuple[str, str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("k", "x", "y"), *rows])
    found = list(read_csv(io.BytesIO(file.getvalue().encode()), Place(), key=["k"], delimiter=delimiter))
    assert [record.key.decode() for record in found] == [key for key, _, _ in rows]
    assert [tuple(json.loads(record.value).values()) for record in found] == rows


@pytest.mark.parametrize("raw", [False, True])
@given(content=CONTENT, block_bytes=st.integers(1, 20))
def test_blocks_of_rows_give_what_single_rows_give(raw: bool, content: bytes, block_bytes: int) -> None:
    def read() -> list[Any]:
        return list(read_csv(io.BytesIO(b"a,b\n" + content), Place(), key=["a", "b"], prefix="p", raw=raw))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "BLOCK_BYTES", block_bytes)
        in_blocks = read()
        patch.setattr(csv_table.Table, "records_of_lines", lambda *arguments: None)
        assert in_blocks == read()


@given(lines=st.lists(st.binary(max_size=8).map(lambda line: line.replace(b"\n", b"").removesuffix(b"\r"))))
def test_lines_come_back_as_they_were_written(lines: list[bytes]) -> None:
    found = list(read_lines(io.BytesIO(b"".join(line + b"\n" for line in lines)), Place()))
    assert [record.value for record in found] == lines


@given(documents=st.lists(st.fixed_dictionaries({"k": KEY, "v": st.recursive(TEXT, st.lists, max_leaves=5)})))
def test_json_lines_come_back_as_they_were_written(documents: list[dict[str, Any]]) -> None:
    content = "".join(json.dumps(document) + "\n" for document in documents).encode()
    found = list(read_json_lines(io.BytesIO(content), Place(), key="k"))
    assert [(record.key.decode(), json.loads(record.value)) for record in found] == [
        (document["k"], document) for document in documents
    ]


@given(paragraphs=st.lists(st.lists(st.sampled_from([b" x", b"\t.", b"# y", b"B: z"]), unique=True)))
def test_paragraphs_come_back_as_they_were_written(paragraphs: list[list[bytes]]) -> None:
    written = [b"\n".join([b"A: %d" % number, *rest, b""]) for number, rest in enumerate(paragraphs)]
    found = list(read_deb822(io.BytesIO(b"\n".join(written)), Place(), key=["a"]))
    assert [(record.key, record.value) for record in found] == [
        (b"%d" % number, paragraph) for number, paragraph in enumerate(written)
    ]
