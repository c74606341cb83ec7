"""What a Decoder promises (DESIGN's ten rules), on both backends, over every framing of the catalogue."""

from __future__ import annotations

import itertools
import random
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from catalogue import CATALOGUE, LARGE
from conftest import FULL, named, peak_memory

import framewire as fw

NAMES = sorted(CATALOGUE)


def run(framing: fw.Framing, chunks: list[bytes]) -> tuple[list[bytes], str, int]:
    """Every frame of a stream in the order it came, the error at its end ("" without one), the offset."""
    decoder = framing.decoder()
    frames: list[bytes] = []
    errors: list[str] = []

    def call(step: Any) -> None:
        while True:
            try:
                frames.extend(step())
                return
            except fw.FramewireError as error:
                errors.append(f"{type(error).__name__}: {error} after {len(frames)} frames")
                if decoder.error is not None:
                    raise
                step = decoder.decode

    try:
        for chunk in chunks:
            call(lambda chunk=chunk: decoder.decode(chunk))
        call(decoder.feed_eof)
        call(decoder.decode)
    except fw.FramewireError:
        pass
    return frames, " | ".join(errors), decoder.offset


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *places, len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:])]


def stream_of(name: str, size: int) -> bytes:
    """A stream of `name` of at most `size` bytes, repeated messages where the framing allows it."""
    framing, messages = (CATALOGUE | {f"large-{k}": v for k, v in LARGE.items()})[name]
    encoder = framing.encoder()
    data = b""
    once = "preamble" in name or "eof" in name
    if not once:
        messages = [message for message in messages if len(encoder.encode(message)) <= size]
    for message in messages if once else itertools.cycle(messages):
        wire = encoder.encode(message)
        if len(data) + len(wire) > size:
            if len(wire) <= size and not once:
                break
            if data:
                break
            continue
        data += wire
    return data


def spoiled(data: bytes, seed: int) -> Iterator[bytes]:
    """The stream, and versions with one byte changed, with an unfinished frame, and with one in excess."""
    yield data
    yield data[:-1]
    rng = random.Random(seed)
    for value in (0, 0x0A, 0x30, 0x7F, 0xFF):
        at = rng.randrange(len(data))
        yield data[:at] + bytes([value]) + data[at + 1 :]


# --- rule 1: chunk independence ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_cut_of_a_short_stream(name: str, backend: Any) -> None:
    framing, _ = CATALOGUE[name]
    data = stream_of(name, 16 if FULL else 10) or stream_of(name, 32)[: 16 if FULL else 10]
    for variant in [data, data[:-1] + b"\xff"]:
        whole = run(framing, [variant])
        for bits in range(1 << max(0, len(variant) - 1)):
            places = [i + 1 for i in range(len(variant) - 1) if bits >> i & 1]
            assert run(framing, cut(variant, *places)) == whole, (variant, places)


@pytest.mark.parametrize("name", NAMES)
def test_one_and_two_cuts_of_a_longer_stream(name: str, backend: Any) -> None:
    framing, _ = CATALOGUE[name]
    data = stream_of(name, 512 if FULL else 48)
    for variant in spoiled(data, 1):
        whole = run(framing, [variant])
        for place in range(len(variant)):
            assert run(framing, cut(variant, place)) == whole, (variant, place)
    whole = run(framing, [data])
    # The pure twin takes its time, and is compared with the native one call by call in test_equal.
    step = 1 if len(data) <= 64 or backend.name == "native" else 3
    for pair in itertools.combinations(range(0, len(data), step), 2):
        assert run(framing, cut(data, *pair)) == whole, pair


@pytest.mark.parametrize("name", [*NAMES, *(f"large-{name}" for name in LARGE)])
def test_random_cuts_of_a_long_stream(name: str, backend: Any) -> None:
    framing, _ = (CATALOGUE | {f"large-{k}": v for k, v in LARGE.items()})[name]
    data = stream_of(name, 200_000 if name.startswith("large") else 4000)
    for seed in range(40 if FULL else 6):
        rng = random.Random(seed)
        for variant in itertools.islice(spoiled(data, seed), 4):
            whole = run(framing, [variant])
            places = sorted(rng.sample(range(len(variant)), min(len(variant), rng.choice([3, 30, 300]))))
            assert run(framing, cut(variant, *places)) == whole, seed
    assert run(framing, [data[i : i + 1] for i in range(min(len(data), 9000))]) == run(framing, [data[:9000]])


