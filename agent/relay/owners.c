#include "agent/relay/owners.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/http/server.h"
#include "platform/platform.h"
#include "platform/socket.h"

enum { REMEMBERED = 64 };

/* Two servers number their connections alike, but have different addresses. */
struct known {
    uint64_t connection; /* 0: free */
    struct socket_address local, remote;
    uint32_t uid;
};

struct owners {
    struct known known[REMEMBERED];
};

struct owners *owners_create(void)
{
    return xcalloc(1, sizeof(struct owners));
}

void owners_destroy(struct owners *owners)
{
    free(owners);
}

bool owners_find(struct owners *owners, const struct http_request *request, uint32_t *uid)
{
    struct known *k = &owners->known[request->connection % REMEMBERED];
    if (k->connection == request->connection &&
        memcmp(&k->local, request->local_address, sizeof k->local) == 0 &&
        memcmp(&k->remote, request->remote_address, sizeof k->remote) == 0) {
        *uid = k->uid;
        return true;
    }
    struct platform_socket_owner owner;
    struct error ignored;
    if (!platform_socket_owner(request->local_address, request->remote_address, &owner, &ignored))
        return false;
    k->connection = request->connection;
    memcpy(&k->local, request->local_address, sizeof k->local);
    memcpy(&k->remote, request->remote_address, sizeof k->remote);
    k->uid = *uid = owner.uid;
    return true;
}
