"""What the command line may say. Each verb's parser is made by itself: making them all takes longer than
many a run of the command."""

from __future__ import annotations

import argparse

from .._version import __version__
from .report import USAGE, columns, note, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["HELP", "VERBS", "Parser", "parse", "whole"]

HELP = r"""usage: framewire VERB [ADDRESS] [FRAMING] [ARGUMENTS] [OPTIONS]          framewire VERB --help
  connect ADDRESS FRAMING [MESSAGE..]  talk: messages or standard input out, the peer's in
  listen ADDRESS FRAMING               serve: print what comes, or --echo --reply --exec --once
  bench ADDRESS FRAMING                load a server that answers each message; latencies
  decode FRAMING [FILE]       encode FRAMING [MESSAGE..]       a stream to messages, and back
  explain FRAMING [HEX..]     guess FILE..     list            draw, find, name a framing
  info    demo    completion SHELL             for a bug report; recorded traffic; tab key
ADDRESS  host:port  :port (this machine only)  *:port (everybody)  tls://host:port  unix:path
         unix:@name  fd:3  exec:COMMAND  serial:/dev/ttyUSB0,115200  - (standard input and output)
FRAMING  where messages end: u32 u16le varint digits:5 netstring lines crlf nul fixed:16 until-eof
         delimited:\r\n u32,offset=1,counts=field, or a protocol: mqtt dns redis postgresql ..
-i and -o take a format (text json hex base64 dump raw) or any FRAMING.
  $ framewire listen :9000 u32 --echo &
  $ framewire connect :9000 u32 ping pong -n2
  $ printf 'a\nb\n' | framewire connect :9000 u32 -o json
  $ framewire bench :9000 u32 --size 64 --rate 1000 --for 2s
exit status  0 done  1 no connection, or lost  2 usage  3 a framing or a limit was broken
             4 the stream ended inside a message  5 time-out  6 a check failed
             Ctrl-C (130), a closed pipe (141) and SIGTERM (143) end it by their signals
"""


_width: list[int] = []


class _Formatter(argparse.HelpFormatter):
    """As argparse's, which imports shutil for the width of the terminal with every argument that is added."""

    def __init__(self, prog: str) -> None:
        if not _width:
            _width.append(columns())
        super().__init__(prog, width=_width[0])


class Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, **options)

    def error(self, message: str) -> NoReturn:
        note(message, f"{self.prog} --help shows what it takes")
        raise SystemExit(USAGE)


class _Command(Parser):
    def format_help(self) -> str:
        return HELP


# --- values ---------------------------------------------------------------------------------------------


def _size(text: str) -> int | None:
    """A limit in bytes: 65536, 64k, 16M, 1G or none."""
    if text == "none":
        return None
    scale = {"k": 10, "m": 20, "g": 30}.get(text[-1:].lower(), 0)
    digits = text[:-1] if scale else text
    if not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
        raise argparse.ArgumentTypeError(f"{safe(text)!r} is no size: 65536, 64k, 16M, 1G or none")
    return int(digits) << scale


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{safe(text)!r} is no number from 1")
    return int(text)


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def duration(text: str) -> float:
    """Seconds: 500ms, 50us, 2s, 1m, 1h, or bare seconds.

    >>> duration("500ms"), duration("2"), duration("1m")
    (0.5, 2.0, 60.0)
    """
    unit = next(unit for unit in _UNITS if text.endswith(unit))
    number = text.removesuffix(unit)
    digits = number.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()) or len(text) > 20:
        raise argparse.ArgumentTypeError(f"{safe(text)!r} is no duration: 500ms, 2s, 1m or seconds")
    return float(number) * _UNITS[unit]


# --- what verbs share -----------------------------------------------------------------------------------


def _common(parser: Parser) -> None:
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="default: %(default)s"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="errors only on standard error")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _framed(parser: Parser) -> None:
    parser.add_argument("framing", metavar="FRAMING", help="how the stream is cut, such as u32 or lines")
    parser.add_argument(
        "--max-frame",
        metavar="SIZE",
        type=_size,
        default=-1,
        help="most bytes of one message: 65536, 64k, 16M, none (default: the framing's, 1M)",
    )
    parser.add_argument("--backend", choices=("auto", "native", "pure"), default="auto")
    parser.add_argument("--force", action="store_true", help="write raw bytes to a terminal")


