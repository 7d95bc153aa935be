/* The word somebody probably meant. */
#ifndef CORE_CONFIG_NEAREST_H
#define CORE_CONFIG_NEAREST_H

#include <stddef.h>

/*
 * Edit distance with neighbours swapped counting once (optimal string
 * alignment). Looks at the first 96 bytes of each.
 */
size_t config_distance(const char *a, const char *b);

/*
 * How far the dotted path `typed` is from `valid`: as a whole, or by its last
 * word when it stands at the wrong level ("max_mb" for "relay.spool.max_mib").
 */
size_t config_path_distance(const char *typed, const char *valid);

#endif
