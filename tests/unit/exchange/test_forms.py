"""What is written into a bundle or into JSON Lines is read back; damage is named and nothing else is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import SEEK_END, BytesIO
from pathlib import Path

import msgpack
import pytest
import xxhash
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shardstore.checksum import checksum_of
from shardstore.errors import Corruption, InvalidRequest
from shardstore.exchange.bundle import read_bundle
from shardstore.exchange.content import ExportEnd, ExportEntries, ExportSection, without_moment
from shardstore.exchange.exporting import written_so_far
from shardstore.exchange.forms import BUNDLE, JSON, PARQUET, READERS, START_BYTES, form_begun_by, form_named, writer_of
from shardstore.exchange.json_keys import JsonKeys
from shardstore.exchange.json_lines import read_json_lines
from shardstore.identifiers import Expiring
from tests.unit.exchange.samples import pieces, plain, read_pieces

GOLDEN = Path(__file__).parent.parent.parent / "golden"
BOTH = pytest.mark.parametrize("form", [JSON, BUNDLE])
COUNT = sum(len(piece.keys) for piece in pieces() if isinstance(piece, ExportEntries))


def written(form: str) -> bytes:
    file = BytesIO()
    writer = writer_of(form, file)
    for piece in pieces():
        if isinstance(piece, ExportSection):
            writer.section(piece)
        elif isinstance(piece, ExportEntries):
            writer.entries(piece)
    writer.end(COUNT)
    return file.getvalue()


def merged(read: list[object]) -> list[object]:
    """Pieces with the entries of a section in one, as readers cut them as they like."""
    found: list[object] = []
    for piece in read:
        if isinstance(piece, tuple) and isinstance(piece[0], list) and isinstance(found[-1], tuple):
            last = found[-1]
            if isinstance(last[0], list):
                found[-1] = (last[0] + piece[0], last[1] + piece[1])
                continue
        found.append(piece)
    return found


@BOTH
def test_what_was_written_is_read(form: str) -> None:
    read = [placed.piece for placed in read_pieces(READERS[form], written(form))]
    assert read[-1] == ExportEnd(COUNT)
    assert merged(list(map(plain, read[:-1]))) == merged(list(map(plain, pieces())))


@BOTH
def test_every_byte_that_changes_is_noticed(form: str) -> None:
    data = written(form)
    for at in range(len(data)):
        with pytest.raises(Corruption) as error:
            read_pieces(READERS[form], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert error.value.file == "file"
        assert 0 <= error.value.offset <= len(data)


@BOTH
def test_a_file_that_is_cut_or_goes_on_is_not_whole(form: str) -> None:
    data = written(form)
    for end in range(len(data)):
        with pytest.raises(Corruption):
            read_pieces(READERS[form], data[:end])
    with pytest.raises(Corruption):
        read_pieces(READERS[form], data + b"\n")


@BOTH
def test_a_file_that_was_cut_anywhere_is_written_to_its_end_as_if_nothing_had_happened(form: str) -> None:
    data = written(form)
    for end in [*range(0, len(data), 7), len(data)]:
        file = BytesIO(data[:end])
        begun = written_so_far(file, form, "file")
        file.truncate(begun.offset)
        file.seek(begun.offset)
        writer = writer_of(form, file, begun.offset)
        file.seek(0, SEEK_END)
        sections, left = 0, COUNT
        for piece in pieces():
            if isinstance(piece, ExportSection):
                sections += 1
                if sections == len(begun.sections):
                    writer.go_on(piece)
                elif sections > len(begun.sections):
                    writer.section(piece)
            elif isinstance(piece, ExportEntries) and sections >= len(begun.sections):
                last = begun.last_key if sections == len(begun.sections) else None
                new = [pair for pair in zip(*piece, strict=True) if last is None or pair[0] > last]
                if new:
                    writer.entries(ExportEntries(*zip(*new, strict=True)))
                left -= len(new)
        assert left == begun.entries
        writer.end(COUNT)
        read = [placed.piece for placed in read_pieces(READERS[form], file.getvalue())]
        assert merged(list(map(plain, read[:-1]))) == merged(list(map(plain, pieces())))


def test_the_bundle_is_the_golden_file() -> None:
    golden = (GOLDEN / "bundle-v1.bin").read_bytes()
    read = [plain(placed.piece) for placed in read_pieces(read_bundle, golden)]
    assert merged(read[:-1]) == merged(list(map(plain, pieces())))


def test_the_json_lines_are_the_golden_file() -> None:
    assert written(JSON) == (GOLDEN / "export-v1.jsonl").read_bytes()


def frame(kind: int, entries: int, payload: bytes, length: int | None = None) -> bytes:
    head = b"".join(
        number.to_bytes(size, "little")
        for number, size in ((kind, 4), (entries, 4), (len(payload) if length is None else length, 8))
    )
    return head + checksum_of((head, payload), 16).to_bytes(8, "little") + payload


def entries_of(keys: bytes, values: bytes, fixed: int = 0) -> bytes:
    return zstandard.compress(b"\0" + bytes([fixed, 0, 0]) + len(keys).to_bytes(4, "little") + keys + values)


SECTION = ExportSection("name")._asdict()
ONE_KEY, ONE_VALUE = msgpack.packb([b"k"]), msgpack.packb([b"v"])
BOMB = zstandard.ZstdCompressor().compress(bytes(65 << 20))


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (frame(7, 0, b""), "a frame of kind 7 with 0 bytes"),
        (frame(1, 0, b"\xc1"), "a section that is no msgpack: "),
        (frame(1, 0, msgpack.packb({"name": 1})), "this is no section"),
        (frame(1, 0, msgpack.packb(SECTION | {"name": "n" * 300})), "a section with too long a name or description"),
        (frame(1, 0, msgpack.packb(SECTION | {"ttl_ms": -1})), "a section whose values last -1 ms"),
        (frame(2, 1, b"", 1 << 40), "a frame of 1,099,511,627,776 bytes with 1 entries"),
        (frame(2, 1, BOMB), "entries that are too large"),
        (frame(2, 1, b"no zstd"), "entries that cannot be read: "),
        (frame(2, 2, entries_of(ONE_KEY, ONE_VALUE)), "entries that cannot be read: no array of 2 items"),
        (frame(2, 1, entries_of(msgpack.packb([b""]), ONE_VALUE)), "entries that cannot be read: an item is shorter"),
        (frame(3, 0, bytes([9, *bytes(7)])), "the end says 9 entries, the file has 0, or more"),
        (frame(2, 1, entries_of(ONE_KEY, ONE_VALUE)), "the file ends here, and is not whole"),
    ],
)
def test_a_hostile_bundle_is_refused_by_what_is_wrong(frames: bytes, text: str) -> None:
    start = b"shardEXP" + (1).to_bytes(4, "little") + bytes(4)
    with pytest.raises(Corruption) as error:
        read_pieces(read_bundle, start + frames)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"another thing altogether", "this is no bundle"),
        (b"shardEXP\x02" + bytes(7), "a bundle of version 2; this program reads version 1"),
        (b"shardEXP\x01" + bytes(7) + bytes(24), "the checksum of a frame does not match"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(Corruption) as error:
        read_pieces(read_bundle, data)
    assert text in str(error.value)


FIRST = '{"shardstore":"export","version":1}'
SPACE = '{"space":"","key":"Bytes()","value":"Raw/1","together":false,"ttl_ms":0}'
END = '{"end":1}'


def lines(*texts: str) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (lines('{"a":1}'), "this is no export: its first line is not that of one"),
        (lines('{"shardstore":"export","version":2}'), "an export of version 2; this program reads 1"),
        (lines(FIRST, '{"key":"a","value":"b"}', END), "an entry before the first space"),
        (lines(FIRST, SPACE, '{"key":"a"}', END), "the line is no entry: "),
        (lines(FIRST, SPACE, '{"value":"a"}', END), "the line is no entry: 'key' is missing"),
        (lines(FIRST, SPACE, '{"key":"a","value":1}', END), "the line is no entry: a value is no text"),
        (lines(FIRST, SPACE, '{"key":"a","value":"b","expires_at":-1}', END), "expires_at is no number of seconds"),
        (lines(FIRST, SPACE, '{"key":"","value":"b"}', END), "a key is empty, or has more than 4,096 bytes"),
        (
            lines(FIRST, SPACE, '{"key":"a","stored":"%s"}' % ("00" * (8 * 2**20 + 1)), END),
            "a value has more than 8,388,608 bytes",
        ),
        (lines(FIRST, SPACE, "{"), "the line is no JSON: "),
        (lines(FIRST, SPACE, "[" * 100_000), "the line is no JSON: "),
        (lines(FIRST, SPACE, "7"), "the line is no object"),
        (lines(FIRST, SPACE, '{"end":0,"checksum":"00"}'), "the checksum of the lines before does not match"),
        (lines(FIRST, SPACE, '{"end":0,"checks":"00"}'), "the line is no end: it has other members"),
        (lines(FIRST, SPACE, '{"end":5}'), "the end of 5 entries, after 0, or not the last line"),
        (lines(FIRST, SPACE), "the file ends here"),
        (lines(FIRST, '{"space":"x","key":"What()","value":"Raw/1","together":false,"ttl_ms":0}'), "What()"),
    ],
)
def test_a_bad_line_is_refused_by_what_is_wrong(data: bytes, text: str) -> None:
    with pytest.raises(Corruption) as error:
        read_pieces(read_json_lines, data)
    assert text in str(error.value)


def test_a_file_that_was_edited_needs_no_checksum() -> None:
    read = read_pieces(read_json_lines, lines(FIRST, SPACE, '{"value":"b","key":"a"}', END))
    assert [plain(placed.piece) for placed in read[1:]] == [([b"a"], [b"b"]), ExportEnd(1)]


def test_the_checksum_is_that_of_the_lines() -> None:
    *before, last = written(JSON).splitlines(keepends=True)
    assert json.loads(last) == {"end": COUNT, "checksum": xxhash.xxh3_64_hexdigest(b"".join(before))}


@given(st.binary(max_size=300))
@pytest.mark.parametrize("read", [read_bundle, read_json_lines])
def test_garbage_is_corruption(read: Callable[..., object], data: bytes) -> None:
    for start in (b"", written(BUNDLE)[:80], written(JSON)[:150]):
        with pytest.raises(Corruption):
            read_pieces(read, start + data)


def test_the_name_of_a_file_says_its_form() -> None:
    assert [form_named(f"a/x.{end}") for end in ("jsonl", "NDJSON", "bundle", "parquet")] == [
        JSON,
        JSON,
        BUNDLE,
        PARQUET,
    ]
    with pytest.raises(InvalidRequest) as error:
        form_named("x")
    ends_known = ".jsonl, .ndjson, .json, .bundle, .parquet"
    said = f"'x' does not say which form it has: let it end with one of {ends_known}, or give --form"
    assert str(error.value) == said
    starts = (written(BUNDLE), b"PAR1\x15\x04\x15\x00", b"{}")
    assert [form_begun_by(start[:START_BYTES]) for start in starts] == [BUNDLE, PARQUET, JSON]


@pytest.mark.parametrize("shown", [{"bytes": 1}, 7, {"bytes": "0"}, {"uuid": "x"}, {"a": "b"}, ["x"], {"stored": "0"}])
@pytest.mark.parametrize("description", ["Bytes()", "Str()", "Tuple(int)"])
def test_what_is_no_key_as_json_is_refused(description: str, shown: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (the reader names the line)
        JsonKeys(description).stored(shown)


def test_a_bound_may_be_the_beginning_of_a_tuple() -> None:
    bounds = JsonKeys("Tuple(str, int)")
    assert bounds.bound(["ada"]) == bounds.stored(["ada", 0])[:5]
    assert bounds.bound(["ada", 7]) == bounds.stored(["ada", 7])
    with pytest.raises(ValueError, match="Tuple"):
        bounds.bound([7])


def test_a_value_is_bare_without_its_moment() -> None:
    assert [without_moment(Expiring(5, b"a")), without_moment(b"b")] == [b"a", b"b"]
