"""`framewire listen`: many clients at once, or with --once one and this process's standard input.

What becomes of a message is an `App`'s: printed, answered, handed to a program. The library's Server runs it;
with --once it runs here.
"""

from __future__ import annotations

import os
import signal
import threading

from .. import sockets
from .._handler import PROXY_HEADER
from ..errors import DeclarationError, DecodeError, EndOfStream, FramewireError, Timeout, Truncated
from ..fields import escape_bytes
from ..framings import Delimited, FixedLength, LengthPrefixed, Netstring, UntilEOF
from ..protocols import PRESETS
from .apps import App, Printer, Replier
from .convert import broken, chosen, cut_for
from .live import Live
from .network import Place, address_of, cannot, failure_of, framings_of, peer_of, server_tls, shown, standing
from .report import BROKEN, DONE, TIMED_OUT, USAGE, Failure, Output, broken_pipe, explain, note, safe
from .session import Nothing, Signalled, caught, source_for, talk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..framings import Framing
    from ..server import Server
    from ..sockets import MessageSocket
    from .workers import Shared

__all__ = ["run"]


_NO_PROXY = "--proxy-protocol wants a PROXY header first: did a client come without the proxy?"


def app_for(
    options: Namespace,
    output: Output,
    framing: Framing,
    send_framing: Framing | None,
    shared: Shared | None = None,
) -> App:
    if options.exec is not None:
        from .programs import Programs

        return Programs(options, output)
    if options.echo or options.reply is not None:
        return Replier(options, output, send_framing or framing, shared)
    return Printer(options, output, framing, shared)


# --- many ----------------------------------------------------------------------------------------------


def _serve(options: Namespace, framing: Framing, send_framing: Framing | None) -> int:
    _need_once(options)
    from ..server import Server

    output, shared = Output(options.color), None
    if options.mode == "processes" and hasattr(os, "fork"):
        from .workers import Shared, SharedOutput

        shared = Shared()
        output = SharedOutput(options.color, shared)
    app = app_for(options, output, framing, send_framing, shared)
    mode = options.mode or ("asyncio" if options.loop else app.mode)
    if mode != "threads" and app.mode == "threads":
        raise Failure(USAGE, f"--exec waits for its programs: it goes with --mode threads, not {mode}")
    address, context = server_tls(options, address_of(options.address))
    more: dict[str, Any] = {} if context is None else {"tls": context}
    if options.loop is not None:
        more["loop"] = options.loop
    cutting = cut_for(options.output, framing) if isinstance(app, Printer) else framing
    _log_to_stderr(options, framing, cutting)
    try:
        server = Server(
            app.message,
            address,
            cutting,
            send_framing or framing,
            mode=mode,
            max_connections=options.max_connections,
            proxy_protocol=options.proxy_protocol,
            on_connect=app.opened,
            on_close=app.closed,
            **more,
        )
    except (DeclarationError, ValueError) as error:
        raise Failure(USAGE, str(error)) from error
    except ImportError as error:
        raise Failure(USAGE, f"--loop {options.loop}: {error}") from error
    except OSError as error:
        raise cannot("listen at", address, error) from error

    def announce() -> None:
        _announce(options, output, server.address, framing)

    if mode == "processes":
        server._service.on_listening = announce
    else:
        announce()
    _stop_in_time(server, app, options, shared)
    server.serve_forever()
    if shared is not None:
        if shared.reader_gone:
            broken_pipe()
        app.live.written, app.live.inexact = shared.totals()
    if options.verbose:
        counts = server.stats()
        note(
            f"served {counts.accepted} connections, {counts.failed} failed; received {counts.messages_in} "
            f"messages in {counts.bytes_in} bytes, sent {counts.messages_out} in {counts.bytes_out}",
            choice=options.color,
        )
    app.live.flush()
    app.live.close(options)
    return DONE


def _need_once(options: Namespace) -> None:
    given = {"--timeout": options.timeout, "--wait": options.wait, "--one-way": options.one_way or None}
    given["--no-half-close"] = options.no_half_close or None
    for name, value in given.items():
        if value is not None:
            raise Failure(USAGE, f"{name} goes with --once, where standard input talks to one client")


def _stop_in_time(server: Server, app: App, options: Namespace, shared: Shared | None) -> None:
    """Let -n and --for end it, from a thread: a handler must not wait for its own end."""

    def end(*_: object) -> None:
        threading.Thread(target=server.shutdown, args=(1.0,), daemon=True).start()

    if shared is not None:
        # No thread may run when the workers are forked off.
        signal.signal(signal.SIGALRM, end)
        app.stop = shared.stop  # type: ignore[method-assign]
        signal.setitimer(signal.ITIMER_REAL, options.seconds or 0)
        return
    app.stop = end  # type: ignore[method-assign]
    if options.seconds is not None:
        timer = threading.Timer(options.seconds, server.shutdown, (1.0,))
        timer.daemon = True
        timer.start()


def _log_to_stderr(options: Namespace, framing: Framing, cutting: Framing) -> None:
    """What the library's servers log is for the user to see, peers' texts escaped; with what a peer has
    broken, the bytes of it."""
    import logging

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            conn = getattr(record, "connection", None)
            told = record.args[-1] if isinstance(record.args, tuple) and record.args else None
            if conn is not None and isinstance(told, (DecodeError, Truncated)):
                named = framing if conn.framing == cutting else conn.framing
                offset = getattr(told, "offset", None)
                offset = standing(conn) if offset is None else offset
                failure = broken(told, named, chosen(options.backend), offset)
                if named is PROXY_HEADER:
                    failure.lines = (*failure.lines[:-1], _NO_PROXY)
                failure.lines = (f"{conn.peer_address}: {failure.lines[0]}", *failure.lines[1:])
                explain(failure, options.color)
                return
            error = record.exc_info[1] if record.exc_info else None
            note(
                record.getMessage(),
                *([f"{type(error).__name__}: {error}"] if error else []),
                choice=options.color,
            )

    # Of a connection, too, it tells what is worth knowing; -vv shows the rest.
    connection = logging.getLogger("framewire.connection")
    connection.handlers, connection.propagate = [logging.NullHandler()], False
    logger = logging.getLogger("framewire.server")
    logger.handlers = [Notes(logging.ERROR if options.quiet else logging.WARNING)]
    logger.propagate = False