def _input(parser: Parser, what: str) -> None:
    parser.add_argument(
        "-i",
        dest="input",
        metavar="FORMAT",
        default="lines",
        help=f"how {what} is cut: a format or a framing (default: lines)",
    )
    parser.add_argument("--hex", action="store_true", help="-i hex, for arguments too")


def _output(parser: Parser) -> None:
    parser.add_argument(
        "-o", dest="output", metavar="FORMAT", default="text", help="a format or a framing (default: text)"
    )


def _number(parser: Parser) -> None:
    parser.add_argument("-n", dest="number", metavar="N", type=_count, help="stop after N messages")


def _network(parser: Parser, where: str) -> None:
    parser.add_argument("address", metavar="ADDRESS", help=where)
    _framed(parser)
    parser.add_argument(
        "--send-framing", metavar="FRAMING", help="how messages are sent, if not as they are received"
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="connections and counts; -vv every message"
    )


def _tls_client(parser: Parser) -> None:
    parser.add_argument("--tls-ca", metavar="FILE", help="TLS; the certificates of the authority to trust")
    parser.add_argument("--insecure", action="store_true", help="TLS; trust whoever answers")


def _stops(parser: Parser) -> None:
    _number(parser)
    parser.add_argument(
        "--for", dest="seconds", metavar="D", type=duration, help="stop after D, with success"
    )
    parser.add_argument(
        "--timeout", metavar="D", type=duration, help="fail (exit 5) when no message came for D"
    )
    parser.add_argument("--wait", metavar="D", type=duration, help="stop D after the end of the input")
    parser.add_argument(
        "--no-half-close", action="store_true", help="at the end of the input, do not close the sending side"
    )
    parser.add_argument("--one-way", action="store_true", help="ignore what the peer says")


# --- the verbs ------------------------------------------------------------------------------------------


def _connect(parser: Parser) -> None:
    _network(parser, "the peer: host:port, :port, tls://host:port, unix:path ..")
    parser.add_argument(
        "message",
        metavar="MESSAGE",
        nargs="*",
        default=[],
        help="a message; @FILE is a file's content, @- stdin's",
    )
    _input(parser, "standard input")
    _output(parser)
    _stops(parser)
    parser.add_argument("--repeat", metavar="N", type=_count, default=1, help="send the messages N times")
    parser.add_argument(
        "--interval", metavar="D", type=duration, default=0.0, help="so much time between two rounds"
    )
    _tls_client(parser)


def _listen(parser: Parser) -> None:
    _network(parser, "where: :port (this machine only), *:port (everybody), host:port, unix:path ..")
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument("--echo", action="store_true", help="answer each message with itself")
    answers.add_argument("--reply", metavar="TEXT", help="answer each message with TEXT, or with @FILE")
    answers.add_argument(
        "--exec", metavar="CMD", help="start CMD for each connection; its stdin and stdout are -o and -i"
    )
    _input(parser, "standard input (--once), or the output of --exec,")
    _output(parser)
    _stops(parser)
    parser.add_argument(
        "--mode", choices=("selector", "threads", "processes", "asyncio"), help="how connections are served"
    )
    parser.add_argument(
        "--loop", choices=("asyncio", "uvloop"), help="whose event loop; means --mode asyncio"
    )
    parser.add_argument("--once", action="store_true", help="one connection, and standard input talks to it")
    parser.add_argument(
        "--max-connections", metavar="N", type=_count, default=10_000, help="default: %(default)s"
    )
    parser.add_argument(
        "--proxy-protocol", action="store_true", help="a PROXY header, version 1 or 2, is first"
    )
    parser.add_argument("--print-address", action="store_true", help="the real address on standard output")
    parser.add_argument("--tls-cert", metavar="FILE", help="TLS, with this certificate chain")
    parser.set_defaults(message=[], repeat=1, interval=0.0)
    parser.add_argument("--tls-key", metavar="FILE", help="its key, if that is in another file")


