"""The functions that the load generator calls; a store can use those of its client library unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ycsb.workloads import Kind

Function: TypeAlias = Callable[..., Any]
Functions: TypeAlias = Mapping[int, Function]
"""The function for an operation, or a batch of them, of each Kind. It returns what was read, if anything."""
Entries: TypeAlias = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Store:
    """A connected store. The functions of a store for asyncio are awaited.

    errors        raised by the functions if an operation fails; all other errors end the run
    read          key -> value or None
    write         key, value; for update and insert
    scan          key, count -> at most `count` entries from the key on, in key order
    read_many     keys -> values or None
    write_many    keys, values
    close         no arguments
    """

    errors: tuple[type[Exception], ...]
    read: Function
    write: Function
    scan: Function
    read_many: Function
    write_many: Function
    close: Function

    def functions(self, batch: int, chained: Callable[[Function, Function], Function]) -> Functions:
        """The function of each kind of operation. `chained` combines a read and a write."""
        read, write = (self.read, self.write) if batch == 1 else (self.read_many, self.write_many)
        return {
            Kind.READ: read,
            Kind.UPDATE: write,
            Kind.INSERT: write,
            Kind.SCAN: self.scan,
            Kind.READ_MODIFY_WRITE: chained(read, write),
        }


def chained(read: Function, write: Function) -> Function:
    """A function that reads, then writes, for a blocking store."""

    def read_modify_write(keys: Any, values: Any) -> Any:
        found = read(keys)
        write(keys, values)
        return found

    return read_modify_write


def chained_async(read: Function, write: Function) -> Function:
    """A function that reads, then writes, for a store for asyncio."""

    async def read_modify_write(keys: Any, values: Any) -> Any:
        found = await read(keys)
        await write(keys, values)
        return found

    return read_modify_write
