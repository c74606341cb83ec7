"""Which framing does an unknown stream have? Whatever can be is tried, and ranked by what speaks for it.

The engine itself cuts the stream by each candidate, so a guess never disagrees with the framing that it
names; a candidate that the stream breaks is out. What remains earns evidence, in bits:

- A length field earns what it would cost to foresee its bytes without it, less what the length itself
  costs: one byte proves little, four prove much, and zeros in a run of zeros prove nothing.
- Trailers, magic, check sequences and escapes earn likewise; a mark that ends frames counts in text only.
- Frames that begin alike (a type byte, a version) earn what that saves.
- An end exactly at a frame's end earns the log2 of a frame's size; an open end halves everything.

"Foresee" means a model of byte pairs of this very stream that knows no frames. Parameters cost some bits,
so of declarations that cut alike the simplest comes first. Integer lengths have thousands of combinations:
a plain walk over the first frames leaves the few that hold. The constants below bound all work.
"""

from __future__ import annotations

from array import array
from collections import Counter
from math import log2
from typing import NamedTuple

from . import fields
from ._framing import (
    COBS_,
    COUNTED,
    CUSTOM,
    FIXED,
    FRAGMENTED,
    HDLC_,
    PREAMBLE,
    SCANNED,
    SLIP_,
    TAGGED,
    UNTIL_EOF,
    Framing,
)
from .errors import FramewireError
from .fields import digits, hexdigits, leb128
from .framings import Delimited, FixedLength, LengthPrefixed, Lines, Netstring
from .protocols import PRESETS
from .stuffed import COBS, HDLC, SLIP
from .text import Chunked, HeaderBlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal, TypeAlias

    from typing_extensions import Buffer

    Order: TypeAlias = Literal["big", "little"]

__all__ = ["FRAMES", "LEAST", "SEEN", "Guess", "guess"]

SEEN = 4 << 20  # bytes of the stream that count
FRAMES = 20_000  # frames that are cut
_JUDGED = 4096  # frames whose evidence is added up, evenly spread over the stream
LEAST = 3  # frames below which every length is a coincidence
_WALKED = 48  # frames that the walk over integer lengths looks at
_KEPT = 64  # integer lengths that are cut by the engine
_OFFSETS = range(13)
_AROUND = 32  # most bytes beside those that a length counts
_ALIKE = 4  # bytes at the start of frames whose regularity counts
_SAMPLE = 1 << 16  # bytes from which the model of the stream is made
_PRIOR = 50.0  # pairs of bytes that the model imagines, so that it does not learn a short stream by heart
_OPEN_END = 10.0  # bits that a stream costs which ends inside a frame
_NAMED = 4.0  # bits that the framing of a known protocol costs, as there are many
_FREE = 30.0  # bits that a framing of several costs
_DOUBT = 5.0  # bits that chance finds among so many candidates
_SHOWN = 10  # answers
_STUFFED = (SLIP_, HDLC_, COBS_)
_ORDERS: tuple[Order, ...] = ("big", "little")
_TEXT = bytes([9, 10, 13, 27, *range(32, 127), *range(128, 256)])


class Guess(NamedTuple):
    """One answer of `guess`: a framing and what speaks for it.

    `framing` cuts the stream; `frames` is how many frames it finds, `bits` the evidence (2**bits to one
    against chance), `rest` the bytes behind the last whole frame (0: it ends exactly). `also` are other
    framings that cut this stream at the same places, the simplest first, and `protocols` the names in
    `framewire.protocols` of those that do so.

    >>> guess(b"5:hello,2:hi,0:,")[0].framing
    Netstring()
    """

    framing: Framing
    frames: int
    bits: float
    rest: int
    also: tuple[Framing, ...]
    protocols: tuple[str, ...]


