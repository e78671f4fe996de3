#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench.json, bench.md and the plots: report.py DIRECTORY

DIRECTORY has facts.json and what the boots have left; see scripts/bench.sh.
"""
import json
import os
import subprocess
import sys

import model
import results

OPERATIONS = [
    ("alloc-2m", "allocate {} x 2 MiB, memory never used"),
    ("free-2m", "free them"),
    ("alloc-2m-again", "allocate them again"),
    ("alloc-1g", "allocate a page of 1 GiB"),
    ("free-1g", "free it"),
    ("demote-1g", "demote {} x 1 GiB to 2 MiB"),
    ("free-demoted", "free these"),
]
SHORT = {
    "alloc-2m": "allocate\\n{} x 2 MiB", "free-2m": "free\\nthem",
    "alloc-2m-again": "allocate\\nagain", "alloc-1g": "allocate\\n1 GiB", "free-1g": "free\\nit",
    "demote-1g": "demote\\n{} x 1 GiB", "free-demoted": "free\\nthese",
}
SURPLUS = [
    ("fault-2m", "one page beyond the pool, by a page fault"),
    ("reserve-2m", "reserve {} pages beyond the pool"),
    ("young-2m", "reserve {} pages beyond the pool, and give them up at once"),
]
WALKS = [
    ("kpageflags", "read kpageflags of {} pages"),
    ("compact", "compact, {} pages"),
    ("page-cache", "read {} pages of the page cache"),
    ("gup-small", "GUP-fast of {} pages"),
    ("gup-huge", "GUP-fast of {} pages in huge ones"),
]
BUDDY = ("alloc-2m", "alloc-2m-again", "fault-2m", "reserve-2m")
# Ours over direct.
GOALS = {"alloc-2m": 1.3, "free-2m": 1.0, "alloc-1g": 1.05, "free-1g": 1.0, "demote-1g": 1.15}
KINDS = ["dsb", "dsb st", "isb", "dmb", "cas", "ldx", "sgi"]


def table(head, rows):
    """A table in Markdown; the first column is text."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for row in rows:
        lines.append("| " + " | ".join("-" if c is None else str(c) for c in row) + " |")
    return lines + [""]


def millions(n):
    """A number of instructions, in millions."""
    if n is None:
        return None
    return f"{n / 1e6:.1f}" if n >= 1e6 else f"{n / 1e6:.3f}"


