// SPDX-License-Identifier: GPL-2.0
/*
 * Virtual machines on huge pages, the main use of a host's: "kvm NAME [name=value...]".
 * The kernel has EL2 then. One is our own, of a few instructions; one is the kernel
 * itself, under Debian's QEMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

/* Where the guest has what. */
#define CODE_AT		0x10000000UL
#define ROUND_AT	0x20000000UL	/* nothing is there: a store ends KVM_RUN */
#define WRONG_AT	(ROUND_AT + 8)
#define SPARE_AT	0x30000000UL
#define MEMORY_AT	0x40000000UL

/*
 * What the guest runs. x0: its memory, x1: the size, x2: a salt, x3: a stride, x4:
 * ROUND_AT. A round writes a word at each stride and reads them all again.
 */
static const uint32_t guest_code[] = {
	0xd2800005,	/* 0:	mov	x5, #0 */
	0x8b050006,	/* 1:	add	x6, x0, x5 */
	0xca0200a7,	/*	eor	x7, x5, x2 */
	0xf90000c7,	/*	str	x7, [x6] */
	0x8b0300a5,	/*	add	x5, x5, x3 */
	0xeb0100bf,	/*	cmp	x5, x1 */
	0x54ffff63,	/*	b.lo	1b */
	0xd2800005,	/*	mov	x5, #0 */
	0x8b050006,	/* 2:	add	x6, x0, x5 */
	0xca0200a7,	/*	eor	x7, x5, x2 */
	0xf94000c8,	/*	ldr	x8, [x6] */
	0xeb0800ff,	/*	cmp	x7, x8 */
	0x540000e1,	/*	b.ne	3f */
	0x8b0300a5,	/*	add	x5, x5, x3 */
	0xeb0100bf,	/*	cmp	x5, x1 */
	0x54ffff23,	/*	b.lo	2b */
	0x91000442,	/*	add	x2, x2, #1 */
	0xf9000082,	/*	str	x2, [x4] */
	0x17ffffee,	/*	b	0b */
	0xf9000488,	/* 3:	str	x8, [x4, #8] */
	0x17ffffff,	/*	b	3b */
};

static struct vm {
	int fd, vcpu;
	struct kvm_run *run;
	unsigned char *memory;
	unsigned long size, one;
	int file;			/* of the memory */
	atomic_ulong rounds, wrong;
	atomic_int stop, hold, held, ended;
} vm;

static void slot(unsigned int nr, unsigned long at, void *memory, unsigned long size,
		 unsigned int flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = nr, .flags = flags, .guest_phys_addr = at,
		.memory_size = size, .userspace_addr = (uintptr_t)memory,
	};

	if (ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &r))
		fatal("memory slot %u: %s", nr, strerror(errno));
}

static void set_reg(uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | id,
		.addr = (uintptr_t)&value,
	};

	if (ioctl(vm.vcpu, KVM_SET_ONE_REG, &reg))
		fatal("a register of the guest's: %s", strerror(errno));
}

static uint64_t get_reg(uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | id,
		.addr = (uintptr_t)&value,
	};

	if (ioctl(vm.vcpu, KVM_GET_ONE_REG, &reg))
		fail("a register of the guest's: %s", strerror(errno));
	return value;
}

#define REG_X(n)	(KVM_REG_ARM_CORE_REG(regs.regs[0]) + 2 * (n))

/* One virtual CPU, with its MMU off; the memory is mapped by the caller. */
static void make_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR), len;
	struct kvm_vcpu_init init;
	unsigned char *code;

	if (kvm < 0)
		fatal("/dev/kvm: %s", strerror(errno));
	vm.fd = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm.fd < 0)
		fatal("KVM_CREATE_VM: %s", strerror(errno));
	code = mmap(NULL, page_kb * KB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(code, guest_code, sizeof(guest_code));
	__builtin___clear_cache((char *)code, (char *)code + sizeof(guest_code));
	slot(0, CODE_AT, code, page_kb * KB, 0);
	slot(1, MEMORY_AT, vm.memory, vm.size, 0);
	vm.vcpu = ioctl(vm.fd, KVM_CREATE_VCPU, 0);
	if (vm.vcpu < 0 || ioctl(vm.fd, KVM_ARM_PREFERRED_TARGET, &init) ||
	    ioctl(vm.vcpu, KVM_ARM_VCPU_INIT, &init))
		fatal("a virtual CPU: %s", strerror(errno));
	len = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm.run = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, vm.vcpu, 0);
	if (vm.run == MAP_FAILED)
		fatal("kvm_run: %s", strerror(errno));
	set_reg(KVM_REG_ARM_CORE_REG(regs.pc), CODE_AT);
	set_reg(REG_X(0), MEMORY_AT);
	set_reg(REG_X(1), vm.size);
	set_reg(REG_X(2), 0x5bd1e995);
	set_reg(REG_X(3), page_kb * KB);
	set_reg(REG_X(4), ROUND_AT);
	close(kvm);
}