def guess(data: Buffer) -> list[Guess]:
    """The framings that could have made `data`, any buffer, the likeliest first; [] if none could.

    A stream of fewer than three frames proves nothing and has no answer. Two framings that cut at the same
    places are one answer. Thread-safe; raises TypeError for what is no buffer, nothing else.

    >>> import framewire as fw
    >>> stream = fw.LengthPrefixed(fw.u16, offset=1).encode_many([b"A\\0\\0hello", b"B\\0\\0", b"A\\0\\0you"])
    >>> guess(stream)[0].framing
    LengthPrefixed(u16, offset=1)
    """
    view = memoryview(data).cast("B")
    whole = len(view)
    stream = bytes(view[:SEEN])
    names: dict[Framing, list[str]] = {}
    for preset in PRESETS.values():
        for name, framing in preset.sides.items():
            names.setdefault(framing, []).append(name)
    tried: set[Framing] = set()
    found: dict[bytes, tuple[array[int], list[tuple[float, float, Framing]]]] = {}
    costs = _Costs(stream)
    for price, framing in [*_candidates(stream), *_named(names)]:
        if framing in tried:
            continue
        tried.add(framing)
        starts = _cut(framing, stream, whole)
        if starts is None:
            continue
        bits = _evidence(framing, stream, whole, starts, costs) - price
        if bits > _DOUBT:
            found.setdefault(starts.tobytes(), (starts, []))[1].append((price, -bits, framing))
    guesses = []
    for starts, answers in found.values():
        # The likeliest of them speaks for the cuts, the simplest names them.
        answers.sort(key=lambda answer: answer[:2])
        framing, *also = [framing for _, _, framing in answers]
        bits = -min(bits for _, bits, _ in answers)
        known = tuple(name for _, _, one in answers for name in names.get(one, ()))
        guesses.append(Guess(framing, len(starts) - 1, bits, whole - starts[-1], tuple(also), known))
    return sorted(guesses, key=lambda one: -one.bits)[:_SHOWN]


class _Costs:
    """What bytes cost in this stream, in bits, behind the byte before them: predictable ones little.

    A model of the stream that knows nothing of frames: what frames save beyond it speaks for them.
    """

    def __init__(self, data: bytes) -> None:
        sample = data[:_SAMPLE]
        self._single = [(sample.count(byte) + 1) / (len(sample) + 256) for byte in range(256)]
        self._pairs = Counter(zip(sample, sample[1:]))
        self._before = Counter(sample)

    def __call__(self, before: int, byte: int) -> float:
        pairs = self._pairs[before, byte] + _PRIOR * self._single[byte]
        return min(8.0, -log2(pairs / (self._before[before] + _PRIOR)))

    def of(self, data: bytes, start: int, stop: int) -> float:
        return sum(self(data[at - 1] if at else 0, data[at]) for at in range(start, stop))


def _candidates(data: bytes) -> Iterator[tuple[float, Framing]]:
    """What could be tried, each with its price in bits; integer lengths only where they hold for a while."""
    yield from _integers(data)
    for offset in range(5):
        price = 2.0 * offset
        yield price + 2, LengthPrefixed(leb128(max_bytes=4), offset=offset)
        for kind in ("varint", "vlq", "quicvarint"):
            yield price + 4, LengthPrefixed(fields.NAMED[kind], offset=offset)
    yield 1, LengthPrefixed(fields.NAMED["ber"], offset=1, magic=b"\x30", strip=False)
    yield 6, LengthPrefixed(fields.NAMED["ber"], offset=1)
    yield 6, LengthPrefixed(fields.NAMED["ber"])
    for count in range(1, 11):
        for counts in ("body", "frame"):
            yield 3, LengthPrefixed(digits(count), counts=counts)
            if count in (2, 4, 8):
                yield 3, LengthPrefixed(hexdigits(count), counts=counts)
    yield 1, Netstring()
    for end in (b" ", b":", b"\n", b"\r\n", b",", b"\0"):
        for trailer in (b"", b"\n", b"\r\n"):
            yield 3 + len(trailer), LengthPrefixed(digits(end=end), trailer=trailer)
    yield 2, Lines()
    yield 1, Delimited(b"\r\n")
    for mark in (
        b"\r\n",
        b"\0",
        b"\r",
        b"\x03",
        b"\x04",
        b"\x1e",
        b"\x01",
        b";",
        b"\n\n",
        b"\r\n\r\n",
        b"]]>]]>",
    ):
        yield 2, Delimited(mark)
    yield 2, HeaderBlock(strip=False)
    yield 4, HeaderBlock(start_line=True, missing="empty")
    for style in ("netconf", "http"):
        yield 2, Chunked(style, strip=False)
    yield 1, SLIP()
    for fcs in (None, 16, 32):
        yield 2, HDLC(fcs=fcs)
    yield 1, COBS()
    yield 3, COBS(reduced=True)
    for size in _periods(data):
        yield 8, FixedLength(size)


def _named(names: Iterable[Framing]) -> Iterator[tuple[float, Framing]]:
    """The framings of known protocols; one that may choose or begin otherwise pays for that freedom."""
    for framing in names:
        yield (_FREE if framing._plan[0] in (PREAMBLE, TAGGED) else _NAMED), framing


