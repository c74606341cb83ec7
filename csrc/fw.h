/* framewire's C core: bytes -> frames and message -> header, without Python, malloc, globals or I/O.
 *
 * A framing arrives as an fw_plan, built once by the caller, who owns everything it points to and has
 * checked it: the core trusts plans and trusts no byte of a stream. Decoding is a loop over frames per
 * call (fw_cut), because handing over a batch costs less than a call a frame; what is left of a stream
 * is described by an fw_cursor. Encoding (fw_encode) says which bytes to put before, instead of a part
 * of, and behind the message, so that the caller can copy, join or send them as vectors.
 * Bounds are always compared as `need > end - position`; sizes from the wire stay 64 bits wide and are
 * compared with the limit before any arithmetic. Shortage is a value (FW_MORE), never an error.
 * Every fault is proven by a definite byte, whichever way the stream was cut: cursor.proof says which. */
#ifndef FW_H
#define FW_H

#include <stddef.h>
#include <stdint.h>

enum fw_status {
    FW_FRAME = 1,             /* the batch is full; there may be more frames */
    FW_MORE = 0,              /* the data ends inside a frame, or at its boundary */
    FW_E_TOO_LARGE = -1,      /* beyond max_frame */
    FW_E_NEGATIVE = -2,       /* a negative length */
    FW_E_SHORT = -3,          /* the length ends the frame before its body starts */
    FW_E_DIGIT = -4,          /* a byte that is no digit */
    FW_E_ZERO = -5,           /* a leading zero */
    FW_E_LONG = -6,           /* a length field of too many bytes or digits */
    FW_E_OVERFLOW = -7,       /* a length of too many bits */
    FW_E_CANONICAL = -8,      /* not the shortest form where that is demanded */
    FW_E_INDEFINITE = -9,     /* a BER length octet that announces no usable length */
    FW_E_SELECTOR = -10,      /* a selector without a tier */
    FW_E_TAG = -11,           /* a tag without a framing */
    FW_E_MAGIC = -12,         /* a fixed header byte is another one */
    FW_E_TRAILER = -13,       /* a fixed trailer byte is another one */
    FW_E_ESCAPE = -14,        /* a byte that cannot follow an escape byte */
    FW_E_CHECK = -15,         /* the frame check sequence does not fit */
    FW_E_CODE = -16,          /* a COBS code that points behind its frame */
    FW_E_HEADER = -35,        /* more than max_header bytes that are not body */
    FW_E_LINE = -36,          /* a line that is no field */
    FW_E_LINE_END = -37,      /* a line that ends in another way than it must */
    FW_E_NUMBER = -38,        /* a length that is no plain number, or one that may not stand there */
    FW_E_LENGTHS = -39,       /* a header with no length, or with two different ones */
    FW_E_COUNTER = -45,       /* a fragment's counter is not the next one */
    FW_E_FRAGMENTS = -46,     /* a frame of too many fragments */
    FW_E_DEPTH = -40,         /* an RESP reply with more levels than max_depth */
    FW_E_LONG_LINE = -41,     /* a line beyond max_line */
    FW_E_LF = -42,            /* a line that ends without CR */
    FW_E_COUNT = -43,         /* a line without the number that counts its body */
    FW_E_NOISE = -30,         /* more bytes between two frames than may stand there */
    FW_E_RESTART = -31,       /* a frame starts inside another one */
    FW_E_UNSAYABLE = -20,     /* encoding: the length field cannot express the size */
    FW_E_SCALE = -21,         /* encoding: the body is no multiple of the unit */
    FW_E_FIXED = -22,         /* encoding: not exactly the fixed size */
    FW_E_MISMATCH = -23,      /* encoding: a whole frame whose header says another size */
    FW_E_WHOLE_SHORT = -24,   /* encoding: a whole frame shorter than its header and trailer */
    FW_E_DELIMITER = -25,     /* encoding: a delimiter inside, or one that would form at the end */
    FW_E_UNTERMINATED = -26,  /* encoding: a message that should keep its delimiter has none */
    FW_E_EMPTY = -27,         /* encoding: an empty message, where nothing between two marks is idle fill */
    FW_E_LAST_LINE = -28      /* encoding: text whose last line has no end */
};

/* The numbers are those of framings.py; 5 and 6, Custom and Preamble, never come here. */
enum fw_kind {
    FW_FIXED, FW_COUNTED, FW_SCANNED, FW_TAGGED, FW_UNTIL_EOF, FW_SLIP = 7, FW_HDLC, FW_COBS,
    FW_ENCLOSED, FW_HEADERS, FW_CHUNKED, FW_LINE_COUNTED, FW_RESP, FW_FIX, FW_FRAGMENTED, FW_DOTTED
};

enum fw_field_kind {
    FW_NONE, FW_UINT, FW_LEB128, FW_VLQ, FW_QUIC, FW_BER, FW_DIGITS, FW_DIGITS_END, FW_HEXDIGITS, FW_TIERED,
    FW_ZIGZAG, FW_SLEB128
};

enum fw_eof { FW_EOF_ERROR, FW_EOF_DELIVER, FW_EOF_DROP };

