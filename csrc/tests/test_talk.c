/* Lines that count a body, RESP and FIX: every prefix of a stream, flush against the unreadable page, gives
 * the same frames and faults, whether it is cut afresh or byte by byte; and what encoding fills in. */
#include "plans.h"
#include "../fw_talk.h"

#define MOST_FRAMES 64

static const fw_verb verbs[] = {
    {BYTES("set"), 3, 4}, {BYTES("PUB"), 3, -1}, {BYTES("va"), 2, 1}, {BYTES("odd"), 3, -3},
};
static fw_plan lines = {.kind = FW_LINE_COUNTED, .max_frame = 30, .min_size = 2, .max_line = 20,
                        .verbs = verbs, .verb_count = 4};
static fw_plan any_case = {.kind = FW_LINE_COUNTED, .max_frame = 30, .min_size = 2, .max_line = 20,
                           .verbs = verbs, .verb_count = 4, .any_case = 1};
static fw_plan resp = {.kind = FW_RESP, .max_frame = 40, .min_size = 3, .max_depth = 3};
static fw_plan inlined = {.kind = FW_RESP, .max_frame = 40, .min_size = 2, .max_depth = 64, .is_inline = 1};
static fw_plan narrow = {.kind = FW_RESP, .max_frame = 2, .min_size = 3, .max_depth = 1};
static fw_plan fix = {.kind = FW_FIX, .max_frame = 20, .min_size = 17};

typedef struct stream {
    const fw_plan *plan;
    const char *text;
    size_t size;
    const char *sizes;          /* of its frames, a byte each */
    int status;                 /* behind them */
    size_t proof;               /* of a fault */
    uint64_t value;             /* or what an announced size is */
} stream;

#define STREAM(plan, text, sizes, status, proof, value) \
    {&plan, text, sizeof(text) - 1, sizes, status, proof, value}