def _periods(data: bytes) -> list[int]:
    """The distances at which bytes repeat most often."""
    sample = data[:8192]
    if len(set(sample)) < 2:
        return []
    scores = []
    for size in range(2, min(512, len(data) // LEAST) + 1):
        if len(data) % size == 0:
            pairs = len(sample) - size
            if pairs > 0:
                ahead = int.from_bytes(sample[size:], "big") ^ int.from_bytes(sample[:pairs], "big")
                scores.append((ahead.to_bytes(pairs, "big").count(0) / pairs, -size))
    return [-size for _, size in sorted(scores, reverse=True)[:4]]


def _integers(data: bytes) -> list[tuple[float, Framing]]:
    """Framings by an integer of fixed width that cut the first frames of `data`, the likeliest first."""
    size = len(data)
    found = []
    for offset in _OFFSETS:
        for width in (1, 2, 3, 4, 8):
            end = offset + width
            for order in _ORDERS[: 1 + (width > 1)]:
                known: dict[int, int] = {}
                for around in range(_AROUND + 1):
                    at, bits = 0, 0.0
                    ends: list[int] = []
                    while len(ends) < _WALKED and at + end <= size:
                        value = known.get(at)
                        if value is None:
                            value = known[at] = int.from_bytes(data[at + offset : at + end], order)
                        if value + around < end or at + value + around > size:
                            break
                        bits += max(0.0, 8 * width - log2(size - at))
                        at += value + around
                        ends.append(at)
                    broken = len(ends) < _WALKED and at < size
                    if len(ends) < LEAST or (broken and at * 2 < size):
                        continue
                    price = 1.5 * offset + (0, 2, 4)[(around != end) + (around not in (0, offset, end))]
                    found.append((bits / len(ends) - price, price, offset, width, order, around, ends))
    found.sort(key=lambda one: -one[0])
    return [(one[1], _declared(data, *one[2:])) for one in found[:_KEPT]]


def _declared(data: bytes, offset: int, width: int, order: Order, around: int, ends: list[int]) -> Framing:
    """The plainest declaration of an integer at `offset` that says its size but for `around` bytes."""
    kind = fields.NAMED[f"u{8 * width}{'le' if order == 'little' else ''}"]
    more = around - offset - width
    if more == 0:
        return LengthPrefixed(kind, offset=offset)
    if around == 0:
        return LengthPrefixed(kind, offset=offset, counts="frame")
    if around == offset:
        return LengthPrefixed(kind, offset=offset, counts="field")
    if more < 0:
        return LengthPrefixed(kind, offset=offset, adjust=more)
    tails = {data[end - more : end] for end in ends}
    if more <= 4 and len(tails) == 1:
        return LengthPrefixed(kind, offset=offset, trailer=tails.pop())
    return LengthPrefixed(kind, offset=offset, header=around)


def _cut(framing: Framing, data: bytes, whole: int) -> array[int] | None:
    """Where frames begin, and where the last whole one ends; None if `framing` cannot have made `data`."""
    kind = framing._plan[0]
    if kind == SCANNED and data[:_SAMPLE].translate(None, _TEXT + framing._plan[6][0]):
        return None
    decoder = framing.replace(max_frame=None).decoder()
    starts = array("Q", [0])
    try:
        decoder.feed(data)
        while len(starts) <= FRAMES and decoder.next_frame() is not None:
            starts.append(decoder.offset)
    except FramewireError:
        return None
    open_end = starts[-1] < len(data) and not _unseen(starts, data, whole)
    if len(starts) <= LEAST or (open_end and (starts[-1] * 2 < len(data) or kind in _STUFFED)):
        return None
    return starts


def _unseen(starts: array[int], data: bytes, whole: int) -> bool:
    """Whether the end of the stream was out of sight, so that it speaks neither for nor against."""
    return len(starts) > FRAMES or len(data) < whole


def _width(spec: tuple[Any, ...], data: bytes, at: int) -> int:
    """How many bytes the length field at `at` takes."""
    kind, width = spec[:2]
    if kind in (fields.LEB128, fields.VLQ, fields.ZIGZAG, fields.SLEB128):
        end = at
        while data[end] & 0x80:
            end += 1
        return end + 1 - at
    if kind == fields.QUIC:
        return 1 << (data[at] >> 6)
    if kind == fields.BER:
        return 1 + (data[at] & 0x7F if data[at] & 0x80 else 0)
    if kind == fields.DIGITS_END:
        return data.index(spec[7], at) + len(spec[7]) - at
    return int(width)


def _evidence(framing: Framing, data: bytes, whole: int, starts: array[int], costs: _Costs) -> float:
    """The bits that speak for `framing`, which cuts `data` at `starts`."""
    frames = len(starts) - 1
    step = -(-frames // _JUDGED)
    proof = 0.0
    heads = []
    for number in range(0, frames, step):
        start, stop = starts[number], starts[number + 1]
        first, last = start, stop
        plan = _plan_at(framing._plan, data, start, number)
        kind = plan[0]
        if kind in (COUNTED, FRAGMENTED):
            earned, field, behind = _counted(plan, data, start, stop, costs)
            proof += earned
            # What stands beside the length: in front of it where anything does, else behind it.
            first, last = (start, min(stop, field)) if field > start else (behind, stop)
        elif kind == SCANNED:
            proof += _line_bits(plan[6][0], data[start:stop])
        elif kind in _STUFFED:
            proof += _stuffed(plan, data, start, stop)
        elif kind not in (FIXED, CUSTOM, UNTIL_EOF):
            proof += _grammar(framing, data[start:stop])
        heads.append(data[max(first - 1, 0) : min(first + _ALIKE, last)])
    ends, unseen = starts[-1] == len(data), _unseen(starts, data, whole)
    if not ends and proof <= 0:
        return 0.0
    bits = (max(proof, 0.0) + _regularity(heads, costs)) * step
    if unseen:
        return bits * len(data) / starts[-1]
    return bits + log2(len(data) / frames) if ends else bits / 2 * starts[-1] / len(data) - _OPEN_END


def _plan_at(plan: tuple[Any, ...], data: bytes, start: int, number: int) -> tuple[Any, ...]:
    """The plan that cut frame `number` at `start`, in a Preamble or below a tag."""
    while plan[0] in (PREAMBLE, TAGGED):
        if plan[0] == PREAMBLE:
            first, count, then = plan[5:8]
            plan, number = (first, 0) if number < count else (then, number - count)
        else:
            offset, mask, rows, default = plan[5:9]
            plan = dict(rows).get(data[start + offset] & mask, default)
    return plan


def _counted(
    plan: tuple[Any, ...], data: bytes, start: int, stop: int, costs: _Costs
) -> tuple[float, int, int]:
    """What the length of one frame proves, and where its field begins and ends."""
    (offset, lead, spec, _, _), magic, trailer = plan[7], plan[9], plan[-1]
    field = start + offset
    if lead is not None:
        field += _width(lead, data, field)
    width = _width(spec, data, field)
    foreseen = costs.of(data, field, field + width) - min(8.0 * width, log2(stop - start + 1) + 2)
    if spec[0] in (fields.DIGITS, fields.DIGITS_END, fields.HEXDIGITS):
        flat = 4.0 * (width - len(spec[7])) + 8 * len(spec[7])
    else:
        flat = max(0.0, 8 * width - log2(len(data) - field))
    earned = (foreseen + flat) / 2
    if not isinstance(trailer, int):
        earned += costs.of(data, stop - len(trailer), stop)
    earned += sum(costs.of(data, start + at, start + at + len(values[0])) for at, values in magic)
    return earned, field, field + width


def _line_bits(mark: bytes, line: bytes) -> int:
    """What one line proves: much against a mark among other bytes than text, something for one in text,
    and more where the mark is a control character, which does not get into text by itself."""
    if line.translate(None, _TEXT + mark):
        return -20
    if len(line) <= len(mark):
        return 0
    if mark[0] < 9 or 13 < mark[0] < 32:
        return 8
    return 4 if mark[-1:] in b"\r\n" else 0


def _stuffed(plan: tuple[Any, ...], data: bytes, start: int, stop: int) -> float:
    kind, option = plan[0], int(plan[6])
    size = log2(stop - start + 1) + 2.0
    if kind == SLIP_:
        return 6.0 * data.count(b"\xdb", start, stop) + 4 - size
    if kind == HDLC_:
        return 8.0 * option + 4 - size
    # The last chain of a reduced frame may end anywhere; that of a plain one must meet the zero.
    return -size if option else size - 2


def _grammar(framing: Framing, raw: bytes) -> float:
    """What one frame of a framing with a grammar of its own proves: each line end and separator in its place.
    Bytes that encoding would not write, noise above all, speak against it."""
    try:
        again = framing.encode_many(framing.decoder().decode(raw))
    except FramewireError:
        return -20.0
    if again != raw:
        return -20.0
    lines = raw.count(b"\r\n")
    # A single line is no more than that to any framing of lines.
    return 8.0 * lines - 4 if lines else 8.0 * (1 + raw.count(b"\1"))


def _regularity(heads: list[bytes], costs: _Costs) -> float:
    """What is saved by knowing that frames begin alike, over the first `_ALIKE` bytes."""
    gain = 0.0
    for place in range(_ALIKE):
        counts: dict[int, int] = {}
        saved = total = 0.0
        for head in heads:
            if place + 1 < len(head):
                byte = head[place + 1]
                cost = costs(head[place], byte)
                n = counts.get(byte, 0)
                saved += cost + log2((n + 1 / 64) / (total + 1 / 4))
                counts[byte] = int(n + 1)
                total += 1
        gain += max(0.0, saved)
    return gain
