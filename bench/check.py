#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Are there more instructions than the baseline has?

check.py compare BASELINE PATH [PREFIX]	exit with 1 if any operation has 3 % more
check.py record BASELINE PATH KERNEL GCC	write the baseline

PATH is that of a counted boot, see results.py; PREFIX is that of the operations meant.
"""
import json
import sys

import results

BOUND = 0.03


def compare(baseline, path, prefix=""):
    """0 if nothing is worse; says what is, and what is better."""
    with open(baseline, encoding="utf-8") as f:
        known = json.load(f)["instructions"]
    counted = {}
    for op in results.read(path):
        if op["name"].startswith(prefix) and (prefix or op["name"] in known):
            counted[op["name"][len(prefix):]] = op["instructions"]
    bad = 0
    if not counted or (not prefix and counted.keys() != known.keys()):
        print(f"operations: {sorted(counted)}, the baseline has {sorted(known)}")
        bad = 1
    for name, n in counted.items():
        change = n / known[name] - 1
        text = f"{name}: {n} instructions, {known[name]} in the baseline, {change * 100:+.2f} %"
        if change > BOUND:
            print(f"{text}: worse")
            bad = 1
        elif change < -BOUND:
            print(f"{text}: better, record it with RECORD=1")
        else:
            print(text)
    return bad


def record(baseline, path, kernel, gcc):
    """Write a baseline."""
    counts = {op["name"]: op["instructions"] for op in results.read(path)
              if not op["name"].startswith("busted-")}
    with open(baseline, "w", encoding="utf-8") as f:
        json.dump({"kernel": kernel, "gcc": gcc, "instructions": counts}, f, indent=1)
        print(file=f)
    return 0


sys.exit({"compare": compare, "record": record}[sys.argv[1]](*sys.argv[2:]))
