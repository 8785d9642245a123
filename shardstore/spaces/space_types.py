"""The types of a space: those that a caller wants, and those that are stored."""

from __future__ import annotations

from math import ceil
from typing import Any

from shardstore import keys, values
from shardstore.errors import InvalidRequest
from shardstore.keys import KeyType
from shardstore.limits import DESCRIPTION_CHARACTERS_MAX, MOMENT_MS_MAX
from shardstore.spaces.document import SpaceDocument
from shardstore.spaces.reserved import document_key, prefix_of_space
from shardstore.spaces.space_codec import MS, SpaceCodec
from shardstore.values import ValueCodec, Values

_OF_A_KEY_TYPE = ("encode", "decode", "encode_many", "decode_many")


class WantedSpace:
    """A space as a caller wants it. None for a type: the one that is stored or, for a new space, bytes.

    `together`: whether its keys are kept in one range; None: as it is stored or, for a new space, not.

    Raises InvalidRequest for arguments that are not allowed.
    """

    def __init__(
        self,
        name: str,
        key: KeyType[Any] | None,
        value: ValueCodec[Any] | None,
        compression: str | None,
        ttl: float | None = None,
        together: bool | None = None,
    ) -> None:
        self.name = name
        self.document_key = document_key(name)
        self._key = None if key is None else _checked_key_type(key)
        self._values = _checked_values(value, compression)
        self._ttl_ms = checked_ttl_ms(ttl)
        self._any_values = value is None and compression is None
        if together is not None and type(together) is not bool:
            raise InvalidRequest(f"together is True, False or None, not {together!r:.60}")
        self._together = together

    def new(self, number: int) -> SpaceDocument:
        """Return the document of a new space."""
        return SpaceDocument(
            number,
            (self._key or keys.Bytes()).description,
            self._values.description,
            together=self._together is True,
            ttl_ms=self._ttl_ms,
        )

    def opened(self, document: SpaceDocument) -> SpaceCodec[Any, Any]:
        """Return the codec of the space with this document. Raises InvalidRequest if it has other types."""
        stored_key = self._key or keys.from_description(document.key)
        stored_values = self._values
        if self._any_values:
            stored_values = values.from_description(document.value)
        self._check("keys", document.key, stored_key.description)
        self._check("values", document.value, stored_values.description)
        if self._ttl_ms:
            self._check("values", f"ttl {document.ttl_ms / MS:g}", f"ttl {self._ttl_ms / MS:g}")
        if self._together not in (None, document.together):
            raise InvalidRequest(
                f"the space {self.name!r:.60} was made with together={document.together}, which does not change"
            )
        prefix = prefix_of_space(document.number)
        return SpaceCodec(self.name, prefix, stored_key, stored_values, document.ttl_ms)

    def _check(self, what: str, stored: str, wanted: str) -> None:
        if stored != wanted:
            raise InvalidRequest(f"the space {self.name!r:.60} has {what} of the type {stored}, not {wanted}")


def checked_ttl_ms(ttl: Any) -> int:
    """Return a lifetime in milliseconds, 0 for None. Raises InvalidRequest."""
    if ttl is None:
        return 0
    if type(ttl) not in (int, float) or not 0 < ttl <= MOMENT_MS_MAX // MS:
        raise InvalidRequest(f"ttl of a space is a number of seconds above 0 or None, not {ttl!r:.60}")
    milliseconds: int = ceil(ttl * MS)
    return milliseconds


def _checked_values(value: Any, compression: Any) -> Values[Any]:
    """Return stored values of a codec. Raises InvalidRequest."""
    if not isinstance(compression, str | None):
        raise InvalidRequest(f"compression is text or None, not {compression!r:.60}")
    try:
        return Values(values.Raw() if value is None else value, compression)
    except InvalidRequest as error:
        raise InvalidRequest(f"value, compression: {error}") from None


def _checked_key_type(key: Any) -> KeyType[Any]:
    """Return a type of keys. Raises InvalidRequest for what is none."""
    if isinstance(key, type) or not all(callable(getattr(key, each, None)) for each in _OF_A_KEY_TYPE):
        raise InvalidRequest(f"key is a type of keys, such as keys.Str(), not {key!r:.60}")
    description = getattr(key, "description", None)
    if not isinstance(description, str) or not 0 < len(description) <= DESCRIPTION_CHARACTERS_MAX:
        raise InvalidRequest(f"a type of keys has a description of 1 to {DESCRIPTION_CHARACTERS_MAX} characters")
    return key  # type: ignore[no-any-return]
