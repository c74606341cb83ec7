/* The plans, messages and streams that the framing tests share.
 *
 * A plan is written as its framing would be declared; make_samples() completes it as the caller of
 * fw_prepare would (narrowest widths, the smallest frame) and adds its variants: stripped or whole,
 * a roomy limit or a tight one, giving up early or reading on. */
#ifndef PLANS_H
#define PLANS_H

#include "../fw_field.h"

#include "check.h"
#include "guard.h"

#define ROOMY ((uint64_t)1 << 20)
#define TIGHT 40
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BYTES(text) (const uint8_t *)(text)
#define FULL(w) (UINT64_MAX >> (64 - 8 * (w)))
#define BE(w) {.kind = FW_UINT, .width = w, .mask = FULL(w)}
#define LE(w) {.kind = FW_UINT, .width = w, .mask = FULL(w), .little = 1}
#define SIGNED(w) {.kind = FW_UINT, .width = w, .mask = FULL(w), .is_signed = 1}
#define VARINT(k, most, exact) {.kind = k, .width = most, .canonical = exact}
#define MARKED(most, text) {.kind = FW_DIGITS_END, .width = most, .end_size = sizeof(text) - 1, .end = text}
#define DELIMITER(text) {BYTES(text), sizeof(text) - 1}

typedef struct sample {
    char name[48];
    fw_plan plan;
} sample;

static sample samples[512];
static size_t sample_count;

static const fw_magic magic_tpkt[] = {{0, 1, 1, BYTES("\3")}};
static const fw_magic magic_cache[] = {{0, 1, 2, BYTES("\x80\x81")}, {6, 2, 2, BYTES("abac")}};
static const fw_magic magic_ldap[] = {{0, 1, 1, BYTES("\x30")}};
static const fw_magic magic_behind[] = {{4, 3, 1, BYTES("end")}};

static fw_plan tagged_inner[] = {
    {.kind = FW_FIXED, .size = 3, .max_frame = 3},
    {.kind = FW_COUNTED, .offset = 2, .field = BE(2), .max_frame = TIGHT},
    {.kind = FW_SCANNED, .delimiter_count = 1, .delimiters = {DELIMITER("\r\n")}, .max_frame = TIGHT},
};
static int16_t inner_rows[256], outer_rows[256];
static const fw_plan *const inner_parts[] = {&tagged_inner[0], &tagged_inner[1]};
static fw_plan tagged_middle = {
    .kind = FW_TAGGED, .tag_offset = 1, .tag_mask = 0x0f, .min_size = 3, .rows = inner_rows,
    .parts = inner_parts,
};
static const fw_plan *const outer_parts[] = {&tagged_middle, &tagged_inner[2]};

