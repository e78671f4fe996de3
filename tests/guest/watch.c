// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap as it looks from outside: "watch NAME [name=value...]".
 * Tracepoints and debugfs must tell the same as the pools do; and a write to what
 * is read-only for another reason must be the oops that it always was.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

#define TRACE_DIR "/sys/kernel/tracing/"
#define STATE "/sys/kernel/debug/vmemmap_shadow/state"

/* What the lines of one event add up to. */
struct sum {
	const char *name;
	unsigned long lines, folios, entries, ns, wrong;
};

/* Add up the trace. @order: that of the pages that the pool is made of. */
static void read_trace(struct sum *sums, int nr, unsigned int order)
{
	FILE *f = fopen(TRACE_DIR "trace", "r");
	char buf[512];

	if (!f)
		fatal("no trace: %s", strerror(errno));
	while (fgets(buf, sizeof(buf), f)) {
		for (int i = 0; i < nr; i++) {
			unsigned long pfn, entries, ns;
			unsigned int ord, folios;
			const char *p = strstr(buf, sums[i].name);

			if (!p || p[strlen(sums[i].name)] != ':')
				continue;
			sums[i].lines++;
			if (sscanf(p + strlen(sums[i].name),
				   ": pfn=0x%lx order=%u folios=%u entries=%lu ns=%lu",
				   &pfn, &ord, &folios, &entries, &ns) != 5 ||
			    !pfn || ord != order || !ns) {
				sums[i].wrong++;
				fail("a line of the trace: %s", buf);
				continue;
			}
			sums[i].folios += folios;
			sums[i].entries += entries;
			sums[i].ns += ns;
		}
	}
	fclose(f);
}

static void agree(const char *what, long got, long want)
{
	if (got != want)
		fail("%s: %ld, expected %ld", what, got, want);
}

/*
 * Fill a pool and free it, with the tracepoints on: pfn, order, entries and ns of
 * each line, and what they add up to. The twin leaves the tracepoints off.
 */
static int trace(void)
{
	static const char * const stat[] = {
		"folios optimized", "folios restored", "windows",
		"ns that windows were open", "entries stepped", "entries left unjoined",
	};
	struct sum sums[] = {
		{ .name = "vmemmap_shadow_optimize" },
		{ .name = "vmemmap_shadow_restore" },
		{ .name = "vmemmap_shadow_window" },
	};
	const struct sum *opt = &sums[0], *res = &sums[1], *win = &sums[2];
	const struct hstate *h = smallest();
	unsigned int order = __builtin_ctzl(h->size_kb / page_kb);
	long before[6], delta[6], pages;

	mount("tracefs", TRACE_DIR, "tracefs", 0, NULL);
	if (write_text(TRACE_DIR "events/vmemmap_shadow/enable", busted ? "0" : "1"))
		fatal("no tracepoints called vmemmap_shadow");
	write_text(TRACE_DIR "buffer_size_kb", "4096");
	/* Opened to be truncated, it is emptied. */
	close(open(TRACE_DIR "trace", O_WRONLY | O_TRUNC));
	for (int i = 0; i < 6; i++)
		before[i] = shadow_stat(stat[i]);
	pages = pool_set(h, pool_pages(h));
	check_freed("traced", pages, h);
	pool_set(h, 0);
	check_restored("traced");
	for (int i = 0; i < 6; i++)
		delta[i] = shadow_stat(stat[i]) - before[i];
	write_text(TRACE_DIR "events/vmemmap_shadow/enable", "0");
	read_trace(sums, 3, order);

	for (int i = 0; i < 3; i++) {
		line("# %s: %lu lines, %lu folios, %lu entries, %lu ns", sums[i].name, sums[i].lines,
		     sums[i].folios, sums[i].entries, sums[i].ns);
		if (!sums[i].lines)
			fail("no line of %s", sums[i].name);
	}
	agree("folios optimized, traced", opt->folios, pages);
	agree("folios optimized, counted", delta[0], pages);
	agree("entries optimized, traced", opt->entries, pages * nr_tails(h));
	agree("folios restored, traced", res->folios, pages);
	agree("folios restored, counted", delta[1], pages);
	agree("entries restored, traced", res->entries, pages * nr_tails(h));
	agree("windows", win->lines, delta[2]);
	agree("ns of windows", win->ns, delta[3]);
	agree("entries of windows", win->entries, opt->entries + res->entries);
	/* seal, join, open; or seal and join, part and open. */
	agree("entries stepped", delta[4],
	      (strcmp(at_rest(), "SHARED") ? 2 : 3) * (opt->entries + res->entries));
	agree("entries left unjoined", delta[5], 0);
	return 0;
}

