/*
 * Ingest and device tokens: "ct_", 27 random base62 characters (160 bits), and
 * 6 of checksum, so that a typo or a cut-off paste is told from a token we do
 * not know without asking the store. Only the SHA-256 is ever kept.
 */
#ifndef SERVER_AUTH_TOKEN_H
#define SERVER_AUTH_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/crypto/crypto.h"

enum {
    TOKEN_RANDOM_CHARACTERS = 27,
    TOKEN_CHECK_CHARACTERS = 6,
    TOKEN_BYTES = 3 + TOKEN_RANDOM_CHARACTERS + TOKEN_CHECK_CHARACTERS + 1, /* with its NUL */
    TOKEN_PREFIX_BYTES = 16,
};

/* A new token. The caller shows it once and forgets it. */
void token_mint(char out[TOKEN_BYTES]);

/* Prefix, length, alphabet and checksum are those of a token of ours. */
bool token_is_well_formed(struct bytes token);

void token_hash(struct bytes token, uint8_t out[SHA256_BYTES]);

/*
 * What people may see of a token: its first 12 characters. Of something that is no token of
 * ours, which may be another system's secret, only the first 3 and "...".
 */
void token_prefix(struct bytes token, char out[TOKEN_PREFIX_BYTES]);

#endif
