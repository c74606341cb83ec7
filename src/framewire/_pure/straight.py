"""The straight way: `pack` and `unpack` of a record as one would write them by hand, made as source.

They take whole `bytes` and the plainest values, and check little on the way: reading runs past missing bytes,
and only the end tells. Whatever is wrong or unusual makes them give up, and the careful way of `records` does
it again and finds out what it was. Neighbouring numbers of fixed width, with the count of what follows, are
one call of `struct`; records within records stand in line. A kind that is not known here is read and written
by its own function, so this module decides about speed and never about bytes.
"""

from __future__ import annotations

import struct
from array import array

from .. import errors
from .packing import writer
from .plan import LEB128, UINT
from .shape import (
    ARRAY,
    BOOL,
    BYTES,
    CONST,
    ENUM,
    FLOAT,
    LIST,
    NATIVE_LITTLE,
    NUMBER,
    PAD,
    RECORD,
    REST,
    STR,
    Refused,
    Wrong,
    code_of,
)
from .unpacking import reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeAlias

    from typing_extensions import Buffer

    Kind: TypeAlias = tuple[Any, ...]

    class Program(Protocol):
        name: str
        cls: type
        fields: tuple[tuple[str, Kind], ...]
        frozen: bool
        straight: bool
        values: int


STRAIGHT = ENUM + 1  # kinds below it stand for themselves alone
_MOST_IN_LINE = 3
_GIVE_UP = (struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, Wrong, Refused)


