/* Header blocks and chunks: against models that read a whole frame at once, however a stream is cut, and
 * never a byte read or written too far. */
#include "plans.h"
#include "../fw_text.h"

#define MOST_EVENTS 600
#define MAX_HEADER 48

typedef struct event {
    int status;                 /* FW_FRAME or a fault */
    size_t begin;               /* its first byte, behind fill */
    size_t start, stop, end;    /* what is delivered; where the frame ends */
    size_t proof;               /* a fault: how many of its bytes prove it */
    uint64_t value;
} event;

static event events[MOST_EVENTS];
static uint8_t wire[1 << 12], joined[1 << 12];

/* --- models: one frame of data[at..size), of which all bytes are there; FW_MORE if they are not ---- */

static int failed(event *e, int status, uint64_t value, size_t proof)
{
    e->status = status;
    e->value = value;
    e->proof = proof;
    return status;
}

static int same_name(const fw_plan *plan, const uint8_t *name, size_t size)
{
    size_t i;
    if (size != plan->name_size)
        return 0;
    for (i = 0; i < size; i++)
        if ((name[i] | 0x20) != (plan->name[i] | 0x20) || (name[i] | 0x20) < 'a')
            return 0;
    return 1;
}

/* Lines from p[at] on, at most up to `room`; *at moves behind the empty one. */
static int model_lines(const fw_plan *plan, const uint8_t *p, size_t size, size_t *at, size_t room, int first,
                       int *said, uint64_t *length, event *e)
{
    size_t begin = *at, i;
    for (i = begin; i < size && i < room; i++) {
        size_t end = i, colon, k, digits = 0;
        unsigned __int128 sum = 0;
        int bad = 0;
        if (p[i] != '\n')
            continue;
        if (end > begin && p[end - 1] == '\r')
            end--;
        else if (!plan->bare_lf)
            return failed(e, FW_E_LINE_END, 0, i + 1);
        if (end == begin && !first) {
            *at = i + 1;
            return FW_FRAME;
        }
        for (k = begin; k < end; k++)
            bad |= p[k] == 0 || p[k] == '\r';
        for (colon = begin; colon < end && p[colon] != ':'; colon++)
            bad |= !first && (p[colon] <= ' ' || p[colon] == 0x7f);
        if (bad || end == begin || (!first && (colon == begin || colon == end)))
            return failed(e, FW_E_LINE, 0, i + 1);
        if (!first && plan->name_size && same_name(plan, p + begin, colon - begin)) {
            size_t from = colon + 1, to = end;
            while (from < to && (p[from] == ' ' || p[from] == '\t'))
                from++;
            while (from < to && (p[to - 1] == ' ' || p[to - 1] == '\t'))
                to--;
            for (k = from; k < to && p[k] >= '0' && p[k] <= '9'; k++, digits++) {
                sum = sum * 10 + (unsigned)(p[k] - '0');
                if (sum > UINT64_MAX)
                    return failed(e, FW_E_OVERFLOW, 0, i + 1);
            }
            if (digits == 0 || k < to)
                return failed(e, FW_E_NUMBER, 0, i + 1);
            if (*said && *length != (uint64_t)sum)
                return failed(e, FW_E_LENGTHS, 2, i + 1);
            *said = 1;
            *length = (uint64_t)sum;
        }
        first = 0;
        begin = i + 1;
    }
    return size >= room ? failed(e, FW_E_HEADER, plan->max_header, room) : FW_MORE;
}

