"""LineCounted, RESP and FIX: what is a frame, what is refused, and that hostile streams cost little.

That native and pure agree, and that no cutting of a stream changes anything, is tested for all framings."""

from __future__ import annotations

import pickle
import random
import time
from typing import Any

import pytest
from conftest import peak_memory

import framewire as fw
from framewire import FIX, RESP, LineCounted
from framewire._backend import Backend

NATS = {b"PUB": -1, b"HPUB": -1, b"MSG": -1, b"HMSG": -1}
MEMCACHED = {b"set": 4, b"cas": 4, b"VALUE": 3, b"ms": 2, b"VA": 1}
BEANSTALKD = {b"put": 4, b"RESERVED": 2, b"FOUND": 2, b"OK": 1}


def cut(framing: fw.Framing, *pieces: bytes) -> list[bytes]:
    decoder = framing.decoder()
    frames = [frame for piece in pieces for frame in decoder.decode(piece)]
    return frames + decoder.feed_eof()


def refused(framing: fw.Framing, data: bytes) -> fw.DecodeError:
    """The error of `data`, which must be the same byte by byte."""
    errors = []
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        decoder = framing.decoder()
        with pytest.raises(fw.DecodeError) as caught:
            for piece in pieces:
                assert decoder.decode(piece) == []
        errors.append((str(caught.value), vars(caught.value)))
    assert errors[0] == errors[1]
    return caught.value


# --- LineCounted ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "frames"),
    [
        (LineCounted(NATS), [b"HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"]),
        (LineCounted(NATS), [b"PING\r\n", b"PUB a 5\r\nhello\r\n"]),
        (LineCounted(NATS), [b"MSG  a\t9 0 \r\n\r\n", b"pub a 5\r\n", b"+OK\r\n", b"INFO {}\r\n"]),
        (LineCounted(NATS, ignore_case=True), [b"pub a 2\r\n\r\n\r\n", b"Msg a 9 3\r\nPUB\r\n"]),
        (LineCounted(MEMCACHED), [b"set k 0 0 3 noreply\r\na\r\n\r\n", b"get k\r\n", b"END\r\n", b"\r\n"]),
        (LineCounted(MEMCACHED), [b"VALUE k 0 2 99\r\nhi\r\n", b"ms k 1 T0\r\n\n\r\n", b"VA 1 s1\r\nx\r\n"]),
        (
            LineCounted(BEANSTALKD),
            [b"put 1 0 60 4\r\nwork\r\n", b"RESERVED 7 2\r\n\r\n\r\n", b"KICKED 7\r\n"],
        ),
    ],
)
def test_lines_and_bodies(framing: LineCounted, frames: list[bytes], backend: Backend) -> None:
    data = b"".join(frames)
    assert cut(framing, data) == frames
    assert cut(framing, *(data[i : i + 1] for i in range(len(data)))) == frames
    assert [framing.encode(frame) for frame in frames] == frames


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        *((b"set k 0 0 " + count, "bad-length") for count in (b"", b"-1", b"+1", b"01", b"0x1", b"1_0")),
        ("set k 0 0 \N{SUPERSCRIPT TWO}".encode(), "bad-length"),
        ("set k 0 0 \N{FULLWIDTH DIGIT TWO}".encode(), "bad-length"),
        (b"set k 0 0 1234567890123456789", "bad-length"),
        (b"set", "bad-length"),
        (b"set k 0 0 1\nx", "bad-terminator"),
    ],
)
def test_counts_are_plain_digits(line: bytes, reason: str, backend: Backend) -> None:
    error = refused(LineCounted(MEMCACHED), line + b"\r\n")
    assert isinstance(error, fw.MalformedFrame)
    assert (error.reason, error.recoverable, error.offset) == (reason, False, 0)


