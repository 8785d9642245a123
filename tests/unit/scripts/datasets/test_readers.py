"""The output of readers: records, the places between them, and the reasons for bad records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from datasets import deb822, records
from datasets.csv_rows import is_readable, read_csv
from datasets.deb822 import read_deb822
from datasets.json_lines import read_json_lines
from datasets.plain_lines import read_lines
from datasets.records import BadData, BadRecord, Place, Record

from shardstore.limits import KEY_BYTES_MAX, VALUE_BYTES_MAX


def read(reader: Callable[..., Any], content: bytes, **options: Any) -> list[Record | BadRecord]:
    return list(reader(io.BytesIO(content), Place(), **options))


def pairs(reader: Callable[..., Any], content: bytes, **options: Any) -> list[tuple[bytes, bytes]]:
    return [(record.key, record.value) for record in read(reader, content, **options)]


def reasons(reader: Callable[..., Any], content: bytes, **options: Any) -> list[tuple[int, str]]:
    return [(bad.line, bad.reason) for bad in read(reader, content, **options) if isinstance(bad, BadRecord)]


class TestLines:
    def test_keys_are_padded_numbers(self) -> None:
        assert read(read_lines, b"one\ntwo\r\n\n\xff\x00", prefix="w:") == [
            Record(1, Place(4, 1), b"w:000000000001", b"one"),
            Record(2, Place(9, 2), b"w:000000000002", b"two"),
            Record(3, Place(10, 3), b"w:000000000003", b""),
            Record(4, Place(12, 4), b"w:000000000004", b"\xff\x00"),
        ]

    def test_the_line_may_be_the_key(self) -> None:
        assert pairs(read_lines, b"one\ntwo", key_is_line=True, prefix="w:") == [(b"w:one", b""), (b"w:two", b"")]

    def test_an_empty_line_is_no_key(self) -> None:
        assert reasons(read_lines, b"a\n\nb", key_is_line=True, prefix="w:") == [(2, "the key is empty")]

    def test_a_key_has_a_limit(self) -> None:
        longest = b"k" * KEY_BYTES_MAX
        assert pairs(read_lines, longest + b"\n", key_is_line=True) == [(longest, b"")]
        assert reasons(read_lines, longest + b"k\n", key_is_line=True) == [(1, "the key is longer than 4,096 bytes")]

    def test_a_value_has_a_limit(self) -> None:
        longest = b"v" * VALUE_BYTES_MAX
        assert pairs(read_lines, longest + b"\r\n") == [(b"000000000001", longest)]
        assert reasons(read_lines, longest + b"v") == [(1, "the value is longer than 8,388,608 bytes")]

    def test_a_line_that_is_not_kept_is_passed_over_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(records, "LINE_BYTES_MAX", 10)
        monkeypatch.setattr(records, "VALUE_BYTES_MAX", 5)
        monkeypatch.setattr(records, "_READ_AHEAD", 4)
        assert read(read_lines, b"x" * 31 + b"\nnext\n" + b"y" * 11) == [
            BadRecord(1, Place(32, 1), "the value is longer than 5 bytes"),
            Record(2, Place(37, 2), b"000000000002", b"next"),
            BadRecord(3, Place(48, 3), "the value is longer than 5 bytes"),
        ]


class TestCsv:
    def test_values_are_json_objects(self) -> None:
        assert pairs(read_csv, "id,name\r\n7,Zoë\r\n8,\r\n".encode(), key=["id"]) == [
            (b"7", '{"id":"7","name":"Zoë"}'.encode()),
            (b"8", b'{"id":"8","name":""}'),
        ]

    def test_a_quoted_field_may_hold_anything(self) -> None:
        content = b'id,text\n1,"two\nlines, a comma and ""quotes"""\n2,plain\n'
        first, second = read(read_csv, content, key=["id"])
        assert json.loads(first.value)["text"] == 'two\nlines, a comma and "quotes"'
        assert first[:2] == (2, Place(content.index(b"2,plain"), 3))
        assert second[:2] == (4, Place(len(content), 4))

    def test_raw_values_are_the_rows_as_they_stand(self) -> None:
        content = b'id,text\n1,"a\n""b"""\r\n\n2,c'
        assert pairs(read_csv, content, key=["id"], raw=True) == [(b"1", b'1,"a\n""b"""'), (b"2", b"2,c")]

    def test_a_key_may_have_columns_in_any_order(self) -> None:
        assert pairs(read_csv, b"a,b,c\n1,2,3\n", key=["c", "a"], prefix="p/", raw=True) == [(b"p/3:1", b"1,2,3")]

    def test_columns_may_be_named_by_the_caller(self) -> None:
        assert pairs(read_csv, b"1\t2\n", key=["b"], columns=["a", "b"], delimiter="\t") == [
            (b"2", b'{"a":"1","b":"2"}')
        ]

    def test_other_encodings_become_utf8(self) -> None:
        content = "näme\nß\n".encode("latin-1")
        assert pairs(read_csv, content, key=["näme"], encoding="latin-1") == [("ß".encode(), '{"näme":"ß"}'.encode())]

    def test_a_byte_order_mark_is_no_part_of_the_first_column(self) -> None:
        assert pairs(read_csv, b"\xef\xbb\xbfid\n1\n", key=["id"]) == [(b"1", b'{"id":"1"}')]

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (b"1,2", "2 columns instead of 3"),
            (b"1,2,3,4", "4 columns instead of 3"),
            (b",2,3", "the column 'id' is empty"),
            (b'1,"2"x,3', "',' expected after '\"'"),
            (b"1,\xff,3", "not utf-8: invalid start byte at byte 3 of the line"),
            (b"k" * 4097 + b",2,3", "the key is longer than 4,096 bytes"),
        ],
    )
    def test_bad_rows_are_told_and_the_next_one_is_read(self, row: bytes, reason: str) -> None:
        bad, good = read(read_csv, b"id,b,c\n" + row + b"\n7,8,9\n", key=["id"], raw=True)
        assert bad == BadRecord(2, Place(8 + len(row), 2), reason)
        assert good == Record(3, Place(14 + len(row), 3), b"7", b"7,8,9")

    def test_an_undecodable_line_in_a_row_is_named_and_the_row_read_on(self) -> None:
        content = b'id,b\n1,"x\n\xff\ny"\n2,z\n'
        bad, good = read(read_csv, content, key=["id"])
        assert bad.line == 3
        assert bad.reason == "not utf-8: invalid start byte at byte 1 of the line (the row ends in line 4)"
        assert (good.line, good.key) == (5, b"2")

    def test_a_quote_that_is_never_closed(self) -> None:
        assert reasons(read_csv, b'id,b\n1,"x\n2,y\n', key=["id"]) == [
            (2, "unexpected end of data (the row ends in line 3)")
        ]

    def test_a_row_without_end_is_given_up_at_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("datasets.csv_rows.ROW_BYTES_MAX", 20)
        found = read(read_csv, b'id,b\n1,"x\n' + b"2,y\n" * 5, key=["id"])
        assert found[0].reason == "the row is longer than 20 bytes (the row ends in line 6)"
        assert [record.key for record in found[1:]] == [b"2"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "there is no header: the file is empty"),
            (b"a,b,a\n", "there are two columns 'a'"),
            (b"a,b\n", "there is no column 'id'; there are 'a', 'b'"),
            (b"a,\xff\n", "line 1 is not a header: not utf-8: invalid start byte at byte 3 of the line"),
        ],
    )
    def test_a_wrong_header_ends_it(self, content: bytes, message: str) -> None:
        with pytest.raises(BadData) as caught:
            read(read_csv, content, key=["id"])
        assert str(caught.value) == message

    @pytest.mark.parametrize("name", ["utf-8", "latin-1", "cp1252", "gbk", "iso8859-15"])
    def test_extensions_of_ascii_are_readable(self, name: str) -> None:
        assert is_readable(name)

    @pytest.mark.parametrize(
        "name", ["utf-16", "utf-32", "cp037", "utf-7", "unicode_escape", "raw_unicode_escape", "hex", "nonsense"]
    )
    def test_other_encodings_are_not(self, name: str) -> None:
        assert not is_readable(name)


