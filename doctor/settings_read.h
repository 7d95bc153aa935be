/* How a view is filled: documents and their variables. For the two files of the view only. */
#ifndef DOCTOR_SETTINGS_READ_H
#define DOCTOR_SETTINGS_READ_H

#include "doctor/settings_view.h"

/* Adds an empty document; the view owns it. */
struct view_document *view_add_document(struct settings_view *view, enum view_layer layer,
                                        const char *path);
/* Adds a variable, both texts copied. Names that do not concern telemetry are passed over. */
void view_add_entry(struct settings_view *view, struct view_document *document, struct bytes name,
                    const char *value, unsigned line);

/* Reads a settings file (JSON, or a property list) and its `env`. */
void view_read_settings(struct settings_view *view, enum view_layer layer, const char *path,
                        uint32_t uid, uint32_t gid, const struct fs *fs);

/* Reads the policy that Windows keeps in a hive ("HKEY_LOCAL_MACHINE"), where there is one. */
void view_read_policy(struct settings_view *view, enum view_layer layer, const char *hive,
                      const char *root, const struct fs *fs);

/* Shell start-up files, /etc/environment and their like; weakest first. */
void view_read_profiles(struct settings_view *view, const char *root, const char *home,
                        const struct fs *fs);

/* NAME=VALUE lines, each followed by a NUL. */
void view_read_environment(struct settings_view *view, const char *where, struct bytes environment);

#endif