def test_limits_of_lines_and_bodies(backend: Backend) -> None:
    framing = LineCounted({b"set": 1}, max_line=10, max_frame=5)
    assert cut(framing, b"0123456789\r\nset 5\r\nhello\r\n") == [b"0123456789\r\n", b"set 5\r\nhello\r\n"]
    assert "longer than 10 bytes" in str(refused(framing, b"0123456789x\r\n"))
    assert refused(framing, b"0123456789xx").reason == "protocol-violation"
    error = refused(framing, b"set 6\r\n")
    assert isinstance(error, fw.FrameTooLarge) and (error.size, error.limit) == (6, 5)
    decoder = framing.replace(on_too_large="skip").decoder()
    assert decoder.decode(b"PING\r\nset 999\r\n") == [b"PING\r\n"]
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode()
    assert decoder.decode(bytes(999) + b"\r\nPONG\r\n") == [b"PONG\r\n"]
    assert refused(framing, b"set 1\r\nx\rx").reason == "bad-terminator"


def test_a_count_of_0_is_filled_in(backend: Backend) -> None:
    framing = LineCounted(MEMCACHED)
    assert framing.encode(b"set k 0 0 0 noreply\r\n" + bytes(12) + b"\r\n") == (
        b"set k 0 0 12 noreply\r\n" + bytes(12) + b"\r\n"
    )
    assert framing.encode(b"set k 0 0 0\r\n\r\n") == b"set k 0 0 0\r\n\r\n"
    with pytest.raises(fw.EncodeError, match="not the byte that ends the frame"):
        framing.encode(b"set k 0 0 3\r\nhello\r\n")
    with pytest.raises(fw.EncodeError, match="its header says 18 bytes"):
        framing.encode(b"set k 0 0 3\r\n")
    with pytest.raises(fw.EncodeError, match="its header says 6 bytes"):
        framing.encode(b"PING\r\nPONG\r\n")
    with pytest.raises(fw.EncodeError, match="max_frame"):
        framing.replace(max_frame=3).encode(b"set k 0 0 0\r\nhello\r\n")


@pytest.mark.parametrize(
    ("verbs", "options", "error"),
    [
        ({}, {}, fw.DeclarationError),
        ({b"": 1}, {}, fw.DeclarationError),
        ({b"a b": 1}, {}, fw.DeclarationError),
        ({b"a\xff": 1}, {}, fw.DeclarationError),
        ({b"a": 0}, {}, fw.DeclarationError),
        ({b"a": 256}, {}, fw.DeclarationError),
        ({b"a": 1, b"A": 2}, {"ignore_case": True}, fw.DeclarationError),
        ({b"a": 1}, {"max_line": 0}, fw.DeclarationError),
        ({b"a": 1}, {"eof": "deliver"}, fw.DeclarationError),
        ({"a": 1}, {}, TypeError),
        ({b"a": "1"}, {}, TypeError),
        ({b"a": 1}, {"ignore_case": 1}, TypeError),
    ],
)
def test_declarations(verbs: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        LineCounted(verbs, **options)


def test_verbs_are_a_copy_and_have_a_text_form() -> None:
    verbs = {b"PUB": -1, b"a|b=c,\\": 2}
    framing = LineCounted(verbs, max_line=99)
    verbs.clear()
    framing.verbs.clear()
    assert framing.verbs == {b"PUB": -1, b"a|b=c,\\": 2}
    assert str(framing) == r"line-counted:PUB=-1|a\x7cb\x3dc\,\\=2,max_line=99"
    assert fw.framing(str(framing)) == framing == pickle.loads(pickle.dumps(framing)) == framing.replace()
    assert LineCounted({b"a": 1, b"b": 2}) == LineCounted({b"b": 2, b"a": 1})
    assert LineCounted({b"a": 1, b"A": 1}, ignore_case=True) == LineCounted({b"A": 1}, ignore_case=True)
    for text, what in [
        ("line-counted", "needs its verbs"),
        ("line-counted:set", "VERB=INDEX"),
        ("line-counted:a=1|a=2", "twice"),
        ("resp,strip=true", "unknown key"),
        ("fix:1", "takes no argument"),
        ("fixx", "did you mean fix"),
    ]:
        with pytest.raises(fw.DeclarationError, match=what):
            fw.framing(text)


# --- RESP -----------------------------------------------------------------------------------------------


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def reply(rng: random.Random, depth: int) -> bytes:
    """Some reply, with aggregates down to `depth`."""
    kind = rng.choice("+-:_#,($=!*%~>|" if depth else "+-:_#,($=!")
    if kind in "+-:_#,(":
        return kind.encode() + rng.choice([b"", b"x", b"12", b"a\rb"]) + b"\r\n"
    if kind in "$=!":
        value = rng.choice([b"", b"\r\n", b"+OK\r\n", bytes(100)])
        return rng.choice([kind.encode() + bulk(value)[1:], b"$-1\r\n", b"*-1\r\n"])
    count = rng.randrange(4)
    items = [reply(rng, depth - 1) for _ in range(count * (2 if kind in "%|" else 1))]
    behind = reply(rng, depth) if kind == "|" else b""
    return b"%c%d\r\n" % (ord(kind), count) + b"".join(items) + behind


@pytest.mark.parametrize("seed", range(20))
def test_replies_of_all_types(seed: int, backend: Backend) -> None:
    rng = random.Random(seed)
    frames = [reply(rng, 4) for _ in range(20)]
    data = b"".join(frames)
    assert cut(RESP(), data) == frames
    assert cut(RESP(), *(data[i : i + 1] for i in range(len(data)))) == frames
    assert RESP().encode_many(frames) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PING\r\n", "bad-tag"),
        (b"*1\r\nPING\r\n", "bad-tag"),
        (b"\r\n", "bad-tag"),
        (b"+OK\n", "bad-terminator"),
        (b"$1\r\nab\r\n", "bad-terminator"),
        *((b"$" + count + b"\r\n", "bad-length") for count in (b"", b"?", b"-2", b"-01", b"+1", b"00")),
        *((b"$" + count + b"\r\n", "bad-length") for count in (b"1 ", b"1_0", b"1" * 19, b"-1 ", b"1\r")),
        *((kind + b"-1\r\n", "bad-length") for kind in (b"%", b"~", b">", b"=", b"!", b"|")),
        (b"*?\r\n:1\r\n.\r\n", "bad-length"),
    ],
)
def test_replies_that_cannot_be(data: bytes, reason: str, backend: Backend) -> None:
    error = refused(RESP(), data)
    assert isinstance(error, fw.MalformedFrame) and error.reason == reason


