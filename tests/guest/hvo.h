/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest's programs share: HugeTLB sysfs, the memmap counters, time. */
#ifndef HVO_H
#define HVO_H

#include <stdbool.h>
#include <stddef.h>

#define KB 1024UL
#define MAX_HSTATES 8

struct hstate {
	unsigned long size_kb;
	unsigned long saved_kb;		/* what HVO frees for one page, 0: nothing */
};

extern struct hstate hstates[MAX_HSTATES];	/* largest first */
extern int nr_hstates;
extern unsigned long page_kb;
extern unsigned long struct_page_size;		/* see hvo_init() */
extern unsigned long mem_kb;			/* memory the kernel was given */

/* Read the facts of this machine; to be called once, before any pool is filled. */
void hvo_init(void);

long read_long(const char *path);
int write_text(const char *path, const char *text);
int write_long(const char *path, long value);

long vmstat(const char *name);
/* nr_memmap_pages + nr_memmap_boot_pages, in KiB. */
long memmap_kb(void);
/*
 * The same, waiting for it to become @want until it has not moved for 3 s: pages
 * that a process frees are restored by a worker, and some that it allocates are
 * optimized by one, a second or two later.
 */
long memmap_kb_settled(long want);

long hstate_get(const struct hstate *h, const char *file);
int hstate_set(const struct hstate *h, const char *file, long value);
struct hstate *hstate_find(unsigned long size_kb);
/* Ask for @pages pages in the pool; the number that is there afterwards. */
long pool_set(const struct hstate *h, long pages);
/* How many pages of this size a pool should have here; 0: they do not fit. */
long pool_pages(const struct hstate *h);
/* Split all free pages of @from to pages of @to. */
int pool_demote(const struct hstate *from, const struct hstate *to);
/* KiB of huge pages that exist, of all sizes. */
long huge_kb(void);

/* KiB of memory that the kernel knows of, hot-added memory included. */
unsigned long known_kb(void);
/* A value of /proc/meminfo; -1 when it is not there. */
long meminfo_kb(const char *name);
/* A value of debugfs vmemmap_shadow/stats. */
long shadow_stat(const char *name);
/* The state of an entry that is given back: without fake heads it stays read-only. */
const char *at_rest(void);
/* Tail entries of a page of this size. */
unsigned long nr_tails(const struct hstate *h);

/* The virtio-serial port of that name, which may come up a moment after us; or -1. */
int open_port(const char *name, int flags);
void compact(void);
void pin(int cpu);
double now_ms(void);
/* "name=value" or "name" among the arguments; NULL when it is not there. */
const char *arg(int argc, char **argv, const char *name);

/* printf() of one line to stdout, flushed: it is on the channel at once. */
void line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same as a diagnostic line, and remember in @bad that the case failed. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, and end the case. */
void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

extern bool bad;

/* Exit codes of a case. */
#define CASE_OK 0
#define CASE_FAIL 1
#define CASE_SKIP 4

#endif