# --- rule 2: need-more is a value ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_needed_never_asks_for_more_than_is_missing(name: str, backend: Any) -> None:
    framing, _ = CATALOGUE[name]
    data = stream_of(name, 400)
    decoder = framing.decoder()
    ends = [0]
    for frame_end in range(1, len(data) + 1):
        decoder.feed(data[frame_end - 1 : frame_end])
        if decoder.needed == 0:
            assert decoder.next_frame() is not None
            ends.append(frame_end)
    # A second pass with the ends of the frames known: `needed` is at least 1 and reaches no further.
    decoder = framing.decoder()
    for at in range(len(data)):
        later = [end for end in ends if end > at]
        if later:
            assert 1 <= decoder.needed <= later[0] - at, at
        decoder.feed(data[at : at + 1])
        decoder.decode()


def test_needed_is_exact_where_the_length_is_known(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u32).decoder()
    assert decoder.needed == 4
    decoder.feed(b"\0\0")
    assert decoder.needed == 2
    decoder.feed(b"\1\0")
    assert decoder.needed == 256
    decoder.feed(b"x" * 255)
    assert decoder.needed == 1
    decoder.feed(b"x\0")
    assert decoder.needed == 0
    assert decoder.next_frame() == b"x" * 256
    assert decoder.needed == 3
    assert fw.LengthPrefixed(fw.u32, offset=3, trailer=b"\xce").decoder().needed == 8
    assert fw.LengthPrefixed(fw.u8, adjust=5).decoder().needed == 6


# --- rule 3: memory is what arrived --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "header"),
    [
        (fw.LengthPrefixed(fw.u64, max_frame=None), (1 << 32).to_bytes(8, "big")),
        (fw.LengthPrefixed(fw.u32, max_frame=None), b"\xff\xff\xff\xff"),
        (fw.LengthPrefixed(fw.u64, max_frame=None, strip=False), (1 << 61).to_bytes(8, "big")),
        (fw.Netstring(max_frame=None), b"4294967296:"),
        (fw.LengthPrefixed(fw.u32, trailer=b"!"), b"\0\x10\0\0"),
    ],
    ids=named,
)
def test_an_announced_giant_costs_nothing(framing: fw.Framing, header: bytes, backend: Any) -> None:
    def announce() -> None:
        decoder = framing.decoder()
        assert decoder.decode(header + b"x") == []
        assert decoder.buffered == len(header) + 1
        decoder = framing.decoder()
        assert decoder.decode(header) == []
        decoder.feed(b"x")
        decoder.get_buffer(1)

    assert peak_memory(announce) <= 64 << 10


def test_memory_follows_arrival(backend: Any) -> None:
    def take() -> None:
        decoder = fw.LengthPrefixed(fw.u32, max_frame=None).decoder()
        decoder.decode(b"\x40\0\0\0")
        for _ in range(100):
            decoder.decode(bytes(10_000))

    assert peak_memory(take) <= 2 * 1_000_000 + (64 << 10)


def test_no_delimiter_for_a_long_time_is_an_error_at_the_limit(backend: Any) -> None:
    chunk = bytes(1 << 16)
    for framing in (fw.Delimited(b"\r\n"), fw.Lines(), fw.UntilEOF()):

        def feed_gigabyte(framing: fw.Framing = framing) -> None:
            decoder = framing.decoder()
            with pytest.raises(fw.FrameTooLarge) as caught:
                for _ in range(1 << 14):
                    decoder.decode(chunk)
            assert caught.value.size is None and caught.value.limit == 1 << 20

        assert peak_memory(feed_gigabyte) <= 4 << 20


