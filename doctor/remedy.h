/*
 * What a person types to put something right, on each operating system. The
 * system is an argument, so that every system's words are tested on any.
 *
 * On Windows a command works in cmd and in PowerShell alike: no "&&", no
 * %NAME%, paths with backslashes in double quotes, groups by their numbers,
 * since their names are translated there.
 */
#ifndef DOCTOR_REMEDY_H
#define DOCTOR_REMEDY_H

enum remedy_system { REMEDY_LINUX, REMEDY_MACOS, REMEDY_WINDOWS, REMEDY_SYSTEMS };

/* The one this program runs on. */
enum remedy_system remedy_here(void);

/* The subject is a path unless something else is said. */
enum remedy {
    REMEDY_REMOVE_FILE,
    REMEDY_REMOVE_FOLDER, /* an empty one */
    REMEDY_RENAME,        /* to its name with ".old" */
    REMEDY_LET_ALL_READ_FILE,
    REMEDY_LET_ALL_READ_FOLDER,
    REMEDY_LET_OWNER_READ,
    REMEDY_KEEP_FROM_OTHERS, /* a secret's file */
    REMEDY_LET_ONLY_OWNER_WRITE,
    REMEDY_GIVE_TO_ADMINISTRATOR,
    REMEDY_GIVE_TO_SERVICE, /* a folder and all that is in it; `whom`: "UID:GID" */
    REMEDY_LET_OWNER_IN,    /* the same */
    REMEDY_SET_CLOCK,       /* no subject */
    REMEDY_LIST_LISTENERS,  /* no subject */
    REMEDY_LOOK_AT_DISK,
    REMEDY_SHOW_FREE_SPACE,
    REMEDY_SHOW_LOG, /* of the service; subject: the agent's configuration folder */
    REMEDY_TRUST_AUTHORITY,
    REMEDY_UNSET,       /* a sentence; subject: the name of a variable of the environment */
    REMEDY_ALLOW_START, /* of the service, that was forbidden; no subject */
    REMEDY_GET_RIGHTS,  /* "run it with sudo"; no subject */
    REMEDY_COUNT
};

enum { REMEDY_BYTES = 900 };

/* The words, cut where they do not fit. `subject` and `whom` may be NULL where the remedy has none. */
const char *remedy_words(enum remedy_system system, enum remedy which, const char *subject,
                         const char *whom, char out[REMEDY_BYTES]);

/* The same for the system that this program runs on. */
const char *remedy(enum remedy which, const char *subject, char out[REMEDY_BYTES]);

/* Who may do what takes rights, here: "root", "an administrator". */
const char *remedy_who(void);

#endif