class Bench:
    """All that was counted."""

    def __init__(self, directory):
        self.directory = directory
        with open(os.path.join(directory, "facts.json"), encoding="utf-8") as f:
            self.facts = json.load(f)
        self.runs = {}
        for rival in self.facts["rivals"] + ["off-blocks"]:
            for cpus in (1, 2, 4, 8):
                path = os.path.join(directory, f"{rival}-{cpus}")
                if os.path.exists(path + ".counts"):
                    ops = results.read(path)
                    self.runs[rival, cpus] = {op["name"]: op for op in ops}
        self.boots = {}
        for boot in self.facts["boots"]:
            self.boots[boot["name"]] = results.read(os.path.join(directory, boot["name"]))[0]

    def data(self):
        """What bench.json has of it."""
        data = dict(self.facts)
        data["operations"] = [{"rival": r, "cpus": c, **op}
                              for (r, c), ops in self.runs.items() for op in ops.values()]
        data["boots"] = [{**b, **self.boots[b["name"]]} for b in self.facts["boots"]]
        return data

    def rivals(self, cpus=1):
        """The rivals that were run with so many CPUs."""
        return [r for r in self.facts["rivals"] if (r, cpus) in self.runs]

    def op(self, rival, name, cpus=1):
        """An operation, or None."""
        return self.runs.get((rival, cpus), {}).get(name)

    def count(self, rival, name, cpus=1):
        """Its instructions, or None."""
        op = self.op(rival, name, cpus)
        return op["instructions"] if op else None

    def label(self, name, text, cpus=1):
        """The text with the number of pages."""
        for r in self.rivals(cpus):
            if self.op(r, name, cpus):
                return text.format(self.op(r, name, cpus)["pages"])
        return text

    def operations(self):
        """Instructions of each operation, for each rival."""
        rows = []
        for name, text in OPERATIONS + SURPLUS:
            row = [self.label(name, text)] + [millions(self.count(r, name))
                                              for r in self.rivals()]
            ours, direct = self.count("shadow", name), self.count("direct", name)
            row.append(f"{ours / direct:.2f}" if ours and direct else None)
            row.append(f"<= {GOALS[name]}" if name in GOALS else "")
            rows.append(row)
        return ["Million instructions of each operation, one vCPU:", ""] + table(
            ["operation"] + self.rivals() + ["shadow / direct", "goal"], rows)

    def walks(self):
        """What those pay who have no pool."""
        rows = []
        rivals = self.rivals()
        if ("off-blocks", 1) in self.runs:
            rivals = ["off-blocks"] + rivals
        for after, when in (("", ""), ("-after", ", pools have come and gone")):
            for name, text in WALKS:
                counts = [self.count(r, name + after) for r in rivals]
                if any(counts):
                    off = self.count("off", name + after)
                    ours = self.count("shadow", name + after)
                    rows.append([self.label(name + after, text) + when] +
                                [millions(c) for c in counts] +
                                [f"{ours / off:.3f}" if ours and off else None])
        return ["What others pay who look at struct pages, million instructions; all of these "
                "kernels but direct have a page-granular vmemmap, off has HVO off, off-blocks is "
                "off with `vmemmap_pagegran=off`. TCG does not show what a walk of one more "
                "level costs:", ""] + table(
                    ["operation"] + rivals + ["shadow / off"], rows)

    def allocations(self):
        """Memory taken on the way."""
        rows = []
        for name, text in OPERATIONS + SURPLUS:
            row = [self.label(name, text)]
            for r in self.rivals():
                op = self.op(r, name)
                pages = op["stats"].get("pages allocated") if op else None
                # Those of 1 GiB do not come from the buddy allocator's lists.
                if pages is not None and name in BUDDY:
                    pages -= op["pages"] * 512
                row.append(pages)
            rows.append(row)
        return ["Pages of 4 KiB that the buddy allocator gave, beyond the huge pages. Freeing and "
                "demoting have to take the vmemmap's, 7 for each 2 MiB and 4095 for each 1 GiB, "
                "before a huge page can go back; what is more than that is given back within "
                "the operation, so that its peak is no higher than this:", ""] + table(
                    ["operation"] + self.rivals(), rows)

    def sizes(self):
        """The numbers of pages in the operations of scale."""
        found = {int(n.rsplit("-", 1)[1]) for ops in self.runs.values() for n in ops
                 if n.startswith("alloc-2m-") and n.rsplit("-", 1)[1].isdigit()}
        return sorted(found)

    def each(self):
        """What one of N pages takes."""
        rows = []
        for what in ("alloc", "free"):
            for n in self.sizes():
                counts = [self.count(r, f"{what}-2m-{n}") for r in self.rivals()]
                rows.append([f"{what} {n}"] + [None if c is None else f"{c / n:.0f}"
                                               for c in counts])
        return ["Instructions for each of N pages of 2 MiB:", ""] + table(
            ["N"] + self.rivals(), rows)

    def kinds(self):
        """What else CPUs notice of it."""
        lines = []
        for name, text in OPERATIONS:
            ops = [(r, self.op(r, name)) for r in self.rivals()]
            ops = [(r, op) for r, op in ops if op]
            tlbis = sorted({k for _, op in ops for k in op["kinds"] if k.startswith("tlbi")})
            slept = "slept, ms"
            rows = [[r] + [op["kinds"].get(k, 0) for k in tlbis + KINDS] +
                    [op["stats"].get("grace periods", 0) if r == "shadow" else None,
                     f"{max(0, op['guest_ns'] - op['instructions']) / 1e6:.1f}"]
                    for r, op in ops]
            lines += [f"{self.label(name, text)}:", ""]
            lines += table(["instructions"] + tlbis + KINDS + ["grace periods", slept], rows)
        return ["Of these, by kind; what was slept is the clock's time without instructions, "
                "which is waiting for grace periods. sgi are IPIs that were sent.", ""] + lines

    def longest(self):
        """The longest that an entry is not as usual."""
        names = [("ns that the longest entries were read only", "read-only"),
                 ("ns that the longest window was open", "two addresses live"),
                 ("ns that the longest entries were invalid", "invalid"),
                 ("ns that the longest batch took", "others excluded")]
        rows = []
        for r in self.rivals():
            stats = {}
            # The figures only grow: those of the five operations are in the last of them.
            last = self.op(r, "free-demoted")
            if last:
                stats = last["stats"]
            row = [r]
            for key, _ in names:
                ours = r == "shadow" or "invalid" in key or "batch" in key
                row.append(stats.get(key) if ours and r != "off" else None)
            if any(row[1:]):
                rows.append(row)
        return ["Longest, in instructions of the updater, in all of the operations (a tick's "
                "among them). While others are excluded, every other CPU is stopped with "
                "stop-machine and ipi-pause, and with fault whoever meets an entry. With direct, "
                "old and new address are live from the store to the flush at the end, which is "
                "not measured.", ""] + table(
                    ["rival"] + [text for _, text in names], rows)

    def others(self):
        """With more vCPUs."""
        lines = []
        for cpus in (2, 4, 8):
            rivals = self.rivals(cpus)
            if not rivals:
                continue
            rows = []
            for name in self.runs[rivals[0], cpus]:
                for r in rivals:
                    op = self.op(r, name, cpus)
                    if not op:
                        continue
                    rows.append([self.label(name, name, cpus), r, op["instructions"],
                                 op["kinds"]["sgi"], sum(op["others_kernel"])])
            lines += [f"{cpus} vCPUs, a process on each other one that never leaves user mode:",
                      ""]
            lines += table(["operation", "rival", "instructions of the updater", "IPIs it sent",
                            "kernel's instructions on the others, together"], rows)
        if lines:
            lines = ["The others have their timer ticks and RCU's work, too: compare with off. "
                     "QEMU runs all vCPUs in turn, and whoever spins gives its turn away, so this "
                     "is not how long they are stopped: see the longest, above.", ""] + lines
        return lines

    def large(self):
        """Boots of large guests."""
        rows = [[b["rival"] + (f", {b['more']}" if b["more"] else ""), b["gib"], b["pages"],
                 millions(self.boots[b["name"]]["instructions"]),
                 self.boots[b["name"]]["stats"].get("MemTotal kB")]
                for b in self.facts["boots"]]
        if not rows:
            return []
        lines = ["From power-on to user space, with pages of 1 GiB from the command line. What "
                 "MemTotal lacks was taken before, as page tables are:", ""] + \
            table(["rival", "memory, GiB", "pages of 1 GiB", "million instructions",
                   "MemTotal, kB"], rows)
        pages, blocks = (self.boots.get(n, {}).get("stats", {}).get("MemTotal kB")
                         for n in ("off-boot-64-0", "off-boot-64-0-vmemmap_pagegran=off"))
        if pages and blocks:
            lines += [f"Page tables of the page-granular vmemmap: {blocks - pages} kB for 64 GiB.",
                      ""]
        return lines

    def cases(self):
        """Do they work?"""
        if not self.facts["cases"]:
            return []
        rows = [[c["rival"], c["passed"], c["failed"] or "none"] for c in self.facts["cases"]]
        return ["The cases of tests/boot/10-main.sh, two vCPUs in threads:", ""] + table(
            ["rival", "passed", "failed"], rows)

    def markdown(self):
        """All tables."""
        f = self.facts
        lines = ["# make bench", "",
                 f"Linux {f['kernel']}, {f['config']}, gcc {f['gcc']}; QEMU {f['qemu']}, "
                 f"`{f['accel']}`, {f['memory']}; {f['host']}; {f['date']}, {f['commit']}.", "",
                 "Counted by a plugin of QEMU, not timed. Emulation is not silicon: this says how "
                 "many instructions, TLBIs and barriers there are, not what one of them costs.", ""]
        for part in (self.operations, self.each, self.walks, self.allocations, self.kinds,
                     self.longest, self.others, self.large, self.cases):
            lines += part()
        return "\n".join(lines + model.markdown(self.data()))

    def gnuplot(self, name, head, rows, commands):
        """Plot a table."""
        data = os.path.join(self.directory, name + ".dat")
        with open(data, "w", encoding="utf-8") as f:
            for row in [head] + rows:
                print("\t".join(str(c) for c in row), file=f)
        svg = os.path.join(self.directory, name + ".svg")
        script = f"""
set terminal svg size 960,440 font "sans,12" background rgb "white"
set output "{svg}"
set datafile separator "\\t"
set grid ytics
set key outside top center horizontal
{commands}
""".replace("DATA", f'"{data}"').replace("LAST", str(len(head)))
        subprocess.run(["gnuplot"], input=script, text=True, check=True)

    def plots(self):
        """operations.svg and each.svg."""
        rivals = self.rivals()
        rows = []
        for name, text in OPERATIONS:
            rows.append([SHORT[name].format(self.label(name, "{}"))] +
                        [f"{(self.count(r, name) or 0) / 1e6:.3f}" for r in rivals])
        self.gnuplot("operations", ["operation"] + rivals, rows, """
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set ylabel "million instructions"
set yrange [0:*]
set xtics nomirror
set bmargin 3
plot for [i=2:LAST] DATA using i:xtic(1) title columnheader(i)""")
        if not self.sizes():
            return
        rows = [[n] + [(self.count(r, f"alloc-2m-{n}") or 0) / n for r in rivals]
                for n in self.sizes()]
        self.gnuplot("each", ["pages"] + rivals, rows, """
set logscale x
set ylabel "instructions for each page of 2 MiB"
set xlabel "pages allocated at once"
set yrange [0:*]
plot for [i=2:LAST] DATA using 1:i with linespoints title columnheader(i)""")


def main():
    bench = Bench(sys.argv[1])
    data = bench.data()
    data["model"] = model.model(data)
    with open(os.path.join(sys.argv[1], "bench.json"), "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1)
    with open(os.path.join(sys.argv[1], "bench.md"), "w", encoding="utf-8") as f:
        f.write(bench.markdown())
    bench.plots()


main()
