"""Header blocks and chunks: every corner of their grammar, hostile sizes and headers, and what is written."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import named, peak_memory

import framewire as fw
from framewire import Chunked, DeclarationError, EncodeError, FrameTooLarge, HeaderBlock, MalformedFrame
from framewire._backend import Backend

STOMP = HeaderBlock("content-length", start_line=True, bare_lf=True, missing="nul")
SIP = HeaderBlock(start_line=True)
NETCONF, HTTP = Chunked("netconf"), Chunked("http")


def refused(framing: fw.Framing, data: bytes, reason: str, proof: int) -> str:
    """The text of the error that data[:proof] gives and data[:proof - 1] does not, whole and byte by byte."""
    early = framing.decoder()
    assert early.decode(data[: proof - 1]) == []
    assert early.error is None
    texts = []
    for chunks in ([data], [data[:proof]], [data[i : i + 1] for i in range(proof)]):
        decoder = framing.decoder()
        with pytest.raises(MalformedFrame) as caught:
            for chunk in chunks:
                assert decoder.decode(chunk) == []
        assert (caught.value.reason, caught.value.offset, caught.value.recoverable) == (reason, 0, False)
        assert decoder.error is caught.value
        texts.append(str(caught.value))
    assert len(set(texts)) == 1
    return texts[0]


# --- header blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 5\r\n\r\n",
        b"content-length:5\r\n\r\n",
        b"CONTENT-LENGTH: \t 5 \t\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf8\r\nContent-Length: 5\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length:05\r\n\r\n",
        b"X:\r\nContent-Length: 00005\r\nContent-Length-X: 9\r\nContent: 7\r\n\r\n",
        b"X-\xff: caf\xc3\xa9: \x01\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_headers_that_say_five(header: bytes, backend: Backend) -> None:
    data = header + b"hello"
    assert HeaderBlock().decoder().decode(data * 2 + header) == [b"hello"] * 2
    whole = HeaderBlock(strip=False)
    assert whole.decoder().decode(data * 2) == [data] * 2
    assert whole.encode(data) == data
    decoder = HeaderBlock().decoder()
    for at in range(len(data)):
        assert decoder.needed >= 1 and decoder.needed <= len(data) - at
        assert decoder.decode(data[at : at + 1]) == ([b"hello"] if at + 1 == len(data) else [])


@pytest.mark.parametrize(
    "value", [b"", b" ", b"+1", b"-1", b"-0", b"1_0", b"0x1", "٣".encode(), b"1 2", b"1,1", b"5.0", b"12junk"]
)
def test_digits_are_strict(value: bytes, backend: Backend) -> None:
    line = b"Content-Length: " + value + b"\r\n"
    text = refused(HeaderBlock(), line + b"\r\n" + b"x" * 20, "bad-length", len(line))
    assert "the length is no plain number" in text


@pytest.mark.parametrize(
    ("line", "reason", "text"),
    [
        (b"Content-Length: 5\n", "bad-terminator", "0x0a is not the end of line"),
        (b"\n", "bad-terminator", "0x0a is not the end of line"),
        (b"Starting the server\n", "bad-terminator", "0x0a is not the end of line"),
        (b"Starting the server\r\n", "protocol-violation", "not NAME: VALUE"),
        (b"Content-Length : 5\r\n", "protocol-violation", "not NAME: VALUE"),
        (b" folded\r\n", "protocol-violation", "not NAME: VALUE"),
        (b": 5\r\n", "protocol-violation", "not NAME: VALUE"),
        (b"Content-Length: 1\0\r\n", "protocol-violation", "not NAME: VALUE"),
        (b"A: b\rContent-Length: 5\r\n", "protocol-violation", "not NAME: VALUE"),
        (b"A: b\r\r\n", "protocol-violation", "not NAME: VALUE"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", "bad-length", "2 different lengths"),
        (b"Content-Length: 18446744073709551616\r\n", "bad-length", "the length has too many bits"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", "bad-length", "the length has too many bits"),
        (b"A: b\r\n\r\n", "bad-length", "0 different lengths"),
        (b"\r\n", "bad-length", "0 different lengths"),
    ],
)
def test_lines_that_are_refused(line: bytes, reason: str, text: str, backend: Backend) -> None:
    assert text in refused(HeaderBlock(), line + b"\r\n\r\nhello", reason, len(line))


def test_good_frames_come_first(backend: Backend) -> None:
    decoder = HeaderBlock().decoder()
    assert decoder.decode(b"Content-Length: 2\r\n\r\nok" + b"garbage\n") == [b"ok"]
    with pytest.raises(MalformedFrame) as caught:
        decoder.decode(b"Content-Length: 2\r\n\r\nok")
    assert (caught.value.offset, caught.value.frame_index) == (23, 1)


def test_max_header_counts_the_empty_line(backend: Backend) -> None:
    framing = HeaderBlock("L", max_header=30)
    for size in range(20, 40):
        data = b"L:1\r\nA:" + b"x" * (size - 11) + b"\r\n\r\n"
        assert len(data) == size
        if size <= 30:
            assert framing.decoder().decode(data + b"!") == [b"!"]
        else:
            assert "more than 30 bytes (max_header)" in refused(
                framing, data + b"!", "protocol-violation", 30
            )


def test_a_body_beyond_the_limit(backend: Backend) -> None:
    header = b"X: y\r\nContent-Length: 6\r\n\r\n"
    for chunks in ([header], [header[i : i + 1] for i in range(len(header))]):
        decoder = HeaderBlock(max_frame=5).decoder()
        with pytest.raises(FrameTooLarge) as caught:
            for chunk in chunks:
                decoder.decode(chunk)
        assert (caught.value.size, caught.value.limit, caught.value.header) == (6, 5, header)
    skipping = HeaderBlock(max_frame=5, on_too_large="skip")
    good = b"Content-Length: 2\r\n\r\nok"
    for step in (1, 7, 1000):
        decoder, frames, faults = skipping.decoder(), [], []
        stream = good + header + b"sixsix" + good
        for at in range(0, len(stream), step):
            try:
                frames += decoder.decode(stream[at : at + step])
            except FrameTooLarge as error:
                faults.append((error.size, error.offset, error.recoverable, error.header))
        while len(frames) < 2:
            try:
                frames += decoder.decode()
            except FrameTooLarge as error:
                faults.append((error.size, error.offset, error.recoverable, error.header))
        assert frames == [b"ok", b"ok"] and faults == [(6, 23, True, header)]
    decoder = HeaderBlock(max_frame=5, on_too_large="skip").decoder()
    with pytest.raises(FrameTooLarge):
        decoder.decode(b"Content-Length: 18446744073709551615\r\n\r\n" + b"x" * 10)
    assert decoder.decode(b"x" * 100_000) == [] and decoder.buffered == 0


def test_missing_lengths(backend: Backend) -> None:
    assert HeaderBlock(missing="empty").decoder().decode(b"A: b\r\n\r\n\r\nContent-Length:1\r\n\r\nx") == [
        b"",
        b"",
        b"x",
    ]
    by_nul = HeaderBlock(missing="nul")
    stream = b"A: b\r\n\r\nto the NUL\0Content-Length: 3\r\n\r\n\0\0\0\0\r\n\0"
    assert by_nul.decoder().decode(stream) == [b"to the NUL", b"\0\0\0", b""]
    assert by_nul.encode(b"\0") == b"Content-Length: 1\r\n\r\n\0\0"
    refused(by_nul, b"Content-Length: 1\r\n\r\nxy", "bad-terminator", 23)
    decoder = HeaderBlock(missing="nul", max_frame=4, on_too_large="skip").decoder()
    with pytest.raises(FrameTooLarge) as caught:
        decoder.decode(b"\r\n12345678\0\r\n1234\0")
    assert caught.value.size is None and decoder.decode() == [b"1234"]


def test_start_lines_and_heartbeats(backend: Backend) -> None:
    sip = b"INVITE sip:bob@example.com SIP/2.0\r\nVia: x\r\nContent-Length: 4\r\n\r\nv=0\n"
    decoder = SIP.decoder()
    assert decoder.decode(b"\r\n\r\n" + sip + b"\r\n\r\n\r\n" + sip + b"\r") == [sip, sip]
    assert decoder.decode(b"\n") == [] and decoder.buffered == 0 and decoder.feed_eof() == []
    assert decoder.offset == 2 * len(sip) + 12
    refused(SIP, b"\n" + sip, "bad-terminator", 1)
    send = b"SEND\ndestination:/queue/a\nreceipt:m\n\nhello queue a\0"
    counted = b"MESSAGE\r\ncontent-length:3\r\ncontent-length:3\r\n\r\na\0b\0"
    decoder = STOMP.decoder()
    data = b"\n\n" + send + b"\n\r\n\n" + counted + b"\n" + b"DISCONNECT\n\n\0" + b"\n"
    frames = [frame for i in range(len(data)) for frame in decoder.decode(data[i : i + 1])]
    assert frames == [send, counted, b"DISCONNECT\n\n\0"]
    assert decoder.buffered == 0 and decoder.feed_eof() == []
    decoder = STOMP.decoder()
    assert decoder.decode(b"\n\r") == []
    with pytest.raises(fw.Truncated):
        decoder.feed_eof()


def test_whole_blocks_are_checked_or_filled_in(backend: Backend) -> None:
    framing = HeaderBlock(strip=False, max_frame=1000)
    assert framing.encode(b"A: b\r\nlength: 0\r\nContent-Length: 0 \r\n\r\n" + b"x" * 123) == (
        b"A: b\r\nlength: 0\r\nContent-Length: 123 \r\n\r\n" + b"x" * 123
    )
    assert framing.encode_parts(b"Content-Length: 0\r\n\r\nab")[1] == b"2"
    assert STOMP.encode(b"A\ncontent-length:0\n\n\0\0\0") == b"A\ncontent-length:2\n\n\0\0\0"
    buffer = bytearray(30)
    assert framing.encode_into(buffer, 1, b"Content-Length: 0\r\n\r\nab") == 24
    for message, text in [
        (b"Content-Length: 3\r\n\r\nab", "its header says 24 bytes"),
        (b"Content-Length: 00\r\n\r\nab", "its header says 22 bytes"),
        (b"Content-Length: 2\r\nab", "its header says no whole length"),
        (b"", "its header says no whole length"),
        (b"A: b\r\n\r\nab", "0 different lengths"),
        (b"Content-Length: 2\n\nab", "end of line"),
        (b"Content-Length: 0\r\nContent-Length: 2\r\n\r\nab", "2 different lengths"),
        (b"Content-Length: 0\r\n\r\n" + bytes(1001), "beyond our limit of 1000"),
    ]:
        with pytest.raises(EncodeError, match=text) as caught:
            framing.encode(message)
        assert caught.value.size is not None
    for framing, message, text in [
        (SIP, b"\r\nA\r\nContent-Length: 0\r\n\r\n", "not NAME: VALUE"),
        (STOMP, b"A\n\nabc", "does not end with its delimiter"),
        (STOMP, b"A\n\na\0c\0", "stands at byte 4"),
        (STOMP, b"A\ncontent-length:1\n\nab", "bad-terminator"),
        (HeaderBlock(missing="empty", strip=False), b"A: b\r\n\r\nx", "its header says 8 bytes"),
        (HeaderBlock(max_frame=5), b"123456", "beyond our limit of 5"),
    ]:
        with pytest.raises(EncodeError, match=text):
            framing.encode(message)


def test_every_piece_of_buffer_is_taken(backend: Backend) -> None:
    """Framings that search take any contiguous buffer."""
    for framing, data in [
        (HeaderBlock(), b"Content-Length: 2\r\n\r\nok"),
        (NETCONF, b"\n#2\nok\n##\n"),
        (HTTP, b"2\r\nok\r\n0\r\n\r\n"),
        (fw.Lines(), b"ok\r\n"),
        (fw.SLIP(), b"ok\xc0"),
    ]:
        for kind in (bytearray, memoryview):
            assert framing.decoder().decode(kind(data)) == [b"ok"]
            assert [bytes(view) for view in framing.decoder().decode_views(kind(data))] == [b"ok"]
        decoder = framing.decoder()
        decoder.feed(memoryview(data))
        assert decoder.next_frame() == b"ok"
        decoder = framing.decoder()
        decoder.get_buffer(len(data))[: len(data)] = data
        decoder.buffer_updated(len(data))
        assert decoder.decode() == [b"ok"]


# --- chunks ---------------------------------------------------------------------------------------------


def test_chunks_of_rfc_6242(backend: Backend) -> None:
    """The example of its section 4.2."""
    wire = (
        b'\n#4\n<rpc\n#18\n message-id="102"\n\n#79\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n'
    )
    wire += b"  <close-session/>\n</rpc>\n##\n"
    message = b'<rpc message-id="102"\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n'
    message += b"  <close-session/>\n</rpc>"
    assert NETCONF.decoder().decode(wire * 2) == [message] * 2
    decoder = NETCONF.decoder()
    assert [frame for i in range(len(wire)) for frame in decoder.decode(wire[i : i + 1])] == [message]
    assert NETCONF.encode(message) == b"\n#%d\n%b\n##\n" % (len(message), message)
    assert Chunked("netconf", strip=False).decoder().decode(wire) == [wire]
    assert Chunked("netconf", strip=False).encode(wire) == wire


@pytest.mark.parametrize(
    ("data", "reason", "proof"),
    [
        (b"<hello", "bad-magic", 1),
        (b"\r\n#1\nx", "bad-magic", 1),
        (b"\nx", "bad-magic", 2),
        (b"\n##\n", "bad-length", 3),
        (b"\n#\n", "bad-length", 3),
        (b"\n#0\n", "bad-length", 3),
        (b"\n#01\nx", "bad-length", 3),
        (b"\n#+1\n", "bad-length", 3),
        (b"\n# 1\n", "bad-length", 3),
        (b"\n#1\r\nx", "bad-length", 4),
        (b"\n#1a\n", "bad-length", 4),
        (b"\n#\xd9\xa3\n", "bad-length", 3),
        (b"\n#4294967296\n", "bad-length", 13),
        (b"\n#99999999999\n", "bad-length", 13),
        (b"\n#1\nx\n##x", "bad-magic", 9),
        (b"\n#1\nxy", "bad-magic", 6),
    ],
)
def test_netconf_is_strict(data: bytes, reason: str, proof: int, backend: Backend) -> None:
    refused(NETCONF, data, reason, proof)


def test_a_netconf_chunk_may_say_four_gigabytes(backend: Backend) -> None:
    decoder = Chunked("netconf", max_frame=None).decoder()
    assert decoder.decode(b"\n#4294967295\nx") == [] and decoder.needed == 4294967294 + 4
    with pytest.raises(FrameTooLarge) as caught:
        NETCONF.decoder().decode(b"\n#4294967295\n")
    assert caught.value.size is None and caught.value.header == b""


def test_http_chunks(backend: Backend) -> None:
    wire = b'4\r\nWiki\r\n6 ;name="va;lue"\r\npedia \r\nE\t\r\nin \r\n\r\nchunks.\r\n'
    wire += b"000;last\r\nDigest: x\r\nA:\r\n\r\n"
    assert HTTP.decoder().decode(wire + b"0\r\n\r\n") == [b"Wikipedia in \r\n\r\nchunks.", b""]
    decoder = HTTP.decoder()
    assert [frame for i in range(len(wire)) for frame in decoder.decode(wire[i : i + 1])] == [
        b"Wikipedia in \r\n\r\nchunks."
    ]
    whole = Chunked("http", strip=False)
    assert whole.decoder().decode(wire * 2) == [wire] * 2 and whole.encode(wire) == wire
    assert (
        HTTP.encode(b"") == b"0\r\n\r\n"
        and HTTP.encode(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"
    )
    assert [bytes(part) for part in HTTP.encode_parts(b"abc")] == [b"3\r\n", b"abc", b"\r\n0\r\n\r\n"]


@pytest.mark.parametrize(
    ("data", "reason", "proof"),
    [
        (b"\r\n", "bad-length", 1),
        (b";ext\r\n", "bad-length", 1),
        (b" 1\r\n", "bad-length", 1),
        (b"+1\r\n", "bad-length", 1),
        (b"-1\r\n", "bad-length", 1),
        (b"0x1\r\n", "bad-length", 2),
        (b"1_0\r\n", "bad-length", 2),
        (b"1g\r\n", "bad-length", 2),
        (b"\xd9\xa3\r\n", "bad-length", 1),
        (b"1\n", "bad-length", 2),
        (b"FFFFFFFFFFFFFFFFF\r\n", "bad-length", 17),
        (b"00000000000000001\r\n", "bad-length", 17),
        (b"1;a\n", "bad-terminator", 4),
        (b"1\rx\r\n", "protocol-violation", 5),
        (b"1;\0\r\n", "protocol-violation", 5),
        (b"1\r\nxy\n", "bad-terminator", 5),
        (b"1\r\nx\ry", "bad-terminator", 6),
        (b"1\r\nx\n", "bad-terminator", 5),
        (b"0\r\nGET / HTTP/1.1\r\n", "protocol-violation", 19),
        (b"0\r\nA: b\n", "bad-terminator", 8),
        (b"0\r\n\n", "bad-terminator", 4),
    ],
)
def test_http_is_strict(data: bytes, reason: str, proof: int, backend: Backend) -> None:
    refused(HTTP, data, reason, proof)


@pytest.mark.parametrize("size", [b"FFFFFFFFFFFFFFFF", b"7fffffffffffffff", b"100001", b"fffffffffffffff;"])
def test_sizes_that_would_overflow(size: bytes, backend: Backend) -> None:
    for before in (b"", b"1\r\nx\r\n"):
        with pytest.raises(FrameTooLarge, match="within 1048576 bytes"):
            HTTP.decoder().decode(before + size + b"\r\n")


def test_the_sum_of_the_chunks_is_limited(backend: Backend) -> None:
    framing = Chunked("http", max_frame=10)
    assert framing.decoder().decode(b"5\r\nabcde\r\n" * 2 + b"0\r\n\r\n") == [b"abcdeabcde"]
    decoder = framing.decoder()
    with pytest.raises(FrameTooLarge):
        decoder.decode(b"5\r\nabcde\r\n" * 2 + b"1\r")


@pytest.mark.parametrize(
    ("framing", "unit"),
    [
        (HTTP, b"1\r\nx\r\n"),
        (HTTP, b"1;" + b"e" * 200 + b"\r\nx\r\n"),
        (NETCONF, b"\n#1\nx"),
    ],
)
def test_a_flood_of_chunks_and_extensions_ends(framing: fw.Framing, unit: bytes, backend: Backend) -> None:
    """What is not body is bounded, so the number of chunks is."""
    decoder, flood = framing.decoder(), unit * 500
    with pytest.raises(MalformedFrame, match=r"more than 65536 bytes \(max_header\)"):
        for _ in range(100):
            assert decoder.decode(flood) == []
            assert decoder.buffered < 100_000


@pytest.mark.parametrize("opening", [b"1;", b"0;", b"0\r\nA: ", b"0\r\n"])
def test_a_line_without_end_ends(opening: bytes, backend: Backend) -> None:
    decoder, filler = HTTP.decoder(), b"A: b\r\n" if opening.endswith(b"\n") else b"abcdef"
    decoder.decode(opening)
    with pytest.raises(MalformedFrame, match="max_header"):
        for _ in range(12000):
            assert decoder.decode(filler) == []
    assert decoder.buffered <= 65536 + 6


# --- hostile peers: time and memory -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing",
    [HeaderBlock(), HeaderBlock(max_header=65536), SIP, STOMP, HTTP, NETCONF],
    ids=lambda framing: str(framing)[:60],
)
@pytest.mark.parametrize(
    "line", [b"x", b"A: b\r\n", b"A:\n", b"\n#1\nx", b"1;x", b"0", b"Content-Length: 5\r\n"]
)
def test_a_header_without_end_in_single_bytes(framing: fw.Framing, line: bytes, backend: Backend) -> None:
    """16 MiB would come; the limit is an error long before, and no byte is looked at again and again."""
    decoder = framing.decoder()
    begin, sent = time.thread_time(), 0
    with pytest.raises(fw.DecodeError):
        while sent < 1 << 24:
            decoder.decode(line[sent % len(line) : sent % len(line) + 1])
            sent += 1
    assert sent < 1 << 18
    assert time.thread_time() - begin < (1 if backend.name == "native" else 4)


def test_nothing_is_matched_by_backtracking(backend: Backend) -> None:
    begin = time.thread_time()
    for hostile in (b"A: " + b" \t" * 500_000, b"a" * 1_000_000, b"A:b\r\n" * 200_000, b": " * 500_000):
        decoder = HeaderBlock(max_header=1 << 21).decoder()
        with pytest.raises(MalformedFrame):
            decoder.decode(hostile + b"\n")
    assert time.thread_time() - begin < (0.5 if backend.name == "native" else 4)


def test_no_regular_expressions() -> None:
    source = Path(fw.__file__).parent / "_pure/text.py"
    assert "import re" not in source.read_text("utf-8")


@pytest.mark.parametrize(
    ("framing", "data"),
    [
        (HeaderBlock(), b"Content-Length: 1048576\r\n" + b"A:\r\n" * 2000 + b"\r\n"),
        (STOMP, b"A\n" + b"b:\n" * 2000 + b"\n"),
        (HTTP, b"%x\r\n" % (1 << 20)),
        (NETCONF, b"\n#%d\n" % (1 << 20)),
    ],
    ids=["header-block", "stomp", "http", "netconf"],
)
def test_a_body_in_small_pieces_takes_linear_time(framing: fw.Framing, data: bytes, backend: Backend) -> None:
    """The header is not read again with every piece, also where the frame stands in the caller's buffer."""
    for buffer in (None, bytearray(1_500_000)):
        decoder = framing.decoder(buffer)
        begin = time.thread_time()
        decoder.decode(data)
        for _ in range(20_000):
            decoder.decode(b"xy")
        assert time.thread_time() - begin < (1 if backend.name == "native" else 4)


