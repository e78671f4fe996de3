// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own selftests about huge pages, of /selftests/list, each as a process of
 * its own: "selftests [only=NAME] [busted]". A line of the list is
 *
 *	NAME LIMIT TRIES POOL COMMAND
 *
 * with the seconds that it may take, how often it is tried until it passes, the pools
 * that it wants ("2M=128,1G=1"; "-" none, "own" makes them itself) and a command for the
 * shell in /selftests. Before and after, all pools are empty. What is written here:
 *
 *	test NAME TRY
 *	| LINE			of what it wrote
 *	end NAME exit=N|signal=N|limit=N seconds=S optimized=N leaked_kb=N kept=N short=N
 *
 * with the folios that HVO optimized meanwhile, the memmap that did not come back, the
 * huge pages that cannot be freed (for a memory error, say; their memmap is not missed)
 * and the pages that the pools did not get. It is not judged here. With "busted" the pools
 * stay empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "hvo.h"

#define DIR_TESTS "/selftests"
#define CGROUP "/sys/fs/cgroup"

struct test {
	char name[64], pool[64];
	int limit, tries, at;
};

/* What the tests find: the commands of busybox, a disk, control groups. */
static void set_up(void)
{
	if (system("/bin/busybox --install -s /bin && mke2fs -F /dev/ram0 >/dev/null"))
		fatal("busybox or the disk cannot be set up");
	mkdir("/mnt", 0755);
	/* For bash's <(COMMAND). */
	if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
		fatal("/dev/fd: %s", strerror(errno));
	if (mount("/dev/ram0", "/tmp", "ext2", 0, NULL) || chmod("/tmp", 01777))
		fatal("mount /tmp: %s", strerror(errno));
	mkdir("/dev/pts", 0755);
	if (mount("devpts", "/dev/pts", "devpts", 0, NULL) && errno != EBUSY)
		fatal("mount /dev/pts: %s", strerror(errno));
	if (mount("cgroup2", CGROUP, "cgroup2", 0, NULL))
		fatal("mount " CGROUP ": %s", strerror(errno));
	if (write_text(CGROUP "/cgroup.subtree_control", "+memory +hugetlb"))
		fatal("no control of huge pages in " CGROUP);
	setenv("PATH", DIR_TESTS "/tools:/bin", 1);
	if (chdir(DIR_TESTS))
		fatal(DIR_TESTS ": %s", strerror(errno));
}

/* All pools empty, whatever a test that was stopped has left. */
static void reset_pools(void)
{
	umount2("/mnt/huge", MNT_DETACH);
	for (int i = 0; i < nr_hstates; i++) {
		hstate_set(&hstates[i], "nr_overcommit_hugepages", 0);
		pool_set(&hstates[i], 0);
	}
}

/* The huge pages that are there, and what HVO saves with these. */
static long kept_pages(long *saved_kb)
{
	bool on = read_long("/proc/sys/vm/hugetlb_optimize_vmemmap") == 1;
	long pages = 0;

	*saved_kb = 0;
	for (int i = 0; i < nr_hstates; i++) {
		long n = hstate_get(&hstates[i], "nr_hugepages");

		pages += n;
		*saved_kb += on ? n * hstates[i].saved_kb : 0;
	}
	return pages;
}

/* "2M=128,1G=1", largest first is best; how many pages are missing. */
static long fill_pools(const char *spec)
{
	char buf[64], *save, *p;
	long missing = 0;

	snprintf(buf, sizeof(buf), "%s", spec);
	for (p = strtok_r(buf, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		unsigned long size, pages;
		const struct hstate *h;
		char unit;

		if (sscanf(p, "%lu%c=%lu", &size, &unit, &pages) != 3)
			fatal("%s is no pool", p);
		size <<= unit == 'G' ? 20 : unit == 'M' ? 10 : 0;
		h = hstate_find(size);
		if (!h)
			fatal("there are no huge pages of %lu KiB", size);
		missing += pages - pool_set(h, pages);
	}
	return missing;
}

/* One line of a test's output; does it say that something failed? */
static bool say_output(char *buf)
{
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < ' ' && *p != '\t')
			*p = ' ';
	line("| %s", buf);
	return !strncmp(buf, "not ok", 6);
}

