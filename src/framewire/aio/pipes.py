"""`spawn` and `stdio`: a stream over two pipes, in an event loop.

`PipePair` is the transport of a connection over two of the loop's, one that reads and one that writes.
"""

from __future__ import annotations

import asyncio
import os
from time import monotonic

from .. import _child
from .._connection import need_framings
from .connection import LINGER
from .stream import MessageStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, TypeVar

    from ..framings import Framing
    from .connection import LoopConnection

    T = TypeVar("T")

__all__ = ["PipeStream", "spawn", "stdio"]

PATIENCE = 1.0  # seconds that a child may take to end, at each of the three steps
PULSE = 0.01  # seconds between two looks whether it has


class _Reader(asyncio.Protocol):
    def __init__(self, pair: PipePair) -> None:
        self._pair = pair

    def data_received(self, data: bytes) -> None:
        self._pair.conn.data_received(data)

    def eof_received(self) -> None:
        self._pair.conn._ended_by_peer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pair.one_lost(0, exc)


class _Writer(asyncio.BaseProtocol):
    def __init__(self, pair: PipePair) -> None:
        self._pair = pair

    def pause_writing(self) -> None:
        self._pair.conn._flow(True)

    def resume_writing(self) -> None:
        self._pair.conn._resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pair.one_lost(1, exc)