static int model_block(const fw_plan *plan, const uint8_t *data, size_t size, size_t at, event *e)
{
    const size_t nul = plan->missing == 2;
    const uint8_t *p;
    size_t header = 0, have, body;
    int said = 0, status;
    uint64_t length = 0;
    while (plan->start_line && at < size) {
        if (plan->bare_lf && data[at] == '\n')
            at++;
        else if (at + 1 < size && data[at] == '\r' && data[at + 1] == '\n')
            at += 2;
        else
            break;
    }
    e->begin = at;
    if (plan->start_line && at + 1 == size && data[at] == '\r')
        return FW_MORE;
    p = data + at;
    have = size - at;
    status = model_lines(plan, p, have, &header, plan->max_header, plan->start_line, &said, &length, e);
    if (status != FW_FRAME)
        return status;
    if (!said && plan->missing == 0)
        return failed(e, FW_E_LENGTHS, 0, header);
    if (length > plan->max_frame)
        return failed(e, FW_E_TOO_LARGE, length, header);
    for (body = header; !said && nul && body < have && p[body]; body++)
        if (body - header == plan->max_frame)
            return failed(e, FW_E_TOO_LARGE, 0, body + 1);
    if (!said && nul)
        length = body - header;
    if (have < header + length + nul)
        return FW_MORE;
    if (nul && p[header + length])
        return failed(e, FW_E_TRAILER, 0, header + length + 1);
    e->status = FW_FRAME;
    e->end = at + header + length + nul;
    e->start = plan->strip ? at + header : at;
    e->stop = plan->strip ? at + header + length : e->end;
    return FW_FRAME;
}

static int digit_of(uint8_t byte, int http)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *hit = byte ? strchr(digits, byte) : NULL;
    int value = hit ? (int)(hit - digits) : 99;
    value = value > 15 && value < 22 ? value - 6 : value;
    return value < (http ? 16 : 10) ? value : -1;
}

/* Also joins, to joined; *made bytes. */
static int model_chunks(const fw_plan *plan, const uint8_t *data, size_t size, size_t at, event *e,
                        size_t *made)
{
    const uint8_t *p = data + at;
    const size_t have = size - at;
    const int http = plan->http;
    size_t i = 0;
    *made = 0;
    e->begin = at;
    for (;;) {
        const size_t room = plan->max_header + *made, begin = i;
        size_t digits = 0;
        uint64_t value = 0;
        if (!http && begin > room)
            return failed(e, FW_E_HEADER, plan->max_header, begin);
        if (http && begin >= room)
            return failed(e, FW_E_HEADER, plan->max_header, begin);
        if (!http) {
            for (; i < begin + 2; i++) {
                if (i == have)
                    return FW_MORE;
                if (p[i] != (i == begin ? '\n' : '#'))
                    return failed(e, FW_E_MAGIC, 0, i + 1);
            }
            if (i < have && p[i] == '#' && *made) {
                if (++i == have)
                    return FW_MORE;
                if (p[i] != '\n')
                    return failed(e, FW_E_MAGIC, 0, i + 1);
                break;
            }
        }
        for (;; i++, digits++) {
            if (http && i == room)
                return failed(e, FW_E_HEADER, plan->max_header, room);
            if (i == have)
                return FW_MORE;
            if (digit_of(p[i], http) < 0)
                break;
            if (digits == (http ? 16 : 10))
                return failed(e, FW_E_LONG, digits, i + 1);
            if (!http && digits == 0 && p[i] == '0')
                return failed(e, FW_E_ZERO, 0, i + 1);
            value = value * (http ? 16 : 10) + (uint64_t)digit_of(p[i], http);
        }
        if (digits == 0 || (http ? strchr("\r; \t", p[i]) == NULL || p[i] == 0 : p[i] != '\n'))
            return failed(e, FW_E_DIGIT, 0, i + 1);
        if (!http && value > UINT32_MAX)
            return failed(e, FW_E_NUMBER, 0, i + 1);
        if (value > plan->max_frame - *made)
            return failed(e, FW_E_TOO_LARGE, 0, i + 1);
        if (http) {
            int bad = 0;
            for (; i < have && i < room && p[i] != '\n'; i++)
                bad |= p[i] == 0 || (p[i] == '\r' && i + 1 < have && p[i + 1] != '\n');
            if (i == room)
                return failed(e, FW_E_HEADER, plan->max_header, room);
            if (i == have)
                return FW_MORE;
            if (p[i - 1] != '\r')
                return failed(e, FW_E_LINE_END, 0, i + 1);
            if (bad)
                return failed(e, FW_E_LINE, 0, i + 1);
        }
        i++;
        if (value == 0) {
            int said = 0, status = model_lines(plan, p, have, &i, room, 0, &said, &value, e);
            if (status != FW_FRAME)
                return status;
            i--;
            break;
        }
        memcpy(joined + *made, p + i, value < have - i ? (size_t)value : have - i);
        if (value > have - i)
            return FW_MORE;
        i += (size_t)value;
        *made += (size_t)value;
        if (http) {
            if (i < have && p[i] != '\r')
                return failed(e, FW_E_LINE_END, 0, i + 1);
            if (i + 1 < have && p[i + 1] != '\n')
                return failed(e, FW_E_LINE_END, 0, i + 2);
            if (i + 1 >= have)
                return FW_MORE;
            i += 2;
        }
    }
    e->status = FW_FRAME;
    e->start = at;
    e->stop = e->end = at + i + 1;
    return FW_FRAME;
}

