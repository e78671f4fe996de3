# SPDX-License-Identifier: GPL-2.0
# Thin: each target is a script of the same name in scripts/.
export BASE GRANULE CPUS MEM HVO KSRC V MUTANTS BIG RUN HERD7 QUICK RIVALS PROFILE RECORD

targets := series herd7 writers lint models run kunit coverage mutants boot x86 objdiff bench bench-check check

help:
	@scripts/help.sh

$(targets):
	@scripts/$@.sh

clean:
	@rm -rf .build out

.PHONY: help clean $(targets)
