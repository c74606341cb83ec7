"""One connection and one person or pipe: standard input to the peer, the peer to standard output.

`Session.run` waits for whatever comes first: input, messages, room to send, the time. Input is read no faster
than the peer takes it. At the end of input the rest is sent and the sending side closed; then the peer's end
ends the session, as it does at any time.
"""

from __future__ import annotations

import os
import select
import signal
from collections import deque
from time import monotonic

from ..errors import ConnectionLost, DecodeError, EncodeError, EndOfStream, FramewireError, Timeout
from .convert import Input, argument, chosen, source_of
from .live import counted, tracer
from .network import failure_of, in_foreground, standing
from .report import BROKEN, DONE, FAILED, Failure, die, explain, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from subprocess import Popen
    from types import FrameType
    from typing import NoReturn

    from ..framings import Framing
    from ..sockets import MessageSocket
    from .live import Live
    from .network import Place

__all__ = ["Nothing", "Session", "Signalled", "Stdin", "Words", "caught", "talk"]

_READ = 1 << 16
_FAREWELL = 5.0  # seconds in which the peer must take what is unsent
_LINGER = 0.25  # seconds for the peer's end, when we are done first
_MOMENT = 0.05  # seconds
_AT_ONCE = 16  # reads of the connection before input has a turn


# --- where messages come from --------------------------------------------------------------------------


class Nothing:
    """No source: there is nothing to send."""

    fd = -1
    ended = True
    failure: Failure | None = None

    def due(self) -> float | None:
        """When there will be messages to take, if time alone decides that."""
        return None

    def take(self, pending: deque[bytes]) -> None:
        raise NotImplementedError


class Words(Nothing):
    """The messages of the command line, `repeat` times, `interval` seconds apart."""

    ended = False

    def __init__(self, messages: list[bytes], repeat: int, interval: float) -> None:
        self._messages, self._left, self._interval = messages, repeat, interval
        self._next = monotonic()

    def due(self) -> float | None:
        return None if self.ended else self._next

    def take(self, pending: deque[bytes]) -> None:
        rounds = 1 if self._interval else min(self._left, 256)
        pending.extend(self._messages * rounds)
        self._left -= rounds
        self._next += self._interval
        self.ended = self._left <= 0


class Stdin(Nothing):
    """Standard input, cut by a format or a framing. What cannot be read is a failure for later: the messages
    before it are sent first."""

    ended = False

    def __init__(self, options: Namespace) -> None:
        self.fd, _ = source_of("-")
        form = "hex" if options.hex else options.input
        self._input = Input(form, chosen(options.backend), options.color, self.fd)

    def take(self, pending: deque[bytes]) -> None:
        try:
            chunk = os.read(self.fd, _READ)
            for batch in self._input.feed(chunk):
                pending.extend(message for _, message in batch)
            self.ended = not chunk
        except Failure as failure:
            self.failure, self.ended = failure, True


def source_for(options: Namespace) -> Nothing:
    """The command line's messages, else standard input, unless reading it would stop a background job."""
    if options.message:
        form = "hex" if options.hex else options.input
        found = (argument(text, form) for text in options.message)
        return Words([one for one in found if one is not None], options.repeat, options.interval)
    if options.address == "-" or not in_foreground():
        return Nothing()
    return Stdin(options)


# --- signals -------------------------------------------------------------------------------------------


class Signalled(BaseException):
    """SIGINT or SIGTERM has come. The next one ends the process at once."""

    def __init__(self, number: int) -> None:
        self.number = number


class caught:
    """A context in which the first SIGINT or SIGTERM raises Signalled."""

    _NUMBERS = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> None:
        # One that is ignored stays so: the shell has said it for a job in the background, or nohup has.
        self._before = [
            (number, signal.signal(number, self._raise))
            for number in self._NUMBERS
            if signal.getsignal(number) is not signal.SIG_IGN
        ]

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        for one in self._NUMBERS:
            signal.signal(one, signal.SIG_DFL)
        raise Signalled(number)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before:
            signal.signal(number, before)


# --- the session ---------------------------------------------------------------------------------------