def test_skipping_stores_nothing(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u32, max_frame=10, on_too_large="skip").decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"\x40\0\0\0")
    chunk = bytes(1 << 20)
    assert peak_memory(lambda: [decoder.decode(chunk) for _ in range(64)]) <= 1 << 16
    decoder = fw.Lines(max_frame=10, on_too_large="skip").decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"x" * 12)
    assert peak_memory(lambda: [decoder.decode(chunk) for _ in range(64)]) <= 3 << 20
    assert decoder.buffered <= 1
    assert decoder.decode(b"\nok\n") == [b"ok"]


# --- rule 4: limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        (fw.LengthPrefixed(fw.u16, max_frame=10), lambda n: n.to_bytes(2, "big") + b"x" * n),
        (
            fw.LengthPrefixed(fw.u8, counts="frame", header=3, max_frame=10, strip=True),
            lambda n: bytes([n + 3, 0, 0]) + b"x" * n,
        ),
        (fw.Netstring(max_frame=10), lambda n: b"%d:%s," % (n, b"x" * n)),
        (fw.LengthPrefixed(fw.digits(3), max_frame=10), lambda n: b"%03d%s" % (n, b"x" * n)),
        (fw.Lines(max_frame=10), lambda n: b"x" * n + b"\n"),
        (fw.Lines(max_frame=10), lambda n: b"x" * n + b"\r\n"),
        (fw.Delimited(b"<end>", max_frame=10), lambda n: b"x" * n + b"<end>"),
        (fw.Delimited(b"\n", b"<end>", max_frame=10), lambda n: b"x" * n + b"\n"),
    ],
    ids=named,
)
def test_limits_at_n_minus_1_n_and_n_plus_1(framing: fw.Framing, wire: Any, backend: Any) -> None:
    for size in (0, 1, 9, 10):
        for chunks in ([wire(size)], [bytes([b]) for b in wire(size)]):
            frames, error, _ = run(framing, chunks)
            assert [len(frame) for frame in frames] == [size] and not error
    for size in (11, 12, 17, 200):
        for chunks in ([wire(size)], [bytes([b]) for b in wire(size)]):
            frames, error, offset = run(framing, chunks)
            assert frames == [] and error.startswith("FrameTooLarge") and offset == 0


@pytest.mark.parametrize(
    "value", [(1 << 64) - 1, (1 << 64) - 8, 1 << 63, (1 << 63) - 1, 1 << 32, (1 << 32) - 1]
)
@pytest.mark.parametrize("counts", ["body", "rest", "field", "frame"])
@pytest.mark.parametrize("limit", [1 << 20, None])
def test_c01_hostile_64_bit_lengths(value: int, counts: str, limit: int | None, backend: Any) -> None:
    framing = fw.LengthPrefixed(fw.u64, counts=counts, header=12, scale=3, max_frame=limit)
    decoder = framing.decoder()
    data = value.to_bytes(8, "big") + bytes(8)
    if limit is None and value < 1 << 40:
        assert decoder.decode(data) == []
        return
    with pytest.raises(fw.FrameTooLarge) as caught:
        decoder.decode(data)
    behind = {"body": 0, "rest": 4, "field": 12, "frame": 12}[counts]
    assert caught.value.size == value * 3 - behind
    assert caught.value.header == data[:12]


def test_c02_oversized_twice_then_a_small_one(backend: Any) -> None:
    framing = fw.LengthPrefixed(fw.u16, max_frame=100, on_too_large="skip")
    data = b"\x20\0" + bytes(8192) + b"\x30\0" + bytes(12288) + b"\0\2ok"
    for size in (1, 2, 3, 7, 1000, 8194, len(data)):
        frames, errors, offset = run(framing, [data[i : i + size] for i in range(0, len(data), size)])
        assert frames == [b"ok"] and errors.count("FrameTooLarge") == 2 and offset == len(data)


@pytest.mark.parametrize("value", [-1, -2, -(1 << 31)])
def test_c07_negative_lengths(value: int, backend: Any) -> None:
    header = value.to_bytes(4, "big", signed=True)
    with pytest.raises(fw.MalformedFrame, match="negative") as caught:
        fw.LengthPrefixed(fw.i32).decoder().decode(header)
    assert caught.value.reason == "bad-length"
    escaped = fw.LengthPrefixed(fw.i32, escape=(-1, fw.u64)).decoder()
    if value == -1:
        assert escaped.decode(header + (3).to_bytes(8, "big") + b"abc") == [b"abc"]
    else:
        with pytest.raises(fw.MalformedFrame, match="negative"):
            escaped.decode(header)