def pack_of(program: Program, careful: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """`pack` of a record."""
    writing = _Writing(careful, program)
    try:
        writing.record("record", program, 1)
    except _Crooked:
        return careful
    parts = writing.joined()
    lines = ["def call(record):", " if type(record) is cls:", "  try:", *writing.lines, f"   return {parts}"]
    lines += ["  except EncodeError: raise", "  except GIVE_UP: pass", " return careful(record)"]
    made: Callable[[Any], bytes] = writing.compiled(lines)
    return made


def unpack_of(program: Program, careful: Callable[[Buffer], Any]) -> Callable[[Buffer], Any]:
    """`unpack` of a record."""
    reading = _Reading(careful, program)
    reading.record("record", program, 1, checked=True)
    lines = ["def call(data):", " if type(data) is bytes:", "  at, size = 0, len(data)", "  try:"]
    lines += [*reading.lines, "   return record"]
    lines += ["  except GIVE_UP: pass", " return careful(data)"]
    made: Callable[[Buffer], Any] = reading.compiled(lines)
    return made


class _Crooked(Exception):
    """There is no straight way."""


class _Source:
    """Lines within a `try`, and the run of fixed fields that is still to become one call of `struct`."""

    def __init__(self, careful: Any, program: Program) -> None:
        self.made: dict[str, Any] = {"careful": careful, "cls": program.cls, "GIVE_UP": _GIVE_UP}
        self.made |= {"new": object.__new__, "join": b"".join, "array": array}
        self.made |= {"EncodeError": errors.EncodeError, "record_changed": errors.record_changed}
        self.made |= {"pack_items": struct.pack, "unpack_items": struct.unpack_from}
        self.programs: list[Program] = []  # that we are inside of
        self.lines: list[str] = []
        self.indent = "   "
        self.order = ""
        self.letters = ""
        self.targets: list[str] = []
        self.number = 0

    def name(self, value: Any = None) -> str:
        """A new name, of `value` if there is one."""
        self.number += 1
        name = f"_{self.number}" if value is None else f"_made_{len(self.made)}"
        if value is not None:
            self.made[name] = value
        return name

    def compiled(self, lines: list[str]) -> Any:
        exec("\n".join(lines), self.made)
        return self.made["call"]

    def in_line(self, kind: Kind) -> bool:
        """Whether a record's fields stand here, in place of a call."""
        simple = kind[0] == RECORD and kind[3].straight and kind[3] not in self.programs
        return simple and len(self.programs) < _MOST_IN_LINE

    def say(self, *lines: str) -> None:
        self.lines += [self.indent + line for line in lines]

    def give_up_if(self, condition: str) -> None:
        self.say(f"if {condition}: raise ValueError")

    def fixed(self, order: str, letter: str, target: str | None) -> None:
        """One more field of the run; "" is any byte order."""
        if order and self.order and order != self.order:
            self.flush()
        self.order = order or self.order
        self.letters += letter
        self.targets += [target] if target is not None else []

    def flush(self) -> None:
        if self.letters:
            layout = struct.Struct((self.order or ">") + self.letters)
            targets, self.targets = self.targets, []
            self.order = self.letters = ""
            self.run(layout, targets)

    def run(self, layout: struct.Struct, targets: list[str]) -> None:
        raise NotImplementedError


def _order(code: tuple[str, str], width: int) -> str:
    return code[0] if width > 1 else ""


def _code(kind: Kind) -> tuple[str, str] | None:
    """As `code_of`, also for the number or count in front of another kind."""
    return code_of(kind if kind[0] == FLOAT else (NUMBER, *kind[1:6]))


def _counts_simply(kind: Kind) -> bool:
    """Whether a count is an unsigned number that `struct` knows."""
    return bool(kind[3][0] == UINT and not kind[3][3] and _code(kind))


def _known(kind: Kind) -> bool:
    """Whether the kind is read and written in line."""
    if kind[0] in (FLOAT, BOOL, REST, CONST, PAD):
        return True
    if kind[0] in (NUMBER, ENUM):
        return _code(kind) is not None
    if kind[0] in (STR, BYTES):
        return len(kind) == 6 and _counts_simply(kind)
    if kind[0] in (LIST, ARRAY):
        return len(kind) == 7 + (kind[0] == ARRAY) and _counts_simply(kind)
    return False


class _Reading(_Source):
    def run(self, layout: struct.Struct, targets: list[str]) -> None:
        if targets:
            names = "".join(f"{target}, " for target in targets)
            self.say(f"{names}= {self.name(layout.unpack_from)}(data, at)")
        self.say(f"at += {layout.size}")

    def record(self, target: str, program: Program, depth: int, checked: bool = False) -> None:
        cls, frozen = program.cls, program.frozen
        values = []
        after: list[tuple[str, Kind]] = []
        self.programs.append(program)
        for name, kind in program.fields:
            values.append((name, self.name()))
            self.field(values[-1][1], kind, depth, after)
            if kind[0] in (CONST, PAD):
                values.pop()
        self.programs.pop()
        self.flush()
        for value, kind in after:
            self.member(value, kind)
        if checked:
            self.give_up_if("at != size")
        if cls is tuple:
            self.say(f"{target} = ({''.join(f'{value}, ' for _, value in values)})")
            return
        self.say(f"{target} = new({self.name(cls)})")
        for name, value in values:
            setter = self.name(getattr(cls, name).__set__) if frozen else ""
            self.say(f"{setter}({target}, {value})" if frozen else f"{target}.{name} = {value}")

    def member(self, value: str, kind: Kind) -> None:
        members = self.name(kind[7])
        self.say(f"{value} = {members}[{value}]" if kind[8] else f"{value} = {members}.get({value}, {value})")

    def field(self, target: str, kind: Kind, depth: int, after: list[tuple[str, Kind]]) -> None:
        """Read into `target`; `after` gets what is to be done once the run is there."""
        if kind[0] in (NUMBER, FLOAT, ENUM) and (code := _code(kind)):
            self.fixed(_order(code, kind[1]), code[1], target)
            after += [(target, kind)] if kind[0] == ENUM else []
        elif kind[0] == BOOL:
            self.fixed("", "?", target)
        elif kind[0] == PAD:
            self.fixed("", f"{kind[1]}x", None)
        elif _known(kind):
            _READ[kind[0]](self, target, kind, depth)
        elif self.in_line(kind):
            self.record(target, kind[3], depth + 1)
        else:
            self.flush()
            self.say(f"{target}, at = {self.name(reader(kind))}(data, at, size, {depth})")

    def count(self, kind: Kind) -> str:
        """The variable that has the count of a kind, which ends the run."""
        count, code = self.name(), _code(kind)
        assert code is not None
        self.fixed(_order(code, kind[3][1]), code[1], count)
        self.flush()
        return count

    def counted(self, target: str, kind: Kind, depth: int) -> None:
        count = self.count(kind)
        taken = f"data[at : at + {count}]"
        self.say(f"{target} = {taken}.decode()" if kind[0] == STR else f"{target} = {taken}")
        self.say(f"at += {count}")

    def rest(self, target: str, kind: Kind, depth: int) -> None:
        self.flush()
        self.give_up_if("at > size")
        self.say(f"{target} = data[at:]", "at = size")

    def const(self, target: str, kind: Kind, depth: int) -> None:
        self.fixed("", f"{kind[1]}s", target)
        self.flush()
        self.give_up_if(f"{target} != {self.name(kind[3])}")

    def array(self, target: str, kind: Kind, depth: int) -> None:
        item, typecode = kind[6:]
        count = self.count(kind)
        self.say(f"{target} = array({typecode!r})")
        self.say(f"{target}.frombytes(data[at : at + {count} * {item[1]}])", f"at += {count} * {item[1]}")
        if _swaps(item):
            self.say(f"{target}.byteswap()")

    def leb128(self, target: str, kind: Kind) -> None:
        """Up to four bytes in line; what is longer, or may not be the shortest, by its own function."""
        self.say(f"{target} = data[at]", "at += 1", f"if {target} > 127:")
        self.say(" begin, shift, more = at - 1, 7, 128", f" {target} &= 127", " while more > 127:")
        self.say("  more = data[at]", "  at += 1", f"  {target} |= (more & 127) << shift", "  shift += 7")
        self.say(" if not more or shift > 28:")
        self.say(f"  {target}, at = {self.name(reader(kind))}(data, begin, size, 0)")

    def list(self, target: str, kind: Kind, depth: int) -> None:
        item = kind[6]
        count, code = self.count(kind), code_of(item)
        if code:
            self.give_up_if(f"{count} * {item[1]} > size - at")
            self.say(f"{target} = list(unpack_items(f'{code[0]}{{{count}}}{code[1]}', data, at))")
            self.say(f"at += {count} * {item[1]}")
            return
        one, add = self.name(), self.name()
        self.say(f"{target} = []", f"{add} = {target}.append", f"for _ in range({count}):")
        self.indent += " "
        if _is_leb128(item):
            self.leb128(one, item)
        else:
            after: list[tuple[str, Kind]] = []
            self.field(one, item, depth, after)
            self.flush()
            for value, inner in after:
                self.member(value, inner)
        self.say(f"{add}({one})")
        self.indent = self.indent[:-1]


class _Writing(_Source):
    def __init__(self, careful: Any, program: Program) -> None:
        super().__init__(careful, program)
        self.parts: list[str] = []
        self.runs: set[str] = set()  # of them, those that are bytes
        self.name_of_record = program.name
        self.path: list[str] = []
        self.looping = False

    def run(self, layout: struct.Struct, targets: list[str]) -> None:
        run = self.name()
        self.say(f"{run} = {self.name(layout.pack)}({', '.join(targets)})")
        self.parts.append(run)
        self.runs.add(run)

    def joined(self) -> str:
        """All that is written, as one expression."""
        self.flush()
        parts, self.parts = self.parts, []
        if len(parts) == 1 and parts[0] in self.runs:
            return parts[0]
        return f"join(({''.join(f'{part}, ' for part in parts)}))"

    def part(self, expression: str) -> None:
        self.flush()
        self.parts.append(expression)

    def record(self, source: str, program: Program, depth: int) -> None:
        self.programs.append(program)
        at = 0
        for name, kind in program.fields:
            self.path.append(name)
            valued = kind[0] not in (CONST, PAD)
            place = f"{source}[{at}]" if program.cls is tuple else f"{source}.{name}"
            self.field(place if valued else "", kind, depth)
            self.path.pop()
            at += valued
        self.programs.pop()

    def held(self, source: str) -> str:
        """A variable with the value, which is looked at after those in front of it, and more than once."""
        self.flush()
        if "." not in source:
            return source
        name = self.name()
        self.say(f"{name} = {source}")
        return name

    def field(self, source: str, kind: Kind, depth: int) -> None:
        if kind[0] in (NUMBER, FLOAT) and (code := _code(kind)):
            self.fixed(_order(code, kind[1]), code[1], source)
        elif kind[0] == PAD:
            self.fixed("", f"{kind[1]}x", None)
        elif kind[0] == CONST:
            self.fixed("", f"{kind[1]}s", self.name(kind[3]))
        elif _known(kind):
            _WRITE[kind[0]](self, self.held(source), kind, depth)
        elif self.in_line(kind):
            value = self.held(source)
            self.give_up_if(f"type({value}) is not {self.name(kind[3].cls)}")
            if kind[3].cls is tuple:
                self.give_up_if(f"len({value}) != {kind[3].values}")
            self.record(value, kind[3], depth + 1)
        else:
            if kind[0] in (LIST, ARRAY, RECORD):
                raise _Crooked  # what changes while it is written is seen on the first way only
            out = self.name()
            self.say(f"{out} = bytearray()", f"{self.name(writer(kind))}({source}, {out}, {depth})")
            self.part(out)

    def bool(self, value: str, kind: Kind, depth: int) -> None:
        self.give_up_if(f"{value} is not True and {value} is not False")
        self.fixed("", "?", value)

    def enum(self, value: str, kind: Kind, depth: int) -> None:
        code = _code(kind)
        assert code is not None
        if kind[8]:
            self.give_up_if(f"{value} not in {self.name(kind[7])}")
        self.fixed(_order(code, kind[1]), code[1], value)

    def count(self, kind: Kind, of: str) -> None:
        code = _code(kind)
        assert code is not None
        self.fixed(_order(code, kind[3][1]), code[1], f"len({of})")

    def counted(self, value: str, kind: Kind, depth: int) -> None:
        self.give_up_if(f"type({value}) is not {'str' if kind[0] == STR else 'bytes'}")
        encoded = self.name()
        self.say(f"{encoded} = {value}.encode()" if kind[0] == STR else f"{encoded} = {value}")
        self.count(kind, encoded)
        self.part(encoded)

    def rest(self, value: str, kind: Kind, depth: int) -> None:
        self.give_up_if(f"type({value}) is not bytes")
        self.part(value)

    def array(self, value: str, kind: Kind, depth: int) -> None:
        item, typecode = kind[6:]
        self.give_up_if(f"type({value}) is not array or {value}.typecode != {typecode!r}")
        swapped = self.name()
        self.say(f"{swapped} = {value}[:]")
        if _swaps(item):
            self.say(f"{swapped}.byteswap()")
        self.count(kind, swapped)
        self.part(swapped)

    def list(self, value: str, kind: Kind, depth: int) -> None:
        if self.looping:
            raise _Crooked  # where it was would not be known
        item, length, made = kind[6], self.name(), self.name()
        self.give_up_if(f"type({value}) is not list and type({value}) is not tuple")
        self.say(f"{length} = len({value})")
        code, count = code_of(item), _code(kind)
        assert count is not None
        if code and (code[0] == count[0] or item[1] == 1 or kind[3][1] == 1):
            order = count[0] if item[1] == 1 else code[0]
            self.say(f"{made} = pack_items(f'{order}{count[1]}{{{length}}}{code[1]}', {length}, *{value})")
            self.part(made)
        else:
            self.count(kind, value)
            self.flush()
            self.items(value, made, item, depth)
        # An item's own code may have changed the list.
        self.say(f"if len({value}) != {length}: raise record_changed({self.name_of_record!r}, {self.path!r})")

    def items(self, value: str, made: str, item: Kind, depth: int) -> None:
        one, add, outer = self.name(), self.name(), self.parts
        if _is_leb128(item):
            self.say(f"{made} = bytearray()", f"{add} = {made}.append", f"for {one} in {value}:")
            self.say(f" if {one} > 127:", f"  if {one} > {item[5]}: raise ValueError")
            self.say(f"  while {one} > 127:", f"   {add}({one} & 127 | 128)", f"   {one} >>= 7")
            self.say(f" {add}({one})")
            self.part(made)
            return
        self.say(f"{made} = []", f"{add} = {made}.append", f"for {one} in {value}:")
        self.parts = []
        self.indent += " "
        self.looping = True
        self.field(one, item, depth)
        self.say(f"{add}({self.joined()})")
        self.looping = False
        self.indent = self.indent[:-1]
        self.parts = outer
        self.part(f"*{made}")


def _is_leb128(kind: Kind) -> bool:
    """Whether it is a number in LEB128, of four bytes or more."""
    return bool(kind[0] == NUMBER and kind[3][0] == LEB128 and kind[3][1] >= 4)


def _swaps(item: Kind) -> bool:
    little = item[3][2] if item[0] == NUMBER else item[4]
    return bool(item[1] > 1 and little != NATIVE_LITTLE)


_READ = {
    STR: _Reading.counted,
    BYTES: _Reading.counted,
    REST: _Reading.rest,
    CONST: _Reading.const,
    LIST: _Reading.list,
    ARRAY: _Reading.array,
}
_WRITE = {
    BOOL: _Writing.bool,
    STR: _Writing.counted,
    BYTES: _Writing.counted,
    REST: _Writing.rest,
    LIST: _Writing.list,
    ARRAY: _Writing.array,
    ENUM: _Writing.enum,
}