static int model(const fw_plan *plan, const uint8_t *data, size_t size, size_t at, event *e, size_t *made)
{
    return plan->kind == FW_HEADERS ? model_block(plan, data, size, at, e)
                                    : model_chunks(plan, data, size, at, e, made);
}

/* --- the core against them ---------------------------------------------------------------- */

static size_t expect(const fw_plan *plan, const uint8_t *data, size_t size)
{
    size_t count = 0, at = 0, made;
    while (count < MOST_EVENTS) {
        int status = model(plan, data, size, at, &events[count], &made);
        if (status == FW_MORE)
            break;
        at = events[count++].end;
        if (status < 0)
            break;
    }
    return count;
}

static int same_content(const fw_plan *plan, const uint8_t *data, const event *e)
{
    const size_t size = e->stop - e->start;
    event again;
    size_t made = 0;
    uint8_t *out;
    if (!plan->joins)
        return 1;
    if (model(plan, data, e->end, e->begin, &again, &made) != FW_FRAME)
        return 0;
    out = guard_copy_start(NULL, GUARD_CAPACITY) + GUARD_CAPACITY - size;
    return fw_join(plan, data + e->start, size, out) == made && memcmp(out, joined, made) == 0;
}

/* Cuts data[0..size) from where the cursor stands and compares with events[*seen..count). */
static int goes_on(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, size_t *seen,
                   size_t count, size_t cap)
{
    fw_frame out[8];
    size_t i, n;
    int status = FW_FRAME;
    while (status == FW_FRAME) {
        n = fw_cut(plan, data, size, c, out, cap, &status);
        for (i = 0; i < n; i++, ++*seen) {
            const event *e = &events[*seen];
            if (*seen == count || e->status != FW_FRAME || out[i].start != e->start || out[i].stop != e->stop
                || !same_content(plan, data, e))
                return 0;
        }
    }
    if (status < 0) {
        const event *e = &events[*seen];
        if (*seen == count || status != e->status || c->pos != e->begin || c->proof != e->proof
            || c->value != e->value || c->scanned || c->recover || e->begin + e->proof > size || c->delta)
            return 0;
        if (status == FW_E_TOO_LARGE)
            return plan->kind == FW_HEADERS && e->value
                       ? c->scale == 1 && (c->end == FW_FAR
                                           || c->end == e->proof + e->value + (plan->missing == 2))
                       : c->scale == 0 && c->end == 0;
        return c->scale == 0;
    }
    if (c->need < 1 || c->scanned > size - c->pos || c->leaf != plan)
        return 0;
    if (c->direct && (c->start > c->stop || c->stop != size - c->pos + c->need))
        return 0;
    if (*seen == count)
        return 1;
    if (events[*seen].status != FW_FRAME)
        return events[*seen].begin + events[*seen].proof > size;
    return events[*seen].end > size && c->need <= events[*seen].end - size
        && (!c->direct
            || (c->pos + c->start == events[*seen].start && c->pos + c->stop == events[*seen].stop));
}

