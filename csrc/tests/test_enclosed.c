/* Enclosed and dot-stuffed frames: against models that see a whole stream at once and keep no state, however
 * the stream is cut, and never a byte read or written too far. */
#include "plans.h"
#include "../fw_dotted.h"
#include "../fw_enclosed.h"

#define MOST_EVENTS 600
#define M(text) BYTES(text), sizeof(text) - 1

typedef struct event {
    int status;                     /* FW_FRAME or a fault */
    size_t begin, start, stop, end; /* its first byte, what is delivered, where the stream goes on */
    size_t proof, due;              /* of a fault; how many bytes of the stream decide all this */
} event;

static event events[MOST_EVENTS];
static const fw_cursor fresh_cursor = {0};

static const sample enclosed[] = {
    {"mllp", {.opening = DELIMITER("\x0b"), .delimiters = {DELIMITER("\x1c\r")}, .noise_limit = 6}},
    {"mllp, no noise", {.opening = DELIMITER("\x0b"), .delimiters = {DELIMITER("\x1c\r")}}},
    {"stx", {.opening = DELIMITER("\2"), .delimiters = {DELIMITER("\3")}, .stuffs = 1, .escape_byte = 0x10,
             .noise_limit = 2}},
    {"gdb", {.opening = DELIMITER("$"), .delimiters = {DELIMITER("#")}, .stuffs = 1, .escape_byte = '}',
             .escape_flip = 0x20, .trailer_size = 2, .noise_limit = 9}},
    {"dle", {.opening = DELIMITER("\x10\2"), .delimiters = {DELIMITER("\x10\3")}, .stuffs = 1,
             .escape_byte = 0x10, .noise_limit = 3}},
    {"dle, anew", {.opening = DELIMITER("\x10\2a"), .delimiters = {DELIMITER("\x10\3")}, .stuffs = 1,
                   .escape_byte = 0x10, .noise_limit = 1, .restarts = 1, .trailer_size = 1}},
    {"json", {.opening = DELIMITER("\x1e"), .delimiters = {DELIMITER("\n")}, .restarts = 1,
              .noise_limit = 5}},
    {"long", {.opening = DELIMITER("aab"), .delimiters = {DELIMITER("abab")}, .restarts = 1,
              .noise_limit = 4}},
    {"same", {.opening = DELIMITER("~~"), .delimiters = {DELIMITER("~~")}, .noise_limit = ROOMY}},
};
static fw_plan plans[COUNT(enclosed)][2][2];  /* by flavour, strip, tight limit */
static fw_plan dotted[2][2];

static void make_plans(void)
{
    size_t i, strip, tight;
    for (strip = 0; strip < 2; strip++)
        for (tight = 0; tight < 2; tight++) {
            fw_plan plan = {.kind = FW_DOTTED, .delimiter_count = 1, .delimiters = {DELIMITER("\r\n.\r\n")},
                            .min_size = 3};
            for (i = 0; i <= COUNT(enclosed); i++) {
                if (i < COUNT(enclosed)) {
                    plan = enclosed[i].plan;
                    plan.kind = FW_ENCLOSED;
                    plan.delimiter_count = 1;
                    plan.min_size = plan.opening.size + plan.delimiters[0].size + plan.trailer_size;
                } else {
                    memset(&plan, 0, sizeof plan);
                    plan.kind = FW_DOTTED;
                    plan.delimiter_count = 1;
                    plan.delimiters[0].bytes = BYTES("\r\n.\r\n");
                    plan.delimiters[0].size = 5;
                    plan.min_size = 3;
                }
                plan.strip = (uint8_t)(strip && !plan.trailer_size);
                plan.max_frame = tight ? 4 : ROOMY;
                plan.patient = (uint8_t)tight;
                fw_prepare(&plan);
                *(i < COUNT(enclosed) ? &plans[i][strip][tight] : &dotted[strip][tight]) = plan;
            }
        }
}

/* As stands() in fw_enclosed.c, a byte at a time. */
static int mark_at(const fw_delimiter *mark, const uint8_t *data, size_t at, size_t size)
{
    size_t i;
    for (i = 0; i < mark->size; i++) {
        if (at + i >= size)
            return -1;
        if (data[at + i] != mark->bytes[i])
            return 0;
    }
    return 1;
}

static void add(size_t *count, int status, size_t begin, size_t end, size_t proof)
{
    const event e = {status, begin, begin, end, end, proof, begin + proof};
    events[(*count)++] = e;
}

