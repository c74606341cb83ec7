"""Recorded traffic of real software is cut into the frames that others see in it, on both backends.

The judge is the sidecar: hashes and places of frames as tshark and the software's own parsers gave them.
"""

from __future__ import annotations

import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from framewire import FixedLength, LengthPrefixed, Netstring, u16, u32
from framewire._backend import Backend
from framewire.cli.captures import FRAMINGS, WAYS, Capture, load

FOLDER = Path(__file__).parent / "captures"
CAPTURES, UNCOVERED = load(FOLDER)
SEED = random.randrange(1, 1 << 32)


def slices(capture: Capture) -> list[list[bytes]]:
    """For each frame what may be delivered: the payload or the whole frame, as the sidecar places them."""
    whole = [(frame["at"], frame["size"]) for frame in capture.frames]
    inner = [(frame["payload_at"], frame["payload_size"]) for frame in capture.frames]
    return [[capture.data[at : at + size] for at, size in pair] for pair in zip(inner, whole)]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_stream(capture: Capture, backend: Backend) -> None:
    sidecar = json.loads((FOLDER / f"{capture.name}.json").read_text("utf-8"))
    assert sha256(capture.data).hexdigest() == sidecar["sha256"]
    expected = capture.expected
    assert len(expected) == sidecar["frame_count"]
    for way in WAYS:
        print(f"{way}, seed {SEED}")
        decoder = capture.framing.decoder()
        frames: list[bytes] = []
        for piece in capture.pieces(way, SEED):
            frames += decoder.decode(piece)
        assert decoder.feed_eof() == []
        assert decoder.error is None
        assert decoder.offset == len(capture.data)
        assert decoder.buffered == 0
        shown = capture.recorded(frames, capture.framing.encoder())
        assert [sha256(frame).hexdigest() for frame in shown] == expected
        assert all(frame in either for frame, either in zip(shown, slices(capture)))
    encoder = capture.framing.encoder()
    assert encoder.encode_many(frames) == capture.data
    encoder = capture.framing.encoder()
    assert b"".join(encoder.encode(frame) for frame in frames) == capture.data


@pytest.mark.parametrize("way", WAYS)
def test_pieces_are_the_stream(way: str) -> None:
    most = 0
    for capture in CAPTURES:
        pieces = list(capture.pieces(way, SEED))
        most = max(most, len(pieces))
        assert b"".join(pieces) == capture.data
        assert all(pieces)
        if way == "byte by byte":
            assert len(pieces) == len(capture.data)
    assert (most == 1) == (way == "whole")


def test_what_is_covered() -> None:
    assert len(CAPTURES) == 112
    assert UNCOVERED == []
    names = {capture.name for capture in CAPTURES}
    assert all(any(name.startswith(prefix) for name in names) for prefix in FRAMINGS)


def changed(name: str, **changes: Any) -> Capture:
    """The capture of that name with some attributes replaced."""
    capture = next(one for one in load(FOLDER)[0] if one.name == name)
    for key, value in changes.items():
        setattr(capture, key, value)
    return capture


def test_check_finds_nothing(backend: Backend) -> None:
    assert [changed("dns_py_0.c2s").check(backend, way, 1) for way in WAYS] == [""] * 4


def test_check_finds_every_kind_of_difference(backend: Backend) -> None:
    good = changed("dns_py_0.c2s")
    one_bit = good.data[:700] + bytes([good.data[700] ^ 1]) + good.data[701:]
    assert "differs" in changed("dns_py_0.c2s", data=one_bit).check(backend, "whole", 1)
    assert "ended inside" in changed("dns_py_0.c2s", data=good.data[:-1]).check(backend, "whole", 1)
    missing = changed("dns_py_0.c2s", data=good.data[:-37]).check(backend, "whole", 1)
    assert missing == "59 frames, recorded were 60"
    assert "differs" in changed("dns_py_0.c2s", framing=FixedLength(37)).check(backend, "byte by byte", 1)
    assert "too large" in changed("dns_py_0.c2s", framing=LengthPrefixed(u32)).check(backend, "whole", 1)
    padded = b"00" + changed("twisted_net_0.c2s").data
    assert "zero" in changed("twisted_net_0.c2s", data=padded, framing=Netstring()).check(backend, "whole", 1)


def test_check_encodes_again(backend: Backend) -> None:
    """Free header bits are written as zero, so this stream does not come back."""
    framing = LengthPrefixed(u16, mask=0x0FFF, strip=True)
    capture = changed("dns_py_0.c2s", framing=framing, data=b"\x10\x02hi")
    capture.expected = [sha256(b"hi").hexdigest()]
    assert capture.check(backend, "whole", 1) == "encoding the frames gives other bytes"


def test_a_damaged_recording_is_no_success(tmp_path: Path, backend: Backend) -> None:
    for end in ("bin", "json"):
        (tmp_path / f"dns_py_0.c2s.{end}").write_bytes((FOLDER / f"dns_py_0.c2s.{end}").read_bytes())
    with (tmp_path / "dns_py_0.c2s.bin").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff")
    captures, uncovered = load(tmp_path)
    assert captures[0].check(backend, "whole", 1) == "the recording is damaged"
    assert uncovered == []
