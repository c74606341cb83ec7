/* Framings whose headers are text: header blocks (LSP, SIP, STOMP) and chunks (RFC 6242, RFC 9112).
 *
 * Both are read in steps: a frame that came in a thousand pieces is looked at once. What is known of it stays
 * in the cursor while `scanned` is not 0, in members that otherwise only go out:
 *   header blocks   delta: where the line begins that is not all there, later the size of the header;
 *                   value, scale, stop: the length, its number of digits (0: not seen yet), where they begin;
 *                   end: 0 in the header, then where the frame ends, or FW_FAR where only a NUL will say it
 *   chunks          delta: where the chunk's size, or the line, begins;  value: body bytes before it;
 *                   end: 0 in a size, 1 in the trailer section, else where the chunk's bytes end
 * A line is judged when its line feed is there, digits of a chunk's size as they come, and what a header
 * means at its empty line: so each fault is proven by one definite byte. All that is not body is bounded by
 * max_header, and with it the number of chunks. */
#include "fw_text.h"
#include "fw_bytes.h"

enum { NO_LENGTH_ERROR, NO_LENGTH_EMPTY, NO_LENGTH_NUL };
enum { IN_SIZE, IN_TRAILER };

static const uint8_t NUL[1] = {0};

void fw_prepare_text(fw_plan *plan)
{
    if (plan->kind == FW_CHUNKED) {
        plan->joins = plan->strip;
        plan->capacity = plan->http ? UINT64_MAX : UINT32_MAX;
    } else if (plan->missing == NO_LENGTH_NUL) {
        plan->delimiter_count = 1;
        plan->delimiters[0].bytes = NUL;
        plan->delimiters[0].size = 1;
    }
}

static int fault(fw_cursor *c, int status, uint64_t value, size_t proof)
{
    c->value = value;
    c->scale = 0;
    c->delta = 0;
    c->end = 0;
    c->proof = proof;
    c->scanned = 0;
    return status;
}

static int is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

static uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte; }

/* Whether p[from..to) is "NAME:" and anything but NUL and CR; *value is then where that begins. */
static int is_field(const uint8_t *p, size_t from, size_t to, size_t *value)
{
    size_t at = from;
    while (at < to && p[at] > ' ' && p[at] != ':' && p[at] != 0x7f)
        at++;
    if (at == from || at == to || p[at] != ':')
        return 0;
    *value = at + 1;
    return 1;
}

