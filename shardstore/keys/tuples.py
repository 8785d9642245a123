"""Keys that are tuples. They sort as Python sorts tuples, and all that begin in the same way lie together."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin, overload

from shardstore.errors import InvalidRequest
from shardstore.keys.elements.codes import ESCAPE
from shardstore.keys.elements.element import Mismatch
from shardstore.keys.elements.tuple_columns import decode_columns, encode_columns
from shardstore.keys.elements.tuple_form import (
    ANY_FORM,
    ELEMENTS,
    AnyKey,
    FixedForm,
    NestedElement,
    Position,
    TupleForm,
    check_length,
    elements_of,
    key_from,
)
from shardstore.keys.key_type import KeyType
from shardstore.limits import DESCRIPTION_CHARACTERS_MAX

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
TupleT = TypeVar("TupleT", bound=AnyKey)


class OrNone(NamedTuple):
    """A tuple type with `| None` behind it: the type of a position where None may stand too."""

    key_type: AnyTupleKeys | TupleKeys[Any]


class _OfForm(KeyType[TupleT], Generic[TupleT]):
    """What Tuple and AnyTuple share."""

    form: TupleForm

    @property
    def description(self) -> str:
        """The form."""
        return self.form.description

    def range_of(self, prefix: AnyKey) -> tuple[bytes, bytes]:
        """Return where the keys lie that begin with these elements.

        Args:
            prefix: The first elements of keys; all elements of a key, or none, are allowed too.

        Returns:
            The start of their range, and its end, which is exclusive.

        Raises:
            InvalidRequest: No key of this type begins so.
        """
        try:
            if not isinstance(prefix, tuple) or len(prefix) > (self.form.length or len(prefix)):
                raise Mismatch("beginning of a key", prefix)
            start = b"".join(elements_of(self.form, prefix))
        except Mismatch as error:
            raise InvalidRequest(error.text(self.description)) from None
        return start, start + bytes([ESCAPE])  # no element begins with this byte

    def _encode(self, key: TupleT) -> bytes:
        check_length(self.form, key)
        return b"".join(elements_of(self.form, key))

    def _decode(self, data: bytes) -> TupleT:
        return key_from(self.form, data)  # type: ignore[return-value]

    def _encode_columns(self, keys: Sequence[TupleT]) -> list[bytes] | None:
        return encode_columns(self.form, keys)

    def _decode_columns(self, datas: Sequence[bytes]) -> list[TupleT] | None:
        return decode_columns(self.form, datas)  # type: ignore[return-value]


class AnyTupleKeys(_OfForm[AnyKey]):
    """Keys that are tuples of any length and of any types that have a code (docs/types.md), in any order."""

    form = ANY_FORM

    def __or__(self, other: None) -> OrNone:
        """Return the type of a position where None may stand too."""
        return OrNone(self) if other is None else NotImplemented


class TupleKeys(_OfForm[TupleT], Generic[TupleT]):
    """Keys that are tuples with a type for each position, such as `Tuple(str, int | None, datetime)`.

    Args:
        types: bytes, str, int, float, bool, uuid.UUID, datetime.date, datetime.datetime, another Tuple, or AnyTuple();
            each may have `| None` behind it.

    Raises:
        InvalidRequest: There is no type, or something else stands for one.
    """

    @overload
    def __init__(self: TupleKeys[tuple[A]], first: type[A], /) -> None: ...
    @overload
    def __init__(self: TupleKeys[tuple[A, B]], first: type[A], second: type[B], /) -> None: ...
    @overload
    def __init__(self: TupleKeys[tuple[A, B, C]], first: type[A], second: type[B], third: type[C], /) -> None: ...
    @overload
    def __init__(
        self: TupleKeys[tuple[A, B, C, D]], first: type[A], second: type[B], third: type[C], fourth: type[D], /
    ) -> None: ...
    @overload
    def __init__(self: TupleKeys[AnyKey], *types: Any) -> None: ...
    def __init__(self, *types: Any) -> None:
        if not types:
            raise InvalidRequest("Tuple takes the type of each position; AnyTuple() takes tuples of any types")
        self.form = FixedForm(list(map(_position_of, types)))
        if len(self.description) > DESCRIPTION_CHARACTERS_MAX:
            raise InvalidRequest(f"the description of a key type has at most {DESCRIPTION_CHARACTERS_MAX} characters")

    def __or__(self, other: None) -> OrNone:
        """Return the type of a position where None may stand too."""
        return OrNone(self) if other is None else NotImplemented


def _position_of(kind: Any) -> Position:
    """Return the position for what stands for its type. Raises InvalidRequest."""
    if isinstance(kind, Position):
        return kind
    if isinstance(kind, TupleKeys | AnyTupleKeys):
        return Position(NestedElement(kind.form))
    if isinstance(kind, OrNone):
        return _position_of(kind.key_type)._replace(or_none=True)
    if get_origin(kind) in (UnionType, Union) and len(get_args(kind)) == 2 and NoneType in get_args(kind):
        (other,) = set(get_args(kind)) - {NoneType}
        return _position_of(other)._replace(or_none=True)
    element = next((element for element in ELEMENTS if element.kind is kind), None)
    if element is None:
        names = ", ".join(element.name for element in ELEMENTS)
        raise InvalidRequest(f"a position of a Tuple takes {names}, another Tuple or AnyTuple(), not {kind!r:.60}")
    return Position(element)
