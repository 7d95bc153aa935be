#include "core/http/http1_head.h"

/* What a head in the making is checked against, beyond what it keeps. */
struct notes {
    int hosts, lengths, codings;
    struct bytes host, coding, authority;
    bool close, keep_alive, other_expectation;
};

static bool is_token_char(uint8_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_char(text.data[i]))
            return false;
    return text.len > 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && is_space(text.data[0]))
        text = bytes_make(text.data + 1, text.len - 1);
    while (text.len > 0 && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

enum http1_scan_result http1_scan(struct http1_scan *scan, struct bytes input)
{
    while (scan->at < input.len) {
        const uint8_t *from = input.data + scan->at;
        const uint8_t *end = memchr(from, '\n', input.len - scan->at);
        if (!end)
            break;
        size_t at = (size_t)(end - input.data);
        if (at == scan->line || input.data[at - 1] != '\r')
            return HTTP1_SCAN_BAD; /* a bare line feed */
        bool empty = at == scan->line + 1;
        bool leading = scan->line == scan->start;
        scan->at = scan->line = at + 1;
        if (scan->at > HTTP1_HEAD_BYTES)
            return HTTP1_SCAN_TOO_LARGE;
        if (empty && !leading)
            return HTTP1_SCAN_DONE;
        if (empty)
            scan->start = scan->at;
    }
    scan->at = input.len;
    if (input.len > HTTP1_HEAD_BYTES)
        return HTTP1_SCAN_TOO_LARGE;
    /* What cannot start a method, a TLS hello for one, is not worth waiting for. */
    if (input.len > scan->start && input.data[scan->start] != '\r' &&
        !is_token_char(input.data[scan->start]))
        return HTTP1_SCAN_BAD;
    return HTTP1_SCAN_MORE;
}

static int refuse(const char **reason, int status, const char *why)
{
    *reason = why;
    return status;
}

static int parse_version(struct bytes text, int *minor, const char **reason)
{
    bool shaped = text.len == 8 && bytes_starts_with(text, "HTTP/") && text.data[6] == '.' &&
                  text.data[5] >= '0' && text.data[5] <= '9' && text.data[7] >= '0' &&
                  text.data[7] <= '9';
    if (!shaped)
        return refuse(reason, 400, "the request line does not end in an HTTP version");
    if (text.data[5] != '1' || text.data[7] > '1')
        return refuse(reason, 505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here");
    *minor = text.data[7] - '0';
    return 0;
}

/* Cuts "http://authority" off an absolute target; true when there was one. */
static bool cut_authority(struct bytes *target, struct bytes *authority)
{
    size_t scheme = 0;
    if (target->len >= 7 && bytes_equal_ignoring_case(bytes_make(target->data, 7), "http://"))
        scheme = 7;
    else if (target->len >= 8 && bytes_equal_ignoring_case(bytes_make(target->data, 8), "https://"))
        scheme = 8;
    if (scheme == 0)
        return false;
    size_t end = scheme;
    while (end < target->len && target->data[end] != '/' && target->data[end] != '?')
        end++;
    *authority = bytes_make(target->data + scheme, end - scheme);
    *target = bytes_make(target->data + end, target->len - end);
    return true;
}

static int parse_target(struct bytes target, struct http1_head *head, struct notes *notes,
                        const char **reason)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.data[i] <= ' ' || target.data[i] >= 0x7f)
            return refuse(reason, 400, "the request target holds a byte that must be escaped");
    bool absolute = cut_authority(&target, &notes->authority);
    if (absolute && notes->authority.len == 0)
        return refuse(reason, 400, "the request target names no host");
    bool star = !absolute && bytes_equal_text(target, "*");
    bool rooted = target.len > 0 && (target.data[0] == '/' || (absolute && target.data[0] == '?'));
    if (!rooted && !star && !(absolute && target.len == 0))
        return refuse(reason, 400, "the request target is not a path");

    const uint8_t *mark = target.len > 0 ? memchr(target.data, '?', target.len) : NULL;
    size_t path_len = mark ? (size_t)(mark - target.data) : target.len;
    head->path = path_len > 0 ? bytes_make(target.data, path_len) : bytes_of("/");
    if (mark)
        head->query = bytes_make(mark + 1, target.len - path_len - 1);
    return 0;
}

static int parse_request_line(struct bytes line, struct http1_head *head, struct notes *notes,
                              const char **reason)
{
    const uint8_t *first = memchr(line.data, ' ', line.len);
    size_t method_len = first ? (size_t)(first - line.data) : 0;
    struct bytes method = bytes_make(line.data, method_len);
    if (!is_token(method) || method.len > 32)
        return refuse(reason, 400, "the request line does not start with a method");

    struct bytes rest = bytes_make(first + 1, line.len - method_len - 1);
    const uint8_t *second = rest.len > 0 ? memchr(rest.data, ' ', rest.len) : NULL;
    if (!second)
        return refuse(reason, 400, "the request line is not METHOD TARGET VERSION");
    size_t target_len = (size_t)(second - rest.data);
    int status =
        parse_version(bytes_make(second + 1, rest.len - target_len - 1), &head->minor, reason);
    if (status != 0)
        return status;
    head->method = method;
    return parse_target(bytes_make(rest.data, target_len), head, notes, reason);
}

static int parse_length(struct bytes value, struct http1_head *head, const char **reason)
{
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return refuse(reason, 400, "Content-Length is not a number");
        uint64_t digit = (uint64_t)(value.data[i] - '0');
        length = length > (UINT64_MAX - digit) / 10 ? UINT64_MAX : length * 10 + digit;
    }
    if (value.len == 0)
        return refuse(reason, 400, "Content-Length is empty");
    head->has_length = true;
    head->content_length = length;
    return 0;
}