/* What a whole stream gives, up to the fault that ends it. */
static size_t expect(const fw_plan *plan, const uint8_t *data, size_t size)
{
    const fw_delimiter *open = &plan->opening, *end = &plan->delimiters[0];
    const size_t reach = (size_t)plan->max_frame * (plan->stuffs ? 2 : 1);
    size_t count = 0, at = 0, proof;
    while (count < MOST_EVENTS) {
        size_t noise_seen = 0, i, body = 0, first;
        int is_end = 0, is_open = 0, pair;
        proof = 0;
        while (noise_seen <= plan->noise_limit && mark_at(open, data, at + noise_seen, size) == 0) {
            for (i = 0; data[at + noise_seen + i] == open->bytes[i]; i++)
                ;
            if (noise_seen + i + 1 > proof)
                proof = noise_seen + i + 1;
            noise_seen++;
        }
        if (noise_seen > plan->noise_limit) {
            add(&count, FW_E_NOISE, at + noise_seen - 1, 0, proof - noise_seen + 1);
            return count;
        }
        at += noise_seen;
        if (mark_at(open, data, at, size) < 0)
            return count;
        first = i = at + open->size;
        for (;;) {
            pair = plan->stuffs && i < size && data[i] == plan->escape_byte;
            is_end = mark_at(end, data, i, size);
            is_open = plan->restarts ? mark_at(open, data, i, size) : 0;
            if (is_end || is_open || i + (pair ? 2 : 1) > size)
                break;
            body++;
            i += pair ? 2 : 1;
        }
        if (i - first > reach || (is_end == 1 && body > plan->max_frame)) {
            /* The proof is not compared: it only has to be there when the next mark is. */
            proof = (is_end == 1 ? i + end->size : is_open == 1 ? i + open->size : size) - at;
            add(&count, FW_E_TOO_LARGE, at, 0, proof);
            return count;
        }
        if (is_end != 1 && is_open != 1)
            return count;
        if (is_end == 1) {
            const size_t stop = i + end->size + plan->trailer_size;
            if (stop > size)
                return count;
            add(&count, FW_FRAME, at, stop, stop - at);
            if (plan->strip) {
                events[count - 1].start = first;
                events[count - 1].stop = i;
            }
            at = stop;
        } else {
            if (i > first)
                add(&count, FW_E_RESTART, at, i, i + open->size - at);
            at = i;
        }
    }
    return count;
}

static size_t expect_dotted(const fw_plan *plan, const uint8_t *data, size_t size)
{
    size_t count = 0, at = 0, i, line = 0, body = 0;
    for (i = 0; i < size && count < MOST_EVENTS; i++) {
        if (data[i] != '\n' || i == line || data[i - 1] != '\r')
            continue;
        if (data[line] != '.' || i + 1 - line != 3) {
            body += i + 1 - line - (data[line] == '.');
            line = i + 1;
            continue;
        }
        if (body > plan->max_frame) {
            add(&count, FW_E_TOO_LARGE, at, 0, i + 1 - at);
            return count;
        }
        add(&count, FW_FRAME, at, i + 1, i + 1 - at);
        events[count - 1].stop -= plan->strip ? 3 : 0;
        at = line = i + 1;
        body = 0;
    }
    return count;
}

/* Cuts data[0..size) from where the cursor stands and compares with events[*seen..): 0 if it is wrong, 2 at a
 * fault that ends the stream. */
static int goes_on(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, size_t *seen,
                   size_t count, size_t cap)
{
    fw_frame out[8];
    size_t i, n;
    int status = FW_FRAME;
    while (status != FW_MORE) {
        n = fw_cut(plan, data, size, c, out, cap, &status);
        for (i = 0; i < n; i++, ++*seen)
            if (*seen == count || events[*seen].status != FW_FRAME || out[i].start != events[*seen].start
                || out[i].stop != events[*seen].stop)
                return 0;
        if (status == FW_E_TOO_LARGE && plan->kind == FW_DOTTED && *seen == count)
            return c->scale == 0 && c->recover == 0 && c->end == 0 ? 2 : 0;  /* before its end came */
        if (status < 0) {
            const event *e = &events[*seen];
            if (*seen == count || status != e->status || c->pos != e->begin || c->leaf != plan || c->scale)
                return 0;
            if (status != FW_E_RESTART)
                return *seen + 1 == count && c->recover == 0
                    && (status == FW_E_TOO_LARGE
                            ? c->end == 0 : c->proof == e->proof && c->value == plan->noise_limit) ? 2 : 0;
            if (c->proof != e->proof || c->pos + c->recover != e->end)
                return 0;
            c->pos = e->end;
            c->scanned = 0;
            ++*seen;
        }
    }
    if (c->need < 1 || c->direct || c->leaf != plan)
        return 0;
    return *seen == count || (events[*seen].due > size
                              && (events[*seen].status < 0 || c->need <= events[*seen].due - size));
}

