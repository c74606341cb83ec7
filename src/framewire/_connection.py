"""What every connection has, whatever it runs on: a framing, names for its ends, counters, a log.

`Connection` is the channel with these. Above it stand `MessageSocket` (sockets.py), whose calls wait, and the
connections of an event loop (_aio.py). Here is also judged what the options of all of them can be.
"""

from __future__ import annotations

import socket
from collections import namedtuple

from . import _address, _backend, errors
from ._preset import Protocol
from .errors import DeclarationError, EncodeError
from .framings import Framing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from logging import Logger
    from typing import Any, NamedTuple, NoReturn, TypeVar

    T = TypeVar("T")

    class Stats(NamedTuple):
        messages_in: int
        messages_out: int
        bytes_in: int
        bytes_out: int
        reads: int
        writes: int
        buffered: int
        unsent: int
        opened_at: float
        last_in_at: float

else:
    _FIELDS = "messages_in messages_out bytes_in bytes_out reads writes buffered unsent opened_at last_in_at"
    Stats = namedtuple("Stats", _FIELDS)
    Stats.__module__ = "framewire.sockets"
    Stats.__doc__ = """What a connection has done; every number only grows, but `buffered` and `unsent`.

    Messages and bytes in and out, system calls that read and wrote; bytes received and not yet delivered,
    bytes taken and not yet sent; when it was opened and when it last received, in seconds of
    time.monotonic().

    >>> import framewire as fw
    >>> a, b = fw.socketpair(fw.Lines())
    >>> a.send(b"hello"); a.stats().messages_out, a.stats().bytes_out, a.stats().writes
    (1, 6, 1)
    >>> a.close(timeout=0); b.close()
    """

__all__ = ["HIGH_WATER", "Connection", "Stats", "name_of", "need_framings", "need_options"]

HIGH_WATER = 1 << 20
_SHOWN = 75  # bytes of a message in a log
_UNKNOWN = "", ""  # the names of both ends, which are asked for when they are needed


class Connection(_backend.channel.Channel["T"]):
    """What `MessageSocket` and the connections of an event loop share."""

    __slots__ = ()

    _kind = ""  # its name in a repr
    if TYPE_CHECKING:
        _transport: Any
        _framing: Framing
        _send_framing: Framing | None
        _names: tuple[str, str]
        _log: Logger | None

    state: Any
    """The user's: what a server's handler remembers of a connection. None at first."""

    def _describe(self, framing: Framing, send_framing: Framing | None) -> None:
        """What a connection is before it has a stream."""
        self._framing, self._send_framing = framing, send_framing
        self._names = _UNKNOWN
        self._log = None
        self.state = None

    def __reduce__(self) -> NoReturn:
        raise errors.uncopyable(self)

    def __repr__(self) -> str:
        if self._closed or self._connecting:
            state = "closed" if self._closed else "connecting"
        else:
            state = "broken" if self._faulty else "open" if self.events & 1 else "ended"
        counts = self.stats()
        return (
            f"<framewire.{self._kind} {self.local_address} -> {self.peer_address} {self._framing} {state}, "
            f"in {counts.messages_in} msgs {counts.bytes_in} B, out {counts.messages_out} msgs "
            f"{counts.bytes_out} B, buffered {counts.buffered}, unsent {counts.unsent}>"
        )

    def stats(self) -> Stats:
        """The counters so far. Cheap, safe from any thread, also after close.

        >>> import framewire as fw
        >>> a, b = fw.socketpair(fw.Lines())
        >>> a.send(b"hello"); b.recv()
        b'hello'
        >>> b.stats().messages_in, b.stats().bytes_in
        (1, 6)
        >>> a.close(0); b.close(0)
        """
        return Stats(*self._counters())

    @property
    def tls(self) -> ssl.SSLObject | ssl.SSLSocket | None:
        """The ssl.SSLObject (or the SSLSocket that was given) that says what TLS has agreed on (`cipher`,
        `version`, `getpeercert`, `selected_alpn_protocol`), None without TLS. Ask it, do not call what would
        send or receive. A server's handshake is done by the first call that sends or receives."""
        return getattr(self._transport, "tls", None)

    @property
    def local_address(self) -> str:
        """Our end, as an address string; "" where it has none."""
        if not self._names[0]:
            self._name()
        return self._names[0]

    @property
    def peer_address(self) -> str:
        """The peer's end, as an address string; "unix:" or "" where it has no name."""
        if not self._names[1]:
            self._name()
        return self._names[1]

    def _name(self) -> None:
        local, peer = self._names
        sock = getattr(self._transport, "sock", None)
        if sock is not None and sock.fileno() >= 0:
            secure = self.tls is not None
            local = local or name_of(sock, sock.getsockname, secure)
            peer = peer or name_of(sock, sock.getpeername, secure)
        elif sock is None:
            peer = peer or getattr(self._transport, "name", "pipe:")
        self._names = local, peer

    _first_use = _name

    def _plan(self, sending: bool) -> tuple[Any, ...]:
        return (sending and self._send_framing or self._framing)._plan

    def _peer_name(self) -> str:
        name = self.peer_address
        return "the peer" if name in ("", "unix:", "pipe:") else name

    @property
    def framing(self) -> Framing:
        """How the stream is framed. Assign between two messages to switch; bytes read ahead are kept.

        Assigning serves both directions unless there is a `send_framing`. Cheap, and safe for the thread
        that receives: ConcurrencyError while another one does. Raises a fault of the stream already found.
        """
        return self._framing

    @framing.setter
    def framing(self, framing: Framing) -> None:
        need_framings(framing)
        self._switch(framing)
        self._framing = framing
        if self._send_framing is None:
            self._switch_send(framing._plan)

    @property
    def send_framing(self) -> Framing | None:
        """How messages are sent, None: by `framing`. Assign to switch; waits for a send in another thread."""
        return self._send_framing

    @send_framing.setter
    def send_framing(self, framing: Framing | None) -> None:
        need_framings(self._framing, framing)
        self._switch_send((framing or self._framing)._plan)
        self._send_framing = framing

    # --- logging -------------------------------------------------------------------------------------

    def _open_log(self, logger: Logger | None) -> None:
        import logging

        self._log = logger or logging.getLogger("framewire.connection")
        if self._log.isEnabledFor(logging.DEBUG):
            self.trace = True
        if self._log.isEnabledFor(logging.INFO):
            self._say(logging.INFO, "= open %s", self)

    def _say(self, level: int, text: str, *args: object) -> None:
        if self._log is not None:
            self._log.log(level, text, *args, extra={"connection": self, "peer": self.peer_address})

    @property
    def trace(self) -> bool:
        """Whether every message is logged (DEBUG, 75 bytes of it); at first, as the logger's level says."""
        return self._trace is not None

    @trace.setter
    def trace(self, on: bool) -> None:
        if on and self._log is None:
            import logging

            self._log = logging.getLogger("framewire.connection")
        self._trace = self._show if on else None

    def _show(self, direction: str, message: Any) -> None:
        try:
            view = memoryview(message).cast("B")
            text = f"{len(view)} bytes {bytes(view[:_SHOWN])!r}{' ...' if len(view) > _SHOWN else ''}"
        except TypeError:
            text = repr(message)[:_SHOWN]
        self._say(10, "%s %s", direction, text)

    def _report(self, error: errors.DecodeError) -> None:
        if not self._faulty or error.recoverable:
            self._say(30, "! %s: %s", self.peer_address, error)
        if not error.recoverable:
            self._faulty = True

    def _farewell(self) -> None:
        self._say(20, "= closed %s", self)
        self._trace = None  # it refers to this object