/* Pass on what comes from @fd until it ends, or until @end; false: too late. */
static bool pass_on(int fd, double end, bool *failed)
{
	static char buf[4096];
	size_t len = 0;
	bool late = false;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		double left = end - now_ms();
		char *nl;
		ssize_t n;

		if (left <= 0 || poll(&p, 1, left) == 0) {
			late = true;
			break;
		}
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		if (n <= 0)
			break;
		len += n;
		buf[len] = '\0';
		while ((nl = memchr(buf, '\n', len)) || len == sizeof(buf) - 1) {
			size_t used = nl ? (size_t)(nl - buf) + 1 : len;

			if (nl)
				*nl = '\0';
			*failed |= say_output(buf);
			len -= used;
			memmove(buf, buf + used, len + 1);
		}
	}
	if (len) {
		buf[len] = '\0';
		*failed |= say_output(buf);
	}
	return !late;
}

/*
 * A terminal for a test to write to, so that it buffers no more than a line, which would
 * be lost when it aborts. Returns our end and sets @slave.
 */
static int open_terminal(int *slave)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (fd < 0 || grantpt(fd) || unlockpt(fd))
		fatal("no terminal: %s", strerror(errno));
	*slave = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0 || tcgetattr(*slave, &raw))
		fatal("%s: %s", ptsname(fd), strerror(errno));
	cfmakeraw(&raw);
	tcsetattr(*slave, TCSANOW, &raw);
	return fd;
}

/* Run it in a session of its own, which is gone afterwards; did it pass? */
static bool run_once(const struct test *t, const char *command, char *how, size_t size)
{
	bool failed = false, in_time;
	int slave, fd = open_terminal(&slave), status = 0;
	pid_t pid = fork();

	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		setsid();
		dup2(null, 0);
		dup2(slave, 1);
		dup2(slave, 2);
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	close(slave);
	in_time = pass_on(fd, now_ms() + t->limit * 1e3, &failed);
	if (!in_time)
		kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* What it has left behind holds huge pages. */
	kill(-pid, SIGKILL);
	close(fd);
	if (!in_time)
		snprintf(how, size, "limit=%d", t->limit);
	else if (WIFSIGNALED(status))
		snprintf(how, size, "signal=%d", WTERMSIG(status));
	else
		snprintf(how, size, "exit=%d", WEXITSTATUS(status));
	return in_time && !failed && WIFEXITED(status) &&
	       (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 4);
}

static void run_test(const struct test *t, const char *command, bool busted)
{
	bool passed = false;

	for (int try = 1; try <= t->tries && !passed; try++) {
		long kb, kept, saved, saved_then, optimized, missing = 0;
		char how[32];
		double start;
		FILE *log;

		compact();
		kb = memmap_kb();
		kept = kept_pages(&saved);
		optimized = shadow_stat("folios optimized");
		if (!busted && strcmp(t->pool, "-") && strcmp(t->pool, "own"))
			missing = fill_pools(t->pool);
		log = fopen("/dev/kmsg", "w");
		if (log) {
			fprintf(log, "selftests: %s, try %d\n", t->name, try);
			fclose(log);
		}
		line("test %s %d", t->name, try);
		start = now_ms();
		passed = run_once(t, command, how, sizeof(how));
		start = now_ms() - start;
		reset_pools();
		kept = kept_pages(&saved_then) - kept;
		kb += saved - saved_then;
		kb -= memmap_kb_settled(kb);
		optimized = shadow_stat("folios optimized") - optimized;
		line("end %s %s seconds=%.1f optimized=%ld leaked_kb=%ld kept=%ld short=%ld",
		     t->name, how, start / 1e3, optimized, kb, kept, missing);
	}
}

int main(int argc, char **argv)
{
	const char *only = arg(argc, argv, "only");
	char buf[1024];
	long nr = 0;
	FILE *f;

	hvo_init();
	set_up();
	reset_pools();
	f = fopen("list", "re");
	if (!f)
		fatal("no list of tests");
	while (fgets(buf, sizeof(buf), f)) {
		struct test t;

		buf[strcspn(buf, "\n")] = '\0';
		if (sscanf(buf, "%63s %d %d %63s %n", t.name, &t.limit, &t.tries, t.pool,
			   &t.at) != 4)
			fatal("%s is no test", buf);
		if (only && strcmp(only, t.name))
			continue;
		run_test(&t, buf + t.at, arg(argc, argv, "busted"));
		nr++;
	}
	fclose(f);
	if (!nr)
		fatal("no test has run");
	return bad ? CASE_FAIL : CASE_OK;
}
