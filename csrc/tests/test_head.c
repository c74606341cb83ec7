/* fw_encode and fw_choose: what is written is cut back, and what the peer would misread is refused. */
#include "plans.h"

static const char zeros[256] = "";
static uint8_t body[1 << 17], frame[(1 << 17) + 5000], again[(1 << 17) + 5000];

/* The wire stays within the message and its own memory. */
static int sound(const fw_wire *w, size_t size)
{
    return w->keep <= w->resume && w->resume <= size && w->made_size <= sizeof w->made;
}

static int cuts_back(const fw_plan *plan, const uint8_t *data, size_t size, fw_frame *out)
{
    fw_cursor c = {0};
    int status;
    return fw_cut(plan, guard_copy(data, size), size, &c, out, 1, &status) == 1 && c.pos == size;
}

/* A message of `size` bytes through a stripping plan, and a frame around it through the plan that keeps. */
static void test_size(const sample *one, size_t size)
{
    const fw_plan *plan = &one->plan;
    const uint8_t *message = guard_copy(body, size);
    size_t made = frame_of(plan, message, size, frame), again_size;
    fw_wire w;
    fw_frame out;
    int status = FW_FRAME;
    if (made == 0) {
        int empty = size == 0 && (plan->kind == FW_UNTIL_EOF || plan->kind == FW_TAGGED);
        fw_plan twin = *plan;
        twin.strip = 1;
        if (empty || plan->kind == FW_TAGGED)
            return;
        status = fw_encode(&twin, message, size, &w);
        EXPECT(status < 0, one->name, frame, made, size);
        EXPECT(status != FW_E_TOO_LARGE || w.value == size, one->name, frame, made, size);
        return;
    }
    if (plan->kind == FW_UNTIL_EOF)
        return;
    if (!cuts_back(plan, frame, made, &out)) {
        EXPECT(!"cut back", one->name, frame, made, size);
        return;
    }
    if (plan->strip) {
        EXPECT(out.stop - out.start == size && memcmp(frame + out.start, body, size) == 0,
               one->name, frame, made, size);
        return;
    }
    EXPECT(out.start == 0 && out.stop == made, one->name, frame, made, size);
    /* A canonical frame goes back as it is. */
    message = guard_copy(frame, made);
    plan = fw_choose(plan, message, made, &w, &status);
    EXPECT(status == FW_FRAME && fw_encode(plan, message, made, &w) == FW_FRAME && sound(&w, made),
           one->name, frame, made, size);
    again_size = assemble(&w, message, made, again);
    EXPECT(again_size == made && memcmp(again, frame, made) == 0, one->name, frame, made, size);
}

/* The short way to a header says what the long way says, and refuses what it refuses. */
static void test_put_head(const sample *one, size_t size)
{
    fw_wire w;
    size_t head;
    if (!one->plan.simple || !one->plan.strip)
        return;
    head = fw_put_head(&one->plan, size, again);
    if (fw_encode(&one->plan, body, size, &w) == FW_FRAME)
        EXPECT(head == w.made_size && memcmp(again, w.made, head) == 0, one->name, again, head, size);
    else
        EXPECT(head == 0, one->name, again, head, size);
}

static void test_sizes(void)
{
    /* n - 1, n, n + 1 around every place where a form of some plan, its header counted in, ends. */
    static const size_t edges[] = {
        512, 999, 1024, 4095, 9999, 10000, 16383, 16384, 32767, 65535, 65536, 65804, 65805, 99999, 130000,
    };
    size_t s, size, i;
    fill_body(body, sizeof body);
    for (s = 0; s < sample_count; s++) {
        for (size = 0; size <= 300; size++)
            test_size(&samples[s], size), test_put_head(&samples[s], size);
        for (i = 0; i < COUNT(edges) && samples[s].plan.max_frame == ROOMY; i++)
            for (size = edges[i] - 14; size <= edges[i] + 2; size++)
                test_size(&samples[s], size), test_put_head(&samples[s], size);
    }
}

