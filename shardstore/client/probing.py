"""What can be seen of an endpoint without asking anybody there: whether somebody listens, and whose it may be."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from urllib.parse import urlsplit

_IPC = "ipc://"
_TCP_SECONDS = 0.1
_LOOPBACK = "127.0.0.1"
_ROOT = 0
_NOBODY = {
    errno.ENOENT: "there is no socket {}",
    errno.ENOTDIR: "there is no socket {}",
    errno.ECONNREFUSED: "nobody listens at {}",
    errno.EACCES: "this user may not use {}",
}


def why_nobody_answers(url: str) -> str:
    """Why nobody can answer at a url, when this host knows; else empty."""
    try:
        return _try(url)
    except OSError:  # no descriptor is left to try it with
        return ""


def _try(url: str) -> str:
    if url.startswith(_IPC):
        path = url.removeprefix(_IPC)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            return _NOBODY.get(_connect(probe, path), "").format(path)
    address = _loopback_address(url)
    if address is None:
        return ""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
        probe.settimeout(_TCP_SECONDS)
        return _NOBODY.get(_connect(probe, address), "").format(url)


def distrust_of(url: str, owner: int | None) -> str:
    """Why a socket is not to be believed: in a directory like /tmp somebody else may have put it there. Else empty.

    `owner`: whom to believe beside this user and root.
    """
    if not url.startswith(_IPC):
        return ""
    trusted = {_ROOT, os.geteuid(), owner}
    path = os.path.abspath(url.removeprefix(_IPC))
    while path != os.path.dirname(path):
        inner, path = path, os.path.dirname(path)
        try:
            if os.stat(path).st_mode & stat.S_IWOTH and os.lstat(inner).st_uid not in trusted:
                return f"{inner} belongs to another user, in a directory where anybody may put it: it is not trusted"
        except OSError:  # it is not there, or not to be seen
            continue
    return ""


def _connect(probe: socket.socket, address: str | tuple[str, int]) -> int:
    try:
        return probe.connect_ex(address)
    except OSError as error:  # such as a path that is too long
        return error.errno or 0


def _loopback_address(url: str) -> tuple[str, int] | None:
    """Host and port of a tcp url of this host; others may take long to be tried."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = _LOOPBACK if host == "localhost" else host
        return (host, port) if port and ipaddress.ip_address(host).is_loopback else None
    except ValueError:
        return None
