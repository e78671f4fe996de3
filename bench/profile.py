#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the instructions went: profile.py PROFILE NM-OF-VMLINUX RESULTS [LINES]

PROFILE is what the plugin wrote (count.c), RESULTS what the guest wrote, whose "op"
lines name the records in their order. For each, the functions by the instructions
executed in themselves, callees not included.
"""
import bisect
import collections
import sys


def symbols(path):
    """Addresses and names of the kernel's functions, sorted."""
    with open(path, encoding="ascii") as f:
        rows = [line.split()[:3] for line in f]
    found = sorted((int(a, 16), n) for a, t, n in rows if t in "tTwW" and n[0] != "$")
    return [a for a, _ in found], [n for _, n in found]


def records(path):
    """For each record, (address, instructions) of its blocks."""
    blocks = None
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.startswith("record "):
                if blocks is not None:
                    yield blocks
                blocks = []
            else:
                va, insns, execs = line.split()
                blocks.append((int(va, 16), int(insns) * int(execs)))
    if blocks is not None:
        yield blocks


def main():
    profile, nm, results = sys.argv[1:4]
    lines = int(sys.argv[4]) if len(sys.argv) > 4 else 15
    addresses, names = symbols(nm)
    with open(results, encoding="utf-8") as f:
        ops = [line.split()[1] for line in f if line.startswith("op ")]
    all_records = list(records(profile))
    if len(ops) != len(all_records):
        sys.exit(f"{len(all_records)} records for {len(ops)} operations")
    for op, blocks in zip(ops, all_records):
        by_name = collections.Counter()
        for va, n in blocks:
            at = bisect.bisect_right(addresses, va) - 1
            by_name["user" if not va >> 63 else names[at] if at >= 0 else "?"] += n
        total = sum(by_name.values())
        print(f"{op}: {total / 1e6:.3f} M instructions")
        for name, n in by_name.most_common(lines):
            print(f"{n / 1e6:12.3f} M {n / total * 100:5.1f} %  {name}")


main()