static void check_stream(const char *name, const fw_plan *plan, const uint8_t *stream, size_t size)
{
    const fw_cursor start = {0};
    const size_t count = expect(plan, stream, size);
    fw_cursor grown = start;
    size_t n, grown_seen = 0;
    int over = 0;
    for (n = 0; n <= size; n++) {
        const uint8_t *data = guard_copy(stream, n);
        fw_cursor fresh = start;
        size_t seen = 0;
        EXPECT(goes_on(plan, data, n, &fresh, &seen, count, 1 + n % 8), name, stream, size, n);
        if (over)
            continue;
        EXPECT(goes_on(plan, data, n, &grown, &grown_seen, count, 8), name, stream, size, n);
        over = seen < count && events[seen].status < 0 && events[seen].begin + events[seen].proof <= n;
        EXPECT(grown_seen == seen && grown.pos == fresh.pos && (over || grown.need == fresh.need)
                   && grown.scanned == fresh.scanned, name, stream, size, n);
    }
}

/* --- plans --------------------------------------------------------------------------------- */

static fw_plan plans[64];
static char names[64][48];
static size_t plan_count;

static void make_plans(void)
{
    unsigned missing, start_line, bare_lf, strip, limit, http;
    for (missing = 0; missing < 3; missing++)
        for (start_line = 0; start_line < 2; start_line++)
            for (bare_lf = 0; bare_lf < 2; bare_lf++)
                for (strip = 0; strip < 2u - start_line; strip++)
                    for (limit = 0; limit < 2; limit++) {
                        fw_plan plan = {.kind = FW_HEADERS, .name = BYTES("Len"), .name_size = 3};
                        const uint64_t feed = bare_lf ? 1 : 2;
                        plan.missing = (uint8_t)missing;
                        plan.start_line = (uint8_t)start_line;
                        plan.bare_lf = (uint8_t)bare_lf;
                        plan.strip = (uint8_t)strip;
                        plan.max_header = MAX_HEADER;
                        plan.max_frame = limit ? 12 : ROOMY;
                        plan.min_size = feed + (missing == 0 ? 5 + feed : missing == 2);
                        plan.min_size += start_line * (1 + feed);
                        fw_prepare(&plan);
                        snprintf(names[plan_count], sizeof names[0], "missing %u start %u lf %u strip %u %u",
                                 missing, start_line, bare_lf, strip, limit);
                        plans[plan_count++] = plan;
                    }
    for (http = 0; http < 2; http++)
        for (strip = 0; strip < 2; strip++)
            for (limit = 0; limit < 2; limit++) {
                fw_plan plan = {.kind = FW_CHUNKED, .max_header = MAX_HEADER};
                plan.http = (uint8_t)http;
                plan.strip = (uint8_t)strip;
                plan.max_frame = limit ? 12 : ROOMY;
                plan.min_size = http ? 5 : 9;
                fw_prepare(&plan);
                snprintf(names[plan_count], sizeof names[0], "http %u strip %u %u", http, strip, limit);
                plans[plan_count++] = plan;
            }
}

static void check_all_plans(const uint8_t *stream, size_t size)
{
    size_t i;
    for (i = 0; i < plan_count; i++)
        check_stream(names[i], &plans[i], stream, size);
}

