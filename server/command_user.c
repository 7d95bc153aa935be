/* user: who may ask. All work beside a running server. */
#include <stdio.h>
#include <string.h>

#include "core/crypto/crypto.h"
#include "platform/platform.h"
#include "server/auth/identity.h"
#include "server/auth/login.h"
#include "server/command_list.h"

/* The whole of standard input but one line end. */
static bool read_password(char out[LOGIN_MAX_PASSWORD_BYTES + 2], struct error *err)
{
    size_t len = fread(out, 1, LOGIN_MAX_PASSWORD_BYTES + 1, stdin);
    if (len > 0 && out[len - 1] == '\n')
        len--;
    if (len > 0 && out[len - 1] == '\r')
        len--;
    out[len] = '\0';
    if (strlen(out) == len && len >= LOGIN_MIN_PASSWORD_BYTES && len <= LOGIN_MAX_PASSWORD_BYTES)
        return true;
    error_set(err, FAIL_INVALID, "a password has %d to %d characters", LOGIN_MIN_PASSWORD_BYTES,
              LOGIN_MAX_PASSWORD_BYTES);
    return error_remedy(err, "write a longer one to standard input, alone");
}

static bool describe_user(const struct options *o, struct control_user *user, struct error *err)
{
    char password[LOGIN_MAX_PASSWORD_BYTES + 2];
    *user = (struct control_user){.created_ns = clock_wall_ns(&platform_clock)};
    if (!o->email || !email_normalise(bytes_of(o->email), user->email)) {
        error_set(err, FAIL_INVALID, "--email must be an e-mail address");
        return error_remedy(err, "write for example --email alice@example.com");
    }
    if (!o->role || !role_of_name(bytes_of(o->role), &user->role)) {
        error_set(err, FAIL_INVALID, "--role is missing or not one there is");
        return error_remedy(err, "give --role viewer, analyst, auditor or admin");
    }
    if (!o->password_stdin) {
        error_set(err, FAIL_INVALID, "no password given");
        return error_remedy(err, "write it to standard input and give --password-stdin");
    }
    bool done = read_password(password, err) &&
                crypto_password_hash(password, user->password, sizeof user->password, err);
    memset(password, 0, sizeof password);
    return done;
}

int command_user_create(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_user user;
    if (!describe_user(o, &user, &err))
        return command_fail(&err);
    struct control_store *store = command_open_control(s, &err);
    bool done = store && store->kind->user_create(store, &user, &err) &&
                command_note(store, "user.create", user.email, &err);
    if (done && o->json)
        printf("{\"email\":\"%s\",\"role\":\"%s\"}\n", user.email, role_name(user.role));
    else if (done)
        printf("created user '%s' as %s\n", user.email, role_name(user.role));
    return command_finish(store, done, &err);
}

static bool put_user(void *context, const struct control_user *user)
{
    struct list *l = context;
    struct json_writer *w = &l->writer;
    char day[INSTANT_DAY_BYTES];
    if (!l->json)
        return buffer_append_format(&l->out, "%-40s %-8s created %s\n", user->email,
                                    role_name(user->role), list_day(user->created_ns, day));
    json_object_open(w);
    json_put_key(w, "email");
    json_put_string(w, user->email);
    json_put_key(w, "role");
    json_put_string(w, role_name(user->role));
    json_put_key(w, "createdAt");
    json_put_time(w, user->created_ns);
    json_object_close(w);
    return json_writer_ok(w);
}

int command_user_list(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct list l;
    struct control_store *store = command_open_control(s, &err);
    bool done =
        store && store->kind->user_list(store, put_user, list_open(&l, o->json, true), &err);
    if (done)
        list_print(&l);
    return command_finish(store, done, &err);
}

/* ---- Changing one ---- */

/* The user that --email names. */
static bool find_user(struct control_store *store, const struct options *o,
                      struct control_user *user, struct error *err)
{
    char email[CONTROL_EMAIL_BYTES];
    if (!o->email || !email_normalise(bytes_of(o->email), email)) {
        error_set(err, FAIL_INVALID, "--email must be an e-mail address");
        return error_remedy(err, "write for example --email alice@example.com");
    }
    if (store->kind->user_find(store, email, user, err))
        return true;
    if (err->kind == FAIL_NOT_FOUND)
        error_remedy(err, "`" PROGRAM " user list` shows whom there is");
    return false;
}

static int finish_change(struct control_store *store, bool done, const struct options *o,
                         const struct control_user *user, const char *what, const struct error *err)
{
    if (done && o->json)
        printf("{\"email\":\"%s\",\"role\":\"%s\"}\n", user->email, role_name(user->role));
    else if (done)
        printf("%s '%s'\n", what, user->email);
    return command_finish(store, done, err);
}

int command_user_role(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_user user;
    enum control_role role;
    char subject[CONTROL_EMAIL_BYTES + 16];
    if (!o->role || !role_of_name(bytes_of(o->role), &role)) {
        error_set(&err, FAIL_INVALID, "--role is missing or not one there is");
        error_remedy(&err, "give --role viewer, analyst, auditor or admin");
        return command_fail(&err);
    }
    struct control_store *store = command_open_control(s, &err);
    bool done = store && find_user(store, o, &user, &err);
    if (done) {
        user.role = role;
        snprintf(subject, sizeof subject, "%s %s", user.email, role_name(role));
        done = command_note(store, "user.role", subject, &err) &&
               store->kind->user_update(store, &user, &err);
    }
    return finish_change(store, done, o, &user, "changed the role of", &err);
}

int command_user_password(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_user user;
    char password[LOGIN_MAX_PASSWORD_BYTES + 2];
    if (!o->password_stdin) {
        error_set(&err, FAIL_INVALID, "no password given");
        error_remedy(&err, "write it to standard input and give --password-stdin");
        return command_fail(&err);
    }
    struct control_store *store = command_open_control(s, &err);
    bool done = store && find_user(store, o, &user, &err) && read_password(password, &err) &&
                crypto_password_hash(password, user.password, sizeof user.password, &err);
    memset(password, 0, sizeof password);
    user.valid_from_ns = clock_wall_ns(&platform_clock);
    done = done && command_note(store, "user.password", user.email, &err) &&
           store->kind->user_update(store, &user, &err) &&
           store->kind->session_end_all(store, user.email, &err);
    return finish_change(store, done, o, &user, "changed the password of", &err);
}

int command_user_logout(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_user user;
    struct control_store *store = command_open_control(s, &err);
    bool done = store && find_user(store, o, &user, &err);
    user.valid_from_ns = clock_wall_ns(&platform_clock);
    done = done && command_note(store, "user.logout", user.email, &err) &&
           store->kind->user_update(store, &user, &err) &&
           store->kind->session_end_all(store, user.email, &err);
    return finish_change(store, done, o, &user, "logged out", &err);
}

int command_user_delete(const struct options *o, const struct settings *s)
{
    struct error err = {0};
    struct control_user user;
    struct control_store *store = command_open_control(s, &err);
    bool done = store && find_user(store, o, &user, &err) &&
                command_note(store, "user.delete", user.email, &err) &&
                store->kind->user_remove(store, user.email, &err);
    return finish_change(store, done, o, &user, "deleted user", &err);
}
