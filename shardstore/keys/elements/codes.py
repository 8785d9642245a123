"""The bytes of a tuple key: its elements, one after the other. The first byte of each says its type.

The types, codes and encodings are those of the tuple encoding of FoundationDB, as published in "FDB Tuple layer
typecodes" (https://github.com/apple/foundationdb/blob/main/design/tuple.md), where it defines them. What that page
leaves open is defined here: ints of 256 bytes and more, for which it reserves 0x0a and 0x1e, and two of the codes
0x40 to 0x4f, which it leaves to users.

A key has one encoding. So equal floats and equal instants are written in one way, and bytes that encode() does not
write are not read. A code of the specification that is not in the table is not read either.
"""

from __future__ import annotations

from typing import NamedTuple

NULL = b"\x00"
NULL_IN_TUPLE = b"\x00\xff"
"""None within a nested tuple, which ends with a zero byte."""
BYTES = 0x01
STR = 0x02
NESTED = 0x05
NEGATIVE_HUGE = 0x0A
NEGATIVE_BIG = 0x0B
ZERO = 0x14
POSITIVE_BIG = 0x1D
POSITIVE_HUGE = 0x1E
DOUBLE = 0x21
FALSE = 0x26
TRUE = 0x27
UUID_CODE = 0x30
DATE = 0x40
DATETIME = 0x41

TERMINATOR = 0x00
ESCAPE = 0xFF
"""After a zero byte it says that the zero byte ends nothing. No type has it as its code."""
ESCAPED_ZERO = b"\x00\xff"


class Code(NamedTuple):
    """A row of the table: the codes of a type, from the first to the last, and what follows the code in a key."""

    first: int
    last: int
    type_name: str
    follows: str


TABLE = (
    Code(0x00, 0x00, "None", "nothing; in a nested tuple 0xff"),
    Code(0x01, 0x01, "bytes", "the bytes, each 0x00 as 0x00 0xff; then 0x00"),
    Code(0x02, 0x02, "str", "UTF-8, each 0x00 as 0x00 0xff; then 0x00"),
    Code(0x05, 0x05, "tuple", "its elements; then 0x00"),
    Code(0x0A, 0x0A, "int", "negative, 256 bytes and more: as 0x0b, but two bytes for the length"),
    Code(0x0B, 0x0B, "int", "negative, 9 to 255 bytes: the length with its bits flipped; then as below"),
    Code(0x0C, 0x13, "int", "negative, 8 bytes to 1: big endian, the bits of the magnitude flipped"),
    Code(0x14, 0x14, "int", "nothing: zero"),
    Code(0x15, 0x1C, "int", "positive, 1 byte to 8: big endian"),
    Code(0x1D, 0x1D, "int", "positive, 9 to 255 bytes: the length; then big endian"),
    Code(0x1E, 0x1E, "int", "positive, 256 bytes and more: as 0x1d, but two bytes for the length"),
    Code(0x21, 0x21, "float", "8 bytes of IEEE 754; all bits flipped if negative, else the first"),
    Code(0x26, 0x26, "bool", "nothing: False"),
    Code(0x27, 0x27, "bool", "nothing: True"),
    Code(0x30, 0x30, "UUID", "its 16 bytes"),
    Code(0x40, 0x40, "date", "3 bytes, big endian: days, with 1 for 0001-01-01"),
    Code(0x41, 0x41, "datetime", "8 bytes, big endian: microseconds since 0001-01-01 in UTC"),
)
"""In the order in which keys sort."""