def test_inline_commands(backend: Backend) -> None:
    framing = RESP(inline=True)
    frames = [b"PING\r\n", b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"SET a b\r\n"]
    assert cut(framing, b"".join(frames)) == frames
    assert refused(framing, b"*1\r\nPING\r\n").reason == "bad-tag"
    assert framing.decoder().needed == 2 and RESP().decoder().needed == 3


def test_the_limit_holds_for_whole_replies(backend: Backend) -> None:
    framing = RESP(max_frame=20)
    for good in (b"$13\r\n" + bytes(13) + b"\r\n", b"+" + b"x" * 17 + b"\r\n", b"*4\r\n" + b"+a\r\n" * 4):
        assert cut(framing, good) == [good] and framing.encode(good) == good
    for bad, size in ((b"$14\r\n", 21), (b"*6\r\n", 22), (b"*2\r\n$9\r\n", 22), (b"%3\r\n", 22)):
        error = refused(framing, bad)
        assert isinstance(error, fw.FrameTooLarge) and (error.size, error.limit) == (size, 20)
    for bad in (b"+" + b"x" * 19, b"*5\r\n+ab\r\n", b"*1\r\n" + b"|0\r\n" * 5):
        assert isinstance(refused(framing, bad), fw.FrameTooLarge)
    with pytest.raises(fw.EncodeError, match="max_frame"):
        framing.encode(b"+" + b"x" * 18 + b"\r\n")


@pytest.mark.parametrize("depth", [1, 2, 64])
def test_depth_is_limited(depth: int, backend: Backend) -> None:
    framing = RESP(max_depth=depth)
    good = b"*1\r\n" * depth + b"*0\r\n"
    assert cut(framing, good) == [good]
    error = refused(framing, b"%1\r\n+k\r\n" + b"*1\r\n" * depth)
    assert f"nested deeper than {depth} levels" in str(error) and error.reason == "protocol-violation"


