"""Records in Python: what a field program does, and the twin of `_native.records`.

A program is a tuple of fields (name, type). A type is a tuple (kind, least, plain, ...): `least` is the
fewest bytes it has, `plain` whether it always has them and no byte of them can be wrong. See `lower` in
_lowering.py for what follows. Each type becomes three functions: one of `packing`, two of `unpacking`.
A record's own three are generated as source, in which neighbouring fields of fixed width are one call of
`struct`; where that call fails, the fields are written one by one, to find out which one it is.
"""

from __future__ import annotations

import struct
from operator import index as to_index

from .. import errors
from .packing import bits_of, is_met, writer
from .shape import (
    BITS,
    CONST,
    FAR,
    ONEOF,
    PAD,
    RECORD,
    SIZE,
    VALUELESS,
    WHEN,
    More,
    Refused,
    Wrong,
    code_of,
    has_null,
    short,
)
from .straight import STRAIGHT, pack_of, unpack_of
from .unpacking import (
    ending_reader,
    ending_skipper,
    member_of,
    noting_skipper,
    peeker,
    reader,
    skipper,
    told_by,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, SupportsIndex

    from typing_extensions import Buffer

    from .shape import Path, Read, Skip, Write

__all__ = ["Program", "construct"]


class Program:
    """The field program of one record class, `name` in errors; runs once `build` has given it its fields."""

    def __init__(self, name: str, cls: type) -> None:
        self.name = name
        self.cls = cls
        self._pack: Callable[[Any], bytes] = self._packed
        self._unpack: Callable[[Buffer], Any] = self._unpacked

    def build(
        self,
        fields: tuple[tuple[str, tuple[Any, ...]], ...],
        heeds: bool = False,
        required: int = -1,
        defaults: tuple[object, ...] = (),
    ) -> None:
        """Give the program its fields, of which other programs may not be built yet.

        `heeds`: whether it matters to it, or what it contains, that the bytes end where it ends. `required`:
        of an extensible record, how many fields it has at least; the others have `defaults`."""
        self.fields = fields
        self.straight = required < 0 and all(kind[0] < STRAIGHT for _, kind in fields)
        self.frozen = any("__setattr__" in one.__dict__ for one in self.cls.__mro__[:-1])
        made: dict[str, Any] = {
            "names": [name for name, _ in fields],
            "errors": errors,
            "short": short,
            "is_met": is_met,
            "told_by": told_by,
            "cls": self.cls,
            "new": object.__new__,
            "Wrong": Wrong,
            "Refused": Refused,
            "More": More,
            "FAR": FAR,
            "lacking": _lacking,
            "mend": _mend,
            "StructError": struct.error,
            "frozen": self.frozen,
        }
        for i, (name, kind) in enumerate(fields):
            made |= {f"read_{i}": reader(kind), f"write_{i}": writer(kind), f"skip_{i}": skipper(kind)}
            if kind[0] not in VALUELESS and self.cls is not tuple:
                made[f"set_{i}"] = getattr(self.cls, name).__set__
        self.values = sum(kind[0] not in VALUELESS for _, kind in fields)
        source = _Source(fields, made, required, defaults)
        exec(source.text(heeds or required >= 0), made)
        self._least = sum(kind[1] for _, kind in fields[: source.required])
        self.read: Read = made["read"]
        self.write: Write = made["write"]
        self.skip: Skip = made["skip"]
        self.read_ending: Read = made.get("read_ending", self.read)
        self.skip_ending: Skip = made.get("skip_ending", self.skip)
        self.noting = source.noting

    def calls(self) -> dict[str, Any]:
        """What the record class is to be given, by name: methods of its instances, and of itself."""

        def pack(record: Any) -> bytes:
            return self._packed(record)

        def pack_into(record: Any, buffer: Buffer, offset: SupportsIndex = 0) -> int:
            return self.pack_into(record, buffer, offset)

        def append_to(record: Any, target: bytearray) -> None:
            self.append_to(record, target)

        def size_of(record: Any) -> int:
            return self.size_of(record)

        if self.straight:
            self._pack, self._unpack = pack_of(self, pack), unpack_of(self, self._unpacked)
        return {
            "pack": self._pack if self.straight else pack,
            "pack_into": pack_into,
            "append_to": append_to,
            "size_of": size_of,
            "unpack": staticmethod(self._unpack),
            "unpack_from": self.unpack_from,
            "unpack_many": self.unpack_many,
            "missing": self.missing,
        }

    def pack(self, record: object) -> bytes:
        """The bytes of `record`."""
        return self._pack(record)

    def pack_into(self, record: object, buffer: Buffer, offset: SupportsIndex = 0) -> int:
        """Write the bytes of `record` into a writable buffer; returns where they end."""
        at = to_index(offset)
        packed = self._pack(record)
        size = len(packed)
        with memoryview(buffer) as given:
            if not given.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if given.readonly:
                raise TypeError(f"pack_into: the buffer is read-only ({type(buffer).__name__})")
            with given.cast("B") if given.nbytes else memoryview(bytearray()) as view:
                _check_offset(at, len(view))
                if size > len(view) - at:
                    raise errors.encode_no_room(size, at, len(view))
                view[at : at + size] = packed
        return at + size

    def append_to(self, record: object, target: bytearray) -> None:
        """Append the bytes of `record` to a bytearray."""
        if not isinstance(target, bytearray):
            raise TypeError(f"append_to: a bytearray is needed, not {type(target).__name__}")
        packed = self._pack(record)
        target += packed

    def size_of(self, record: object) -> int:
        """How many bytes `record` has."""
        return len(self._pack(record))

    def unpack(self, data: Buffer) -> Any:
        """The record that `data` is, all of it."""
        return self._unpack(data)

    def _unpacked(self, data: Buffer) -> Any:
        return unpack_behind(self, data, 0)

    def unpack_from(self, data: Buffer, offset: SupportsIndex = 0) -> tuple[Any, int]:
        """The record at `offset`, and where it ends."""
        at = to_index(offset)

        def read(view: bytes | memoryview, size: int) -> Any:
            _check_offset(at, size)
            return self.read(view, at, size, 1)

        return self._reading(data, read)  # type: ignore[no-any-return]

    def unpack_many(self, data: Buffer, count: SupportsIndex) -> list[Any]:
        """The `count` records that `data` is, all of it."""
        most = to_index(count)
        if most < 0:
            raise errors.bad_count(most)
        if self._least == 0:
            raise errors.record_uncountable(self.name)
        return self._reading(data, lambda view, size: self._read_many(view, size, most))  # type: ignore[no-any-return]

    def missing(self, data: Buffer, offset: SupportsIndex = 0) -> int:
        """How many bytes the record at `offset` lacks at least; 0 if it is whole."""
        at = to_index(offset)

        def skip(view: bytes | memoryview, size: int) -> Any:
            _check_offset(at, size)
            self.skip(view, at, size, 1)

        try:
            self._reading(data, skip)
        except More as more:
            return more.size
        return 0

    def _reading(self, data: Buffer, read: Callable[[bytes | memoryview, int], Any]) -> Any:
        """What `read` makes of the bytes of `data`, and their number; a fault as the error that it means."""
        view = data if type(data) is bytes else _bytes(data)
        try:
            return read(view, len(view))
        except Wrong as wrong:
            error = wrong.error(self.name)
        finally:
            _let_go(view)
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback

    def _read_many(self, view: bytes | memoryview, size: int, count: int) -> list[Any]:
        records: list[Any] = []
        at = 0
        try:
            while len(records) < count:
                record, at = self.read(view, at, size, 1)
                records.append(record)
        except Wrong as wrong:
            wrong.path.append(len(records))
            raise
        if at != size:
            raise Wrong(errors.BEHIND, at, size - at)
        return records

    def _packed(self, record: object) -> bytes:
        out = bytearray()
        try:
            if not issubclass(type(record), self.cls):
                raise TypeError(f"a {self.name} is needed, not {type(record).__name__}")
            self.write(record, out, 1)
            return bytes(out)
        except Refused as refused:
            error = refused.error(self.name)
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback


def unpack_behind(program: Program, data: Buffer, at: int) -> Any:
    """The record that `data` is from `at` on, all of it."""

    def read(view: bytes | memoryview, size: int) -> Any:
        record, end = program.read_ending(view, at, size, 1)
        if end != size:
            raise Wrong(errors.BEHIND, end, size - end)
        return record

    return program._reading(data, read)


def construct(
    cls: type, names: tuple[str, ...], defaults: dict[str, tuple[Any, bool]], kw_only: bool
) -> None:
    """Have calls of the class do what its `__init__` does: `defaults` has (value, whether to copy it)."""


def _check_offset(at: int, size: int) -> None:
    if not 0 <= at <= size:
        raise errors.bad_offset(at, size)


def _bytes(data: Buffer) -> memoryview:
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _let_go(view: bytes | memoryview) -> None:
    if type(view) is memoryview:
        view.release()


def _lacking(widths: tuple[int, ...], first: int, at: int, size: int) -> tuple[int, Wrong]:
    """Which field of a run of fixed ones, from number `first` on, is not all there, and its fault."""
    for i, width in enumerate(widths):
        if at + width > size:
            return first + i, short(at, size, width)
        at += width
    raise AssertionError("the run is all there")


def _mend(error: AttributeError, record: object, name: str) -> Exception:
    """An unset field, or an AttributeError out of the user's own code."""
    if type(record) is tuple or getattr(record, name, _mend) is not _mend:
        return error
    return Refused(errors.record_unset)


class _Source:
    """The source of what a program does with its fields; `made` holds what it refers to."""

    def __init__(
        self,
        fields: tuple[tuple[str, tuple[Any, ...]], ...],
        made: dict[str, Any],
        required: int,
        defaults: tuple[Any, ...],
    ) -> None:
        self.fields = fields
        self.made = made
        self.slots = [(i, name) for i, (name, kind) in enumerate(fields) if kind[0] not in VALUELESS]
        self.is_row = made["cls"] is tuple
        self.value = {
            i: f"record[{k}]" if self.is_row else f"record.{name}" for k, (i, name) in enumerate(self.slots)
        }
        self.required = len(fields) if required < 0 else required
        self.extensible = required >= 0
        self.sized = next((i for i, (_, kind) in enumerate(fields) if kind[0] == SIZE), -1)
        needed = fields[: self.required]
        made["tails"] = [sum(kind[1] for _, kind in needed[i + 1 :]) for i in range(len(fields))]
        for i in range(self.required, len(fields)):
            made[f"default_{i}"] = defaults[i]

    def text(self, heeds: bool) -> str:
        """The functions `read`, `write` and `skip`, and two more of what heeds its end."""
        lines = [*self.read("read", False), *self.write(), *self.skip("skip", False)]
        if heeds and self.sized < 0:
            lines += [*self.read("read_ending", True), *self.skip("skip_ending", True)]
        return "\n".join(lines)

    def noting(self, wanted: tuple[Path, ...]) -> Any:
        """`skip` that gives the numbers at `wanted`, too."""
        found: dict[str, Any] = {}
        exec("\n".join(self.skip("noting", False, wanted)), self.made, found)
        return found["noting"]

    def _runs(self, stops: frozenset[int] = frozenset()) -> list[tuple[int, int]]:
        """The fields as (first, behind the last) of runs that one call of `struct` does, or of one each."""
        found, i = [], 0
        while i < len(self.fields):
            run = len(_run(self.fields, i))
            j = i + max(1, run)
            j = min([j, *(stop for stop in stops if i < stop)])
            found.append((i, j))
            i = j
        return found

    def _optional(self, i: int, known: bool) -> bool:
        """Whether the bytes may end before field i, whose default then stands for it."""
        kind = self.fields[i][1]
        kind = kind[3] if kind[0] == WHEN else kind
        # What may have no bytes is there without any.
        return known and i >= self.required and (kind[1] > 0 or kind[0] == BITS)

    def _default(self, i: int) -> str:
        copied = isinstance(self.made[f"default_{i}"], (list, bytearray)) or hasattr(
            self.made[f"default_{i}"], "typecode"
        )
        return f"default_{i}[:]" if copied else f"default_{i}"

    def _after_all(self, known: bool) -> list[str]:
        """Behind the last field, where the end is known."""
        if known and self.extensible:
            return ["  at = size"]
        if self.sized < 0:
            return []
        return [
            "  if at != size:",
            f"   step = {self.sized}",
            "   raise Wrong(errors.UNFILLED, at, size - at)",
        ]

    def _catch(self) -> list[str]:
        outgrown = ["  if bounded and wrong.code == errors.SHORT: wrong.code = errors.OUTGROWN"]
        return [
            " except Wrong as wrong:",
            *(outgrown if self.sized >= 0 else []),
            "  wrong.path.append(names[step])",
            "  raise",
        ]

    # --- reading

    def read(self, name: str, ending: bool) -> list[str]:
        lines = [f"def {name}(data, at, size, depth):", " step = 0", " bounded = False", " try:", "  pass"]
        known = ending
        tail = frozenset(range(self.required, len(self.fields)))
        for i, j in self._runs(tail if ending or self.sized >= 0 else frozenset()):
            if j - i > 1:
                lines += self._read_run(i, j)
                continue
            kind = self.fields[i][1]
            lines.append(f"  step = {i}")
            if kind[0] == BITS:
                lines += [f"  {line}" for line in self._word(i, known, "read")]
                lines.append(f"  v{i} = {self._bits(i, known)}")
            elif kind[0] == SIZE:
                lines += [
                    f"  left, at = read_{i}(data, at, size, depth)",
                    "  if left > size - at: raise short(at, size, left)",
                    "  size = at + left",
                    "  bounded = True",
                ]
                known = True
            else:
                lines += [f"  {line}" for line in self._read_one(i, known)]
        return [*lines, *self._after_all(known), *self._catch(), *self._made(), " return record, at"]

    def _made(self) -> list[str]:
        """The record out of the values of its fields."""
        if self.is_row:
            return [f" record = ({''.join(f'v{i}, ' for i, _ in self.slots)})"]
        frozen = self.made["frozen"]
        fill = [f" set_{i}(record, v{i})" if frozen else f" record.{name} = v{i}" for i, name in self.slots]
        return [" record = new(cls)", *fill]

    def _read_run(self, i: int, j: int) -> list[str]:
        size = self._layout(i, j)
        targets = "".join(f"v{k}, " for k in range(i, j) if self.fields[k][1][0] != PAD)
        return [
            f"  if at + {size} > size:",
            f"   step, wrong = lacking(widths_{i}_{j}, {i}, at, size)",
            "   raise wrong",
            *([f"  {targets}= unpack_{i}_{j}(data, at)"] if targets else []),
            f"  at += {size}",
        ]

    def _layout(self, i: int, j: int) -> int:
        """The size of a run, whose calls of `struct` are in `made` then."""
        run = _run(self.fields, i)[: j - i]
        order = next((code[0] for code in run if code[0]), ">")
        layout = struct.Struct(order + "".join(code[1] for code in run))
        self.made |= {
            f"widths_{i}_{j}": tuple(kind[1] for _, kind in self.fields[i:j]),
            f"pack_{i}_{j}": layout.pack,
            f"unpack_{i}_{j}": layout.unpack_from,
        }
        return layout.size

    def _read_one(self, i: int, known: bool) -> list[str]:
        kind = self.fields[i][1]
        call = f"read_{i}"
        if known and i == len(self.fields) - 1 and kind[0] in (RECORD, ONEOF, WHEN):
            call = f"read_end_{i}"
            self.made[call] = ending_reader(kind)
        lines = [f"v{i}, at = {call}(data, at, size, depth)"]
        if self._optional(i, known):
            if kind[0] in (CONST, PAD):
                lines = [f"if at != size: {lines[0]}"]
            else:
                lines = [f"if at == size: v{i} = {self._default(i)}", f"else: {lines[0]}"]
        if kind[0] == WHEN:
            lines = [f"if {self._told(kind)}:", *(f" {line}" for line in lines), f"else: v{i} = None"]
        return lines

    def _told(self, kind: tuple[Any, ...]) -> str:
        """The condition of a WHEN, when it is read."""
        steps, text = kind[4], kind[7]
        source = self.fields[steps[0]][1]
        if len(steps) == 1 and source[0] != WHEN and steps[0] < self.required:
            return f"v{steps[0]} {_test(kind)}"
        value = f"told_by(v{steps[0]}, {_path(text)[1:]})"
        return f"(told := {value}) is not None and told {_test(kind)}"

    def _word(self, i: int, known: bool, call: str) -> list[str]:
        """Reads the integer of the bits from field i on; None if it is not there."""
        if not self.fields[i][1][7]:
            return []
        lines = ["start = at", f"word, at = {call}_{i}(data, at, size, depth)"]
        return (
            ["if at == size: word = None", f"else: {'; '.join(lines)}"] if self._optional(i, known) else lines
        )

    def _bits(self, i: int, known: bool) -> str:
        """The value of field i, some bits."""
        kind = self.fields[i][1]
        value = f"word >> {kind[6]} & {kind[5]}"
        if kind[9] is True:
            value = f"({value}) != 0"
        elif kind[9] is not None:
            self.made[f"member_{i}"] = member_of(kind)
            value = f"member_{i}({value}, start)"
        return f"{self._default(i)} if word is None else {value}" if self._optional(i, known) else value

    # --- writing

    def write(self) -> list[str]:
        lines = ["def write(record, out, depth):", " step = 0", " try:", "  pass"]
        for i, j in self._runs():
            name, kind = self.fields[i]
            if j - i > 1:
                lines += self._write_run(i, j)
                continue
            lines.append(f"  step = {i}")
            if kind[0] == SIZE:
                lines.append("  mark = len(out)")
            elif kind[0] == BITS:
                self.made[f"bits_{i}"] = bits_of(kind)
                value = f"bits_{i}(record.{name}) << {kind[6]}"
                lines.append(f"  word = {value}" if kind[7] else f"  word |= {value}")
                lines += [f"  write_{i}(word, out, depth)"] if kind[8] else []
            elif kind[0] == WHEN:
                mask, wanted, text = kind[5:]
                refusal = f"raise Refused(errors.record_promised, {text!r})"
                lines += [
                    f"  value = record.{name}",
                    f"  if is_met(record, {_path(text)}, {mask}, {wanted}):",
                    *([] if has_null(kind[3]) else [f"   if value is None: {refusal}"]),
                    f"   write_{i}(value, out, depth)",
                    f"  elif value is not None: raise Refused(errors.record_denied, {text!r}, value)",
                ]
            else:
                value = self.value.get(i, "None")
                lines.append(f"  write_{i}({value}, out, depth)")
        if self.sized >= 0:
            lines += [
                f"  step = {self.sized}",
                "  head = bytearray()",
                f"  write_{self.sized}(len(out) - mark, head, depth)",
                "  out[mark:mark] = head",
            ]
        return [
            *lines,
            " except AttributeError as error:",
            "  mended = mend(error, record, names[step])",
            "  if mended is error: raise",
            "  mended.path.append(names[step])",
            "  raise mended from None",
            " except Refused as refused:",
            "  refused.path.append(names[step])",
            "  raise",
        ]

    def _write_run(self, i: int, j: int) -> list[str]:
        self._layout(i, j)
        kept = [k for k in range(i, j) if self.fields[k][1][0] != PAD]
        values = ", ".join(self.value[k] for k in kept)
        if self.is_row and len(kept) == len(self.slots):
            values = "*record"
        lines = ["  try:", f"   out += pack_{i}_{j}({values})"]
        lines += ["  except (StructError, OverflowError, AttributeError):"]
        for k in range(i, j):
            lines += [f"   step = {k}", f"   write_{k}({self.value.get(k)}, out, depth)"]
        return lines

    # --- passing over

    def skip(self, name: str, ending: bool, wanted: tuple[Path, ...] = ()) -> list[str]:
        """Passes over the record; with `wanted`, it also gives the numbers there."""
        own = [_path(kind[7]) for _, kind in self.fields if kind[0] == WHEN]
        notes = {path: f"n{i}" for i, path in enumerate(dict.fromkeys([*wanted, *own]))}
        places = {name: i for i, (name, _) in enumerate(self.fields)}
        sources: dict[int, dict[Path, str]] = {}
        for path, note in notes.items():
            sources.setdefault(places[path[0]], {})[path[1:]] = note
        lines = [f"def {name}(data, at, size, depth):", " step = 0", " bounded = False", " try:", "  pass"]
        known = ending
        stops = {k for i in sources for k in (i, i + 1)}
        stops |= set(range(self.required, len(self.fields)))
        for i, j in self._runs(frozenset(stops)):
            lines.append(f"  step = {j - 1}")
            if j - i > 1:
                size = sum(kind[1] for _, kind in self.fields[i:j])
                lines += [f"  if at + {size} > size: raise More(at + {size} - size)", f"  at += {size}"]
            elif self.fields[i][1][0] == SIZE:
                self.made[f"peek_{i}"] = peeker(self.fields[i][1])
                lines += [
                    "  start_of_size = at",
                    f"  left, at = peek_{i}(data, at, size, depth)",
                    f"  step = {len(self.fields) - 1}",
                    "  if left > size - at: raise More(min(left, FAR) - (size - at))",
                    "  size = at + left",
                    "  bounded = True",
                ]
                known = True
            elif self.fields[i][1][0] == BITS:
                self.made[f"peek_{i}"] = peeker(self.fields[i][1])
                lines += [f"  {line}" for line in self._word(i, known, "peek")]
                note = sources.get(i, {}).get((), "_")
                lines.append(f"  {note} = {self._bits(i, known)}")
            else:
                condition = ""
                if self.fields[i][1][0] == WHEN:
                    note = notes[_path(self.fields[i][1][7])]
                    condition = f"{note} is not None and {note} {_test(self.fields[i][1])}"
                lines += [f"  {line}" for line in self._skip_one(i, known, sources.get(i, {}), condition)]
        found = "".join(f", {notes[path]}" for path in wanted)
        lines += [*self._after_all(known), f"  return at{found}", *self._catch(), " except More as more:"]
        if self.sized >= 0:
            lines += [
                "  if bounded:",
                "   wrong = Wrong(errors.CRAMPED, start_of_size, min(more.size + tails[step], FAR))",
                f"   wrong.path.append(names[{self.sized}])",
                "   raise wrong from None",
            ]
        return [*lines, "  raise More(min(more.size + tails[step], FAR)) from None"]

    def _skip_one(self, i: int, known: bool, notes: dict[Path, str], condition: str) -> list[str]:
        kind = self.fields[i][1]
        inner = kind[3] if kind[0] == WHEN else kind
        if not notes:
            call = f"skip_{i}"
            if known and i == len(self.fields) - 1 and inner[0] in (RECORD, ONEOF):
                call = f"skip_end_{i}"
                self.made[call] = ending_skipper(kind)
            lines = [f"at = {call}(data, at, size, depth)"]
        elif () in notes:
            self.made[f"peek_{i}"] = peeker(inner)
            lines = [f"{notes[()]}, at = peek_{i}(data, at, size, depth)"]
        else:
            call = f"note_{i}_{'_'.join(notes.values())}"
            self.made[call] = noting_skipper(inner, tuple(notes))
            lines = [f"at, {', '.join(notes.values())} = {call}(data, at, size, depth)"]
        if self._optional(i, known):
            lines = ["if at != size:", *(f" {line}" for line in lines), "else:", " pass"]
            lines += [f" {note} = told_by(default_{i}, {path})" for path, note in notes.items()]
        if kind[0] == WHEN:
            lines = [f"if {condition}:", *(f" {line}" for line in lines), "else:", " pass"]
            lines += [f" {note} = None" for note in notes.values()]
        return lines


def _path(text: str) -> Path:
    return tuple(text.split("."))


def _test(kind: tuple[Any, ...]) -> str:
    """What the number that decides about a WHEN must be."""
    mask, wanted = kind[5:7]
    return f"& {mask} != 0" if wanted is None else f"& {mask} == {wanted}"


def _run(fields: tuple[tuple[str, tuple[Any, ...]], ...], first: int) -> list[tuple[str, str]]:
    """Byte order ("" for any) and letters of the fields from `first` on that one call of `struct` does."""
    run: list[tuple[str, str]] = []
    order = ""
    for _, kind in fields[first:]:
        code = ("", f"{kind[1]}x") if kind[0] == PAD else code_of(kind)
        if code is None:
            break
        mine = code[0] if kind[1] > 1 and kind[0] != PAD else ""
        if mine and order and mine != order:
            break
        order = mine or order
        run.append((mine, code[1]))
    return run
