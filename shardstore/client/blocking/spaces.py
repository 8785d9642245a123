"""The methods of a client on spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from shardstore.client.blocking.lifetime import Lifetime
from shardstore.client.calls import administration
from shardstore.client.calls.scan import scan_from_arguments
from shardstore.options import ScanMode

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client
    from shardstore.client.blocking.space import Space
    from shardstore.keys import KeyType
    from shardstore.spaces.infos import SpaceInfo
    from shardstore.values import ValueCodec

K = TypeVar("K")
V = TypeVar("V")
# ruff: noqa: PLC0415  most programs use no spaces: what they need is loaded at their first use


class Spaces(Lifetime):
    """The part of a client that opens spaces: named parts of the store, with types of keys and values."""

    @overload
    def space(
        self,
        name: str,
        key: KeyType[K],
        value: ValueCodec[V],
        compression: str | None = None,
        *,
        ttl: float | None = None,
        together: bool | None = None,
        timeout: float | None = None,
    ) -> Space[K, V]: ...
    @overload
    def space(
        self,
        name: str,
        key: KeyType[K],
        value: None = None,
        compression: str | None = None,
        *,
        ttl: float | None = None,
        together: bool | None = None,
        timeout: float | None = None,
    ) -> Space[K, Any]: ...
    @overload
    def space(
        self,
        name: str,
        key: None = None,
        *,
        value: ValueCodec[V],
        compression: str | None = None,
        ttl: float | None = None,
        together: bool | None = None,
        timeout: float | None = None,
    ) -> Space[Any, V]: ...
    @overload
    def space(
        self,
        name: str,
        key: None = None,
        value: None = None,
        compression: str | None = None,
        *,
        ttl: float | None = None,
        together: bool | None = None,
        timeout: float | None = None,
    ) -> Space[Any, Any]: ...
    def space(
        self,
        name: str,
        key: KeyType[Any] | None = None,
        value: ValueCodec[Any] | None = None,
        compression: str | None = None,
        *,
        ttl: float | None = None,
        together: bool | None = None,
        timeout: float | None = None,
    ) -> Space[Any, Any]:
        """Open the space with a name. It is made if there is none, by whichever caller comes first.

        Args:
            name: 1 to 200 characters.
            key: A type of keys, of `shardstore.keys`. None: the one that is stored; of a new space Bytes().
            value: A codec of values, of `shardstore.values` or your own. None: the one that is stored; of a new space
                Raw(). Pickle and your own codecs must be given.
            compression: "zstd", "lz4" or None. If `value` is None too, the one that is stored.
            ttl: Seconds from its put until a value of the space expires, if the put says nothing else. It is stored
                with a new space. None: the one that is stored; of a new space none.
            together: True: all its keys stay in one range of the store, however many there are, so that any of them may
                be in one batch. One worker serves them. False: they may spread. None: as it was made; a new space may.
            timeout: Seconds for each request; None is 30.

        Returns:
            The space.

        Raises:
            InvalidRequest: The space has other types, or another `ttl`, or is kept otherwise, as the message says, or
                an argument is not allowed. Or a range of the store begins within a new space that shall be kept
                together.
            UndecodableValue: What is stored of the space is damaged, or of a newer version.
            The other errors of `put`.
        """
        from shardstore.client.blocking.space import Space
        from shardstore.spaces.registry import open_space
        from shardstore.spaces.space_types import WantedSpace
        from shardstore.spaces.steps import run_steps

        wanted = WantedSpace(name, key, value, compression, ttl, together)
        codec = run_steps(self, open_space(wanted, timeout))
        return Space(cast("Client", self), codec)

    def mapping(self) -> Space[bytes, bytes]:
        """Return all keys that belong to no space as a mapping of bytes, in order.

        Returns:
            A space without a name. It refuses keys that begin with b"\\xff\\xff", which are reserved for spaces.
        """
        from shardstore.client.blocking.space import Space
        from shardstore.spaces.space_codec import raw_codec

        return Space(cast("Client", self), raw_codec())

    def spaces(self, *, timeout: float | None = None) -> dict[str, SpaceInfo]:
        """Return the spaces of the store, by name and in the order of names.

        Args:
            timeout: Seconds for each request; None is 30.

        Returns:
            What is stored of each: types of keys and values, number, and whether it was dropped.

        Raises:
            UndecodableValue: What is stored of a space is damaged, or of a newer version.
            The other errors of `scan`.
        """
        from shardstore.spaces.infos import infos_from
        from shardstore.spaces.reserved import DOCUMENTS_END, DOCUMENTS_START

        bounds = (DOCUMENTS_START, DOCUMENTS_END, None)
        scan = scan_from_arguments(*bounds, False, None, False, ScanMode.SNAPSHOT, None, timeout)
        return infos_from(self._iterate(scan))

    def drop_space(self, name: str, *, timeout: float | None = None) -> bool:
        """Remove a space and all that is in it. If this is interrupted, call it again to complete it.

        Programs that still have the space open do not notice. What they write then is lost, also after a space of this
        name is made anew.

        Args:
            name: The name of the space.
            timeout: Seconds for each request; None is 30.

        Returns:
            True if there was something to remove, False if there is no such space.

        Raises:
            UndecodableValue: What is stored of the space is damaged, or of a newer version.
            The errors of `put`.
        """
        from shardstore.spaces import registry
        from shardstore.spaces.steps import run_steps

        return run_steps(self, registry.drop_space(name, timeout))

    def _keep_together(self, prefix: bytes, *, timeout: float | None = None) -> None:
        self._calls.one(administration.keep_together(prefix, timeout))

    def _let_split(self, prefix: bytes, *, timeout: float | None = None) -> None:
        self._calls.one(administration.let_split(prefix, timeout))
