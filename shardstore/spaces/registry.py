"""Making, finding and dropping a space, step by step. The registry of spaces is kept in the store itself.

    nothing  --> document              whoever puts it first has made the space
    document --> document, dropped --> nothing
                            the keys of the space are removed between these two; whoever meets the document goes on

A number is drawn before the document is put. If another was faster, nobody ever uses the number.

The router keeps a space together from before its document is put until its keys are removed. So whoever can open it
finds all its keys in one range. A maker that dies before the document leaves a prefix at the router that is never used.
"""

from __future__ import annotations

from operator import methodcaller
from typing import Any, Protocol, TypeVar

from shardstore.errors import InvalidRequest
from shardstore.key_range import range_of_prefix
from shardstore.spaces.document import SpaceDocument, read_space_document
from shardstore.spaces.reserved import COUNTER_KEY, NUMBER_MAX, document_key, prefix_of_space
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.spaces.steps import Steps

Opened_co = TypeVar("Opened_co", covariant=True)


class SpaceToOpen(Protocol[Opened_co]):
    """A space that somebody wants to open, and what is made of it when it is opened."""

    name: str
    document_key: bytes

    def new(self, number: int) -> SpaceDocument:
        """Return the document of a new space."""
        ...

    def opened(self, document: SpaceDocument) -> Opened_co:
        """Return what is wanted of the space with this document. Raises InvalidRequest if it is another one."""
        ...


def open_space(wanted: SpaceToOpen[Opened_co], timeout: float | None) -> Steps[Opened_co]:
    """Return what is wanted of the space with this name, which is made if there is none.

    Raises InvalidRequest if it has other types.
    """
    while True:
        document = yield from find_space(wanted.name, timeout)
        if document is None:
            yield from _make(wanted, timeout)
        elif document.dropped:
            yield from _remove(wanted.name, document, timeout)
        else:
            return wanted.opened(document)


def drop_space(name: str, timeout: float | None) -> Steps[bool]:
    """Remove a space, and complete what others began. Returns whether there was something to remove."""
    document = yield from find_space(name, timeout)
    if document is None:
        return False
    if not document.dropped:
        change = (document.encode(), document.encoded_as_dropped)
        if not (yield methodcaller("compare_and_set", document_key(name), *change, timeout=timeout)):
            return (yield from drop_space(name, timeout))
    yield from _remove(name, document, timeout)
    return True


def find_space(name: str, timeout: float | None) -> Steps[SpaceDocument | None]:
    """Return the document of a space; None if there is none."""
    data = yield methodcaller("get", document_key(name), timeout=timeout)
    return None if data is None else read_space_document(name, data)


def check_current(codec: SpaceCodec[Any, Any], timeout: float | None) -> Steps[None]:
    """Raise InvalidRequest if the space was dropped since it was opened."""
    document = yield from find_space(codec.name, timeout)
    if document is None or document.dropped or prefix_of_space(document.number) != codec.prefix:
        raise InvalidRequest(f"the space {codec.name!r:.60} was dropped: open it anew")


def _make(wanted: SpaceToOpen[Any], timeout: float | None) -> Steps[None]:
    """Make a space, unless another makes one of this name first."""
    number = yield methodcaller("increment", COUNTER_KEY, timeout=timeout)
    if not 0 < number <= NUMBER_MAX:
        raise InvalidRequest(f"the counter of spaces at {COUNTER_KEY!r} was changed: it is {number}")
    document, prefix = wanted.new(number), prefix_of_space(number)
    if document.together:
        yield methodcaller("_keep_together", prefix, timeout=timeout)
    made = yield methodcaller("put_if_absent", wanted.document_key, document.encode(), timeout=timeout)
    if document.together and not made:
        yield methodcaller("_let_split", prefix, timeout=timeout)


def _remove(name: str, document: SpaceDocument, timeout: float | None) -> Steps[None]:
    """Remove what is in a space that was dropped, then its document."""
    data = range_of_prefix(prefix_of_space(document.number))
    yield methodcaller("delete_range", data.start, data.end, timeout=timeout)
    if document.together:
        yield methodcaller("_let_split", data.start, timeout=timeout)
    yield methodcaller("compare_and_set", document_key(name), document.encoded_as_dropped, None, timeout=timeout)