static const sample bases[] = {
    {"kerberos", {.field = {.kind = FW_UINT, .width = 4, .mask = 0x7fffffff}}},
    {"cassandra", {.field = {.kind = FW_UINT, .width = 3, .little = 1, .mask = 0x01ffff}, .after = 3,
                   .trailer_any = 1, .trailer_size = 4}},
    {"shifted", {.field = {.kind = FW_UINT, .width = 2, .mask = 0x0ff0, .shift = 4}, .offset = 1}},
    {"scale", {.field = BE(2), .scale = 4}},
    {"rest", {.field = LE(2), .counts = FW_REST, .offset = 1, .after = 3}},
    {"postgresql", {.field = BE(4), .counts = FW_FIELD, .offset = 1}},
    {"tpkt", {.field = BE(2), .counts = FW_WHOLE, .offset = 2, .magic = magic_tpkt, .magic_count = 1}},
    {"wide whole", {.field = BE(8), .counts = FW_WHOLE, .offset = 2, .after = 5}},
    {"adjust up", {.field = BE(2), .adjust = 5}},
    {"adjust down", {.field = BE(2), .adjust = -3}},
    {"beyond the limit", {.field = BE(1), .adjust = 100}},
    {"beyond, text", {.field = MARKED(10, " "), .adjust = 100}},
    {"scaled field", {.field = MARKED(10, ":"), .counts = FW_FIELD, .scale = 2}},
    {"http/3", {.lead = VARINT(FW_QUIC, 8, 0), .field = VARINT(FW_QUIC, 8, 0)}},
    {"lead text", {.lead = MARKED(5, " "), .field = BE(2), .after = 1, .counts = FW_WHOLE}},
    {"lead varint", {.lead = VARINT(FW_LEB128, 10, 1), .field = {.kind = FW_DIGITS, .width = 3}}},
    {"x11", {.field = BE(2), .offset = 2, .counts = FW_WHOLE, .scale = 4, .has_escape = 1, .escape = BE(4)}},
    {"multiprocessing", {.field = SIGNED(4), .has_escape = 1, .escape_value = UINT64_MAX, .escape = BE(8)}},
    {"escape signed", {.field = BE(1), .has_escape = 1, .escape_value = 0xff, .escape = SIGNED(4)}},
    {"fastcgi", {.field = BE(2), .offset = 4, .after = 2, .magic = magic_ldap, .magic_count = 1,
                 .extra_count = 2,
                 .extra = {{.offset = 6, .width = 1, .mask = 0xff},
                           {.offset = 2, .width = 2, .little = 1, .mask = 0x0ff0, .shift = 4}}}},
    {"memcached", {.field = BE(4), .offset = 8, .after = 12, .magic = magic_cache, .magic_count = 2}},
    {"magic behind", {.field = {.kind = FW_DIGITS, .width = 4}, .after = 3, .magic = magic_behind,
                      .magic_count = 1}},
    {"amqp", {.field = BE(4), .offset = 3, .trailer = BYTES("\xce"), .trailer_size = 1}},
    {"long trailer", {.field = BE(2), .trailer = BYTES("\r\n;"), .trailer_size = 3}},
    {"digits", {.field = {.kind = FW_DIGITS, .width = 5}}},
    {"digits whole", {.field = {.kind = FW_DIGITS, .width = 19}, .counts = FW_WHOLE}},
    {"netstring", {.field = MARKED(10, ":"), .trailer = BYTES(","), .trailer_size = 1}},
    {"syslog", {.field = MARKED(19, " ")}},
    {"marked", {.field = MARKED(3, "\r\n"), .counts = FW_FIELD, .after = 2}},
    {"hexdigits", {.field = {.kind = FW_HEXDIGITS, .width = 4}, .counts = FW_WHOLE}},
    {"git", {.field = {.kind = FW_HEXDIGITS, .width = 4}, .counts = FW_WHOLE, .control_count = 4,
             .control = {0, 1, 2, 3}}},
    {"control", {.field = BE(1), .after = 1, .trailer = BYTES(";"), .trailer_size = 1, .control_count = 2,
                 .control = {3, 200}}},
    {"control varint", {.field = VARINT(FW_LEB128, 10, 0), .adjust = 2, .control_count = 1, .control = {0}}},
    {"control text", {.field = MARKED(10, " "), .control_count = 1, .control = {999}}},
    {"hexdigits 64", {.field = {.kind = FW_HEXDIGITS, .width = 16}, .scale = 3}},
    {"varint", {.field = VARINT(FW_LEB128, 10, 0)}},
    {"mqtt", {.field = VARINT(FW_LEB128, 4, 0), .offset = 1}},
    {"exact varint", {.field = VARINT(FW_LEB128, 10, 1), .counts = FW_FIELD, .adjust = 10}},
    {"varint32", {.field = {.kind = FW_LEB128, .width = 5, .mask = UINT32_MAX}}},
    {"zigzag", {.field = {.kind = FW_ZIGZAG, .width = 10, .mask = UINT64_MAX, .is_signed = 1}}},
    {"zigzag32", {.field = {.kind = FW_ZIGZAG, .width = 5, .mask = UINT32_MAX, .is_signed = 1}, .adjust = 3}},
    {"sleb128", {.field = {.kind = FW_SLEB128, .width = 10, .is_signed = 1}, .offset = 1}},
    {"derlength", {.field = VARINT(FW_BER, 5, 1), .offset = 1}},
    {"vlq", {.field = VARINT(FW_VLQ, 10, 0)}},
    {"exact vlq", {.field = VARINT(FW_VLQ, 3, 1), .after = 1}},
    {"quic", {.field = VARINT(FW_QUIC, 8, 0), .counts = FW_REST, .after = 2}},
    {"ldap", {.field = VARINT(FW_BER, 5, 0), .offset = 1, .magic = magic_ldap, .magic_count = 1}},
    {"websocket", {.offset = 1, .field = {.kind = FW_TIERED, .width = 1, .mask = 0x7f, .canonical = 1,
                   .direct = 125, .follow_bit = 0x80, .follow_size = 4, .tier_count = 2,
                   .tiers = {{126, 0, 2, 0, 0}, {127, 0, 8, 0, 1}}}}},
    {"coap", {.after = 1, .extra_count = 1, .extra = {{.offset = 0, .width = 1, .mask = 0x0f}},
              .field = {.kind = FW_TIERED, .width = 1, .mask = 0xf0, .shift = 4, .direct = 12,
                        .tier_count = 3,
                        .tiers = {{13, 13, 1, 0, 0}, {14, 269, 2, 0, 0}, {15, 65805, 4, 0, 0}}}}},
    {"tarantool", {.field = {.kind = FW_TIERED, .width = 1, .mask = 0xff, .direct = 0x7f, .tier_count = 4,
                   .tiers = {{0xcc, 0, 1, 0, 0}, {0xcd, 0, 2, 0, 0}, {0xce, 0, 4, 0, 0},
                             {0xcf, 0, 8, 0, 0}}}}},
    {"odd tiers", {.field = {.kind = FW_TIERED, .width = 8, .mask = FULL(8), .little = 1, .direct = 9,
                   .canonical = 1, .tier_count = 3,
                   .tiers = {{3, 0, 1, 0, 0}, {200, 250, 3, 1, 0}, {201, 7, 8, 1, 0}}}}},
    {"no direct", {.field = {.kind = FW_TIERED, .width = 1, .mask = 0xff, .direct = -1, .canonical = 1,
                   .tier_count = 2, .tiers = {{0, 0, 1, 0, 0}, {1, 0, 4, 1, 0}}}}},
    {"lead tiered", {.lead = {.kind = FW_TIERED, .width = 1, .mask = 0xff, .direct = -1, .tier_count = 1,
                     .tiers = {{0, 0, 2, 0, 0}}}, .field = BE(1)}},
    {"lead without zero", {.lead = {.kind = FW_TIERED, .width = 1, .mask = 0xff, .direct = -1,
                           .tier_count = 1, .tiers = {{0, 13, 1, 0, 0}}}, .field = BE(1)}},
    {"fixed", {.kind = FW_FIXED, .size = 16, .max_frame = 16}},
    {"one", {.kind = FW_SCANNED, .delimiter_count = 1, .delimiters = {DELIMITER("\n")}}},
    {"lines", {.kind = FW_SCANNED, .delimiter_count = 2, .delimiters = {DELIMITER("\n"), DELIMITER("\r\n")}}},
    {"several", {.kind = FW_SCANNED, .delimiter_count = 4, .delimiters = {
        DELIMITER("\r\n"), DELIMITER(";"), DELIMITER("]]>]]>"), DELIMITER("\0")}}},
    {"overlapping", {.kind = FW_SCANNED, .delimiter_count = 2, .delimiters = {
        DELIMITER("abab"), DELIMITER("aab")}}},
    {"until eof", {.kind = FW_UNTIL_EOF}},
    {"tagged", {.kind = FW_TAGGED, .tag_mask = 0xff, .min_size = 3, .rows = outer_rows,
                .parts = outer_parts}},
};

