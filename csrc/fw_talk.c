/* Protocols that talk in lines: lines that count a body (NATS, memcached), RESP (Redis) and FIX.
 *
 * Their frames are delivered whole, so encoding asks the decoder whether a message is one frame, and fills in
 * what was left open. Nothing here recurses: an RESP reply is walked with a counter for each open aggregate,
 * and the walk goes on where it stopped, so that a reply of a million elements costs linear time however it
 * arrives. What a reply must still have (three bytes an element) is part of its size from the moment it is
 * announced: a count that cannot fit is refused at once, and no sum can overflow.
 * LF ends a line only behind CR: a lone LF is where two parsers would see different messages. */
#include "fw_talk.h"
#include "fw_bytes.h"

enum { MOST_DIGITS = 18, LEAST_ELEMENT = 3, SOH = 1 };
enum { FIX_BEGIN = 16, FIX_DIGITS = 10, FIX_TRAILER = 7 };

static int fault(fw_cursor *c, int status, uint64_t value, size_t proof)
{
    c->value = value;
    c->scale = 0;
    c->delta = 0;
    c->proof = proof;
    return status;
}

/* A size that was announced. */
static int too_large(fw_cursor *c, uint64_t value, uint64_t end, size_t proof)
{
    fault(c, FW_E_TOO_LARGE, value, proof);
    c->scale = 1;
    c->end = end;
    return FW_E_TOO_LARGE;
}

static int more(fw_cursor *c, uint64_t need)
{
    c->need = need;
    return FW_MORE;
}

static int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

/* CRLF at p[at..at + 2), as far as it is there: 0, or how many bytes prove that it is something else. */
static size_t bad_end(const uint8_t *p, uint64_t at, size_t have)
{
    if (at < have && p[at] != '\r')
        return (size_t)at + 1;
    return at + 1 < have && p[at + 1] != '\n' ? (size_t)at + 2 : 0;
}

/* --- lines that count a body --------------------------------------------------------------------------- */

typedef struct fw_line {
    size_t size;        /* with its CRLF */
    uint64_t body;      /* what is announced; UINT64_MAX without a count */
    size_t count;       /* where the count stands */
} fw_line;

static int is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

/* The word of that index in p[0..size), negative from the end; 0 if there is none. */
static int find_word(const uint8_t *p, size_t size, int32_t index, size_t *start, size_t *stop)
{
    size_t at = 0;
    for (; index >= 0; index--) {
        while (at < size && is_blank(p[at]))
            at++;
        if (at == size)
            return 0;
        *start = at;
        while (at < size && !is_blank(p[at]))
            at++;
        *stop = at;
        if (index == 0)
            return 1;
    }
    for (at = size; index < 0; index++) {
        while (at > 0 && is_blank(p[at - 1]))
            at--;
        if (at == 0)
            return 0;
        *stop = at;
        while (at > 0 && !is_blank(p[at - 1]))
            at--;
        *start = at;
    }
    return 1;
}