def test_c08_limit_zero_is_refused() -> None:
    for make in (fw.Lines, fw.Netstring, fw.UntilEOF, lambda **k: fw.LengthPrefixed(fw.u32, **k)):
        for limit in (0, -1):
            with pytest.raises(fw.DeclarationError, match="max_frame"):
                make(max_frame=limit)


def test_c10_scanning_is_linear(backend: Any) -> None:
    class Counting(bytes):
        pass

    framing = fw.Delimited(b"\r\n", max_frame=None)
    decoder = framing.decoder()
    for _ in range(3):
        assert [frame for i in range(1 << 16) for frame in decoder.decode(b"\r" if i % 2 else b"x")] == []
        assert decoder.decode(b"\n")[0].endswith(b"x")


@pytest.mark.parametrize(
    "text", [b"+1", b" 1", b"1_0", b"0x1", "\u0663".encode(), b"1\0", b"-0", b"1 ", b"\t1", b"1e1", b"\xb9"]
)
def test_c18_lenient_digits_are_refused(text: bytes, backend: Any) -> None:
    for framing in (
        fw.Netstring(),
        fw.LengthPrefixed(fw.digits(len(text))),
        fw.LengthPrefixed(fw.digits(end=b":")),
        fw.LengthPrefixed(fw.hexdigits(len(text))) if b"e" not in text else fw.Netstring(),
    ):
        with pytest.raises(fw.MalformedFrame) as caught:
            framing.decoder().decode(text + b":x,")
        assert caught.value.reason == "bad-length"


def test_c18_leading_zeros(backend: Any) -> None:
    assert fw.LengthPrefixed(fw.digits(5)).decoder().decode(b"00001x") == [b"x"]
    for data in (b"00005:", b"01:", b"00:"):
        with pytest.raises(fw.MalformedFrame, match="leading zero"):
            fw.Netstring().decoder().decode(data)


def test_c18_line_ends(backend: Any) -> None:
    data = b"a\nb\r\nc\rd\r\n\re\n"
    assert fw.Lines().decoder().decode(data) == [b"a", b"b", b"c\rd", b"\re"]
    assert fw.Delimited(b"\r\n").decoder().decode(data) == [b"a\nb", b"c\rd"]
    assert fw.Delimited(b"\n").decoder().decode(data) == [b"a", b"b\r", b"c\rd\r", b"\re"]
    assert fw.Delimited(b"\r").decoder().decode(data) == [b"a\nb", b"\nc", b"d", b"\n"]


@pytest.mark.parametrize("value", range(7))
def test_c27_a_length_inside_its_own_header(value: int, backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8, counts="frame", header=7).decoder()
    with pytest.raises(fw.MalformedFrame, match="before its body") as caught:
        decoder.decode(bytes([value]) + bytes(6))
    assert caught.value.reason == "bad-length" and decoder.error is caught.value


# --- rule 5: good frames first, sticky errors, skipping ------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True])
def test_an_error_raised_again_keeps_no_earlier_caller_alive(streaming: bool, backend: Any) -> None:
    """Its traceback is of the last call alone: a loop that goes on all the same holds nothing it has sent."""
    framing = fw.LengthPrefixed(fw.u16, max_frame=10)
    decoder = framing.decoder(stream_over=4) if streaming else framing.decoder()
    depths = []
    for _ in range(9):
        with pytest.raises(fw.FrameTooLarge) as caught:
            decoder.decode(b"\xff\xff")
        depths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))
    assert len(set(depths[1:])) == 1


def test_good_frames_come_before_the_fault(backend: Any) -> None:
    decoder = fw.Netstring().decoder()
    assert decoder.decode(b"1:a,1:b,x") == [b"a", b"b"]
    assert isinstance(decoder.error, fw.MalformedFrame)
    assert (decoder.error.offset, decoder.error.frame_index) == (8, 2)
    for call in (decoder.decode, decoder.next_frame, decoder.feed_eof, lambda: decoder.feed(b"1:c,")):
        with pytest.raises(fw.MalformedFrame) as caught:
            call()
        assert caught.value is decoder.error
    assert decoder.detach() == b"x"


