"""What all servers share: what accepting may answer, the PROXY header, what an ended connection means.

Nothing here waits. `accept_some` is one turn at the listening socket; `PROXY_HEADER` is a framing that cuts
the one header that a proxy puts in front of a connection, and `proxied` reads it.
"""

from __future__ import annotations

import errno
import socket

from .errors import MalformedFrame
from .framings import Custom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXHAUSTED", "PROXY_HEADER", "accept_some", "proxied"]

ACCEPTED_AT_ONCE = 64
# Nothing can be accepted until somebody gives a descriptor or memory back.
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MOST = 107
_V2_MOST = 4096


def accept_some(listener: socket.socket, most: int) -> Iterator[socket.socket]:
    """Connections that wait at `listener`, at most `most` of them and `ACCEPTED_AT_ONCE`.

    Ends when none waits. Those that died in the queue are passed over. OSError, one of EXHAUSTED among them,
    as the system gives it.
    """
    for _ in range(min(most, ACCEPTED_AT_ONCE)):
        try:
            sock, _peer = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if (
                error.errno in EXHAUSTED
                or listener.fileno() < 0
                or error.errno in (errno.EBADF, errno.EINVAL)
            ):
                raise
            continue
        yield sock


def _split_proxy(data: memoryview, scanned: int, eof: bool) -> int | tuple[int, int, int]:
    """One PROXY header, version 1 (a line) or 2 (binary), at the start of `data`; it is delivered whole."""
    head = bytes(data[:16])
    if head[: len(_V2)] == _V2[: len(head)]:
        if len(head) < 16:
            return 16 - len(head)
        size = 16 + int.from_bytes(head[14:16], "big")
        if size > _V2_MOST:
            raise _no_header(f"its length of {size} bytes is over the limit of {_V2_MOST}")
        return (0, size, size) if len(data) >= size else size - len(data)
    if head[:6] != b"PROXY "[: len(head)]:
        raise _no_header("it starts with neither 'PROXY ' nor the signature of version 2")
    end = bytes(data[:_V1_MOST]).find(b"\r\n")
    if end >= 0:
        return 0, end + 2, end + 2
    if len(data) >= _V1_MOST:
        raise _no_header(f"no line end within {_V1_MOST} bytes")
    return 1


def _no_header(text: str) -> MalformedFrame:
    return MalformedFrame(f"the PROXY header is malformed: {text}", reason="protocol-violation")


def proxied(header: bytes) -> str | None:
    """The client's address in a PROXY header; None if that speaks for the proxy itself (LOCAL, UNKNOWN).

    MalformedFrame if it is not a header as the PROXY protocol (haproxy.org, versions 1 and 2) has it.

    >>> proxied(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\\r\\n")
    'tcp://192.0.2.1:4000'
    """
    return _version_2(header) if header.startswith(_V2) else _version_1(header)


def _version_1(header: bytes) -> str | None:
    from ipaddress import IPv4Address, IPv6Address

    words = header[:-2].split(b" ")
    if words[1] == b"UNKNOWN":
        return None
    try:
        _, family, source, target, *ports = (word.decode("ascii") for word in words)
        kind = {"TCP4": IPv4Address, "TCP6": IPv6Address}[family]
        for host in (source, target):
            kind(host)
        numbers = [int(port) for port in ports if port.isdigit() and port == str(int(port))]
        if len(ports) != 2 or len(numbers) != 2 or max(numbers) > 65535:
            raise ValueError
    except (KeyError, ValueError):
        raise _no_header(repr(header)[1:]) from None
    return _address(source, numbers[0])


def _version_2(header: bytes) -> str | None:
    from ipaddress import IPv4Address, IPv6Address

    version, family, body = header[12], header[13], header[16:]
    if version == 0x20:  # LOCAL
        return None
    size = {0x11: 12, 0x21: 36, 0x31: 216}.get(family)
    if version != 0x21 or (size is not None and len(body) < size):
        raise _no_header(
            f"version and command {version:#04x}, family {family:#04x}, {len(body)} bytes of address"
        )
    if family == 0x11:
        return _address(str(IPv4Address(body[:4])), int.from_bytes(body[8:10], "big"))
    if family == 0x21:
        return _address(str(IPv6Address(body[:16])), int.from_bytes(body[32:34], "big"))
    if family == 0x31:
        return "unix:" + body[:108].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
    return None


def _address(host: str, port: int) -> str:
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


PROXY_HEADER = Custom(_split_proxy, max_frame=_V2_MOST)