def test_many_chunks_in_single_bytes_take_linear_time(backend: Backend) -> None:
    took = []
    for count in (2000, 8000):
        decoder, data = Chunked("http", max_header=1 << 20).decoder(), b"1\r\nx\r\n" * count + b"0\r\n\r\n"
        begin = time.thread_time()
        frames = [frame for i in range(len(data)) for frame in decoder.decode(data[i : i + 1])]
        took.append(time.thread_time() - begin)
        assert frames == [b"x" * count]
    assert took[1] < 12 * took[0]


def test_announced_bytes_cost_no_memory(backend: Backend) -> None:
    def announce() -> None:
        for framing, data in [
            (HeaderBlock(max_frame=None), b"Content-Length: 4611686018427387000\r\n\r\nx"),
            (Chunked("http", max_frame=None), b"fffffffffffffff\r\nx"),
            (Chunked("netconf", max_frame=None), b"\n#4294967295\nx"),
        ]:
            decoder = framing.decoder()
            assert decoder.decode(data) == []
            assert decoder.needed > 1 << 30

    assert peak_memory(announce) < 1 << 20


# --- both ways ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", [HeaderBlock(), HeaderBlock(missing="nul"), NETCONF, HTTP], ids=named)
def test_what_is_written_is_read(framing: fw.Framing, backend: Backend) -> None:
    rng = random.Random(3)
    messages = [rng.randbytes(size) for size in (1, 9, 10, 15, 16, 255, 256, 4095, 4096, 70_000)]
    wire = framing.encode_many(messages)
    assert wire == b"".join(framing.encode(message) for message in messages)
    decoder, frames, at = framing.decoder(), [], 0
    while at < len(wire):
        size = rng.choice((1, 2, 30, 3000))
        frames += decoder.decode(wire[at : at + size])
        at += size
    assert frames == messages


