"""What the workers of `framewire listen --mode processes` share: standard output, in turns, and counts.

All of it is made before they are forked off.
"""

from __future__ import annotations

import fcntl
import os
import signal
from mmap import mmap
from tempfile import TemporaryFile

from .report import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Shared", "SharedOutput"]

_CONNECTIONS, _MESSAGES, _INEXACT, _GONE = range(4)


class Shared:
    """A context in which one process is at a time (whoever dies in it has left it), and what all count: 1, 2,
    3 .., each number once over all workers.

    >>> shared = Shared()
    >>> next(shared.connections), next(shared.connections), next(shared.messages), shared.totals()
    (1, 2, 1, (1, 0))
    """

    def __init__(self) -> None:
        self._main = os.getpid()
        with TemporaryFile() as file:
            self._turns = os.dup(file.fileno())
        self._counts = memoryview(mmap(-1, 8 * (_GONE + 1))).cast("Q")
        self.connections = self._counter(_CONNECTIONS)
        self.messages = self._counter(_MESSAGES)
        self.inexact = self._counter(_INEXACT)

    def __enter__(self) -> None:
        fcntl.lockf(self._turns, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._turns, fcntl.LOCK_UN)

    def totals(self) -> tuple[int, int]:
        """The messages, and those of them that are not exact as text."""
        return self._counts[_MESSAGES], self._counts[_INEXACT]

    def _counter(self, index: int) -> Iterator[int]:
        while True:
            with self:
                self._counts[index] += 1
                number = self._counts[index]
            yield number

    def stop(self) -> None:
        """Have the whole server end. No worker can do that but by a signal to who began it."""
        os.kill(self._main, signal.SIGALRM)

    @property
    def reader_gone(self) -> bool:
        """Whether nobody reads standard output any more."""
        return bool(self._counts[_GONE])

    def lose_reader(self) -> None:
        """Nobody does any more: the server ends."""
        self._counts[_GONE] = 1
        self.stop()


class SharedOutput(Output):
    """Standard output of several processes: what one writes at once stays together, however long it is."""

    def __init__(self, choice: str, shared: Shared) -> None:
        super().__init__(choice)
        self._shared = shared
        self._fd = self._stream.fileno()

    def write(self, data: bytes) -> None:
        """Written past Python's buffer, of which every worker has one of its own."""
        rest = memoryview(data)
        with self._shared:
            try:
                while rest and not self._shared.reader_gone:
                    rest = rest[os.write(self._fd, rest) :]
            except BrokenPipeError:
                self._shared.lose_reader()