def test_a_nesting_of_a_million_costs_nothing(backend: Backend) -> None:
    decoder = RESP().decoder()
    with pytest.raises(fw.MalformedFrame, match="deeper than 64"):
        decoder.decode(b"*1\r\n" * 1_000_000)
    assert decoder.error is not None and decoder.offset == 0


def test_endless_attributes_are_bounded(backend: Backend) -> None:
    """Each stands before another, so that nothing ever ends: cheap to send, and never a frame."""

    def flood() -> None:
        decoder = RESP(max_frame=1 << 16).decoder()
        with pytest.raises(fw.FrameTooLarge):
            for _ in range(1000):
                decoder.decode(b"|0\r\n" * 1024)

    assert peak_memory(flood) < 1 << 20


@pytest.mark.parametrize("head", [b"*100000\r\n", b"*2147483647\r\n", b"%999999999999999999\r\n"])
def test_an_announced_count_takes_no_memory(head: bytes, backend: Backend) -> None:
    def announce() -> None:
        decoder = RESP().decoder()
        if head == b"*100000\r\n":
            assert decoder.decode(head) == []
            assert decoder.needed == 300_000
        else:
            with pytest.raises(fw.FrameTooLarge):
                decoder.decode(head)

    assert peak_memory(announce) < 65536


def seconds(framing: fw.Framing, data: bytes, step: int) -> float:
    decoder = framing.decoder()
    start = time.thread_time()
    for i in range(0, len(data), step):
        decoder.decode(data[i : i + step])
    taken = time.thread_time() - start
    assert decoder.offset == len(data)
    return taken


@pytest.mark.parametrize(
    ("framing", "make"),
    [
        (RESP(max_frame=None), lambda n: b"*%d\r\n" % n + b":1\r\n" * n),
        (RESP(max_frame=None), lambda n: b"+" + b"x" * (4 * n) + b"\r\n"),
        (RESP(max_frame=None), lambda n: bulk(bytes(4 * n))),
        (LineCounted({b"set": 1}), lambda n: b"set %d" % n + b" x" * 4000 + b"\r\n" + bytes(n) + b"\r\n"),
        (FIX(), lambda n: FIX().encode(b"8=FIX.4.4\x019=0\x01" + b"58=x\x01" * n)),
    ],
    ids=["elements", "line", "bulk", "body behind a long line", "fix"],
)
def test_linear_time_byte_by_byte(framing: fw.Framing, make: Any, backend: Backend) -> None:
    n = 8000 if backend.name == "native" else 2000
    short, long = (min(seconds(framing, make(size), 1) for _ in range(3)) for size in (n, 4 * n))
    assert long < 10 * short + 0.02, "four times the bytes, four times the work"


def test_a_reply_of_a_million_elements_in_small_pieces(backend: Backend) -> None:
    count = 1_000_000 if backend.name == "native" else 100_000
    data = b"*%d\r\n" % count + b"$1\r\nx\r\n" * count
    assert seconds(RESP(max_frame=None), data, 100) < 5


# --- FIX ------------------------------------------------------------------------------------------------


def fix(text: str) -> bytes:
    return text.replace("|", "\x01").encode()


# The logon of the specification's own example has this shape; the sums were made by hand with `sum`.
LOGON = fix("8=FIX.4.2|9=65|35=A|49=SERVER|56=CLIENT|34=177|52=20090107-18:15:16|98=0|108=30|10=062|")