class TestJsonLines:
    def test_values_are_the_lines_as_they_stand(self) -> None:
        assert pairs(read_json_lines, b'{"id":  "a" }\r\n\n  \n{"id":7}', key="id", prefix="p:") == [
            (b"p:a", b'{"id":  "a" }'),
            (b"p:7", b'{"id":7}'),
        ]

    def test_the_key_may_lie_deeper(self) -> None:
        assert pairs(read_json_lines, '{"a":{"b":{"c":"ü"}}}'.encode(), key="a.b.c")[0][0] == "ü".encode()

    def test_a_byte_order_mark_is_passed_over(self) -> None:
        assert pairs(read_json_lines, b'\xef\xbb\xbf{"id":1}', key="id") == [(b"1", b'{"id":1}')]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b'{"id":1', "broken JSON: Expecting ',' delimiter at column 8"),
            (b'{"id":"\xff"}', "not UTF-8: invalid start byte at byte 8 of the line"),
            (b'{"other":1}', "there is no field id"),
            (b"[1]", "there is no field id"),
            (b'{"id":null}', "the field id is neither text nor an integer"),
            (b'{"id":true}', "the field id is neither text nor an integer"),
            (b'{"id":1.5}', "the field id is neither text nor an integer"),
            (b'{"id":""}', "the field id is empty"),
            (b'{"id":"\\ud800"}', "the field id contains half of a surrogate pair"),
            (b'{"id":"%s"}' % (b"k" * 4097), "the key is longer than 4,096 bytes"),
            (b'{"id":"%s"}' % (b"k" * VALUE_BYTES_MAX), "the value is longer than 8,388,608 bytes"),
        ],
    )
    def test_bad_lines_are_told_and_the_next_one_is_read(self, line: bytes, reason: str) -> None:
        bad, good = read(read_json_lines, line + b'\n{"id":2}\n', key="id", prefix="p")
        assert bad == BadRecord(1, Place(len(line) + 1, 1), reason)
        assert (good.line, good.key) == (2, b"p2")

    @pytest.mark.parametrize("line", [b"[" * 100_000, b'{"id":' + b"9" * 5_000 + b"}"])
    def test_what_python_cannot_parse_is_bad_too(self, line: bytes) -> None:
        (bad,) = reasons(read_json_lines, line, key="id")
        assert bad[1].startswith("JSON that Python cannot read")


