"""What the verbs that talk have in common: addresses as people write them, TLS, what goes wrong and why.

An address without a scheme is TCP, and without a host this machine alone, also where one listens: only
`*:port` and `tcp://:port` mean every interface.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from time import gmtime, strftime, time

from .. import sockets
from .._preset import Protocol
from ..errors import ConnectionLost, DeclarationError, DecodeError, EncodeError, Timeout, Truncated
from ..protocols import PRESETS
from .convert import broken, chosen, declared
from .report import BROKEN, FAILED, TIMED_OUT, USAGE, Failure, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from argparse import Namespace
    from typing import Any

    from ..framings import Framing
    from ..sockets import MessageSocket

__all__ = ["Place", "address_of", "cannot", "dial", "failure_of", "framings_of", "now", "shown"]

_SCHEMES = ("tcp://", "tls://", "unix:", "fd:", "exec:", "serial:", "stdio:")
_DIALLING = 10.0  # seconds, when --timeout does not say less

_HINTS = {
    errno.ECONNREFUSED: "nothing listens there: is the server running, and the address right?",
    errno.ENOENT: "there is no such socket: is the server running, and the path right?",
    errno.EACCES: "it may not be used by you",
    errno.EADDRINUSE: "somebody listens there already: choose another address; port 0 takes a free one",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EHOSTUNREACH: "there is no way to that host",
    errno.ENETUNREACH: "there is no way to that network",
    errno.ECONNRESET: "the peer went away without a farewell",
    errno.EPIPE: "the peer went away without a farewell",
}


class Place:
    """Where a connection stands: its number, how many messages it has received, the next one's offset."""

    __slots__ = ("conn", "number", "offset", "more")

    def __init__(self, conn: int, offset: int = 0) -> None:
        self.conn, self.number, self.offset = conn, 0, offset
        self.more: Any = None


def address_of(text: str) -> str:
    """The library's address for what a user has written; usage failure if it cannot be one.

    >>> address_of(":9000"), address_of("*:9000"), address_of("example.org:9000")
    ('tcp://127.0.0.1:9000', 'tcp://:9000', 'tcp://example.org:9000')
    """
    if text == "-":
        return "stdio:"
    if text.startswith(_SCHEMES):
        return text
    if "/" in text and ":" not in text:
        raise Failure(USAGE, f"address {text!r}: a path is written unix:{text}")
    if text.isascii() and text.isdigit():
        raise Failure(USAGE, f"address {text!r}: a port of this machine is written :{text}")
    if text.startswith(":"):
        text = "127.0.0.1" + text
    return "tcp://" + text.removeprefix("*")


def shown(address: str) -> str:
    """The inverse of `address_of`, for an address that the library gave.

    >>> shown("tcp://127.0.0.1:9000"), shown("tcp://:9000"), shown("unix:/x")
    ('127.0.0.1:9000', '*:9000', 'unix:/x')
    """
    bare = address.removeprefix("tcp://")
    return "*" + bare if bare.startswith(":") else bare


def now() -> str:
    """This moment, in the form of RFC 3339 with microseconds, UTC."""
    seconds, fraction = divmod(time(), 1)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{int(fraction * 1e6):06}Z"


def framings_of(options: Namespace, server: bool) -> tuple[Framing, Framing | None]:
    """How to receive and, if that differs, how to send: of a protocol with two sides, each its own."""
    text, limit = options.framing, options.max_frame
    sending = None if options.send_framing is None else declared(options.send_framing, limit)
    name, comma, rest = text.partition(",")
    preset = PRESETS.get(name)
    if preset is None or not isinstance(preset.made, Protocol):
        return declared(text, limit), sending
    ours, theirs = (".server", ".client") if server else (".client", ".server")
    return (
        declared(f"{name}{theirs}{comma}{rest}", limit),
        sending or declared(f"{name}{ours}{comma}{rest}", limit),
    )


# --- TLS -----------------------------------------------------------------------------------------------


def client_tls(options: Namespace, address: str) -> tuple[str, ssl.SSLContext | None]:
    """The address to dial, and the context if TLS is wanted: by tls://, --tls-ca or --insecure."""
    wanted = address.startswith("tls://") or options.tls_ca is not None or options.insecure
    if not wanted:
        return address, None
    import ssl

    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
    except (OSError, ValueError) as error:
        raise Failure(FAILED, f"--tls-ca {options.tls_ca}: {_told(error)}") from error
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return address.replace("tls://", "tcp://", 1), context