# --- what cannot be --------------------------------------------------------------------------------------


def need_framings(framing: object, send_framing: object = None) -> None:
    for one in (framing, send_framing):
        if isinstance(one, Protocol):
            raise TypeError(
                "a framing is required, and the directions of a Protocol differ: "
                "a client receives .server and sends .client, a server the reverse"
            )
        if not isinstance(one, Framing) and (one is framing or one is not None):
            hint = ""
            if isinstance(one, str):
                hint = f": framing({one!r}) reads the text form"
            elif isinstance(one, type) and issubclass(one, Framing):
                hint = f": did you mean {one.__name__}()?"
            raise TypeError(f"a framing is required, not {type(one).__name__}{hint}")


def need_options(
    framing: Framing,
    send_framing: Framing | None,
    *,
    codec: Any = None,
    high_water: int = HIGH_WATER,
    frame_timeout: float | None = None,
    idle_timeout: float | None = None,
    peer_timeout: float | None = None,
    heartbeat: bytes | None = None,
    logger: Logger | None = None,
) -> tuple[Callable[..., Any] | None, ...] | None:
    """The calls of the codec, if all these options of a MessageSocket can be."""
    if high_water < 1:
        raise ValueError(f"high_water={high_water!r} must be at least 1 byte")
    timeouts = {"frame_timeout": frame_timeout, "idle_timeout": idle_timeout, "peer_timeout": peer_timeout}
    for name, value in timeouts.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name}={value!r} must be None or more than 0 seconds")
    if heartbeat is not None:
        _need_heartbeat(heartbeat, peer_timeout, framing, send_framing)
    return _codec_calls(codec)


def _need_heartbeat(
    heartbeat: bytes, peer_timeout: float | None, framing: Framing, send_framing: Framing | None
) -> None:
    if peer_timeout is None:
        raise DeclarationError("heartbeat= goes with peer_timeout=, a third of which is its interval")
    for one in (framing, send_framing or framing):
        try:
            one.encoder().encode(heartbeat)
        except EncodeError as error:
            raise DeclarationError(f"heartbeat={heartbeat!r}: {one} cannot carry it: {error}") from None


def _codec_calls(codec: Any) -> tuple[Callable[..., Any] | None, ...] | None:
    """(encode, encode_into, decode, decode_from) of what the user gave as codec."""
    if codec is None:
        return None
    if isinstance(codec, tuple) and len(codec) == 2 and callable(codec[0]) and callable(codec[1]):
        return codec[0], None, codec[1], None
    calls = [getattr(codec, name, None) for name in ("encode", "encode_into", "decode", "decode_from")]
    if isinstance(codec, type) or not callable(calls[0]) or not callable(calls[2]):
        raise TypeError(f"codec={codec!r} {_remedy(getattr(codec, '__name__', ''))}")
    return tuple(call if callable(call) else None for call in calls)


def _remedy(name: str) -> str:
    if name == "json":
        return "has no encode and decode: use codec=(lambda value: json.dumps(value).encode(), json.loads)"
    if name in ("pickle", "marshal", "shelve"):
        return "is refused: loading what a peer sends would let it run any code here"
    return "has no encode(object) -> bytes and decode(bytes) -> object, and is no pair of such functions"


def name_of(sock: socket.socket, ask: Callable[[], Any], secure: bool = False) -> str:
    try:
        name = _address.show(sock.family, ask())
    except OSError:
        return "nobody"  # it was reset before we could ask
    return name.replace("tcp://", "tls://", 1) if secure else name