def test_skipped_frames_are_reported_once_each_in_order(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8, max_frame=3, on_too_large="skip").decoder()
    assert decoder.decode(b"\1a\5eeeee\1b\4ffff\1c") == [b"a"]
    with pytest.raises(fw.FrameTooLarge) as first:
        decoder.decode(b"\1d")
    assert (first.value.size, first.value.limit, first.value.header) == (5, 3, b"\5")
    assert (first.value.offset, first.value.frame_index, first.value.recoverable) == (2, 1, True)
    assert decoder.error is None
    assert decoder.decode() == [b"b"]
    with pytest.raises(fw.FrameTooLarge) as second:
        decoder.decode()
    assert (second.value.offset, second.value.frame_index) == (10, 3)
    assert decoder.decode() == [b"c", b"d"]
    assert decoder.feed_eof() == []


def test_the_header_of_a_skipped_frame_tells_whose_it_was(backend: Any) -> None:
    framing = fw.LengthPrefixed(fw.u16, offset=4, max_frame=5, on_too_large="skip")
    decoder = framing.decoder()
    with pytest.raises(fw.FrameTooLarge) as caught:
        decoder.decode(b"\0\0\0\x2a\0\x09123456789\0\0\0\x2b\0\x02ok")
    assert caught.value.header == b"\0\0\0\x2a\0\x09"
    assert decoder.decode() == [b"\0\0\0\x2b\0\x02ok"]


def test_no_second_error_when_the_stream_ends_while_skipping(backend: Any) -> None:
    for framing, data in (
        (fw.LengthPrefixed(fw.u8, max_frame=3, on_too_large="skip"), b"\5abc"),
        (fw.Lines(max_frame=3, on_too_large="skip"), b"abcdef"),
        (fw.UntilEOF(max_frame=3, on_too_large="skip"), b"abcdef"),
    ):
        decoder = framing.decoder()
        with pytest.raises(fw.FrameTooLarge):
            decoder.decode(data)
        assert decoder.feed_eof() == []
        assert decoder.offset == len(data)


# --- rule 6: truncated is not the end ------------------------------------------------------------------


def test_the_end_inside_a_frame(backend: Any) -> None:
    for data, needed in ((b"\0\0", 2), (b"\0\0\0\5", 5), (b"\0\0\0\5hell", 1)):
        decoder = fw.LengthPrefixed(fw.u32).decoder()
        assert decoder.decode(b"\0\0\0\1x" + data) == [b"x"]
        with pytest.raises(fw.Truncated) as caught:
            decoder.feed_eof()
        assert (caught.value.partial, caught.value.needed) == (data, needed)
        assert decoder.error is caught.value
        with pytest.raises(fw.Truncated):
            decoder.decode()


def test_uncut_frames_come_before_truncated(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8).decoder()
    decoder.feed(b"\1a\1b\3c")
    assert decoder.feed_eof() == [b"a", b"b"]
    with pytest.raises(fw.Truncated):
        decoder.feed_eof()


def test_end_policies(backend: Any) -> None:
    assert run(fw.Lines(eof="deliver"), [b"a\nb\r"]) == ([b"a", b"b\r"], "", 4)
    assert run(fw.Lines(eof="drop"), [b"a\nb"]) == ([b"a"], "", 3)
    assert run(fw.LengthPrefixed(fw.u32, eof="drop"), [b"\0\0\0"]) == ([], "", 3)
    assert run(fw.Lines(eof="deliver"), [b""]) == ([], "", 0)
    assert run(fw.UntilEOF(), [b"all", b" of it"]) == ([b"all of it"], "", 9)
    assert run(fw.UntilEOF(), []) == ([b""], "", 0)
    deliver = fw.Lines(eof="deliver", max_frame=3).decoder()
    assert deliver.decode(b"abc\r") == []
    with pytest.raises(fw.FrameTooLarge):
        deliver.feed_eof()


