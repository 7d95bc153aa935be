/*
 * The first byte picks the signal and the change. Rewriting and halving a sound
 * request gives sound requests with the same records, and removed keys are gone.
 */
#include "core/otlp/rewrite.h"
#include "tests/fuzz/otlp_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t count(enum otlp_signal signal, struct bytes request)
{
    struct error err;
    uint64_t records = 0;
    must(otlp_check(signal, request, &records, &err));
    return records;
}

static void check_halves(enum otlp_signal signal, struct bytes request, uint64_t records)
{
    struct buffer first = {.max_bytes = 2 * MIB}, second = {.max_bytes = MIB};
    struct error err;
    bool halved = otlp_split_request(signal, request, &first, &second, &err);
    must(halved == (records > 1));
    if (halved) {
        must(count(signal, buffer_bytes(&first)) == records - records / 2);
        must(count(signal, buffer_bytes(&second)) == records / 2);
        must(buffer_append(&first, buffer_bytes(&second)));
        must(count(signal, buffer_bytes(&first)) == records);
    }
    buffer_clear(&first);
    buffer_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct otlp_stamp stamps[] = {{"user.email", "alice@example.com"}};
    static const char *const keys[] = {"model", "a", "session.id", ""};
    if (size == 0 || size > MIB / 4)
        return 0;
    enum otlp_signal signal = (enum otlp_signal)(data[0] % OTLP_SIGNAL_COUNT);
    unsigned change = data[0] / OTLP_SIGNAL_COUNT;
    struct bytes request = bytes_make(data + 1, size - 1);
    struct otlp_rewrite rewrite = {.stamps = stamps,
                                   .stamp_count = change & 1,
                                   .drop_keys = keys,
                                   .drop_count = (change >> 1) % 5};
    struct buffer out = {.max_bytes = 4 * MIB};
    struct error err;
    uint64_t records;
    bool sound = otlp_check(signal, request, &records, &err);
    bool rewritten = otlp_rewrite_request(signal, request, &rewrite, &out, &err);
    if (sound) {
        struct otlp_records seen = {.absent = rewrite.drop_count > 0 ? keys[0] : NULL};
        must(rewritten && count(signal, buffer_bytes(&out)) == records);
        must(walk(signal, buffer_bytes(&out), &seen) && seen.count == records);
        check_halves(signal, request, records);
    }
    buffer_clear(&out);
    return 0;
}
