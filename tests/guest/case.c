// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"

static int nr_args;
static char **args;
bool busted;
long start_kb;

const char *option(const char *name)
{
	return arg(nr_args, args, name);
}

long number(const char *name, long otherwise)
{
	const char *v = option(name);

	return v ? strtol(v, NULL, 10) : otherwise;
}

const struct hstate *smallest(void)
{
	const struct hstate *h = NULL;

	for (int i = 0; i < nr_hstates; i++)
		if (hstates[i].saved_kb && pool_pages(&hstates[i]))
			h = &hstates[i];
	if (!h)
		fatal("no huge page that HVO optimizes fits into this guest");
	return h;
}

const struct hstate *largest(void)
{
	for (int i = 0; i < nr_hstates; i++)
		if (hstates[i].saved_kb && pool_pages(&hstates[i]))
			return &hstates[i];
	fatal("no huge page that HVO optimizes fits into this guest");
}

void check_freed(const char *what, long pages, const struct hstate *h)
{
	long want = pages * (long)h->saved_kb, freed = start_kb - memmap_kb_settled(start_kb - want);

	if (pages < 1)
		fail("%s: no page of %lu kB", what, h->size_kb);
	if (freed != want)
		fail("%s: %ld pages of %lu kB freed %ld kB, expected %ld", what, pages,
		     h->size_kb, freed, want);
}

void check_restored(const char *what)
{
	long now = memmap_kb_settled(start_kb);

	if (now != start_kb)
		fail("%s: the vmemmap has %ld kB, it had %ld", what, now, start_kb);
	if (huge_kb())
		fail("%s: %ld kB of huge pages are left", what, huge_kb());
}

int run_case(int argc, char **argv, const struct one_case *cases, size_t nr)
{
	if (argc < 2)
		fatal("usage: %s NAME [name=value...]", argv[0]);
	nr_args = argc;
	args = argv;
	busted = arg(argc, argv, "busted");
	hvo_init();
	for (size_t i = 0; i < nr; i++) {
		int rc;

		if (strcmp(argv[1], cases[i].name))
			continue;
		start_kb = memmap_kb();
		rc = cases[i].run();
		if (rc)
			return rc;
		check_restored("at the end");
		return bad ? CASE_FAIL : CASE_OK;
	}
	fatal("no case is called %s", argv[1]);
}

unsigned char *map_pages(const struct hstate *h, long pages)
{
	unsigned long size = h->size_kb * KB;
	unsigned char *p = mmap(NULL, pages * size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
				(__builtin_ctzl(size) << MAP_HUGE_SHIFT), -1, 0);

	if (p == MAP_FAILED)
		fatal("mmap of %ld pages of %lu kB: %s", pages, h->size_kb, strerror(errno));
	return p;
}
