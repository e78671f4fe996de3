// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the guest. Each argument names one case: a program in /bin and its
 * arguments, with commas between ("cases,cycles,rounds=50"). What a case writes
 * to stdout goes to the results channel, a virtio-serial port named "results".
 * The records there, one a line:
 *
 *	begin RELEASE		the guest is up
 *	start CASE		a case begins; what follows is its output
 *	ok|not ok|skip CASE SECONDS
 *	tainted N		/proc/sys/kernel/tainted at the end
 *	success			every case came to an end
 *
 * A case that begins with '!' is a twin that must fail: its status is turned
 * round, and only an orderly failure counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hvo.h"

static void mount_one(const char *type, const char *dir)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, NULL) && errno != EBUSY)
		printf("init: mount %s: %s\n", dir, strerror(errno));
}

/* Run one case; its exit code, or -1 when it did not exit by itself. */
static int run(char *spec)
{
	char path[64], *argv[32];
	int argc = 0, status;
	pid_t pid;

	for (char *p = strtok(spec, ","); p && argc < 31; p = strtok(NULL, ","))
		argv[argc++] = p;
	argv[argc] = NULL;
	if (!argc)
		return -1;
	snprintf(path, sizeof(path), "/bin/%s", argv[0]);
	pid = fork();
	if (!pid) {
		setsid();
		execv(path, argv);
		printf("# %s: %s\n", path, strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct utsname uts;
	int fd;

	mount_one("proc", "/proc");
	mount_one("sysfs", "/sys");
	mount_one("devtmpfs", "/dev");
	mount_one("debugfs", "/sys/kernel/debug");
	mount_one("hugetlbfs", "/huge");
	mount_one("tmpfs", "/tmp");
	setenv("PATH", "/bin", 1);

	fd = open_port("results", O_WRONLY);
	if (fd < 0) {
		printf("init: no results channel\n");
		goto off;
	}
	dup2(fd, STDOUT_FILENO);
	close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	uname(&uts);
	line("begin %s", uts.release);

	for (int i = 1; i < argc; i++) {
		bool twin = argv[i][0] == '!';
		double t = now_ms();
		const char *word = "not ok";
		char *name;
		int rc;

		/* UEFI tells us where the kernel found us. */
		if (!strncmp(argv[i], "initrd=", 7))
			continue;
		name = strdup(argv[i]);
		line("start %s", name);
		rc = run(argv[i] + twin);
		if (twin && rc != CASE_SKIP) {
			if (rc == CASE_FAIL)
				word = "ok";
			else
				line("# the twin should have failed, it ended with %d", rc);
		} else if (rc == CASE_OK) {
			word = "ok";
		} else if (rc == CASE_SKIP) {
			word = "skip";
		} else if (rc != CASE_FAIL) {
			line("# ended with %d", rc);
		}
		line("%s %s %.1f", word, name, (now_ms() - t) / 1e3);
		free(name);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	line("tainted %ld", read_long("/proc/sys/kernel/tainted"));
	line("success");
	fflush(stdout);
off:
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