static void complete_field(fw_field *f)
{
    int varies = f->kind == FW_LEB128 || f->kind == FW_VLQ || f->kind == FW_QUIC || f->kind == FW_BER
        || f->kind == FW_ZIGZAG || f->kind == FW_SLEB128 || f->kind == FW_DIGITS_END;
    f->narrowest = varies ? 1u + f->end_size : f->width;
}

static void complete(fw_plan *plan)
{
    if (plan->kind == FW_FIXED)
        plan->min_size = plan->size;
    if (plan->kind == FW_COUNTED) {
        size_t at = plan->offset;
        int64_t surplus;
        complete_field(&plan->lead);
        complete_field(&plan->field);
        complete_field(&plan->escape);
        if (plan->lead.kind != FW_NONE)
            at = plan->lead.narrowest;
        surplus = plan->adjust - fw_behind(plan, at, plan->field.narrowest, plan->after);
        plan->min_size = at + plan->field.narrowest + plan->after;
        if (plan->control_count == 0)
            plan->min_size += plan->trailer_size + (surplus > 0 ? (uint64_t)surplus : 0);
        plan->scale = plan->scale ? plan->scale : 1;
    }
    fw_prepare(plan);
}

static void add_variant(const char *name, const fw_plan *base, int strip, uint64_t limit, int patient)
{
    sample *one = &samples[sample_count++];
    if (sample_count > COUNT(samples))
        abort();
    snprintf(one->name, sizeof one->name, "%s%s%s%s", name, strip ? "" : ", whole",
             limit == ROOMY ? "" : ", tight", patient ? ", patient" : "");
    one->plan = *base;
    one->plan.strip = (uint8_t)strip;
    one->plan.patient = (uint8_t)patient;
    if (base->kind != FW_FIXED)
        one->plan.max_frame = limit;
    complete(&one->plan);
}

