"""Files that only their owner may read: those with keys. They are refused if others can read or write them."""

from __future__ import annotations

import os
import stat

from shardstore.errors import InvalidRequest
from shardstore.limits import MIB

_MODE = 0o600
_OTHERS = 0o077
PRIVATE_BYTES_MAX = MIB


def read_private(path: str) -> bytes:
    """Return the content of a file of keys.

    Raises InvalidRequest if it is missing, not a file of this user, or others may read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has a zero byte or is no text"
        raise InvalidRequest(f"the key file {path!r:.200} cannot be read: {reason}") from None
    try:
        flaw = _flaw_of(os.fstat(descriptor), path)
        if flaw:
            raise InvalidRequest(f"the key file {path} {flaw}")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(PRIVATE_BYTES_MAX)
    except OSError as error:
        raise InvalidRequest(f"the key file {path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def write_private(path: str, data: bytes) -> None:
    """Make a file that only this user may read, durably. Raises InvalidRequest, also if there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    except FileExistsError:
        raise InvalidRequest(f"{path} is there already, and a key is never overwritten: choose another file") from None
    except OSError as error:
        raise InvalidRequest(f"the key file {path} cannot be made: {error.strerror}") from None
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        os.unlink(path)
        raise InvalidRequest(f"the key file {path} cannot be written: {error.strerror}") from None


def remove_private(path: str) -> None:
    """Remove a file of keys that is not needed after all."""
    os.unlink(path)


def _flaw_of(found: os.stat_result, path: str) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is no file"
    if found.st_uid not in (os.geteuid(), 0):
        return "belongs to another user: make a key of your own"
    if found.st_mode & _OTHERS:
        return f"can be read by others (mode {stat.S_IMODE(found.st_mode):o}): chmod 600 {path}, or make a new key"
    return ""
