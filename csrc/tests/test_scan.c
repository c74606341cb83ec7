/* fw_cut: the same frames, faults and needs however a stream is cut, and never a byte read too far. */
#include "plans.h"

#define MOST_FRAMES 600
#define MOST_BYTES 2048

/* Everything that a stream gives, cut frame by frame. */
typedef struct outcome {
    size_t count;
    fw_frame frames[MOST_FRAMES];
    size_t ends[MOST_FRAMES];   /* where the next frame begins */
    int status;
    fw_cursor cursor;
} outcome;

static void cut_all(const fw_plan *plan, const uint8_t *data, size_t size, size_t cap, outcome *o)
{
    const fw_cursor start = {0};
    o->cursor = start;
    o->count = 0;
    do {
        size_t room = MOST_FRAMES - o->count, n;
        n = fw_cut(plan, data, size, &o->cursor, o->frames + o->count, cap < room ? cap : room, &o->status);
        if (n)
            o->ends[o->count + n - 1] = o->cursor.pos;
        o->count += n;
    } while (o->status == FW_FRAME && o->count < MOST_FRAMES);
}

static int same_end(const outcome *a, const outcome *b)
{
    const fw_cursor *x = &a->cursor, *y = &b->cursor;
    if (a->status != b->status || x->pos != y->pos || a->count != b->count)
        return 0;
    if (memcmp(a->frames, b->frames, a->count * sizeof *a->frames) != 0)
        return 0;
    if (a->status == FW_MORE)
        return x->need == y->need && x->direct == y->direct && x->scanned == y->scanned && x->leaf == y->leaf;
    return a->status == FW_FRAME || (x->value == y->value && x->proof == y->proof && x->leaf == y->leaf);
}

static int same_fault(const fw_cursor *a, const fw_cursor *b, int status)
{
    return a->value == b->value && a->proof == b->proof && a->leaf == b->leaf
        && (status != FW_E_TOO_LARGE || (a->scale == b->scale && a->delta == b->delta && a->end == b->end));
}

/* What the prefix of n bytes gave, against the whole stream. */
static int consistent(const outcome *whole, const outcome *part, size_t size, size_t n)
{
    const fw_cursor *c = &part->cursor;
    size_t k = part->count, due = 0;
    while (due < whole->count && whole->ends[due] <= n)
        due++;
    if (k != due || c->pos != (k ? whole->ends[k - 1] : 0) || c->pos > n)
        return 0;
    if (memcmp(part->frames, whole->frames, k * sizeof *part->frames) != 0)
        return 0;
    if (k == whole->count && whole->status < 0 && n >= c->pos + whole->cursor.proof)
        return part->status == whole->status && same_fault(c, &whole->cursor, whole->status);
    if (part->status != FW_MORE || c->need < 1 || c->scanned > n - c->pos)
        return 0;
    if (c->direct && (c->start > c->stop || c->stop != n - c->pos + c->need))
        return 0;
    if (k < whole->count) {
        const fw_frame *next = &whole->frames[k];
        if (c->direct && (c->pos + c->start != next->start || c->pos + c->stop != next->stop))
            return 0;
        return c->need <= whole->ends[k] - n;
    }
    return whole->status != FW_MORE || c->need <= size - n + whole->cursor.need;
}

static outcome whole, part, grown;

static void check_stream(const char *name, const fw_plan *plan, const uint8_t *stream, size_t size)
{
    static const size_t caps[] = {2, 7, 256};
    const uint8_t *data = guard_copy(stream, size);
    size_t i, n;
    cut_all(plan, data, size, 1, &whole);
    for (i = 0; i < COUNT(caps); i++) {
        cut_all(plan, data, size, caps[i], &part);
        EXPECT(same_end(&whole, &part), name, stream, size, caps[i]);
    }
    cut_all(plan, data, 0, 1, &grown);
    for (n = 0; n <= size; n++) {
        data = guard_copy(stream, n);
        cut_all(plan, data, n, 256, &part);
        EXPECT(consistent(&whole, &part, size, n), name, stream, size, n);
        /* The same with what a decoder remembers between two chunks. */
        while (grown.status >= 0 && grown.count < MOST_FRAMES) {
            grown.count += fw_cut(plan, data, n, &grown.cursor, grown.frames + grown.count, 1, &grown.status);
            if (grown.status != FW_FRAME)
                break;
        }
        EXPECT(same_end(&part, &grown), name, stream, size, n);
    }
}

