"""TLS as a filter: a transport for a channel that stands on any other transport.

An `ssl.SSLObject` between two `ssl.MemoryBIO`: what the stream below has received is put into one, what
OpenSSL wants sent is taken from the other, and nothing here ever waits but `wait` and `handshake`. One lock
serves both directions, as an SSL object does not: it is held for calls that return at once.

Sent bytes count as taken when the stream below has taken every byte of their ciphertext. Until then the
channel calls them unsent and offers them again; what was encrypted already is only flushed then, so nothing
goes twice, whatever cuts a send short.

A signal handler may raise between any two bytecodes. What must not come apart is therefore one chain of C
calls (`list.extend` over `map`), or one assignment: the count is stored by the call that moves the bytes.
That is why the methods of `_sslobj` are called, which is C, and not those of the SSLObject around it. They
themselves run handlers of signals when their work is done, and forget what they were to return if one raises:
`_encrypt` and `_drain_warily` find it again.

Imported only where TLS is used, as importing `ssl` takes longer than all of this package.
"""

from __future__ import annotations

import errno
import os
import ssl
import threading
from functools import partial
from io import BytesIO

from . import errors
from ._transport import OTHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ._transport import Transport

__all__ = ["CertificateRefused", "TLSTransport", "client_context", "server_context"]

READ, WRITE = 1, 2
RECORD = 16384  # the most plaintext that a record carries
BATCH = 65536  # plaintext that is encrypted for one system call
ANSWERS = 65536  # bytes of key updates and the like that may wait for a peer who reads nothing
SLICE = 0.05  # seconds; see `wait`
_MAIN = threading.main_thread().ident
_rooms: list[memoryview] = []  # where one record is decrypted