def _announce(options: Namespace, output: Output, address: str, framing: Framing) -> None:
    where = shown(address)
    if options.tls_cert is not None:
        where = f"tls://{where.removeprefix('tls://')}"
    if not options.quiet:
        note(
            f"listening on {where} ({described(options.framing, framing)})", choice=options.color, named=False
        )
    if options.print_address:
        output.line(where)


def described(text: str, framing: Framing) -> str:
    """A framing in a few words, and its limit.

    >>> from framewire import LengthPrefixed, u32
    >>> described("u32", LengthPrefixed(u32))
    'u32: 4-byte big-endian length, then the body; limit 1 MiB'
    """
    preset = PRESETS.get(text.partition(",")[0].removesuffix(".client").removesuffix(".server"))
    if preset is not None:
        what = preset.about
    elif isinstance(framing, LengthPrefixed) and framing.length_type.fixed:
        kind = framing.length_type
        order = {"le": "little-endian ", "be": "big-endian "}.get(_order(str(kind)), "")
        what = f"{kind.widest}-byte {order}length"
        what += ", then the body" if framing.offset == 0 and framing.counts == "body" else " in a header"
    elif isinstance(framing, Netstring):
        what = "decimal length, colon, the body, comma"
    elif isinstance(framing, FixedLength):
        what = f"{framing.size} bytes a message"
    elif isinstance(framing, Delimited):
        marks = " or ".join(escape_bytes(mark) for mark in framing._plan[6])
        what = f"{marks} ends each message"
    elif isinstance(framing, UntilEOF):
        what = "one message, to the end of the stream"
    else:
        what = (type(framing).__doc__ or "").partition("\n")[0].rstrip(".")
    return f"{safe(text)}: {what}; limit {_amount(framing.max_frame)}"


def _order(kind: str) -> str:
    if not kind[1:3].isdigit() or kind == "u8":
        return ""
    return "le" if kind.endswith("le") else "be"


def _amount(size: int | None) -> str:
    if size is None:
        return "none"
    for unit, scale in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << scale and size % (1 << scale) == 0:
            return f"{size >> scale} {unit}"
    return f"{size} bytes"


# --- one -----------------------------------------------------------------------------------------------


def _once(options: Namespace, framing: Framing, send_framing: Framing | None) -> int:
    output = Output(options.color)
    talks = not options.echo and options.reply is None and options.exec is None
    app = None if talks else app_for(options, output, framing, send_framing)
    live = Live(output, options, framing) if app is None else app.live
    source = source_for(options) if app is None else Nothing()
    with caught():
        try:
            conn = _first(options, output, framing, send_framing, talks)
            if app is None:
                return talk(conn, Place(1, standing(conn)), framing, live, source, options, drains=True)
            return _answer(conn, app, framing)
        except Signalled:
            return DONE


def _first(
    options: Namespace, output: Output, framing: Framing, send_framing: Framing | None, talks: bool
) -> MessageSocket[Any]:
    """The first connection, behind its PROXY header; nobody else is accepted."""
    address, context = server_tls(options, address_of(options.address))
    more: dict[str, Any] = {} if context is None else {"tls": context}
    cutting = cut_for(options.output, framing) if talks else framing
    try:
        listener = sockets.listen(address, cutting, send_framing or framing, **more)
    except DeclarationError as error:
        raise Failure(USAGE, str(error)) from error
    except OSError as error:
        raise cannot("listen at", address, error) from error
    listener._proxied = options.proxy_protocol
    with listener:
        _announce(options, output, listener.address, framing)
        try:
            conn = listener.accept(timeout=options.timeout)
        except Timeout as error:
            raise Failure(TIMED_OUT, str(error)) from error
    if options.proxy_protocol:
        try:
            listener._unwrap(conn, options.timeout or 10.0)
        except (FramewireError, OSError) as error:
            failure = failure_of(error, conn, PROXY_HEADER, options.backend)
            if failure.status == BROKEN:
                failure.lines = (*failure.lines[:-1], _NO_PROXY)
            conn._release() if not conn._closed else None
            raise failure from error
    return conn


def _answer(conn: MessageSocket[Any], app: App, framing: Framing) -> int:
    """Serve one connection as the Server would."""
    options = app.options
    ended: BaseException = EndOfStream(f"{peer_of(conn)} has ended the stream")
    app.opened(conn)
    try:
        for number, message in enumerate(conn, 1):
            reply = app.message(conn, message)
            if reply is not None:
                conn.send(reply)
            if number == options.number:
                break
    except (FramewireError, OSError) as error:
        ended = error
    except Signalled as stop:
        ended = EndOfStream(f"signal {stop.number}")
    app.closed(conn, ended)
    if not isinstance(ended, EndOfStream):
        assert isinstance(ended, Exception)
        failure = failure_of(ended, conn, framing, options.backend)
        conn._release() if not conn._closed else None
        raise failure from ended
    conn.close()
    return DONE


def run(options: Namespace) -> int:
    """Listen and serve until a signal, or what the options say; the exit status."""
    framing, send_framing = framings_of(options, server=True)
    return (_once if options.once else _serve)(options, framing, send_framing)