static const fw_plan *counted_part(const fw_plan *plan)
{
    return plan->kind == FW_TAGGED ? &tagged_inner[1] : plan;
}

/* The stream that says `value` in the given form, whether or not the form can say it. */
static size_t hostile(const fw_plan *plan, unsigned form, uint64_t value, uint8_t *out)
{
    const fw_plan *p = counted_part(plan);
    const fw_field *f = &p->field;
    size_t at = p->offset, width = fw_form_width(f, form), i;
    memset(out, 0, 256);
    if (p->lead.kind != FW_NONE) {
        at = p->lead.narrowest;
        if (!fw_write_form(&p->lead, 0, 0, 0, out)) {
            fw_write_form(&p->lead, 1, 0, 0, out);
            at = fw_form_width(&p->lead, 1);
        }
    }
    if (!fw_write_form(f, form, value, 0, out + at)) {
        if (f->kind == FW_UINT) {
            fw_store(out + at, f->width, f->little, value);
        } else if (f->kind == FW_TIERED && form > 0) {
            fw_store(out + at, f->width, f->little, f->tiers[form - 1].selector << f->shift);
            fw_store(out + at + f->width, f->tiers[form - 1].width, f->tiers[form - 1].little, value);
        }
    }
    if (p->has_escape && form == 0 && (value & 1)) {
        fw_store(out + at, f->width, f->little, p->escape_value);
        fw_store(out + at + width, p->escape.width, p->escape.little, value);
        width += p->escape.width;
    }
    for (i = 0; i < p->magic_count; i++)
        memcpy(out + p->magic[i].offset, p->magic[i].bytes, p->magic[i].size);
    if (plan->kind == FW_TAGGED)
        memcpy(out, "T\1", 2);
    return at + width + p->after + 6;
}

static void test_hostile_lengths(void)
{
    static const uint64_t values[] = {
        UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, ((uint64_t)1 << 63) - 1, (uint64_t)1 << 32, UINT32_MAX,
        (uint64_t)1 << 31, INT32_MAX, 0, 1, TIGHT, TIGHT + 1, ROOMY, ROOMY + 1, (uint64_t)1 << 62,
    };
    uint8_t stream[256];
    size_t s, v;
    unsigned form;
    for (s = 0; s < sample_count; s++) {
        const fw_plan *plan = &samples[s].plan;
        if (counted_part(plan)->kind != FW_COUNTED)
            continue;
        for (form = 0; form < fw_form_count(&counted_part(plan)->field); form++)
            for (v = 0; v < COUNT(values); v++)
                check_stream(samples[s].name, plan, stream, hostile(plan, form, values[v], stream));
    }
}

/* Several good frames, to data; every plan can carry these, so each size is checked to be there. */
static size_t valid_stream(const fw_plan *plan, uint8_t *data)
{
    static const size_t sizes[] = {0, 1, 2, 3, 9, 16, 22, 3, 4};
    uint8_t body[64];
    size_t i, size = 0;
    fill_body(body, sizeof body);
    for (i = 0; i < COUNT(sizes); i++)
        size += frame_of(plan, body, sizes[i], data + size);
    return size;
}

static void test_valid_and_spoilt(void)
{
    static const uint8_t evil[] = {0x00, 0xff, 0x80, 0x7f, '0', '9', 'g', 'b', '\r', '\n', ';'};
    uint8_t stream[MOST_BYTES];
    size_t s, i, e;
    for (s = 0; s < sample_count; s++) {
        const fw_plan *plan = &samples[s].plan;
        size_t size = valid_stream(plan, stream), stop = size < 34 ? size : 34;
        check_stream(samples[s].name, plan, stream, size);
        for (i = 0; i < stop; i += 1 + i / 12)
            for (e = 0; e < COUNT(evil); e += 1 + (s & 1)) {
                uint8_t kept = stream[i];
                stream[i] = evil[e];
                check_stream(samples[s].name, plan, stream, size < 80 ? size : 80);
                stream[i] = kept;
            }
    }
}

