/* Fragments: against a model that reads one fragment after the other from the first byte, however a stream is
 * cut, and never a byte read or written too far. */
#include "plans.h"
#include "../fw_fragments.h"

#define MOST_SIZE 4096

typedef struct flavour {
    const char *name;
    fw_plan plan;
} flavour;

static const fw_magic magic_first[] = {{0, 1, 1, BYTES("R")}};
static const fw_magic magic_around[] = {{1, 1, 2, BYTES("FG")}, {3, 1, 1, BYTES("!")}};

static flavour flavours[] = {
    {"record marking", {.field = {.kind = FW_UINT, .width = 4, .mask = 0x7fffffff},
                        .last_bit = 0x80000000}},
    {"little, magic", {.field = {.kind = FW_UINT, .width = 2, .mask = 0x7fff, .little = 1}, .offset = 1,
                       .after = 1, .magic = magic_first, .magic_count = 1, .last_bit = 0x8000}},
    {"free bits", {.field = {.kind = FW_UINT, .width = 1, .mask = 0x7c, .shift = 2}, .last_bit = 0x80}},
    {"added", {.field = {.kind = FW_UINT, .width = 1, .mask = 0x7f}, .adjust = 2, .last_bit = 0x80}},
    {"widest", {.field = {.kind = FW_UINT, .width = 8, .mask = FULL(8) >> 1}, .scale = 3,
                .last_bit = (uint64_t)1 << 63}},
    {"full", {.field = BE(1), .full = 4}},
    {"mysql", {.field = LE(3), .after = 1, .full = 5, .has_counter = 1, .counter_at = 3}},
    {"scaled", {.field = {.kind = FW_UINT, .width = 1, .mask = 0x7f}, .offset = 2, .after = 1,
                .counts = FW_REST, .scale = 2, .full = 3, .has_counter = 1, .magic = magic_around,
                .magic_count = 2}},
    {"whole", {.field = BE(2), .counts = FW_WHOLE, .after = 2, .full = 9, .has_counter = 1, .counter_at = 2}},
    {"full 8", {.field = BE(8), .full = 7}},
    {"magic first", {.field = BE(1), .offset = 1, .after = 1, .full = 3, .has_counter = 1, .counter_at = 2,
                     .magic = magic_first, .magic_count = 1}},
};

/* By flavour, strip, and limits: roomy, tight, few fragments. */
static fw_plan plans[COUNT(flavours)][2][3];

static void make_plans(void)
{
    size_t f, strip, limit;
    for (f = 0; f < COUNT(flavours); f++)
        for (strip = 0; strip < 2; strip++)
            for (limit = 0; limit < 3; limit++) {
                fw_plan plan = flavours[f].plan;
                plan.kind = FW_FRAGMENTED;
                plan.strip = (uint8_t)strip;
                plan.scale = plan.scale ? plan.scale : 1;
                plan.field.narrowest = plan.field.width;
                plan.max_frame = limit == 1 ? TIGHT : ROOMY;
                plan.most_fragments = limit == 2 ? 3 : 1024;
                fw_prepare(&plan);
                plan.min_size = plan.offset + plan.field.width + plan.after;
                plan.min_size += plan.delta > 0 ? (uint64_t)plan.delta : 0;
                plan.full_body = plan.full * plan.scale + (uint64_t)plan.delta;
                plans[f][strip][limit] = plan;
            }
}

/* What the first frame of a stream is. */
typedef struct verdict {
    int status;
    uint64_t end;        /* FW_FRAME: its size; FW_MORE: where it could end at the earliest */
    uint64_t size;       /* FW_FRAME: of the joined body; FW_E_TOO_LARGE: as announced */
    size_t proof;
    size_t behind;       /* FW_MORE: the bytes of whole fragments */
} verdict;

static uint64_t number(const uint8_t *p, size_t width, int little)
{
    uint64_t value = 0;
    size_t i;
    for (i = 0; i < width; i++)
        value = value << 8 | p[little ? width - 1 - i : i];
    return value;
}