def test_data_after_the_end_is_a_mistake(backend: Any) -> None:
    decoder = fw.Lines().decoder()
    decoder.feed_eof()
    assert decoder.decode() == [] and decoder.feed_eof() == []
    for call in (lambda: decoder.decode(b"x"), lambda: decoder.feed(b"x"), decoder.get_buffer):
        with pytest.raises(ValueError, match="ended"):
            call()


# --- rule 9: switching, detaching, one frame at a time -------------------------------------------------


def test_switch_keeps_what_was_read_ahead(backend: Any) -> None:
    decoder = fw.Lines().decoder()
    decoder.feed(b"STARTTLS\r\n\0\0\0\5hello\0\0")
    assert decoder.next_frame() == b"STARTTLS"
    decoder.switch(fw.LengthPrefixed(fw.u32))
    assert decoder.offset == 10
    assert decoder.next_frame() == b"hello"
    assert decoder.next_frame() is None
    assert decoder.detach() == b"\0\0"
    for call in (decoder.decode, decoder.detach, lambda: decoder.feed(b"x")):
        with pytest.raises(ValueError, match="detach"):
            call()


@pytest.mark.parametrize("size", [10, 5000, 200_000])
def test_switch_and_detach_in_the_middle_of_a_frame(size: int, backend: Any) -> None:
    head = size.to_bytes(4, "big")
    decoder = fw.LengthPrefixed(fw.u32).decoder()
    assert decoder.decode(head + b"x" * (size - 3)) == []
    decoder.switch(fw.LengthPrefixed(fw.u32, strip=False))
    assert decoder.decode(b"yyy" + b"\0\0") == [head + b"x" * (size - 3) + b"yyy"]
    decoder.switch(fw.LengthPrefixed(fw.u32))
    decoder.decode(head[2:] if False else b"\0\1")
    assert decoder.detach() == b"\0\0\0\1"


def test_a_large_frame_fed_whole_and_not_taken_stays_in_front(backend: Any) -> None:
    data = b"\0\0\x20\0" + b"x" * 0x2000 + b"\0\0\0\1y"
    for last in ("detach", "switch"):
        decoder = fw.LengthPrefixed(fw.u32).decoder()
        assert decoder.decode(data[:2000]) == []
        decoder.feed(data[2000:])
        if last == "detach":
            assert decoder.detach() == data
        else:
            decoder.switch(fw.LengthPrefixed(fw.u32, strip=False))
            assert decoder.decode() == [data[:-5], data[-5:]]


def test_switch_while_skipping_is_refused(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8, max_frame=3, on_too_large="skip").decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"\5ab")
    with pytest.raises(ValueError, match="skipped"):
        decoder.switch(fw.Lines())


def test_limit(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8).decoder()
    data = b"".join(b"\1" + bytes([i]) for i in range(100))
    assert decoder.decode(data, limit=3) == [b"\0", b"\1", b"\2"]
    assert decoder.decode(b"", 1) == [b"\3"]
    assert (decoder.offset, decoder.buffered, decoder.needed) == (8, 192, 0)
    assert len(decoder.decode()) == 96
    for limit in (0, -1):
        with pytest.raises(ValueError, match="limit"):
            decoder.decode(b"", limit)


# --- receiving in place, the caller's buffer, views ----------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_receiving_in_place(name: str, backend: Any) -> None:
    framing, _ = CATALOGUE[name]
    data = stream_of(name, 700)
    rng = random.Random(5)
    decoder, frames, at = framing.decoder(), [], 0
    while at < len(data):
        view = decoder.get_buffer(rng.choice([-1, 1, 10, 300]))
        assert not view.readonly and len(view) >= 1
        size = min(len(view), rng.choice([1, 2, 50]), len(data) - at)
        view[:size] = data[at : at + size]
        decoder.buffer_updated(size)
        at += size
        frames += decoder.decode()
    assert frames + decoder.feed_eof() == run(framing, [data])[0]