/* Run the guest; between two rounds it can be held. */
static void *run_vcpu(void *unused)
{
	(void)unused;
	while (!vm.stop) {
		if (ioctl(vm.vcpu, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			fail("KVM_RUN: %s", strerror(errno));
			break;
		}
		if (vm.run->exit_reason != KVM_EXIT_MMIO || !vm.run->mmio.is_write) {
			fail("the guest left for reason %u", vm.run->exit_reason);
			break;
		}
		if (vm.run->mmio.phys_addr != ROUND_AT) {
			if (vm.run->mmio.phys_addr == WRONG_AT)
				vm.wrong++;
			else
				fail("the guest stored to %#llx", vm.run->mmio.phys_addr);
			break;
		}
		vm.rounds++;
		while (vm.hold && !vm.stop) {
			vm.held = 1;
			usleep(1000);
		}
		vm.held = 0;
	}
	vm.stop = 1;
	vm.ended = 1;
	return NULL;
}

static void interrupted(int sig)
{
	(void)sig;
}

/* A guest that stores to nowhere stays in KVM_RUN. */
static void stop_vcpu(pthread_t thread)
{
	vm.stop = 1;
	while (!vm.ended) {
		pthread_kill(thread, SIGUSR1);
		usleep(1000);
	}
	pthread_join(thread, NULL);
}

static void hold(void)
{
	vm.hold = 1;
	while (!vm.held && !vm.stop)
		usleep(1000);
}

static void let_go(void)
{
	vm.hold = 0;
}

static bool one_more_round(void)
{
	unsigned long n = vm.rounds;

	for (int i = 0; i < 30000 && vm.rounds < n + 2 && !vm.stop; i++)
		usleep(1000);
	return vm.rounds >= n + 2;
}

/* Every page that the guest writes to is in the log, and none twice. */
static unsigned long log_dirty(void)
{
	unsigned long pages = vm.size / (page_kb * KB), words = (pages + 63) / 64, n = 0;
	uint64_t *bits = calloc(words, 8);
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };

	slot(1, MEMORY_AT, vm.memory, vm.size, KVM_MEM_LOG_DIRTY_PAGES);
	if (!one_more_round())
		fail("the guest stands still while its stores are logged");
	if (ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log))
		fail("the dirty log: %s", strerror(errno));
	for (unsigned long i = 0; i < words; i++)
		n += __builtin_popcountll(bits[i]);
	if (n != pages)
		fail("%lu pages are in the dirty log, expected %lu", n, pages);
	slot(1, MEMORY_AT, vm.memory, vm.size, 0);
	free(bits);
	return 1;
}

/* Memory that the guest has not in use at the moment, balloon and discard. */
static unsigned long punch(void)
{
	unsigned long at = vm.size - vm.one;

	hold();
	if (fallocate(vm.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, vm.one))
		fail("a hole: %s", strerror(errno));
	for (unsigned long o = 0; o < vm.one; o += page_kb * KB)
		if (*(volatile unsigned long *)(vm.memory + at + o)) {
			fail("a hole has the contents that were punched");
			break;
		}
	let_go();
	return 1;
}

