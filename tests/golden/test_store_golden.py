"""Version 1 of the STORE file."""

from __future__ import annotations

from pathlib import Path

from shardstore.cluster.store import create_store, read_store
from shardstore.system.posix_filesystem import PosixFilesystem

GOLDEN = Path(__file__).parent / "store-v1.bin"


class FixedEntropy:
    """An entropy source that always returns the same number."""

    def below(self, bound: int) -> int:
        return 0x5707E % bound


def test_store_file_is_the_golden_file(tmp_path: Path) -> None:
    filesystem = PosixFilesystem(str(tmp_path))
    store = create_store(filesystem, FixedEntropy(), 2, [b"4", b"\x80"])
    assert (tmp_path / "STORE").read_bytes() == GOLDEN.read_bytes()
    assert read_store(filesystem) == store