def server_tls(options: Namespace, address: str) -> tuple[str, ssl.SSLContext | None]:
    """The address to listen at, and the context if TLS is wanted: by tls:// or --tls-cert."""
    if options.tls_cert is None:
        if address.startswith("tls://") or options.tls_key is not None:
            raise Failure(USAGE, "TLS needs --tls-cert FILE, and --tls-key FILE if the key is not in it")
        return address, None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ValueError) as error:
        raise Failure(FAILED, f"--tls-cert {options.tls_cert}: {_told(error)}") from error
    return address.replace("tls://", "tcp://", 1), context


# --- connecting, and what goes wrong -------------------------------------------------------------------


def dial(options: Namespace, framing: Framing, send_framing: Framing | None) -> MessageSocket[bytes]:
    """Connect to the address of the command line; a Failure says what went wrong and what may help."""
    address, context = client_tls(options, address_of(options.address))
    patience = _DIALLING if options.timeout is None else min(options.timeout, _DIALLING)
    try:
        return sockets.connect(address, framing, send_framing, timeout=patience, tls=context)
    except DeclarationError as error:
        raise Failure(USAGE, str(error)) from error
    except Timeout as error:
        raise Failure(TIMED_OUT, str(error), "is the address right, or a firewall in between?") from error
    except OSError as error:
        raise cannot("connect to", address, error) from error


def cannot(do: str, address: str, error: OSError) -> Failure:
    """What the system says of an address that cannot be used."""
    text = _told(error).replace(f": {address}", "", 1)
    hints = _hint(error)
    if address.startswith(("exec:", "serial:")) and error.errno == errno.ENOENT:
        hints = [f"there is no such {'program' if address.startswith('exec:') else 'device'}"]
    return Failure(FAILED, f"cannot {do} {shown(address)}: {text}", *hints)


def _told(error: Exception) -> str:
    """What the system says, and its name for it."""
    if not isinstance(error, OSError):
        return str(error)
    name = errno.errorcode.get(error.errno or 0, "")
    text = str(error.strerror or error).partition(" (while attempting")[0]
    if _is_refusal(error):
        return text.partition("; ")[0]  # what is behind it tells programmers what to write
    what, colon, rest = text.partition(": ")
    text = f"{what} ({name}){colon}{rest}"
    return text if name and not isinstance(error, socket.gaierror) else str(error.strerror or error)


def _is_refusal(error: OSError) -> bool:
    """Whether a certificate was refused; asked without importing ssl."""
    return any(kind.__name__ == "SSLCertVerificationError" for kind in type(error).__mro__)


def _hint(error: OSError) -> list[str]:
    if isinstance(error, socket.gaierror):
        return ["the name is not known: is it spelt right?"]
    if _is_refusal(error):
        return ["--tls-ca FILE trusts another authority, --insecure trusts everybody"]
    hint = _HINTS.get(error.errno or 0)
    return [] if hint is None else [hint]


def failure_of(error: Exception, conn: MessageSocket[bytes], framing: Framing, backend: str) -> Failure:
    """Why a connection has ended. It is closed, if the reason lies in what has come."""
    if isinstance(error, (DecodeError, Truncated)):
        offset, rest = standing(conn), b""
        if isinstance(error, DecodeError):
            offset = offset if error.offset is None else error.offset
            if not error.recoverable:
                rest = _taken(conn)
        failure = broken(error, framing, chosen(backend), offset, rest)
        if getattr(error, "tls_unclean", False):
            failure.lines = (*failure.lines[:2], "TLS was cut off without its farewell (close_notify)")
        elif getattr(error, "size", None) and "the text" in failure.lines[-1]:
            failure.lines = (*failure.lines[:-1], failure.lines[-1] + " `framewire guess` may know")
        return failure
    if isinstance(error, EncodeError):
        return Failure(BROKEN, str(error))
    if isinstance(error, ConnectionLost):
        return Failure(FAILED, str(error), *_hint(error))
    if isinstance(error, Timeout):
        return Failure(TIMED_OUT, str(error))
    return Failure(FAILED, _told(error))


def standing(conn: MessageSocket[bytes]) -> int:
    """The stream offset of the first byte that is not delivered yet."""
    counts = conn.stats()
    return counts.bytes_in - counts.buffered


def _taken(conn: MessageSocket[bytes]) -> bytes:
    """The bytes behind the last good frame; the connection is closed."""
    try:
        conn.flush(timeout=0)
        rest = conn._detach()
    except Exception:
        return b""
    conn._transport.close()
    return rest


def in_foreground() -> bool:
    """Whether standard input may be read: a background job that reads its terminal would be stopped."""
    if sys.stdin is None:
        return False
    try:
        fd = sys.stdin.fileno()
        return not os.isatty(fd) or os.tcgetpgrp(fd) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return True


def peer_of(conn: MessageSocket[Any]) -> str:
    """A peer's address as people write it."""
    return safe(shown(conn.peer_address)) or "the peer"