/* A memory slot that goes and comes, its mapping with it; and another beside it. */
static unsigned long replug(void)
{
	unsigned char *spare = mmap(NULL, vm.one, PROT_READ | PROT_WRITE, MAP_SHARED, vm.file,
				    vm.size - vm.one);

	slot(2, SPARE_AT, spare, vm.one, 0);
	one_more_round();
	slot(2, SPARE_AT, spare, 0, 0);
	munmap(spare, vm.one);
	hold();
	slot(1, MEMORY_AT, vm.memory, 0, 0);
	slot(1, MEMORY_AT, vm.memory, vm.size, 0);
	let_go();
	return 1;
}

static unsigned long migrate(void)
{
	static int node;
	unsigned long n = 0;

	node = !node;
	for (unsigned long o = 0; o < vm.size; o += vm.one)
		n += move_page(vm.memory + o, node);
	return n;
}

static unsigned long soft_offline(void)
{
	return !madvise(vm.memory + vm.one / 2, page_kb * KB, MADV_SOFT_OFFLINE);
}

/* Another process resizes the pool all the time. */
static pid_t spawn_resizer(const struct hstate *h, long least)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (long n = 0; ; n++)
		pool_set(h, least + (n % 2 ? 32 : 0));
}

/*
 * seconds=N: a guest writes to and reads from its memory, on pages of the pool or, with
 * "surplus", beyond it, while its stores are logged, holes are punched, slots come and
 * go, pages move to the other node or are soft-offlined, and the pool is resized. The
 * twin writes to the guest's memory behind its back.
 */