enum fw_counts { FW_BODY, FW_REST, FW_FIELD, FW_WHOLE };

#define FW_MAX_TIERS 8
#define FW_MAX_EXTRA 4
#define FW_MAX_DELIMITERS 16
#define FW_MAX_CONTROL 16
#define FW_MAX_DEPTH 64
#define FW_MAX_HEADER 512
#define FW_MAX_FIELD 48           /* more than any field with its tier or escape: 19 digits + 4, 9 + 9 */
#define FW_FAR ((uint64_t)1 << 62) /* where a frame of an absurd size is said to end */

typedef struct fw_tier {
    uint64_t selector, base;
    uint8_t width, little, is_signed;
} fw_tier;

/* How a number stands on the wire; the fields are those of LengthType.spec in fields.py. Of FW_LEB128 and
 * FW_ZIGZAG, `mask` has all the bits that a number may have; 0 means 64 of them. */
typedef struct fw_field {
    uint8_t kind, width, little, is_signed, shift, canonical, end_size, tier_count, follow_size;
    uint8_t end[4];
    uint32_t narrowest;
    uint64_t mask, follow_bit;
    int64_t direct;
    fw_tier tiers[FW_MAX_TIERS];
} fw_field;

/* `count` alternatives of `size` bytes each, one behind the other, that stand at `offset`. */
typedef struct fw_magic {
    uint32_t offset, size, count;
    const uint8_t *bytes;
} fw_magic;

typedef struct fw_extra {
    uint32_t offset;
    uint8_t width, little, shift;
    uint64_t mask;
} fw_extra;

typedef struct fw_delimiter {
    const uint8_t *bytes;
    size_t size;
} fw_delimiter;

/* A first word whose line counts a body, in the word of that index, negative from the end. */
typedef struct fw_verb {
    const uint8_t *bytes;
    size_t size;
    int32_t index;
} fw_verb;

typedef struct fw_plan {
    uint8_t kind, strip;
    uint8_t simple;              /* set by fw_prepare: a fixed-width length and nothing else */
    uint8_t one_last;            /* set by fw_prepare: all delimiters have the same last byte */
    uint8_t patient;             /* an oversized frame is skipped: its whole length must be read */
    uint8_t eof;                 /* an fw_eof; the core leaves it to the caller */
    uint8_t joins;               /* set by fw_prepare: what is delivered is made by fw_join */
    uint64_t max_frame, min_size;
    uint64_t capacity;           /* the most a length field can say, for messages */
    uint64_t size;               /* FW_FIXED */
    /* FW_COUNTED, FW_FRAGMENTED */
    uint8_t counts, has_escape, trailer_any;
    uint32_t offset, after, trailer_size, magic_count, extra_count;
    int64_t adjust;
    uint64_t scale, escape_value;
    uint64_t least_value, most_value; /* set by fw_prepare: values outside are faults whatever follows */
    /* set by fw_prepare for `simple`: the body has value + delta bytes, the frame value + around, and
     * `skip` of them are not delivered; `spare` bits of eight loaded bytes are not the field's */
    int64_t delta;
    uint64_t around;
    size_t skip;
    unsigned spare;
    fw_field lead, field, escape;                          /* lead.kind is FW_NONE for a fixed offset */
    const fw_magic *magic;
    const uint8_t *trailer;
    fw_extra extra[FW_MAX_EXTRA];
    uint32_t control_count;      /* values of the length that are frames of a header only */
    uint64_t control[FW_MAX_CONTROL];
    /* FW_FRAGMENTED: what marks the last fragment, a bit of the raw length, or 0 and any value but `full` */
    uint64_t last_bit, full;
    uint64_t full_body;          /* what `full` says of a fragment's body */
    uint8_t has_counter;
    uint32_t counter_at, most_fragments;
    /* FW_SCANNED: the first is the one to write; by_size is the same, longest first */
    uint32_t delimiter_count;
    size_t longest;
    fw_delimiter delimiters[FW_MAX_DELIMITERS], by_size[FW_MAX_DELIMITERS];
    uint8_t last;                /* set by fw_prepare for `one_last`: that byte */
    uint8_t last_bytes[32];      /* set by fw_prepare: the set of last bytes */
    /* FW_HDLC: bytes of the check sequence, 0, 2 or 4; FW_COBS: the reduced form */
    uint8_t check_size, reduced;
    uint32_t crc[16][16];        /* set by fw_prepare with `check_size`: see crc_run in fw_stuff.c */
    /* FW_HEADERS: the field that says the length, what a header without it means (0: an error, 1: no body,
     * 2: a NUL ends it, and stands behind every other body too); FW_CHUNKED: HTTP's chunks or NETCONF's */
    const uint8_t *name;
    size_t name_size;
    uint8_t start_line, bare_lf, missing, http;
    uint64_t max_header;
    /* FW_LINE_COUNTED */
    uint8_t any_case;
    uint32_t verb_count, max_line;
    const fw_verb *verbs;
    /* FW_RESP: levels of nesting, at most FW_MAX_DEPTH; whether lines without a type are frames */
    uint8_t is_inline;
    uint32_t max_depth;
    /* FW_ENCLOSED: the end mark is delimiters[0]; `trailer_size` bytes of any value behind it */
    fw_delimiter opening;
    uint8_t stuffs, escape_byte, escape_flip, restarts;
    uint64_t noise_limit;
    /* FW_TAGGED: rows[tag] is an index into parts, or less than 0 */
    uint8_t tag_mask;
    uint32_t tag_offset;
    const int16_t *rows;
    const struct fw_plan *const *parts;
} fw_plan;

