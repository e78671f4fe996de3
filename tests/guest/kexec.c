// SPDX-License-Identifier: GPL-2.0
/*
 * A reboot that leaves memory as it was: "kexec [boots=N] [busted]". The kernel comes
 * from /boot, the initramfs from /sys/firmware/initrd (retain_initrd).
 *
 * The vmemmap of a gigantic page that the command line asks for is initialised in the
 * head's page only: elsewhere lies what the kernel before left there. In the first boot
 * and in each second one HVO is off, and all of that memory in another zone: struct
 * pages that look like the tails of just that page, and are not quite. The others have
 * HVO on, and give back all that there is, each of them.
 *
 * The command line has kexec_boot=1 hugetlb_free_vmemmap=off movablecore=SIZE in the
 * beginning. The twin takes one page from what the last boot gave back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"

#define IMAGE "/boot/Image"
#define INITRD "/sys/firmware/initrd"

static char cmdline[4096], next[4096];

/* The initramfs in a file of its own: that of sysfs cannot be read by the kernel. */
static int initrd_file(void)
{
	static char buf[1 << 16];
	int from = open(INITRD, O_RDONLY), to = memfd_create("initrd", 0);
	ssize_t n;

	if (from < 0 || to < 0)
		fatal(INITRD ": %s", strerror(errno));
	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			fatal("memfd: %s", strerror(errno));
	close(from);
	return to;
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* The next boot's command line: HVO is on in each second one. */
static void next_cmdline(long boot)
{
	bool on = boot % 2 == 0;
	size_t n = 0;

	for (char *p = strtok(cmdline, " \n"); p; p = strtok(NULL, " \n")) {
		char buf[64];

		if (begins(p, "kexec_boot=")) {
			snprintf(buf, sizeof(buf), "kexec_boot=%ld", boot);
			p = buf;
		} else if (begins(p, "hugetlb_free_vmemmap=")) {
			p = on ? "hugetlb_free_vmemmap=on" : "hugetlb_free_vmemmap=off";
		} else if (begins(p, "movablecore=") && on) {
			/* A name that the kernel does not know. */
			snprintf(buf, sizeof(buf), "was_%s", p);
			p = buf;
		} else if (begins(p, "was_movablecore=") && !on) {
			p += 4;
		}
		n += snprintf(next + n, sizeof(next) - n, "%s%s", n ? " " : "", p);
	}
}

int main(int argc, char **argv)
{
	const char *last = arg(argc, argv, "boots");
	long boots = last ? atol(last) : 6, boot, saved, want;
	int image, initrd, fd = open("/proc/cmdline", O_RDONLY);
	const char *p;

	hvo_init();
	if (read(fd, cmdline, sizeof(cmdline) - 1) <= 0)
		fatal("/proc/cmdline: %s", strerror(errno));
	close(fd);
	p = strstr(cmdline, "kexec_boot=");
	if (!p)
		fatal("no kexec_boot on the command line");
	boot = atol(p + 11);
	want = boot % 2 ? 0 : huge_kb() / largest()->size_kb * largest()->saved_kb * KB;
	saved = shadow_stat("bytes saved now");
	if (arg(argc, argv, "busted") && boot == boots)
		saved -= page_kb * KB;
	line("# boot %ld: HVO %s, %ld kB of huge pages, %ld bytes saved, %ld folios refused", boot,
	     boot % 2 ? "off" : "on", huge_kb(), saved,
	     shadow_stat("folios refused, tail not plain"));
	if (!huge_kb() && page_kb != 4)
		return CASE_SKIP;
	if (!huge_kb())
		fatal("boot %ld: no huge page", boot);
	if (saved != want)
		fatal("boot %ld gave back %ld bytes, expected %ld", boot, saved, want);
	if (boot >= boots)
		return CASE_OK;

	next_cmdline(boot + 1);
	image = open(IMAGE, O_RDONLY);
	initrd = initrd_file();
	if (image < 0)
		fatal(IMAGE ": %s", strerror(errno));
	if (syscall(SYS_kexec_file_load, image, initrd, strlen(next) + 1, next, 0))
		fatal("kexec_file_load: %s", strerror(errno));
	reboot(RB_KEXEC);
	fatal("no reboot: %s", strerror(errno));
}
