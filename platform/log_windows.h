/* Where a Windows service's standard error goes. For this folder only. */
#ifndef PLATFORM_LOG_WINDOWS_H
#define PLATFORM_LOG_WINDOWS_H

/*
 * From now on, standard error is <configuration>\log\agent.log, which administrators may read; one
 * that has grown large becomes agent.log.1, at once and looked at every hour. Does nothing where
 * the file cannot be made.
 */
void log_to_file(void);

/* What was logged last, some lines, below the name of the file. The caller frees. */
char *log_end(void);

#endif