/* The next element of a comma-separated list; false at the end. */
static bool next_element(struct bytes *list, struct bytes *element)
{
    if (list->len == 0)
        return false;
    const uint8_t *comma = memchr(list->data, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->data) : list->len;
    *element = trimmed(bytes_make(list->data, len));
    size_t used = comma ? len + 1 : len;
    *list = bytes_make(list->data + used, list->len - used);
    return true;
}

static int note_header(const struct http_header *header, struct http1_head *head,
                       struct notes *notes, const char **reason)
{
    struct bytes value = header->value, element;
    switch (header->name.len) { /* cheaper than comparing every name with every header */
    case 4:
        if (bytes_equal_ignoring_case(header->name, "host")) {
            notes->hosts++;
            notes->host = value;
        }
        break;
    case 6:
        if (bytes_equal_ignoring_case(header->name, "expect")) {
            head->expects_continue = bytes_equal_ignoring_case(value, "100-continue");
            notes->other_expectation |= !head->expects_continue;
        }
        break;
    case 10:
        if (bytes_equal_ignoring_case(header->name, "connection"))
            while (next_element(&value, &element)) {
                notes->close |= bytes_equal_ignoring_case(element, "close");
                notes->keep_alive |= bytes_equal_ignoring_case(element, "keep-alive");
            }
        break;
    case 14:
        if (bytes_equal_ignoring_case(header->name, "content-length")) {
            notes->lengths++;
            return parse_length(value, head, reason);
        }
        break;
    case 17:
        if (bytes_equal_ignoring_case(header->name, "transfer-encoding")) {
            notes->codings++;
            notes->coding = value;
        }
        break;
    default:
        break;
    }
    return 0;
}

static int parse_header(struct bytes line, struct http1_head *head, struct notes *notes,
                        const char **reason)
{
    if (is_space(line.data[0]))
        return refuse(reason, 400, "a header is folded over several lines");
    const uint8_t *colon = memchr(line.data, ':', line.len);
    size_t name_len = colon ? (size_t)(colon - line.data) : 0;
    struct http_header header = {.name = bytes_make(line.data, name_len)};
    if (!is_token(header.name))
        return refuse(reason, 400, "a header line is not NAME: VALUE");
    header.value = trimmed(bytes_make(colon + 1, line.len - name_len - 1));
    for (size_t i = 0; i < header.value.len; i++) {
        uint8_t c = header.value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return refuse(reason, 400, "a header holds a control character");
    }
    if (head->header_count == HTTP1_HEADERS)
        return refuse(reason, 431, "the request has too many headers");
    head->headers[head->header_count++] = header;
    return note_header(&header, head, notes, reason);
}

static bool is_host(struct bytes host)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("/\\@?#,<>\"", c))
            return false;
    }
    return true;
}

static int check_host(const struct http1_head *head, const struct notes *notes, const char **reason)
{
    if (notes->hosts > 1)
        return refuse(reason, 400, "the request has more than one Host");
    if (notes->hosts == 0 && head->minor == 1)
        return refuse(reason, 400, "the request has no Host");
    if (!is_host(notes->host) || !is_host(notes->authority))
        return refuse(reason, 400, "Host is not a host name");
    if (notes->authority.len > 0 && notes->hosts == 1 &&
        !bytes_equal(notes->authority, notes->host))
        return refuse(reason, 400, "the request target and Host name different hosts");
    return 0;
}

static int check_framing(struct http1_head *head, const struct notes *notes, const char **reason)
{
    if (notes->lengths > 1)
        return refuse(reason, 400, "the request has more than one Content-Length");
    if (notes->codings == 0)
        return 0;
    if (notes->lengths > 0)
        return refuse(reason, 400, "the request has both Content-Length and Transfer-Encoding");
    if (head->minor == 0)
        return refuse(reason, 400, "HTTP/1.0 has no Transfer-Encoding");
    if (notes->codings > 1)
        return refuse(reason, 400, "the request has more than one Transfer-Encoding");
    if (!bytes_equal_ignoring_case(notes->coding, "chunked"))
        return refuse(reason, 501, "the only transfer coding known here is chunked");
    head->is_chunked = true;
    return 0;
}

int http1_head_parse(struct bytes input, struct http1_head *head, const char **reason)
{
    struct notes notes = {0};
    head->method = head->path = head->query = bytes_make(NULL, 0);
    head->header_count = 0;
    head->minor = 1;
    head->is_chunked = head->has_length = head->keep_alive = head->expects_continue = false;
    head->content_length = 0;

    bool first = true;
    while (input.len > 0) {
        const uint8_t *end = memchr(input.data, '\n', input.len);
        size_t len = end ? (size_t)(end - input.data) : 0;
        if (!end || len == 0 || input.data[len - 1] != '\r')
            return refuse(reason, 400, "a line does not end in CR LF");
        struct bytes line = bytes_make(input.data, len - 1);
        input = bytes_make(end + 1, input.len - len - 1);
        if (line.len == 0)
            break;
        int status = first ? parse_request_line(line, head, &notes, reason)
                           : parse_header(line, head, &notes, reason);
        if (status != 0)
            return status;
        first = false;
    }
    if (first)
        return refuse(reason, 400, "the request is empty");
    int status = check_framing(head, &notes, reason);
    if (status == 0)
        status = check_host(head, &notes, reason);
    if (status == 0 && notes.other_expectation)
        status = refuse(reason, 417, "the only expectation known here is 100-continue");
    head->keep_alive = !notes.close && (head->minor == 1 || notes.keep_alive);
    head->expects_continue = head->expects_continue && head->minor == 1;
    return status;
}