def test_an_empty_netconf_message_cannot_be(backend: Backend) -> None:
    with pytest.raises(EncodeError, match="a body of 0 bytes does not fit") as caught:
        NETCONF.encode(b"")
    assert (caught.value.size, caught.value.limit) == (0, 4294967295)


# --- declarations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: HeaderBlock(""), "1 to 100 letters"),
        (lambda: HeaderBlock("a" * 101), "1 to 100 letters"),
        (lambda: HeaderBlock("a b"), "1 to 100 letters"),
        (lambda: HeaderBlock("a:"), "1 to 100 letters"),
        (lambda: HeaderBlock("é"), "1 to 100 letters"),
        (lambda: HeaderBlock(missing="none"), "missing="),
        (lambda: HeaderBlock(max_header=38), "max_header=38 must be at least 39"),
        (lambda: HeaderBlock(start_line=True, max_header=41), "max_header=41 must be at least 42"),
        (lambda: HeaderBlock(start_line=True, strip=True), "strip=True cannot be with start_line"),
        (lambda: HeaderBlock(eof="deliver"), "eof='deliver' needs a mark"),
        (lambda: Chunked("tcp"), "style="),
        (lambda: Chunked("http", max_header=31), "max_header=31 must be at least 32"),
        (lambda: Chunked("http", on_too_large="skip"), "nothing says where a frame that is too large ends"),
        (lambda: Chunked("http", eof="deliver"), "eof='deliver' needs a mark"),
        (lambda: fw.Tagged({1: HTTP}, on_too_large="skip"), "nothing says where"),
        (lambda: HeaderBlock().decoder(bytearray(8000)), "do not hold a whole frame"),
        (lambda: fw.framing("chunked"), "chunked needs its style"),
        (lambda: fw.framing("header-block:x"), "takes no argument"),
    ],
)
def test_what_cannot_be_declared(make: Any, text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        make()


def test_types_of_parameters() -> None:
    for make in (
        lambda: HeaderBlock(b"Content-Length"),  # type: ignore[arg-type]
        lambda: HeaderBlock(start_line=1),  # type: ignore[arg-type]
        lambda: HeaderBlock(bare_lf="no"),  # type: ignore[arg-type]
        lambda: HeaderBlock(max_header="9"),  # type: ignore[arg-type]
        lambda: Chunked(max_header=None, style="http"),  # type: ignore[arg-type]
    ):
        with pytest.raises((TypeError, DeclarationError)):
            make()


def test_text_forms_and_values() -> None:
    assert fw.framing("header-block") == HeaderBlock() == HeaderBlock("Content-Length")
    text = "header-block,field=content-length,start_line=true,bare_lf=true,missing=nul"
    assert fw.framing(text) == STOMP and str(STOMP) == text
    assert fw.framing("chunked:http,max_header=100,strip=false") == Chunked(
        "http", max_header=100, strip=False
    )
    assert HeaderBlock("content-length") != HeaderBlock("Content-Length"), "it is written as it was given"
    assert Chunked("http").replace(style="netconf") == NETCONF
    assert repr(Chunked("netconf", max_frame=9)) == "Chunked('netconf', max_frame=9)"
