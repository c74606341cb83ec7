"""`framewire bench`: messages to a server that answers each with one, and how long the answers take.

With --rate the loop is open: message k is due at a time that no answer moves, and its latency counts from
there, so a server that stalls pays for all that would have been sent meanwhile. Without, each connection
keeps --depth messages unanswered, and a latency counts from the sending.
"""

from __future__ import annotations

import select
import selectors
from array import array
from collections import deque
from itertools import repeat
from time import perf_counter_ns

from ..errors import EncodeError, EndOfStream, FramewireError
from .formats import json_line
from .network import dial, framings_of
from .report import CHECK_FAILED, DONE, FAILED, USAGE, Failure, Output, Progress, die, note
from .session import Signalled, caught

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from ..sockets import MessageSocket

__all__ = ["Load", "percentile", "run"]

_LAST = 2_000_000_000  # ns for the last answers
_STEP = 0.25  # seconds, at most, between two looks at the clock
_QUANTILES = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0))


class _Client:
    """One connection: when its unanswered messages were due, the unsent ones last."""

    def __init__(self, conn: MessageSocket[bytes]) -> None:
        self.conn = conn
        self.due: deque[int] = deque()
        self.unsent = 0
        self.waits_to_write = False
        self.lost = False


class Load:
    """Drives connections; `latencies` in ns, `errors` by kind."""

    def __init__(self, conns: list[MessageSocket[bytes]], payload: bytes, options: Namespace) -> None:
        self._payload, self._rate, self._depth = payload, options.rate, options.depth
        self._clients = [_Client(conn) for conn in conns]
        self._selector = selectors.DefaultSelector()
        for client in self._clients:
            self._selector.register(client.conn.fileno(), selectors.EVENT_READ, client)
        self.latencies = array("q")
        self.sent = self.lost = self.unanswered = self.unasked = 0
        self.why: Exception | None = None  # the first loss
        self._seconds = options.seconds
        self.began = self.ended = perf_counter_ns()
        self._made = 0  # messages that have become due

    def run(self, progress: Progress) -> None:
        """Until the time is over and the last answers have come; Signalled ends it sooner."""
        self.began = self.ended = perf_counter_ns()
        until = self.began + int(self._seconds * 1e9)
        try:
            if not self._rate:
                for client in self._clients:
                    self._ask(client, [self.began] * self._depth)
            while (moment := perf_counter_ns()) < until and self._clients:
                if self._rate:
                    self._ask_due(moment, until)
                self._turn(moment, until, not self._rate)
                progress.update(len(self.latencies), f"{self.sent:,} sent")
            until = perf_counter_ns() + _LAST
            while any(client.due for client in self._clients) and (moment := perf_counter_ns()) < until:
                self._turn(moment, until, False)
        finally:
            self.unanswered += sum(len(client.due) for client in self._clients)
            self._selector.close()

    def _ask_due(self, moment: int, until: int) -> None:
        """What is due by now goes to the connections in turn."""
        first = self._made
        last = min((min(moment, until) - self.began) * self._rate // 1_000_000_000 + 1, first + 100_000)
        self._made = max(first, last)
        count = len(self._clients)
        for offset in range(min(count, self._made - first)):
            numbers = range(first + offset, self._made, count)
            client = self._clients[numbers[0] % count]
            self._ask(client, [self.began + number * 1_000_000_000 // self._rate for number in numbers])

    def _ask(self, client: _Client, due: list[int]) -> None:
        client.due.extend(due)
        client.unsent += len(due)
        self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            if client.unsent:
                count = client.conn.send_many(repeat(self._payload, client.unsent), timeout=0)
                client.unsent -= count
                self.sent += count
            else:
                client.conn.flush(timeout=0)
        except BlockingIOError:
            pass
        except (FramewireError, OSError) as error:
            self._lose(client, error)
            return
        waits = bool(client.unsent or client.conn.unsent)
        if waits != client.waits_to_write:
            client.waits_to_write = waits
            mask = selectors.EVENT_READ | selectors.EVENT_WRITE if waits else selectors.EVENT_READ
            self._selector.modify(client.conn.fileno(), mask, client)

    def _turn(self, moment: int, until: int, again: bool) -> None:
        """Wait for something to happen, and take what has come; `again`: ask as often as was answered."""
        for key, _ in self._wait(moment, until):
            client: _Client = key.data
            if client.waits_to_write:
                self._send(client)
            answered = self._take(client)
            if answered and again and not client.lost:
                self._ask(client, [perf_counter_ns()] * answered)

    def _wait(self, moment: int, until: int) -> list[tuple[selectors.SelectorKey, int]]:
        following = until
        if self._rate and moment < self.began + self._seconds * 1e9:
            following = min(until, self.began + self._made * 1_000_000_000 // self._rate)
        pause = max(0.0, min(_STEP, (following - perf_counter_ns()) / 1e9))
        # A selector's own time-out is in milliseconds, which is coarse beside the times that are measured.
        number = getattr(self._selector, "fileno", None)
        if number is None or pause > 0.01:
            return self._selector.select(pause)
        if not select.select([number()], [], [], pause)[0]:
            return []
        return self._selector.select(0)

    def _take(self, client: _Client) -> int:
        """The answers that have come; how many they are."""
        count = 0
        try:
            while not client.lost:
                answers = len(client.conn.recv_many(timeout=0))
                moment = perf_counter_ns()
                asked = min(answers, len(client.due) - client.unsent)
                for _ in range(asked):
                    self.latencies.append(moment - client.due.popleft())
                self.unasked += answers - asked
                count += asked
                self.ended = moment
                if not client.conn.ready:
                    break
        except BlockingIOError:
            pass
        except (FramewireError, OSError) as error:
            self._lose(client, error)
        return count

    def _lose(self, client: _Client, error: Exception) -> None:
        self.why = self.why or error
        self.lost += 1
        client.lost = True
        self.unanswered += len(client.due)
        self._clients.remove(client)
        self._selector.unregister(client.conn.fileno())


def percentile(ordered: array[int], percent: float) -> int:
    """The smallest of `ordered` that at least so many percent do not exceed.

    >>> [percentile(array("q", range(1, 101)), percent) for percent in (50.0, 99.0, 99.9, 100.0)]
    [50, 99, 100, 100]
    """
    rank = -(-len(ordered) * int(percent * 10) // 1000)
    return ordered[max(rank, 1) - 1]


def _duration(ns: int) -> str:
    for unit, scale in (("s", 1_000_000_000), ("ms", 1_000_000)):
        if ns >= scale:
            return f"{ns / scale:.2f} {unit}"
    return f"{ns / 1000:.0f} us"


def _results(load: Load, options: Namespace) -> dict[str, float | int]:
    seconds = max(load.ended - load.began, 1) / 1e9
    received = len(load.latencies)
    ordered = array("q", sorted(load.latencies))
    results: dict[str, float | int] = {
        "sent": load.sent,
        "received": received,
        "seconds": round(seconds, 6),
        "messages_per_second": round(received / seconds, 1),
        "bytes_per_second": round(received * options.size / seconds, 1),
        "errors": load.unanswered + load.unasked + load.lost,
        "unanswered": load.unanswered,
        "unasked": load.unasked,
        "lost_connections": load.lost,
    }
    for name, percent in _QUANTILES if received else ():
        results[f"{name}_us"] = percentile(ordered, percent) / 1000
    return results


def _lines(results: dict[str, float | int], options: Namespace) -> Iterator[str]:
    yield (
        f"sent {results['sent']}  received {results['received']}  "
        f"{results['messages_per_second']:.0f} msg/s  {results['bytes_per_second'] / 1e6:.1f} MB/s  "
        f"errors {results['errors']}"
    )
    if results["received"]:
        each = [f"{name} {_duration(int(results[f'{name}_us'] * 1000))}" for name, _ in _QUANTILES]
        source = "the intended send time" if options.rate else "sending"
        yield f"latency  {'  '.join(each)}   (from {source})"


def _judged(results: dict[str, float | int], load: Load, options: Namespace) -> int:
    """The exit status, and on standard error what is wrong."""
    if options.max_p99 is not None:
        worst = results.get("p99_us")
        if worst is None or worst > options.max_p99 * 1e6:
            measured = "no answer came" if worst is None else f"the p99 is {_duration(int(worst * 1000))}"
            limit = _duration(int(options.max_p99 * 1e9))
            note(f"{measured}, the limit is {limit} (--max-p99)", choice=options.color)
            return CHECK_FAILED
    if not results["errors"]:
        return DONE
    what = {"unanswered": "unanswered messages", "unasked": "messages nobody asked for"}
    what["lost_connections"] = "lost connections"
    counts = ", ".join(f"{results[key]} {text}" for key, text in what.items() if results[key])
    why = [] if load.why is None or isinstance(load.why, EndOfStream) else [str(load.why)]
    note(counts, *why, "does the server answer each message with one?", choice=options.color)
    return FAILED


def _close(conn: MessageSocket[bytes]) -> None:
    try:
        conn.close(timeout=0)
    except (FramewireError, OSError):
        pass  # what it thinks of unanswered messages is told already


def run(options: Namespace) -> int:
    """Connect, load, show; the exit status."""
    if options.rate and options.depth != 1:
        raise Failure(USAGE, "--depth goes without --rate, which sends whether answers come or not")
    framing, send_framing = framings_of(options, server=False)
    payload = b"x" * (options.size or 0)
    try:
        (send_framing or framing).encoder().encode(payload)
    except EncodeError as error:
        raise Failure(USAGE, f"{options.size} times the letter x is no message: {error}") from error
    output = Output(options.color)
    conns: list[MessageSocket[bytes]] = []
    stopped = 0
    with caught():
        try:
            for _ in range(options.connections):
                conns.append(dial(options, framing, send_framing))
            load = Load(conns, payload, options)
            progress = Progress("answers", wanted=not options.quiet)
            try:
                load.run(progress)
            except Signalled as stop:
                stopped = stop.number
            finally:
                progress.clear()
        except Signalled as stop:
            die(stop.number)
        finally:
            for conn in conns:
                _close(conn)
    results = _results(load, options)
    if options.output == "json":
        output.write(json_line(dict(results)))
    else:
        for line in _lines(results, options):
            output.line(line)
    status = _judged(results, load, options)
    if stopped:
        die(stopped)
    return status