static int run(void)
{
	static const struct {
		const char *name;
		unsigned long (*act)(void);
	} acts[] = {
		{ "logs of dirty pages", log_dirty }, { "holes", punch },
		{ "slots replaced", replug }, { "pages moved", migrate },
		{ "pages soft-offlined", soft_offline },
	};
	enum { NR = sizeof(acts) / sizeof(*acts) };
	const struct hstate *h = smallest();
	long pages = number("pages", 16);
	struct sigaction act = { .sa_handler = interrupted };
	double end;
	unsigned long did[NR] = { 0 };
	bool surplus = option("surplus");
	long healed = 0, lost;
	pthread_t thread;
	pid_t resizer;

	vm.one = h->size_kb * KB;
	vm.size = pages * vm.one;
	vm.file = memfd_create("guest", MFD_HUGETLB | __builtin_ctzl(vm.one) << MAP_HUGE_SHIFT);
	hstate_set(h, "nr_overcommit_hugepages", 3 * pages);
	if (!surplus && pool_set(h, 2 * pages) != 2 * pages)
		fatal("no pool");
	if (vm.file < 0 || ftruncate(vm.file, vm.size))
		fatal("memfd_create: %s", strerror(errno));
	vm.memory = mmap(NULL, vm.size, PROT_READ | PROT_WRITE, MAP_SHARED, vm.file, 0);
	if (vm.memory == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	sigaction(SIGUSR1, &act, NULL);
	make_vm();
	resizer = spawn_resizer(h, surplus ? 0 : 2 * pages);
	if (pthread_create(&thread, NULL, run_vcpu, NULL))
		fatal("no thread");
	if (!one_more_round())
		fail("the guest does not run");
	end = now_ms() + number("seconds", 20) * 1e3;
	for (int i = 0; now_ms() < end && !bad && !vm.stop; i++) {
		did[i % NR] += acts[i % NR].act();
		if (busted)
			vm.memory[rand() % pages * vm.one + 1] ^= 1;
	}
	if (!one_more_round() && !vm.wrong)
		fail("the guest has stopped");
	stop_vcpu(thread);
	if (!vm.rounds)
		fail("it is at %#lx", (unsigned long)get_reg(KVM_REG_ARM_CORE_REG(regs.pc)));
	kill(resizer, SIGKILL);
	waitpid(resizer, NULL, 0);
	line("# %lu rounds of %ld pages of %lu kB%s", vm.rounds, pages, h->size_kb,
	     surplus ? ", beyond the pool" : "");
	for (int i = 0; i < NR; i++) {
		line("# %lu %s", did[i], acts[i].name);
		if (!did[i] && !busted)
			fail("no %s", acts[i].name);
	}
	if (vm.wrong)
		fail("the guest read what it had not written");
	close(vm.vcpu);
	close(vm.fd);
	munmap(vm.memory, vm.size);
	close(vm.file);
	healed = unpoison_all();
	line("# %ld pages were healed", healed);
	hstate_set(h, "nr_overcommit_hugepages", 0);
	empty_pool(h);
	lost = hstate_get(h, "surplus_hugepages");
	if (lost)
		line("# %ld pages beyond the pool are counted, and there are none", lost);
	if (shadow_stat("folios refused, after a broken invariant"))
		fail("an invariant is broken");
	return 0;
}

#define VMM	"/vmm/bin/qemu-system-aarch64"
#define LOADER	"/vmm/lib/ld-linux-aarch64.so.1"
#define NESTED	"/tmp/nested"

static bool has_line(const char *path, const char *text)
{
	char buf[512];
	bool found = false;
	FILE *f = fopen(path, "r");

	while (f && fgets(buf, sizeof(buf), f))
		found |= !strncmp(buf, text, strlen(text));
	if (f)
		fclose(f);
	return found;
}

static void show(const char *path)
{
	char buf[512];
	FILE *f = fopen(path, "r");

	while (f && fgets(buf, sizeof(buf), f)) {
		buf[strcspn(buf, "\r\n")] = '\0';
		line("# | %s", buf);
	}
	if (f)
		fclose(f);
}

/*
 * This kernel once more, as the guest of Debian's QEMU: its memory comes from the pool, or
 * with "surplus" from beyond it, and it has a case of ours to run. The twin runs one that
 * there is not.
 */
static int kernel(void)
{
	const struct hstate *h = smallest();
	long pages = number("mb", 512) * (long)KB / (long)h->size_kb, gave;
	bool surplus = option("surplus");
	char object[128], memory[16], append[128];
	char *argv[] = {
		LOADER, "--library-path", "/vmm/lib", VMM, "-L", "/vmm/share",
		"-accel", "kvm", "-cpu", "host", "-machine", "virt,gic-version=3,memory-backend=ram",
		"-object", object, "-m", memory, "-smp", "1", "-nodefaults", "-display", "none",
		"-no-reboot", "-chardev", "file,id=con,path=" NESTED ".console", "-serial",
		"chardev:con", "-device", "virtio-serial-device", "-chardev",
		"file,id=res,path=" NESTED ".results", "-device",
		"virtserialport,chardev=res,name=results", "-kernel", "/boot/Image", "-initrd",
		"/boot/initrd", "-append", append, NULL,
	};
	int status, fd;
	pid_t pid;

	if (access("/dev/kvm", R_OK | W_OK) || access(VMM, X_OK))
		fatal("no /dev/kvm, or no " VMM);
	if (surplus)
		hstate_set(h, "nr_overcommit_hugepages", pages);
	else if (pool_set(h, pages) != pages)
		fatal("no pool");
	snprintf(object, sizeof(object),
		 "memory-backend-memfd,id=ram,size=%ldM,hugetlb=on,hugetlbsize=%luM,prealloc=on",
		 number("mb", 512), h->size_kb / KB);
	snprintf(memory, sizeof(memory), "%ldM", number("mb", 512));
	snprintf(append, sizeof(append), "console=ttyAMA0 panic=-1 hugetlb_free_vmemmap=on -- %s",
		 busted ? "nothing" : "pools,hvo=on");
	unlink(NESTED ".results");
	pid = fork();
	if (!pid) {
		fd = open(NESTED ".log", O_CREAT | O_TRUNC | O_WRONLY, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(LOADER, argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fatal("fork: %s", strerror(errno));
	gave = shadow_stat("bytes saved now");
	line("# the guest had %ld pages of %lu kB%s", pages, h->size_kb,
	     surplus ? ", beyond the pool" : "");
	if (status) {
		fail("QEMU ended with %#x", status);
		show(NESTED ".log");
	} else if (!has_line(NESTED ".results", "ok ") || !has_line(NESTED ".results", "success")) {
		fail("the guest did not run its case");
		show(NESTED ".results");
	}
	line("# %ld bytes of the host's pool were given back in the end", gave);
	if (!surplus)
		check_freed("the pool", pages, h);
	hstate_set(h, "nr_overcommit_hugepages", 0);
	empty_pool(h);
	return 0;
}

static const struct one_case all[] = {
	{ "run", run },
	{ "kernel", kernel },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
