/* SPDX-License-Identifier: GPL-2.0 */
/* CPUs, memory and cpusets that come and go. */
#ifndef CHURN_H
#define CHURN_H

#include <linux/kernel-page-flags.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "case.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define CGROUP_DIR "/tmp/cgroup/"
#define MEMORY_DIR "/sys/devices/system/memory/"
#define HWPOISON_DIR "/sys/kernel/debug/hwpoison/"
#define MOVE_ALL 2	/* MPOL_MF_MOVE */
#define MAX_BLOCKS 64

/* Lockdep goes silent with its first report. A kernel without it has none. */
void check_lockdep(void);

/* Take CPU 1 off and bring it back; false where it does not go. */
bool cpu_off_on(void);

/* Mount the control groups, and turn a controller on for those that are made. */
bool have_controller(const char *name);
void to_group(const char *group, pid_t pid);
/* Two cpusets, with memory of node 0 and of node 1. */
void make_cpusets(void);
/* Move a process to another cpuset, or back, and change the nodes of both. */
void change_cpuset(pid_t pid, int i);

/* A command for QEMU's monitor. */
void monitor(const char *fmt, long value);
/* Does the memory that the kernel knows of become so much? */
bool memory_becomes(unsigned long kb, int seconds);
/* The file that a block of memory is taken off and brought back by. */
int open_block(unsigned long n);
/* The blocks of memory that came after boot: those that can be taken off. */
int added_blocks(unsigned long *block);

/* Every page of the mapping holds its own offset, and a salt. */
void write_all(unsigned char *p, unsigned long size, unsigned long salt);
bool holds_all(const unsigned char *p, unsigned long size, unsigned long salt);

/* Read the flags of every page there is; @look gets each page's. */
void each_page(void (*look)(uint64_t pfn, uint64_t flags));

/* Move a page of this process's to a node, all of it if it is a huge one. */
bool move_page(void *page, int node);

/* Heal what soft offline has taken out of use: pages that are nobody's. */
long unpoison_all(void);

/*
 * A pool that shrinks while surplus pages come and go leaves free ones as surplus now
 * and then, with HVO off, too: they become the pool's own again, then go.
 */
void empty_pool(const struct hstate *h);

#endif
