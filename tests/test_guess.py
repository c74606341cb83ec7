"""`guess` against recorded streams, whose frames other software has judged, and against streams made here."""

from __future__ import annotations

import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import named
from hypothesis import given, settings
from hypothesis import strategies as st

import framewire as fw
from framewire import (
    COBS,
    HDLC,
    SLIP,
    Chunked,
    Delimited,
    FixedLength,
    HeaderBlock,
    LengthPrefixed,
    Lines,
    Netstring,
)
from framewire.cli.captures import load
from framewire.guess import FRAMES, SEEN, guess
from framewire.protocols import PRESETS

FOLDER = Path(__file__).parent / "captures"
# Two fixed halves, so that constants can be tuned on one and examined on the other.
HALVES = ("tune", "examine")


def half_of(name: str) -> str:
    return HALVES[sha256(name.encode()).digest()[0] & 1]


def single_framed() -> dict[str, tuple[bytes, list[int]]]:
    """Recordings of one phase, three frames or more and a declared framing: their data, and frames' ends."""
    declared = {capture.name for capture in load(FOLDER)[0]} | {"serial_slip_0.c2s", "serial_cobs_0.c2s"}
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        frames = json.loads(path.read_text("utf-8"))["frames"]
        if path.stem in declared and len(frames) >= 3 and len({frame["phase"] for frame in frames}) == 1:
            ends = [frame["at"] + frame["size"] for frame in frames]
            found[path.stem] = (path.with_suffix(".bin").read_bytes(), ends)
    return found


STREAMS = single_framed()


def cuts(framing: fw.Framing, data: bytes) -> list[int]:
    """The ends of the frames that `framing` finds in `data`."""
    decoder = framing.decoder()
    decoder.feed(data)
    ends = []
    while decoder.next_frame() is not None:
        ends.append(decoder.offset)
    return ends


def rank(data: bytes, ends: list[int]) -> int:
    """The place of the first answer that cuts as the judges do; 0 if there is none."""
    for place, answer in enumerate(guess(data), 1):
        if cuts(answer.framing, data) == ends:
            return place
    return 0


def test_recorded_streams(capsys: pytest.CaptureFixture[str]) -> None:
    ranks: dict[str, dict[str, int]] = {half: {} for half in HALVES}
    for name, (data, ends) in STREAMS.items():
        ranks[half_of(name)][name] = rank(data, ends)
    with capsys.disabled():
        print()
        for half, places in ranks.items():
            first = sum(place == 1 for place in places.values())
            top = sum(1 <= place <= 3 for place in places.values())
            wrong = {name: place for name, place in places.items() if place != 1}
            print(f"  guess, {half}: {first} first, {top} in three, of {len(places)}; not first: {wrong}")
    for half, places in ranks.items():
        assert len(places) >= 25
        assert sum(place == 1 for place in places.values()) >= 0.85 * len(places), half
        assert sum(1 <= place <= 3 for place in places.values()) >= 0.95 * len(places), half


def test_all_single_framed_recordings_are_judged() -> None:
    assert len(STREAMS) >= 66


# --- streams made here --------------------------------------------------------------------------------------

WORDS = b"the quick brown fox jumps over a lazy dog and runs away from it".split()


def texts(seed: int, count: int = 60) -> list[bytes]:
    choice = random.Random(seed)
    return [b" ".join(choice.choices(WORDS, k=choice.randrange(1, 40))) for _ in range(count)]


def binary(seed: int, count: int = 60) -> list[bytes]:
    choice = random.Random(seed)
    return [choice.randbytes(choice.randrange(1, 300)) for _ in range(count)]


WHOLE = {
    "u32,offset=1": lambda b: b"T" + bytes(4) + b,
    "u16le,offset=2,header=6": lambda b: b"\x01\x02\0\0\0\0" + b,
    "leb128:4,offset=1": lambda b: b"\x30\0" + b,
    "u32,offset=3,trailer=\\xce": lambda b: b"\1\0\1" + bytes(4) + b + b"\xce",
    "u32,offset=1,counts=field": lambda b: b"D" + bytes(4) + b,
    "u32le,counts=frame": lambda b: bytes(4) + b,
    "ber,offset=1,magic=0,strip=false": lambda b: b"0\0" + b,
}