class Session:
    """Talks over `conn` until something ends it. `messages_wanted`: -n; other times as in the options."""

    def __init__(
        self,
        conn: MessageSocket[bytes],
        place: Place,
        framing: Framing,
        live: Live,
        source: Nothing,
        options: Namespace,
    ) -> None:
        self._conn, self._place, self._live, self._source = conn, place, live, source
        self._framing = framing  # as the user gave it
        self._options = options
        self._pending: deque[bytes] = deque()
        self._sent = 0
        self._began = self._heard = monotonic()
        self._said_all: float | None = None  # when input was over and sent
        self._peer_ended = False
        self._refused = False  # the peer has taken not all that was sent
        self._readable = False  # standard input
        self.skipped = 0

    def run(self) -> int:
        """Talk; the exit status. Failure for a local reason, FramewireError or OSError for the peer's."""
        while not self._over():
            self._fill()
            self._push()
            self._end_input()
            self._pull()
            self._wait()
        self._live.flush()
        self._part()
        if self._source.failure is not None:
            raise self._source.failure
        return BROKEN if self.skipped else DONE

    def hurry(self) -> None:
        """Interrupted: write and send what there is."""
        self._live.flush()
        try:
            self._conn.flush(timeout=_FAREWELL)
        except (FramewireError, OSError):
            pass
        self._conn.close(timeout=0)

    def _over(self) -> bool:
        options, moment = self._options, monotonic()
        if self._peer_ended and not (options.one_way and self._said_all is None):
            return True
        if options.number is not None and self._place.number >= options.number:
            return True
        if options.seconds is not None and moment >= self._began + options.seconds:
            return True
        if self._said_all is not None:
            if options.one_way and not self._conn.unsent:
                return True
            if options.wait is not None and moment >= self._said_all + options.wait:
                return True
        if options.timeout is not None and moment >= self._heard + options.timeout:
            self._live.flush()
            raise Timeout(f"no message came for {options.timeout:g} s (--timeout)", phase="recv")
        return False

    def _fill(self) -> None:
        source = self._source
        if source.ended or self._pending:
            return
        due = source.due()
        if self._readable or due is not None and due <= monotonic():
            self._readable = False
            source.take(self._pending)

    def _push(self) -> None:
        if not self._pending:
            return
        try:
            self._conn.send_many(self._drawn(), timeout=0)
        except BlockingIOError:
            pass
        except EncodeError as error:
            raise Failure(BROKEN, f"message {self._sent}: {error}") from error
        except ConnectionLost:
            # What he sent before he left is still to be read, and then this comes again.
            if self._peer_ended or not self._conn.events & 1:
                raise
            self._refused = True

    def _drawn(self) -> Iterator[bytes]:
        while self._pending:
            self._sent += 1
            yield self._pending.popleft()

    def _end_input(self) -> None:
        if self._said_all is not None or not self._source.ended or self._pending:
            return
        try:
            if self._options.no_half_close:
                self._conn.flush(timeout=0)
            else:
                self._conn.shutdown_write(timeout=0)
        except BlockingIOError:
            return
        self._said_all = monotonic()

    def _pull(self) -> None:
        """Everything that has come, unless it is a lot."""
        if self._peer_ended:
            return
        try:
            for _ in range(_AT_ONCE):
                try:
                    if not self._take():
                        return
                except DecodeError as error:
                    if not error.recoverable:
                        raise
                    self.skipped += 1
                    self._live.flush()
                    failure = failure_of(error, self._conn, self._framing, self._options.backend)
                    explain(failure, self._options.color)
        except BlockingIOError:
            pass
        except EndOfStream:
            self._peer_ended = True
        finally:
            self._live.flush()

    def _take(self) -> bool:
        """One read's messages; whether there may be more that are wanted."""
        conn, place, live, wanted = self._conn, self._place, self._live, self._options.number
        left = None if wanted is None else wanted - place.number
        if self._options.one_way:
            conn.recv_many(timeout=0)
            return True
        if not live.needs_offsets:
            messages = conn.recv_many(left, timeout=0)
        else:
            place.offset = standing(conn)
            messages = conn.recv_many(1, timeout=0)
        self._heard = monotonic()
        for message in messages:
            live.add(place, message)
        while live.needs_offsets and conn.ready and (left is None or place.number < (wanted or 0)):
            place.offset = standing(conn)
            live.add(place, conn.recv_many(1, timeout=0)[0])
        return left is None or left > len(messages) and place.number < (wanted or 0)

    def _wait(self) -> None:
        conn, source = self._conn, self._source
        if self._over() or conn.ready and not self._peer_ended:
            return
        events = conn.events
        reads = [conn.fileno()] if events & 1 else []
        writes = [conn.write_fileno()] if events & 2 or self._pending else []
        if source.fd >= 0 and not source.ended and not self._pending:
            reads.append(source.fd)
        found = _poll(reads, writes, self._pause())
        self._readable = source.fd in found

    def _pause(self) -> float | None:
        """Seconds until something is due; None for ever."""
        options, dates = self._options, []
        if options.seconds is not None:
            dates.append(self._began + options.seconds)
        if options.timeout is not None:
            dates.append(self._heard + options.timeout)
        if options.wait is not None and self._said_all is not None:
            dates.append(self._said_all + options.wait)
        if not self._pending and (due := self._source.due()) is not None:
            dates.append(due)
        return max(0.0, min(dates) - monotonic()) if dates else None

    def _has_more(self) -> bool:
        """Whether there are messages that can be sent no more. Who writes into a pipe gets a moment to go on:
        we may just have emptied it."""
        source = self._source
        if self._pending or self._refused or source.fd < 0:
            return bool(self._pending) or self._refused or not source.ended
        moment = 0 if os.isatty(source.fd) else _MOMENT
        return not source.ended and bool(_poll([source.fd], [], moment)) and bool(os.read(source.fd, 1))

    def _part(self) -> None:
        """The end, in which nothing that was sent may be lost."""
        conn, options = self._conn, self._options
        if self._peer_ended and self._has_more():
            conn.close(timeout=0)
            text = "the peer ended the stream, and not all of the input was sent"
            raise Failure(FAILED, text, "--one-way goes on sending behind the peer's end")
        conn.flush(timeout=_FAREWELL)
        patience = _LINGER if self._sent else 0
        if options.one_way:
            patience = _FAREWELL if options.wait is None else options.wait
        end = _end_of(conn.process) if self._peer_ended and conn.process is not None else 0
        conn.close(timeout=0 if self._peer_ended else patience)
        if end:
            how = f"signal {-end}" if end < 0 else f"exit {end}"
            raise Failure(FAILED, f"the program ended by {how}")
        missing = (options.number or 0) - self._place.number
        if self._peer_ended and missing > 0 and not options.quiet:
            note(f"the peer ended the stream before {missing} of {options.number} messages had come")


