/* SLIP, HDLC and COBS: against a model that reads a byte at a time as their standards describe it, however a
 * stream is cut, and never a byte read or written too far. */
#include "plans.h"
#include "../fw_stuff.h"

#define MOST_EVENTS 600

enum { SLIP, HDLC, HDLC_16, HDLC_32, COBS, COBS_R, FLAVOURS };

static fw_plan plans[FLAVOURS][2][3];      /* by flavour, strip, and limit: roomy, tight, tight and patient */
static const char *const names[] = {"slip", "hdlc", "hdlc 16", "hdlc 32", "cobs", "cobs/r"};
static const uint8_t marks[] = {0xc0, 0x7e, 0x7e, 0x7e, 0, 0};

static void make_plans(void)
{
    static const uint8_t kinds[] = {FW_SLIP, FW_HDLC, FW_HDLC, FW_HDLC, FW_COBS, FW_COBS};
    static const uint8_t checks[] = {0, 0, 2, 4, 0, 0}, least[] = {2, 2, 3, 5, 2, 2};
    size_t f, strip, limit;
    for (f = 0; f < FLAVOURS; f++)
        for (strip = 0; strip < 2; strip++)
            for (limit = 0; limit < 3; limit++) {
                fw_plan plan = {.kind = kinds[f], .strip = (uint8_t)strip, .min_size = least[f]};
                plan.max_frame = limit ? TIGHT : ROOMY;
                plan.patient = limit == 2;
                plan.check_size = checks[f];
                plan.reduced = f == COBS_R;
                fw_prepare(&plan);
                plans[f][strip][limit] = plan;
            }
}

/* What one frame's stuffed bytes are: FW_FRAME with the content, FW_MORE where they are to be forgotten, or a
 * fault with its proof. A bit and a byte at a time, from the standards. */
