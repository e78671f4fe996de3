/* SPDX-License-Identifier: GPL-2.0 */
/* What programs that are made of cases share. */
#ifndef CASE_H
#define CASE_H

#include <sys/mman.h>

#include "hvo.h"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

/*
 * A program made of cases: "PROGRAM NAME [name=value...]". Each starts and ends
 * with the pools empty, unless it empties them itself, and the memmap counters
 * have to be back at start_kb then.
 */
struct one_case {
	const char *name;
	int (*run)(void);
};

int run_case(int argc, char **argv, const struct one_case *cases, size_t nr);

extern bool busted;		/* this is the twin */
extern long start_kb;		/* memmap_kb() when the case began */

/* "name=value" or "name" among the case's arguments, or NULL. */
const char *option(const char *name);
long number(const char *name, long otherwise);

/* The smallest and the largest size that HVO optimizes and that fit. */
const struct hstate *smallest(void);
const struct hstate *largest(void);

/* Pages of a size, mapped into this process but not touched yet. */
unsigned char *map_pages(const struct hstate *h, long pages);

/* So many pages gave back what they should; all was taken back. */
void check_freed(const char *what, long pages, const struct hstate *h);
void check_restored(const char *what);

#endif
