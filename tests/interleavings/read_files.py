"""The files as a reader finds them."""

from __future__ import annotations

from tests.interleavings.loads import Loads


class _ReadFile:
    """A file as `read_document` uses it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def size(self) -> int:
        return len(self._content)

    def drop_cache(self) -> None:
        pass

    def read_at(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]

    def close(self) -> None:
        pass


class ReadFilesystem:
    """The files as a reader finds them. What is open stays as it was."""

    def __init__(self, loads: Loads) -> None:
        self._loads = loads

    def open(self, path: str) -> _ReadFile:
        """Open the file that has this name now. Raises FileNotFoundError."""
        return _ReadFile(self.content(path))

    def map(self, path: str) -> memoryview:
        """Map the file that has this name now. Raises FileNotFoundError."""
        return memoryview(self.content(path))

    def content(self, path: str) -> bytes:
        """Load the content of a file. Raises FileNotFoundError."""
        content: bytes | None = self._loads.load(("file", path))
        if content is None:
            raise FileNotFoundError(path)
        return content


class KnownFiles(ReadFilesystem):
    """Files whose content is known."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def content(self, path: str) -> bytes:
        """The content of a file."""
        return self._files[path]