class PipePair:
    """Two transports of the loop as one; `ends` closes what they stand on."""

    def __init__(self, conn: LoopConnection[Any]) -> None:
        self.conn = conn
        self._ends: list[Any] = []
        self._error: Exception | None = None
        self._lost = [False, False]
        self._closing = self._said_end = False

    async def open(self, reader: Any, writer: Any) -> None:
        """Over two file objects, which are the loop's from now on."""
        loop = asyncio.get_running_loop()
        self._ends.append((await loop.connect_read_pipe(lambda: _Reader(self), reader))[0])
        self._ends[0].pause_reading()  # until somebody can be told
        self._ends.append((await loop.connect_write_pipe(lambda: _Writer(self), writer))[0])
        self.conn._made(self)
        self._ends[0].resume_reading()

    def one_lost(self, which: int, error: Exception | None) -> None:
        self._lost[which] = True
        self._error = self._error or error
        if all(self._lost) or which == 0 and self._error is not None:
            if not self._closing:
                self.abort()
            self.conn._lost(self._error)

    def write(self, data: bytes | bytearray) -> None:
        # Who reads no more has gone, or soon will have: the other pipe ends then, and the connection with it.
        if not self._lost[1] and not self._ends[1].is_closing():
            self._ends[1].write(data)

    def write_eof(self) -> None:
        if not self._said_end and not self._lost[1]:
            self._said_end = True
            # Not now: asyncio's would close twice, if this is said in its resume_writing().
            self.conn._loop.call_soon(self._end)

    def _end(self) -> None:
        if not self._closing and not self._lost[1]:
            self._ends[1].write_eof()

    def can_write_eof(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._ends[1].set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return 0 if self._lost[1] else self._ends[1].get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        if not self._lost[0]:
            self._ends[0].pause_reading()

    def resume_reading(self) -> None:
        if not self._lost[0]:
            self._ends[0].resume_reading()

    def abort(self) -> None:
        if self._closing:
            return
        self._closing = True
        for which, end in enumerate(self._ends):
            # One that is closing and has nothing left to write goes by itself, and only once.
            if not end.is_closing() or which == 1 and self.get_write_buffer_size():
                end.abort() if which == 1 else end.close()

    close = abort

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class PipeStream(MessageStream["T"]):
    """What `spawn` and `stdio` make: a `MessageStream` that knows how what it talks to ends.

    >>> import asyncio, sys
    >>> import framewire as fw
    >>> async def main():
    ...     program = "import sys; [print(line.upper(), end='', flush=True) for line in sys.stdin]"
    ...     async with await fw.aio.spawn([sys.executable, "-c", program], fw.Lines()) as conn:
    ...         print(await conn.request(b"hello", timeout=30))
    ...     return conn.process.returncode
    >>> asyncio.run(main())
    b'HELLO'
    0
    """

    __slots__ = ("_below_it",)

    _kind = "aio.PipeStream"

    def __init__(self, transport: Any, framing: Framing, send_framing: Framing | None, options: Any) -> None:
        self._below_it = transport
        super().__init__(framing, send_framing, **options)
        self._names = "", transport.name

    @property
    def process(self) -> Any:
        """The child process of `spawn` (a subprocess.Popen), else None."""
        return getattr(self._below_it, "process", None)

    async def close(self, timeout: float | None = LINGER) -> None:  # type: ignore[override]
        """As that of every stream; then a child that does not end by itself is terminated, and killed a
        second later."""
        try:
            await super().close(timeout)
        finally:
            await self._reap((None, "terminate", "kill"))

    def abort(self) -> None:
        """Close at once; a child is killed."""
        super().abort()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _lost(self, error: Exception | None) -> None:
        super()._lost(error)
        self._below_it.gone()

    async def _reap(self, steps: tuple[str | None, ...]) -> None:
        """Wait for the child, with ever more force."""
        process = self.process
        if process is None:
            return
        for step in steps:
            if step is not None:
                getattr(process, step)()
            end = monotonic() + PATIENCE
            while process.poll() is None and monotonic() < end:
                await asyncio.sleep(PULSE)
            if process.returncode is not None:
                return

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._reap((None, "terminate", "kill"))


class _Child:
    def __init__(self, process: Any, name: str) -> None:
        self.process, self.name = process, name

    def gone(self) -> None:
        """Both pipes are closed; the process is waited for by `close`."""


class _Own:
    name = "stdio:"

    def __init__(self) -> None:
        self._taken = _child.own()
        self.reader, self.writer = self._taken.reader, self._taken.writer

    def gone(self) -> None:
        """Standard input and output are what they were."""
        self._taken.close()


async def _opened(stream: PipeStream[Any], reader: int, writer: int) -> PipeStream[Any]:
    """Over these descriptors, which the loop closes."""
    ends = os.fdopen(reader, "rb", 0), os.fdopen(writer, "wb", 0)
    try:
        await PipePair(stream).open(*ends)
    except BaseException:
        for end in ends:
            end.close()
        raise
    return stream


async def spawn(
    argv: Sequence[str | os.PathLike[str]],
    framing: Framing,
    send_framing: Framing | None = None,
    *,
    stderr: int | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> PipeStream[Any]:
    """Start a program and exchange messages with its standard input and output, as `framewire.spawn`.

    `close` ends the program's input, reads to the end of its output and waits for it; if it does not end by
    itself it is terminated, and killed a second later. OSError if it cannot be started.
    """
    need_framings(framing, send_framing)
    child = _child.start([os.fspath(word) for word in argv], stderr, cwd, env)
    reader, writer = child.reader, child.writer
    child.reader = child.writer = -1
    try:
        stream: PipeStream[Any] = PipeStream(
            _Child(child.process, child.name), framing, send_framing, options
        )
    except BaseException:
        os.close(reader)
        os.close(writer)
        child.close()
        raise
    try:
        return await _opened(stream, reader, writer)
    except BaseException:
        child.process.kill()
        child.process.wait()
        raise


async def stdio(framing: Framing, send_framing: Framing | None = None, **options: Any) -> PipeStream[Any]:
    """Exchange messages over this process's own standard input and output, as `framewire.stdio`.

    Both must be pipes, sockets or terminals, which a loop can wait for. Until it is closed `sys.stdout` and
    descriptor 1 are standard error.
    """
    need_framings(framing, send_framing)
    own = _Own()
    try:
        stream: PipeStream[Any] = PipeStream(own, framing, send_framing, options)
        return await _opened(stream, os.dup(own.reader), os.dup(own.writer))
    except BaseException:
        own.gone()
        raise