#define TEXT(text) {text, sizeof(text) - 1}
static const struct {
    const char *text;
    size_t size;
} streams[] = {
    TEXT("Len: 2\r\n\r\nab\0Len:3\r\nA:\r\nlEN:3\r\n\r\nabc\0"),
    TEXT("Len: 0\r\n\r\n\0\r\n\r\nA: b\r\nLen: 4\r\n\r\nabcd\0"),
    TEXT("\r\n\n\r\nSEND x\r\nA: \t\r\nLen: \t5\t \r\n\r\nhello\0\r\n\r\nx\r\n\r\n\0\r"),
    TEXT("\nSEND\nLen:4\n\n\0\0\0\0\0\nACK\n\nbody\0\n\n\nA\n\n\0Len:1\n\nx"),
    TEXT("Len: 00007\r\n\r\n1234567\0"), TEXT("Len: 13\r\n\r\n1234567890123\0"),
    TEXT("Len: 12\r\n\r\n123456789012\0"),
    TEXT("Len:\r\n\r\n"), TEXT("Len: 1 2\r\n\r\nx\0"), TEXT("Len: +1\r\n\r\nx\0"), TEXT("Len: -0\r\n\r\n\0"),
    TEXT("Len: 0x1\r\n\r\nx\0"), TEXT("Len: 1_0\r\n\r\nx\0"), TEXT("Len: \xd9\xa3\r\n\r\nxyz\0"),
    TEXT("Len: 1\0\r\n\r\nx\0"), TEXT("Len : 1\r\n\r\nx\0"), TEXT(" Len: 1\r\n\r\nx\0"),
    TEXT("Len: 1\r\n 2\r\n\r\nx\0"),
    TEXT("Len: 1\r\nLen: 2\r\n\r\nx\0"), TEXT("Len: 1\r\nLen: 01\r\n\r\nx\0"), TEXT(": 1\r\n\r\nx\0"),
    TEXT("noname\r\n\r\n"),
    TEXT("A: x\ry\r\n\r\n"), TEXT("A: x\r\r\n\r\n"), TEXT("\r\r\n"), TEXT("\rA: b\r\n\r\n"),
    TEXT("A\x7f: b\r\n\r\n"),
    TEXT("Len: 18446744073709551615\r\n\r\n"), TEXT("Len: 18446744073709551616\r\n\r\n"),
    TEXT("Len: 99999999999999999999999999x\r\n\r\n"), TEXT("Len: 4611686018427387904\r\n\r\n"),
    TEXT("Lem: 1\r\n\r\nabc\0"), TEXT("Length: 1\r\n\r\nx\0"),
    TEXT("A: 345678901234567890123456789012345678901234\r\n\r\n\0"), /* 48 bytes of header */
    TEXT("A: 3456789012345678901234567890123456789012345\r\n\r\n\0"),
    TEXT("A:45678901234567890123456789012345678901234567890123456789"),
    TEXT("A\r\n\r\nbody that is too long\0A\r\n\r\n123456789012\0A\r\n\r\n1234567890123\0"),
    TEXT("\n#1\na\n#2\nbc\n##\n\n#12\n\n##\n\n##\n#1\nx\n##\n"), TEXT("\n##\n"), TEXT("\n#01\na\n##\n"),
    TEXT("\n#0\n\n##\n"),
    TEXT("\n#13\n1234567890123\n##\n"), TEXT("\n#4294967295\n"), TEXT("\n#4294967296\n"),
    TEXT("\n#12345678901\n"),
    TEXT("\n#1\r\na\n##\n"), TEXT("\n#\n"), TEXT("\r\n#1\na"), TEXT("\n1\n"), TEXT("\n#1\na\n##\r"),
    TEXT("\n#-1\na"),
    TEXT("\n#1\na\n#1\nb\n#1\nc\n#1\nd\n#1\ne\n#1\nf\n#1\ng\n#1\nh\n#1\ni\n#1\nj\n#1\nk\n#1\nl\n#1\nm\n##\n"),
    TEXT("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n00\r\n\r\n"
         "C \r\n0\r\n\r\n67890ab\r\n0;x\r\nA: b\r\n\r\n0\t;a=\"b\"\r\n\r\n"),
    TEXT("\r\na"), TEXT(";x\r\n"), TEXT("g\r\n"), TEXT("-1\r\n"), TEXT("0x1\r\n"), TEXT("1\n"),
    TEXT("1\rx\n"), TEXT("1 2\n"),
    TEXT("1;\0\r\nx"), TEXT("1;a\rb\r\nx"), TEXT("1\r\nab\n0\r\n\r\n"), TEXT("1\r\na\rx"),
    TEXT("0\r\nA\r\n\r\n"), TEXT("0\r\nA: b\n\n"),
    TEXT("FFFFFFFFFFFFFFFFF\r\n"), TEXT("FFFFFFFFFFFFFFFF\r\n"), TEXT("0000000000000001\r\na\r\n0\r\n\r\n"),
    TEXT("00000000000000001\r\n"), TEXT("1;456789012345678901234567890123456789012345\r\n"),
    TEXT("1;45678901234567890123456789012345678901234567\r\na\r\n0\r\n\r\n"),
    TEXT("0;23456789012345678901234567890123456789012345\r\n\r\n"),
    TEXT("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n1\r\ne\r\n"
         "1\r\nf\r\n1\r\ng\r\n1\r\nh\r\n1\r\ni\r\n1\r\nj\r\n0\r\n\r\n"),
    TEXT("0\r\nA: 78901234567890123456789012345678901234567890123456\r\n\r\n"),
};