STATUS = b"""\
# a comment
Package: adduser
Status: install ok installed
Description: add and remove users
 This package: includes
 .
\tmore
version:  3.134\x20

  \t
Package: zlib
Version: 1:2
Architecture:amd64"""


class TestDeb822:
    def test_values_are_the_bytes_of_the_paragraphs(self) -> None:
        first, second = read(read_deb822, STATUS, key=["Package", "Version"])
        blank = STATUS.index(b"\n\n") + 1
        assert first == Record(1, Place(blank, 8), b"adduser:3.134", STATUS[:blank])
        assert second == Record(11, Place(len(STATUS), 13), b"zlib:1:2", STATUS[STATUS.index(b"Package: zlib") :])

    def test_a_paragraph_of_comments_is_none(self) -> None:
        assert pairs(read_deb822, b"# one\n# two\n\n\nA: 1\n", key=["a"]) == [(b"1", b"A: 1\n")]

    @pytest.mark.parametrize(
        ("paragraph", "line", "reason"),
        [
            (b"Package: x\n", 1, "the field version is missing"),
            (b"Package: x\nVersion:\n 1\n", 1, "the field version is empty"),
            (b" continued\nPackage: x\n", 1, "the line continues a field, but there is no field before it"),
            (b"# why\n\tcontinued\n", 2, "the line continues a field, but there is no field before it"),
            (
                b"Package: x\nno colon\n",
                2,
                "the line is neither a field with a colon, nor a continuation, nor a comment",
            ),
            (
                b"Package: x\nwith space: y\n",
                2,
                "the line is neither a field with a colon, nor a continuation, nor a comment",
            ),
            (b"Package: x\n: y\n", 2, "the line is neither a field with a colon, nor a continuation, nor a comment"),
            (b"-----BEGIN: x\n", 1, "the line is neither a field with a colon, nor a continuation, nor a comment"),
            (b"Package: x\nVersion: 1\npackage: y\n", 3, "the field package occurs twice"),
            (b"Package: " + b"k" * 4096 + b"\nVersion: 1\n", 1, "the key is longer than 4,096 bytes"),
        ],
    )
    def test_bad_paragraphs_are_told_and_the_next_one_is_read(self, paragraph: bytes, line: int, reason: str) -> None:
        bad, good = read(read_deb822, paragraph + b"\nPackage: y\nVersion: 2\n", key=["Package", "Version"])
        assert bad == BadRecord(line, Place(len(paragraph), paragraph.count(b"\n")), reason)
        assert good.key == b"y:2"

    def test_a_paragraph_has_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("datasets.deb822.VALUE_BYTES_MAX", 20)
        monkeypatch.setattr(records, "VALUE_BYTES_MAX", 20)
        content = b"A: 1\nB: 45678901234\n\nA: 2\nB: 456789012345\nC:\n\nA: 3\n"
        assert read(read_deb822, content, key=["A"]) == [
            Record(1, Place(20, 2), b"1", content[:20]),
            BadRecord(4, Place(45, 6), "the value is longer than 20 bytes"),
            Record(8, Place(51, 8), b"3", b"A: 3\n"),
        ]

    def test_no_more_of_a_paragraph_is_kept_than_shows_that_it_is_too_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deb822, "VALUE_BYTES_MAX", 20)
        kept, end = deb822._bounded((Place(7 * number, number), b"A: 123\n") for number in range(1, 1_000))
        assert (len(kept), end) == (3, Place(6993, 999))
