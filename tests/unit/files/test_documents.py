"""Small published files: damage is detected and named, and a crash leaves the old or the new file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files import documents
from shardstore.files.documents import decode_document, encode_document, publish, read_document
from shardstore.files.formats import Format
from shardstore.system.posix_filesystem import PosixFilesystem

KIND = Format("test", b"sSTEST\0\0", version=1, oldest=1)
GOLDEN_FILE = Path(__file__).parents[2] / "golden" / "document-v1.bin"
BODY = {"name": "value", "list": [1, 2, 3], "key": b"\x00\xff"}
BODIES = st.dictionaries(st.text(max_size=5), st.integers(0, 2**64 - 1) | st.binary(max_size=9), max_size=4)


def test_document_is_the_bytes_of_the_golden_file() -> None:
    golden = GOLDEN_FILE.read_bytes()
    assert encode_document(KIND, BODY) == golden
    assert decode_document("FILE", golden, KIND) == (1, BODY)


@given(BODIES)
def test_body_comes_back(body: dict[str, Any]) -> None:
    assert decode_document("FILE", encode_document(KIND, body), KIND) == (1, body)


@pytest.mark.fault("M1")
@given(st.data())
def test_every_flipped_bit_is_found(data: st.DataObject) -> None:
    good = encode_document(KIND, BODY)
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    damaged = bytearray(good)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Corruption, match="FILE at byte"):
        decode_document("FILE", bytes(damaged), KIND)


@pytest.mark.fault("M1")
@pytest.mark.parametrize("length", range(len(encode_document(KIND, BODY))))
def test_every_cut_is_found(length: int) -> None:
    with pytest.raises(Corruption):
        decode_document("FILE", encode_document(KIND, BODY)[:length], KIND)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(Corruption):
        decode_document("FILE", data, KIND)


@given(st.binary(max_size=20))
def test_a_body_that_is_no_map_is_damage_even_with_a_good_checksum(packed: bytes) -> None:
    head = documents._HEAD.pack(KIND.magic, 1, len(packed))
    data = head + documents._CHECKSUM.pack(checksum(packed, checksum(head))) + packed
    with suppress(Corruption):
        assert type(decode_document("FILE", data, KIND)[1]) is dict


@pytest.mark.parametrize(
    ("magic", "version", "offset", "what"),
    [
        (b"sSOTHER\0", 1, 0, "begins with"),
        (KIND.magic, 2, 8, r"version 2, this program \(.*\) reads version 1: a newer .* it needs a release after "),
    ],
)
def test_another_kind_or_version_is_named(magic: bytes, version: int, offset: int, what: str) -> None:
    with pytest.raises(Corruption, match=what) as caught:
        decode_document("FILE", encode_document(Format("other", magic, version, version), BODY), KIND)
    assert (caught.value.file, caught.value.offset) == ("FILE", offset)


def test_published_document_is_read_back(tmp_path: Path) -> None:
    filesystem = PosixFilesystem(str(tmp_path))
    filesystem.make_directory("router")
    for number in range(3):
        publish(filesystem, "router/ROUTES", encode_document(KIND, {"number": number}))
        assert read_document(filesystem, "router/ROUTES", KIND) == (1, {"number": number})
    assert filesystem.list_directory("router") == ["ROUTES"]


def test_a_temporary_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    filesystem = PosixFilesystem(str(tmp_path))
    (tmp_path / ("FILE" + documents.TEMPORARY_SUFFIX)).write_bytes(b"half of a document")
    publish(filesystem, "FILE", encode_document(KIND, BODY))
    assert read_document(filesystem, "FILE", KIND) == (1, BODY)


class Traced:
    """Records the name and the first argument of every call to a filesystem and its files, and forwards it."""

    def __init__(self, target: Any, trace: list[str], name: str = "") -> None:
        self._target = target
        self._trace = trace
        self._name = name

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*arguments: Any) -> Any:
            self._trace.append(" ".join([name, self._name, *map(str, arguments if not self._name else ())]))
            result = method(*arguments)
            return Traced(result, self._trace, arguments[0]) if name in ("create", "open") else result

        return call


@pytest.mark.fault("G2")
def test_publishing_takes_these_steps_in_this_order(tmp_path: Path) -> None:
    trace: list[str] = []
    filesystem = PosixFilesystem(str(tmp_path))
    filesystem.make_directory("router")
    publish(Traced(filesystem, trace), "router/ROUTES", b"content")  # type: ignore[arg-type]
    assert [" ".join(step.split()) for step in trace] == [
        "exists router/ROUTES.tmp",
        "create router/ROUTES.tmp",
        "append router/ROUTES.tmp",
        "sync router/ROUTES.tmp",
        "close router/ROUTES.tmp",
        "rename router/ROUTES.tmp router/ROUTES",
        "sync_directory router",
    ]
