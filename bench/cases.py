"""What is compared, and the goal of each ratio.

A `Case` makes its two sides when it is run: ImportError then says what is missing (a rival, a compiler,
our own extension). A `Side` has the work that is timed and a `proof`, whose result must be the same on both
sides before anything is timed. Decoders count the frames of a chunk and drop them, as a program that keeps
up with its peer does; keeping them all would measure page faults.
"""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from random import Random
from struct import Struct
from typing import Any, NamedTuple

import framewire as fw
from framewire import _backend

from . import floor, live, loops, packers, records, serve
from .paired import Side, timed, unrolled
from .rivals import Feed

__all__ = ["CASES", "FORBIDDEN", "Case", "Side", "modules_loaded"]

CHUNK = 65536
STREAM = 4 << 20
QUICK = 1 << 18  # the length of a stream where speed does not matter
FORBIDDEN = ("asyncio", "ssl", "dataclasses", "logging", "importlib.metadata")


class Case(NamedTuple):
    """`goal` is the least speed of ours relative to the rival's; with `at_most`, the most that ours may cost
    relative to the rival."""

    name: str
    rival: str
    goal: float
    make: Callable[[int], tuple[Side, Side]]
    """Both sides, ours first, given the length of a stream in bytes."""
    at_most: bool = False
    most_pairs: int = 99
    packages: tuple[str, ...] = ()
    note: str = ""
    """What the figure means, or why it is no better; printed below it."""
    seconds: float = 0.05
    """How long a round takes."""


# --- streams and how they are read ----------------------------------------------------------------------


