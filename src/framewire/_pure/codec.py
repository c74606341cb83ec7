"""The Decoder in Python: the twin of _native/codec, and the one to read first.

Bytes not yet delivered stand in one place, the region [start, end) of `source`, which is a block of our own
(a bytearray that is never resized), the caller's bytearray, or a bytes object that was fed. While data is
given to decode(), whole frames are cut from it in place and only the unfinished tail is kept.
`offset` moves with every byte that is delivered or discarded. Faults are set once and raised by every later
call (`fault`); the error of a skipped frame is raised once (`pending`), after the frames before it.
"""

from __future__ import annotations

import sys

from .. import errors
from .encoder import Encoder, flat, size_of
from .plan import CUSTOM, PREAMBLE, TAGGED, TOO_LARGE, UNTIL_EOF, Fault, Leaf, Unfinished, compile_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, SupportsIndex

    from typing_extensions import Buffer

    from .plan import Bytes

__all__ = ["Decoder", "Encoder"]

BLOCK = 65536  # room for one receive, and the most that an idle decoder keeps
_NO_CAP = sys.maxsize


class Decoder:
    """Cuts one stream into frames, whatever pieces it arrives in. Made by `framing.decoder()`.

    Sans-IO: it never waits and knows no socket. One thread at a time may use it. Frames completed before a
    fault are returned first; then `error` is set and every later call raises it. `limit=` bounds the number
    of frames a call returns; what is not cut stays buffered.

    >>> import framewire as fw
    >>> decoder = fw.LengthPrefixed(fw.u16).decoder()
    >>> decoder.decode(b"\\0\\3one\\0\\3tw")
    [b'one']
    >>> decoder.needed, decoder.buffered, decoder.offset
    (1, 4, 5)
    >>> decoder.decode(b"o")
    [b'two']
    """

    def __init__(
        self, plan: tuple[Any, ...], buffer: bytearray | None = None, offset: int = 0, index: int = 0
    ) -> None:
        if buffer is not None and not isinstance(buffer, bytearray):
            raise TypeError(f"buffer must be a bytearray, not {type(buffer).__name__}")
        self._fixed = buffer is not None
        # The export keeps the caller from resizing his buffer while it is ours.
        self._hold = None if buffer is None else memoryview(buffer)
        self._block = buffer
        self._lent: list[memoryview] = []
        self._granted = 0
        self._need = self._skipping = 0
        self._scanned: Any = 0
        self._position, self._index = offset, index
        self._more = self._sure = self._discarding = False
        self._eof = self._finished = self._busy = self._detached = False
        self._fault: Exception | None = None
        self._pending: Exception | None = None
        self._last: Leaf | None = None
        self._start = self._end = 0
        self._source: bytes | bytearray = b""
        self._begin(plan)
        self._rest()

    def __reduce__(self) -> NoReturn:
        raise errors.uncopyable(self)

    def __repr__(self) -> str:
        return f"<Decoder: {self._index} frames, offset {self._position}, buffered {self.buffered}>"

    # --- phases and places -------------------------------------------------------------------------

    def _begin(self, plan: tuple[Any, ...]) -> None:
        """Start cutting by `plan`, at a frame's first byte."""
        self._then: tuple[Any, ...] | None = None
        self._phase_left = -1
        if plan[0] == PREAMBLE:
            plan, self._phase_left, self._then = plan[5:]
        self._leaf = compile_plan(plan)
        # split sees the region, and the caller's own buffer is to be used: nothing is cut elsewhere then.
        self._by_region = self._fixed or plan[0] == CUSTOM or _ends_custom(self._then)
        self._scanned = 0
        self._last = None
        self._more = False

    def _count(self, frames: int) -> None:
        """`frames` more have been delivered or skipped."""
        self._index += frames
        if self._phase_left > 0:
            self._phase_left -= frames
            if self._phase_left == 0:
                assert self._then is not None
                self._begin(self._then)

    def _rest(self) -> None:
        """The region is empty: it is nowhere, or at the start of the block."""
        self._start = self._end = 0
        if self._block is not None and len(self._block) > BLOCK and not self._fixed:
            self._block = None
        self._source = b"" if self._block is None else self._block

    def _room(self, more: int) -> bytearray:
        """The block, made to hold the region with `more` bytes of room behind it."""
        block, live = self._block, self._end - self._start
        if block is not None and block is self._source and len(block) - self._end >= more:
            return block
        if block is None:
            block = bytearray(max(512, live + more))
        elif len(block) - live < more or not (
            self._fixed or self._start >= live or block is not self._source
        ):
            if self._fixed:
                raise errors.buffer_full(live + more, len(block))
            try:
                while len(block) - live < more:
                    block *= 2
            except BufferError:  # someone still holds a view that get_buffer gave him
                block = bytearray(2 * (live + more))
        block[:live] = self._source[self._start : self._end]
        self._block = self._source = block
        self._start, self._end = 0, live
        return block

    def _store(self, data: Bytes) -> None:
        """Append bytes to the region."""
        size = len(data)
        if size:
            block = self._room(size)
            block[self._end : self._end + size] = data
            self._end += size

    # --- cutting -----------------------------------------------------------------------------------

    def _cut(self, data: Bytes, at: int, size: int, out: list[Any], cap: int, views: bool) -> int:
        """Cut frames from data[at:size] until `out` holds `cap`; where the cutting stopped. Afterwards
        `more` says that bytes are missing, `sure` that nothing happens before all `need` of them are there;
        a fault is in `fault` or `pending`."""
        self._more = False
        while len(out) < cap:
            leaf = self._leaf
            if leaf.kind == CUSTOM:
                return self._cut_custom(at, out, cap, views)
            if not views and leaf.loop is not None and type(data) is bytes:
                before, first = len(out), at
                most = cap - before if self._phase_left < 0 else min(cap - before, self._phase_left)
                at = leaf.loop(data, at, size, self._scanned, out, most)
                if at != first:
                    self._scanned = 0
                    self._position += at - first
                    self._count(len(out) - before)
                    if leaf is not self._leaf:
                        continue
                    if len(out) >= cap:
                        break
            try:
                if leaf.kind == TAGGED:
                    self._last = None
                    part = leaf.choose(data, at, size)  # type: ignore[attr-defined]
                    if type(part) is int:
                        self._need, self._more, self._sure = part, True, False
                        return at
                    leaf = part
                self._last = leaf
                found = leaf.cut(data, at, size, self._scanned)
            except Fault as fault:
                at += fault.skip
                self._position += fault.skip
                self._fail(fault, data, at)
                return at
            if type(found) is tuple and len(found) == 2:
                at += found[0]
                self._position += found[0]
                found = found[1]
                self._scanned = 0
            if isinstance(found, Unfinished):
                at += found.fill
                self._position += found.fill
                self._need, self._more, self._sure = abs(found.need), True, found.need > 0
                self._scanned = found.seen
                return at
            if type(found) is int:
                self._need, self._more, self._sure = abs(found), True, found > 0
                self._scanned = size - at if leaf.longest else 0
                return at
            whole: Any = found
            start, stop, after = whole
            if leaf.joins:
                frame: bytes = leaf.extract(bytes(data[start:stop]))
                out.append(self._lend(frame, 0, len(frame)) if views else frame)
            else:
                out.append(self._lend(data, start, stop) if views else bytes(data[start:stop]))
            self._scanned = 0
            self._position += after - at
            at = after
            self._count(1)
        return at

    def _cut_custom(self, at: int, out: list[Any], cap: int, views: bool) -> int:
        """The same for Custom, whose bytes are always in the region."""
        while len(out) < cap:
            leaf = self._leaf
            if leaf.kind != CUSTOM:
                return self._cut(self._source, at, self._end, out, cap, views)
            self._start = at
            if at == self._end:
                self._need, self._more, self._sure = 1, True, False
                return at
            try:
                answer = self._ask_split()
            except errors.DecodeError as error:
                error.offset = self._position
                error.frame_index = self._index
                self._fault = error
                return at
            except errors.DeclarationError as error:
                self._fault = error
                return at
            except Exception as error:
                self._pending = error
                return at
            if not isinstance(answer, tuple):
                self._scanned = self._end - at
                self._need = 1 if answer is None else answer
                if self._end - at >= leaf.limit:
                    self._custom_too_large()
                else:
                    self._more, self._sure = True, False
                return at
            start, stop, consumed = answer
            if consumed > leaf.limit:
                self._custom_too_large()
                return at
            frame = at + start, at + stop
            out.append(self._lend(self._source, *frame) if views else bytes(self._source[slice(*frame)]))
            at += consumed
            self._position += consumed
            self._scanned = 0
            self._count(1)
        return at

    def _ask_split(self) -> tuple[int, int, int] | int | None:
        """What split says about the region, checked."""
        size = self._end - self._start
        view = memoryview(self._source)[self._start : self._end].toreadonly()
        self._busy = True
        try:
            answer = self._leaf.split(view, self._scanned, self._eof)
        finally:
            self._busy = False
            _release(view)
        if answer is None:
            return None
        if isinstance(answer, int) and not isinstance(answer, bool):
            if 1 <= answer < 1 << 63:
                return answer
        elif isinstance(answer, tuple) and len(answer) == 3 and all(type(x) is int for x in answer):
            start, stop, consumed = answer
            if 0 <= start <= stop <= consumed <= size and consumed >= 1:
                return answer
        raise errors.no_progress(answer, size)

    def _custom_too_large(self) -> None:
        self._fault = errors.too_large(None, self._leaf.limit, b"", self._position, self._index, False)

    def _fail(self, fault: Fault, data: Bytes, at: int) -> None:
        """Make the error for the frame at data[at:] and, if it can be skipped, begin to."""
        scanned = fault.code == TOO_LARGE and fault.size is None
        head = b"" if scanned else bytes(data[at : at + fault.proof])
        if fault.code != TOO_LARGE:
            recoverable = fault.recover > 0
            error: Exception = errors.malformed(
                fault.code, fault.value, head, self._position, self._index, recoverable
            )
            if recoverable:
                self._pending, self._skipping, self._scanned = error, fault.recover, 0
            else:
                self._fault = error
            return
        leaf = self._last
        assert leaf is not None
        error = errors.too_large(fault.size, leaf.limit, head, self._position, self._index, leaf.skip == 1)
        if leaf.skip != 1:
            self._fault = error
            return
        self._pending = error
        self._skipping = 0 if scanned else fault.end
        self._discarding = scanned
        self._scanned = 0

    def _pass_over(self, size: int) -> int:
        """Discard up to `size` bytes of an oversized frame of known length; how many."""
        gone = min(size, self._skipping)
        self._skipping -= gone
        self._position += gone
        if not self._skipping:
            self._scanned = 0
            self._count(1)
        return gone

    def _swallow(self) -> None:
        """Discard what is in the region of an oversized frame."""
        live = self._end - self._start
        leaf: Any = self._last
        if self._skipping:
            self._start += self._pass_over(live)
        else:
            gone, done, self._scanned = leaf.discard(self._source, self._start, self._end, self._scanned)
            self._start += gone
            self._position += gone
            if done:
                self._discarding = False
                self._scanned = 0
                self._count(1)
        if self._start == self._end:
            self._rest()

    def _discard(self, data: Bytes) -> Bytes:
        """Look for the end of the frame that is being discarded in `data`; what is behind the search."""
        at = 0
        while self._discarding and at < len(data):
            self._store(data[at : at + BLOCK])
            self._swallow()
            at += BLOCK
        return data[at:]

    def _drain(self, out: list[Any], cap: int, views: bool) -> None:
        """Cut what is buffered."""
        if self._skipping or self._discarding:
            self._swallow()
            if self._skipping or self._discarding:
                self._more = True
                return
        if self._end == self._start:
            self._more = True
            return
        source = self._source
        if views or self._by_region or type(source) is bytes:
            self._start = self._cut(source, self._start, self._end, out, cap, views)
        else:
            # One frame from the block as it is; if there is one, the rest from an immutable copy, whose
            # slices are frames already. So a frame that comes in many pieces is copied only once whole.
            self._start = self._cut(source, self._start, self._end, out, len(out) + 1, False)
            if not self._more and len(out) < cap and not self._fault and not self._pending:
                start = self._start
                rest = bytes(memoryview(source)[start : self._end])
                self._start = start + self._cut(rest, 0, len(rest), out, cap, False)
        if self._pending and (self._skipping or self._discarding):
            self._swallow()  # type: ignore[unreachable]  # as in _run
        if self._start == self._end:
            self._rest()

    def _run(self, data: Bytes, out: list[Any], cap: int, views: bool) -> None:
        """Take `data` and put frames into `out`, at most `cap`."""
        size = len(data)
        if size and self._eof:
            raise ValueError("feed_eof() was called: the stream has ended")
        if self._end == self._start and not (
            self._pending or self._by_region or self._skipping or self._discarding
        ):
            at = self._cut(data, 0, size, out, cap, views) if size else 0
            if at < size:
                self._store(data[at:])
            if self._pending and (self._skipping or self._discarding):
                self._swallow()  # type: ignore[unreachable]  # mypy does not see what _cut changes
        else:
            waits = self._more and self._sure and size < self._need
            waits = waits and not (self._skipping or self._discarding)
            if not self._pending and self._end > self._start and not waits:
                # Frames that were left uncut come before the new bytes, and free their room.
                if self._by_region:
                    self._store(data)
                    size = 0
                self._drain(out, cap, views)
            if size and self._fault is None:
                if self._discarding:
                    data = self._discard(data)
                elif self._skipping:
                    data = data[self._pass_over(size) :]
                self._store(data)
                if waits and self._more:
                    self._need -= size
                elif not self._failed() and len(out) < cap:
                    self._drain(out, cap, views)
        if self._eof and len(out) < cap and not self._failed():
            self._finish(out)

    def _failed(self) -> bool:
        return self._pending is not None or self._fault is not None

    def _finish(self, out: list[Any]) -> None:
        """The stream has ended and nothing more can be cut: settle what is left."""
        if self._finished:
            return
        self._finished = True
        leaf = self._last if self._leaf.kind == TAGGED else self._leaf
        live = self._end - self._start
        if self._skipping or self._discarding:
            policy = "drop"
        elif leaf is not None and leaf.kind == UNTIL_EOF and (live or self._leaf is leaf):
            policy = "deliver"
        elif not live:
            return
        else:
            policy = leaf.eof if leaf is not None else self._leaf.eof
        tail = bytes(self._source[self._start : self._end])
        if policy == "error":
            self._fault = errors.truncated(tail, self._need, self._position, self._index)
            return
        if policy == "deliver":
            assert leaf is not None
            if live > leaf.limit:
                self._fault = errors.too_large(None, leaf.limit, b"", self._position, self._index, False)
                return
            out.append(tail)
            self._index += 1
        self._position += live
        self._skipping = 0
        self._discarding = False
        self._rest()

    # --- views -------------------------------------------------------------------------------------

    def _lend(self, data: Bytes, start: int, stop: int) -> memoryview:
        """A read-only view of a frame; one that stands in our block is copied, as the block is reused."""
        view = memoryview(bytes(data[start:stop]) if type(data) is bytearray else data)
        if type(data) is not bytearray:
            view = view[start:stop].toreadonly()
        self._lent.append(view)
        return view

    def _recall(self) -> None:
        """Release the views of the last call."""
        lent, self._lent = self._lent, []
        for view in lent:
            _release(view)

    # --- the calls ---------------------------------------------------------------------------------

    def _enter(self) -> None:
        if self._busy:
            raise errors.ConcurrencyError("a split function used its own decoder")
        if self._lent:
            self._recall()
        if self._fault is not None:
            raise self._fault.with_traceback(None)
        if self._detached:
            raise ValueError("detach() was called: this decoder has no stream any more")

    def _result(self, out: list[Any]) -> list[Any]:
        if not out:
            if self._pending is not None:
                error, self._pending = self._pending, None
                raise error
            if self._fault is not None:
                raise self._fault.with_traceback(None)
        return out

    def _decode(self, data: Buffer, limit: SupportsIndex | None, views: bool) -> list[Any]:
        self._enter()
        cap = _NO_CAP if limit is None else size_of(limit)
        if cap < 1:
            raise ValueError(f"limit={cap} must be at least 1")
        out: list[Any] = []
        raw = flat(data)
        # What is searched is bytes.
        self._run(raw if type(raw) is bytes else bytes(raw), out, cap, views)
        return self._result(out)

    def decode(self, data: Buffer = b"", limit: SupportsIndex | None = None) -> list[bytes]:
        """Take `data` (any C-contiguous buffer) and return the frames that are complete, as bytes.

        At most `limit` frames, all without it. Returns the good frames before a fault; raises it
        (MalformedFrame, FrameTooLarge, Truncated) when there are none. A call that raises the error of a
        skipped frame has taken its data: call again. ValueError for data after `feed_eof`.
        """
        return self._decode(data, limit, False)

    def decode_views(self, data: Buffer = b"", limit: SupportsIndex | None = None) -> list[memoryview]:
        """As `decode`, but the frames are read-only memoryviews, released at the next call.

        They point into `data` where a frame lies in it whole. A view that the caller has exported again
        stays valid, and its memory is never reused.
        """
        return self._decode(data, limit, True)

    def feed(self, data: Buffer) -> None:
        """Take `data` without cutting it: `next_frame` and `decode` will. Raises a stored error."""
        self._enter()
        rest: Bytes = flat(data)
        if not rest:
            return
        if self._eof:
            raise ValueError("feed_eof() was called: the stream has ended")
        if self._skipping:
            rest = rest[self._pass_over(len(rest)) :]
        elif self._discarding:
            rest = self._discard(rest)
        self._more = False
        if type(rest) is bytes and self._end == self._start and not self._fixed:
            self._source = rest
            self._start, self._end = 0, len(rest)
        else:
            self._store(rest)

    def _next(self, views: bool) -> Any:
        self._enter()
        out: list[Any] = []
        if self._pending is None:
            self._run(b"", out, 1, views)
        self._result(out)
        return out[0] if out else None

    def next_frame(self) -> bytes | None:
        """Cut one frame from what is buffered, or None; raises the fault that comes next."""
        return self._next(False)  # type: ignore[no-any-return]

    def next_view(self) -> memoryview | None:
        """As `next_frame`, as a read-only memoryview that is released at the next call."""
        return self._next(True)  # type: ignore[no-any-return]

    def get_buffer(self, sizehint: SupportsIndex = -1) -> memoryview:
        """A writable memoryview to receive into, at least `sizehint` bytes where that is positive.

        Follow it by `buffer_updated(n)`; the names are those of asyncio.BufferedProtocol. BufferError if
        the caller's own buffer is full.
        """
        wanted = size_of(sizehint)
        self._enter()
        if self._eof:
            raise ValueError("feed_eof() was called: the stream has ended")
        room = wanted if wanted >= 1 else BLOCK
        if self._fixed:
            assert self._block is not None
            free = len(self._block) - (self._end - self._start)
            if not free:
                raise errors.buffer_full(len(self._block) + 1, len(self._block))
            room = min(max(wanted, 1), free)
        block = self._room(room)
        self._granted = len(block) - self._end
        view = memoryview(block)[self._end :]
        self._lent.append(view)
        return view

    def buffer_updated(self, nbytes: SupportsIndex) -> None:
        """`nbytes` bytes were written to the start of the last `get_buffer()`. Cuts nothing."""
        size = size_of(nbytes)
        self._enter()
        if not 0 <= size <= self._granted:
            raise ValueError(f"buffer_updated({size}): get_buffer() gave {self._granted} bytes")
        self._granted = 0
        self._end += size
        self._more = False
        if self._skipping or self._discarding:
            self._swallow()

    def feed_eof(self) -> list[bytes]:
        """The stream has ended: return the frames that are still uncut.

        At a frame boundary that is the clean end. Otherwise `eof` of the framing decides: "error" raises
        Truncated (after the frames, if there are any: then the next call raises it), "deliver" adds the
        tail, "drop" forgets it. Frames beyond a stored error come with the next call.
        """
        self._enter()
        self._eof = True
        out: list[bytes] = []
        if self._pending is None:
            self._run(b"", out, _NO_CAP, False)
        return self._result(out)

    def switch(self, framing: Any) -> None:
        """Cut what is not yet delivered, and all that follows, by another framing.

        Call it between two frames; bytes read ahead are kept. ValueError while an oversized frame is being
        skipped. Raises a stored error.
        """
        self._enter()
        if self._skipping or self._discarding:
            raise ValueError("switch() in the middle of a frame that is being skipped")
        if not hasattr(framing, "_plan"):
            raise TypeError(f"switch: {framing!r} is not a framing")
        self._begin(framing._plan_for(len(self._block or b"")) if self._fixed else framing._plan)

    def detach(self) -> bytes:
        """Return the bytes not yet delivered and end the decoder: every later call is a ValueError."""
        if self._busy:
            raise errors.ConcurrencyError("a split function used its own decoder")
        self._recall()
        if self._detached:
            raise ValueError("detach() was called: this decoder has no stream any more")
        rest = bytes(self._source[self._start : self._end])
        self._detached = True
        self._fault = self._pending = None
        self._block = self._hold = None
        self._fixed = False
        self._rest()
        return rest

    @property
    def needed(self) -> int:
        """0 if a call would deliver or raise, else the fewest bytes that could complete the next frame."""
        if self._failed() or self._finished or self._detached or self._busy:
            return 0
        leaf: Any = self._leaf
        if self._skipping:
            return self._skipping + leaf.min_size  # type: ignore[no-any-return]
        if self._discarding:
            last: Any = self._last
            if last.kind == UNTIL_EOF:
                return 1
            return last.find_need(self._source[self._start : self._end]) + leaf.min_size  # type: ignore[no-any-return]
        start, end = self._start, self._end
        if leaf.kind == CUSTOM:
            if start == end:
                return 1
            try:
                answer = self._ask_split()
            except Exception:
                return 0
            if isinstance(answer, tuple) or end - start >= leaf.limit:
                return 0
            return 1 if answer is None else answer
        try:
            if leaf.kind == TAGGED:
                leaf = leaf.choose(self._source, start, end)
                if type(leaf) is int:
                    return leaf
            found = leaf.cut(self._source, start, end, self._scanned)
        except Fault:
            return 0
        if type(found) is tuple and len(found) == 2:
            rest = found[1]
            return int(abs(rest.need if type(rest) is Unfinished else rest))
        if type(found) is Unfinished:
            if not found.fill:
                self._scanned = found.seen
            return abs(found.need)
        if type(found) is not int:
            return 0
        self._scanned = end - start if leaf.longest else 0
        return abs(found)

    @property
    def buffered(self) -> int:
        """How many bytes are held that have not been delivered, those of an unfinished frame included."""
        return self._end - self._start

    @property
    def offset(self) -> int:
        """The stream position of the first byte that is neither delivered nor discarded."""
        return self._position

    @property
    def error(self) -> Exception | None:
        """The fault that ended this stream, as soon as it is known, or None."""
        return self._fault


def _ends_custom(plan: tuple[Any, ...] | None) -> bool:
    """Whether a plan that is still to come has a Custom phase."""
    while plan is not None and plan[0] == PREAMBLE:
        if plan[5][0] == CUSTOM:
            return True
        plan = plan[7]
    return plan is not None and plan[0] == CUSTOM


def _release(view: memoryview) -> None:
    """Release `view`, unless something exports its memory right now: then it is left alone."""
    try:
        view.release()
    except BufferError:
        pass