static int model(size_t flavour, const uint8_t *raw, size_t size, uint8_t *out, size_t *made, size_t *proof)
{
    const size_t check = flavour == HDLC_16 ? 2 : flavour == HDLC_32 ? 4 : 0;
    const uint32_t polynomial = check == 2 ? 0x8408 : 0xedb88320;
    uint32_t crc = check == 2 ? 0xffff : 0xffffffff;
    size_t i, n = 0, left = 0;
    int bit, zero_due = 0;
    *made = 0;
    if (flavour >= COBS) {
        for (i = 0; i < size; i++) {
            if (left == 0) {
                if (zero_due)
                    out[n++] = 0;
                if (flavour == COBS_R && raw[i] > size - i) {
                    for (left = i + 1; left < size; left++)
                        out[n++] = raw[left];
                    out[n++] = raw[i];
                    *made = n;
                    return FW_FRAME;
                }
                left = raw[i] - 1u;
                zero_due = raw[i] < 255;
            } else {
                out[n++] = raw[i];
                left--;
            }
        }
        *made = n;
        *proof = size + 1;
        return left ? FW_E_CODE : FW_FRAME;
    }
    /* 7D 7E aborts, also where the sender had just begun an escape. */
    if (flavour != SLIP && raw[size - 1] == 0x7d)
        return FW_MORE;
    for (i = 0; i < size; i++) {
        uint8_t byte = raw[i];
        if (flavour == SLIP && byte == 0xdb) {
            byte = ++i < size ? raw[i] : 0;
            if (byte != 0xdc && byte != 0xdd)
                return *proof = i + 1, FW_E_ESCAPE;
            byte = byte == 0xdc ? 0xc0 : 0xdb;
        } else if (flavour != SLIP && byte == 0x7d) {
            byte = raw[++i] ^ 0x20;
        }
        out[n++] = byte;
    }
    if (n < check)
        return FW_MORE;
    n -= check;
    for (i = 0; i < n && check; i++)
        for (crc ^= out[i], bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
    *made = n;
    *proof = size + 1;
    for (i = 0; i < check; i++)
        if (out[n + i] != (uint8_t)(~crc >> 8 * i))
            return FW_E_CHECK;
    return FW_FRAME;
}

typedef struct event {
    int status;                 /* FW_FRAME or a fault */
    size_t begin, end;          /* its first byte, and the one behind its mark, which decides it */
    size_t proof;               /* a fault: what the cursor says */
} event;

static event events[MOST_EVENTS];
static uint8_t content[1 << 17], wire[1 << 18];

/* The frames and faults of a stream, in order, up to one that is too large; returns how many. */
static size_t expect(size_t flavour, const fw_plan *plan, const uint8_t *data, size_t size)
{
    static const size_t tight[] = {80, 80, 84, 88, 41, 41};   /* the most that 40 bytes can take */
    const size_t reach = plan->max_frame == TIGHT ? tight[flavour] : SIZE_MAX;
    size_t count = 0, begin = 0, at;
    for (at = 0; at < size && count < MOST_EVENTS; at++) {
        event *e = &events[count];
        size_t made = 0;
        if (data[at] != marks[flavour] && at - begin < reach)
            continue;
        e->status = at == begin ? FW_MORE : FW_E_TOO_LARGE;
        e->proof = at + 1 - begin;
        e->begin = begin;
        e->end = at + 1;
        if (data[at] == marks[flavour] && at > begin)
            e->status = model(flavour, data + begin, at - begin, content, &made, &e->proof);
        if (e->status == FW_FRAME && made > plan->max_frame) {
            e->status = FW_E_TOO_LARGE;
            e->proof = at + 1 - begin;
        }
        if (e->status != FW_MORE)
            count++;
        if (e->status == FW_E_TOO_LARGE)
            break;
        begin = at + 1;
    }
    return count;
}

/* What fw_join makes of a frame, in no more room than it is told of, is what the model reads. */
static int same_content(size_t flavour, const fw_plan *plan, const uint8_t *data, const fw_frame *frame)
{
    const size_t size = frame->stop - frame->start;
    size_t made = 0, proof = 0;
    uint8_t *out;
    if (!plan->strip)
        return frame->stop > frame->start && data[frame->stop - 1] == marks[flavour];
    memcpy(wire, data + frame->start, size);
    if (model(flavour, wire, size, content, &made, &proof) != FW_FRAME)
        return 0;
    out = guard_copy_start(NULL, GUARD_CAPACITY) + GUARD_CAPACITY - size;
    return fw_join(plan, data + frame->start, size, out) == made && memcmp(out, content, made) == 0;
}

/* Cuts data[0..size) from where the cursor stands, `cap` frames at a time, and compares with events[*seen..);
 * returns whether all of it is right, and whether everything due has come. */
static int goes_on(size_t flavour, const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c,
                   size_t *seen, size_t count, size_t cap)
{
    fw_frame out[8];
    size_t i, n;
    int status = FW_FRAME;
    while (status != FW_MORE) {
        n = fw_cut(plan, data, size, c, out, cap, &status);
        for (i = 0; i < n; i++, ++*seen) {
            const event *e = &events[*seen];
            if (*seen == count || e->status != FW_FRAME || out[i].start != e->begin
                || out[i].stop != e->end - plan->strip || !same_content(flavour, plan, data, &out[i]))
                return 0;
        }
        if (status < 0) {
            const event *e = &events[*seen];
            if (*seen == count || status != e->status || c->pos != e->begin || e->end > size
                || c->proof != e->proof || c->leaf != plan || c->scale != 0)
                return 0;
            if (status == FW_E_TOO_LARGE)
                return *seen + 1 == count && c->recover == 0 && c->end == 0;
            if (c->pos + c->recover != e->end)
                return 0;
            c->pos = e->end;
            c->scanned = 0;
            ++*seen;
        }
    }
    /* Nothing is searched twice, and as much is asked for as the shortest frame has. */
    if (c->need < 1 || c->need + size - c->pos < plan->min_size || c->scanned != size - c->pos || c->direct
        || c->leaf != plan)
        return 0;
    return *seen == count || (events[*seen].end > size && c->need <= events[*seen].end - size);
}

static void check_stream(size_t flavour, const fw_plan *plan, const uint8_t *stream, size_t size)
{
    const fw_cursor start = {0};
    const size_t count = expect(flavour, plan, stream, size);
    fw_cursor grown = start;
    size_t n, grown_seen = 0;
    for (n = 0; n <= size; n++) {
        const uint8_t *data = guard_copy(stream, n);
        fw_cursor fresh = start;
        size_t seen = 0;
        EXPECT(goes_on(flavour, plan, data, n, &fresh, &seen, count, 1 + n % 8),
               names[flavour], stream, size, n);
        if (grown_seen < count && events[grown_seen].status == FW_E_TOO_LARGE && events[grown_seen].end <= n)
            continue;
        EXPECT(goes_on(flavour, plan, data, n, &grown, &grown_seen, count, 8),
               names[flavour], stream, size, n);
        EXPECT(grown_seen == seen && grown.pos == fresh.pos && grown.need == fresh.need
                   && grown.scanned == fresh.scanned, names[flavour], stream, size, n);
    }
}

static void check_all_plans(size_t flavour, const uint8_t *stream, size_t size)
{
    size_t strip, limit;
    for (strip = 0; strip < 2; strip++)
        for (limit = 0; limit < 3; limit++)
            check_stream(flavour, &plans[flavour][strip][limit], stream, size);
}

/* The bytes that carry a message, to wire[at..); neither it nor the room is left. Their number. */
static size_t expand(size_t flavour, const uint8_t *message, size_t size, size_t at)
{
    const fw_plan *plan = &plans[flavour][1][0];
    const size_t most = fw_expanded_most(plan, size);
    const uint8_t *flush = guard_copy(message, size);
    uint8_t *out = guard_copy_start(NULL, GUARD_CAPACITY) + GUARD_CAPACITY - most;
    size_t made = fw_expand(plan, flush, size, out);
    CHECK(made <= most);
    memcpy(wire + at, out, made);
    return made;
}

/* Every size, of bytes that need no care, all care, and some: written, and read back by the model. */
static void test_expand(void)
{
    static const size_t edges[] = {507, 508, 509, 762, 763, 1016, 4096, 65535};
    static uint8_t message[1 << 16];
    size_t flavour, style, size, i, made, got, proof;
    for (flavour = 0; flavour < FLAVOURS; flavour++)
        for (style = 0; style < 6; style++) {
            static const uint8_t fills[] = {'A', 0, 0xc0, 0x7d, 0xff};
            for (i = 0; i < sizeof message; i++)
                message[i] = style < 5 ? fills[style] : (uint8_t)noise();
            if (style == 0)
                fill_body(message, sizeof message);
            for (i = 0; i < 260 + COUNT(edges); i++) {
                size = i < 260 ? i : edges[i - 260];
                made = expand(flavour, message, size, 0);
                CHECK(memchr(wire, marks[flavour], made) == wire + made - 1);
                if (size == 0 && flavour <= HDLC)
                    continue;
                got = 0;
                EXPECT(model(flavour, wire, made - 1, content, &got, &proof) == FW_FRAME && got == size
                           && memcmp(content, message, size) == 0, names[flavour], message, size, style);
            }
        }
}

/* Several frames and what stands between them, whole and with single bytes spoilt. */
static void test_valid_and_spoilt(void)
{
    static const uint8_t evil[] = {0x00, 0x01, 0xff, 0xc0, 0xdb, 0xdc, 0x7e, 0x7d, 0x29};
    static const size_t sizes[] = {1, 0, 2, 9, 40, 3};
    uint8_t body[64], stream[512];
    size_t flavour, i, e, size;
    for (i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i % 3 ? 'A' + i : i % 2 ? 0xdb : i % 4 ? 0 : 0x7d);
    for (flavour = 0; flavour < FLAVOURS; flavour++) {
        size = 0;
        for (i = 0; i < COUNT(sizes); i++) {
            size += expand(flavour, body, sizes[i], size);
            if (i % 2)
                wire[size++] = marks[flavour];
        }
        memcpy(stream, wire, size);
        check_all_plans(flavour, stream, size);
        for (i = 0; i < size; i++)
            for (e = 0; e < COUNT(evil); e++) {
                uint8_t kept = stream[i];
                stream[i] = evil[e];
                check_all_plans(flavour, stream, size);
                stream[i] = kept;
            }
    }
}

/* Content of n - 1, n and n + 1 bytes under a limit of n, and stuffed bytes that never end. */
static void test_limits(void)
{
    uint8_t body[TIGHT + 1], stream[256];
    size_t flavour, size, style;
    for (flavour = 0; flavour < FLAVOURS; flavour++)
        for (style = 0; style < 2; style++) {
            memset(body, style ? marks[flavour] : 'A', sizeof body);
            for (size = TIGHT - 1; size <= TIGHT + 1; size++) {
                size_t made = expand(flavour, body, size, 0);
                memcpy(stream, wire, made);
                check_all_plans(flavour, stream, made);
                CHECK_EQUAL(expect(flavour, &plans[flavour][1][1], stream, made), 1);
                CHECK_EQUAL(events[0].status, size > TIGHT ? FW_E_TOO_LARGE : FW_FRAME);
            }
            memset(stream, 'A', sizeof stream);
            check_all_plans(flavour, stream, sizeof stream);
        }
}

static void test_noise(void)
{
    static const uint8_t telling[] = {
        0, 0, 1, 2, 3, 5, 'A', 0xff, 0xc0, 0xdb, 0xdc, 0xdd, 0x7e, 0x7d, 0x5e, 0x5d,
    };
    uint8_t stream[160];
    unsigned long round;
    for (round = 0; round < 30000; round++) {
        const size_t flavour = round % FLAVOURS, size = noise() % (round & 8 ? 24 : sizeof stream);
        size_t i;
        for (i = 0; i < size; i++) {
            stream[i] = noise() & 3 ? telling[noise() % sizeof telling] : (uint8_t)noise();
            if (round & 16 && stream[i] == marks[flavour] && noise() & 7)
                stream[i] = 'B';
        }
        check_stream(flavour, &plans[flavour][round >> 5 & 1][round >> 6 & 1], stream, size);
    }
}

/* Known bytes: RFC 1055, RFC 1662 and the published examples of COBS and COBS/R. */
static void test_vectors(void)
{
    static const struct {
        size_t flavour;
        const char *message;
        size_t size;
        const char *wire;
        size_t wire_size;
    } vectors[] = {
#define M(text) text, sizeof(text) - 1
        {SLIP, M("a\xc0\xdb"), M("a\xdb\xdc\xdb\xdd\xc0")},
        {HDLC, M("~}"), M("}^}]~")},
        {HDLC_16, M(""), M("\0\0~")},
        {HDLC_16, M("123456789"), M("123456789\x6e\x90~")},
        {HDLC_32, M(""), M("\0\0\0\0~")},
        {HDLC_32, M("123456789"), M("123456789\x26\x39\xf4\xcb~")},
        {COBS, M(""), M("\1\0")},
        {COBS, M("\0"), M("\1\1\0")},
        {COBS, M("\0\0"), M("\1\1\1\0")},
        {COBS, M("\0\x11\0"), M("\1\2\x11\1\0")},
        {COBS, M("\x11\x22\0\x33"), M("\3\x11\x22\2\x33\0")},
        {COBS_R, M(""), M("\1\0")},
        {COBS_R, M("\1"), M("\2\1\0")},
        {COBS_R, M("\2"), M("\2\0")},
        {COBS_R, M("\x12\x45\0\0\0\4\5"), M("\3\x12\x45\1\1\5\4\0")},
        {COBS_R, M("\x12\x45\0\0\0\4\2"), M("\3\x12\x45\1\1\3\4\2\0")},
    };
    size_t i;
    for (i = 0; i < COUNT(vectors); i++) {
        size_t made = expand(vectors[i].flavour, BYTES(vectors[i].message), vectors[i].size, 0);
        EXPECT(made == vectors[i].wire_size && memcmp(wire, vectors[i].wire, made) == 0,
               names[vectors[i].flavour], wire, made, i);
        check_all_plans(vectors[i].flavour, BYTES(vectors[i].wire), vectors[i].wire_size);
    }
}

/* Which messages fw_encode takes, and what it says of those that it does not. */
static void test_encode(void)
{
    static const struct {
        size_t flavour, strip, limit;
        const char *message;
        size_t size;
        int status;
        uint64_t value;
        size_t at, proof;
    } cases[] = {
#define A40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        {SLIP, 1, 1, M("a\xc0"), FW_FRAME, 2, 0, 0},
        {SLIP, 1, 1, M(A40), FW_FRAME, 40, 0, 0},
        {SLIP, 1, 1, M(A40 "A"), FW_E_TOO_LARGE, 41, 0, 0},
        {SLIP, 1, 1, M(""), FW_E_EMPTY, 0, 0, 0},
        {HDLC, 1, 1, M(""), FW_E_EMPTY, 0, 0, 0},
        {HDLC_16, 1, 1, M(""), FW_FRAME, 0, 0, 0},
        {COBS, 1, 1, M(""), FW_FRAME, 0, 0, 0},
        {SLIP, 0, 1, M("ab\xc0"), FW_FRAME, 2, 2, 0},
        {SLIP, 0, 1, M(""), FW_E_UNTERMINATED, 0, 0, 0},
        {SLIP, 0, 1, M(A40 A40 "AA"), FW_E_UNTERMINATED, 82, 0, 0},
        {SLIP, 0, 1, M("\xc0"), FW_E_DELIMITER, 1, 0, 0},
        {SLIP, 0, 1, M("ab"), FW_E_UNTERMINATED, 2, 0, 0},
        {SLIP, 0, 1, M("\xc0""ab\xc0"), FW_E_DELIMITER, 1, 0, 0},
        {SLIP, 0, 1, M("ab\xc0""c\xc0"), FW_E_DELIMITER, 1, 2, 0},
        {SLIP, 0, 1, M("ab\xc0\xc0"), FW_E_DELIMITER, 1, 2, 0},
        {SLIP, 0, 1, M("a\xdb""b\xc0"), FW_E_ESCAPE, 0, 3, 3},
        {SLIP, 0, 1, M("a\xdb\xc0"), FW_E_ESCAPE, 0, 2, 3},
        {SLIP, 0, 1, M(A40 "A\xc0"), FW_E_TOO_LARGE, 41, 41, 0},
        {SLIP, 0, 1, M(A40 A40 "AAA\xc0"), FW_E_TOO_LARGE, 83, 83, 0},
        {HDLC_16, 0, 1, M("hi}^\xf7-~"), FW_FRAME, 3, 6, 0},
        {HDLC_16, 0, 1, M("ha}^\xf7-~"), FW_E_CHECK, 0, 6, 7},
        {HDLC_16, 0, 1, M("hi}~"), FW_E_ESCAPE, 1, 3, 4},
        {HDLC_32, 0, 1, M("abc~"), FW_E_CHECK, 3, 3, 4},
        {COBS, 0, 1, M("\4ab\0"), FW_E_CODE, 4, 3, 4},
        {COBS_R, 0, 1, M("\4ab\0"), FW_FRAME, 3, 3, 0},
    };
    size_t i;
    /* value: the size of the content where it is known, the code at fault; at: where the first mark stands */
    for (i = 0; i < COUNT(cases); i++) {
        const fw_plan *plan = &plans[cases[i].flavour][cases[i].strip][cases[i].limit];
        const uint8_t *message = guard_copy(cases[i].message, cases[i].size);
        fw_wire w = {.value = 99};
        int status = fw_encode(plan, message, cases[i].size, &w);
        EXPECT(status == cases[i].status && w.value == cases[i].value && w.at == cases[i].at
                   && w.proof == cases[i].proof && w.keep == cases[i].size && w.resume == cases[i].size,
               names[cases[i].flavour], message, cases[i].size, i);
    }
}

int main(void)
{
    make_plans();
    test_vectors();
    test_encode();
    test_expand();
    test_limits();
    test_valid_and_spoilt();
    test_noise();
    return check_report(__FILE__);
}
