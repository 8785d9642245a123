"""What a load generator needs of a store: functions, so that a store can hand out those of its client library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ycsb.workloads import Kind

Function: TypeAlias = Callable[..., Any]
Functions: TypeAlias = Mapping[int, Function]
"""What does an operation, or a batch of them, for each Kind. It answers what was read, if anything."""
Entries: TypeAlias = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Store:
    """A connected store. Of one for asyncio, every function is awaited.

    errors        what the functions raise when an operation fails; everything else ends the run
    read          key -> value or None
    write         key, value; for update and insert
    scan          key, count -> up to so many entries from the key on, in the order of keys
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
        """The function of each kind of operation. `chained` makes one of a read and a write."""
        read, write = (self.read, self.write) if batch == 1 else (self.read_many, self.write_many)
        return {
            Kind.READ: read,
            Kind.UPDATE: write,
            Kind.INSERT: write,
            Kind.SCAN: self.scan,
            Kind.READ_MODIFY_WRITE: chained(read, write),
        }


def chained(read: Function, write: Function) -> Function:
    """Read, then write, of a blocking store."""

    def read_modify_write(keys: Any, values: Any) -> Any:
        found = read(keys)
        write(keys, values)
        return found

    return read_modify_write


def chained_async(read: Function, write: Function) -> Function:
    """Read, then write, of a store for asyncio."""

    async def read_modify_write(keys: Any, values: Any) -> Any:
        found = await read(keys)
        await write(keys, values)
        return found

    return read_modify_write
