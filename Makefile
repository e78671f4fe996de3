# SPDX-License-Identifier: GPL-2.0
# Thin: each target is a script of the same name in scripts/.
export BASE ARCH GRANULE CPUS MEM HVO KSRC V TESTS MUTANTS BIG RUN HERD7 QUICK RIVALS PROFILE RECORD
export MINUTES SEED WITHOUT KERNEL SECONDS_EACH ROWS CONFIG

targets := series herd7 writers lint models run kunit coverage mutants boot selftests stress host \
	matrix x86 objdiff bench bench-check hvostat deb deb-test check

help:
	@scripts/help.sh

$(targets):
	@scripts/$@.sh

clean:
	@rm -rf .build out

.PHONY: help clean $(targets)
