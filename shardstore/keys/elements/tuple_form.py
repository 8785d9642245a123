"""What stands at each position of a tuple key: fixed types, or any types.

Both forms are written in the same way. A tuple is also an element of a tuple around it; then a zero byte ends it, and
None in it is followed by 0xff, so that it is no end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from shardstore.keys.elements.booleans import BoolElement
from shardstore.keys.elements.codes import NESTED, NULL, NULL_IN_TUPLE, TABLE, TERMINATOR
from shardstore.keys.elements.element import Element, Malformed, Mismatch
from shardstore.keys.elements.floats import FloatElement
from shardstore.keys.elements.integers import IntElement
from shardstore.keys.elements.moments import DateElement, DatetimeElement
from shardstore.keys.elements.strings import BytesElement, StrElement
from shardstore.keys.elements.uuids import UuidElement
from shardstore.limits import KEY_NESTING_MAX

AnyKey: TypeAlias = tuple[Any, ...]

ELEMENTS: Final[Sequence[Element[Any]]] = (
    *(BytesElement(), StrElement(), IntElement(), FloatElement(), BoolElement()),
    *(UuidElement(), DateElement(), DatetimeElement()),
)
"""Those that are no tuples."""
_NESTED_CODE = bytes([NESTED])
_END = bytes([TERMINATOR])


class TupleForm(Protocol):
    """Says which elements may stand at a position, and how many positions there are."""

    @property
    def description(self) -> str:
        """The form as a program writes it, and as it is stored."""
        ...

    def element_for(self, position: int, kind: type) -> Element[Any] | None:
        """Return the element that writes values of this type there; None if no such value may stand there."""
        ...

    def element_with(self, position: int, code: int) -> Element[Any] | None:
        """Return the element that reads there what begins with this code; None if there is none."""
        ...

    def may_be_none(self, position: int) -> bool:
        """Whether None may stand there."""
        ...

    def wanted_at(self, position: int) -> str:
        """What may stand there, in words."""
        ...

    @property
    def length(self) -> int | None:
        """The number of positions; None for any number."""
        ...


class Position(NamedTuple):
    """A position of a fixed form: its element, and whether None may stand there too."""

    element: Element[Any]
    or_none: bool = False

    @property
    def name(self) -> str:
        """As in descriptions."""
        return f"{self.element.name} | None" if self.or_none else self.element.name


class FixedForm:
    """A tuple with these positions."""

    def __init__(self, positions: Sequence[Position]) -> None:
        self._positions = positions
        self.length = len(positions)
        self.description = f"Tuple({', '.join(position.name for position in positions)})"

    def element_for(self, position: int, kind: type) -> Element[Any] | None:
        """Return the element of a position, if it takes this type."""
        element = self._positions[position].element
        return element if element.accepts(kind) else None

    def element_with(self, position: int, code: int) -> Element[Any] | None:
        """Return the element of a position; it refuses another code itself."""
        return self._positions[position].element if position < self.length else None

    def may_be_none(self, position: int) -> bool:
        """Whether the type there is `... | None`."""
        return position < self.length and self._positions[position].or_none

    def wanted_at(self, position: int) -> str:
        """The type at a position."""
        return self._positions[position].name


class AnyForm:
    """A tuple of any length, of all types that have a code. Tuples in it are at most `depth` deep."""

    description = "AnyTuple()"
    length = None

    def __init__(self, depth: int) -> None:
        nested = [NestedElement(AnyForm(depth - 1))] if depth else []
        self._by_kind: dict[type, Element[Any]] = {element.kind: element for element in (*ELEMENTS, *nested)}
        self._by_code = {
            code: element
            for element in self._by_kind.values()
            for first, last, name, _ in TABLE
            for code in range(first, last + 1)
            if name == element.kind.__name__
        }

    def element_for(self, position: int, kind: type) -> Element[Any] | None:
        """Return the element of a type, at any position."""
        element = self._by_kind.get(kind)
        return element or next((each for each in self._by_kind.values() if each.accepts(kind)), None)

    def element_with(self, position: int, code: int) -> Element[Any] | None:
        """Return the element with a code, at any position."""
        return self._by_code.get(code)

    def may_be_none(self, position: int) -> bool:
        """It may be everywhere."""
        return True

    def wanted_at(self, position: int) -> str:
        """The types of all elements."""
        names = ", ".join(element.name for element in ELEMENTS)
        return f"None, {names} or tuple (at most {KEY_NESTING_MAX} deep)"


class NestedElement(Element[AnyKey]):
    """A tuple within a tuple; a NamedTuple is one too."""

    kind = tuple

    def __init__(self, form: TupleForm) -> None:
        self._form = form
        self.name = form.description

    def encode(self, value: AnyKey) -> bytes:
        """Return the bytes of a tuple."""
        check_length(self._form, value)
        return b"".join([_NESTED_CODE, *elements_of(self._form, value, NULL_IN_TUPLE), _END])

    def decode(self, data: bytes, at: int, end: int) -> tuple[AnyKey, int]:
        """Return the tuple at a place."""
        if data[at] != NESTED:
            raise Malformed(f"no tuple at byte {at}")
        values: list[Any] = []
        at += 1
        while at < end and (data[at] != TERMINATOR or data.startswith(NULL_IN_TUPLE, at, end)):
            value, at = element_at(self._form, len(values), data, at, end, NULL_IN_TUPLE)
            values.append(value)
        if at == end:
            raise Malformed("a tuple does not end")
        return complete(self._form, values), at + 1


ANY_FORM = AnyForm(KEY_NESTING_MAX)


def check_length(form: TupleForm, key: object) -> None:
    """Raise Mismatch unless it is a tuple of the form's length."""
    if not isinstance(key, tuple) or form.length not in (None, len(key)):
        raise Mismatch(f"tuple of {form.length} elements" if form.length is not None else "tuple", key)


def elements_of(form: TupleForm, key: AnyKey, null: bytes = NULL) -> list[bytes]:
    """Return the bytes of each element of a key, or of a beginning of one. Raises Mismatch."""
    return [element_of(form, position, value, null) for position, value in enumerate(key)]


def element_of(form: TupleForm, position: int, value: object, null: bytes = NULL) -> bytes:
    """Return the bytes of the value at a position. Raises Mismatch."""
    if value is None and form.may_be_none(position):
        return null
    element = form.element_for(position, type(value))
    if element is None:
        raise Mismatch(form.wanted_at(position), value, (position,))
    try:
        return element.encode(value)
    except Mismatch as inside:
        raise inside.within(position) from None


def key_from(form: TupleForm, data: bytes) -> AnyKey:
    """Return the key that has these bytes. Raises Malformed."""
    values: list[Any] = []
    at = 0
    while at < len(data):
        value, at = element_at(form, len(values), data, at, len(data))
        values.append(value)
    return complete(form, values)


def element_at(form: TupleForm, position: int, data: bytes, at: int, end: int, null: bytes = NULL) -> tuple[Any, int]:
    """Return the value at a place of a key, and the place behind it. Raises Malformed."""
    if data.startswith(null, at, end) and form.may_be_none(position):
        return None, at + len(null)
    element = form.element_with(position, data[at])
    if element is None:
        raise Malformed(f"nothing that may stand at byte {at}")
    return element.decode(data, at, end)


def complete(form: TupleForm, values: list[Any]) -> AnyKey:
    """Return the values as a tuple. Raises Malformed if some are missing."""
    if form.length not in (None, len(values)):
        raise Malformed(f"{len(values)} elements instead of {form.length}")
    return tuple(values)
