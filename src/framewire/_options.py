"""Options of a connected socket: small messages leave at once, and a dead peer is found.

Keep-alive alone never finds a peer that stops reading or whose acknowledgements of sent data are lost, and
TCP_USER_TIMEOUT alone never finds one that is gone while nothing is sent: it takes both.
"""

from __future__ import annotations

import errno
import socket
from math import ceil

__all__ = ["keep_alive"]

_IDLE = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # macOS's name
_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)
_COUNT = getattr(socket, "TCP_KEEPCNT", None)
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)
_MOST_SECONDS = 32767  # what Linux takes
_MOST_PROBES = 127


def keep_alive(sock: socket.socket, peer_timeout: float | None = None) -> None:
    """Send without delay, and look after a silent peer; nothing for a socket that is not TCP.

    An idle peer is asked after 30 s and then every 10 s; 3 times without an answer are an error of the
    socket. With `peer_timeout` seconds, whoever does not answer or takes no data is found within one second
    more than that, where the platform has the options. ValueError unless `peer_timeout` is more than 0.
    """
    if peer_timeout is not None and not peer_timeout > 0:
        raise ValueError(f"peer_timeout={peer_timeout!r} must be None or more than 0 seconds")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    idle, interval, count = 30, 10, 3
    if peer_timeout is not None:
        # The kernel takes 32 bits of milliseconds.
        seconds = min(peer_timeout, 2_000_000)
        idle = min(max(1, int(seconds / 3)), _MOST_SECONDS)
        rest = max(1, ceil(seconds) - idle)
        # Linux gives up at the first probe after TCP_USER_TIMEOUT, whatever the count, and its timers are
        # late by up to an eighth: with T/9 between probes, 30 s were 31.7 s and 60 s were 64.0 s.
        interval = 1 if _USER_TIMEOUT else min(ceil(rest / _MOST_PROBES), _MOST_SECONDS)
        count = min(rest // interval, _MOST_PROBES)
        _set(sock, socket.IPPROTO_TCP, _USER_TIMEOUT, ceil(seconds * 1000))
    _set(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _set(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    _set(sock, socket.IPPROTO_TCP, _IDLE, idle)
    _set(sock, socket.IPPROTO_TCP, _INTERVAL, interval)
    _set(sock, socket.IPPROTO_TCP, _COUNT, count)


def _set(sock: socket.socket, level: int, option: int | None, value: int) -> None:
    if option is None:
        return
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        # Not an option of this protocol (MPTCP), or, as macOS says it, the peer has reset the connection.
        if error.errno not in (errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EINVAL):
            raise