static void check_stream(const char *name, const fw_plan *plan, const uint8_t *stream, size_t size)
{
    const size_t count = plan->kind == FW_DOTTED ? expect_dotted(plan, stream, size)
                                                 : expect(plan, stream, size);
    fw_cursor grown = fresh_cursor;
    size_t n, grown_seen = 0;
    int ended = 0;
    for (n = 0; n <= size; n++) {
        const uint8_t *data = guard_copy(stream, n);
        fw_cursor fresh = fresh_cursor;
        size_t seen = 0;
        const int once = goes_on(plan, data, n, &fresh, &seen, count, 1 + n % 8);
        EXPECT(once, name, stream, size, n);
        if (ended)
            continue;
        ended = goes_on(plan, data, n, &grown, &grown_seen, count, 8);
        EXPECT(ended == once && grown_seen == seen && grown.pos == fresh.pos, name, stream, size, n);
        EXPECT(ended == 2 || grown.need == fresh.need, name, stream, size, n);
        ended = ended != 1;
    }
}

/* fw_pass finds the same end of an oversized frame from pieces of every size as from the whole. */
static void check_pass(const char *name, const fw_plan *plan, const uint8_t *stream, size_t size)
{
    size_t piece, whole = 0;
    for (piece = size; piece > 0; piece = piece > 9 ? 9 : piece - 1) {
        fw_cursor c = fresh_cursor;
        size_t gone = 0, have = 0;
        int done = 0;
        while (!done && have < size) {
            /* The first piece is what the fault was found in: the start mark at least. */
            have = have ? have + piece : piece > 20 ? piece : 20;
            have = have < size ? have : size;
            gone += fw_pass(plan, guard_copy(stream + gone, have - gone), have - gone, &c, &done);
            EXPECT(gone <= have, name, stream, size, piece);
            if (!done) {
                const uint64_t need = fw_find_need(plan, guard_copy(stream + gone, have - gone), have - gone);
                EXPECT(need + plan->min_size >= 1 && need + plan->min_size <= 2 * plan->min_size + 3,
                       name, stream, size, piece);
            }
        }
        if (piece == size)
            whole = done ? gone : 0;
        EXPECT(whole == (done ? gone : 0), name, stream, size, piece);
    }
}

static void check_all_plans(size_t flavour, const uint8_t *stream, size_t size)
{
    size_t i;
    for (i = 0; i < 4; i++) {
        if (flavour < COUNT(enclosed))
            check_stream(enclosed[flavour].name, &plans[flavour][i / 2][i % 2], stream, size);
        else
            check_stream("dotted", &dotted[i / 2][i % 2], stream, size);
    }
}