/* What is wrong with each stream, and where. `end` 0 stands for FW_FAR. */
static const struct fault_case {
    const char *plan;
    const char *bytes;
    size_t size;
    int status;
    uint64_t value;
    size_t proof;
    uint64_t end, scale;
    int64_t delta;
} faults[] = {
#define STREAM(text) text, sizeof(text) - 1
#define A40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    {"i16", STREAM("\xff\xfe"), FW_E_NEGATIVE, (uint64_t)-2, 2, 0, 0, 0},
    {"i64le", STREAM("\0\0\0\0\0\0\0\x80"), FW_E_NEGATIVE, (uint64_t)1 << 63, 8, 0, 0, 0},
    {"multiprocessing", STREAM("\xff\xff\xff\xfe"), FW_E_NEGATIVE, (uint64_t)-2, 4, 0, 0, 0},
    {"multiprocessing", STREAM("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), FW_E_TOO_LARGE,
     UINT64_MAX, 12, 0, 1, 0},
    {"escape signed", STREAM("\xff\xff\xff\xff\xff"), FW_E_NEGATIVE, UINT64_MAX, 5, 0, 0, 0},
    {"postgresql, whole", STREAM("Z\0\0\0\3"), FW_E_SHORT, 3, 5, 0, 0, 0},
    {"tpkt, whole", STREAM("\3\0\0\3"), FW_E_SHORT, 3, 4, 0, 0, 0},
    {"tpkt, whole", STREAM("\2\0\0\3"), FW_E_MAGIC, 0, 1, 0, 0, 0},
    {"x11, whole", STREAM("\0\0\0\0\0\0\0\1"), FW_E_SHORT, 1, 8, 0, 0, 0},
    {"u16, whole, tight", STREAM("\0\x29"), FW_E_TOO_LARGE, 41, 2, 43, 1, 0},
    {"u64", STREAM("\xff\xff\xff\xff\xff\xff\xff\xff"), FW_E_TOO_LARGE, UINT64_MAX, 8, 0, 1, 0},
    {"u64", STREAM("\x3f\xff\xff\xff\xff\xff\xff\xff"), FW_E_TOO_LARGE, FW_FAR - 1, 8, 0, 1, 0},
    {"scale, whole, tight", STREAM("\0\x0b"), FW_E_TOO_LARGE, 11, 2, 46, 4, 0},
    {"adjust up, tight, patient", STREAM("\0\x24"), FW_E_TOO_LARGE, 36, 2, 43, 1, 5},
    {"adjust down", STREAM("\0\2"), FW_E_SHORT, 2, 2, 0, 0, 0},
    {"beyond the limit, tight, patient", STREAM("\0AAAAAAAAAAAAAA"), FW_E_TOO_LARGE, 0, 1, 101, 1, 100},
    {"beyond the limit, whole, tight", STREAM("\0" A40 A40 "AAAAAAAAAAAAAAAAAAAA"),
     FW_E_TOO_LARGE, 0, 1, 101, 1, 100},
    {"fastcgi, whole, tight", STREAM("\x30\0\0\0\0\0\x29\0"), FW_E_TOO_LARGE, 41, 8, 0, 1, 0},
    {"fastcgi, whole, tight", STREAM("\x30\0\x10\x01\0\0\x28\0"), FW_E_TOO_LARGE, 17, 8, 0, 1, 0},
    {"fastcgi, whole, tight", STREAM("\x30\0\0\0\0\x29\3\0"), FW_E_TOO_LARGE, 41, 8, 52, 1, 0},
    {"memcached", STREAM("\x82"), FW_E_MAGIC, 0, 1, 0, 0, 0},
    {"memcached", STREAM("\x81\0\0\0\0\0ad"), FW_E_MAGIC, 0, 8, 0, 0, 0},
    {"magic behind", STREAM("0001enf"), FW_E_MAGIC, 0, 7, 0, 0, 0},
    {"magic behind", STREAM("00a1enf"), FW_E_DIGIT, 0, 3, 0, 0, 0},
    {"magic behind", STREAM("000aX"), FW_E_DIGIT, 0, 4, 0, 0, 0},
    {"amqp, whole", STREAM("\1\0\0\0\0\0\1A\xcf"), FW_E_TRAILER, 0, 9, 0, 0, 0},
    {"long trailer", STREAM("\0\1A\rx"), FW_E_TRAILER, 0, 5, 0, 0, 0},
    {"digits", STREAM("12 4"), FW_E_DIGIT, 0, 3, 0, 0, 0},
    {"hexdigits", STREAM("00g"), FW_E_DIGIT, 0, 3, 0, 0, 0},
    {"netstring", STREAM(":"), FW_E_DIGIT, 0, 1, 0, 0, 0},
    {"netstring", STREAM("1x"), FW_E_DIGIT, 0, 2, 0, 0, 0},
    {"netstring", STREAM("00"), FW_E_ZERO, 10, 2, 0, 0, 0},
    {"netstring", STREAM("1048577"), FW_E_TOO_LARGE, 1048577, 7, 0, 1, 0},
    {"netstring, tight, patient", STREAM("12345678901"), FW_E_LONG, 10, 11, 0, 0, 0},
    {"netstring, tight, patient", STREAM("41:"), FW_E_TOO_LARGE, 41, 3, 45, 1, 0},
    {"netstring", STREAM("1:ab"), FW_E_TRAILER, 0, 4, 0, 0, 0},
    {"marked", STREAM("9\rx"), FW_E_DIGIT, 0, 3, 0, 0, 0},
    {"lead text", STREAM("123456"), FW_E_LONG, 5, 6, 0, 0, 0},
    {"lead text", STREAM("12x"), FW_E_DIGIT, 0, 3, 0, 0, 0},
    {"lead varint", STREAM("\x80\0"), FW_E_CANONICAL, 10, 2, 0, 0, 0},
    {"lead varint", STREAM("\x8a\1x"), FW_E_DIGIT, 0, 3, 0, 0, 0},
    {"varint", STREAM("\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), FW_E_OVERFLOW, 10, 10, 0, 0, 0},
    {"varint", STREAM("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81"), FW_E_LONG, 10, 10, 0, 0, 0},
    {"mqtt", STREAM("\1\x80\x80\x80\x80"), FW_E_LONG, 4, 5, 0, 0, 0},
    {"exact varint", STREAM("\x85\0"), FW_E_CANONICAL, 10, 2, 0, 0, 0},
    {"exact vlq", STREAM("\x80\5"), FW_E_CANONICAL, 3, 2, 0, 0, 0},
    {"vlq", STREAM("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), FW_E_OVERFLOW, 10, 10, 0, 0, 0},
    {"ldap", STREAM("\x30\x80"), FW_E_INDEFINITE, 0x80, 2, 0, 0, 0},
    {"ldap", STREAM("\x30\x85"), FW_E_INDEFINITE, 0x85, 2, 0, 0, 0},
    {"ldap", STREAM("\x31\x85"), FW_E_MAGIC, 0, 1, 0, 0, 0},
    {"websocket", STREAM("\x82\x7e\0\x7d"), FW_E_CANONICAL, 125, 4, 0, 0, 0},
    {"websocket", STREAM("\x82\x7f\0\0\0\0\0\0\xff\xff"), FW_E_CANONICAL, 65535, 10, 0, 0, 0},
    {"websocket", STREAM("\x82\x7f\x80\0\0\0\0\0\0\0"), FW_E_NEGATIVE, (uint64_t)1 << 63, 10, 0, 0, 0},
    {"tarantool", STREAM("\x80"), FW_E_SELECTOR, 0x80, 1, 0, 0, 0},
    {"odd tiers", STREAM("\0\0\0\0\0\0\0\x80"), FW_E_SELECTOR, (uint64_t)1 << 63, 8, 0, 0, 0},
    {"odd tiers", STREAM("\xc9\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), FW_E_OVERFLOW, UINT64_MAX, 16,
     0, 0, 0},
    {"no direct", STREAM("\1\5\0\0\0"), FW_E_CANONICAL, 5, 5, 0, 0, 0},
    {"lines, tight, patient", STREAM(A40 "AA"), FW_E_TOO_LARGE, 0, 42, 1, 0, 0},
    {"lines, tight, patient", STREAM(A40 "A\n"), FW_E_TOO_LARGE, 0, 42, 1, 0, 0},
    {"until eof, tight, patient", STREAM(A40 "A"), FW_E_TOO_LARGE, 0, 41, 1, 0, 0},
    {"tagged, whole", STREAM("X"), FW_E_TAG, 'X', 1, 0, 0, 0},
    {"tagged, whole", STREAM("T\x13"), FW_E_TAG, 3, 2, 0, 0, 0},
};

static void test_faults(void)
{
    size_t i;
    for (i = 0; i < COUNT(faults); i++) {
        const struct fault_case *f = &faults[i];
        const fw_plan *plan = sample_named(f->plan);
        const fw_cursor *c = &whole.cursor;
        check_stream(f->plan, plan, BYTES(f->bytes), f->size);
        EXPECT(whole.count == 0 && whole.status == f->status && c->value == f->value && c->proof == f->proof,
               f->plan, BYTES(f->bytes), f->size, i);
        if (f->status != FW_E_TOO_LARGE)
            continue;
        if (plan->kind == FW_COUNTED)
            EXPECT(c->end == (f->end ? f->end : FW_FAR), f->plan, BYTES(f->bytes), f->size, i);
        else
            CHECK_EQUAL(c->end, 0);
        EXPECT(c->scale == f->scale && c->delta == f->delta, f->plan, BYTES(f->bytes), f->size, i);
    }
}

/* What is missing, exactly. */
static void test_need(void)
{
    static const struct {
        const char *plan, *bytes;
        size_t size;
        uint64_t need, start, stop;   /* stop 0: not known yet, or something follows the body */
    } cases[] = {
        {"u32", STREAM(""), 4, 0, 0}, {"u32", STREAM("\0\0\0"), 1, 0, 0},
        {"u32", STREAM("\0\0\0\5ab"), 3, 4, 9},
        {"u32, whole", STREAM("\0\0\0\5ab"), 3, 0, 9}, {"postgresql", STREAM(""), 5, 0, 0},
        {"adjust up", STREAM("\0"), 6, 0, 0}, {"tpkt", STREAM("\3\0"), 2, 0, 0},
        {"amqp", STREAM(""), 8, 0, 0}, {"amqp", STREAM("\1\0\0\0\0\0\1"), 2, 0, 0},
        {"fastcgi, whole", STREAM("\x30\0\0\0\0\0\7\0"), 7, 0, 0},
        {"x11, whole", STREAM("\0\0\0\0"), 4, 0, 0},
        {"multiprocessing", STREAM("\xff\xff\xff\xff\0"), 7, 0, 0}, {"netstring", STREAM(""), 3, 0, 0},
        {"netstring", STREAM("12"), 2, 0, 0}, {"netstring", STREAM("12:"), 13, 0, 0},
        {"marked", STREAM("9\r"), 3, 0, 0}, {"varint", STREAM("\x80\x80"), 1, 0, 0},
        {"exact varint", STREAM(""), 10, 0, 0}, {"exact varint", STREAM("\x80"), 9, 0, 0},
        {"http/3", STREAM("\x40"), 2, 0, 0}, {"http/3", STREAM("\0\xc0"), 7, 0, 0},
        {"ldap", STREAM("\x30\x82"), 2, 0, 0}, {"websocket", STREAM("\x82\x85"), 4, 0, 0},
        {"websocket", STREAM("\x82\xfe"), 6, 0, 0}, {"websocket", STREAM("\x82\x80\1\2\3\4"), 0, 0, 0},
        {"websocket", STREAM("\x82\x81\1\2\3\4"), 1, 6, 7},
        {"fixed, whole", STREAM("abc"), 13, 0, 16}, {"several", STREAM("a]]>]"), 1, 0, 0},
        {"lines", STREAM("a\r"), 1, 0, 0}, {"until eof", STREAM("abc"), 1, 0, 0},
        {"tagged, whole", STREAM(""), 3, 0, 0}, {"tagged, whole", STREAM("T"), 2, 0, 0},
        {"tagged, whole", STREAM("T\1"), 2, 0, 0}, {"tagged, whole", STREAM("S\r"), 1, 0, 0},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        fw_cursor *c = &part.cursor;
        const size_t size = cases[i].size;
        cut_all(sample_named(cases[i].plan), guard_copy(cases[i].bytes, size), size, 9, &part);
        if (cases[i].need == 0) {
            CHECK_EQUAL(part.count, 1);
            continue;
        }
        EXPECT(part.status == FW_MORE && c->need == cases[i].need && c->direct == (cases[i].stop != 0)
                   && (!c->direct || (c->start == cases[i].start && c->stop == cases[i].stop)),
               cases[i].plan, BYTES(cases[i].bytes), cases[i].size, i);
    }
}

/* The derived members where the limit, the surplus and the widths meet. */
static void test_prepare(void)
{
    CHECK(sample_named("u32")->simple && sample_named("postgresql")->simple);
    CHECK(!sample_named("i32")->simple && !sample_named("tpkt")->simple && !sample_named("scale")->simple);
    CHECK_EQUAL(sample_named("postgresql")->least_value, 4);
    CHECK_EQUAL(sample_named("postgresql")->most_value, ROOMY + 4);
    CHECK_EQUAL(sample_named("adjust up")->least_value, 0);
    CHECK_EQUAL(sample_named("adjust up, tight, patient")->most_value, TIGHT - 5);
    CHECK_EQUAL(sample_named("adjust down, tight, patient")->most_value, TIGHT + 3);
    CHECK_EQUAL(sample_named("scaled field")->most_value, (ROOMY + 11) / 2);
    CHECK_EQUAL(sample_named("beyond, text, tight, patient")->most_value, 0);
    CHECK(!sample_named("beyond the limit, tight, patient")->simple);
    CHECK(sample_named("lines")->one_last && !sample_named("several")->one_last);
    CHECK_EQUAL(sample_named("several")->longest, 6);
    CHECK_EQUAL(sample_named("lines")->by_size[0].size, 2);
}

/* Frames of every kind out of noise: plain, and with bytes that framings care about. */
static void test_noise(void)
{
    static const uint8_t telling[] =
        "\0\0\0\1\2\3\x28\x7e\x7f\x80\x81\xff\xcc\xcd\xce\x30" "0129:, \r\n;]]>]]>abaabTSendf";
    uint8_t stream[256];
    unsigned long round;
    for (round = 0; round < 50000; round++) {
        size_t s = noise() % sample_count, size = noise() % 64, i, cut;
        const fw_plan *plan = &samples[s].plan;
        uint64_t style = noise();
        for (i = 0; i < size; i++)
            stream[i] = (uint8_t)(style & 3 ? telling[noise() % (sizeof telling - 1)] : noise());
        if (style & 4 && counted_part(plan)->kind == FW_COUNTED && counted_part(plan)->magic_count)
            size = hostile(plan, 0, style >> 3 & 15, stream);
        cut_all(plan, guard_copy(stream, size), size, 1, &whole);
        for (i = 0; i < 3; i++) {
            cut = noise() % (size + 1);
            cut_all(plan, guard_copy(stream, cut), cut, 1 + noise() % 9, &part);
            EXPECT(consistent(&whole, &part, size, cut), samples[s].name, stream, size, cut);
        }
    }
}

int main(void)
{
    make_samples();
    test_prepare();
    test_faults();
    test_need();
    test_valid_and_spoilt();
    test_hostile_lengths();
    test_noise();
    return check_report(__FILE__);
}