static void add_variants(const char *name, const fw_plan *base)
{
    int can_strip = base->extra_count == 0 && base->control_count == 0 && !base->trailer_any
        && base->kind != FW_TAGGED;
    add_variant(name, base, 0, ROOMY, 0);
    if (base->kind == FW_FIXED || base->kind == FW_TAGGED)
        return;
    add_variant(name, base, 0, TIGHT, 0);
    if (!can_strip) {
        add_variant(name, base, 0, TIGHT, 1);
        return;
    }
    add_variant(name, base, 1, ROOMY, 0);
    add_variant(name, base, 1, TIGHT, 1);
}

static inline void make_samples(void)
{
    unsigned i;
    uint8_t width;
    for (i = 0; i < 256; i++) {
        inner_rows[i] = (int16_t)(i < 2 ? (int)i : -1);
        outer_rows[i] = (int16_t)(i == 'T' ? 0 : i == 'S' ? 1 : -1);
    }
    for (i = 0; i < COUNT(tagged_inner); i++)
        complete(&tagged_inner[i]);
    for (width = 1; width <= 8; width++)
        for (i = 0; i < 4; i++) {
            char name[16];
            fw_plan plan = {.kind = FW_COUNTED, .field = BE(width)};
            plan.field.little = (uint8_t)(i & 1);
            plan.field.is_signed = (uint8_t)(i >> 1);
            snprintf(name, sizeof name, "%c%u%s", i & 2 ? 'i' : 'u', 8u * width, i & 1 ? "le" : "");
            add_variants(name, &plan);
        }
    for (i = 0; i < COUNT(bases); i++) {
        fw_plan plan = bases[i].plan;
        if (plan.kind == FW_FIXED && plan.size == 0)
            plan.kind = FW_COUNTED;
        add_variants(bases[i].name, &plan);
    }
}

static inline const fw_plan *sample_named(const char *name)
{
    size_t i;
    for (i = 0; i < sample_count; i++)
        if (strcmp(samples[i].name, name) == 0)
            return &samples[i].plan;
    fprintf(stderr, "no sample %s\n", name);
    exit(2);
}

/* What a failed check was about; once a plan. */
static inline void explain(const char *name, const uint8_t *data, size_t size, size_t n)
{
    static const char *last;
    size_t i;
    if (last == name)
        return;
    last = name;
    fprintf(stderr, "    %s, prefix %zu of %zu:", name, n, size);
    for (i = 0; i < size && i < 80; i++)
        fprintf(stderr, " %02x", data[i]);
    fprintf(stderr, "\n");
}

#define EXPECT(condition, name, data, size, n) \
    do { if (!CHECK(condition)) explain(name, data, size, n); } while (0)

/* The bytes that fw_encode describes. */
static inline size_t assemble(const fw_wire *w, const uint8_t *message, size_t size, uint8_t *out)
{
    uint8_t *p = out;
    guard_fill(p, message, w->keep);
    p += w->keep;
    guard_fill(p, w->made, w->made_size);
    p += w->made_size;
    guard_fill(p, message + w->resume, size - w->resume);
    p += size - w->resume;
    if (w->tail == NULL)
        memset(p, 'T', w->tail_size);
    guard_fill(p, w->tail, w->tail_size);
    return (size_t)(p - out) + w->tail_size;
}

/* A frame with that body to out, encoded under the stripping twin of the plan; 0 if there is none. */
static inline size_t frame_of(const fw_plan *plan, const uint8_t *body, size_t size, uint8_t *out)
{
    fw_plan twin = *plan;
    fw_wire wire;
    if (plan->kind == FW_TAGGED) {
        int tag = 0, skip = plan->tag_offset ? size != 3 : size % 4 != 1; /* every part gets some sizes */
        size_t made;
        while (tag < 256 && (plan->rows[tag] < 0 || skip-- > 0))
            tag++;
        if (tag > plan->tag_mask)
            return 0;
        made = frame_of(plan->parts[plan->rows[tag]], body, size, out);
        if (made > plan->tag_offset)
            out[plan->tag_offset] = (uint8_t)tag;
        return made;
    }
    twin.strip = 1;
    if (fw_encode(&twin, body, size, &wire) != FW_FRAME)
        return 0;
    return assemble(&wire, body, size, out);
}

/* Deterministic noise. */
static inline uint64_t noise(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static inline void fill_body(uint8_t *body, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++)
        body[i] = (uint8_t)('A' + i % 16);
}

#endif
