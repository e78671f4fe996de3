#!/usr/bin/env bash
# make: the targets, cheapest first, with the time each took: the one measured
# here last when there is one, else that of a two-core x86-64 host.
. "$(dirname "$0")/lib.sh"

# target, seconds warm and cold on two cores, what it does; kunit and check warm on a host
# that was busy otherwise, bench and selftests a guess
rows=(
	"clean 1 1 remove .build/ and out/"
	"herd7 5 10 unpack herd7, for the litmus tests, into .build/"
	"writers 6 45 who stores to a struct page without a reference, compared with tests/writers/"
	"series 8 70 write out/series/ for git am, apply it, compare with the tested tree"
	"hvostat 14 20 tools/hvo/hvostat on hosts with HVO on, off, and why not: tests/hvostat/"
	"run 9 200 boot a guest, fill and free the pools, print the table, write out/run.json"
	"x86 18 290 x86-64 with and without the repairs of the generic code, under QEMU"
	"models 26 85 SPIN and herd7 on models/: the protocol, and what happens without each part"
	"objdiff 40 60 with the option off, are the objects the pristine tree's?"
	"bench-check 45 240 the instructions of huge pages compared with bench/baseline.json"
	"lint 45 100 checkpatch, sparse, shellcheck, kernel-doc, series, fuzz"
	"coverage 485 740 what KUnit reaches of vmemmap_shadow*.c, by gcov, with lockdep on"
	"bench 600 3600 count instructions beside every rival: tables and plots in out/bench/; QUICK=1"
	"mutants 600 1000 break vmemmap_shadow*.c as each of tests/mutants/, KUnit has to notice"
	"kunit 620 1060 the KUnit suites on arm64 under QEMU, with LSE atomics and without"
	"boot 900 3600 the guest test cases, long ones and other kernels too, KTAP in out/boot.ktap"
	"deb-test 900 1500 install what make deb has built in Debian 12 under QEMU, remove it; QUICK=1"
	"deb 300 5400 Debian packages of an arm64 kernel in out/deb/; CONFIG=FILE"
	"selftests 900 1500 the kernel's own tests of huge pages, HVO on against off, in out/selftests.md"
	"stress 750 1400 all that can happen to huge pages, at once and at random: MINUTES=10 SEED= KERNEL=debug"
	"host 400 1200 KVM on our kernel at EL2, guests on huge pages: SECONDS_EACH=30"
	"matrix 4500 9000 KUnit and a short boot on every shape of arm64: the table out/matrix.md; ROWS=\"1 2\""
	"check 900 1600 lint, writers, bench-check, models, kunit, two mutants, boot, 4k"
)

printf '%-11s %8s %8s %8s\n' target warm cold "here"
for r in "${rows[@]}"; do
	read -r t warm cold what <<<"$r"
	[ -f "$top/scripts/$t.sh" ] || [ "$t" = clean ] || continue
	here=-
	[ ! -f "$build/times/$t" ] || here="$(cat "$build/times/$t") s"
	printf '%-11s %6d s %6d s %8s  %s\n' "$t" "$warm" "$cold" "$here" "$what"
done
cat <<'TEXT'

BASE=6.12|7.3	the kernel that is built upon, for all but herd7, models and x86
GRANULE=4k|16k|64k CPUS=2 MEM=4G HVO=on|off	for make run; GRANULE for kunit, coverage, mutants and boot too
TESTS="NAME..."	make selftests: only these of tests/selftests/list
BOOT=NAME	only that file of tests/boot/	MUTANTS="NAME..."	only these	KSRC=DIR	a kernel tree instead of Debian's
BIG=1		make models with larger bounds, 430 s	RUN=NAME	only that model or litmus test
MINUTES=10 SEED=N KERNEL=debug|guest|kasan|rt MEM=6G	for make stress
HERD7=CMD	a herd7 of your own
CONFIG=FILE	make deb: the configuration of a host instead of Debian's for clouds
QUICK=1		make bench in minutes; make deb-test with a small kernel of its own	RIVALS="NAME..."	only these of bench/rivals/series
PROFILE=1	make bench: by function, too	RECORD=1	make bench-check: write the baseline
V=1		show the exact commands
TEXT