static verdict model(const fw_plan *plan, const uint8_t *p, size_t size, uint8_t *body)
{
    const size_t header = plan->offset + (size_t)plan->field.width + plan->after;
    verdict v = {FW_MORE, 0, 0, 0, 0};
    uint32_t count, m, a;
    size_t i, at = 0;
    for (count = 1; ; count++) {
        uint64_t raw, value, more;
        int last;
        v.behind = at;
        for (i = 0; i < header; i++) {
            if (at + i >= size) {
                v.end = at + plan->min_size;
                return v;
            }
            v.proof = at + i + 1;
            if (count > 1 && plan->has_counter && i == plan->counter_at
                && p[at + i] != (uint8_t)(p[i] + count - 1))
                return v.status = FW_E_COUNTER, v;
            for (m = 0; m < plan->magic_count; m++) {
                int fits = plan->magic[m].offset != i;
                for (a = 0; a < plan->magic[m].count; a++)
                    fits |= p[at + i] == plan->magic[m].bytes[a];
                if (!fits)
                    return v.status = FW_E_MAGIC, v;
            }
        }
        raw = number(p + at + plan->offset, plan->field.width, plan->field.little);
        value = (raw & plan->field.mask) >> plan->field.shift;
        last = plan->last_bit ? (raw & plan->last_bit) != 0 : value != plan->full;
        if (value < ROOMY * 2 && (int64_t)(value * plan->scale) + plan->delta < 0)
            return v.status = FW_E_SHORT, v;
        more = value * plan->scale + (uint64_t)plan->delta;
        if (value >= ROOMY * 2 || v.size + more > plan->max_frame) {
            v.size += more;
            return v.status = FW_E_TOO_LARGE, v;
        }
        if (!last && count == plan->most_fragments)
            return v.status = FW_E_FRAGMENTS, v;
        if (size - at - header < more) {
            v.end = at + header + more + (last ? 0 : plan->min_size);
            return v;
        }
        memcpy(body + v.size, p + at + header, (size_t)more);
        v.size += more;
        at += header + (size_t)more;
        if (last) {
            v.end = at;
            return v.status = FW_FRAME, v;
        }
    }
}

static const fw_cursor fresh = {0};
static uint8_t expected[MOST_SIZE], content[MOST_SIZE], stream[2 * MOST_SIZE];

static int same(const fw_cursor *a, const fw_cursor *b, int status)
{
    if (a->pos != b->pos || a->scanned != b->scanned || a->direct != b->direct || a->recover != b->recover)
        return 0;
    if (status == FW_MORE)
        return a->need == b->need;
    return status == FW_FRAME || (a->value == b->value && a->proof == b->proof && a->scale == b->scale
                                  && a->delta == b->delta);
}

/* Whether the first frame of every beginning of the stream is the model's, fed at once and byte by byte. */
static int check_stream(const char *name, const fw_plan *plan, const uint8_t *data, size_t size)
{
    const size_t header = plan->offset + (size_t)plan->field.width + plan->after;
    const verdict whole = model(plan, data, size, expected);
    fw_cursor grown = fresh;
    int grown_status = FW_MORE;
    size_t n;
    for (n = 0; n <= size; n++) {
        const uint8_t *part = guard_copy(data, n);
        const verdict v = model(plan, part, n, expected);
        fw_cursor c = fresh;
        fw_frame frame = {0, 0};
        int status;
        size_t count = fw_cut(plan, part, n, &c, &frame, 1, &status), made;
        EXPECT((v.status == FW_FRAME) == (count == 1) && status == v.status, name, data, size, n);
        if (grown_status == FW_MORE) {
            count = fw_cut(plan, part, n, &grown, &frame, 1, &grown_status);
            EXPECT(grown_status == status && same(&grown, &c, status), name, data, size, n);
        }
        if (v.status == FW_MORE) {
            EXPECT(c.need >= 1 && n + c.need == v.end && !c.direct, name, data, size, n);
            EXPECT(c.scanned == v.behind, name, data, size, n);
            EXPECT(whole.status != FW_FRAME || v.end <= whole.end, name, data, size, n);
            continue;
        }
        EXPECT(v.status < 0 ? c.proof == v.proof && n >= v.proof : c.pos == v.end, name, data, size, n);
        EXPECT(v.status < 0 || (frame.start == 0 && frame.stop == c.pos), name, data, size, n);
        EXPECT(v.status != FW_E_TOO_LARGE || c.value * c.scale + (uint64_t)c.delta == v.size,
               name, data, size, n);
        if (v.status == FW_FRAME) {
            uint8_t *out = guard_copy(NULL, frame.stop);
            memcpy(stream + MOST_SIZE, data, frame.stop);
            made = fw_join(plan, stream + MOST_SIZE, frame.stop, out);
            EXPECT(made == v.size + (plan->strip ? 0 : header), name, data, size, n);
            EXPECT(plan->strip || memcmp(out, data, header) == 0, name, data, size, n);
            EXPECT(memcmp(out + (made - v.size), expected, (size_t)v.size) == 0, name, data, size, n);
            break;
        }
    }
    return whole.status;
}