def test_fix_messages(backend: Backend) -> None:
    assert cut(FIX(), LOGON + LOGON) == [LOGON, LOGON]
    assert FIX().encode(LOGON) == LOGON
    assert FIX().encode(LOGON[:-4] + b"000\x01") == LOGON, "the checksum is written"
    fields = LOGON[: -len("10=062|")].replace(b"9=65", b"9=0")
    assert FIX().encode(fields) == LOGON, "and so is the length that was left open"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8=fix.4.4|", "bad-magic"),
        ("9=5|8=FIX.4.4|", "bad-magic"),
        ("8=FIX.4.4|35=0|", "bad-magic"),
        ("8=FIX.4.4 |", "bad-magic"),
        ("8=FIX.4.4.4.4.4.4.4.4|", "bad-magic"),
        ("8=FIX.4.4|9=|", "bad-length"),
        ("8=FIX.4.4|9=+5|", "bad-length"),
        ("8=FIX.4.4|9=-5|", "bad-length"),
        ("8=FIX.4.4|9=5 |", "bad-length"),
        ("8=FIX.4.4|9=00000000005|", "bad-length"),
        ("8=FIX.4.4|9=4|35=0|10=163|", "bad-terminator"),
        ("8=FIX.4.4|9=6|35=0|10=163|", "bad-terminator"),
        ("8=FIX.4.4|9=5|35=0|10=16|", "bad-terminator"),
        ("8=FIX.4.4|9=5|35=0|10=1630", "bad-terminator"),
    ],
)
def test_messages_that_cannot_be(text: str, reason: str, backend: Backend) -> None:
    error = refused(FIX(), fix(text))
    assert (error.reason, error.recoverable) == (reason, False)


def test_a_bad_checksum_costs_one_message(backend: Backend) -> None:
    bad = LOGON.replace(b"108=30", b"108=31")
    decoder = FIX().decoder()
    assert decoder.decode(LOGON + bad + LOGON) == [LOGON]
    with pytest.raises(fw.MalformedFrame) as caught:
        decoder.decode()
    assert (caught.value.reason, caught.value.recoverable) == ("bad-checksum", True)
    assert caught.value.offset == len(LOGON)
    assert decoder.decode() == [LOGON] and decoder.error is None


def test_lengths_of_fix_are_limited(backend: Backend) -> None:
    error = refused(FIX(max_frame=100), fix("8=FIX.4.4|9=101|"))
    assert isinstance(error, fw.FrameTooLarge) and (error.size, error.limit) == (101, 100)
    decoder = FIX(max_frame=5, on_too_large="skip").decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(LOGON)
    assert decoder.decode(fix("8=FIX.4.4|9=5|35=0|10=163|")) == [fix("8=FIX.4.4|9=5|35=0|10=163|")]
    with pytest.raises(fw.EncodeError, match="max_frame"):
        FIX(max_frame=5).encode(fix("8=FIX.4.4|9=0|35=00|"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("8=FIX.4.4|9=5|35=0|", "its header says 26 bytes"),
        ("8=FIX.4.4|9=5|35=0|10=163|8", "its header says 26 bytes"),
        ("8=FIX.4.4|9=0|35=0|10=163|", "not the byte that ends the frame"),
        ("8=FIX.4.4|9=0|35=0", "not the byte that ends the frame"),
        ("35=0|", "not the fixed byte"),
        ("", "its header says 17 bytes"),
    ],
)
def test_messages_that_cannot_be_sent(text: str, what: str, backend: Backend) -> None:
    with pytest.raises(fw.EncodeError, match=what):
        FIX().encode(fix(text))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: RESP(max_depth=0), fw.DeclarationError),
        (lambda: RESP(max_depth=65), fw.DeclarationError),
        (lambda: RESP(on_too_large="skip"), fw.DeclarationError),
        (lambda: RESP(eof="deliver"), fw.DeclarationError),
        (lambda: RESP(inline=1), TypeError),  # type: ignore[arg-type]
        (lambda: FIX(eof="deliver"), fw.DeclarationError),
        (lambda: FIX().decoder(bytearray(39)), fw.DeclarationError),
        (lambda: LineCounted({b"a": 1}).decoder(bytearray(8196)), fw.DeclarationError),
    ],
)
def test_what_cannot_be(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_in_the_callers_buffer(backend: Backend) -> None:
    for framing, message in (
        (FIX().decoder(bytearray(200)), LOGON),
        (RESP().decoder(bytearray(30)), bulk(bytes(20))),
        (LineCounted({b"set": 1}, max_line=10).decoder(bytearray(40)), b"set 20\r\n" + bytes(20) + b"\r\n"),
    ):
        for piece in (message[:7], message[7:], message):
            framing.decode(piece)
        assert framing.offset == 2 * len(message)
