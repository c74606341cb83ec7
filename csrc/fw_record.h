/* The op table of a record: what its fields are, one fw_op each, and the walk over it that makes no objects.
 *
 * Whoever builds a table owns all that it points to, and fills in what a kind needs; the `void` pointers are for
 * his own use. A table never changes once it is walked, so any number of threads may walk it.
 */
#ifndef FW_RECORD_H
#define FW_RECORD_H

#include <stdbool.h>

#include "fw.h"

/* The kinds of types, as fields.py numbers them. */
enum fw_type {
    FW_T_NUMBER, FW_T_FLOAT, FW_T_BOOL, FW_T_STR, FW_T_BYTES, FW_T_REST, FW_T_CONST, FW_T_PAD, FW_T_LIST,
    FW_T_ARRAY, FW_T_RECORD, FW_T_ENUM,
    FW_T_TEXT = 20, FW_T_BINARY, FW_T_VIEW, FW_T_LISTED, FW_T_ARRAYED, FW_T_CSTR, FW_T_FIXED, FW_T_REPEAT,
    FW_T_ROW, FW_T_CODEC,
    FW_T_ONEOF = 40, FW_T_WHEN, FW_T_BITS, FW_T_SIZE
};

enum {
    FW_LEVELS = 64,                 /* of records within each other */
    FW_STEPS = 4 * FW_LEVELS + 1,   /* a name and at most three indices for each, and one of many records */
    FW_NOTES = 8,                   /* numbers that decide about fields of one record */
    FW_E_CRAMPED = -110,            /* what a size bounds needs *more bytes beyond it */
    FW_E_UNFILLED = -111            /* *more bytes of a size are left over */
};

typedef struct fw_op fw_op;
typedef struct fw_shape fw_shape;
typedef struct fw_walk fw_walk;
typedef struct fw_note fw_note;

/* How far a value goes, where the common kinds do not say it. */
typedef struct fw_extent {
    uint64_t most;          /* bytes or items; of FW_T_CSTR, UINT64_MAX: any number */
    uint64_t bias;          /* how much more than that the number in front is */
    uint64_t null;          /* the number that means that there is no value, if `nullable` */
    bool nullable;
    uint8_t pad[2];         /* FW_T_FIXED: `unit` bytes, or none */
    unsigned align;         /* FW_T_TEXT, FW_T_BINARY, FW_T_VIEW: zeros follow, up to a multiple of it */
    unsigned unit;          /* FW_T_CSTR: the bytes of its NUL */
    int coding;             /* for whoever reads and writes text */
    ptrdiff_t count;        /* FW_T_REPEAT, FW_T_ROW: the number of items */
} fw_extent;

typedef struct fw_choice {
    uint64_t tag;           /* a signed one is its 64 bits */
    const fw_shape *record;
} fw_choice;

/* The way to a number that decides about fields: indices of ops, from a record inwards. */
typedef struct fw_way {
    const uint16_t *steps;
    int count;
} fw_way;

/* What only the kinds behind FW_T_ENUM have, and the fields that an extensible record may lack. */
typedef struct fw_rule {
    bool first, last, flag; /* FW_T_BITS: of their integer; a bool */
    unsigned shift;         /* FW_T_BITS: how far they are from the lowest bit */
    int64_t plus;           /* FW_T_SIZE: what else it counts */
    size_t choice_count;
    fw_choice *choices;     /* FW_T_ONEOF, sorted by their tags */
    int note;               /* FW_T_WHEN: which way of the record leads to the number that decides */
    bool any;               /* there is the field if any bit of mask is set; else if they are `wanted` */
    uint64_t mask, wanted;
    bool has_default;       /* a number stands for the field where the bytes end before it */
    uint64_t default_number;
} fw_rule;

struct fw_op {
    int kind;
    bool simple;            /* a number, or a count, is an integer of fixed width */
    bool plain;             /* always `least` bytes, of which none can be wrong */
    bool little, is_signed;
    bool swaps;             /* an array's items, from the machine's order */
    bool closed;            /* FW_T_ENUM: what is no member is an error */
    unsigned width;         /* of a simple number or count, or a float */
    ptrdiff_t least;        /* bytes of the type; so many have FW_T_CONST and FW_T_PAD */
    ptrdiff_t tail;         /* least of all fields behind this one */
    ptrdiff_t slot;         /* where the instance has the value; 0: nowhere */
    uint64_t high;          /* greatest number or count */
    fw_field *field;        /* of the number or count */
    fw_op *item;            /* of lists, arrays and FW_T_WHEN; its least is 0 only where `extent` has a limit */
    fw_extent *extent;      /* FW_T_TEXT to FW_T_CODEC */
    const fw_shape *record; /* FW_T_RECORD */
    const uint8_t *data;    /* FW_T_CONST */
    const uint64_t *members; /* FW_T_ENUM, sorted as they are */
    size_t member_count;
    fw_rule *rule;          /* or NULL */
    void *name, *owner, *label;
};

struct fw_shape {
    const fw_op *ops;
    ptrdiff_t count, least;
    void *owner;
    bool structured;        /* what follows is of interest */
    bool extensible;
    ptrdiff_t required;     /* how many fields there are at least, where the end is known */
    const fw_way *ways;     /* to the numbers that decide about fields, FW_NOTES at most */
    int way_count;
};

typedef struct fw_step {
    const void *name;       /* of a field; NULL: an index */
    ptrdiff_t index;
} fw_step;

/* The way to what is being read or written, kept up to date with one store a field: an error finds it there. */
typedef struct fw_path {
    void *record;
    int depth, count;
    fw_step steps[FW_STEPS];
} fw_path;

struct fw_walk {
    const uint8_t *data;
    ptrdiff_t at, size;
    void *source;           /* what has the data, for whoever reads */
    /* Passes over a FW_T_CODEC of which op->least bytes are there; answers as fw_skip_record does. */
    int (*hook)(const fw_op *op, fw_walk *walk, ptrdiff_t *more);
    bool ends;              /* the record to come goes on to `size`, which is the end of all there is */
    bool bounded;           /* `size` is what a field of a record around says */
    ptrdiff_t word_at;
    uint64_t word;          /* of FW_T_BITS, which stands at word_at */
    fw_note *notes;         /* that fields of the record to come are wanted for, or NULL */
    fw_path path;
};

/* Pass over one record at walk->at; walk->notes is NULL, walk->ends and walk->bounded are false for the outermost.
 * FW_FRAME: it is whole and ends at walk->at. FW_MORE: *more bytes are missing at least, beyond walk->size.
 * Anything else: walk->path and walk->at are those of *bad, whose bytes are wrong and will stay so. */
int fw_skip_record(const fw_shape *shape, fw_walk *walk, ptrdiff_t *more, const fw_op **bad);

/* Whether a closed enumeration has the number; a signed one is its 64 bits. */
bool fw_is_member(const fw_op *op, uint64_t number);

/* The record of a tag of FW_T_ONEOF, or NULL. */
const fw_shape *fw_choose_record(const fw_op *op, uint64_t tag);

/* Whether a record need not have its field number i, where the bytes end before that. */
bool fw_may_lack(const fw_shape *shape, ptrdiff_t i);

#endif