/* Messages that are sent, with every single byte spoilt in turn. */
static void test_valid_and_spoilt(void)
{
    static const uint8_t evil[] = {
        0x0b, 0x1c, '\r', '\n', '.', 2, 3, 0x10, '$', '#', '}', 0x1e, 'a', 'b', '~',
    };
    static const char *const bodies[] = {"", "x", "abc", "\3\2", "z$", "long long"};
    uint8_t stream[512];
    size_t flavour, i, e, size;
    for (flavour = 0; flavour <= COUNT(enclosed); flavour++) {
        const fw_plan *plan = flavour < COUNT(enclosed) ? &plans[flavour][1][0] : &dotted[1][0];
        size = 0;
        for (i = 0; i < COUNT(bodies); i++) {
            if (plan->joins) {
                char body[40];
                const size_t head = plan->opening.size;
                const size_t tail = plan->kind == FW_DOTTED ? 3 : plan->delimiters[0].size;
                size_t made, most, length = (size_t)snprintf(body, sizeof body, "%s", bodies[i]);
                uint8_t *out, *back;
                const uint8_t *message;
                if (plan->kind == FW_DOTTED && i)
                    length = (size_t)snprintf(body, sizeof body, ".%s\r\n%s.\r\n.\r\n", bodies[i], bodies[i]);
                message = guard_copy(body, length);
                most = fw_expanded_most(plan, length);
                out = guard_copy_start(NULL, GUARD_CAPACITY) + GUARD_CAPACITY - most;
                made = fw_expand(plan, message, length, out);
                CHECK(made <= most);
                memcpy(stream + size, out, made);
                out = guard_copy(stream + size + head, made - head - tail);
                back = guard_copy_start(NULL, GUARD_CAPACITY) + GUARD_CAPACITY - (made - head - tail);
                CHECK_EQUAL(fw_join(plan, out, made - head - tail, back), length);
                CHECK(memcmp(back, body, length) == 0);
                size += made;
            } else {
                memcpy(stream + size, plan->opening.bytes, plan->opening.size);
                size += plan->opening.size;
                memcpy(stream + size, bodies[i], strlen(bodies[i]));
                size += strlen(bodies[i]);
                memcpy(stream + size, plan->delimiters[0].bytes, plan->delimiters[0].size);
                size += plan->delimiters[0].size;
                memcpy(stream + size, "12", plan->trailer_size);
                size += plan->trailer_size;
            }
        }
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

/* Bytes of the kinds that matter to a flavour, at random. */
static void test_noise(void)
{
    static const char *const telling[] = {
        "\x0b\x1c\r\x0b", "\x0b\x1c\rx", "\2\3\x10\x10", "$#}\x03", "\x10\2\3x", "\x10\2\3aa", "\x1e\nx\x1e",
        "aabbx", "~~~x", "\r\n..x\n",
    };
    uint8_t stream[160];
    unsigned long round;
    for (round = 0; round < 20000; round++) {
        const size_t flavour = round % COUNT(telling), limit = round & 16 ? sizeof stream : 24;
        const size_t kinds = strlen(telling[flavour]), size = noise() % limit;
        size_t i;
        for (i = 0; i < size; i++)
            stream[i] = noise() & 15 ? (uint8_t)telling[flavour][noise() % kinds] : (uint8_t)noise();
        if (flavour < COUNT(enclosed)) {
            const fw_plan *plan = &plans[flavour][round >> 5 & 1][round >> 6 & 1];
            check_stream(enclosed[flavour].name, plan, stream, size);
            memcpy(stream, plan->opening.bytes, plan->opening.size);
            check_pass(enclosed[flavour].name, plan, stream, size > 20 ? size : 20);
        } else {
            check_stream("dotted", &dotted[round >> 5 & 1][round >> 6 & 1], stream, size);
            check_pass("dotted", &dotted[0][1], stream, size);
        }
    }
}

/* Which messages fw_encode takes, and what it says of those that it does not. */
static void test_encode(void)
{
    enum { MLLP, NO_NOISE, STX, GDB, DLE, ANEW, JSON, LONG, SAME, DOTTED };
    static const struct {
        size_t flavour, strip, tight;
        const uint8_t *message;
        size_t size;
        int status;
        uint64_t value;
        size_t at, proof;
    } cases[] = {
        {MLLP, 1, 1, M("ab"), FW_FRAME, 2, 0, 0},
        {MLLP, 1, 1, M(""), FW_FRAME, 0, 0, 0},
        {MLLP, 1, 1, M("abcde"), FW_E_TOO_LARGE, 5, 0, 0},
        {MLLP, 1, 1, M("a\x1c\r"), FW_E_DELIMITER, 2, 1, 0},
        {MLLP, 1, 1, M("a\x1c"), FW_FRAME, 2, 0, 0},
        {STX, 1, 1, M("\2\3\x10"), FW_FRAME, 3, 0, 0},
        {JSON, 1, 1, M("a\x1e"), FW_E_DELIMITER, 1, 1, 0},
        {LONG, 1, 1, M("ab"), FW_E_DELIMITER, 4, 0, 0},
        {LONG, 1, 1, M("xa"), FW_E_DELIMITER, 3, 1, 0},
        {LONG, 1, 1, M("x"), FW_FRAME, 1, 0, 0},
        {MLLP, 0, 1, M("\x0b""ab\x1c\r"), FW_FRAME, 0, 0, 0},
        {MLLP, 0, 1, M("ab"), FW_E_NOISE, 0, 0, 1},
        {LONG, 0, 1, M("aax"), FW_E_NOISE, 0, 0, 3},
        {LONG, 0, 1, M("aa"), FW_E_UNTERMINATED, 0, 0, 0},
        {MLLP, 0, 1, M("\x0b""ab\x1c"), FW_E_UNTERMINATED, 0, 0, 0},
        {MLLP, 0, 1, M("\x0b""ab\x1c\r!"), FW_E_DELIMITER, 2, 3, 0},
        {MLLP, 0, 1, M("\x0b""abcde\x1c\r"), FW_E_TOO_LARGE, 8, 0, 6},
        {JSON, 0, 1, M("\x1e\x1e""a\n"), FW_E_DELIMITER, 1, 1, 0},
        {JSON, 0, 1, M("\x1e""a\x1e\n"), FW_E_RESTART, 0, 0, 3},
        {GDB, 0, 1, M("$a#00"), FW_FRAME, 0, 0, 0},
        {GDB, 0, 1, M("$a#000"), FW_E_DELIMITER, 1, 2, 0},
        {DOTTED, 1, 1, M(""), FW_FRAME, 0, 0, 0},
        {DOTTED, 1, 1, M("a\r\n"), FW_FRAME, 3, 0, 0},
        {DOTTED, 1, 1, M("a\n"), FW_E_LAST_LINE, 2, 0, 0},
        {DOTTED, 1, 1, M("a"), FW_E_LAST_LINE, 1, 0, 0},
        {DOTTED, 1, 1, M("abc\r\n"), FW_E_TOO_LARGE, 5, 0, 0},
        {DOTTED, 0, 1, M("..\r\n.\r\n"), FW_FRAME, 7, 0, 0},
        {DOTTED, 0, 1, M("a\r\n"), FW_E_UNTERMINATED, 3, 0, 0},
        {DOTTED, 0, 1, M(".\r\n!"), FW_E_DELIMITER, 3, 0, 0},
        {DOTTED, 0, 1, M("abc\r\n.\r\n"), FW_E_TOO_LARGE, 8, 0, 0},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        const size_t f = cases[i].flavour;
        const fw_plan *plan = f == DOTTED ? &dotted[cases[i].strip][cases[i].tight]
                                          : &plans[f][cases[i].strip][cases[i].tight];
        const uint8_t *message = guard_copy(cases[i].message, cases[i].size);
        fw_wire w = {.value = 99};
        int status = fw_encode(plan, message, cases[i].size, &w);
        EXPECT(status == cases[i].status, "encode", message, cases[i].size, i);
        if (status < 0 && status != FW_E_UNTERMINATED)
            EXPECT(w.value == cases[i].value && w.at == cases[i].at && w.proof == cases[i].proof,
                   "encode", message, cases[i].size, i);
        if (status == FW_FRAME && plan->strip && !plan->joins)
            CHECK(w.made_size == plan->opening.size && w.tail_size == plan->delimiters[0].size
                  && w.keep == 0 && w.resume == 0);
        else if (status == FW_FRAME)
            CHECK(w.made_size == 0 && w.tail_size == 0 && w.keep == cases[i].size);
    }
}

/* The end of a stream that only its end ends is discarded as it comes. */
static void test_pass_until_eof(void)
{
    const fw_plan plan = {.kind = FW_UNTIL_EOF, .max_frame = 4};
    fw_cursor c = fresh_cursor;
    int done = 1;
    CHECK_EQUAL(fw_pass(&plan, BYTES("abcdef"), 6, &c, &done), 6);
    CHECK(!done);
}

/* The limit is about the body without the dots that were added. */
static void test_dotted_limit(void)
{
    static const struct {
        const uint8_t *stream;
        size_t size;
        int status;
    } cases[] = {
        {M("..a\r\n.\r\n"), FW_FRAME},
        {M("..ab\r\n.\r\n"), FW_E_TOO_LARGE},
        {M("abc\r\n.\r\n"), FW_E_TOO_LARGE},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        check_all_plans(COUNT(enclosed), cases[i].stream, cases[i].size);
        CHECK_EQUAL(expect_dotted(&dotted[1][1], cases[i].stream, cases[i].size), 1);
        CHECK_EQUAL(events[0].status, cases[i].status);
    }
}

int main(void)
{
    make_plans();
    test_encode();
    test_pass_until_eof();
    test_dotted_limit();
    test_valid_and_spoilt();
    test_noise();
    return check_report(__FILE__);
}