static unsigned long shared_entries(const char *what, unsigned long *runs)
{
	unsigned long from, to, n, last = 0, total = 0, shared = 0;
	char state[16], last_state[16] = "";
	FILE *f = fopen(STATE, "r");
	char buf[256];

	if (!f)
		fatal(STATE ": %s", strerror(errno));
	*runs = 0;
	while (fgets(buf, sizeof(buf), f)) {
		if (sscanf(buf, "0x%lx-0x%lx %lu %15s", &from, &to, &n, state) != 4 ||
		    to < from || (to + 1 - from) / (page_kb * KB) != n) {
			fail("%s: a line of state: %s", what, buf);
			continue;
		}
		if (*runs && from <= last)
			fail("%s: runs overlap: %s", what, buf);
		if (*runs && from == last + 1 && !strcmp(state, last_state))
			fail("%s: two runs that are one: %s", what, buf);
		if (strcmp(state, "OWNED") && strcmp(state, at_rest()))
			fail("%s: at rest, but %s", what, buf);
		if (!strcmp(state, at_rest()))
			shared += n;
		total += n;
		last = to;
		strcpy(last_state, state);
		++*runs;
	}
	fclose(f);
	agree("entries of the vmemmap", total, known_kb() / page_kb * struct_page_size / KB / page_kb);
	return shared;
}

/*
 * debugfs state covers the vmemmap once, and has as many SHARED entries as the
 * pool's pages have tail entries. The twin expects one more.
 */
static int state(void)
{
	unsigned long runs, shared, want;
	const struct hstate *h = smallest();
	long pages;

	agree("SHARED entries, no pool", shared_entries("no pool", &runs), 0);
	pages = pool_set(h, pool_pages(h));
	check_freed("full", pages, h);
	shared = shared_entries("full", &runs);
	want = pages * nr_tails(h) + busted;
	line("# %ld pages of %lu kB: %lu runs, %lu SHARED entries", pages, h->size_kb, runs, shared);
	agree("SHARED entries, full", shared, want);
	agree("bytes saved now", shadow_stat("bytes saved now"), want * page_kb * KB);
	pool_set(h, 0);
	check_restored("freed");
	agree("SHARED entries, freed", shared_entries("freed", &runs), 0);
	agree("bytes saved now, freed", shadow_stat("bytes saved now"), 0);
	return 0;
}

/*
 * HVO is in use; LKDTM writes to memory that is read-only for another reason. Each
 * write must be an oops and the end of the process, and none of it the shadow
 * vmemmap's. The twin does not write.
 */
static int read_only(void)
{
	static const char * const what[] = { "WRITE_RO", "WRITE_RO_AFTER_INIT", "WRITE_KERN" };
	long recoveries = shadow_stat("write recoveries"), stale = shadow_stat("stale faults");
	const struct hstate *h = smallest();
	long pages = pool_set(h, pool_pages(h));

	check_freed("before", pages, h);
	/* An oops ends the process, not the guest. */
	write_text("/proc/sys/kernel/panic_on_oops", "0");
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(busted ? 0 : -write_text("/sys/kernel/debug/provoke-crash/DIRECT",
						       what[i]));
		waitpid(pid, &status, 0);
		if (!WIFSIGNALED(status))
			fail("%s: the write was let through, or there was none (%d)", what[i],
			     WEXITSTATUS(status));
		else
			line("# %s: signal %d", what[i], WTERMSIG(status));
	}
	write_text("/proc/sys/kernel/panic_on_oops", "1");
	agree("write recoveries", shadow_stat("write recoveries"), recoveries);
	agree("stale faults", shadow_stat("stale faults"), stale);
	pool_set(h, 0);
	check_restored("after the oopses");
	return 0;
}

/* name=NAME: the module /lib/NAME.ko is loaded. */
static int module(void)
{
	const char *name = option("name");
	char path[64];
	int fd;

	if (!name)
		fatal("no name");
	snprintf(path, sizeof(path), "/lib/%s.ko", name);
	fd = open(path, O_RDONLY);
	if (syscall(SYS_finit_module, fd, "", 0))
		fatal("%s: the module cannot be loaded: %s", path, strerror(errno));
	return 0;
}

static const struct one_case all[] = {
	{ "trace", trace },
	{ "state", state },
	{ "read-only", read_only },
	{ "module", module },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