static void test_streams(void)
{
    static const uint8_t evil[] = {0x00, '\n', '\r', ':', ' ', '0', '9', 'f', '#', ';', 0xff};
    uint8_t stream[256];
    size_t s, i, e;
    for (s = 0; s < COUNT(streams); s++) {
        memcpy(stream, streams[s].text, streams[s].size);
        check_all_plans(stream, streams[s].size);
        for (i = 0; i < streams[s].size && i < 60; i++)
            for (e = 0; e < COUNT(evil); e += 1 + (i + s) % 3) {
                const uint8_t kept = stream[i];
                stream[i] = evil[e];
                check_stream(names[(s + i + e) % plan_count], &plans[(s + i + e) % plan_count], stream,
                             streams[s].size);
                check_stream("http", &plans[plan_count - 1 - e % 8], stream, streams[s].size);
                stream[i] = kept;
            }
    }
}

static void test_noise(void)
{
    static const char *const words[] = {
        "Len", "len:", ": ", "1", "0", "12", "3", "\r\n", "\r\n", "\r\n\r\n", "\n", "\n", "\n#", "\n##\n",
        "\r", ";x", "a",
        "abc", "A:b\r\n", "Len: 2\r\n", "Len: 3\n", "\n#3\nabc", "1\r\na\r\n", "0\r\n\r\n", "\xff", " ",
    };
    uint8_t stream[192];
    unsigned long round;
    for (round = 0; round < 40000; round++) {
        const size_t most = round & 4 ? 24 : 120;
        size_t size = 0;
        while (size < most) {
            const uint64_t dice = noise();
            const char *word = words[dice % COUNT(words)];
            const size_t length = strlen(word);
            memcpy(stream + size, word, length);
            size += length;
            if (dice >> 32 & 8 && dice >> 36 & 1)
                stream[size++] = 0;
        }
        check_stream(names[round % plan_count], &plans[round % plan_count], stream, size);
    }
}

/* --- encoding ------------------------------------------------------------------------------ */

static int encode(const fw_plan *plan, const void *message, size_t size, fw_wire *w, size_t *made)
{
    const uint8_t *flush = guard_copy(message, size);
    const int status = fw_encode(plan, flush, size, w);
    *made = status == FW_FRAME ? assemble(w, flush, size, wire) : 0;
    return status;
}

