"""Records whose fields decide about each other, of random declarations: round trips, and equal twins."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest
from conftest import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_equal_records import COUNTS, LEAF, SCALAR, VALUED, annotated, on, spoiled, value_of
from test_records import HAS_NATIVE, Kind, declared, outcome

import framewire as fw
from framewire import fields

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="built without the extension")


class Field(NamedTuple):
    name: str
    kind: Any  # as test_equal_records has it, or one of those below
    default: Any = ...


class Declared(NamedTuple):
    """A record: what is in it, and the options of its class."""

    fields: list[Field]
    options: dict[str, Any]


# ("made", Declared), ("many", count, kind), ("oneof", tag, {tag: Declared}), ("bits", of, count, what),
# ("when", path, mask, equals, kind), ("size", number, plus)
NUMBERS = ["u8", "u16", "i8", "u24le", "varint", "u64", "i64"]
SIZES = ["u8", "u16", "u32le", "varint", "i32"]


def limits(kind: Any) -> tuple[int, int] | None:
    """The least and the greatest number of what may decide about a field."""
    if kind[0] == "when":
        return limits(kind[4])
    if kind[0] == "bool":
        return 0, 1
    if kind[0] == "bits":
        return 0, (1 << kind[2]) - 1
    if kind[0] == "scalar" and kind[1][0] != "f":
        field = fields.NAMED[kind[1]]
        return (-field.maximum - 1 if field.spec[3] else 0), field.maximum
    return None


def deciders(made: Declared) -> list[tuple[str, tuple[int, int]]]:
    """The paths to numbers that may decide about a field behind all of these."""
    found = []
    optional = False
    for name, kind, default in made.fields:
        optional = optional or (default is not ... and made.options["extensible"])
        inner = kind[4] if kind[0] == "when" else kind
        if inner[0] == "made" and not optional:
            found += [(f"{name}.{path}", most) for path, most in deciders(inner[1])]
        most = limits(inner)
        if most is not None:
            found.append((name, most))
    return found


def is_open(made: Declared) -> bool:
    """Whether it goes on to the end, wherever that is."""
    if any(kind[0] == "size" for _, kind, _ in made.fields):
        return False
    kind = made.fields[-1].kind
    kind = kind[4] if kind[0] == "when" else kind
    inner = {"made": lambda: [kind[1]], "oneof": lambda: kind[2].values()}.get(kind[0], list)()
    return kind[0] == "rest" or any(is_open(one) for one in inner)


def heeds(made: Declared) -> bool:
    """Whether something in it is extensible."""
    inner: list[Declared] = []
    for _, kind, _ in made.fields:
        kind = kind[4] if kind[0] == "when" else kind
        kind = kind[2] if kind[0] == "many" else kind
        inner += [kind[1]] if kind[0] == "made" else list(kind[2].values()) if kind[0] == "oneof" else []
    return made.options["extensible"] or any(heeds(one) for one in inner)


@st.composite
def groups(draw: Any) -> list[Any]:
    """Some bits that make a whole integer."""
    of = draw(st.sampled_from(["u8", "u16", "u24", "u64", "u16le"]))
    left, found = 8 * fields.NAMED[of].narrowest, []
    while left:
        count = draw(st.integers(1, left))
        what = draw(st.sampled_from(["int", "open", "kind"] + ["bool"] * 3 * (count == 1)))
        found.append(("bits", of if not found else "", count, what))
        left -= count
    return found


@st.composite
def choices(draw: Any, depth: int) -> Any:
    tag = draw(st.sampled_from(["u8", "i16", "varint"]))
    tags = draw(st.lists(st.integers(0, 127), min_size=1, max_size=3, unique=True))
    return "oneof", tag, {number: draw(records(depth + 1)) for number in tags}


@st.composite
def records(draw: Any, depth: int = 0, closed: bool = False) -> Declared:
    """`closed`: its end is its own."""
    options = {"extensible": draw(st.booleans()), "byteorder": draw(st.sampled_from(["big", "little"]))}
    made = Declared([], options)

    def add(kind: Any) -> None:
        made.fields.append(Field(f"f{len(made.fields)}", kind))

    sized = False
    add(draw(SCALAR))
    for _ in range(draw(st.integers(1, 5))):
        inner = ["made", "many", "oneof"] if depth < 2 else []
        what = draw(st.sampled_from(["leaf", "number", "when", "when", "bits", "size", *inner]))
        if what == "leaf":
            add(draw(LEAF))
        elif what == "number":
            add(("scalar", draw(st.sampled_from(NUMBERS))))
        elif what == "bits":
            for kind in draw(groups()):
                add(kind)
        elif what == "size" and not sized:
            sized = True
            add(("size", draw(st.sampled_from(SIZES)), draw(st.sampled_from([0, 0, 4, -1]))))
        elif what == "oneof":
            add(draw(choices(depth)))
        elif what == "made":
            add(("made", draw(records(depth + 1))))
        elif what == "many":
            add(
                (
                    "many",
                    draw(st.sampled_from(COUNTS)),
                    draw(choices(depth) | records(depth + 1).map(as_kind)),
                )
            )
        elif what == "when" and deciders(made):
            path, (low, high) = draw(st.sampled_from(deciders(made)))
            mask = draw(st.none() | st.integers(1, min(high, 255)))
            equals = draw(st.none() | st.sampled_from([low, 0, 1, high]))
            if mask is not None and equals is not None:
                equals &= mask
            if equals is not None and not low <= equals <= high:
                equals = None
            add(("when", path, mask, equals, draw(VALUED | choices(depth) if depth < 2 else VALUED)))
    if draw(st.booleans()) or not sized:
        add(("rest",) if draw(st.booleans()) else draw(SCALAR))
    # What goes on to the end can only be the last.
    kept = [one for one in made.fields[:-1] if not ends_open(one.kind)] + made.fields[-1:]
    assume(len(kept) == len(made.fields))
    assume(not (closed and is_open(made)))
    return made._replace(fields=defaulted(draw, made))


def as_kind(made: Declared) -> Any:
    return "made", made


def ends_open(kind: Any) -> bool:
    return is_open(Declared([Field("x", kind)], {}))


def defaulted(draw: Any, made: Declared) -> list[Field]:
    """The fields, the last of them with defaults."""
    found = list(made.fields)
    if not made.options["extensible"]:
        return found
    for i in range(len(found) - 1, draw(st.integers(0, len(found))) - 1, -1):
        kind = found[i].kind
        if kind[0] in ("scalar", "bool", "str", "bytes", "rest", "bits"):
            found[i] = found[i]._replace(default=draw(value(kind, {})))
        elif kind[0] == "when" and kind[4][0] in ("scalar", "str"):
            found[i] = found[i]._replace(default=draw(st.none() | value(kind[4], {})))
        elif kind[0] in ("const", "pad"):
            continue
        else:
            break
    # A field without default cannot follow one with it, and no decider inwards may be missing.
    paths = [one.kind[1].split(".")[0] for one in found if one.kind[0] == "when" and "." in one.kind[1]]
    assume(not any(one.name in paths and one.default is not ... for one in found))
    lacking = [one.name for one in found if one.default is not ...]
    assume(not lacking or found[-1].default is not ... or found[-1].kind[0] in ("const", "pad"))
    return found


def is_there(kind: Any, seen: dict[str, Any]) -> bool:
    number: Any = seen
    for name in kind[1].split("."):
        if number is None:
            return False
        number = number[name]
    if number is None:
        return False
    mask, equals = kind[2:4]
    bits = int(number) & ((1 << 64) - 1 if mask is None else mask)
    return bits != 0 if equals is None else bits == equals & ((1 << 64) - 1)


def value(kind: Any, seen: dict[str, Any]) -> st.SearchStrategy[Any]:
    head = kind[0]
    if head == "when":
        return value(kind[4], {}) if is_there(kind, seen) else st.none()
    if head == "made":
        return values(kind[1])
    if head == "many":
        return st.lists(value(kind[2], {}), max_size=3)
    if head == "oneof":
        return st.sampled_from(sorted(kind[2])).flatmap(
            lambda tag: st.tuples(st.just(tag), values(kind[2][tag]))
        )
    if head == "bits":
        top = (1 << kind[2]) - 1
        if kind[3] == "kind":
            return st.sampled_from([one for one in Kind if one <= top])
        return st.booleans() if kind[3] == "bool" else st.integers(0, top) | st.integers(0, min(top, 3))
    return st.none() if head == "size" else value_of(kind)


@st.composite
def values(draw: Any, made: Declared) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, kind, _ in made.fields:
        seen[name] = draw(value(kind, seen))
    return seen


def annotation_of(kind: Any) -> Any:
    head = kind[0]
    if head == "made":
        return build(kind[1])
    if head == "bits":
        return {"int": int, "bool": bool, "open": Kind | int, "kind": Kind}[kind[3]]
    return int if head == "size" else annotated(kind)


def told(kind: Any) -> tuple[Any, Any]:
    """The annotation of a field, and what stands right of `=`."""
    head = kind[0]
    if head == "oneof":
        table = {tag: build(made) for tag, made in kind[2].items()}
        union = fields.Either(tuple(table.values()))
        return union, fw.oneof(getattr(fw, kind[1]), table)
    if head == "many":
        inner, given = told(kind[2])
        return getattr(fw, f"list_{kind[1]}")[inner], given
    if head == "when":
        inner, given = told(kind[4])
        return fields.Either((inner, None)), fw.when(kind[1], mask=kind[2], equals=kind[3], type=given)
    if head == "bits":
        return annotation_of(kind), fw.bits(kind[2], of=getattr(fw, kind[1]) if kind[1] else None)
    if head == "size":
        return int, fw.size(getattr(fw, kind[1]), plus=kind[2])
    if head in ("const", "pad"):
        return bytes, fw.const(kind[1]) if head == "const" else fw.pad(kind[1])
    if head == "enum":
        return Kind, fw.enumerated(getattr(fw, kind[1]), open=kind[2])
    return annotation_of(kind), None


def build(made: Declared) -> Any:
    annotations, given = {}, {}
    for name, kind, default in made.fields:
        annotations[name], right = told(kind)
        if right is not None and default is not ...:
            right = fields.FieldType(right.call, right.kind, right.length, right.detail, default)
        if right is not None or default is not ...:
            given[name] = right if right is not None else default
    return declared("R", annotations, given, **made.options)


def instance(cls: Any, made: Declared, seen: dict[str, Any]) -> Any:
    given = {}
    types = dict(cls._layout.types)
    for name, kind, _ in made.fields:
        if kind[0] not in ("const", "pad", "size"):
            given[name] = filled(types[name], kind, seen[name])
    return cls(**given)


def filled(lowered: Any, kind: Any, inner: Any) -> Any:
    """The value of a field, with records in place of what describes them; junk stays what it is."""
    if lowered[0] == fields.WHEN:
        return None if inner is None else filled(lowered[3], kind[4], inner)
    if kind[0] == "made" and isinstance(inner, dict):
        return instance(lowered[3], kind[1], inner)
    if kind[0] == "many" and isinstance(inner, list):
        return [filled(lowered[6], kind[2], one) for one in inner]
    if kind[0] == "oneof" and isinstance(inner, tuple) and len(inner) == 2 and inner[0] in kind[2]:
        return instance(dict(lowered[6])[inner[0]], kind[2][inner[0]], inner[1])
    return inner


def twins(made: Declared) -> tuple[Any, Any]:
    try:
        native, pure = (on(name, lambda: build(made)) for name in ("native", "pure"))
    except fw.DeclarationError as error:
        # A list of what may have no bytes, or no end; more deciders than one record may have.
        for text in ("have no bytes", "rest cannot be in a list", "fields that decide"):
            assume(text not in str(error))
        raise
    return native, pure


@settings(max_examples=examples(400, 20000))
@given(st.data())
def test_the_twins_agree(data: Any) -> None:
    made = data.draw(records())
    native, pure = twins(made)
    assert (native.min_size, native.fixed_size) == (pure.min_size, pure.fixed_size)
    seen = data.draw(values(made))
    mine, theirs = instance(native, made, seen), instance(pure, made, seen)
    wire = outcome(mine.pack)
    assert wire == outcome(theirs.pack)
    if not isinstance(wire, str):
        # A size that its field cannot say.
        assume(False)
    packed = mine.pack()
    assert len(packed) == mine.size_of() == theirs.size_of() >= native.min_size
    assert native.fixed_size in (None, len(packed))
    again = native.unpack(packed)
    assert again.pack() == packed
    assert outcome(lambda: again) == outcome(lambda: pure.unpack(packed))
    for size in range(len(packed)):
        cut = packed[:size]
        lacks = native.missing(cut)
        assert lacks == pure.missing(cut) and lacks <= len(packed) - size
        refused = outcome(partial(native.unpack, cut))
        assert refused == outcome(partial(pure.unpack, cut))
        if not is_open(made):
            assert lacks > 0
        if not heeds(made):
            assert isinstance(refused, str) is (lacks == 0)
    assert native.missing(packed) == 0
    for _ in range(6):
        damaged = bytearray(packed)
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.sampled_from([0, 1, 2, 3, 0x7F, 0x80, 0xFF]))
        for call in ("unpack", "unpack_from", "missing"):
            mine, theirs = (outcome(partial(getattr(cls, call), damaged)) for cls in (native, pure))
            assert mine == theirs
    name, kind, _ = data.draw(st.sampled_from(made.fields))
    if kind[0] not in ("const", "pad", "size"):
        bad = {**seen, name: spoiled(data.draw, ("leaf",), None)}
        assert outcome(instance(native, made, bad).pack) == outcome(instance(pure, made, bad).pack)


@settings(max_examples=examples(400, 20000))
@given(records(), st.binary(max_size=60) | st.binary(max_size=12).map(lambda data: data * 5))
def test_any_bytes_mean_the_same_to_both(made: Declared, data: bytes) -> None:
    native, pure = twins(made)
    for call in ("unpack", "unpack_from", "missing"):
        mine = outcome(partial(getattr(native, call), data))
        assert mine == outcome(partial(getattr(pure, call), data))
        if not isinstance(mine, str):
            assert mine[0] is fw.RecordError
