"""Examines an endpoint without sending a request: whether somebody listens there, and who may own it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import TypeAlias

from shardstore.system.stream_links import SCHEME

TCP = "tcp://"
_TCP_SECONDS = 0.1
_GREETING_SECONDS = 0.02
_LOOPBACK = "127.0.0.1"
_Address: TypeAlias = str | tuple[str, int]
_ROOT = 0
_NOBODY = {
    errno.ENOENT: "there is no socket {}",
    errno.ENOTDIR: "there is no socket {}",
    errno.ECONNREFUSED: "nobody listens at {}",
    errno.EACCES: "this user may not use {}",
}


def why_nobody_answers(url: str) -> str:
    """Why nobody can answer at a url, if this host knows; else empty."""
    try:
        return _try(url)
    except OSError as error:
        return f"cannot open a socket: {error.strerror}; close some of what is open, or raise `ulimit -n`"


def why_turned_away(url: str) -> str:
    """Why a connection to a url is closed at once, if it is; else empty. Waits a moment for a first byte."""
    address = _address_of(url)
    if address is None:
        return ""
    with suppress(OSError), _probe_for(address) as probe:
        if not _connect(probe, address):
            probe.settimeout(_GREETING_SECONDS)
            if not probe.recv(1):
                return (
                    f"the store at {url} serves its clients, but takes no more connections, as the router has no "
                    "descriptors left for them: close some, or start it with a higher `ulimit -n`"
                )
    return ""


def host_of(url: str) -> str:
    """The host of a tcp url; an IPv6 address without its brackets."""
    return url.removeprefix(TCP).rpartition(":")[0].strip("[]")


def is_address(host: str) -> bool:
    """Whether a host is an IPv4 or IPv6 address instead of a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host.partition("%")[0])
            return True
    return False


def _try(url: str) -> str:
    address = _address_of(url)
    if address is None:
        return ""
    with _probe_for(address) as probe:
        return _NOBODY.get(_connect(probe, address), "").format(address if isinstance(address, str) else url)


def distrust_of(url: str, owner: int | None) -> str:
    """Why a socket is not trusted; empty if it is. In a directory like /tmp, another user may have put it there.

    `owner`: a user who is trusted besides this user and root.
    """
    if not url.startswith(SCHEME):
        return ""
    trusted = {_ROOT, os.geteuid(), owner}
    path = os.path.abspath(url.removeprefix(SCHEME))
    while path != os.path.dirname(path):
        inner, path = path, os.path.dirname(path)
        try:
            if os.stat(path).st_mode & stat.S_IWOTH and os.lstat(inner).st_uid not in trusted:
                return f"{inner} belongs to another user, in a directory where anybody may put it: it is not trusted"
        except OSError:  # it does not exist, or cannot be examined
            continue
    return ""


def _probe_for(address: _Address) -> socket.socket:
    if isinstance(address, str):
        probe = socket.socket(socket.AF_UNIX)
        probe.setblocking(False)
    else:
        probe = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        probe.settimeout(_TCP_SECONDS)
    return probe


def _connect(probe: socket.socket, address: _Address) -> int:
    try:
        return probe.connect_ex(address)
    except OSError as error:  # such as a path that is too long
        return error.errno or 0


def _address_of(url: str) -> _Address | None:
    """The path, or host and port, of a url of this host; None for other hosts, where a try may take long."""
    if url.startswith(SCHEME):
        return url.removeprefix(SCHEME)
    host, port = host_of(url), url.rpartition(":")[2]
    host = _LOOPBACK if host == "localhost" else host
    is_loopback = is_address(host) and (host == "::1" or host.startswith("127."))
    return (host, int(port)) if is_loopback and port.isdecimal() else None