def test_get_buffer_gives_what_is_asked_for(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u32).decoder()
    for size in (1, 1000, 100_000):
        assert len(decoder.get_buffer(size)) >= size
    assert len(decoder.get_buffer()) >= 65536
    with pytest.raises(ValueError, match="buffer_updated"):
        decoder.buffer_updated(1 << 30)
    with pytest.raises(ValueError, match="buffer_updated"):
        decoder.buffer_updated(-1)


def test_a_kept_receive_buffer_is_harmless(backend: Any) -> None:
    """asyncio still holds the view while buffer_updated runs, and some callers hold it for ever."""
    decoder = fw.LengthPrefixed(fw.u32, max_frame=None).decoder()
    kept = []
    data = fw.LengthPrefixed(fw.u32, max_frame=None).encode_many([b"a" * 70_000, b"b" * 200_000, b"c"])
    frames, at = [], 0
    while at < len(data):
        view = decoder.get_buffer()
        kept.append(memoryview(view))
        size = min(len(view), len(data) - at)
        view[:size] = data[at : at + size]
        decoder.buffer_updated(size)
        at += size
        frames += decoder.decode()
    assert frames == [b"a" * 70_000, b"b" * 200_000, b"c"]
    assert b"".join(bytes(view[:1]) for view in kept)


def test_the_callers_buffer(backend: Any) -> None:
    own = bytearray(64)
    decoder = fw.LengthPrefixed(fw.u16).decoder(own)
    with pytest.raises(BufferError):
        own.append(0)
    assert decoder.decode(b"\0\5he") == []
    assert own[:4] == b"\0\5he"
    assert decoder.decode(b"llo\0\1") == [b"hello"]
    with pytest.raises(fw.FrameTooLarge) as caught:
        fw.LengthPrefixed(fw.u16).decoder(bytearray(64)).decode(b"\0\x3f")
    assert caught.value.limit == 62
    with pytest.raises(BufferError, match="65 bytes do not fit"):
        fw.LengthPrefixed(fw.u16).decoder(bytearray(64)).decode(bytes(65))
    with pytest.raises(fw.DeclarationError, match="buffer"):
        fw.LengthPrefixed(fw.u32).decoder(bytearray(4))
    with pytest.raises(TypeError, match="bytearray"):
        fw.LengthPrefixed(fw.u32).decoder(bytes(64))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_the_callers_buffer_holds_the_largest_frame(name: str, backend: Any) -> None:
    framing, _ = CATALOGUE[name]
    data = stream_of(name, 600)
    own = bytearray(450)
    decoder, frames, at = framing.decoder(own), [], 0
    while at < len(data):
        view = decoder.get_buffer(7)
        size = min(len(view), len(data) - at, 7)
        view[:size] = data[at : at + size]
        decoder.buffer_updated(size)
        at += size
        frames += decoder.decode()
    assert frames + decoder.feed_eof() == run(framing, [data])[0]


def test_views_are_released_at_the_next_call(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8).decoder()
    data = b"\3abc\2de\1"
    views = decoder.decode_views(data)
    assert [bytes(view) for view in views] == [b"abc", b"de"]
    assert all(view.readonly for view in views)
    assert decoder.decode(b"f") == [b"f"]
    for view in views:
        with pytest.raises(ValueError, match="released"):
            bytes(view)


def test_a_view_exported_again_is_never_overwritten(backend: Any) -> None:
    for size in (3, 5000):
        framing = fw.LengthPrefixed(fw.u32)
        decoder = framing.decoder()
        kept, expected = [], []
        rng = random.Random(size)
        for i in range(200):
            body = bytes([i]) * size
            data = framing.encode(body)
            edge = rng.randrange(len(data))
            for chunk in (data[:edge], data[edge:]):
                for view in decoder.decode_views(chunk):
                    kept.append(memoryview(view))
                    expected.append(body)
        assert [bytes(view) for view in kept] == expected


def test_next_view(backend: Any) -> None:
    decoder = fw.Lines().decoder()
    decoder.feed(b"one\ntwo\n")
    first = decoder.next_view()
    assert first is not None and bytes(first) == b"one"
    second = decoder.next_view()
    assert second is not None and bytes(second) == b"two"
    with pytest.raises(ValueError):
        bytes(first)
    assert decoder.next_view() is None


# --- the rest ------------------------------------------------------------------------------------------