@pytest.mark.parametrize(
    "text",
    ["u32", "u32le", "u16", "u16le", "u24", "u64", "digits:5", "digits,end=\\x20", "hexdigits:4", "netstring",
     "slip", "hdlc,fcs=16", "hdlc,fcs=32", "cobs", "digits:4,counts=frame", *WHOLE],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_streams_made_here(text: str, kind: str) -> None:
    framing = fw.framing(text)
    messages = texts(1) if kind == "text" else binary(1)
    wire = framing.encode_many(map(WHOLE.get(text, bytes), messages))
    answer = guess(wire)[0]
    assert cuts(answer.framing, wire) == cuts(framing, wire)
    assert (answer.frames, answer.rest) == (60, 0)
    assert answer.bits > (5 if text == "slip" else 20), "stuffed text that holds no mark proves little"


@pytest.mark.parametrize(
    "framing", [Lines(), Delimited(b"\r\n"), Delimited(b"\0"), Delimited(b"\x1e")], ids=named
)
def test_lines_of_text(framing: fw.Framing) -> None:
    wire = framing.encode_many(texts(2))
    answer = guess(wire)[0]
    assert cuts(answer.framing, wire) == cuts(framing, wire)


def test_header_blocks_and_chunks() -> None:
    for framing in (HeaderBlock(), Chunked("netconf"), Chunked("http")):
        for messages in (texts(8), binary(8)):
            wire = framing.encode_many(messages)
            assert cuts(guess(wire)[0].framing, wire) == cuts(framing, wire), framing


def test_fixed_records() -> None:
    choice = random.Random(3)
    wire = b"".join(b"RECD" + choice.randbytes(2) + bytes(4) + choice.randbytes(3) for _ in range(200))
    answer = guess(wire)[0]
    assert cuts(answer.framing, wire) == cuts(FixedLength(13), wire)


def test_the_answer_says_what_it_is() -> None:
    stream = LengthPrefixed(fw.u16).encode_many(texts(4))
    best, *others = guess(stream)
    assert best.framing == LengthPrefixed(fw.u16)
    assert "dns" in best.protocols and set(best.protocols) <= {n for r in PRESETS.values() for n in r.sides}
    assert all(cuts(one, stream) == cuts(best.framing, stream) for one in best.also)
    assert best.framing not in best.also
    assert [one.bits for one in others] == sorted((one.bits for one in others), reverse=True)
    places = [tuple(cuts(one.framing, stream)) for one in (best, *others)]
    assert len(set(places)) == len(places), "what cuts alike is one answer"


def test_a_cut_off_end_is_left_over() -> None:
    stream = LengthPrefixed(fw.u32).encode_many(binary(5))
    best = guess(stream[:-5])[0]
    assert str(best.framing) == "u32" and best.frames == 59
    assert best.rest == len(stream) - 5 - cuts(best.framing, stream[:-5])[-1] > 0


def test_bodies_that_repeat_are_no_frames() -> None:
    stream = LengthPrefixed(fw.u32).encode_many([b"hello world" * n for n in range(500)])
    assert guess(stream)[0].framing == LengthPrefixed(fw.u32)


def test_two_frames_prove_nothing() -> None:
    assert guess(b"") == guess(b"x") == guess(b"hello\nworld\n") == []
    assert guess(b"hello\nworld\nagain\n")[0].framing == Lines()


def test_noise_is_no_stream() -> None:
    """What chance finds in noise has few bits: far less than any frame's worth of real evidence."""
    choice = random.Random(6)
    best = [max((one.bits for one in guess(choice.randbytes(4000))), default=0) for _ in range(10)]
    assert max(best) < 40


@settings(max_examples=60)
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    for answer in guess(data):
        assert answer.frames >= 3 and 0 <= answer.rest < len(data) and answer.bits > 0
        assert sum(1 for _ in cuts(answer.framing, data)) == answer.frames


MANY = 2 * FRAMES
MARKS = [b"\0", b"\xff", b"\n", b"0", b"9", b"\x80", b"\xc0", b"~}", b"0\x84", b" ", b":"]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(MARKS), max_size=300).map(b"".join))
def test_any_marks(data: bytes) -> None:
    for answer in guess(data):
        assert answer.frames >= 3


@pytest.mark.parametrize(
    "data",
    [bytes(MANY), b"\n" * MANY, b"\xff" * MANY, b"~a" * MANY, b"1" * MANY, b"0:," * MANY, b"\1\0" * MANY],
    ids=["zeros", "newlines", "ff", "flags", "ones", "netstrings", "cobs"],
)
def test_hostile_streams_take_bounded_work(data: bytes) -> None:
    for answer in guess(data):
        assert 3 <= answer.frames <= FRAMES


def test_a_long_stream_is_judged_by_its_beginning() -> None:
    line = b"something that is said again and again\n"
    best = guess(line * (2 * SEEN // len(line)))[0]
    assert cuts(best.framing, line * 5) == cuts(Lines(), line * 5)
    assert best.frames == FRAMES and best.rest > SEEN // 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(kind: Any) -> None:
    assert guess(kind(b"5:hello,2:hi,0:,"))[0].framing == Netstring()


def test_what_is_no_buffer() -> None:
    for wrong in ("text", None, 5):
        with pytest.raises(TypeError):
            guess(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        guess(memoryview(b"abcdef")[::2])


def test_serial_framings_need_their_proof() -> None:
    messages = [b"\xc0\xdb" + one for one in binary(7, 20)]
    for framing in (SLIP(), HDLC(fcs=16), COBS()):
        wire = framing.encode_many(messages)
        assert guess(wire)[0].framing == framing
        assert all(not isinstance(one.framing, type(framing)) for one in guess(wire[1:] + b"\xff" * 3))