#define LETTERS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"   /* TIGHT + 1 of them */

/* Literal messages and what becomes of them. */
static const struct {
    const char *plan, *message;
    size_t size;
    int status;
    const char *wire;          /* FW_FRAME */
    size_t wire_size;
    uint64_t value;            /* faults: what fw_wire says; announced and at share a column */
    uint64_t where;
    size_t proof;
} cases[] = {
#define M(text) text, sizeof(text) - 1
#define OK(text) FW_FRAME, text, sizeof(text) - 1, 0, 0, 0
#define NO(status, value, where, proof) status, NULL, 0, value, where, proof
    /* the header is made */
    {"u24le", M("abc"), OK("\3\0\0abc")},
    {"postgresql", M("abc"), OK("\0\0\0\0\7abc")},
    {"tpkt", M("abc"), OK("\3\0\0\7abc")},
    {"memcached", M("ab"), OK("\x80\0\0\0\0\0ab\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0ab")},
    {"netstring", M("hello"), OK("5:hello,")},
    {"netstring", M(""), OK("0:,")},
    {"marked", M("1234567"), OK("13\r\n\0\0" "1234567")},
    {"hexdigits", M("host:version"), OK("0010host:version")},
    {"lead text", M("abc"), OK("0 \0\x08\0abc")},
    {"lead without zero", M("ab"), NO(FW_E_UNSAYABLE, 2, 0, 0)},
    {"lead tiered", M("ab"), OK("\0\0\0\2ab")},
    {"no direct", M("ab"), OK("\0\2ab")},
    {"scale", M("abcdefgh"), OK("\0\2abcdefgh")},
    {"lines", M("abc"), OK("abc\n")},
    {"several", M("a]]>]]"), OK("a]]>]]\r\n")},
    {"overlapping", M("x"), OK("xabab")},
    {"fixed, whole", M("0123456789abcdef"), OK("0123456789abcdef")},
    {"until eof", M("abc"), OK("abc")},
    /* a length of one width is written over, the bits beside it stay */
    {"u16, whole", M("??abc"), OK("\0\3abc")},
    {"kerberos, whole", M("\xff???abc"), OK("\x80\0\0\3abc")},
    {"shifted, whole", M("?\xf0\x0f""abc"), OK("?\xf0\x3f""abc")},
    {"postgresql, whole", M("Q????abc"), OK("Q\0\0\0\7abc")},
    {"digits, whole", M("xxxxxabc"), OK("00003abc")},
    {"cassandra, whole", M("\1\2\xfe???abTTTT"), OK("\2\0\xfe???abTTTT")},
    {"fastcgi, whole", M("\x30\0\x10\x00??\2?abcde"), OK("\x30\0\x10\0\0\2\2?abcde")},
    {"lead varint, whole", M("\x81\1???ab"), OK("\x81\1""002ab")},
    /* but a control frame stays */
    {"git, whole", M("0000"), OK("0000")},
    {"git, whole", M("????"), OK("0004")},
    {"git, whole", M("0001a"), OK("0005a")},
    {"control, whole", M("\3?"), OK("\3?")},
    {"control, whole", M("\3?ab;"), OK("\2?ab;")},
    {"control varint, whole", M("\0"), OK("\0")},
    {"control varint, whole", M("\0abc"), OK("\1abc")},
    {"control text, whole", M("999 "), OK("999 ")},
    /* any other length must be right, in any form of it */
    {"varint, whole", M("\x83\x80\0abc"), OK("\x83\x80\0abc")},
    {"ldap, whole", M("\x30\x84\0\0\0\3abc"), OK("\x30\x84\0\0\0\3abc")},
    {"x11, whole", M("op\0\0\0\0\0\2"), OK("op\0\0\0\0\0\2")},
    /* or zero in its narrowest form, and is filled in */
    {"varint, whole", M("\0abc"), OK("\3abc")},
    {"ldap, whole", M("\x30\0abc"), OK("\x30\3abc")},
    {"quic, whole", M("\0??abc"), OK("\5??abc")},
    {"netstring, whole", M("0:abc,"), OK("3:abc,")},
    {"x11, whole", M("op\0\0abcd"), OK("op\0\2abcd")},
    {"multiprocessing, whole", M("\0\0\0\0abc"), OK("\0\0\0\3abc")},
    {"http/3, whole", M("\x41\1\0abc"), OK("\x41\1\3abc")},
    {"websocket, whole", M("\x82\x80mask!"), OK("\x82\x81mask!")},
    {"coap, whole", M("\2?TKab"), OK("\x22?TKab")},
    {"tagged, whole", M("T\1??abc"), OK("T\1\0\3abc")},
    {"tagged, whole", M("T0a"), OK("T0a")},
    {"tagged, whole", M("Sab\r\n"), OK("Sab\r\n")},
    {"lines, whole", M("abc\r\n"), OK("abc\r\n")},
    /* refusals */
    {"u8", zeros, 256, NO(FW_E_UNSAYABLE, 256, 0, 0)},
    {"control, whole", M("??abc;"), NO(FW_E_UNSAYABLE, 3, 0, 0)},
    {"control, whole", M("??abcd."), NO(FW_E_TRAILER, 0, 0, 7)},
    {"control, whole", M("?"), NO(FW_E_WHOLE_SHORT, 0, 3, 0)},
    {"control varint, whole", M("\0ab"), NO(FW_E_UNSAYABLE, 2, 0, 0)},
    {"adjust up", M("abc"), NO(FW_E_UNSAYABLE, 3, 0, 0)},
    {"beyond the limit, whole", M("?abc"), NO(FW_E_UNSAYABLE, 3, 0, 0)},
    {"scale", M("abc"), NO(FW_E_SCALE, 3, 0, 0)},
    {"x11", M("abc"), NO(FW_E_SCALE, 3, 0, 0)},
    {"scaled field", M("abcde"), NO(FW_E_UNSAYABLE, 5, 0, 0)},
    {"u16, tight, patient", M(LETTERS), NO(FW_E_TOO_LARGE, 41, 0, 0)},
    {"u16, whole, tight", M("??" LETTERS), NO(FW_E_TOO_LARGE, 41, 0, 0)},
    {"varint, whole, tight", M("\0" LETTERS), NO(FW_E_TOO_LARGE, 41, 0, 0)},
    {"lines, tight, patient", M(LETTERS), NO(FW_E_TOO_LARGE, 41, 0, 0)},
    {"lines, whole, tight", M(LETTERS "\n"), NO(FW_E_TOO_LARGE, 41, 0, 0)},
    {"until eof, tight, patient", M(LETTERS), NO(FW_E_TOO_LARGE, 41, 0, 0)},
    {"fixed, whole", M("abc"), NO(FW_E_FIXED, 0, 0, 0)},
    {"varint, whole", M("\2abc"), NO(FW_E_MISMATCH, 0, 3, 0)},
    {"varint, whole", M("\4abc"), NO(FW_E_MISMATCH, 0, 5, 0)},
    {"varint, whole, tight", M("\x29""abc"), NO(FW_E_MISMATCH, 0, 42, 0)},
    {"varint, whole", M("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), NO(FW_E_MISMATCH, 0, UINT64_MAX, 0)},
    {"varint, whole", M("\x80"), NO(FW_E_MISMATCH, 0, UINT64_MAX, 0)},
    {"varint, whole", M(""), NO(FW_E_MISMATCH, 0, UINT64_MAX, 0)},
    {"http/3, whole", M("\x41"), NO(FW_E_WHOLE_SHORT, 0, 3, 0)},
    {"lead varint, whole", M("\x80\0999ab"), NO(FW_E_CANONICAL, 10, 0, 2)},
    {"netstring, whole", M("03:abc,"), NO(FW_E_ZERO, 10, 0, 2)},
    {"ldap, whole", M("\x30\x80""abc"), NO(FW_E_INDEFINITE, 0x80, 0, 2)},
    {"u16, whole", M("?"), NO(FW_E_WHOLE_SHORT, 0, 2, 0)},
    {"ldap, whole", M("\x31\0"), NO(FW_E_MAGIC, 0, 0, 1)},
    {"netstring, whole", M("0:"), NO(FW_E_WHOLE_SHORT, 0, 3, 0)},
    {"netstring, whole", M("0:ab"), NO(FW_E_TRAILER, 0, 0, 4)},
    {"netstring, whole", M("2:ab."), NO(FW_E_TRAILER, 0, 0, 5)},
    {"amqp, whole", M("\1\0\0????a."), NO(FW_E_TRAILER, 0, 0, 9)},
    {"fastcgi, whole", M("\x30\0\0\0??\5?abcd"), NO(FW_E_WHOLE_SHORT, 0, 13, 0)},
    {"fastcgi, whole", M("\x30\0\x30\0??\3?abcd"), NO(FW_E_WHOLE_SHORT, 0, 14, 0)},
    {"coap, whole", M("\5?abcd"), NO(FW_E_WHOLE_SHORT, 0, 7, 0)},
    {"tagged, whole", M("X"), NO(FW_E_TAG, 'X', 0, 1)},
    {"tagged, whole", M("T\x1f"), NO(FW_E_TAG, 0xf, 0, 2)},
    {"tagged, whole", M("T"), NO(FW_E_WHOLE_SHORT, 0, 2, 0)},
    {"lines, whole", M("abc"), NO(FW_E_UNTERMINATED, 0, 0, 0)},
    {"lines, whole", M(""), NO(FW_E_UNTERMINATED, 0, 0, 0)},
    {"lines, whole", M("a\r\nb\n"), NO(FW_E_DELIMITER, 2, 1, 0)},
    {"lines", M("a\nb"), NO(FW_E_DELIMITER, 1, 1, 0)},
    {"lines", M("ab\r"), NO(FW_E_DELIMITER, 2, 2, 0)},
    {"several", M("ab\0c"), NO(FW_E_DELIMITER, 1, 2, 0)},
    {"overlapping", M("xa"), NO(FW_E_DELIMITER, 3, 1, 0)},
};

static void test_messages(void)
{
    size_t i, made;
    for (i = 0; i < COUNT(cases); i++) {
        const uint8_t *message = guard_copy(cases[i].message, cases[i].size);
        const size_t size = cases[i].size;
        const char *name = cases[i].plan;
        fw_wire w = {.value = 0};
        int status;
        const fw_plan *plan = fw_choose(sample_named(name), message, size, &w, &status);
        CHECK((plan == NULL) == (status != FW_FRAME));
        if (plan != NULL)
            status = fw_encode(plan, message, size, &w);
        EXPECT(status == cases[i].status && sound(&w, size), name, message, size, i);
        if (status == FW_FRAME) {
            made = assemble(&w, message, size, frame);
            EXPECT(made == cases[i].wire_size && memcmp(frame, cases[i].wire, made) == 0,
                   name, frame, made, i);
        } else if (status == FW_E_MISMATCH || status == FW_E_WHOLE_SHORT) {
            EXPECT(w.announced == cases[i].where, name, message, size, i);
        } else if (status == FW_E_DELIMITER) {
            EXPECT(w.at == cases[i].where && w.value == cases[i].value, name, message, size, i);
        } else {
            EXPECT(w.value == cases[i].value && w.proof == cases[i].proof, name, message, size, i);
        }
    }
}

/* Whatever is accepted of noise is one frame, and gives the message back. */
static void test_noise(void)
{
    static const uint8_t telling[] = "\0\0\0\0\1\2\3\x7e\x7f\x80\xff\xcc\x30" "00012:, \r\n;]]>abaabTS,\xce";
    unsigned long round, accepted = 0;
    for (round = 0; round < 200000; round++) {
        const sample *one = &samples[noise() % sample_count];
        const fw_plan *plan;
        size_t size = noise() % 48, i, made;
        const uint8_t *message;
        fw_wire w;
        fw_frame out;
        int status;
        for (i = 0; i < size; i++)
            again[i] = (uint8_t)(round & 3 ? telling[noise() % (sizeof telling - 1)] : noise());
        for (i = 0; i < one->plan.magic_count && round & 7 && size > 16; i++)
            memcpy(again + one->plan.magic[i].offset, one->plan.magic[i].bytes, one->plan.magic[i].size);
        message = guard_copy(again, size);
        plan = fw_choose(&one->plan, message, size, &w, &status);
        if (plan == NULL || fw_encode(plan, message, size, &w) != FW_FRAME || plan->kind == FW_UNTIL_EOF)
            continue;
        accepted++;
        if (!CHECK(sound(&w, size)))
            continue;
        made = assemble(&w, message, size, frame);
        if (!cuts_back(&one->plan, frame, made, &out)) {
            EXPECT(!"cut back", one->name, frame, made, size);
            continue;
        }
        if (plan->strip)
            EXPECT(out.stop - out.start == size && memcmp(frame + out.start, again, size) == 0,
                   one->name, frame, made, size);
        else
            EXPECT(out.start == 0 && out.stop == made, one->name, frame, made, size);
    }
    CHECK(accepted > 20000);
}

/* A length that is written over the tag: tags 0 and 3 mean the same kind of frame, the others none. */
static void test_retags(void)
{
    static int16_t rows[256];
    fw_plan kinds[] = {
        {.kind = FW_COUNTED, .field = BE(1), .max_frame = TIGHT},
        {.kind = FW_COUNTED, .field = BE(1), .max_frame = TIGHT, .strip = 1},
        {.kind = FW_COUNTED, .offset = 1, .field = BE(1), .max_frame = TIGHT},
    };
    const struct {
        unsigned kind;
        const char *message;
        size_t size, tag_offset;
        int tag, other;
    } rewrites[] = {
        {0, M("\3abc"), 0, 0, 0}, {0, M("\0abc"), 0, 0, 0}, {0, M("\0ab"), 0, 0, 2}, {0, M("\0abcd"), 0, 0, 4},
        {1, M("\0ab"), 0, 0, 0}, {1, M("\3a"), 0, 3, 2}, {2, M("\0\0ab"), 0, 0, 0}, {2, M("\1\0abc"), 1, 0, 0},
        {0, M("\0ab\3"), 3, 0, 0},
    };
    size_t i;
    for (i = 0; i < 256; i++)
        rows[i] = -1;
    rows[0] = rows[3] = 0;
    for (i = 0; i < COUNT(rewrites); i++) {
        const fw_plan *const parts[] = {&kinds[rewrites[i].kind]};
        const fw_plan plan = {.kind = FW_TAGGED, .tag_mask = 0xff, .tag_offset = (uint32_t)rewrites[i].tag_offset,
                              .rows = rows, .parts = parts};
        const uint8_t *message = guard_copy(rewrites[i].message, rewrites[i].size);
        int status, tag = 0, other = 0, retags;
        fw_wire w = {.value = 0};
        complete(&kinds[rewrites[i].kind]);
        CHECK(fw_choose(&plan, message, rewrites[i].size, &w, &status) == parts[0]);
        CHECK(fw_encode(parts[0], message, rewrites[i].size, &w) == FW_FRAME);
        retags = fw_retags(&plan, message, rewrites[i].size, &w, &tag, &other);
        EXPECT(retags == (rewrites[i].tag != rewrites[i].other) && tag == rewrites[i].tag
               && other == rewrites[i].other, "retags", message, rewrites[i].size, i);
    }
}

int main(void)
{
    make_samples();
    test_sizes();
    test_messages();
    test_noise();
    test_retags();
    return check_report(__FILE__);
}
