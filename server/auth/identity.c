#include "server/auth/identity.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static const char *const role_names[] = {
    [ROLE_VIEWER] = "viewer",
    [ROLE_ANALYST] = "analyst",
    [ROLE_AUDITOR] = "auditor",
    [ROLE_ADMIN] = "admin",
};

const char *role_name(enum control_role role)
{
    return role_names[role];
}

bool role_of_name(struct bytes name, enum control_role *out)
{
    for (int role = ROLE_VIEWER; role <= ROLE_ADMIN; role++) {
        if (bytes_equal_text(name, role_names[role])) {
            *out = (enum control_role)role;
            return true;
        }
    }
    return false;
}

bool email_normalise(struct bytes text, char out[CONTROL_EMAIL_BYTES])
{
    size_t at = 0, signs = 0;
    if (text.len < 3 || text.len >= CONTROL_EMAIL_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c <= ' ' || c == 127 || c == '"' || c == '<' || c == '>' || c == ',')
            return false;
        if (c == '@') {
            at = i;
            signs++;
        }
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    out[text.len] = '\0';
    return signs == 1 && at > 0 && at + 1 < text.len;
}

void source_of_address(const void *address, char out[SOURCE_BYTES])
{
    const struct sockaddr *any = address;
    snprintf(out, SOURCE_BYTES, "local");
    if (any && any->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out, SOURCE_BYTES);
    else if (any && any->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out, SOURCE_BYTES);
}
