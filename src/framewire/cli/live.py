"""What a connection's messages and events look like on standard output, as they come.

Messages gather until no complete one is left, and are then written together: fast in bulk, prompt in a
conversation.
"""

from __future__ import annotations

from .convert import Sink, chosen
from .formats import json_line, live_json
from .network import now, peer_of, shown
from .report import Output, hexdump, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from ..framings import Framing
    from ..sockets import MessageSocket
    from .network import Place

__all__ = ["Live", "counted", "tracer"]

_MOST = 1 << 16  # bytes that are held back at most
_SHOWN = 64  # bytes of a message that -vv shows


class Live(Sink):
    """Writes received messages; `several`: of several connections, which lines of a dump then tell apart."""

    def __init__(
        self, output: Output, options: Namespace, framing: Framing | None = None, several: bool = False
    ) -> None:
        limit = options.max_frame if options.max_frame == -1 else None
        super().__init__(output, options.output, chosen(options.backend), options.force, limit, framing)
        self._form = options.output
        self._several = several
        self._events = options.verbose > 0
        self._quiet_lines = options.quiet
        self._color = options.color
        self.needs_offsets = self._form in ("json", "dump")
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, place: Place, message: bytes) -> None:
        """A message that `place.conn` has received at `place.offset`."""
        place.number += 1
        if self._form == "json":
            line = live_json(now(), place.conn, "in", place.number, place.offset, message)
            self.written += 1
        elif self._form == "dump":
            where = f" conn {place.conn}" if self._several else ""
            line = self.dumper(place.number, place.offset, message, "< ", where)
            self.written += 1
        else:
            line = self.encoded(place.number, place.offset, message)
        self._parts.append(line)
        self._size += len(line)
        if self._size > _MOST:
            self.flush()

    def flush(self) -> None:
        """No complete message is left: let the reader have what there is."""
        if self._parts:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            self._output.write(data)

    def event(self, place: Place, name: str, conn: MessageSocket[Any], text: str = "") -> None:
        """A connection has opened, closed or failed: with -v an object among the JSON lines, else a note."""
        if not self._events:
            return
        self.flush()
        if self._form == "json":
            self._output.write(json_line(_record(place, name, conn, text)))
            return
        which = f"#{place.conn} " if self._several else ""
        what = {"open": f"connected to {peer_of(conn)}"}.get(name) or f"{text or 'closed'}; {counted(conn)}"
        note(which + what, choice=self._color)


def _record(place: Place, name: str, conn: MessageSocket[Any], text: str) -> dict[str, Any]:
    record: dict[str, Any] = {"t": now(), "conn": place.conn, "event": name, "peer": shown(conn.peer_address)}
    if name != "open":
        counts = conn.stats()
        record |= {"messages_in": counts.messages_in, "messages_out": counts.messages_out}
        record |= {"bytes_in": counts.bytes_in, "bytes_out": counts.bytes_out}
    return record | ({"error": text} if name == "error" else {})


def counted(conn: MessageSocket[Any]) -> str:
    """The summary of a connection, in one line."""
    counts = conn.stats()
    return (
        f"received {counts.messages_in} messages in {counts.bytes_in} bytes, "
        f"sent {counts.messages_out} in {counts.bytes_out}"
    )


def tracer(color: str, which: str = "") -> Callable[[str, Any], None]:
    """Shows every message on standard error, both ways: what -vv asks for."""

    def show(direction: str, message: Any) -> None:
        data = bytes(message)
        more = [f"... {len(data) - _SHOWN} more"] if len(data) > _SHOWN else []
        note(f"{which}{direction} {len(data)} bytes", *hexdump(data[:_SHOWN]), *more, choice=color)

    return show
