"""`framewire demo`: proof on this machine that streams of real software are cut into the right frames.

Every recorded stream is fed whole, by the recorded chunks, byte by byte and by random cuts, to every backend
that is there, and compared with its sidecar. Then recorded conversations are held again over TCP and Unix
sockets, several clients at once, and every message that arrives is compared.
"""

from __future__ import annotations

import random
import socket
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from .. import _backend
from ..errors import EndOfStream
from ..framings import Preamble
from ..sockets import connect, listen
from .captures import WAYS, Capture, load
from .report import DONE, FAILED, GREEN, RED, USAGE, Failure, Output, Progress, columns, row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from .._backend import Backend
    from ..sockets import MessageListener, MessageSocket

__all__ = ["run"]

_CLIENTS = 4
_PATIENCE = 20.0  # seconds for one live conversation
# Recordings in which every request has one reply.
_CONVERSATIONS = (
    "dns_py_0",
    "kafka_1",
    "modbus_0",
    "mongo_1",
    "erlang_p1_0",
    "mpconn_auth_0",
    "twisted_net_0",
)


def _rate(capture: Capture, backend: Backend) -> float:
    """MB/s of decoding, many frames per call."""
    data = capture.data
    if not isinstance(capture.framing, Preamble):
        data *= max(1, 65536 // len(data))
    rounds, begin, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < 0.01:
        backend.codec.Decoder(capture.framing._plan).decode(data)
        rounds += 1
        elapsed = time.perf_counter() - begin
    return rounds * len(data) / elapsed / 1e6


def _streams(captures: list[Capture], backends: list[Backend], seed: int, output: Output, quiet: bool) -> int:
    """One line for each stream; how many differ."""
    spare = columns() - 68
    widths = [14, 18, max(spare, 14), -6, 6, -6, -6]
    if spare > 32:
        widths[:3] = [17, 26, spare - 11]
    widths[2] = min(widths[2], 60)
    output.line(row(["protocol", "stream", "framing", "frames", "hashes", "native", "pure"], widths))
    progress = Progress("streams", len(captures), wanted=not quiet)
    wrong = 0
    for number, capture in enumerate(captures):
        differences = []
        for backend in backends:
            for way in WAYS:
                progress.update(number, f"{capture.name}, {backend.name}, {way}")
                if difference := capture.check(backend, way, seed):
                    differences.append(f"    {backend.name}, {way}: {difference}")
        speeds = {backend.name: f"{_rate(capture, backend):.0f}" for backend in backends if not differences}
        cells = [capture.protocol, capture.name, str(capture.framing), str(len(capture.frames))]
        cells += ["differ" if differences else "equal"]
        cells += [speeds.get(name, "-") for name in ("native", "pure")]
        progress.clear()
        output.line(row(cells, widths), RED if differences else "")
        for difference in differences:
            output.line(difference, RED)
        wrong += bool(differences)
    return wrong


class _Conversation:
    """A recorded conversation held again: a server thread for each of several clients, all checking."""

    def __init__(self, request: Capture, reply: Capture) -> None:
        self.framing = request.framing
        self.protocol = request.protocol
        backend = _backend.load(_backend.name)
        self.requests = request.cut(backend, "whole", 0)
        self.replies = reply.cut(backend, "whole", 0)
        self.faults: list[str] = []
        self.compared = 0
        self._lock = threading.Lock()

    def _judge(self, who: str, found: list[bytes], expected: list[bytes]) -> None:
        with self._lock:
            self.compared += len(found)
            if found != expected:
                self.faults.append(f"{who}: what arrived is not what was recorded")

    def _serve(self, connection: MessageSocket[Any]) -> None:
        found = []
        try:
            with connection:
                for reply in self.replies:
                    found.append(connection.recv(timeout=_PATIENCE))
                    connection.send(reply)
                try:
                    found.append(connection.recv(timeout=_PATIENCE))
                except EndOfStream:
                    pass
            self._judge("server", found, self.requests)
        except (OSError, ValueError, EOFError) as error:
            self.faults.append(f"server: {error}")

    def _accept(self, listener: MessageListener, servers: list[threading.Thread]) -> None:
        try:
            for _ in range(_CLIENTS):
                server = threading.Thread(
                    target=self._serve, args=(listener.accept(timeout=_PATIENCE),), daemon=True
                )
                server.start()
                servers.append(server)
        except (OSError, ValueError) as error:
            self.faults.append(f"accept: {error}")

    def _ask(self, address: str, in_turn: bool) -> None:
        found: list[bytes] = []
        try:
            with connect(address, self.framing) as connection:
                if in_turn:
                    for request in self.requests:
                        connection.send(request)
                        found.append(connection.recv(timeout=_PATIENCE))
                else:
                    connection.send_many(self.requests)
                    while len(found) < len(self.replies):
                        found += connection.recv_many(timeout=_PATIENCE)
            self._judge("client", found, self.replies)
        except (OSError, ValueError, EOFError) as error:
            self.faults.append(f"client: {error}")

    def hold(self, address: str) -> float:
        """Listen there, talk, and return the seconds it took. Half of the clients ask without waiting."""
        servers: list[threading.Thread] = []
        with listen(address, self.framing) as listener:
            begin = time.perf_counter()
            accepting = threading.Thread(target=self._accept, args=(listener, servers), daemon=True)
            clients = [
                threading.Thread(target=self._ask, args=(listener.address, number % 2 == 0), daemon=True)
                for number in range(_CLIENTS)
            ]
            for thread in [accepting, *clients]:
                thread.start()
            deadline = time.monotonic() + _PATIENCE
            for thread in [*clients, accepting]:
                thread.join(max(0.0, deadline - time.monotonic()))
            for thread in servers:
                thread.join(max(0.0, deadline - time.monotonic()))
            elapsed = time.perf_counter() - begin
        if any(thread.is_alive() for thread in [accepting, *clients, *servers]):
            self.faults.append(f"no end after {_PATIENCE:.0f} seconds")
        return elapsed


def _live(captures: list[Capture], output: Output) -> tuple[int, int]:
    """Hold the conversations over TCP and Unix sockets; how many messages were equal, how many failed."""
    named = {capture.name: capture for capture in captures}
    widths = [17, 5, -8, 8, -11]
    output.line("")
    output.line(row(["live", "over", "messages", "replies", "messages/s"], widths))
    compared = failed = 0
    with tempfile.TemporaryDirectory(prefix="framewire-") as folder:
        for name in _CONVERSATIONS:
            pair = [named.get(f"{name}.{direction}") for direction in ("c2s", "s2c")]
            if pair[0] is None or pair[1] is None:
                continue
            for over, address in (("TCP", "tcp://127.0.0.1:0"), ("Unix", f"unix:{folder}/{name}")):
                if over == "Unix" and not hasattr(socket, "AF_UNIX"):
                    continue
                talk = _Conversation(pair[0], pair[1])
                elapsed = talk.hold(address)
                verdict = "differ" if talk.faults else "equal"
                cells = [talk.protocol, over, str(talk.compared), verdict, f"{talk.compared / elapsed:,.0f}"]
                output.line(row(cells, widths), RED if talk.faults else "")
                for fault in talk.faults[:3]:
                    output.line(f"    {fault}", RED)
                compared += talk.compared
                failed += bool(talk.faults)
    return compared, failed


def run(options: Namespace) -> int:
    """Prove it; status 1 if anything differs."""
    begin = time.monotonic()
    folder = Path(options.captures)
    try:
        captures, uncovered = load(folder)
    except (ValueError, LookupError, TypeError) as error:
        raise Failure(FAILED, f"a recording in {folder} cannot be read: {error!r}") from error
    if not captures:
        raise Failure(
            USAGE,
            f"no recorded streams in {folder}",
            "give their folder: --captures DIR, it is tests/captures in framewire's source tree",
        )
    output = Output(options.color)
    backends = []
    for name in ("native", "pure"):
        try:
            backends.append(_backend.load(name))
        except ImportError as error:
            output.line(f"the {name} backend is not there, so its column is empty: {error}", RED)
    seed = random.randrange(1, 1 << 32) if options.seed is None else options.seed
    output.line(f"{len(captures)} streams of real software, each cut in {len(WAYS)} ways: {', '.join(WAYS)}")
    output.line(f"(--seed {seed}); compared by hash, then encoded again; rates in MB/s of one large call")
    output.line("")
    wrong = _streams(captures, backends, seed, output, options.quiet)
    compared, failed = _live(captures, output)
    frames = sum(len(capture.frames) for capture in captures)
    output.line("")
    if uncovered:
        kinds = Counter(name.rpartition("_")[0] for name in uncovered)
        names = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        output.line(f"not covered, no framing here cuts them yet: {len(uncovered)} streams ({names})")
    verdict = f"{wrong} streams and {failed} live exchanges DIFFER" if wrong or failed else "all equal"
    output.line(
        f"{len(captures)} streams, {frames} frames, on {' and '.join(one.name for one in backends)}; "
        f"{compared} messages live on {_backend.name}; {time.monotonic() - begin:.1f} s: {verdict}",
        RED if wrong or failed else GREEN,
    )
    return FAILED if wrong or failed else DONE