/* A header whose bytes are free, but for the magic. */
static void fill_header(const fw_plan *plan, uint8_t *out)
{
    uint32_t m;
    size_t i;
    for (i = 0; i < plan->offset + (size_t)plan->field.width + plan->after; i++)
        out[i] = (uint8_t)noise();
    for (m = 0; m < plan->magic_count; m++)
        out[plan->magic[m].offset] = plan->magic[m].bytes[plan->magic[m].count - 1];
}

static size_t encode(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out, int *status)
{
    fw_wire w;
    const uint8_t *copy = guard_copy(message, size);
    uint8_t *place;
    size_t room, made;
    *status = fw_encode(plan, copy, size, &w);
    if (*status != FW_FRAME)
        return 0;
    room = fw_expanded_most(plan, size);
    place = guard_copy_start(NULL, GUARD_CAPACITY) + (GUARD_CAPACITY - room);
    made = fw_expand(plan, copy, size, place);
    CHECK_EQUAL(made, room);
    memcpy(out, place, made);
    return made;
}

/* What is written is cut back, all of it and in every beginning; what is refused is what cannot be said. */
static void test_messages(void)
{
    size_t f, strip, limit, size, made;
    int status;
    for (f = 0; f < COUNT(flavours); f++)
        for (strip = 0; strip < 2; strip++)
            for (limit = 0; limit < 3; limit++)
                for (size = 0; size < 100; size++) {
                    const fw_plan *plan = &plans[f][strip][limit];
                    const size_t header = strip ? 0 : plan->offset + (size_t)plan->field.width + plan->after;
                    const uint64_t rest = plan->last_bit ? size : size % plan->full_body;
                    const int64_t units = (int64_t)rest - plan->delta;
                    const char *name = flavours[f].name;
                    int wanted = FW_FRAME;
                    fill_header(plan, content);
                    fill_body(content + header, size);
                    made = encode(plan, content, header + size, stream, &status);
                    if (size > plan->max_frame)
                        wanted = FW_E_TOO_LARGE;
                    else if (!plan->last_bit && size / plan->full_body >= plan->most_fragments)
                        wanted = FW_E_UNSAYABLE;
                    else if (units < 0)
                        wanted = FW_E_UNSAYABLE;
                    else if ((uint64_t)units % plan->scale)
                        wanted = FW_E_SCALE;
                    else if ((uint64_t)units / plan->scale > plan->field.mask >> plan->field.shift)
                        wanted = FW_E_UNSAYABLE;
                    EXPECT(status == wanted, name, content, header + size, size);
                    if (status != FW_FRAME)
                        continue;
                    status = check_stream(name, plan, stream, made);
                    EXPECT(status == FW_FRAME, name, stream, made, size);
                    EXPECT(memcmp(expected, content + header, size) == 0, name, stream, made, size);
                }
}

/* Streams of good fragments of any size, and the same with bytes changed, put in and left out. */
static void test_noise(void)
{
    unsigned long round, seen[64] = {0};
    for (round = 0; round < 60000; round++) {
        const size_t f = noise() % COUNT(flavours);
        const fw_plan *plan = &plans[f][noise() % 2][noise() % 3];
        const size_t header = plan->offset + (size_t)plan->field.width + plan->after;
        size_t size = 0, pieces = 1 + noise() % 6, i, changes = noise() % 3;
        uint8_t counter = 0;
        for (i = 0; i < pieces; i++) {
            const int last = i + 1 == pieces;
            uint64_t value = plan->last_bit ? noise() % 9 : last ? noise() % plan->full : plan->full, raw;
            int64_t body;
            if (noise() % 50 == 0)
                value = plan->field.mask >> plan->field.shift;
            body = (int64_t)(value * plan->scale) + plan->delta;
            fill_header(plan, stream + size);
            raw = number(stream + size + plan->offset, plan->field.width, plan->field.little);
            raw = (raw & ~plan->field.mask & ~plan->last_bit) | value << plan->field.shift;
            fw_store(stream + size + plan->offset, plan->field.width, plan->field.little,
                     raw | (last ? plan->last_bit : 0));
            if (plan->has_counter && i)
                stream[size + plan->counter_at] = (uint8_t)(counter + i);
            counter = plan->has_counter ? stream[plan->counter_at] : 0;
            size += header;
            if (body > 0 && body < 200)
                size += (size_t)body;
        }
        for (i = 0; i < changes; i++)
            stream[noise() % size] = (uint8_t)(noise() & 1 ? noise() : noise() % 4);
        if (noise() % 4 == 0)
            size -= noise() % (size + 1);
        memcpy(content, stream, size);
        seen[FW_FRAME - check_stream(flavours[f].name, plan, content, size)]++;
    }
    CHECK(seen[0] > 5000 && seen[FW_FRAME - FW_MORE] > 500 && seen[FW_FRAME - FW_E_TOO_LARGE] > 500);
    CHECK(seen[FW_FRAME - FW_E_SHORT] > 100 && seen[FW_FRAME - FW_E_MAGIC] > 500);
    CHECK(seen[FW_FRAME - FW_E_COUNTER] > 500 && seen[FW_FRAME - FW_E_FRAGMENTS] > 500);
}