def bodies(size: int, stream: int) -> list[bytes]:
    """Different bodies of `size` bytes, `stream` bytes in all (rounded up)."""
    return [(b"%d" % i).rjust(size, b".") for i in range(-(-stream // size))]


def binary(size: int, stream: int) -> list[bytes]:
    """The same of random bytes: of 256, one or two need an escape."""
    random = Random(size)
    return [random.randbytes(size) for _ in range(-(-stream // size))]


def chunks(wire: bytes) -> list[bytes]:
    return [wire[at : at + CHUNK] for at in range(0, len(wire), CHUNK)]


def fed(
    start: Callable[[], Feed],
    wire: bytes | list[bytes],
    whole: Callable[[Any], bytes] | None = None,
) -> Side:
    """A side that reads `wire` in chunks, or these, counts the frames and drops them. For the proof, `whole`
    makes frames of values."""
    pieces = chunks(wire) if isinstance(wire, bytes) else wire

    def run() -> int:
        feed = start()
        count = 0
        for chunk in pieces:
            count += len(feed(chunk))
        return count

    def proof() -> list[bytes]:
        feed = start()
        frames = [frame for chunk in pieces for frame in feed(chunk)]
        return list(map(whole, frames)) if whole else frames

    return Side(timed(run), proof)


def decoder(backend: str, framing: Any) -> Callable[[], Feed]:
    codec = _backend.load(backend).codec
    return lambda: codec.Decoder(framing._plan).decode


def decoding(
    framing: Any, size: int, rival: str, start: str, backend: str = "native"
) -> Callable[[int], tuple[Side, Side]]:
    """Ours against the function `start` of the file `rival`, on frames of `size` bytes."""

    def make(stream: int) -> tuple[Side, Side]:
        module = import_module(f"{__package__}.rivals.{rival}")
        messages = bodies(size, stream)
        wire = encoded(framing, messages)
        theirs = module.wire(messages) if hasattr(module, "wire") else wire
        return fed(decoder(backend, framing), wire), fed(getattr(module, start), theirs)

    return make


def encoded(framing: Any, messages: list[bytes]) -> bytes:
    # A framing whose frames are whole wants room for the header it will fill in.
    head = bytes(4) if framing is WHOLE else b""
    return framing.encode_many([head + message for message in messages])  # type: ignore[no-any-return]


U32 = fw.LengthPrefixed(fw.u32)
LINES = fw.Lines()
LF = fw.Delimited(b"\n")
CRLF = fw.Delimited(b"\r\n")
NETSTRING = fw.Netstring()
VARINT = fw.LengthPrefixed(fw.varint)
WHOLE = fw.LengthPrefixed(fw.u16, offset=2)
SLIP = fw.SLIP()
HDLC = fw.HDLC(fcs=16)
COBS = fw.COBS()
HEADER_BLOCK = fw.HeaderBlock()
RESP = fw.RESP()
FIX = fw.FIX()


# --- the cases that are not two feeds -------------------------------------------------------------------


def against_floor(framing: Any, method: str, size: int) -> Callable[[int], tuple[Side, Side]]:
    def make(stream: int) -> tuple[Side, Side]:
        wire = encoded(framing, bodies(size, stream))
        floor_type = floor.load()
        return fed(decoder("native", framing), wire), fed(lambda: getattr(floor_type(wire), method), wire)

    return make


def against_u32(framing: Any, make: Callable[[int], list[bytes]]) -> Callable[[int], tuple[Side, Side]]:
    """Our own decoders on both sides, which deliver the same frames: as `framing` sends them, and by u32."""

    def sides(stream: int) -> tuple[Side, Side]:
        messages = make(stream)
        wires = [framing.encode(message) for message in messages]
        frames = wires if isinstance(framing, (fw.LineCounted, fw.RESP, fw.FIX)) else messages
        return (
            fed(decoder("native", framing), b"".join(wires)),
            fed(decoder("native", U32), U32.encode_many(frames)),
        )

    return sides


def against_hiredis(value: bytes, kind: str) -> Callable[[int], tuple[Side, Side]]:
    """Replies of one kind, as a pipeline brings them."""

    def make(stream: int) -> tuple[Side, Side]:
        from .rivals import hiredis

        whole = getattr(hiredis, kind)
        wire = whole(value) * (stream // len(value))
        return fed(decoder("native", RESP), wire), fed(hiredis.frames, wire, whole)

    return make


def fix(size: int, stream: int) -> list[bytes]:
    """Market data of about `size` bytes a message, to encode."""
    entry = "269=0\x01270=187.%02d\x01271=%d00\x01"
    head = "8=FIX.4.4\x019=0\x0135=W\x0149=EXCHANGE\x0156=BROKER\x0134=%d\x0152=20240102-03:04:05.678\x01"
    head += "55=AAPL\x01"
    messages = []
    for i in range(-(-stream // size)):
        text = head % (100_000 + i)
        while len(text) < size - 30:
            text += entry % (len(text) % 100, i % 9 + 1)
        messages.append(text.encode())
    return messages


def against_simplefix(stream: int) -> tuple[Side, Side]:
    """Fed by the message on both sides: with each field, simplefix copies all that it still holds."""
    from .rivals import simplefix

    wires = [FIX.encode(message) for message in fix(200, stream // 8)]
    return fed(decoder("native", FIX), wires), fed(simplefix.frames, wires, simplefix.whole)


def against_makefile(stream: int) -> tuple[Side, Side]:
    from .rivals import makefile

    wire = encoded(LINES, bodies(80, stream))
    pieces = chunks(wire)
    theirs = Side(timed(lambda: makefile.count_lines(pieces)), lambda: makefile.read_lines(pieces))
    return fed(decoder("native", LINES), wire), theirs


def encoding(stream: int) -> tuple[Side, Side]:
    from .rivals import stdlib

    messages = bodies(64, min(stream, 64_000))
    encoder = _backend.load("native").codec.Encoder(U32._plan)
    return called(lambda: encoder.encode_many(messages)), called(lambda: stdlib.join_u32(messages))


def called(run: Callable[[], object]) -> Side:
    return Side(timed(run), run)


def get_u32(stream: int) -> tuple[Side, Side]:
    """One field at an offset, a hundred calls a repetition."""
    get, unpack = _backend.load("native").byteorder.get_u32, Struct(">I").unpack_from
    data = bytes(range(16))
    return (
        Side(timed(unrolled("get(data, 4)", 100, get=get, data=data)), lambda: get(data, 4)),
        Side(
            timed(unrolled("unpack(data, 4)[0]", 100, unpack=unpack, data=data)), lambda: unpack(data, 4)[0]
        ),
    )


def swap(stream: int) -> tuple[Side, Side]:
    """10 000 items of four bytes, in place."""
    reverse = _backend.load("native").byteorder.swap
    buffer, values = bytearray(range(200)) * 200, array("I", bytes(range(200)) * 200)
    assert values.itemsize == 4

    def ours() -> bytes:
        copy = bytearray(buffer)
        reverse(copy, 4)
        return bytes(copy)

    def theirs() -> bytes:
        copy = values[:]
        copy.byteswap()
        return copy.tobytes()

    return Side(timed(lambda: reverse(buffer, 4)), ours), Side(timed(values.byteswap), theirs)


def growth(backend: str) -> Callable[[int], tuple[Side, Side]]:
    """One frame fed byte by byte against one of a quarter of its size."""
    framing = U32.replace(max_frame=None)

    def one(size: int) -> Side:
        wire = framing.encode(bytes(range(256)) * (size // 256))
        singles = [bytes((value,)) for value in range(256)]
        start = decoder(backend, framing)

        def run() -> list[bytes]:
            feed = start()
            for value in wire:
                frames = feed(singles[value])
            return frames

        return Side(timed(run), lambda: run() == [wire[4:]])

    return lambda stream: (one(stream), one(stream // 4))


_IMPORT = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


def child(program: str) -> str:
    """What a fresh interpreter prints, one that keeps compiled modules as an installed one does."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPATH": str(Path(fw.__file__).parent.parent)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout.decode()


def modules_loaded(module: str, of: Iterable[str] = FORBIDDEN) -> list[str]:
    """Which of these modules an import of `module` loads."""
    program = f"import sys; old = set(sys.modules); import {module}; print(*sys.modules.keys() - old)"
    return sorted(set(of) & set(child(program).split()))


def importing(module: str) -> Side:
    """CPU time of the import alone, each in a fresh interpreter."""
    program = _IMPORT.format(module)
    return Side(
        lambda repeats: sum(float(child(program)) for _ in range(repeats)), lambda: modules_loaded(module)
    )


# --- all of them ----------------------------------------------------------------------------------------


def _pure(name: str, framing: Any, size: int, loop: str) -> Case:
    make = decoding(framing, size, "handwritten", loop, "pure")
    return Case(f"pure/{name}/{size}B", "a handwritten loop", 0.7, make)


def _stuffed(size: int) -> list[Case]:
    name = f"{size}B" if size < 1024 else f"{size >> 10}KiB"
    rows = (
        ("slip", SLIP, "sliplib", "sliplib", 20, ("sliplib",)),
        ("hdlc", HDLC, "a handwritten loop", "hdlc_16", 20, ()),
        ("cobs", COBS, "cobs in Python", "cobs_python", 20, ("cobs",)),
        ("cobs", COBS, "cobs in C", "cobs_c", 1, ("cobs",)),
    )
    return [
        Case(
            f"decode/{framing}/{name}", rival, goal, decoding(ours, size, "stuffed", start), packages=packages
        )
        for framing, ours, rival, start, goal, packages in rows
    ]


_REPLIES = "hiredis builds values, we cut replies"
_FORMAT = "msgspec packs a format of its own, msgpack"


def _headed(size: int) -> list[Case]:
    name = f"{size}B" if size < 1024 else f"{size >> 10}KiB"
    parser = decoding(HEADER_BLOCK, size, "handwritten", "header_block")
    replies = against_hiredis(b"." * size, "bulk")
    return [
        Case(
            f"decode/header-block/{name}",
            "a handwritten loop",
            10,
            parser,
            note="copying 1 KiB costs both sides the same: u32, which reads no header, has 9 here"
            if size == 1024
            else "",
        ),
        Case(f"decode/resp/{name}", "hiredis", 1, replies, packages=("hiredis",), note=_REPLIES),
    ]


def _families() -> list[Case]:
    """Each family of framings at about 1 KiB a frame, against the shortest path that there is."""

    def plain(stream: int) -> list[bytes]:
        return bodies(1024, stream)

    def random(stream: int) -> list[bytes]:
        return binary(1024, stream)

    def mail(stream: int) -> list[bytes]:
        """13 lines of 80 bytes each."""
        return [(b"%078d\r\n" % i) * 13 for i in range(stream >> 10)]

    def filled(form: bytes) -> Callable[[int], list[bytes]]:
        return lambda stream: [form % body for body in plain(stream)]

    hdlc, stx_etx = fw.HDLC(), fw.Enclosed(b"\x02", b"\x03", escape=b"\x10")
    escapes = "eight escapes a frame, each found by a memchr of its own, once to check and once to take off"
    crc = "four fifths of the time is the check sequence, eight bytes at a time through tables of 16"
    rows: tuple[tuple[str, Any, Callable[[int], list[bytes]], str], ...] = (
        ("slip", SLIP, plain, ""),
        ("slip,random", SLIP, random, escapes),
        ("hdlc", hdlc, plain, ""),
        ("hdlc,random", hdlc, random, escapes),
        ("hdlc,fcs=16", HDLC, plain, crc),
        ("hdlc,fcs=16,random", HDLC, random, "the check sequence, as above, and eight escapes a frame"),
        ("cobs", COBS, plain, ""),
        ("cobs,random", COBS, random, "seven runs a frame, each checked and then copied by itself"),
        ("mllp", fw.Enclosed(b"\x0b", b"\x1c\r"), plain, ""),
        ("stx-etx", stx_etx, plain, ""),
        ("stx-etx,random", stx_etx, random, "twelve escapes a frame, each found twice as in slip,random"),
        (
            "dot-stuffed",
            fw.Delimited(b"\r\n.\r\n", dot_stuffed=True),
            mail,
            "each of 13 lines ends with LF, as the delimiter does, and is tried: half of the time",
        ),
        ("header-block", HEADER_BLOCK, plain, ""),
        (
            "chunked:http",
            fw.Chunked("http"),
            plain,
            "two sizes and two empty lines a frame, read to find its end and again to join it",
        ),
        ("nats", fw.LineCounted({b"MSG": -1}), filled(b"MSG news 1 1024\r\n%b\r\n"), ""),
        ("resp", RESP, filled(b"$1024\r\n%b\r\n"), ""),
        ("fix", FIX, lambda stream: fix(1024, stream), ""),
        ("sunrpc", fw.LengthPrefixed(fw.u32, fragments="top_bit"), plain, ""),
        ("varint", VARINT, plain, ""),
        ("netstring", NETSTRING, plain, ""),
        ("digits", fw.LengthPrefixed(fw.digits(4)), plain, ""),
        ("lines", LINES, plain, ""),
    )
    return [
        Case(f"decode/{name}/1KiB", "plain u32", 0.5, against_u32(framing, make), note=note)
        for name, framing, make, note in rows
    ]


def _live() -> list[Case]:
    """Messages between two processes. 1 is the speed of C that does the same."""
    rows = (
        ("one-way/tcp/64B", "C, a malloc a frame", 1.0, live.one_way("tcp", 64)),
        ("one-way/unix/64B", "C, a malloc a frame", 1.0, live.one_way("unix", 64)),
        ("one-way/tcp/64KiB", "C, a malloc a frame", 0.95, live.one_way("tcp", 65536)),
        ("one-way/tcp/1MiB", "C, a malloc a frame", 0.95, live.one_way("tcp", 1 << 20)),
        ("one-way/unix/64KiB", "C, a malloc a frame", 0.85, live.one_way("unix", 65536)),
        ("one-way/unix/1MiB", "C, a malloc a frame", 0.9, live.one_way("unix", 1 << 20)),
        ("one-way/tcp/64MiB,into", "C, one kept buffer", 0.9, live.large(1 << 26)),
        ("one-way/tcp/64B,each", "C, a call a message", 0.97, live.each("tcp")),
        ("one-way/unix/64B,each", "C, a call a message", 0.97, live.each("unix")),
        ("one-way/tcp/64B,cork", "C, a call a message", 20, live.cork()),
        ("one-way/tcp/64B", "buffered struct loop", 12, live.against("buffered")),
        ("one-way/tcp/64B", "pyzmq", 30, live.against("pyzmq")),
        ("one-way/tcp/64B", "multiprocessing.connection", 120, live.against("mp_connection")),
        ("one-way/tls/64B", "asyncio's TLS streams", 1.5, live.secure(64)),
        ("one-way/tls/1KiB", "asyncio's TLS streams", 1.5, live.secure(1024)),
        ("one-way/tls/64B,each", "asyncio's TLS streams", 1.5, live.secure(64, each_alone=True)),
        ("one-way/tcp/1KiB,busy", "the portable path", 1.5, live.beside_a_thread()),
        ("ping-pong/tcp/64B", "C", 1.25, live.conversation("tcp")),
        ("ping-pong/unix/64B", "C", 1.4, live.conversation("unix")),
        ("ping-pong/tcp/64B", "the HOWTO's loops", 1.9, live.conversation("tcp", "howto")),
        ("ping-pong/unix/64B", "the HOWTO's loops", 1.9, live.conversation("unix", "howto")),
    )
    return [
        Case(
            name,
            rival,
            goal,
            make,
            at_most=rival == "C",
            most_pairs=7,
            packages=("pyzmq",) if rival == "pyzmq" else ("trustme",) if "/tls/" in name else (),
            seconds=0.2,
        )
        for name, rival, goal, make in rows
    ]


def _loops() -> list[Case]:
    """Messages in an event loop. One way, 1 is the speed of C that does the same; a conversation is given as
    the time of the rival's that ours takes."""
    cases = []
    for loop, c, protocol, stream, call, wait, of_streams in (
        ("asyncio", 0.75, 9, 60, 3.8, 6.5, 0.25),
        ("uvloop", 0.5, 7.5, 40, 1.7, 3.2, 0.5),
    ):
        packages = ("uvloop",) if loop == "uvloop" else ()
        ways: list[tuple[str, str, float, bool, Any]] = [
            ("one-way", "C, a malloc a frame", c, False, loops.one_way(loop)),
            ("one-way", "a BufferedProtocol in Python", protocol, False, loops.one_way(loop, "buffered")),
            ("one-way", "its streams", stream, False, loops.one_way(loop, "streams")),
            ("ping-pong, callbacks", "C", call, True, loops.conversation(loop, "calling_back")),
            ("ping-pong, await", "C", wait, True, loops.conversation(loop, "awaiting")),
            (
                "ping-pong, callbacks",
                "its streams",
                of_streams,
                True,
                loops.conversation(loop, "calling_back", "streams_talking"),
            ),
        ]
        cases += [
            Case(f"{name}/{loop}/64B", rival, goal, make, at_most, 7, packages, seconds=0.2)
            for name, rival, goal, at_most, make in ways
        ]
        cases += [
            Case(
                f"serve/{loop}/64x16",
                name,
                goal,
                serve.against(rival, 64, 16, (*packages, *more), loop),
                at_most=not rival,
                most_pairs=7,
                packages=(*packages, *more),
                seconds=0.2,
            )
            for name, rival, goal, more in (
                ("C on epoll", "", 2.2 if loop == "asyncio" else 1.8, ()),
                (
                    "Protocol on uvloop",
                    "servers.protocol_on_uvloop",
                    1.0 if loop == "asyncio" else 1.8,
                    ("uvloop",),
                ),
            )
        ]
    return cases


def _serving() -> list[Case]:
    """Echo servers of 64 bytes, so many connections with 16 requests in flight on each."""
    rows = (
        (64, "C on epoll", "", 1.5),
        (1000, "C on epoll", "", 1.6),
        (64, "selectors, recv_into, tuned", "servers.selectors_tuned", 1.4),
        (64, "selectors as usually written", "servers.selectors_usual", 5.5),
        (64, "Twisted", "servers.twisted", 6.5),
        (64, "Protocol on uvloop", "servers.protocol_on_uvloop", 2.2),
    )
    packages = {"Twisted": ("twisted",), "Protocol on uvloop": ("uvloop",)}
    return [
        Case(
            f"serve/{connections}x16",
            name,
            goal,
            serve.against(rival, connections, 16, packages.get(name, ())),
            at_most=not rival,
            most_pairs=7,
            packages=packages.get(name, ()),
            seconds=0.2,
        )
        for connections, name, rival, goal in rows
    ] + [
        Case(
            "serve/two workers, 200 us a message", "one worker", 1.8, serve.workers, most_pairs=7, seconds=0.5
        )
    ]


CASES = (
    *_live(),
    *_loops(),
    *_serving(),
    Case("decode/u32/64B", "bytes objects in C", 0.80, against_floor(U32, "u32", 64)),
    Case("decode/u32/1KiB", "bytes objects in C", 0.95, against_floor(U32, "u32", 1024)),
    Case("decode/u32/64KiB", "bytes objects in C", 0.95, against_floor(U32, "u32", 65536)),
    Case("decode/lines/80B", "bytes objects in C", 0.70, against_floor(LINES, "lines", 79)),
    Case("decode/lf/80B", "bytes objects in C", 0.70, against_floor(LF, "lines", 79)),
    Case("decode/u32/64B", "from_bytes loop", 9, decoding(U32, 64, "handwritten", "u32")),
    Case("decode/u32/64B", "struct loop", 9, decoding(U32, 64, "handwritten", "u32_struct")),
    Case("decode/u32/64B", "Twisted", 16, decoding(U32, 64, "twisted", "u32"), packages=("twisted",)),
    Case("decode/u32/64B", "asyncio StreamReader", 38, decoding(U32, 64, "asyncio_streams", "u32")),
    Case("decode/u32/64B", "msgpack", 1.7, decoding(U32, 64, "msgpack", "frames"), packages=("msgpack",)),
    Case("decode/u32/64B", "hiredis", 4.7, decoding(U32, 64, "hiredis", "frames"), packages=("hiredis",)),
    Case("decode/lines/80B", "bytes.split", 2.1, decoding(LINES, 79, "bytes_split", "lines")),
    Case("decode/lines/80B", "makefile readline", 5.4, against_makefile),
    Case("decode/lines/80B", "Twisted", 4.4, decoding(LINES, 79, "twisted", "lines"), packages=("twisted",)),
    Case("decode/lines/80B", "asyncio readline", 28, decoding(LINES, 79, "asyncio_streams", "lines")),
    *_stuffed(64),
    *_stuffed(1024),
    *_headed(64),
    *_headed(1024),
    Case(
        "decode/resp/+OK",
        "hiredis",
        1,
        against_hiredis(b"OK", "simple"),
        packages=("hiredis",),
        note=_REPLIES,
    ),
    Case(
        "decode/fix/200B",
        "simplefix",
        20,
        against_simplefix,
        packages=("simplefix",),
        note="simplefix makes fields, byte by byte in Python; we cut messages and verify their CheckSum",
    ),
    *_families(),
    Case("encode_many/u32/64B", "struct and join", 10, encoding),
    *(
        Case(name, "frozen dataclass" if "construct" in name else "struct by hand", goal, make, at_most=True)
        for name, goal, make in records.ROWS
    ),
    *(
        Case(name, package, goal, make, packages=(package,), note=_FORMAT if package == "msgspec" else "")
        for name, package, goal, make in records.PACKAGES
    ),
    *(Case(name, "struct by hand", goal, make, at_most=True) for name, goal, make in packers.ROWS),
    *(Case(name, "struct.Struct", goal, make, at_most=True) for name, goal, make in packers.STRUCTS),
    *(Case(name, "struct and class", goal, make, at_most=True) for name, goal, make in records.PURE),
    Case("byteorder/get_u32", "Struct.unpack_from", 2, get_u32),
    Case("byteorder/swap/40kB", "array.byteswap", 1, swap),
    _pure("u32", U32, 64, "u32"),
    _pure("lines", LINES, 79, "lines"),
    _pure("crlf", CRLF, 78, "crlf"),
    _pure("netstring", NETSTRING, 64, "netstring"),
    _pure("varint", VARINT, 64, "varint"),
    _pure("u16,offset=2", WHOLE, 64, "u16_at_2"),
    Case("growth/native", "a frame of a quarter", 5, growth("native"), at_most=True),
    Case("growth/pure", "a frame of a quarter", 5, growth("pure"), at_most=True, most_pairs=3),
    Case(
        "import framewire",
        "import socket",
        3,
        lambda _: (importing("framewire"), importing("socket")),
        at_most=True,
    ),
)