def _bench(parser: Parser) -> None:
    _network(parser, "the server: host:port, :port, unix:path ..")
    parser.add_argument("--size", metavar="N", type=_size, default=64, help="bytes a message (default: 64)")
    parser.add_argument(
        "--rate", metavar="N", type=_count, help="messages a second in all, whatever comes back"
    )
    parser.add_argument("--connections", metavar="N", type=_count, default=1, help="default: %(default)s")
    parser.add_argument(
        "--for", dest="seconds", metavar="D", type=duration, default=5.0, help="how long (default: 5s)"
    )
    parser.add_argument(
        "--depth",
        metavar="N",
        type=_count,
        default=1,
        help="without --rate: unanswered a connection (default: 1)",
    )
    parser.add_argument("-o", dest="output", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--max-p99", metavar="D", type=duration, help="fail (exit 6) if the p99 is above D")
    parser.add_argument(
        "--timeout", metavar="D", type=duration, help="how long to try to connect (default: 10s)"
    )
    _tls_client(parser)


def _demo(parser: Parser) -> None:
    parser.add_argument("--captures", metavar="DIR", default="tests/captures", help="default: %(default)s")
    parser.add_argument("--seed", metavar="N", type=_count, help="of the random cuts, to see a run again")


def _decode(parser: Parser) -> None:
    _framed(parser)
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: standard input")
    _output(parser)
    parser.add_argument(
        "--record",
        metavar="MODULE:CLASS",
        help="unpack messages by this record class or Messages: -o text is a table, -o json has the fields",
    )
    _number(parser)


def _encode(parser: Parser) -> None:
    _framed(parser)
    parser.add_argument(
        "message", metavar="MESSAGE", nargs="*", default=[], help="a message, or @FILE for a file's content"
    )
    _input(parser, "standard input")


def _explain(parser: Parser) -> None:
    _framed(parser)
    parser.add_argument(
        "hex", metavar="HEX", nargs="*", default=[], help="its first bytes, to take apart: 00ff or 00 ff"
    )


def _guess(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="+", help="a recorded stream; - is standard input")
    parser.add_argument("-n", dest="number", metavar="N", type=_count, default=5, help="answers (default: 5)")


def _list(parser: Parser) -> None:
    parser.add_argument(
        "-o", dest="output", choices=("text", "json", "markdown"), default="text", help="default: %(default)s"
    )


def _info(parser: Parser) -> None:
    """It takes what all take."""


def _completion(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", help="bash, zsh or tcsh")


VERBS: dict[str, tuple[Callable[[Parser], None], str]] = {
    "connect": (_connect, "Send messages, or standard input, and show what the peer answers, to its end."),
    "listen": (_listen, "Serve many clients at once: print what they send, or answer it."),
    "bench": (_bench, "Load a server that answers each message with one; show how long the answers take."),
    "decode": (_decode, "Cut a stream into its messages, and these into records."),
    "encode": (_encode, "Write messages as a stream."),
    "explain": (_explain, "Draw a framing, or a record: MODULE:CLASS."),
    "guess": (_guess, "Name the framing of recorded streams."),
    "list": (_list, "Show the protocols that have a name."),
    "info": (_info, "Say what runs here."),
    "demo": (_demo, "Cut recorded streams, then talk."),
    "completion": (_completion, "Print the shell's completion script: framewire completion bash > FILE"),
}


def whole() -> argparse.ArgumentParser:
    """The parser of the whole command, with every verb."""
    command = _Command(prog="framewire")
    command.add_argument("--version", action="version", version=f"framewire {__version__}")
    verbs = command.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name, (define, description) in VERBS.items():
        define(parser := verbs.add_parser(name, description=description, help=description))
        _common(parser)
    return command


def parse(argv: list[str]) -> argparse.Namespace:
    """What the command line says; SystemExit where it is wrong, or was a question."""
    if argv and argv[0] not in VERBS and not argv[0].startswith("-"):
        from .._grammar import nearest

        note(f"there is no verb {argv[0]!r}{nearest(argv[0], [*VERBS])}", "framewire --help shows them all")
        raise SystemExit(USAGE)
    if not argv or argv[0] not in VERBS:
        return whole().parse_args(argv)
    # Looking for translations of argparse's own words, which nobody installs, takes a millisecond.
    setattr(argparse, "_", str)  # noqa: B010
    define, description = VERBS[argv[0]]
    parser = Parser(prog=f"framewire {argv[0]}", description=description)
    define(parser)
    _common(parser)
    # Known, it is not drawn up for every run.
    forms = {"*": "[{}..]", "?": "[{}]", "+": "{}.."}
    words = [
        forms.get(str(action.nargs), "{}").format(action.metavar)
        for action in parser._get_positional_actions()
    ]
    parser.usage = " ".join(["%(prog)s", *words, "[OPTIONS]"])
    # Options may stand anywhere, also between messages, which plain parsing refuses.
    options = parser.parse_intermixed_args(argv[1:])
    options.verb = argv[0]
    return options