static const struct {
    size_t flavour, limit;
    const char *message;
    size_t size;
    int status;
    uint64_t value;
    size_t proof;
} refusals[] = {
    {0, 0, "abc", 3, FW_E_WHOLE_SHORT, 4, 0},
    {1, 0, "Xabc", 4, FW_E_MAGIC, 0, 1},
    {7, 0, "?F", 2, FW_E_WHOLE_SHORT, 4, 0},
    {7, 0, "?F?.", 4, FW_E_MAGIC, 0, 4},
    {7, 0, "?X", 2, FW_E_MAGIC, 0, 2},
    {5, 2, "?abcdefghijkl", 13, FW_E_UNSAYABLE, 12, 0},
    {3, 0, "?a", 2, FW_E_UNSAYABLE, 1, 0},
    {7, 0, "?F?!ab", 6, FW_E_SCALE, 2, 0},
};

static void test_refusals(void)
{
    size_t i;
    for (i = 0; i < COUNT(refusals); i++) {
        fw_wire w = {.value = 0};
        const uint8_t *message = guard_copy(refusals[i].message, refusals[i].size);
        const fw_plan *plan = &plans[refusals[i].flavour][0][refusals[i].limit];
        CHECK_EQUAL(fw_encode(plan, message, refusals[i].size, &w), refusals[i].status);
        CHECK_EQUAL(refusals[i].status == FW_E_WHOLE_SHORT ? w.announced : w.value, refusals[i].value);
        CHECK_EQUAL(w.proof, refusals[i].proof);
    }
}

/* Of two wrong bytes the first one is the fault. */
static void test_both_wrong(void)
{
    static const char behind[] = "R\3\7abcX\1\x09", before[] = "\7F\3!hello\x09X";
    CHECK_EQUAL(check_stream("magic first", &plans[10][0][0], BYTES(behind), sizeof behind - 1), FW_E_MAGIC);
    CHECK_EQUAL(check_stream("scaled", &plans[7][0][0], BYTES(before), sizeof before - 1), FW_E_COUNTER);
}

/* The counter of a frame goes on from whatever the message's says, and around. */
static void test_written(void)
{
    static const char message[] = "\0\0\0\xffhello world";
    static const char wire[] = "\5\0\0\xffhello\5\0\0\0 worl\1\0\0\1d";
    int status;
    size_t made = encode(&plans[6][0][0], BYTES(message), sizeof message - 1, stream, &status);
    CHECK(made == sizeof wire - 1 && memcmp(stream, wire, made) == 0);
    made = encode(&plans[6][1][0], BYTES("hello"), 5, stream, &status);
    CHECK(made == 13 && memcmp(stream, "\5\0\0\0hello\0\0\0\1", made) == 0);
    made = encode(&plans[0][1][0], BYTES("hello"), 5, stream, &status);
    CHECK(made == 9 && memcmp(stream, "\x80\0\0\5hello", made) == 0);
    made = encode(&plans[2][0][0], BYTES("\x7fhello"), 6, stream, &status);
    CHECK(made == 6 && memcmp(stream, "\x97hello", made) == 0);
}

int main(void)
{
    make_plans();
    test_messages();
    test_noise();
    test_refusals();
    test_both_wrong();
    test_written();
    return check_report(__FILE__);
}