static const stream streams[] = {
    STREAM(lines, "PING\r\n\r\n \t\r\n-ERR no\r\n", "\6\2\4\11", FW_MORE, 0, 0),
    STREAM(lines, "set a 0 0 3\r\n\r\n\n\r\nset a 0 0 0 noreply\r\n\r\n", "\22\27", FW_MORE, 0, 0),
    STREAM(lines, "PUB x 12\r\nhello, world\r\nPUB\tx  y\t1 \r\n\n\r\npub 9\r\n", "\30\20\7", FW_MORE, 0, 0),
    STREAM(lines, "va 2 T\r\nab\r\nodd 1 2 3\r\na\r\nodd 0 2\r\n", "\14\16", FW_E_COUNT, 9, 0),
    STREAM(lines, "va 02\r\n", "", FW_E_COUNT, 7, 0),
    STREAM(lines, "va\r\n", "", FW_E_COUNT, 4, 0),
    STREAM(lines, "odd 1\r\n", "", FW_E_COUNT, 7, 0),
    STREAM(lines, "va -1\r\n", "", FW_E_COUNT, 7, 0),
    STREAM(lines, "va 0x3\r\n", "", FW_E_COUNT, 8, 0),
    STREAM(lines, "va 1234567890123456789\r\n", "", FW_E_LONG_LINE, 22, 20),
    STREAM(lines, "va 999999999999999\r\n", "", FW_E_TOO_LARGE, 20, UINT64_C(999999999999999)),
    STREAM(lines, "va 31\r\n", "", FW_E_TOO_LARGE, 7, 31),
    STREAM(lines, "va 30\r\n123456789012345678901234567890\r\n", "\47", FW_MORE, 0, 0),
    STREAM(lines, "12345678901234567890\r\n123456789012345678901\r\n", "\26", FW_E_LONG_LINE, 22, 20),
    STREAM(lines, "a\nb\r\n", "", FW_E_LF, 2, 0),
    STREAM(lines, "\n", "", FW_E_LF, 1, 0),
    STREAM(lines, "va 1\r\nab\r\n", "", FW_E_TRAILER, 8, 0),
    STREAM(lines, "va 1\r\na\rb", "", FW_E_TRAILER, 9, 0),
    STREAM(any_case, "pub x 1\r\na\r\nSET a 0 0 1\r\nb\r\nPUT 1\r\n{ub 1\r\n", "\14\20\7\7", FW_MORE, 0, 0),
    STREAM(resp, "+OK\r\n-E x\r\n:-1\r\n_\r\n#t\r\n,1e9\r\n(12\r\n+\r\n", "\5\6\5\3\4\6\5\3", FW_MORE, 0, 0),
    STREAM(resp, "$0\r\n\r\n$3\r\n\r\na\r\n=5\r\ntxt:x\r\n!1\r\nE\r\n$-1\r\n*-1\r\n*0\r\n",
           "\6\11\13\7\5\5\4", FW_MORE, 0, 0),
    STREAM(resp, "*2\r\n+a\r\n*1\r\n*1\r\n$1\r\nx\r\n%1\r\n:1\r\n~1\r\n_\r\n>1\r\n+a\r\n", "\27\17\10",
           FW_MORE, 0, 0),
    STREAM(resp, "|1\r\n+k\r\n+v\r\n*1\r\n|0\r\n|1\r\n_\r\n_\r\n:1\r\n", "\42", FW_MORE, 0, 0),
    STREAM(resp, "*1\r\n*1\r\n*1\r\n*0\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "\20", FW_E_DEPTH, 16, 3),
    STREAM(resp, "$36\r\n", "", FW_E_TOO_LARGE, 5, 43),
    STREAM(resp, "*11\r\n+0123\r\n", "", FW_E_TOO_LARGE, 10, 0),
    STREAM(resp, "*13\r\n", "", FW_E_TOO_LARGE, 5, 44),
    STREAM(resp, "%999999999999999999\r\n", "", FW_E_TOO_LARGE, 21, UINT64_C(6000000000000000015)),
    STREAM(resp, "$999999999999999999\r\n", "", FW_E_TOO_LARGE, 21, UINT64_C(1000000000000000022)),
    STREAM(resp, "$1000000000000000000\r\n", "", FW_E_LONG, 20, 18),
    STREAM(resp, "+1234567890123456789012345678901234567\r\n+12345678901234567890123456789012345678\r\n",
           "\50", FW_E_TOO_LARGE, 40, 0),
    STREAM(resp, "PING\r\n", "", FW_E_TAG, 1, 'P'),
    STREAM(resp, "*1\r\nPING\r\n", "", FW_E_TAG, 5, 'P'),
    STREAM(resp, "+a\n", "", FW_E_LF, 3, 0),
    STREAM(resp, "+\n", "", FW_E_LF, 2, 0),
    STREAM(resp, "+\r\r\n+a\rb\r\n", "\4\6", FW_MORE, 0, 0),
    STREAM(resp, "$?\r\n", "", FW_E_DIGIT, 2, 18),
    STREAM(resp, "$-2\r\n", "", FW_E_DIGIT, 3, 18),
    STREAM(resp, "%-1\r\n", "", FW_E_DIGIT, 2, 18),
    STREAM(resp, "$-12", "", FW_E_DIGIT, 4, 18),
    STREAM(resp, "$1\n", "", FW_E_DIGIT, 3, 18),
    STREAM(resp, "$1\rx", "", FW_E_DIGIT, 4, 18),
    STREAM(resp, "$01\r\n", "", FW_E_ZERO, 3, 18),
    STREAM(resp, "$1\r\nab\r\n", "", FW_E_TRAILER, 6, 0),
    STREAM(resp, "*2\r\n$1\r\na\rb", "", FW_E_TRAILER, 11, 0),
    STREAM(inlined, "PING\r\n\r\n*1\r\n+a\r\nGET \n", "\6\2\10", FW_E_LF, 5, 0),
    STREAM(inlined, "*1\r\nPING\r\n", "", FW_E_TAG, 5, 'P'),
    STREAM(inlined, "\n", "", FW_E_LF, 1, 0),
    STREAM(narrow, "+\r\n", "", FW_E_TOO_LARGE, 2, 0),
    STREAM(narrow, "$1\r\n", "", FW_E_TOO_LARGE, 2, 0),
    STREAM(fix, "8=FIX.4.4\0019=5\00135=0\00110=163\0018=FIX\0019=0\00110=004\001", "\32\21", FW_MORE, 0, 0),
    STREAM(fix, "8=FIX.4.2\0019=010\00135=0\00134=2\00110=212\001", "\41", FW_MORE, 0, 0),
    STREAM(fix, "8=FIX.4.4\0019=5\00135=0\00110=164\001", "", FW_E_CHECK, 26, 0),
    STREAM(fix, "8=FIX.4.4\0019=5\00135=0\00110=1634", "", FW_E_TRAILER, 26, 0),
    STREAM(fix, "8=FIX.4.4\0019=5\00135=0\00110=16x", "", FW_E_TRAILER, 25, 0),
    STREAM(fix, "8=FIX.4.4\0019=5\00135=0\00111=", "", FW_E_TRAILER, 21, 0),
    STREAM(fix, "8=FIX.4.4\0019=4\00135=0\00110=", "", FW_E_TRAILER, 18, 0),
    STREAM(fix, "8=FIX.4.4\0019=20\0011234567", "", FW_MORE, 0, 0),
    STREAM(fix, "8=FIX.4.4\0019=21\001", "", FW_E_TOO_LARGE, 15, 21),
    STREAM(fix, "8=FIX.4.4\0019=9999999999\001", "", FW_E_TOO_LARGE, 23, UINT64_C(9999999999)),
    STREAM(fix, "8=FIX.4.4\0019=12345678901", "", FW_E_LONG, 23, 10),
    STREAM(fix, "8=FIX.4.4\0019=\001", "", FW_E_DIGIT, 13, 0),
    STREAM(fix, "8=FIX.4.4\0019=1x", "", FW_E_DIGIT, 14, 0),
    STREAM(fix, "8=FIXT.1.1 ", "", FW_E_MAGIC, 11, 0),
    STREAM(fix, "8=FIX=", "", FW_E_MAGIC, 6, 0),
    STREAM(fix, "8=FIX\177", "", FW_E_MAGIC, 6, 0),
    STREAM(fix, "8=FIX01234567890123", "", FW_E_MAGIC, 19, 0),
    STREAM(fix, "8=FIX\0018", "", FW_E_MAGIC, 7, 0),
    STREAM(fix, "8=fix", "", FW_E_MAGIC, 3, 0),
};

/* Cuts data[0..n) as far as it goes; returns how many frames there were, their ends in ends[]. */
static size_t cut_on(const fw_plan *plan, const uint8_t *data, size_t n, fw_cursor *c, size_t *ends,
                     int *status)
{
    fw_frame frames[3];
    size_t count = 0, got, i;
    do {
        got = fw_cut(plan, data, n, c, frames, 3, status);
        for (i = 0; i < got; i++) {
            CHECK_EQUAL(frames[i].start, count ? ends[count - 1] : 0);
            ends[count++] = frames[i].stop;
        }
    } while (*status == FW_FRAME);
    CHECK_EQUAL(c->pos, count ? ends[count - 1] : 0);
    return count;
}

static void check_end(const stream *s, size_t n, const fw_cursor *c, int status, size_t next_end)
{
    int is_proven = s->status < 0 && c->pos == next_end && n >= c->pos + s->proof;
    EXPECT(status == (is_proven ? s->status : FW_MORE), s->text, BYTES(s->text), s->size, n);
    if (status == FW_MORE) {
        EXPECT(c->need >= 1 && !c->direct, s->text, BYTES(s->text), s->size, n);
        if (next_end > n)
            EXPECT(c->need <= next_end - n, s->text, BYTES(s->text), s->size, n);
        return;
    }
    EXPECT(c->proof == s->proof, s->text, BYTES(s->text), s->size, n);
    EXPECT(c->value == s->value || s->status == FW_E_CHECK, s->text, BYTES(s->text), s->size, n);
    EXPECT(c->recover == (s->status == FW_E_CHECK ? s->proof : 0), s->text, BYTES(s->text), s->size, n);
    EXPECT((c->scale != 0) == (status == FW_E_TOO_LARGE && s->value != 0), s->text, BYTES(s->text), s->size,
           n);
}

static void check_stream(const stream *s)
{
    fw_cursor slow = {0};
    size_t n, frames = strlen(s->sizes), seen = 0, i, expected[MOST_FRAMES], ends[MOST_FRAMES];
    size_t last = 0;
    int slow_status = FW_MORE;
    for (i = 0; i < frames; i++) {
        last += (uint8_t)s->sizes[i];
        expected[i] = last;
    }
    if (s->status == FW_MORE && frames)
        CHECK_EQUAL(last, s->size);
    for (n = 0; n <= s->size; n++) {
        const uint8_t *data = guard_copy(s->text, n);
        fw_cursor fresh = {0};
        size_t due = 0, count, next;
        int status;
        while (due < frames && expected[due] <= n)
            due++;
        next = due < frames ? expected[due] : last;
        count = cut_on(s->plan, data, n, &fresh, ends, &status);
        EXPECT(count == due && memcmp(ends, expected, due * sizeof *ends) == 0, s->text, BYTES(s->text),
               s->size, n);
        check_end(s, n, &fresh, status, next);
        if (slow_status < 0)
            continue;
        {
            fw_frame frame;
            while (fw_cut(s->plan, data, n, &slow, &frame, 1, &slow_status) == 1)
                CHECK_EQUAL(frame.stop, expected[seen++]);
        }
        EXPECT(seen == due && slow_status == status, s->text, BYTES(s->text), s->size, n);
        if (status == FW_MORE)
            EXPECT(slow.need == fresh.need, s->text, BYTES(s->text), s->size, n);
        check_end(s, n, &slow, slow_status, next);
    }
}

typedef struct message {
    const fw_plan *plan;
    const char *text;
    size_t size;
    const char *wire;           /* what is sent; NULL where it is refused, then with: */
    size_t wire_size;
    int status;
    uint64_t value;             /* or the size that the header says */
} message;

#define SENT(plan, text, wire) {&plan, text, sizeof(text) - 1, wire, sizeof(wire) - 1, FW_FRAME, 0}
#define REFUSED(plan, text, status, value) {&plan, text, sizeof(text) - 1, NULL, 0, status, value}
#define SAME(plan, text) SENT(plan, text, text)

static const message messages[] = {
    SAME(lines, "PING\r\n"),
    SAME(lines, "set a 0 0 2\r\nab\r\n"),
    SAME(lines, "va 0\r\n\r\n"),
    SENT(lines, "va 0\r\nab\r\n", "va 2\r\nab\r\n"),
    SENT(lines, "set a 0 0 0 r\r\n1234567890\r\n", "set a 0 0 10 r\r\n1234567890\r\n"),
    REFUSED(lines, "", FW_E_MISMATCH, 2),
    REFUSED(lines, "PING", FW_E_MISMATCH, 6),
    REFUSED(lines, "PING\r\nPING\r\n", FW_E_MISMATCH, 6),
    REFUSED(lines, "va 3\r\nab\r\n", FW_E_TRAILER, 0),
    REFUSED(lines, "va 9\r\nab\r\n", FW_E_MISMATCH, 17),
    REFUSED(lines, "va 0\r\n", FW_E_MISMATCH, 8),
    REFUSED(lines, "va 0\r\nabc", FW_E_TRAILER, 0),
    REFUSED(lines, "va 31\r\n", FW_E_TOO_LARGE, 31),
    REFUSED(lines, "va 0\r\n1234567890123456789012345678901\r\n", FW_E_TOO_LARGE, 31),
    REFUSED(lines, "PUB 12345678901234 0\r\n1234567890\r\n", FW_E_LONG_LINE, 20),
    REFUSED(lines, "a\nb\r\n", FW_E_LF, 0),
    SAME(resp, "*1\r\n$1\r\na\r\n"),
    REFUSED(resp, "", FW_E_MISMATCH, 3),
    REFUSED(resp, "*2\r\n:1\r\n", FW_E_MISMATCH, 11),
    REFUSED(resp, "+a\r\n+b\r\n", FW_E_MISMATCH, 4),
    REFUSED(resp, "PING\r\n", FW_E_TAG, 'P'),
    REFUSED(resp, "$99\r\n", FW_E_TOO_LARGE, 106),
    REFUSED(resp, "+12345678901234567890123456789012345678\r\n", FW_E_TOO_LARGE, 41),
    SAME(fix, "8=FIX.4.4\0019=5\00135=0\00110=163\001"),
    SENT(fix, "8=FIX.4.4\0019=5\00135=0\00110=000\001", "8=FIX.4.4\0019=5\00135=0\00110=163\001"),
    SENT(fix, "8=FIX.4.4\0019=0\00135=0\001", "8=FIX.4.4\0019=5\00135=0\00110=163\001"),
    SENT(fix, "8=FIX.4.4\0019=0\00135=0\00149=ABCD\001",
         "8=FIX.4.4\0019=13\00135=0\00149=ABCD\00110=135\001"),
    SENT(fix, "8=FIX\0019=0\001", "8=FIX\0019=0\00110=004\001"),
    SENT(fix, "8=FIX\0019=0\00110=000\001", "8=FIX\0019=0\00110=004\001"),
    REFUSED(fix, "", FW_E_MISMATCH, 17),
    REFUSED(fix, "8=FIX.4.4\0019=0\00135=0", FW_E_TRAILER, 0),
    REFUSED(fix, "8=FIX.4.4\0019=0\00135=0\00110=163\001", FW_E_TRAILER, 0),
    REFUSED(fix, "8=FIX.4.4\0019=0\00158=12345678901234567\001", FW_E_TOO_LARGE, 21),
    REFUSED(fix, "8=FIX.4.4\0019=5\00135=0\00110=000\0018=", FW_E_MISMATCH, 26),
    REFUSED(fix, "8=FIX.4.4\0019=5\00135=0\001", FW_E_MISMATCH, 26),
    REFUSED(fix, "35=0\001", FW_E_MAGIC, 0),
};

static void check_message(const message *m)
{
    static uint8_t out[256];
    const uint8_t *text = guard_copy(m->text, m->size);
    fw_wire w;
    int status = fw_encode(m->plan, text, m->size, &w);
    EXPECT(status == m->status, m->text, BYTES(m->text), m->size, m->size);
    if (m->wire == NULL) {
        EXPECT(m->value == (status == FW_E_MISMATCH ? w.announced : w.value), m->text, BYTES(m->text),
               m->size, 0);
        if (status != FW_E_MISMATCH && status != FW_E_TOO_LARGE)
            EXPECT(w.proof >= 1 && w.proof <= m->size, m->text, BYTES(m->text), m->size, 0);
    } else if (status == FW_FRAME) {
        size_t size = assemble(&w, text, m->size, out);
        EXPECT(size == m->wire_size && memcmp(out, m->wire, size) == 0, m->text, out, size, 0);
    }
}

/* A reply of very many elements, in one level and in the most levels, a byte at a time: were anything walked
 * twice, this would not end in time. */
static void check_long(void)
{
    enum { ELEMENTS = 200000, HEAD = 9 };
    static uint8_t data[HEAD + 4 * ELEMENTS];
    fw_plan plan = {.kind = FW_RESP, .max_frame = ROOMY, .min_size = 3, .max_depth = 64};
    fw_cursor c = {0};
    fw_frame frame;
    size_t i;
    int status = FW_MORE;
    memcpy(data, "*200000\r\n", HEAD);
    for (i = 0; i < ELEMENTS; i++)
        memcpy(data + HEAD + 4 * i, ":1\r\n", 4);
    for (i = 1; i < sizeof data && status == FW_MORE; i++)
        CHECK_EQUAL(fw_cut(&plan, data, i, &c, &frame, 1, &status), 0);
    CHECK_EQUAL(fw_cut(&plan, data, i, &c, &frame, 1, &status), 1);
    CHECK_EQUAL(frame.stop, sizeof data);
    for (i = 0; i < 4 * ELEMENTS; i += 4)
        memcpy(data + i, "*1\r\n", 4);
    c.pos = c.scanned = 0;
    CHECK_EQUAL(fw_cut(&plan, data, 4 * ELEMENTS, &c, &frame, 1, &status), 0);
    CHECK_EQUAL(status, FW_E_DEPTH);
    CHECK_EQUAL(c.proof, 4 * 65);
}

int main(void)
{
    size_t i;
    for (i = 0; i < COUNT(streams); i++)
        check_stream(&streams[i]);
    for (i = 0; i < COUNT(messages); i++)
        check_message(&messages[i]);
    check_long();
    return check_report(__FILE__);
}