static uint8_t folded(const fw_plan *plan, uint8_t byte)
{
    return plan->any_case && byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static const fw_verb *find_verb(const fw_plan *plan, const uint8_t *p, size_t size)
{
    uint32_t i;
    for (i = 0; i < plan->verb_count; i++) {
        const fw_verb *verb = &plan->verbs[i];
        size_t j = 0;
        if (verb->size != size)
            continue;
        while (j < size && folded(plan, p[j]) == folded(plan, verb->bytes[j]))
            j++;
        if (j == size)
            return verb;
    }
    return NULL;
}

/* The line at p[0..have): FW_FRAME with *line, FW_MORE or a fault. */
static int read_line(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c, fw_line *line)
{
    const uint64_t reach = (uint64_t)plan->max_line + 2;
    const size_t bound = have < reach ? have : (size_t)reach;
    const uint8_t *hit = (const uint8_t *)memchr(p + c->scanned, '\n', bound - c->scanned);
    const fw_verb *verb;
    size_t start, stop, size;
    if (hit == NULL) {
        if (have >= reach)
            return fault(c, FW_E_LONG_LINE, plan->max_line, (size_t)reach);
        c->scanned = have;
        c->walked = 0;
        return more(c, p[have - 1] == '\r' ? 1 : 2);
    }
    line->size = (size_t)(hit - p) + 1;
    line->body = UINT64_MAX;
    if (hit == p || hit[-1] != '\r')
        return fault(c, FW_E_LF, 0, line->size);
    size = line->size - 2;
    if (!find_word(p, size, 0, &start, &stop))
        return FW_FRAME;
    verb = find_verb(plan, p + start, stop - start);
    if (verb == NULL)
        return FW_FRAME;
    if (!find_word(p, size, verb->index, &start, &stop) || stop - start > MOST_DIGITS
        || (p[start] == '0' && stop - start > 1))
        return fault(c, FW_E_COUNT, 0, line->size);
    line->count = start;
    line->body = 0;
    for (; start < stop; start++) {
        if (!is_digit(p[start]))
            return fault(c, FW_E_COUNT, 0, line->size);
        line->body = 10 * line->body + (uint64_t)(p[start] - '0');
    }
    return FW_FRAME;
}

static int cut_line(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c, uint64_t *end)
{
    fw_line line;
    size_t bad;
    int status;
    if (c->scanned && c->walked) {
        *end = c->walked;
    } else {
        status = read_line(plan, p, have, c, &line);
        if (status != FW_FRAME)
            return status;
        *end = line.size;
        if (line.body == UINT64_MAX)
            return FW_FRAME;
        *end = line.size + line.body + 2;
        if (line.body > plan->max_frame)
            return too_large(c, line.body, *end, line.size);
    }
    bad = bad_end(p, *end - 2, have);
    if (bad)
        return fault(c, FW_E_TRAILER, 0, bad);
    if (*end <= have)
        return FW_FRAME;
    c->scanned = have;
    c->walked = *end;
    return more(c, *end - have);
}

/* --- RESP ---------------------------------------------------------------------------------------------- */

/* A count and CRLF at p[*at..size): FW_FRAME, *at behind it; FW_MORE with c->need; or a fault that p[*at]
 * proves. With `nil`, -1 may stand there too, which is UINT64_MAX. */
static int read_count(const uint8_t *p, size_t size, size_t *at, int nil, fw_cursor *c, uint64_t *value)
{
    const size_t first = *at;
    *value = 0;
    if (nil && first < size && p[first] == '-') {
        if (first + 1 == size)
            return more(c, 3);
        *at += p[first + 1] == '1' ? 2 : 1;
        if (*at == first + 1)
            return FW_E_DIGIT;
        *value = UINT64_MAX;
    } else {
        for (; *at < size && is_digit(p[*at]); ++*at) {
            if (*at > first && *value == 0)
                return FW_E_ZERO;
            if (*at - first == MOST_DIGITS)
                return FW_E_LONG;
            *value = 10 * *value + (uint64_t)(p[*at] - '0');
        }
        if (*at == first)
            return first < size ? FW_E_DIGIT : more(c, 3);
    }
    if (*at == size)
        return more(c, 2);
    if (p[*at] != '\r')
        return FW_E_DIGIT;
    if (++*at == size)
        return more(c, 1);
    if (p[*at] != '\n')
        return FW_E_DIGIT;
    ++*at;
    return FW_FRAME;
}

enum { IS_NO_TYPE, IS_LINE, IS_BULK, IS_AGGREGATE };

static int class_of(uint8_t type)
{
    switch (type) {
    case '+': case '-': case ':': case '_': case '#': case ',': case '(':
        return IS_LINE;
    case '$': case '=': case '!':
        return IS_BULK;
    case '*': case '%': case '~': case '>': case '|':
        return IS_AGGREGATE;
    default:
        return IS_NO_TYPE;
    }
}

/* Everything up to the end of one reply at p[0..have). c->walked is where the first element that is not whole
 * begins, c->left how many elements each open aggregate still wants. */
static int cut_resp(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c, uint64_t *end)
{
    uint64_t pending = 0;
    size_t at;
    uint32_t i;
    if (c->scanned == 0) {
        c->walked = 0;
        c->depth = 0;
        c->left[0] = 1;
    }
    at = (size_t)c->walked;
    for (i = 0; i <= c->depth; i++)
        pending += c->left[i];
    while (pending) {
        /* Where this element's first line must have ended: behind it come the others. */
        const uint64_t room = plan->max_frame - LEAST_ELEMENT * (pending - 1);
        const size_t bound = have < room ? have : (size_t)room;
        uint64_t next = 0, value = 0;
        size_t here = at + 1;
        int status = at < bound ? FW_FRAME : more(c, LEAST_ELEMENT), kind = IS_LINE;
        if (status == FW_FRAME) {
            kind = class_of(p[at]);
            if (kind == IS_NO_TYPE && !(plan->is_inline && at == 0))
                return fault(c, FW_E_TAG, p[at], here);
            if (kind == IS_NO_TYPE)
                here = at;
        }
        if (status == FW_FRAME && kind <= IS_LINE) {
            const size_t from = c->scanned > here ? c->scanned : here;
            const uint8_t *hit = (const uint8_t *)memchr(p + from, '\n', bound - from);
            if (hit) {
                next = (uint64_t)(hit - p) + 1;
                if (hit == p + at || hit[-1] != '\r')
                    return fault(c, FW_E_LF, 0, (size_t)next);
            } else {
                status = more(c, bound > here && p[bound - 1] == '\r' ? 1 : 2);
            }
        } else if (status == FW_FRAME) {
            status = read_count(p, bound, &here, p[at] == '$' || p[at] == '*', c, &value);
            if (status < 0)
                return fault(c, status, MOST_DIGITS, here + 1);
            next = here;
        }
        if (status == FW_MORE) {
            if (have >= room)
                return fault(c, FW_E_TOO_LARGE, 0, (size_t)room);
            c->need += LEAST_ELEMENT * (pending - 1);
            c->scanned = have;
            c->walked = at;
            return FW_MORE;
        }
        if (kind == IS_AGGREGATE) {
            const uint8_t type = p[at];
            const uint64_t count = value == UINT64_MAX ? 0 : type == '%' || type == '|' ? 2 * value : value;
            const uint64_t least = next + LEAST_ELEMENT * (pending - (type != '|') + count);
            if (least > plan->max_frame)
                return too_large(c, least, least, here);
            /* An attribute stands before the element that it is about, and is none itself. */
            c->left[c->depth] -= type != '|';
            pending += count - (type != '|');
            if (count) {
                if (c->depth == plan->max_depth)
                    return fault(c, FW_E_DEPTH, plan->max_depth, here);
                c->left[++c->depth] = count;
            }
        } else {
            if (kind == IS_BULK && value != UINT64_MAX) {
                const uint64_t least = next + value + 2 + LEAST_ELEMENT * (pending - 1);
                size_t bad;
                if (least > plan->max_frame)
                    return too_large(c, least, least, here);
                next += value + 2;
                bad = bad_end(p, next - 2, have);
                if (bad)
                    return fault(c, FW_E_TRAILER, 0, bad);
                if (next > have) {
                    c->scanned = have;
                    c->walked = at;
                    return more(c, next - have + LEAST_ELEMENT * (pending - 1));
                }
            }
            c->left[c->depth]--;
            pending--;
        }
        while (c->depth && c->left[c->depth] == 0)
            c->depth--;
        at = (size_t)next;
    }
    *end = at;
    return FW_FRAME;
}

/* --- FIX ----------------------------------------------------------------------------------------------- */

typedef struct fw_fix {
    size_t size;        /* of BeginString and BodyLength */
    size_t digits;      /* how many BodyLength has */
    uint64_t body;
} fw_fix;

/* BeginString and BodyLength at p[0..have): FW_FRAME with *head, FW_MORE or a fault. */
static int read_fix(const uint8_t *p, size_t have, fw_cursor *c, fw_fix *head)
{
    static const uint8_t begin[] = "8=FIX", length[] = "\0019=";
    size_t at = 0, i;
    for (; at < 5; at++) {
        if (at == have)
            return more(c, 5 - at + 5 + FIX_TRAILER);
        if (p[at] != begin[at])
            return fault(c, FW_E_MAGIC, 0, at + 1);
    }
    while (at < have && at < 2 + FIX_BEGIN && p[at] > ' ' && p[at] < 0x7f && p[at] != '=')
        at++;
    for (i = 0; i < 3; i++, at++) {
        if (at == have)
            return more(c, 5 - i + FIX_TRAILER);
        if (p[at] != length[i])
            return fault(c, FW_E_MAGIC, 0, at + 1);
    }
    head->body = 0;
    for (i = at; at < have && is_digit(p[at]); at++) {
        if (at - i == FIX_DIGITS)
            return fault(c, FW_E_LONG, FIX_DIGITS, at + 1);
        head->body = 10 * head->body + (uint64_t)(p[at] - '0');
    }
    head->digits = at - i;
    if (at == have)
        return more(c, (head->digits ? 1u : 2u) + FIX_TRAILER);
    if (head->digits == 0 || p[at] != SOH)
        return fault(c, FW_E_DIGIT, 0, at + 1);
    head->size = at + 1;
    return FW_FRAME;
}

/* "10=", the sum of p[0..size) as three digits, SOH. */
static void put_checksum(uint8_t sum, uint8_t *out)
{
    out[0] = '1';
    out[1] = '0';
    out[2] = '=';
    out[3] = (uint8_t)('0' + sum / 100);
    out[4] = (uint8_t)('0' + sum / 10 % 10);
    out[5] = (uint8_t)('0' + sum % 10);
    out[6] = SOH;
}

static uint8_t sum_of(const uint8_t *p, size_t size)
{
    uint8_t sum = 0;
    size_t i;
    for (i = 0; i < size; i++)
        sum = (uint8_t)(sum + p[i]);
    return sum;
}

static int cut_fix(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c, uint64_t *end)
{
    /* What stands behind the body, and the SOH that ends its last field; 0 is any digit. */
    static const uint8_t tail[FIX_TRAILER + 1] = {SOH, '1', '0', '=', 0, 0, 0, SOH};
    uint8_t check[FIX_TRAILER];
    fw_fix head;
    uint64_t at;
    size_t i;
    int status = read_fix(p, have, c, &head);
    if (status != FW_FRAME)
        return status;
    at = head.size + head.body - 1;
    *end = at + 1 + FIX_TRAILER;
    if (head.body > plan->max_frame)
        return too_large(c, head.body, *end, head.size);
    for (i = 0; i < sizeof tail && at + i < have; i++) {
        const uint8_t byte = p[at + i];
        if (tail[i] ? byte != tail[i] : !is_digit(byte))
            return fault(c, FW_E_TRAILER, 0, (size_t)at + i + 1);
    }
    if (*end > have)
        return more(c, *end - have);
    put_checksum(sum_of(p, (size_t)at + 1), check);
    if (memcmp(check, p + at + 1, FIX_TRAILER) == 0)
        return FW_FRAME;
    c->recover = (size_t)*end;
    return fault(c, FW_E_CHECK, 0, (size_t)*end);
}

/* --- all of them --------------------------------------------------------------------------------------- */

int fw_cut_talk(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const size_t have = size - c->pos;
    uint64_t end = 0;
    int status;
    if (have == 0)
        return more(c, plan->min_size);
    if (plan->kind == FW_RESP)
        status = cut_resp(plan, data + c->pos, have, c, &end);
    else if (plan->kind == FW_FIX)
        status = cut_fix(plan, data + c->pos, have, c, &end);
    else
        status = cut_line(plan, data + c->pos, have, c, &end);
    if (status != FW_FRAME)
        return status;
    out->start = c->pos;
    c->pos += (size_t)end;
    out->stop = c->pos;
    c->scanned = 0;
    return FW_FRAME;
}

static size_t put_decimal(uint64_t value, uint8_t *out)
{
    size_t width = 1, i;
    uint64_t rest;
    for (rest = value / 10; rest; rest /= 10)
        width++;
    for (i = width; i-- > 0; value /= 10)
        out[i] = (uint8_t)('0' + value % 10);
    return width;
}

static int wire_fault(fw_wire *w, int status, uint64_t value, size_t proof)
{
    w->value = value;
    w->proof = proof;
    return status;
}

/* A count of 0 with a body behind it was left for us: FW_FRAME if it has been filled in, FW_MORE if there is
 * none. */
static int fill_line(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    fw_line line;
    size_t body, bad;
    if (read_line(plan, message, size, &c, &line) != FW_FRAME || line.body != 0 || size <= line.size + 2)
        return FW_MORE;
    body = size - line.size - 2;
    bad = bad_end(message, size - 2, size);
    if (bad)
        return wire_fault(w, FW_E_TRAILER, 0, bad);
    if (body > plan->max_frame)
        return wire_fault(w, FW_E_TOO_LARGE, body, 0);
    w->keep = line.count;
    w->resume = line.count + 1;
    w->made_size = put_decimal(body, w->made);
    if (line.size - 3 + w->made_size > plan->max_line)
        return wire_fault(w, FW_E_LONG_LINE, plan->max_line, line.size);
    return FW_FRAME;
}

/* The same for a BodyLength of 0 without a CheckSum behind it. */
static int fill_fix(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    uint8_t *const tail = w->made + 2 * FIX_DIGITS;
    fw_cursor c = {0};
    fw_fix head;
    size_t body, i;
    uint8_t sum;
    if (read_fix(message, size, &c, &head) != FW_FRAME || head.body != 0 || head.digits != 1
        || memcmp(message + size - 1, "\001", 1) != 0)
        return FW_MORE;
    body = size - head.size;
    if (body >= FIX_TRAILER && memcmp(message + size - FIX_TRAILER, "10=", 3) == 0)
        return FW_MORE;
    if (body > plan->max_frame)
        return wire_fault(w, FW_E_TOO_LARGE, body, 0);
    w->keep = head.size - 2;
    w->resume = head.size - 1;
    w->made_size = put_decimal(body, w->made);
    sum = (uint8_t)(sum_of(message, size) - '0');
    for (i = 0; i < w->made_size; i++)
        sum = (uint8_t)(sum + w->made[i]);
    put_checksum(sum, tail);
    w->tail = tail;
    w->tail_size = FIX_TRAILER;
    return FW_FRAME;
}

int fw_encode_talk(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    fw_frame frame;
    int status = FW_MORE;
    if (size && plan->kind != FW_RESP)
        status = plan->kind == FW_FIX ? fill_fix(plan, message, size, w) : fill_line(plan, message, size, w);
    if (status != FW_MORE)
        return status;
    w->keep = w->resume = size;
    status = fw_cut_talk(plan, message, size, &c, &frame);
    if (status == FW_E_CHECK && c.recover == size) {
        put_checksum(sum_of(message, size - FIX_TRAILER), w->made);
        w->keep = size - FIX_TRAILER;
        w->made_size = FIX_TRAILER;
        return FW_FRAME;
    }
    if (status == FW_FRAME && c.pos == size)
        return FW_FRAME;
    w->announced = status == FW_MORE ? size + c.need : status == FW_FRAME ? c.pos : c.recover;
    if (status == FW_MORE || status == FW_FRAME || status == FW_E_CHECK)
        return FW_E_MISMATCH;
    return wire_fault(w, status, status == FW_E_TOO_LARGE && c.scale == 0 ? size : c.value, c.proof);
}