/* What is written for a body is one frame with that body. */
static void test_round(void)
{
    static const size_t sizes[] = {0, 1, 9, 10, 11, 12, 13, 255, 256, 999, 1000, 3000};
    static uint8_t body[3000];
    fw_wire w;
    event e;
    size_t p, i, made, content;
    fill_body(body, sizeof body);
    for (p = 0; p < plan_count; p++)
        for (i = 0; i < COUNT(sizes) && plans[p].strip; i++) {
            const size_t size = sizes[i];
            const int status = encode(&plans[p], body, size, &w, &made);
            const int netconf = plans[p].kind == FW_CHUNKED && !plans[p].http;
            CHECK_EQUAL(status, size > plans[p].max_frame ? FW_E_TOO_LARGE
                                : size == 0 && netconf   ? FW_E_UNSAYABLE
                                                         : FW_FRAME);
            CHECK_EQUAL(w.value, status == FW_FRAME && plans[p].kind == FW_HEADERS ? w.value : size);
            if (status != FW_FRAME)
                continue;
            CHECK_EQUAL(model(&plans[p], wire, made, 0, &e, &content), FW_FRAME);
            CHECK_EQUAL(e.end, made);
            if (plans[p].kind == FW_HEADERS)
                CHECK(e.stop - e.start == size && memcmp(wire + e.start, body, size) == 0);
            else
                CHECK(content == size && memcmp(joined, body, size) == 0);
        }
}

/* A whole frame is taken if our own decoder takes it as one frame, or its lone 0 can be filled in. */
static void test_whole(void)
{
    fw_wire w;
    event e;
    size_t p, s, made, content;
    for (p = 0; p < plan_count; p++)
        for (s = 0; s < COUNT(streams) && !plans[p].strip; s++) {
            const uint8_t *text = BYTES(streams[s].text);
            size_t n;
            for (n = 0; n <= streams[s].size; n++) {
                const int status = encode(&plans[p], text, n, &w, &made);
                const int right = model(&plans[p], text, n, 0, &e, &content);
                if (right == FW_FRAME && e.begin == 0 && e.end == n) {
                    EXPECT(status == FW_FRAME && made == n && memcmp(wire, text, n) == 0,
                           names[p], text, n, s);
                } else if (status == FW_FRAME) {
                    EXPECT(w.made_size > 0 && plans[p].kind == FW_HEADERS
                               && model(&plans[p], wire, made, 0, &e, &content) == FW_FRAME && e.end == made,
                           names[p], text, n, s);
                } else {
                    EXPECT(w.proof <= n || status == FW_E_MISMATCH || status == FW_E_UNTERMINATED
                               || status == FW_E_DELIMITER || status == FW_E_TOO_LARGE, names[p], text, n, s);
                }
            }
        }
}

static const fw_plan *plan_named(const char *name)
{
    size_t i = 0;
    while (strcmp(names[i], name) != 0)
        i++;
    return &plans[i];
}