/* A frame as delivered: data[start..stop). */
typedef struct fw_frame {
    size_t start, stop;
} fw_frame;

/* Where a stream stands. `pos` and `scanned` are in and out, the rest is out, and for fw_text.c and fw_talk.c
 * also in while `scanned` is not 0. */
typedef struct fw_cursor {
    size_t pos;                  /* first byte of the next frame */
    size_t scanned;              /* bytes of it in which no delimiter ends */
    const fw_plan *leaf;         /* the plan of the unfinished or faulty frame; NULL before its tag */
    /* FW_MORE */
    uint64_t need;               /* the fewest missing bytes of this frame */
    uint64_t start, stop;        /* if `direct`: the frame's delivered part, relative to pos, */
    int direct;                  /*   known before it is there, and nothing follows it */
                                 /* FW_FRAGMENTED: `start`, in and out, is the fragments in `scanned` */
    /* faults */
    uint64_t value;              /* the length, tag, selector or number of bytes at fault */
    uint64_t scale;              /* too large: the size is value * scale + delta; 0 where none is known */
    int64_t delta;
    uint64_t end;                /* too large: where the frame ends, relative to pos */
    size_t proof;                /* so many bytes of the frame prove the fault */
    size_t recover;              /* not 0: the stream goes on so far behind pos */
    /* FW_LINE_COUNTED: where the frame ends, 0 before that is known; FW_RESP: where its first element that is
     * not whole begins, and how many more elements each open aggregate has, the frame itself at the bottom */
    uint64_t walked;
    uint32_t depth;
    uint64_t left[FW_MAX_DEPTH + 1];
} fw_cursor;

/* How a message becomes a frame: message[0..keep), made, message[resume..size), tail. */
typedef struct fw_wire {
    size_t keep, resume;
    size_t made_size, tail_size;
    const uint8_t *tail;
    uint64_t value, announced;   /* faults; announced is UINT64_MAX where the header says no size */
    size_t at, proof;
    uint8_t made[FW_MAX_HEADER + FW_MAX_FIELD];
} fw_wire;

/* Fills the derived members of a plan whose other members are set. */
void fw_prepare(fw_plan *plan);

/* Cuts up to `cap` frames from data[cursor.pos..size) into out[] and returns how many; *status is an
 * fw_status for what comes after them. Frames before a fault are always returned. */
size_t fw_cut(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *cursor,
              fw_frame *out, size_t cap, int *status);

/* The end of the first delimiter in data[start..size) whose last byte is at `from` or behind it, with its
 * size in *found; 0 if there is none. A match never begins before `start`. */
size_t fw_find(const fw_plan *plan, const uint8_t *data, size_t start, size_t from, size_t size,
               size_t *found);

/* The fewest bytes that could complete a delimiter, and what follows it, behind data[0..size): of a frame
 * from its start (FW_SCANNED), or what fw_pass left of it. */
uint64_t fw_find_need(const fw_plan *plan, const uint8_t *data, size_t size);

/* Discards of a frame that is too large and that only a mark ends: how many of data[0..size) are of no more
 * use, and in *done whether the frame ends with them. cursor.scanned is 0 at the frame's first byte. */
size_t fw_pass(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *cursor, int *done);

/* The plan that applies to a message: plan itself, or the part that the message's tag chooses, or NULL
 * with an fw_status in *status. */
const fw_plan *fw_choose(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire,
                         int *status);

/* Whether the message that fw_encode has accepted would be cut as one of another kind, because its length was
 * written over its tag: the innermost such tag, and what it would be. */
int fw_retags(const fw_plan *plan, const uint8_t *message, size_t size, const fw_wire *wire, int *tag, int *other);

/* With `joins`: what is delivered of the frame data[0..size) that fw_cut found, to out, which has room for
 * `size` bytes; its size. It cannot fail: fw_cut has checked the frame. */
size_t fw_join(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out);

/* With `joins`: the most bytes that carry a message of `size` bytes, and those bytes, to out. Whether the
 * message may be sent at all is fw_encode's to say. */
size_t fw_expanded_most(const fw_plan *plan, size_t size);
size_t fw_expand(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out);

/* The header of a stripped message of `body` bytes under a `simple` plan, to out; its size, or 0 where
 * fw_encode has to say why not. The common case of fw_encode, without its detour over an fw_wire. */
size_t fw_put_head(const fw_plan *plan, uint64_t body, uint8_t *out);

/* How message[0..size) is written under a plan that is not FW_TAGGED; FW_FRAME or a fault. */
int fw_encode(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);

#endif
