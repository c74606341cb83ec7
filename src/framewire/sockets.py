"""Messages over every kind of byte stream: `connect`, `listen`, `MessageSocket`, `spawn`, `stdio`,
`reconnect`.

A `MessageSocket` is a channel (the pump of one stream, in C or Python) with a name, options, logging and a
way to be made: over TCP and Unix sockets, pairs, pipes, inherited descriptors, serial lines, child processes.
How bytes become messages, and every rule about waiting, stands in the channel; where addresses lead, in
_address; what the kernel is told about dead peers, in _options.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import warnings
from time import monotonic, sleep
from weakref import WeakKeyDictionary

from . import _address, _child, _devices, _options, errors
from ._connection import HIGH_WATER, Connection, Stats, name_of, need_framings, need_options
from ._transport import PipeTransport, SocketTransport, ready
from .errors import ConnectionClosed, DeclarationError
from .framings import FixedLength, Framing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence
    from logging import Logger
    from types import TracebackType
    from typing import Any, NoReturn, TypeAlias, TypeVar

    from typing_extensions import Self

    from ._tls import TLSTransport
    from ._transport import Transport

    T = TypeVar("T")
    Address: TypeAlias = str | tuple[str, int] | socket.socket

__all__ = [
    "MessageListener",
    "MessageSocket",
    "Stats",
    "connect",
    "listen",
    "reconnect",
    "socketpair",
    "spawn",
    "stdio",
]

_HANDSHAKE = 10.0  # seconds for the handshake of TLS
# Beside the connections, which are many; those that `reconnect` makes are few.
_attempt_counts: WeakKeyDictionary[MessageSocket[Any], int] = WeakKeyDictionary()
_SLICE = 0.25  # how often a listener that cannot be woken looks whether it was closed
# What accept(2) reports of a connection that died before it was accepted.
_DEAD_ON_ARRIVAL = errors.LOST | {errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.EOPNOTSUPP}


class MessageSocket(Connection["T"]):
    """Messages over a connected stream socket, or an ssl.SSLSocket, which it owns from now on. Made by
    `connect`, `accept` and so on.

    `framing` cuts what is received and, unless `send_framing` is given, frames what is sent. `codec` turns
    objects into messages and back: an object (or module) with `encode(object) -> bytes` and
    `decode(bytes) -> object`, or a pair of such functions; `encode_into(object, bytearray, offset)` and
    `decode_from(buffer, start, stop)` are used where they exist. `timeout` (None) is the default of the
    `timeout=` of every call but `close`: None waits for ever, 0 not at all (BlockingIOError), else `Timeout`
    after so many seconds. Any number of threads may send, one may receive at the same time. It belongs to the
    process that uses it first. As a context manager it is closed at the end: at once after an exception.

    `high_water`: bytes that may be unsent before a send waits. Limits in seconds, None for none:
    `frame_timeout` from a frame's first byte to its last, `idle_timeout` between two bytes received, both
    judged while a call receives. `peer_timeout` is how soon a dead peer is to be found: by the kernel (TCP),
    and with `heartbeat`, a message that both ends send when they have sent nothing for a third of it, by its
    silence. Heartbeats are sent and judged inside calls, and are not delivered.

    >>> import framewire as fw
    >>> a, b = fw.socketpair(fw.Lines())
    >>> with a, b:
    ...     a.send_many([b"one", b"two"]), b.recv(), b.recv(timeout=1)
    ...     a.shutdown_write()
    ...     b.shutdown_write()
    (2, b'one', b'two')
    """

    __slots__ = ("_framing", "_send_framing", "_names", "_log", "state")

    _kind = "MessageSocket"

    def __init__(
        self,
        sock: socket.socket | Transport,
        framing: Framing,
        send_framing: Framing | None = None,
        *,
        codec: Any = None,
        high_water: int = HIGH_WATER,
        frame_timeout: float | None = None,
        idle_timeout: float | None = None,
        peer_timeout: float | None = None,
        heartbeat: bytes | None = None,
        logger: Logger | None = None,
    ) -> None:
        need_framings(framing, send_framing)
        calls = need_options(
            framing,
            send_framing,
            codec=codec,
            high_water=high_water,
            frame_timeout=frame_timeout,
            idle_timeout=idle_timeout,
            peer_timeout=peer_timeout,
            heartbeat=heartbeat,
        )
        transport: Any = sock
        if isinstance(sock, socket.socket):
            _need_stream(sock)
            _options.keep_alive(sock, peer_timeout)
            transport = _transport_of(sock)
        elif not hasattr(sock, "receiving"):
            raise TypeError(f"a socket is required, not {type(sock).__name__}")
        self._describe(framing, send_framing)
        super().__init__(
            transport,
            codec=calls,
            high_water=high_water,
            frame_timeout=frame_timeout,
            idle_timeout=idle_timeout,
            heartbeat=None if heartbeat is None else bytes(heartbeat),
            peer_timeout=peer_timeout,
        )
        if logger is not None or "logging" in sys.modules:
            self._open_log(logger)

    @classmethod
    def from_pipes(
        cls, reader: int, writer: int, framing: Framing, send_framing: Framing | None = None, **options: Any
    ) -> Self:
        """A connection over two descriptors that can be polled (pipes, terminals), which it owns from now on.

        `reader` and `writer` may be the same. They are made non-blocking; `detach` undoes that. `options` are
        those of the class. OSError for a descriptor that is not open.

        >>> import os
        >>> import framewire as fw
        >>> reader, writer = os.pipe()
        >>> with fw.MessageSocket.from_pipes(reader, writer, fw.Lines()) as conn:
        ...     conn.send(b"to myself")
        ...     conn.recv()
        b'to myself'
        """
        need_framings(framing, send_framing)
        return cls(PipeTransport(reader, writer), framing, send_framing, **options)

    # --- what it is ----------------------------------------------------------------------------------

    @property
    def process(self) -> Any:
        """The child process of `spawn` (a subprocess.Popen), else None."""
        return getattr(self._transport, "process", None)

    def fileno(self) -> int:
        """The descriptor to wait on, -1 after close. Frames may be buffered though it is not readable: see
        `ready`, and `events` for what to wait for. Of two pipes it is the one to read."""
        return self._transport.reader  # type: ignore[no-any-return]

    def write_fileno(self) -> int:
        """The descriptor to wait on for writing, which is another one over two pipes, so also of `spawn`."""
        return self._transport.writer  # type: ignore[no-any-return]

    def _connected(self) -> None:
        sock = self._transport.sock
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, f"{os.strerror(number)}: {self._peer_name()}")
        self._connecting = False
        self._names = "", self._names[1]
        self._name()

    # --- TLS -----------------------------------------------------------------------------------------

    def start_tls(
        self,
        context: ssl.SSLContext | bool | tuple[Any, Any] = True,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        timeout: float | None = 10.0,
    ) -> None:
        """Go on in TLS from here, as both ends have agreed to (STARTTLS and the like).

        `context` is an ssl.SSLContext, or True for a client's defaults, or (certfile, keyfile) for a server;
        `server_hostname` the name that the server's certificate must prove. Sends what is unsent, then does
        the handshake, all within `timeout` seconds: Timeout (phase "send" or "handshake"), ConnectionLost
        (also an ssl.SSLCertVerificationError if it is the certificate), after which the connection is of no
        use. 0 does not wait: the handshake is done by the calls that follow, in 10 s. MalformedFrame, reason
        "protocol-violation", if anything was read ahead of it: that came in the clear, and is never taken for
        what TLS protects. DeclarationError for a context that cannot serve, or over TLS. ConcurrencyError
        while another thread receives.
        """
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        if self.tls is not None:
            raise errors.tls_already(self._peer_name())
        from . import _tls

        end = None if timeout is None else monotonic() + timeout
        chosen = _tls.server_context(context) if server_side else _tls.client_context(context)
        transport = _tls.TLSTransport(
            self._transport,
            chosen,
            server_side=server_side,
            server_hostname=server_hostname,
            timeout=timeout or (None if timeout is None else _HANDSHAKE),
            peer=self._peer_name(),
        )
        self.flush(timeout)
        try:
            self._upgrade(transport)
        except errors.MalformedFrame as error:
            self._report(error)
            raise
        if timeout != 0:
            transport.handshake(None if end is None else max(0.0, end - monotonic()))

    @property
    def attempt(self) -> int:
        """Of a connection made by `reconnect`: how many attempts it took, 1 at best."""
        return _attempt_counts.get(self, 1)

    # --- the end -------------------------------------------------------------------------------------

    def close(self, timeout: float | None = 5.0) -> None:
        if self._closed:
            return super().close(timeout)
        self._name()
        try:
            super().close(timeout)
        finally:
            if self.fileno() < 0:
                self._farewell()

    close.__doc__ = Connection.close.__doc__

    def abort(self) -> None:
        if not self._closed:
            self._name()
            super().abort()
            self._farewell()
        else:
            super().abort()

    abort.__doc__ = Connection.abort.__doc__

    def detach(self) -> tuple[Any, bytes]:
        """Take the stream back: (socket, or the pair of descriptors; the bytes that were read ahead).

        The connection counts as closed and leaves the stream open, descriptors as blocking as they came.
        BlockingIOError if bytes are unsent (`flush` first), ConcurrencyError if another thread receives,
        DeclarationError over TLS, whose socket means nothing without its keys.

        >>> import framewire as fw
        >>> a, b = fw.socketpair(fw.Lines())
        >>> a.send_many([b"a line", b"something else"])
        2
        >>> b.recv()
        b'a line'
        >>> sock, rest = b.detach()
        >>> rest
        b'something else\\n'
        >>> sock.close(); a.close(0)
        """
        self._name()
        if self.tls is not None:
            raise errors.detach_tls(self._peer_name())
        rest = self._detach()
        restore = getattr(self._transport, "restore", None)
        if restore is not None:
            return restore(), rest
        sock = self._transport.sock
        sock.setblocking(True)
        return sock, rest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif not self._closed:
            self._name()
            self._release()
            self._farewell()

    def __del__(self) -> None:
        if not self._closed:
            foreign = self._is_foreign()
            unsent = f", {self.unsent} bytes unsent" if self.unsent else ""
            text = f"unclosed {self!r}{unsent}"
            self._release()
            if not foreign:
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)


class MessageListener:
    """Accepts connections. Made by `listen`; a context manager. Any number of threads may accept.

    `options` are those of `MessageSocket`, for the connections that are accepted. With `tls` they speak TLS:
    see `listen`.

    >>> from framewire import Lines
    >>> from framewire.sockets import connect, listen
    >>> with listen("tcp://127.0.0.1:0", Lines()) as listener:
    ...     client = connect(listener.address, Lines())
    ...     server = listener.accept()
    >>> client.send(b"hello")
    >>> server.recv()
    b'hello'
    >>> client.close(timeout=0); server.close()
    """

    _closed = True
    _proxied = False  # whether a PROXY header is first, which `_unwrap` must read

    def __init__(
        self,
        sock: socket.socket,
        framing: Framing,
        send_framing: Framing | None = None,
        _path: str | None = None,
        *,
        tls: ssl.SSLContext | tuple[Any, Any] | None = None,
        handshake_timeout: float | None = _HANDSHAKE,
        **options: Any,
    ) -> None:
        need_framings(framing, send_framing)
        _need_plain(sock)
        _need_handshake(handshake_timeout)
        if hasattr(socket, "SO_ACCEPTCONN") and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise DeclarationError("the socket is not listening: call its listen() first")
        need_options(framing, send_framing, **options)
        self._framing, self._send_framing, self._options = framing, send_framing, options
        self._tls = None if tls is None else _context(tls, True)
        self._handshake_timeout = handshake_timeout
        self._path = _path
        self._file = None if _path is None else _address.socket_file(_path)
        sock.setblocking(False)
        self._address = name_of(sock, sock.getsockname, tls is not None)
        self._sock = sock
        self._pid = os.getpid()
        self._closed = False

    def __reduce__(self) -> NoReturn:
        raise errors.uncopyable(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<framewire.MessageListener {self._address} {self._framing} {state}>"

    @property
    def address(self) -> str:
        """Where it listens, with the real port; `connect` understands it."""
        return self._address

    def fileno(self) -> int:
        """The descriptor of the listening socket, -1 after close."""
        return self._sock.fileno()

    def accept(self, timeout: float | None = None) -> MessageSocket[Any]:
        """Wait for the next connection.

        Timeout after `timeout` seconds, BlockingIOError with 0; None waits for ever. Connections that died
        before they were accepted are passed over. ConnectionClosed after close; OSError as the system gives
        it, as when there are no descriptors left (the connection then stays in the queue).
        """
        if timeout is not None and not timeout >= 0:
            raise errors.bad_timeout(timeout)
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            try:
                sock, _ = self._sock.accept()
                break
            except BlockingIOError:
                pass
            except OSError as error:
                if self._closed:
                    raise ConnectionClosed(f"this listener on {self._address} was closed here") from None
                if error.errno not in _DEAD_ON_ARRIVAL:
                    raise
                continue
            fd = self._sock.fileno()
            left = None if deadline is None else max(0.0, deadline - monotonic())
            if self._pid != os.getpid() and (left is None or left > _SLICE):
                # close() wakes nobody here.
                if fd >= 0:
                    ready(fd, -1, _SLICE)
            elif fd >= 0 and not ready(fd, -1, left):
                raise errors.timed_out(timeout or 0, "connect", f"no connection came to {self._address}")
        return self._wrap(sock)

    def _wrap(self, sock: socket.socket) -> MessageSocket[Any]:
        """The connection over an accepted socket."""
        framing, send_framing = self._framing, self._send_framing
        try:
            if self._proxied:
                from ._handler import PROXY_HEADER

                return MessageSocket(sock, PROXY_HEADER, send_framing or framing, **self._options)
            stream: Any = sock
            if self._tls is not None:
                stream = _secure(
                    sock, self._tls, self._options, server_side=True, timeout=self._handshake_timeout
                )
            return MessageSocket(stream, framing, send_framing, **self._options)
        except BaseException:
            sock.close()
            raise

    def _unwrap(self, conn: MessageSocket[Any], timeout: float | None) -> None:
        """Read the header of the proxy, and begin what comes behind it. Errors as those of `recv_into`."""
        from ._handler import PROXY_HEADER, proxied

        header = bytearray(PROXY_HEADER.max_frame or 0)
        size = conn.recv_into(header, timeout=timeout)
        conn._names = conn.local_address, proxied(bytes(header[:size])) or conn.peer_address
        if self._tls is not None:
            from ._tls import TLSTransport

            # What was read ahead is ciphertext: nothing is believed before TLS has seen it.
            ahead = bytearray(conn.stats().buffered)
            if ahead:
                conn.framing = FixedLength(len(ahead))
                conn.recv_into(ahead, timeout=0)
            transport = TLSTransport(
                conn._transport,
                self._tls,
                server_side=True,
                timeout=self._handshake_timeout,
                peer=conn.peer_address,
                received=bytes(ahead),
            )
            conn._upgrade(transport)
        conn.framing, conn._send_framing = self._framing, self._send_framing

    def __iter__(self) -> Iterator[MessageSocket[Any]]:
        """Connections until the listener is closed."""
        return self

    def __next__(self) -> MessageSocket[Any]:
        try:
            return self.accept()
        except ConnectionClosed:
            raise StopIteration from None

    def close(self) -> None:
        """Stop listening and remove the file of a Unix socket, if it is still ours. Idempotent.

        Threads that wait in accept are woken by ConnectionClosed; accepted connections live on. In a process
        forked off since it was made only the descriptor is closed: the parent goes on listening.
        """
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():
            self._sock.close()
            return
        if self._path is not None and self._file == _address.socket_file(self._path):
            try:
                os.unlink(self._path)
            except OSError:
                pass
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            text = f"unclosed {self!r}"
            self._closed = True
            self._sock.close()
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)


# --- what cannot be --------------------------------------------------------------------------------------


def _need_stream(sock: object) -> None:
    if not isinstance(sock, socket.socket):
        raise TypeError(f"a socket is required, not {type(sock).__name__}")
    if sock.type != socket.SOCK_STREAM:
        raise DeclarationError(f"a stream socket is required, not {sock.type!r}")


def _need_plain(sock: object) -> None:
    _need_stream(sock)
    if hasattr(sock, "unwrap"):
        raise DeclarationError("the socket is an ssl.SSLSocket: give the plain one, and its context as tls=")


def _transport_of(sock: Any) -> SocketTransport | TLSTransport:
    if not hasattr(sock, "unwrap"):
        return SocketTransport(sock)
    from ._sslsocket import SSLSocketTransport

    return SSLSocketTransport(sock, name_of(sock, sock.getpeername, True))


def _need_handshake(timeout: float | None) -> None:
    if timeout is not None and not timeout > 0:
        raise ValueError(f"handshake_timeout={timeout!r} must be None or more than 0 seconds")


def _context(tls: object, server_side: bool) -> ssl.SSLContext:
    from . import _tls

    return _tls.server_context(tls) if server_side else _tls.client_context(tls)


def _secure(sock: socket.socket, context: ssl.SSLContext, options: Mapping[str, Any], **how: Any) -> Any:
    """TLS over a connected or connecting socket."""
    from . import _tls

    _need_plain(sock)
    _options.keep_alive(sock, options.get("peer_timeout"))
    peer = name_of(sock, sock.getpeername, True)
    return _tls.TLSTransport(SocketTransport(sock), context, peer=how.pop("peer", peer), **how)


# --- making them -----------------------------------------------------------------------------------------


def connect(
    address: Address,
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    timeout: float | None = 10.0,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    handshake_timeout: float | None = _HANDSHAKE,
    **options: Any,
) -> MessageSocket[Any]:
    """Connect to "tcp://host:port", "tls://host:port", "unix:path", "unix:@abstract" or (host, port); or take
    over a socket.

    Also "fd:3" or "fd:NAME" (a descriptor that was inherited), "exec:COMMAND" (see `spawn`), "stdio:" (see
    `stdio`) and "serial:/dev/ttyUSB0,115200". `options` are those of `MessageSocket`.

    A host's addresses are raced as RFC 8305 says (a new attempt each 250 ms), within `timeout` seconds
    altogether (name look-up comes on top; None waits as long as the system does). Timeout(phase="connect"),
    DeclarationError for an address that cannot be, OSError (ConnectionRefusedError, socket.gaierror ...)
    naming the address for what the system says. `timeout` bounds connecting only, and is not that of the
    calls; but 0 sets `timeout = 0` for these too, takes one numeric address, and returns a connection that is
    still connecting: wait for its `events`, then use it.

    With `tls`, and over "tls://", the connection speaks TLS: an ssl.SSLContext (which has the ALPN protocols,
    the client's certificate and so on), or True for what this system trusts. The certificate must prove
    `server_hostname`, which is the address's host unless it is given. The handshake is done here, within what
    is left of `timeout` and at most `handshake_timeout` seconds (None: no limit of its own):
    Timeout(phase="handshake"), ConnectionLost for what goes wrong, which is an ssl.SSLCertVerificationError
    too where the certificate is refused. With `timeout=0` it is done by the first calls that send or receive.
    """
    need_framings(framing, send_framing)
    if timeout is not None and not timeout >= 0:
        raise errors.bad_timeout(timeout)
    _need_handshake(handshake_timeout)
    given = isinstance(address, socket.socket)
    kind, where, detail = ("socket", "", None) if given else _address.parse(address)
    if kind == "tls" and tls is None:
        tls = True
    if tls is not None and kind in ("exec", "stdio", "serial"):
        raise DeclarationError(f"address {address!r}: tls= goes with sockets; start_tls() does it here")
    if tls is None and server_hostname is not None:
        raise DeclarationError("server_hostname= goes with TLS: tls=True, or a tls:// address")
    context = None if tls is None else _context(tls, False)
    if kind == "exec":
        return spawn(where, framing, send_framing, **options)
    if kind == "stdio":
        return stdio(framing, send_framing, **options)
    if kind == "serial":
        fd = _devices.open_serial(where, detail or 0)
        return _named(MessageSocket.from_pipes(fd, fd, framing, send_framing, **options), address)
    found = address if given else _devices.inherited(where) if kind == "fd" else None
    if isinstance(found, int):
        if context is not None:
            raise DeclarationError(f"address {address!r}: tls= goes with sockets; start_tls() does it here")
        return _named(MessageSocket.from_pipes(found, found, framing, send_framing, **options), address)
    began = monotonic()
    sock: Any = found
    if found is None:
        sock = _address.dial(address, timeout) if timeout != 0 else _address.begin(address)
    try:
        stream = sock
        if context is not None:
            how: dict[str, Any] = {"timeout": handshake_timeout, "server_hostname": server_hostname or where}
            if kind not in ("tcp", "tls"):
                how["server_hostname"] = server_hostname
            elif not server_hostname and not where:
                how["server_hostname"] = "localhost"
            if found is None:
                how["peer"] = _shown(address)
            stream = _secure(sock, context, options, **how)
        conn: MessageSocket[Any] = MessageSocket(stream, framing, send_framing, **options)
    except BaseException:
        if found is None:
            sock.close()
        raise
    if timeout == 0 and found is None:
        conn.timeout = 0
        conn._connecting = True
        _named(conn, address)
    elif context is not None and timeout != 0:
        try:
            stream.handshake(None if timeout is None else max(0.0, began + timeout - monotonic()))
        except BaseException:
            conn._release()
            raise
    return conn


def _shown(address: Any) -> str:
    return address if isinstance(address, str) else _address.show(socket.AF_INET, address)


def _named(conn: MessageSocket[Any], address: Any) -> MessageSocket[Any]:
    conn._names = "", _shown(address)
    return conn


def socketpair(
    framing: Framing, send_framing: Framing | None = None, **options: Any
) -> tuple[MessageSocket[Any], MessageSocket[Any]]:
    """Two connected connections in this process, or for a child that is forked.

    With a `send_framing` the first sends by it and the second receives by it. `options` are those of
    `MessageSocket`, for both.

    >>> import framewire as fw
    >>> a, b = fw.socketpair(fw.LengthPrefixed(fw.u16))
    >>> a.send(b"ping"); b.recv()
    b'ping'
    >>> a.close(timeout=0); b.close()
    """
    left, right = socket.socketpair()
    try:
        return (
            MessageSocket(left, framing, send_framing, **options),
            MessageSocket(right, send_framing or framing, framing if send_framing else None, **options),
        )
    except BaseException:
        left.close()
        right.close()
        raise


def spawn(
    argv: Sequence[str | os.PathLike[str]],
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    stderr: int | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> MessageSocket[Any]:
    """Start a program and exchange messages with its standard input and output.

    `stderr` (None: inherited), `cwd` and `env` are those of subprocess.Popen, which is `conn.process`. No
    shell is involved. `close` ends the program's input, reads to the end of its output and waits for it; if
    it does not end by itself it is terminated, and killed a second later. OSError if it cannot be started.

    >>> import sys
    >>> import framewire as fw
    >>> echo = "import sys; [sys.stdout.write(line) or sys.stdout.flush() for line in sys.stdin]"
    >>> with fw.spawn([sys.executable, "-c", echo], fw.Delimited(b"\\n")) as conn:
    ...     conn.request(b"hello", timeout=30)
    b'hello'
    >>> conn.process.returncode
    0
    """
    need_framings(framing, send_framing)
    transport = _child.start([os.fspath(word) for word in argv], stderr, cwd, env)
    try:
        return MessageSocket(transport, framing, send_framing, **options)
    except BaseException:
        transport.close()
        raise


def stdio(framing: Framing, send_framing: Framing | None = None, **options: Any) -> MessageSocket[Any]:
    """Exchange messages over this process's own standard input and output.

    For programs that others `spawn`, as language servers. Until it is closed, `sys.stdout` and descriptor 1
    are standard error, so that a stray print, also of a child process, does not get between the messages.

    >>> import sys
    >>> import framewire as fw
    >>> program = (
    ...     "import framewire as fw\\n"
    ...     "with fw.stdio(fw.Netstring()) as conn:\\n"
    ...     "    for message in conn: conn.send(message.upper())"
    ... )
    >>> with fw.spawn([sys.executable, "-c", program], fw.Netstring()) as conn:
    ...     conn.request(b"hello", timeout=30)
    b'HELLO'
    """
    need_framings(framing, send_framing)
    return MessageSocket(_child.own(), framing, send_framing, **options)


def reconnect(
    address: Address,
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    delay: tuple[float, float] = (0.5, 60.0),
    timeout: float | None = 10.0,
    **options: Any,
) -> Iterator[MessageSocket[Any]]:
    """Connections to `address`, a new one whenever the body of the loop has lost the last one.

    `for conn in reconnect(...)`: the body subscribes anew and uses `conn`; EndOfStream, Truncated,
    ConnectionLost and Timeout of its own must be caught there (or iterate over `conn`, which ends at a clean
    end); then the loop goes on with the next connection. `break` ends it. Each connection is closed when the
    body is left. Attempts that fail are logged (INFO) and repeated after a random time of up to delay[0]
    seconds, which doubles to delay[1] and begins anew after a connection that lasted delay[1]. Messages are
    never sent again: what was unsent is lost with its connection. `conn.attempt` counts the attempts.

    >>> import framewire as fw
    >>> with fw.listen("tcp://127.0.0.1:0", fw.Lines()) as listener:
    ...     for conn in fw.reconnect(listener.address, fw.Lines(), delay=(0.01, 1)):
    ...         print(conn.attempt)
    ...         break
    1
    """
    need_framings(framing, send_framing)
    least, most = delay
    if not 0 <= least <= most:
        raise ValueError(f"delay={delay!r} must be (least, most) seconds, 0 <= least <= most")
    return _attempts(address, framing, send_framing, least, most, timeout, options)


def _attempts(
    address: Address,
    framing: Framing,
    send_framing: Framing | None,
    least: float,
    most: float,
    timeout: float | None,
    options: Mapping[str, Any],
) -> Iterator[MessageSocket[Any]]:
    from random import uniform

    attempt, pause = 1, least
    while True:
        try:
            conn = connect(address, framing, send_framing, timeout=timeout, **options)
        except (DeclarationError, TypeError, ValueError):
            raise
        except OSError as error:
            _log_failure(address, attempt, error)
            attempt += 1
        else:
            _attempt_counts[conn], attempt = attempt, 1
            opened = monotonic()
            try:
                yield conn
            finally:
                conn._release() if not conn._closed else None
            if monotonic() - opened >= most:
                pause = least
        sleep(uniform(0, pause))
        pause = min(most, 2 * pause)


def _log_failure(address: Address, attempt: int, error: OSError) -> None:
    if "logging" in sys.modules:
        import logging

        logging.getLogger("framewire.connection").info("! %s: attempt %d failed: %s", address, attempt, error)


def listen(
    address: Address,
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    tls: ssl.SSLContext | tuple[Any, Any] | None = None,
    handshake_timeout: float | None = _HANDSHAKE,
    _bind: tuple[int, bool] = (),  # type: ignore[assignment]
    **options: Any,
) -> MessageListener:
    """Listen on "tcp://host:port", "tcp://:port" (all interfaces, both families), "tls://...", "unix:path",
    "unix:@abstract" or (host, port), or take over a socket that listens ("fd:3", "fd:NAME": inherited).

    `options` are those of `MessageSocket`, for each connection. Port 0 takes a free one: see `address`. A
    Unix socket's file whose server is gone is replaced; if one answers, or it is no socket, that is
    OSError(EADDRINUSE). close() removes the file. DeclarationError for an address that cannot be, other
    OSErrors naming the address as the system gives them.

    With `tls`, an ssl.SSLContext or (certfile, keyfile), the connections speak TLS; "tls://" needs it.
    `accept` never waits for a handshake: the first call that sends or receives does it, and raises
    Timeout(phase="handshake") if it takes more than `handshake_timeout` seconds from then on, ConnectionLost
    if it fails.
    """
    need_framings(framing, send_framing)
    secure: dict[str, Any] = {"tls": tls, "handshake_timeout": handshake_timeout}
    if isinstance(address, socket.socket):
        return MessageListener(address, framing, send_framing, **secure, **options)
    kind, where, _ = _address.parse(address)
    if tls is not None or kind == "tls":
        secure["tls"] = _context(tls, True)
    _need_handshake(handshake_timeout)
    path: str | None = None
    if kind == "fd":
        found = _devices.inherited(where)
        if not isinstance(found, socket.socket):
            raise DeclarationError(f"address {address!r}: the descriptor is no socket")
        sock = found
    elif kind in ("tcp", "tls", "unix"):
        sock, path = _address.bind(address, *_bind)
    else:
        raise DeclarationError(f"address {address!r}: nothing can listen there; connect() to it")
    try:
        return MessageListener(sock, framing, send_framing, path, **secure, **options)
    except BaseException:
        sock.close()
        raise
