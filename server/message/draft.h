/* What mapping a record needs on its way: private to server/message. */
#ifndef SERVER_MESSAGE_DRAFT_H
#define SERVER_MESSAGE_DRAFT_H

#include "server/message/attributes.h"
#include "server/message/mapping.h"

struct draft {
    const struct message_context *context;
    struct arena *arena;
    struct attribute_set set;
    struct buffer scratch; /* cleared at the end of the record */
    bool generic;          /* not an AI tool's record: only gen_ai.* names hold content */
    bool full;             /* the arena is: the record fails */
};

/* ---- Values, mapping_values.c ---- */

/* Cleaned text of at most `limit` bytes, cut at a UTF-8 boundary; *cut says so (may be NULL). */
struct bytes draft_text(struct draft *d, const struct otlp_value *value, size_t limit, bool *cut);
struct bytes draft_copy(struct draft *d, struct bytes text, size_t limit, bool *cut);
struct bytes draft_find_text(struct draft *d, const char *const *keys, size_t limit);
int64_t draft_find_count(const struct draft *d, const char *const *keys); /* or MESSAGE_ABSENT */

/* The flat JSON object of every attribute except content. */
struct bytes draft_metadata(struct draft *d, uint32_t *keys);

/* ---- Content, mapping_content.c ---- */

bool content_is_key(const struct draft *d, struct bytes key);
/* Sets body and body_truncated. `body` is a log's own body, or NULL; `span` a span, or NULL. */
void content_take(struct draft *d, const struct otlp_value *body, const struct otlp_span *span,
                  struct message *out);

/* ---- Identity, mapping_person.c ---- */

struct person_claim {
    struct bytes person, account_uuid, account_id;
    enum message_person_rank rank;
};
struct person_claim person_resolve(struct draft *d, struct otlp_attributes resource);

/* ---- Keys, mapping_keys.c ---- */

/* Hash of parts with their lengths, so that no two lists of parts look alike. */
struct part_hash {
    struct buffer *into;
    bool ok;
};
struct part_hash part_hash_start(struct draft *d, const char *kind);
void part_hash_text(struct part_hash *h, struct bytes part);
void part_hash_number(struct part_hash *h, uint64_t part);
void part_hash_end(struct draft *d, struct part_hash *h, uint8_t out[32]);

/* The 16-byte key: 48-bit milliseconds, then the first 10 bytes of `hash`. */
void key_make(uint64_t time_ns, const uint8_t hash[32], uint8_t out[MESSAGE_KEY_BYTES]);
uint64_t join_of_hash(const uint8_t hash[32]);

#endif