def _end_of(process: Popen[bytes]) -> int:
    """The status of a program that has ended its output; 0, too, of one that runs on without."""
    from subprocess import TimeoutExpired

    try:
        return process.wait(_LINGER)
    except TimeoutExpired:
        return 0


def _poll(reads: list[int], writes: list[int], seconds: float | None) -> set[int]:
    """The descriptors that are ready, one way or the other."""
    if not hasattr(select, "poll"):
        found = select.select(reads, writes, [], seconds)
        return {*found[0], *found[1]}
    masks: dict[int, int] = {}
    for fd in reads:
        masks[fd] = select.POLLIN
    for fd in writes:
        masks[fd] = masks.get(fd, 0) | select.POLLOUT
    poll = select.poll()
    for fd, mask in masks.items():
        poll.register(fd, mask)
    # Rounded up: a poll that ends a fraction of a millisecond early would make us spin.
    return {fd for fd, _ in poll.poll(None if seconds is None else int(seconds * 1000) + (seconds > 0))}


def talk(
    conn: MessageSocket[bytes],
    place: Place,
    framing: Framing,
    live: Live,
    source: Nothing,
    options: Namespace,
    drains: bool = False,
) -> int:
    """A whole session over `conn`, which is closed in the end; the exit status. `drains`: a signal ends it
    well, as it does a server."""
    session = Session(conn, place, framing, live, source, options)
    if options.verbose > 1:
        conn._trace = tracer(options.color)
    live.event(place, "open", conn)
    try:
        status = session.run()
    except Signalled as stop:
        session.hurry()
        if not options.quiet:
            note(counted(conn), choice=options.color)
        live.close(options)
        if not drains:
            die(stop.number)
        return DONE
    except (FramewireError, OSError) as error:
        live.flush()
        failure = failure_of(error, conn, framing, options.backend)
        live.event(place, "error", conn, failure.lines[0])
        raise failure from error
    except Failure:
        _let_go(conn)
        raise
    finally:
        conn._release() if not conn._closed else None
    live.event(place, "close", conn)
    live.close(options)
    return status


def _let_go(conn: MessageSocket[bytes]) -> None:
    """Send what was taken before the failure, and go."""
    try:
        conn.close(timeout=_LINGER)
    except (FramewireError, OSError):
        pass
