"""Dumps: what a framing puts around a message is shown beside it, and what a peer breaks with its bytes."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from test_netcat import BACKENDS, U32, drained, ended, listening, peer, run, says, start
from test_terminal import need_harmless

from framewire import (
    COBS,
    SLIP,
    Delimited,
    Enclosed,
    FixedLength,
    HeaderBlock,
    LengthPrefixed,
    Lines,
    Netstring,
    Preamble,
    Tagged,
    UntilEOF,
    digits,
    protocols,
    u8,
    u16,
)
from framewire.cli.captures import load
from framewire.cli.dumps import Dumper, whole
from framewire.cli.formats import parser
from framewire.framings import Framing

CAPTURES = Path(__file__).parent / "captures"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals as shells expect them")
PAINTED = re.compile(rb"\x1b\[36m(.*?)\x1b\[m")


def shown(framing: Framing, stream: bytes, color: bool = False) -> bytes:
    """All of a stream as `decode -o dump` writes it."""
    decoder, dumper, out, number = whole(framing).decoder(), Dumper(framing, color), [], 0
    decoder.feed(stream)
    for cut in (decoder.next_frame, lambda: next(iter(decoder.feed_eof()), None)):
        while True:
            at = decoder.offset
            if (frame := cut()) is None:
                break
            number += 1
            out.append(dumper(number, at, frame))
    return b"".join(out)


def read_back(text: bytes) -> list[bytes]:
    parse = parser("dump")
    return [message for line in text.splitlines() if (message := parse(line)) is not None]


def marked(text: bytes, name: bytes) -> bytes:
    """The bytes of all lines that begin with `name`."""
    lines = [line.split(b"|")[0].split()[1:] for line in text.splitlines() if line.split()[:1] == [name]]
    return bytes.fromhex(b"".join(b"".join(line) for line in lines).decode())


@pytest.mark.parametrize(
    ("framing", "stream", "header", "messages", "trailer"),
    [
        (U32, b"\0\0\0\2ok\0\0\0\0", b"\0\0\0\2\0\0\0\0", [b"ok", b""], b""),
        (Netstring(), b"2:ok,", b"2:", [b"ok"], b","),
        (Lines(), b"ok\r\n\nx\n", b"", [b"ok", b"", b"x"], b"\r\n\n\n"),
        (Lines(eof="deliver"), b"ok\nx", b"", [b"ok", b"x"], b"\n"),
        (Delimited(b"==", dot_stuffed=False), b"a=b==", b"", [b"a=b"], b"=="),
        (HeaderBlock(), b"Content-Length: 2\r\n\r\n{}", b"Content-Length: 2\r\n\r\n", [b"{}"], b""),
        (SLIP(), b"\xc0a\xdb\xdc\xc0", b"", [b"a\xc0"], b"\xc0"),
        (COBS(), b"\2a\2b\0", b"", [b"a\0b"], b"\0"),
        (Enclosed(b"\x0b", b"\x1c\r"), b"\x0bMSH\x1c\r", b"\x0b", [b"MSH"], b"\x1c\r"),
        (LengthPrefixed(u8, trailer=b"\r\n"), b"\2\2\2\r\n", b"\2", [b"\2\2"], b"\r\n"),
        # What is delivered has its header, and stays in one piece.
        (LengthPrefixed(u16, offset=1), b"Z\0\2ok", b"", [b"Z\0\2ok"], b""),
        (Preamble(FixedLength(2), U32), b"HI\0\0\0\1x", b"\0\0\0\1", [b"HI", b"x"], b""),
        (Preamble(Netstring(), Lines()), b"1:x,y\n", b"1:", [b"x", b"y"], b",\n"),
        (
            Tagged({b"123456789": LengthPrefixed(digits(end=b" "), strip=True)}, default=Lines()),
            b"3 abc<1>d\n",
            b"3 ",
            [b"abc", b"<1>d\n"],
            b"",
        ),
        (UntilEOF(), b"all of it", b"", [b"all of it"], b""),
        (protocols.MYSQL, b"\1\0\0\7x", b"", None, b""),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, Framing) else "",
)
def test_header_and_trailer(
    framing: Framing, stream: bytes, header: bytes, messages: list[bytes] | None, trailer: bytes
) -> None:
    text = shown(framing, stream)
    decoder = framing.decoder()
    plain = decoder.decode(stream) + decoder.feed_eof()
    assert read_back(text) == plain
    if messages is not None:
        assert plain == messages
        assert (marked(text, b"header"), marked(text, b"trailer")) == (header, trailer)


@pytest.mark.parametrize("capture", load(CAPTURES)[0], ids=lambda capture: capture.name)
def test_recorded_streams_are_read_back(capture) -> None:  # type: ignore[no-untyped-def]
    stream = capture.data[:30_000]
    decoder = capture.framing.decoder()
    decoder.feed(stream)
    plain = [*iter(decoder.next_frame, None)]
    cut = decoder.offset
    text = shown(capture.framing, stream[:cut])
    need_harmless(text)
    assert read_back(text) == plain


def test_the_header_is_coloured() -> None:
    for framing, stream, coloured in (
        (U32, b"\0\0\0\2ok", [b"  header  00 00 00 02" + 39 * b" " + b"|....|"]),
        (LengthPrefixed(u16, offset=1), b"Z\0\2ok", [b"5a 00 02", b"Z.."]),
        # Of two lines, across the gap in the middle of one.
        (LengthPrefixed(u16, offset=20, header=25), 20 * b"h" + b"\0\1abc" + b"x", [
            b"68 68 68 68 68 68 68 68  68 68 68 68 68 68 68 68", 16 * b"h",
            b"68 68 68 68 00 01 61 62  63", b"hhhh..abc",
        ]),
    ):  # fmt: skip
        plain, text = shown(framing, stream), Dumper(framing, True)(1, 0, stream)
        assert PAINTED.findall(text) == coloured
        assert PAINTED.sub(rb"\1", text) == plain, "colour is the only difference"


@POSIX
def test_colour_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty")
    stream = U32.encode(b"hi\x1b[2J")
    for environment, choice, wanted in (
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"TERM": "dumb"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({}, ["--color", "never"], False),
    ):
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ours, theirs = pty.openpty()
        with peer(says(stream)) as address:
            with start("connect", address, "u32", "x", "-o", "dump", *choice, stdout=theirs) as process:
                os.close(theirs)
                assert process.wait(20) == 0
                text = os.read(ours, 4096).replace(b"\r\n", b"\n")
        os.close(ours)
        assert (b"\x1b[36m  header  00 00 00 06" in text) == wanted
        need_harmless(PAINTED.sub(rb"\1", text))
    with peer(says(stream)) as address:
        assert b"\x1b" not in run("connect", address, "u32", "x", "-o", "dump")[1], "not in a pipe"


@POSIX
@pytest.mark.parametrize("engine", BACKENDS)
def test_connections_show_it(engine: str) -> None:
    with peer(says(b"2:ok,0:,")) as address:
        done = run("connect", address, "netstring", "x", "-o", "dump", backend=engine)
    rows = [
        "#1 < 2 bytes @0",
        f"{'header':>8}  {'32 3a':<48}  |2:|",
        f"{'0':>8}  {'6f 6b':<48}  |ok|",
        f"{'trailer':>8}  {'2c':<48}  |,|",
        "#2 < 0 bytes @5",
        f"{'header':>8}  {'30 3a':<48}  |0:|",
        f"{'trailer':>8}  {'2c':<48}  |,|",
    ]
    assert done == (0, "".join(f"{row}\n" for row in rows).encode(), "")
    for more in ([], ["--once"], ["--mode", "threads"]):
        with listening("netstring", "-o", "dump", *more, backend=engine) as (address, server):
            # What is sent is a message still, no frame.
            assert run("connect", address, "netstring", "ok", backend=engine)[0] == 0
            lines = [server.stdout.readline() for _ in range(4)]
            if not more:
                ended(server)
        assert lines[0] == b"#1 < 2 bytes @0" + (b"" if more == ["--once"] else b" conn 1") + b"\n"
        assert [line.split()[0] for line in lines[1:]] == [b"header", b"0", b"trailer"]
    with listening("netstring", "-o", "dump", "--once", backend=engine) as (address, server):
        with start("connect", address, "netstring", backend=engine) as client:
            server.stdin.write(b"hello\n")
            server.stdin.close()
            assert client.stdout.readline() == b"hello\n", "sent by the framing as it was given"
            client.stdin.close()
            assert (client.wait(20), server.wait(20)) == (0, 0)


# --- what does not make a frame -------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("engine", BACKENDS)
def test_broken_while_much_is_unsent(engine: str) -> None:
    """The stream cannot be taken back then: what proves the fault is shown all the same."""

    def behave(conn: socket.socket) -> None:
        conn.sendall(b"5:hello,")
        time.sleep(0.5)
        conn.sendall(b"40:" + 40 * b"x" + b"\x1bbehind")
        time.sleep(0.5)

    with peer(behave) as address:
        source = b"z" * 900_000 + b"\n"
        status, out, err = run("connect", address, "netstring", source=20 * source, backend=engine)
    assert (status, out) == (3, b"hello\n")
    lines = err.splitlines()
    assert lines[0] == "framewire: bad-terminator: 0x1b is not the byte that ends the frame"
    assert lines[1].startswith("  frame 1 at offset 8, first bytes 34 30 3a 78")
    assert [line.split()[0] for line in lines[3:]] == ["20", "36", "^^"]
    at = lines[-1].index("^^")
    assert lines[-2][at : at + 2] == "1b"
    need_harmless(err)


@POSIX
@pytest.mark.parametrize("mode", ["selector", "threads", "processes"])
def test_listen_shows_what_is_broken(mode: str) -> None:
    with listening("netstring", "--mode", mode) as (address, server):
        host, _, port = address.rpartition(":")
        for stream in (b"2:ok,3:abc\x1b[2J", b"2:ok,9:cut", b"2:ok,99999999:"):
            with socket.create_connection((host, int(port))) as conn:
                conn.sendall(stream)
                conn.shutdown(socket.SHUT_WR)
                drained(conn)
            assert server.stdout.readline() == b"ok\n"
        status, out, err = ended(server)
    assert (status, out) == (0, b""), "a peer's fault is none of the server's"
    assert re.sub(r"127\.0\.0\.1:\d+", "PEER", err) == (
        "framewire: tcp://PEER: bad-terminator: 0x1b is not the byte that ends the frame\n"
        "  frame 1 at offset 5, first bytes 33 3a 61 62 63 1b\n"
        '  the frame begins with the text "3:ab": is netstring the right framing?\n'
        "         5  33 3a 61 62 63 1b                                 |3:abc.|\n"
        "                           ^^\n"
        "framewire: tcp://PEER: the stream ended inside a frame: 5 bytes of it arrived, at least 7 more were "
        "needed\n"
        "  frame 1 at offset 5, first bytes 39 3a 63 75 74\n"
        '  the frame begins with the text "9:cu": is netstring the right framing?\n'
        "         5  39 3a 63 75 74                                    |9:cut|\n"
        "                        ^^\n"
        "framewire: tcp://PEER: frame too large: the peer announced 9999999 bytes, our limit is 1048576 "
        "(--max-frame)\n"
        "  frame 1 at offset 5, first bytes 39 39 39 39 39 39 39; these are the characters '9999999': is "
        "it the right framing?\n"
        '  the frame begins with the text "9999": is netstring the right framing?\n'
        "         5  39 39 39 39 39 39 39                              |9999999|\n"
        "                              ^^\n"
    )


@POSIX
def test_a_dump_names_the_framing_as_it_was_given() -> None:
    for verb in ("connect", "listen"):
        if verb == "connect":
            with peer(says(b"2:ok,3:abcX")) as address:
                status, _, err = run("connect", address, "netstring", "x", "-o", "dump")
            assert status == 3
        else:
            with listening("netstring", "-o", "dump") as (address, server):
                run("connect", address, "until-eof", "2:ok,3:abcX")
                server.stdout.readline()
                _, _, err = ended(server)
        assert "is netstring the right framing?" in err and "|3:abcX|" in err


@POSIX
def test_no_proxy_header() -> None:
    with listening("u32", "--proxy-protocol") as (address, server):
        run("connect", address, "crlf", "hello, it is me", "--one-way")
        assert b"PROXY header is malformed" in server.stderr.readline()
        assert b"--proxy-protocol wants a PROXY header first" in server.stderr.readline()
        assert ended(server, signal.SIGINT)[0] == 0
    with listening("u32", "--proxy-protocol", "--once") as (address, server):
        run("connect", address, "crlf", "hello, it is me", "--one-way")
        assert server.wait(20) == 3
        assert b"--proxy-protocol wants a PROXY header first" in server.stderr.read()