class CertificateRefused(errors.ConnectionLost, ssl.SSLCertVerificationError):
    """The peer's certificate does not prove what it should: `verify_code` and `verify_message` of OpenSSL."""

    def __init__(self, message: str = "", *, code: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.verify_code, self.verify_message = code, text

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TLSTransport:
    """TLS over `below`. The handshake is done when it is first used, or by `handshake`.

    It must end within `timeout` seconds of its beginning (None: no limit); `peer` names the other end in
    errors; `received` is ciphertext that was read from `below` already. DeclarationError for a context that
    cannot serve here.
    """

    __slots__ = (
        *("below", "clock", "peer", "tls", "unclean", "_due", "_ended", "_fault", "_flight", "_fruitless"),
        *("_incoming", "_inner", "_lock", "_outgoing", "_pid", "_plain", "_shaken", "_taken", "_timeout"),
        *("_undrained", "_unsure"),
    )

    direct = OTHER

    def __init__(
        self,
        below: Transport,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        timeout: float | None = 10.0,
        peer: str = "the peer",
        received: bytes = b"",
    ) -> None:
        self.below, self.peer, self.clock = below, peer, below.clock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(received)
        if context.check_hostname and not server_side and not server_hostname:
            # wrap_bio, unlike wrap_socket, would then check no name at all.
            raise errors.tls_impossible(peer, server_side, "check_hostname requires server_hostname")
        try:
            self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        except (ValueError, ssl.SSLError) as error:
            raise errors.tls_impossible(peer, server_side, _brief(error)) from error
        self._inner: Any = getattr(self.tls, "_sslobj", self.tls)
        self._unsure = False  # whether a signal handler has raised where it cannot be told what it cost
        self._lock = threading.RLock()
        self._timeout = timeout
        self._due: float | None = None  # when the handshake must be done; None before it has begun
        self._shaken = False
        self._pid = 0  # whose ciphertext it is that was not sent yet
        # Decrypted: what is handed over, its size, and what came behind it.
        self._plain: tuple[BytesIO, int, list[bytes]] = BytesIO(), 0, []
        self._undrained = False  # ciphertext may have come that was not decrypted yet
        self._fruitless = False  # the last read brought nothing to deliver
        self._ended = False  # by close_notify
        self.unclean = False
        """The stream has ended without close_notify: who cut it off is not known."""
        # Ciphertext under way: what of it, counts of what was taken since, what is to follow.
        self._flight: tuple[memoryview, list[int], list[bytes]] = memoryview(b""), [], []
        self._taken: list[int] = []  # bytes of plaintext encrypted and not yet reported as sent
        self._fault: Callable[[], Exception] | None = None  # what every further call raises

    @property
    def shaken(self) -> bool:
        """Whether the handshake is done."""
        return self._shaken

    @property
    def reader(self) -> int:
        return self.below.reader

    @property
    def writer(self) -> int:
        return self.below.writer

    @property
    def sock(self) -> Any:
        return getattr(self.below, "sock", None)

    @property
    def name(self) -> str:
        return getattr(self.below, "name", "pipe:")

    # --- what a channel calls --------------------------------------------------------------------------

    def receiving(self, view: memoryview) -> Iterator[int]:
        with self._lock:
            reader, size, behind = self._plain
            if reader.tell() == size:
                self._plain = BytesIO(), 0, behind
                if not behind:
                    self._fill(view)
                data = b"".join(behind)
                self._plain = BytesIO(data), len(data), []
            return map(self._plain[0].readinto, (view,))

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        with self._lock:
            if not self._shaken:
                self._shake()
            if self._fault is not None:
                raise self._fault()
            if not self._taken:
                self._encrypt(views)
            self._flush()
            if len(self._taken) > 1:
                self._taken = [sum(self._taken)]
            return map(self._taken.pop, (0,))

    @property
    def pending(self) -> bool:
        """Whether a receive has something to say though nothing may come from below any more."""
        found = self._has_plain() or (self._undrained and self._shaken)
        return found or self._ended or self.unclean or self._fault is not None

    def events(self, wanted: int) -> int:
        """What must happen to the stream below so that what is `wanted` (1 to read, 2 to write) can go on."""
        if not wanted or self._fault is not None:
            return 0
        if not self._shaken:
            begins = self._due is None and not self.tls.server_side
            return WRITE if begins or self._unflushed() else READ
        if self._unflushed():
            return WRITE if self._stuffed() else wanted | WRITE
        return wanted

    def wait(self, read: bool, write: bool, seconds: float | None) -> bool:
        with self._lock:
            if self.reader < 0 or self._fault is not None or read and self.pending:
                return True
            if read and self._fruitless and seconds is not None and seconds <= 0:
                # Something may be there again, and again not for the caller, who has no time for it.
                return False
            wanted = self.events(READ * read | WRITE * write)
            bounds = [] if seconds is None else [seconds]
            if not self._shaken:
                # A thread that sends may read what another one waits for, whom nothing will wake then.
                bounds.append(SLICE)
                if self._due is not None:
                    bounds.append(self._due - self.clock())
            limit = max(0.0, min(bounds)) if bounds else None
        if self.below.wait(bool(wanted & READ), bool(wanted & WRITE), limit):
            return True
        return limit is not None and (seconds is None or limit < seconds)

    def end(self) -> bool:
        """Say close_notify: nothing more will be sent; whether the peer can see that.

        BlockingIOError until the stream below has taken it: call again.
        """
        with self._lock:
            if not self._shaken or self._fault is not None:
                return False
            if self._undrained:
                self._drain()  # unwrap() would throw away what has come
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                pass  # for the peer's own close_notify
            except ssl.SSLError:
                return False
            self._pid = os.getpid()
            self._flush()
            return True

    def wake(self) -> None:
        self.below.wake()

    def close(self) -> None:
        # In a forked child another process's ciphertext is of no use, and its lock may be held for ever.
        if self._pid == os.getpid():
            with self._lock:
                self._flush_if_possible()
        self.below.close()

    def abort(self) -> None:
        self.below.abort()

    # --- the handshake ---------------------------------------------------------------------------------

    def handshake(self, seconds: float | None) -> None:
        """Do the handshake, within `seconds` if the time it may take is longer; raises what it fails with."""
        if seconds is not None and (self._timeout is None or seconds < self._timeout):
            self._timeout = seconds
        while True:
            try:
                with self._lock:
                    return self._shake()
            except BlockingIOError:
                self.wait(True, False, None)
            except InterruptedError:
                pass
            except OSError as error:
                if isinstance(error, errors.FramewireError) or error.errno not in errors.LOST:
                    raise
                raise errors.lost(self.peer, error.errno, error.strerror) from error

    def _shake(self) -> None:
        """Take the handshake as far as it goes now; BlockingIOError until it is done."""
        if self._shaken:
            return
        if self._fault is not None:
            raise self._fault()
        if self._due is None:
            self._due = float("inf") if self._timeout is None else self.clock() + self._timeout
            self._pid = os.getpid()
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self._fail(error)
                self._flush_if_possible()  # the peer is told why
                raise self._fault() from error  # type: ignore[misc]
            try:
                self._flush()
                if not self._take(memoryview(bytearray(RECORD))):
                    self._fault = partial(errors.handshake_ended, self.peer)
                    raise self._fault()
            except BlockingIOError:
                if self.clock() < self._due:
                    raise
                self._fault = partial(errors.handshake_late, self.peer, self._timeout)
                raise self._fault() from None
        self._shaken = True
        self._drain()  # the first message may have come with the end of the handshake
        self._flush_if_possible()

    # --- from the peer ---------------------------------------------------------------------------------

    def _has_plain(self) -> bool:
        reader, size, behind = self._plain
        return bool(behind) or reader.tell() < size

    def _fill(self, scratch: memoryview) -> None:
        """Receive and decrypt, once: plaintext, or the end; BlockingIOError if there is nothing now."""
        if not self._shaken:
            self._shake()
        self._flush_if_possible()
        if self._undrained:
            self._drain()
        if not self.pending:
            if self._stuffed():
                raise BlockingIOError(errno.EAGAIN, "the peer does not read what TLS has to answer")
            self.unclean = not self._take(scratch)
            self._drain()
            self._flush_if_possible()
        self._fruitless = not self.pending
        if self._has_plain() or self._ended or self.unclean:
            return
        if self._fault is not None:
            raise self._fault()
        raise BlockingIOError(errno.EAGAIN, "no whole record has come")

    def _take(self, scratch: memoryview) -> bool:
        """Receive ciphertext by way of `scratch`; False at the end of the stream below."""
        self._undrained = True
        size: list[int] = []
        try:
            slices = map(slice, self.below.receiving(scratch))
            size.extend(map(self._incoming.write, map(scratch.__getitem__, slices)))
        except OSError:
            self._undrained = False  # nothing has come, and what came before is decrypted
            raise
        return size[0] > 0

    def _drain(self) -> None:
        """Decrypt every whole record that has come. Data before a fault, or the end, are delivered first."""
        behind = self._plain[2]
        try:
            if threading.get_ident() == _MAIN:
                self._drain_warily(behind)
            else:
                behind.extend(iter(partial(self._inner.read, RECORD), b""))
            self._ended = self._fault is None
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            self._fail(error)
        self._undrained = False

    def _drain_warily(self, behind: list[bytes]) -> None:
        """The same in the thread that runs signal handlers. Each record's first byte is read by itself: what
        is `pending` then tells what a handler has cost that raised inside of a read."""
        room = _rooms.pop() if _rooms else memoryview(bytearray(RECORD))
        try:
            self._drain_into(room, behind)
        finally:
            _rooms[:] = [room]

    def _drain_into(self, room: memoryview, behind: list[bytes]) -> None:
        read, incoming = self._inner.read, self._incoming
        while True:
            if self._unsure:
                self._fault = partial(errors.tls_interrupted, self.peer)
                return
            known, came, size, rest, room[0] = len(behind), incoming.pending, 0, 0, 0
            self._unsure = True
            try:
                size = read(1, room)
                rest = self._inner.pending()
                if rest:
                    size += read(rest, room[1:])
                if size:
                    behind.append(bytes(room[:size]))
            except ssl.SSLError:
                self._unsure = False
                raise
            except BaseException:
                if len(behind) == known:
                    left = self._inner.pending()
                    moved = came - incoming.pending
                    if not size and (left or room[0] or moved and incoming.pending):
                        size = 1
                    if size == 1:
                        size += read(left, room[1:]) if left else rest
                    if size:
                        behind.append(bytes(room[:size]))
                    elif moved:
                        raise  # an empty byte, or the beginning of a record: who knows
                self._unsure = False
                raise
            self._unsure = False
            if not size:
                return

    # --- to the peer -----------------------------------------------------------------------------------

    def _encrypt(self, views: list[memoryview]) -> None:
        """Make records of the first bytes of `views`, as full as they can be."""
        data = views[0] if len(views) == 1 else joined(views)
        size = min(len(data), BATCH)
        self._pid = os.getpid()
        done = 0
        while done < size:
            piece, before = data[done : min(size, done + RECORD)], self._outgoing.pending
            try:
                self._taken.extend(map(self._inner.write, (piece,)))
            except ssl.SSLError as error:
                # Of these SSLWantReadError means that the peer of a TLS before 1.3 is renegotiating.
                self._fail(error)
                raise self._fault() from error  # type: ignore[misc]
            except BaseException:
                if self._outgoing.pending > before and sum(self._taken) == done:
                    self._taken.append(len(piece))
                raise
            done = sum(self._taken)

    def _unflushed(self) -> bool:
        view, _, behind = self._flight
        return bool(view or behind or self._outgoing.pending)

    def _stuffed(self) -> bool:
        """Whether so much is to be answered that nothing more may be read before it is."""
        return self._outgoing.pending > ANSWERS

    def _flush(self) -> None:
        """Send all ciphertext that there is; BlockingIOError if the stream below does not take it now."""
        while True:
            view, counts, behind = self._flight
            taken = sum(counts)
            if taken < len(view):
                if taken:
                    view = view[taken:]
            elif behind or self._outgoing.pending:
                if not behind:
                    behind.extend(map(self._outgoing.read, (-1,)))
                view, behind = memoryview(b"".join(behind)), []
            else:
                if view:
                    self._flight = memoryview(b""), [], []
                return
            counts = []
            self._flight = view, counts, behind
            counts.extend(self.below.sending([view]))

    def _flush_if_possible(self) -> None:
        if self._unflushed():
            try:
                self._flush()
            except OSError:
                pass  # the next send says what is wrong

    def _fail(self, error: ssl.SSLError) -> None:
        """Every further call raises what `error` means. Made anew each time, as it would hold tracebacks."""
        if isinstance(error, ssl.SSLCertVerificationError):
            code, text = error.verify_code, error.verify_message.rstrip(".")
            message = errors.certificate_refused(self.peer, code, text, self.tls.server_side)
            self._fault = partial(CertificateRefused, message, code=code, text=text)
        else:
            self._fault = partial(errors.tls_lost, self.peer, _brief(error), self._shaken)


def joined(views: list[memoryview]) -> memoryview:
    """The first bytes of `views` in one piece, at most a batch."""
    pieces, size = [], 0
    for view in views:
        pieces.append(view[: BATCH - size])
        size += len(pieces[-1])
        if size >= BATCH:
            break
    return memoryview(b"".join(pieces))


def _brief(error: Exception) -> str:
    """What OpenSSL says, in words: its library and the line of its source help nobody."""
    if isinstance(error, ssl.SSLWantReadError):
        return "a renegotiation began, in which nothing can be sent here"
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else str(error)


# --- contexts ------------------------------------------------------------------------------------------


def client_context(tls: object) -> ssl.SSLContext:
    """The context that `tls=` of a client means: one of the user's, or True for this system's CAs."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    if tls is not True:
        raise errors.bad_tls(tls, "an ssl.SSLContext, or True for the system's CAs")
    return ssl.create_default_context()


def server_context(tls: object) -> ssl.SSLContext:
    """The context that `tls=` of a server means: one of the user's, or (certfile, keyfile).

    DeclarationError for what it cannot be, OSError for a file that cannot be read.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    if not isinstance(tls, tuple) or len(tls) != 2:
        raise errors.bad_tls(tls, "an ssl.SSLContext, or (certfile, keyfile): a server needs a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(*tls)
    except ssl.SSLError as error:
        raise errors.bad_tls(tls, f"PEM files of one key and its certificate: {_brief(error)}") from error
    return context
