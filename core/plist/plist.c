#include "core/plist/plist.h"

#include "core/plist/kinds.h"

bool plist_to_json(struct bytes plist, struct buffer *out, struct error *err)
{
    struct json_writer w = json_writer_make(out);
    const char *problem = bytes_starts_with(plist, "bplist00") ? plist_read_binary(plist, &w)
                                                               : plist_read_xml(plist, &w);
    if (problem)
        return error_set(err, FAIL_INVALID, "not a property list: %s", problem);
    if (!json_writer_ok(&w))
        return error_set(err, FAIL_TOO_LARGE, "the property list is too large");
    return true;
}
