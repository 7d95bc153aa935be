/*
 * Copying a protobuf message with some of its fields cut out or added, at any
 * depth. What lies between two changes is copied in one run; the lengths of
 * the messages around a change are corrected afterwards, the others are never
 * looked at.
 *
 *     splice_begin(&s, request, out);
 *       splice_enter(&s, field, body);   // field: its tag, body: what it holds
 *         splice_cut(&s, from, to);
 *         splice_insert(&s, to, more);
 *       splice_leave(&s);
 *     ok = splice_end(&s);
 */
#ifndef CORE_OTLP_SPLICE_H
#define CORE_OTLP_SPLICE_H

#include "base/bytes.h"

enum { SPLICE_MAX_DEPTH = 16 };

struct splice_frame {
    const uint8_t *length_at; /* in the input */
    const uint8_t *body;
    const uint8_t *end;
    size_t out_length_at; /* in the output, once something inside has changed */
};

struct splice {
    struct buffer *out; /* borrowed */
    struct bytes input; /* borrowed */
    const uint8_t *copied;
    unsigned depth;   /* messages entered */
    unsigned changed; /* the outermost this many of them have changed */
    bool full;
    struct splice_frame frames[SPLICE_MAX_DEPTH];
};

void splice_begin(struct splice *s, struct bytes input, struct buffer *out);
void splice_enter(struct splice *s, const uint8_t *field, struct bytes body);
void splice_leave(struct splice *s);

/* Places only ever move forward through the input. */
void splice_cut(struct splice *s, const uint8_t *from, const uint8_t *to);
void splice_insert(struct splice *s, const uint8_t *at, struct bytes more);

/* Copies what is left. False when the output reached its ceiling at any point. */
MUST_USE bool splice_end(struct splice *s);

#endif
