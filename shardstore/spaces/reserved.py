"""The keys that are reserved for spaces.

    ff ff 00         a counter: the number of the newest space, as `increment` writes it
    ff ff 00 name    the document of the space with this name, which is 1 to 200 characters in UTF-8
    ff ff number     what begins the keys of the space with this number

    number of a space    bytes
              1 to 127   0xxxxxxx
         128 to 16,383   10xxxxxx xxxxxxxx
      16,384 to 2**21-1  110xxxxx xxxxxxxx xxxxxxxx
                   ...   as many 1 bits as bytes follow the first, then 0; up to 8 bytes, the number big endian

A number has its shortest form. So numbers sort as their bytes do, and none begins another. No number is used twice.

The store itself reserves nothing: `Client.put` writes these keys too.
"""

from __future__ import annotations

from typing import Any, Final

from shardstore.errors import InvalidRequest

RESERVED: Final = b"\xff\xff"
COUNTER_KEY: Final = RESERVED + b"\0"
DOCUMENTS_START: Final = COUNTER_KEY + b"\0"
DOCUMENTS_END: Final = RESERVED + b"\1"
NAME_CHARACTERS_MAX: Final = 200
NUMBER_BYTES_MAX: Final = 8
NUMBER_MAX: Final = (1 << 7 * NUMBER_BYTES_MAX) - 1


def document_key(name: Any) -> bytes:
    """Return where the document of a space is. Raises InvalidRequest for what is no name."""
    try:
        encoded = name.encode() if isinstance(name, str) else b""
    except UnicodeEncodeError:
        encoded = b""
    if not encoded or len(name) > NAME_CHARACTERS_MAX:
        raise InvalidRequest(f"the name of a space is text of 1 to {NAME_CHARACTERS_MAX} characters, not {name!r:.60}")
    return COUNTER_KEY + encoded


def name_from(key: bytes) -> str:
    """Return the name of the space whose document has this key."""
    return key[len(COUNTER_KEY) :].decode(errors="replace")


def prefix_of_space(number: int) -> bytes:
    """Return what begins the keys of the space with this number."""
    assert 0 < number <= NUMBER_MAX
    more = (number.bit_length() - 1) // 7
    ones = ((1 << more) - 1) << 7 * more + 8
    return RESERVED + (ones | number).to_bytes(more + 1, "big")
