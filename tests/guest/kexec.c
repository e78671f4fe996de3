// SPDX-License-Identifier: GPL-2.0
/*
 * A reboot that leaves memory as it was: "kexec [boots=N] [busted]". The kernel comes
 * from /boot, the initramfs from /sys/firmware/initrd (retain_initrd). What each boot
 * found goes to the next one on the command line, as kexec_had=A:B:...
 *
 * The vmemmap of a gigantic page that the command line asks for is initialised in the
 * head's page only: elsewhere lies what the kernel before left there. Each boot has to
 * give back as much as the first.
 *
 * The twin changes what the last boot found.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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
#define MEMORY_DIR "/sys/devices/system/memory/"
#define KPF_COMP_HEAD	15
#define KPF_HUGE	17

static char cmdline[4096], next[8192];

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

/* Where the struct page of the pool's largest page is. */
static unsigned long head_of_pool(void)
{
	const uint64_t want = 1UL << KPF_HUGE | 1UL << KPF_COMP_HEAD;
	FILE *state = fopen("/sys/kernel/debug/vmemmap_shadow/state", "r");
	FILE *size = fopen(MEMORY_DIR "block_size_bytes", "r");
	unsigned long first, block, lowest;
	int fd = open("/proc/kpageflags", O_RDONLY);
	char path[64];
	uint64_t flags;

	/* The first entry of all describes the first block of memory. */
	if (!state || fscanf(state, "0x%lx", &first) != 1 || !size ||
	    fscanf(size, "%lx", &block) != 1)
		fatal("vmemmap_shadow/state: %s", strerror(errno));
	fclose(state);
	fclose(size);
	for (lowest = 0; lowest < 4096; lowest++) {
		snprintf(path, sizeof(path), MEMORY_DIR "memory%lu", lowest);
		if (!access(path, F_OK))
			break;
	}
	lowest *= block / (page_kb * KB);
	for (unsigned long pfn = 0; pread(fd, &flags, 8, pfn * 8) == 8;
	     pfn += largest()->size_kb / page_kb) {
		if ((flags & want) != want)
			continue;
		close(fd);
		return first + (pfn - lowest) * struct_page_size;
	}
	fatal("no page of %lu kB", largest()->size_kb);
}

/*
 * Struct pages that are none, in all memory that is free: what the next kernel finds.
 * Each says that it is a tail of the pool's page, and holds what no tail holds.
 */
static void leave_traces(void)
{
	const unsigned long word[] = { 0xa5a5, head_of_pool() + 1, 3, 4, 5, 0x7ffffffff, 7, 8 };
	unsigned long bytes = (meminfo_kb("MemFree") - 64 * KB) * KB;
	unsigned char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	if (p == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	for (unsigned long i = 0; i + sizeof(word) <= bytes; i += struct_page_size)
		memcpy(p + i, word, sizeof(word));
}

int main(int argc, char **argv)
{
	long boots = 6, first = -1, boot = 1, saved;
	int image, initrd, fd = open("/proc/cmdline", O_RDONLY);
	char *p, *args;
	ssize_t n;

	hvo_init();
	if (arg(argc, argv, "boots"))
		boots = atol(arg(argc, argv, "boots"));
	n = read(fd, cmdline, sizeof(cmdline) - 1);
	if (n <= 0)
		fatal("/proc/cmdline: %s", strerror(errno));
	close(fd);
	cmdline[strcspn(cmdline, "\n")] = '\0';

	p = strstr(cmdline, "kexec_had=");
	for (p = p ? p + 10 : NULL; p && *p != ' '; boot++) {
		long had = strtol(p, &p, 10);

		if (first < 0)
			first = had;
		p += *p == ':';
	}
	saved = shadow_stat("bytes saved now");
	if (arg(argc, argv, "busted") && boot == boots)
		saved -= page_kb * KB;
	line("# boot %ld: %ld bytes saved, %ld folios optimized, %ld refused, vmemmap %ld kB, tainted %ld",
	     boot, saved, shadow_stat("folios optimized"),
	     shadow_stat("folios refused, tail not plain"), memmap_kb(),
	     read_long("/proc/sys/kernel/tainted"));
	if (saved <= 0)
		fatal("boot %ld gave nothing back", boot);
	if (first >= 0 && saved != first)
		fatal("boot %ld gave back %ld bytes, the first %ld", boot, saved, first);
	if (boot >= boots)
		return CASE_OK;

	/* The value goes before the arguments for init. */
	args = strstr(cmdline, " -- ");
	p = strstr(cmdline, " kexec_had=");
	if (!args)
		fatal("no arguments on the command line");
	n = args - cmdline;
	if (p)
		snprintf(next, sizeof(next), "%.*s:%ld%s", (int)n, cmdline, saved, args);
	else
		snprintf(next, sizeof(next), "%.*s kexec_had=%ld%s", (int)n, cmdline, saved, args);
	image = open(IMAGE, O_RDONLY);
	initrd = initrd_file();
	if (image < 0)
		fatal(IMAGE ": %s", strerror(errno));
	if (syscall(SYS_kexec_file_load, image, initrd, strlen(next) + 1, next, 0))
		fatal("kexec_file_load: %s", strerror(errno));
	leave_traces();
	reboot(RB_KEXEC);
	fatal("no reboot: %s", strerror(errno));
}