def test_any_buffer_goes_in(backend: Any, tmp_path: Any) -> None:
    import array
    import mmap

    data = b"\0\3abc\0\2de" + b"\0\1f"
    path = tmp_path / "stream"
    path.write_bytes(data)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for source in (
            bytearray(data),
            memoryview(data),
            array.array("B", data),
            mapped,
            array.array("I", data),
        ):
            decoder = fw.LengthPrefixed(fw.u16).decoder()
            assert decoder.decode(source) == [b"abc", b"de", b"f"]
            assert fw.LengthPrefixed(fw.u16).encode(source)[2:] == data


@pytest.mark.parametrize("name", NAMES)
def test_any_buffer_goes_into_every_framing(name: str, backend: Any) -> None:
    framing, _ = CATALOGUE[name]
    data = stream_of(name, 200)
    expected = framing.decoder().decode(data)
    for source in (bytearray(data), memoryview(data)):
        assert framing.decoder().decode(source) == expected
        assert [bytes(view) for view in framing.decoder().decode_views(source)] == expected


def test_custom_split_contract(backend: Any) -> None:
    seen = []

    def split(view: memoryview, scanned: int, eof: bool) -> Any:
        seen.append((bytes(view), scanned, eof))
        return None if not eof else (0, len(view), len(view))

    decoder = fw.Custom(split).decoder()
    assert decoder.decode(b"ab") == [] and decoder.decode(b"c") == []
    assert decoder.feed_eof() == [b"abc"]
    assert seen == [(b"ab", 0, False), (b"abc", 2, False), (b"abc", 3, True)]


@pytest.mark.parametrize(
    "answer", [0, -1, True, "x", (0, 0, 0), (2, 1, 3), (0, 9, 9), (0, 1), (0, 1.0, 1), (0, 0, True)]
)
def test_custom_without_progress_is_an_error(answer: Any, backend: Any) -> None:
    decoder = fw.Custom(lambda view, scanned, eof: answer).decoder()
    with pytest.raises(fw.DeclarationError, match="split returned") as caught:
        decoder.decode(b"abc")
    assert decoder.error is caught.value


def test_custom_errors(backend: Any) -> None:
    def split(view: memoryview, scanned: int, eof: bool) -> Any:
        if view[0] == 33:
            raise fw.MalformedFrame("no bangs")
        if view[0] == 63:
            raise KeyError("what?")
        return 0, 1, 1

    decoder = fw.Custom(split).decoder()
    assert decoder.decode(b"ab?c") == [b"a", b"b"]
    for _ in range(2):
        with pytest.raises(KeyError):
            decoder.decode()
    decoder = fw.Custom(split).decoder()
    assert decoder.decode(b"ab!c") == [b"a", b"b"]
    with pytest.raises(fw.MalformedFrame, match="no bangs") as caught:
        decoder.decode()
    assert (caught.value.offset, caught.value.frame_index) == (2, 2)


def test_custom_cannot_use_its_own_decoder(backend: Any) -> None:
    def split(view: memoryview, scanned: int, eof: bool) -> Any:
        decoder.decode(b"again")

    decoder = fw.Custom(split).decoder()
    for _ in range(2):
        with pytest.raises(fw.ConcurrencyError):
            decoder.decode(b"x")


def test_custom_limit(backend: Any) -> None:
    decoder = fw.Custom(lambda view, scanned, eof: None, max_frame=10).decoder()
    assert decoder.decode(bytes(9)) == []
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"x")
    with pytest.raises(fw.FrameTooLarge):
        fw.Custom(lambda view, scanned, eof: (0, 11, 11), max_frame=10).decoder().decode(bytes(11))


def test_a_million_empty_frames(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8).decoder()
    assert sum(len(decoder.decode(bytes(10_000))) for _ in range(100)) == 1_000_000
    assert decoder.buffered == 0


def test_repr_says_where_the_stream_stands(backend: Any) -> None:
    decoder = fw.LengthPrefixed(fw.u8).decoder()
    decoder.decode(b"\1a\5b")
    assert repr(decoder) == "<Decoder: 1 frames, offset 2, buffered 2>"
