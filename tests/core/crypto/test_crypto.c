#include "core/crypto/crypto.h"
#include "tests/support/expect.h"

static struct error err;

/* The digest in hex, borrowed until the next call. */
static const char *hex(const uint8_t digest[SHA256_BYTES])
{
    static char text[2 * SHA256_BYTES + 1];
    crypto_hex(bytes_make(digest, SHA256_BYTES), text);
    return text;
}

START_TEST(sha256_gives_the_digests_of_fips_180)
{
    uint8_t digest[SHA256_BYTES];
    crypto_sha256(bytes_of("abc"), digest);
    ck_assert_str_eq(hex(digest),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(bytes_make(NULL, 0), digest);
    ck_assert_str_eq(hex(digest),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(hmac_gives_the_digests_of_rfc_4231)
{
    uint8_t digest[SHA256_BYTES], key[131];
    crypto_hmac_sha256(bytes_of("Jefe"), bytes_of("what do ya want for nothing?"), digest);
    ck_assert_str_eq(hex(digest),
                     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    crypto_hmac_sha256(bytes_make(key, sizeof key),
                       bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"), digest);
    ck_assert_str_eq(hex(digest),
                     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    crypto_hmac_sha256(bytes_make(NULL, 0), bytes_make(NULL, 0), digest);
    ck_assert_str_eq(hex(digest),
                     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(unhex_takes_exactly_what_was_asked_for)
{
    uint8_t out[2];
    ck_assert(crypto_unhex(bytes_of("0aFf"), out, 2));
    ck_assert_uint_eq(out[0], 0x0a);
    ck_assert_uint_eq(out[1], 0xff);
    ck_assert(!crypto_unhex(bytes_of("0aF"), out, 2));
    ck_assert(!crypto_unhex(bytes_of("0aFf00"), out, 2));
    ck_assert(!crypto_unhex(bytes_of("0aFg"), out, 2));
}
END_TEST

static const struct {
    const char *plain, *padded, *unpadded;
} rfc_4648[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
};

START_TEST(base64_follows_rfc_4648)
{
    struct buffer b = {.max_bytes = 64};
    for (size_t i = 0; i < sizeof rfc_4648 / sizeof *rfc_4648; i++) {
        ck_assert(crypto_base64(bytes_of(rfc_4648[i].plain), &b));
        expect_text(buffer_bytes(&b), rfc_4648[i].padded);
        buffer_reset(&b);
        ck_assert(crypto_base64url(bytes_of(rfc_4648[i].plain), &b));
        expect_text(buffer_bytes(&b), rfc_4648[i].unpadded);
        buffer_reset(&b);
        ck_assert(crypto_base64url_decode(bytes_of(rfc_4648[i].unpadded), &b));
        expect_text(buffer_bytes(&b), rfc_4648[i].plain);
        buffer_reset(&b);
    }
    const uint8_t high[] = {0xfb, 0xff, 0xfe};
    ck_assert(crypto_base64url(bytes_make(high, sizeof high), &b));
    expect_text(buffer_bytes(&b), "-__-");
    buffer_reset(&b);
    ck_assert(crypto_base64_unpadded(bytes_make(high, sizeof high), &b));
    expect_text(buffer_bytes(&b), "+//+");
    buffer_clear(&b);
}
END_TEST

START_TEST(base64_has_one_spelling_only)
{
    struct buffer b = {.max_bytes = 64};
    static const char *const wrong[] = {"Z",      "Zh",   "Zm9",   "Zg==",
                                        "Zm9v\n", "Zm+v", "Zm 9v", "Zm9vY"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!crypto_base64url_decode(bytes_of(wrong[i]), &b) && b.len == 0, "%s",
                      wrong[i]);
    struct buffer small = {.max_bytes = 3};
    ck_assert(!crypto_base64url(bytes_of("foo"), &small));
    ck_assert(!crypto_base64url_decode(bytes_of("Zm9vYg"), &small));
    ck_assert_uint_eq(small.len, 0);
    buffer_clear(&b);
    buffer_clear(&small);
}
END_TEST

START_TEST(scrypt_gives_the_key_of_rfc_7914)
{
    uint8_t expected[64];
    ck_assert(
        crypto_unhex(bytes_of("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                              "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"),
                     expected, sizeof expected));
    struct buffer text = {.max_bytes = 256};
    ck_assert(buffer_append_text(&text, "$scrypt$ln=14,r=8,p=1$"));
    ck_assert(crypto_base64_unpadded(bytes_of("SodiumChloride"), &text));
    ck_assert(buffer_append_byte(&text, '$'));
    ck_assert(crypto_base64_unpadded(bytes_make(expected, sizeof expected), &text));
    ck_assert(crypto_password_matches("pleaseletmein", buffer_text(&text)));
    ck_assert(!crypto_password_matches("pleaseletmeim", buffer_text(&text)));
    buffer_clear(&text);
}
END_TEST

START_TEST(a_password_matches_its_own_hash_only)
{
    char one[128], two[128], tiny[32];
    expect_ok(crypto_password_hash("correct horse", one, sizeof one, &err));
    expect_ok(crypto_password_hash("correct horse", two, sizeof two, &err));
    ck_assert_str_ne(one, two); /* salted */
    ck_assert(bytes_starts_with(bytes_of(one), "$scrypt$ln=15,r=8,p=1$"));
    ck_assert(crypto_password_matches("correct horse", one));
    ck_assert(!crypto_password_matches("correct hors", one));
    ck_assert(!crypto_password_matches("", one));
    expect_fail(crypto_password_hash("x", tiny, sizeof tiny, &err), FAIL_TOO_LARGE);
}
END_TEST

START_TEST(a_damaged_hash_matches_nothing)
{
    static const char *const damaged[] = {
        "",
        "$scrypt$",
        "$scrypt$ln=15,r=8,p=1$",
        "$scrypt$ln=15,r=8,p=1$c2FsdA",
        "$scrypt$ln=15,r=8,p=1$c2FsdA$",
        "$scrypt$ln=15,r=8,p=1$c2FsdA$AAAA",
        "$scrypt$ln=30,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=15,r=0,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        ck_assert_msg(!crypto_password_matches("", damaged[i]), "%s", damaged[i]);
}
END_TEST

/* RFC 7515 appendix A.1: the key, what is signed, and the signature. */
START_TEST(hs256_gives_the_signature_of_rfc_7515)
{
    struct buffer key = {.max_bytes = 64}, signature = {.max_bytes = 64};
    ck_assert(crypto_base64url_decode(
        bytes_of("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1"
                 "Z9CAow"),
        &key));
    uint8_t digest[SHA256_BYTES];
    crypto_hmac_sha256(buffer_bytes(&key),
                       bytes_of("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJl"
                                "eHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
                                "cnVlfQ"),
                       digest);
    ck_assert(crypto_base64url(bytes_make(digest, sizeof digest), &signature));
    expect_text(buffer_bytes(&signature), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    buffer_clear(&key);
    buffer_clear(&signature);
}
END_TEST

START_TEST(a_token_gives_back_the_claims_it_was_signed_with)
{
    struct buffer token = {.max_bytes = 512}, claims = {.max_bytes = 512};
    ck_assert(crypto_jwt_sign(bytes_of("key"), bytes_of("{\"sub\":\"1\"}"), &token));
    ck_assert(crypto_jwt_verify(bytes_of("key"), buffer_bytes(&token), &claims));
    expect_text(buffer_bytes(&claims), "{\"sub\":\"1\"}");
    buffer_reset(&claims);
    ck_assert(!crypto_jwt_verify(bytes_of("kez"), buffer_bytes(&token), &claims));
    ck_assert_uint_eq(claims.len, 0);
    buffer_clear(&token);
    buffer_clear(&claims);
}
END_TEST

START_TEST(a_changed_or_cut_token_is_refused)
{
    struct buffer token = {.max_bytes = 512}, claims = {.max_bytes = 512};
    ck_assert(crypto_jwt_sign(bytes_of("key"), bytes_of("{\"sub\":\"1\"}"), &token));
    for (size_t i = 0; i < token.len; i++) {
        token.data[i] ^= 1;
        ck_assert_msg(!crypto_jwt_verify(bytes_of("key"), buffer_bytes(&token), &claims),
                      "byte %zu", i);
        token.data[i] ^= 1;
        ck_assert_msg(!crypto_jwt_verify(bytes_of("key"), bytes_make(token.data, i), &claims),
                      "first %zu bytes", i);
    }
    ck_assert_uint_eq(claims.len, 0);
    buffer_clear(&token);
    buffer_clear(&claims);
}
END_TEST

START_TEST(a_header_with_another_algorithm_is_refused)
{
    /* Signed with the right key, so that the header alone is what is wrong. */
    static const char *const headers[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
                                          "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"crit\":[\"x\"]}"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct buffer token = {.max_bytes = 512}, claims = {.max_bytes = 512};
        uint8_t signature[SHA256_BYTES];
        ck_assert(crypto_base64url(bytes_of(headers[i]), &token));
        ck_assert(buffer_append_byte(&token, '.'));
        ck_assert(crypto_base64url(bytes_of("{}"), &token));
        crypto_hmac_sha256(bytes_of("key"), buffer_bytes(&token), signature);
        ck_assert(buffer_append_byte(&token, '.'));
        ck_assert(crypto_base64url(bytes_make(signature, sizeof signature), &token));
        ck_assert(!crypto_jwt_verify(bytes_of("key"), buffer_bytes(&token), &claims));
        buffer_clear(&token);
        buffer_clear(&claims);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, sha256_gives_the_digests_of_fips_180);
    tcase_add_test(tests, hmac_gives_the_digests_of_rfc_4231);
    tcase_add_test(tests, unhex_takes_exactly_what_was_asked_for);
    tcase_add_test(tests, base64_follows_rfc_4648);
    tcase_add_test(tests, base64_has_one_spelling_only);
    tcase_add_test(tests, scrypt_gives_the_key_of_rfc_7914);
    tcase_add_test(tests, a_password_matches_its_own_hash_only);
    tcase_add_test(tests, a_damaged_hash_matches_nothing);
    tcase_add_test(tests, hs256_gives_the_signature_of_rfc_7515);
    tcase_add_test(tests, a_token_gives_back_the_claims_it_was_signed_with);
    tcase_add_test(tests, a_changed_or_cut_token_is_refused);
    tcase_add_test(tests, a_header_with_another_algorithm_is_refused);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