static void test_refused(void)
{
    static const struct {
        const char *plan, *message;
        size_t size;
        int status;
        uint64_t announced, value;
    } cases[] = {
#define M(text) text, sizeof(text) - 1
        {"missing 0 start 0 lf 0 strip 0 0", M("Len: 3\r\n\r\nab"), FW_E_MISMATCH, 13, 0},
        {"missing 0 start 0 lf 0 strip 0 0", M("Len: 00\r\n\r\nab"), FW_E_MISMATCH, 11, 0},
        {"missing 0 start 0 lf 0 strip 0 0", M("Len: 1\r\n\r\nab"), FW_E_MISMATCH, 11, 0},
        {"missing 0 start 0 lf 0 strip 0 0", M("Len: 18446744073709551615\r\n\r\nab"),
         FW_E_MISMATCH, FW_FAR, 0},
        {"missing 0 start 0 lf 0 strip 0 0", M("Len: 2\r\nab"), FW_E_MISMATCH, UINT64_MAX, 0},
        {"missing 0 start 0 lf 0 strip 0 0", M("A: 2\r\n\r\nab"), FW_E_LENGTHS, 0, 0},
        {"missing 0 start 0 lf 0 strip 0 0", M("Len: x\r\n\r\n"), FW_E_NUMBER, 0, 0},
        {"missing 0 start 0 lf 0 strip 0 1", M("Len: 13\r\n\r\n1234567890123"), FW_E_TOO_LARGE, 0, 13},
        {"missing 0 start 0 lf 0 strip 0 1", M("Len: 0\r\n\r\n1234567890123"), FW_E_TOO_LARGE, 0, 13},
        {"missing 0 start 0 lf 0 strip 0 0",
         M("A: 3456789012345678901234567890123456\r\nLen:0\r\n\r\n0123456789"),
         FW_E_HEADER, 0, MAX_HEADER},
        {"missing 0 start 1 lf 0 strip 0 0", M("\r\nLen: 0\r\n\r\n"), FW_E_LINE, 0, 0},
        {"missing 0 start 1 lf 1 strip 0 0", M("\nA\nLen: 0\n\n"), FW_E_LINE, 0, 0},
        {"missing 1 start 0 lf 0 strip 0 0", M("A: b\r\n\r\nx"), FW_E_MISMATCH, 8, 0},
        {"missing 2 start 0 lf 0 strip 0 0", M("A: b\r\n\r\nx"), FW_E_UNTERMINATED, 0, 0},
        {"missing 2 start 0 lf 0 strip 0 0", M("A: b\r\n\r\nx\0y\0"), FW_E_DELIMITER, 0, 1},
        {"missing 2 start 0 lf 0 strip 0 1", M("A: b\r\n\r\n1234567890123\0"), FW_E_TOO_LARGE, 0, 13},
        {"missing 2 start 0 lf 0 strip 0 0", M("Len: 0\r\n\r\n"), FW_E_MISMATCH, 11, 0},
        {"missing 2 start 0 lf 0 strip 0 0", M("Len: 18446744073709551615\r\n\r\n"),
         FW_E_MISMATCH, FW_FAR, 0},
        {"missing 2 start 0 lf 0 strip 0 0", M("Len: 1\r\n\r\nab"), FW_E_TRAILER, 0, 0},
        {"missing 2 start 0 lf 0 strip 0 0", M("Len: 0\r\n\r\nab"), FW_E_TRAILER, 0, 0},
        {"http 0 strip 0 0", M("\n#1\na\n##\n\n"), FW_E_MISMATCH, 9, 0},
        {"http 0 strip 0 0", M("\n#1\na\n##"), FW_E_MISMATCH, UINT64_MAX, 0},
        {"http 0 strip 0 1", M("\n#13\n1234567890123\n##\n"), FW_E_TOO_LARGE, 0, 22},
        {"http 1 strip 0 0", M("1\r\nab\n0\r\n\r\n"), FW_E_LINE_END, 0, 0},
    };
    size_t i, made;
    fw_wire w;
    fw_plan huge = *plan_named("http 0 strip 1 0");
    for (i = 0; i < COUNT(cases); i++) {
        const int status = encode(plan_named(cases[i].plan), cases[i].message, cases[i].size, &w, &made);
        if (!CHECK_EQUAL((unsigned)status, (unsigned)cases[i].status))
            explain(cases[i].plan, BYTES(cases[i].message), cases[i].size, i);
        if (status == FW_E_MISMATCH)
            CHECK_EQUAL(w.announced, cases[i].announced);
        if (cases[i].value)
            CHECK_EQUAL(w.value, cases[i].value);
    }
    CHECK_EQUAL(encode(plan_named("missing 2 start 1 lf 1 strip 0 0"), M("A\nLEN: 0\n\nbody of 14 by\0"),
                       &w, &made), FW_FRAME);
    CHECK(made == 25 && memcmp(wire, "A\nLEN: 13\n\nbody of 14 by", 25) == 0);
    /* Four gigabytes are never read to be refused. */
    huge.max_frame = UINT64_MAX >> 1;
    CHECK_EQUAL(fw_encode(&huge, guard_copy("", 0), (size_t)UINT32_MAX + 1, &w), FW_E_UNSAYABLE);
    CHECK_EQUAL(fw_encode(&huge, guard_copy("", 0), UINT32_MAX, &w), FW_FRAME);
    CHECK(w.made_size == 13 && memcmp(w.made, "\n#4294967295\n", 13) == 0);
}

int main(void)
{
    make_plans();
    test_streams();
    test_noise();
    test_round();
    test_whole();
    test_refused();
    return check_report(__FILE__);
}
