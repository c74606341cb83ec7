/* Text that ends with a line of one dot, as SMTP, POP3 and NNTP send it (RFC 5321, section 4.5.2).
 *
 * A body is lines that end with CRLF, or nothing; the CRLF in front of the last dot is its own. A dot is put
 * before every line that begins with one and taken off every line that has one, whatever follows it. Only
 * CRLF ends a line: whoever takes a bare LF for one can be made to see other messages than we do. Limits are
 * about the body without the added dots; a line that needs one has three bytes at least, so that a third
 * more is all that they can add. */
#include "fw_dotted.h"
#include "fw_bytes.h"

static const uint8_t last_line[3] = {'.', '\r', '\n'};

/* The next place from `from` on where a line begins with a dot; size if there is none. */
static size_t find_dot(const uint8_t *p, size_t from, size_t size)
{
    if (from == 0 && size > 0 && p[0] == '.')
        return 0;
    while (from < size) {
        const uint8_t *hit = (const uint8_t *)memchr(p + from, '.', size - from);
        if (hit == NULL)
            break;
        from = (size_t)(hit - p);
        if (from >= 2 && p[from - 1] == '\n' && p[from - 2] == '\r')
            return from;
        from++;
    }
    return size;
}

static int too_large(fw_cursor *c, size_t proof)
{
    c->value = 0;
    c->scale = 0;
    c->delta = 0;
    c->end = 0;
    c->proof = proof;
    return FW_E_TOO_LARGE;
}

int fw_cut_dotted(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const uint64_t reach = plan->max_frame + plan->max_frame / 3 + sizeof last_line;
    const uint8_t *p = data + c->pos;
    const size_t have = size - c->pos, bound = have > reach ? (size_t)reach : have;
    const size_t first = have < sizeof last_line ? have : sizeof last_line;
    size_t end = 0, found = 0, body, dots = 0, at;
    if (memcmp(p, last_line, first) == 0) {
        /* An empty body, or as much of one as is there. */
        if (first < sizeof last_line) {
            c->need = sizeof last_line - first;
            return FW_MORE;
        }
        end = first;
    } else {
        end = fw_find(plan, p, 0, c->scanned, bound, &found);
    }
    c->scanned = 0;
    if (end == 0) {
        if (have >= reach)
            return too_large(c, (size_t)reach);
        c->scanned = bound;
        c->need = fw_find_need(plan, p, have);
        return FW_MORE;
    }
    body = end - sizeof last_line;
    if (body > plan->max_frame) {
        for (at = find_dot(p, 0, body); at < body; at = find_dot(p, at + 1, body))
            dots++;
        if (body - dots > plan->max_frame)
            return too_large(c, end);
    }
    out->start = c->pos;
    c->pos += end;
    out->stop = plan->strip ? out->start + body : c->pos;
    return FW_FRAME;
}

size_t fw_join_dotted(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    size_t at = 0, made = 0, dot = find_dot(data, 0, size);
    (void)plan;
    while (at < size) {
        memcpy(out + made, data + at, dot - at);
        made += dot - at;
        at = dot + 1;
        dot = at < size ? find_dot(data, at, size) : size;
    }
    return made;
}

int fw_encode_dotted(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    fw_frame frame;
    int status;
    w->keep = w->resume = size;
    w->value = size;
    if (plan->strip) {
        if (size > plan->max_frame)
            return FW_E_TOO_LARGE;
        return size && (size < 2 || memcmp(message + size - 2, "\r\n", 2) != 0) ? FW_E_LAST_LINE : FW_FRAME;
    }
    status = fw_cut_dotted(plan, message, size, &c, &frame);
    if (status == FW_FRAME && c.pos != size) {
        w->at = c.pos - sizeof last_line;
        w->value = sizeof last_line;
        return FW_E_DELIMITER;
    }
    return status == FW_MORE ? FW_E_UNTERMINATED : status;
}

size_t fw_expanded_most_dotted(const fw_plan *plan, size_t size)
{
    (void)plan;
    return size + size / 3 + 1 + sizeof last_line;
}

size_t fw_expand_dotted(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
{
    size_t at = 0, made = 0, dot = find_dot(message, 0, size);
    (void)plan;
    while (at < size) {
        memcpy(out + made, message + at, dot - at);
        made += dot - at;
        at = dot;
        if (dot < size) {
            out[made++] = '.';
            dot = find_dot(message, at + 1, size);
            out[made++] = message[at++];
        }
    }
    memcpy(out + made, last_line, sizeof last_line);
    return made + sizeof last_line;
}
