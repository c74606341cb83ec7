"""An `ssl.SSLSocket` that is handed in, as a transport: OpenSSL itself reads and writes the descriptor.

It is TLSTransport without the two buffers between. What the standard library's own methods hide is seen, as
those below them are called: the end without close_notify, above all. As what OpenSSL does on the descriptor
cannot be looked at from here, a signal handler that raises inside of it ends the connection.
"""

from __future__ import annotations

import errno
import os
import ssl
import threading
from functools import partial
from io import BytesIO

from . import errors
from ._tls import BATCH, READ, RECORD, SLICE, WRITE, TLSTransport, joined
from ._transport import SocketTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["SSLSocketTransport"]


class SSLSocketTransport(TLSTransport):
    """TLS as `sock` has it. A handshake that is not done yet is done by the first calls."""

    __slots__ = ("_wants",)

    whole = True  # its close_notify is for close(), when what comes is thrown away anyway

    def __init__(self, sock: ssl.SSLSocket, peer: str) -> None:
        self.below: SocketTransport
        self.below, self.peer = SocketTransport(sock), peer
        self.clock = self.below.clock
        if sock._sslobj is None:  # type: ignore[attr-defined]
            raise errors.tls_over(peer)
        self.tls, self._inner = sock, sock._sslobj  # type: ignore[assignment, attr-defined]
        self._lock = threading.RLock()
        self._plain, self._taken = (BytesIO(), 0, []), []
        self._shaken, self._unsure = True, False
        self._undrained = sock.pending() > 0
        self._fruitless = self._ended = self.unclean = False
        self._fault = None
        self._wants = {READ: READ, WRITE: WRITE}  # what each direction waits for

    def sending(self, views: list[memoryview]) -> Iterator[int]:
        with self._lock:
            if not self._taken:
                data = views[0] if len(views) == 1 else joined(views)
                self._call(WRITE, self._taken, self._inner.write, data[:BATCH])
            return map(self._taken.pop, (0,))

    def _fill(self, scratch: memoryview) -> None:
        self._undrained, self._fruitless = False, True
        behind = self._plain[2]
        try:
            self._call(READ, behind, self._inner.read, RECORD)
            self._ended = not behind[-1]
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLEOFError:
            # So the standard library calls a reset, too; but then the socket has no peer any more.
            try:
                self.below.sock.getpeername()
            except OSError:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None
            self.unclean = True
        self._fruitless = False

    def _call(self, way: int, results: list[Any], call: Callable[..., Any], *arguments: Any) -> None:
        """Append what `call` returns. BlockingIOError if it cannot be done now."""
        if self._unsure:
            self._fault = partial(errors.tls_interrupted, self.peer)
        if self._fault is not None:
            raise self._fault()
        known = len(results)
        self._unsure = True
        try:
            results.extend(map(call, *([argument] for argument in arguments)))
        except ssl.SSLWantReadError:
            self._wants[way] = READ
        except ssl.SSLWantWriteError:
            self._wants[way] = WRITE
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._unsure = False
            if way == READ:
                raise
            self._fault = partial(errors.lost, self.peer, errno.EPIPE, "the peer has ended TLS")
        except ssl.SSLError as error:
            self._fail(error)
        except OSError:
            self._unsure = False
            raise
        except BaseException:
            self._unsure = len(results) == known
            raise
        else:
            self._wants[way] = way
        self._unsure = False
        if self._fault is not None:
            raise self._fault()
        if len(results) == known:
            raise BlockingIOError(errno.EAGAIN, "TLS waits for the stream below it")

    def wait(self, read: bool, write: bool, seconds: float | None) -> bool:
        # What one direction waits for, a thread in the other may take, and nothing wakes this one then.
        crossed = read and self._wants[READ] == WRITE or write and self._wants[WRITE] == READ
        if crossed and (seconds is None or seconds > SLICE):
            super().wait(read, write, SLICE)
            return True
        return super().wait(read, write, seconds)

    def events(self, wanted: int) -> int:
        if self._fault is not None:
            return 0
        return (self._wants[READ] if wanted & READ else 0) | (self._wants[WRITE] if wanted & WRITE else 0)

    def end(self) -> bool:
        with self._lock:
            if self._fault is not None or self._unsure:
                return False
            try:
                self._inner.shutdown()
            except ssl.SSLWantReadError:
                pass  # for the peer's own close_notify
            except ssl.SSLWantWriteError:
                self._wants[WRITE] = WRITE
                raise BlockingIOError(errno.EAGAIN, "close_notify waits for room") from None
            except ssl.SSLError as error:
                # Said, and something came that will be thrown away like the rest.
                return error.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
            return True

    def close(self) -> None:
        self.below.close()