/* The length that the field at p[from..to) says, against the one that is known. */
static int read_length(fw_cursor *c, const uint8_t *p, size_t from, size_t to)
{
    const size_t proof = to + 1 + (p[to] == '\r');
    uint64_t value = 0;
    size_t at;
    while (from < to && is_blank(p[from]))
        from++;
    while (from < to && is_blank(p[to - 1]))
        to--;
    for (at = from; at < to && p[at] >= '0' && p[at] <= '9'; at++) {
        const uint64_t digit = (uint64_t)(p[at] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return fault(c, FW_E_OVERFLOW, 0, proof);
        value = value * 10 + digit;
    }
    if (at < to || from == to)
        return fault(c, FW_E_NUMBER, 0, proof);
    if (c->scale && c->value != value)
        return fault(c, FW_E_LENGTHS, 2, proof);
    c->value = value;
    c->scale = to - from;
    c->stop = from;
    return FW_FRAME;
}

static int is_named(const fw_plan *plan, const uint8_t *name, size_t size)
{
    size_t i;
    if (size != plan->name_size)
        return 0;
    for (i = 0; i < size && lower(name[i]) == lower(plan->name[i]); i++)
        ;
    return i == size;
}

/* The line p[begin..feed), behind which a line feed stands: FW_FRAME, FW_MORE if it is empty, or a fault. */
static int read_line(const fw_plan *plan, const uint8_t *p, size_t begin, size_t feed, fw_cursor *c)
{
    size_t end = feed, value = 0;
    if (end > begin && p[end - 1] == '\r')
        end--;
    else if (!plan->bare_lf)
        return fault(c, FW_E_LINE_END, 0, feed + 1);
    if (end == begin && !(plan->start_line && begin == 0))
        return FW_MORE;
    if (end == begin || memchr(p + begin, 0, end - begin) || memchr(p + begin, '\r', end - begin))
        return fault(c, FW_E_LINE, 0, feed + 1);
    if (plan->start_line && begin == 0)
        return FW_FRAME;
    if (!is_field(p, begin, end, &value))
        return fault(c, FW_E_LINE, 0, feed + 1);
    if (plan->name_size && is_named(plan, p + begin, value - 1 - begin))
        return read_length(c, p, value, end);
    return FW_FRAME;
}

/* The lines up to the empty one, as far as they are there: FW_FRAME with the header's size in delta, FW_MORE
 * or a fault. `body` is how many of the bytes before are none of the header's. */
static int read_lines(const fw_plan *plan, const uint8_t *p, size_t have, uint64_t body, fw_cursor *c)
{
    const uint64_t room = plan->max_header + body;
    const size_t bound = have < room ? have : (size_t)room;
    while (c->scanned < bound) {
        const uint8_t *hit = (const uint8_t *)memchr(p + c->scanned, '\n', bound - c->scanned);
        int status;
        if (hit == NULL) {
            c->scanned = bound;
            break;
        }
        status = read_line(plan, p, (size_t)c->delta, (size_t)(hit - p), c);
        if (status < 0)
            return status;
        c->scanned = (size_t)(hit - p) + 1;
        c->delta = (int64_t)c->scanned;
        if (status == FW_MORE)
            return FW_FRAME;
    }
    return have >= room ? fault(c, FW_E_HEADER, plan->max_header, (size_t)room) : FW_MORE;
}

/* The fewest bytes that could end a header of which p[0..have) is there, and its body. */
static uint64_t header_need(const fw_plan *plan, const uint8_t *p, size_t have, const fw_cursor *c)
{
    const uint64_t line_end = plan->bare_lf ? 1 : 2;
    const size_t begin = (size_t)c->delta;
    const int half = have > begin && p[have - 1] == '\r';
    uint64_t need = line_end;
    if (half && have - begin == 1)
        need = 1;
    else if (have > begin)
        need += half ? 1 : line_end;
    if (c->scale && c->value <= plan->max_frame)
        need += c->value;
    need += plan->missing == NO_LENGTH_NUL;
    return have < plan->min_size && plan->min_size - have > need ? plan->min_size - have : need;
}

/* Empty lines in front of a start line; whether only half of one is left. */
static int skip_fill(const fw_plan *plan, const uint8_t *data, size_t size, size_t *pos)
{
    while (*pos < size) {
        if (plan->bare_lf && data[*pos] == '\n') {
            ++*pos;
        } else {
            if (data[*pos] != '\r')
                return 0;
            if (size - *pos == 1)
                return 1;
            if (data[*pos + 1] != '\n')
                return 0;
            *pos += 2;
        }
    }
    return 0;
}

/* What the whole header says about the body. */
static int measure(const fw_plan *plan, fw_cursor *c)
{
    const uint64_t header = (uint64_t)c->delta, behind = plan->missing == NO_LENGTH_NUL;
    const uint64_t value = c->value;
    if (!c->scale && plan->missing == NO_LENGTH_ERROR)
        return fault(c, FW_E_LENGTHS, 0, (size_t)header);
    if (c->scale && value > plan->max_frame) {
        fault(c, FW_E_TOO_LARGE, value, (size_t)header);
        c->scale = 1;
        c->end = value > FW_FAR - header - 1 ? FW_FAR : header + value + behind;
        return FW_E_TOO_LARGE;
    }
    c->end = !c->scale && behind ? FW_FAR : header + value + behind;
    return FW_FRAME;
}

int fw_cut_headers(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const int by_nul = plan->missing == NO_LENGTH_NUL;
    const uint8_t *p;
    size_t have, header;
    int status = FW_FRAME;
    if (c->scanned == 0) {
        c->value = c->scale = c->end = 0;
        c->delta = 0;
        if (plan->start_line && skip_fill(plan, data, size, &c->pos)) {
            c->need = 1 + plan->min_size;
            return FW_MORE;
        }
    }
    p = data + c->pos;
    have = size - c->pos;
    if (c->end == 0) {
        status = read_lines(plan, p, have, 0, c);
        if (status == FW_MORE)
            c->need = header_need(plan, p, have, c);
        if (status == FW_FRAME)
            status = measure(plan, c);
        if (status != FW_FRAME)
            return status;
    }
    header = (size_t)c->delta;
    out->start = c->pos + (plan->strip ? header : 0);
    if (by_nul && c->scale == 0) {
        const uint64_t reach = header + plan->max_frame + 1;
        const size_t bound = have < reach ? have : (size_t)reach;
        const uint8_t *hit = (const uint8_t *)memchr(p + c->scanned, 0, bound - c->scanned);
        if (hit == NULL) {
            if (have >= reach)
                return fault(c, FW_E_TOO_LARGE, 0, (size_t)reach);
            c->scanned = bound;
            c->need = 1;
            return FW_MORE;
        }
        c->end = (uint64_t)(hit - p) + 1;
    }
    if (c->end > have) {
        c->need = c->end - have;
        c->direct = !by_nul;
        c->start = plan->strip ? header : 0;
        c->stop = c->end;
        return FW_MORE;
    }
    if (by_nul && p[c->end - 1] != 0)
        return fault(c, FW_E_TRAILER, 0, (size_t)c->end);
    out->stop = c->pos + (size_t)c->end - (plan->strip && by_nul);
    c->pos += (size_t)c->end;
    c->scanned = 0;
    return FW_FRAME;
}

static size_t put_number(uint64_t value, unsigned base, uint8_t *out)
{
    uint8_t reversed[20];
    size_t count = 0, i;
    do {
        reversed[count++] = (uint8_t)"0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

static int refuse(fw_wire *w, int status, uint64_t value, size_t proof)
{
    w->value = value;
    w->proof = proof;
    return status;
}

static int mismatch(fw_wire *w, uint64_t announced)
{
    w->announced = announced;
    return FW_E_MISMATCH;
}

/* A body whose length the header does not say, in message[header..size). */
static int check_unsaid(const fw_plan *plan, const uint8_t *message, size_t header, size_t size, fw_wire *w)
{
    const uint8_t *hit;
    if (plan->missing == NO_LENGTH_EMPTY)
        return size == header ? FW_FRAME : mismatch(w, header);
    hit = (const uint8_t *)memchr(message + header, 0, size - header);
    if (hit == NULL)
        return FW_E_UNTERMINATED;
    w->at = (size_t)(hit - message);
    if (w->at + 1 < size)
        return refuse(w, FW_E_DELIMITER, 1, 0);
    return w->at - header > plan->max_frame ? refuse(w, FW_E_TOO_LARGE, w->at - header, 0) : FW_FRAME;
}

/* A whole frame: its length must be right, or a lone 0, which is written over. */
static int encode_block(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    const size_t behind = plan->missing == NO_LENGTH_NUL;
    size_t header, body;
    int status = read_lines(plan, message, size, 0, &c);
    if (status < 0)
        return refuse(w, status, c.value, c.proof);
    if (status == FW_MORE)
        return mismatch(w, UINT64_MAX);
    header = (size_t)c.delta;
    if (!c.scale && plan->missing == NO_LENGTH_ERROR)
        return refuse(w, FW_E_LENGTHS, 0, header);
    w->keep = w->resume = size;
    if (!c.scale)
        return check_unsaid(plan, message, header, size, w);
    if (size - header < behind)
        return mismatch(w, c.value > FW_FAR ? FW_FAR : header + c.value + behind);
    body = size - header - behind;
    if (c.value != body) {
        if (c.value != 0 || c.scale != 1)
            return mismatch(w, c.value > FW_FAR ? FW_FAR : header + c.value + behind);
        w->keep = (size_t)c.stop;
        w->resume = w->keep + 1;
        w->made_size = put_number(body, 10, w->made);
    }
    if (body > plan->max_frame)
        return refuse(w, FW_E_TOO_LARGE, body, 0);
    if (w->made_size && header + w->made_size - 1 > plan->max_header)
        return refuse(w, FW_E_HEADER, plan->max_header, header);
    return behind && message[size - 1] != 0 ? refuse(w, FW_E_TRAILER, 0, size) : FW_FRAME;
}

int fw_encode_headers(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    size_t at = plan->name_size;
    if (!plan->strip)
        return encode_block(plan, message, size, w);
    if (size > plan->max_frame)
        return refuse(w, FW_E_TOO_LARGE, size, 0);
    memcpy(w->made, plan->name, at);
    memcpy(w->made + at, ": ", 2);
    at += 2;
    at += put_number(size, 10, w->made + at);
    memcpy(w->made + at, "\r\n\r\n", 4);
    w->made_size = at + 4;
    w->tail = NUL;
    w->tail_size = plan->missing == NO_LENGTH_NUL;
    return FW_FRAME;
}

/* --- chunks ----------------------------------------------------------------------------------------- */

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = lower(byte);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The digits at p[*at..size), *at moves behind them: FW_FRAME if a byte that ends them is there, FW_MORE or
 * a fault. */
static int read_size(const fw_plan *plan, const uint8_t *p, size_t size, size_t *at, uint64_t *value,
                     fw_cursor *c)
{
    const size_t first = *at, most = plan->http ? 16 : 10;
    *value = 0;
    for (; *at < size; ++*at) {
        const int digit = hex_digit(p[*at]);
        if (digit < 0 || digit >= (plan->http ? 16 : 10))
            break;
        if (*at - first == most)
            return fault(c, FW_E_LONG, most, *at + 1);
        if (digit == 0 && *at == first && !plan->http)
            return fault(c, FW_E_ZERO, 0, *at + 1);
        *value = *value * (plan->http ? 16 : 10) + (uint64_t)digit;
    }
    if (*at == size)
        return FW_MORE;
    if (*at == first || !(plan->http ? p[*at] == '\r' || p[*at] == ';' || is_blank(p[*at]) : p[*at] == '\n'))
        return fault(c, FW_E_DIGIT, 0, *at + 1);
    return *value > plan->capacity ? fault(c, FW_E_NUMBER, 0, *at + 1) : FW_FRAME;
}

/* Too large, with the bytes up to p[at] as the proof. No length of the whole is known. */
static int check_sum(const fw_plan *plan, uint64_t value, size_t at, fw_cursor *c)
{
    return value > plan->max_frame - c->value ? fault(c, FW_E_TOO_LARGE, 0, at + 1) : FW_FRAME;
}

/* The size of a NETCONF chunk at delta, or the end of the chunks: FW_FRAME, FW_MORE or a fault. */
static int read_netconf(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c)
{
    const size_t begin = (size_t)c->delta;
    const int first = c->value == 0;
    size_t at = begin;
    uint64_t value;
    int status;
    for (; at < have && at < begin + 2; at++)
        if (p[at] != (uint8_t)"\n#"[at - begin])
            return fault(c, FW_E_MAGIC, 0, at + 1);
    c->need = (first ? 9 : 4) - (uint64_t)(at - begin);
    if (at == have)
        return FW_MORE;
    if (p[at] == '#' && !first) {
        c->need = 1;
        if (at + 1 == have)
            return FW_MORE;
        if (p[at + 1] != '\n')
            return fault(c, FW_E_MAGIC, 0, at + 2);
        c->end = at + 2;
        return FW_FRAME;
    }
    status = read_size(plan, p, have, &at, &value, c);
    if (status == FW_FRAME)
        status = check_sum(plan, value, at, c);
    if (status == FW_MORE)
        c->need = 1 + (value <= plan->max_frame ? value : 0) + 4;
    if (status != FW_FRAME)
        return status;
    c->scanned = at + 1;
    c->value += value;
    c->end = c->scanned + value;
    return FW_FRAME;
}

/* The same for HTTP: a whole line, extensions included. */
static int read_http(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c)
{
    const size_t begin = (size_t)c->delta;
    const uint64_t room = plan->max_header + c->value;
    const size_t bound = have < room ? have : (size_t)room;
    const uint8_t *hit = NULL;
    size_t at = begin, feed;
    uint64_t value = 0;
    int status = FW_MORE;
    if (begin < bound)
        status = read_size(plan, p, bound, &at, &value, c);
    if (status == FW_FRAME)
        status = check_sum(plan, value, at, c);
    if (status < 0)
        return status;
    if (status == FW_FRAME)
        hit = (const uint8_t *)memchr(p + c->scanned, '\n', bound - c->scanned);
    if (hit == NULL) {
        if (have >= room)
            return fault(c, FW_E_HEADER, plan->max_header, begin > room ? begin : (size_t)room);
        c->scanned = have;
        c->need = 5;
        if (have > begin) {
            c->need = p[have - 1] == '\r' ? 1 : 2;
            c->need += value == 0 ? 2 : value > plan->max_frame ? 0 : value + 7;
        }
        return FW_MORE;
    }
    feed = (size_t)(hit - p);
    if (p[feed - 1] != '\r')
        return fault(c, FW_E_LINE_END, 0, feed + 1);
    if (memchr(p + at, 0, feed - at) || memchr(p + at, '\r', feed - 1 - at))
        return fault(c, FW_E_LINE, 0, feed + 1);
    c->scanned = feed + 1;
    c->value += value;
    c->end = value ? c->scanned + value : IN_TRAILER;
    if (value == 0)
        c->delta = (int64_t)c->scanned;
    return FW_FRAME;
}

/* What stands behind a chunk's bytes. */
static int read_behind(const fw_plan *plan, const uint8_t *p, size_t have, fw_cursor *c)
{
    const uint64_t behind = plan->http ? 2 : 0;
    uint64_t at = c->end;
    for (; at < have && at < c->end + behind; at++)
        if (p[at] != (uint8_t)"\r\n"[at - c->end])
            return fault(c, FW_E_LINE_END, 0, (size_t)at + 1);
    if (have < c->end + behind) {
        c->need = c->end + behind - have + (plan->http ? 5 : 4);
        return FW_MORE;
    }
    c->scanned = (size_t)(c->end + behind);
    c->delta = (int64_t)c->scanned;
    c->end = IN_SIZE;
    return FW_FRAME;
}

int fw_cut_chunked(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const uint8_t *p = data + c->pos;
    const size_t have = size - c->pos;
    size_t whole = 0;
    if (c->scanned == 0) {
        c->value = c->scale = c->end = 0;
        c->delta = 0;
    }
    while (whole == 0) {
        int status;
        if (c->end == IN_SIZE && plan->http) {
            status = read_http(plan, p, have, c);
        } else if (c->end == IN_SIZE) {
            const uint64_t before = c->value;
            status = (uint64_t)c->delta - before > plan->max_header
                         ? fault(c, FW_E_HEADER, plan->max_header, (size_t)c->delta)
                         : read_netconf(plan, p, have, c);
            if (status == FW_FRAME && c->value == before)
                whole = (size_t)c->end;
        } else if (c->end == IN_TRAILER) {
            status = read_lines(plan, p, have, c->value, c);
            if (status == FW_MORE)
                c->need = header_need(plan, p, have, c);
            if (status == FW_FRAME)
                whole = c->scanned;
        } else {
            status = read_behind(plan, p, have, c);
        }
        if (status != FW_FRAME)
            return status;
    }
    out->start = c->pos;
    out->stop = c->pos + whole;
    c->pos += whole;
    c->scanned = 0;
    return FW_FRAME;
}

size_t fw_join_chunked(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    fw_cursor c = {0};
    size_t made = 0;
    for (;;) {
        if (plan->http)
            read_http(plan, data, size, &c);
        else
            read_netconf(plan, data, size, &c);
        if (c.value == made)
            return made;
        memcpy(out + made, data + c.scanned, (size_t)c.value - made);
        made = (size_t)c.value;
        read_behind(plan, data, size, &c);
    }
}

int fw_encode_chunked(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    const char *before = plan->http ? "" : "\n#", *tail = plan->http ? "\r\n0\r\n\r\n" : "\n##\n";
    size_t at = strlen(before);
    fw_frame frame;
    int status;
    w->value = size;
    if (!plan->strip) {
        w->keep = w->resume = size;
        status = fw_cut_chunked(plan, message, size, &c, &frame);
        if (status == FW_FRAME && c.pos == size)
            return FW_FRAME;
        if (status == FW_FRAME || status == FW_MORE)
            return mismatch(w, status == FW_FRAME ? c.pos : UINT64_MAX);
        return status == FW_E_TOO_LARGE ? refuse(w, status, size, 0) : refuse(w, status, c.value, c.proof);
    }
    if (size > plan->max_frame)
        return FW_E_TOO_LARGE;
    if (plan->http ? 0 : size == 0 || size > plan->capacity)
        return FW_E_UNSAYABLE;
    memcpy(w->made, before, at);
    if (size) {
        at += put_number(size, plan->http ? 16 : 10, w->made + at);
        memcpy(w->made + at, "\r\n", 2);
        at += 2;
        if (!plan->http) {
            w->made[at - 2] = '\n';
            at--;
        }
    } else {
        tail += 2;
    }
    w->made_size = at;
    w->tail = (const uint8_t *)tail;
    w->tail_size = strlen(tail);
    return FW_FRAME;
}
