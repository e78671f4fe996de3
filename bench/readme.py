#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The figures in README.md are those of bench/results.json.

readme.py record BENCH.json RESULTS.json	keep what README shows of a full make bench
readme.py write RESULTS.json README.md	put it between the "<!-- bench: NAME -->" there
readme.py check RESULTS.json README.md [busted]	exit with 1 if something else is there
"""
import difflib
import json
import re
import sys
import textwrap

import model

# The names that README has for the rivals that it shows.
RIVALS = [("off", "off"), ("direct", "direct"), ("fault", "fault"),
          ("stop-machine", "stop-machine"), ("ipi-pause", "ipi-pause"), ("shadow", "ours")]
OPERATIONS = [("alloc-2m", "allocate {} x 2 MiB, memory never used"),
              ("free-2m", "free them"),
              ("alloc-1g", "allocate a page of 1 GiB at run time"),
              ("free-1g", "free it"),
              ("demote-1g", "demote {} x 1 GiB to 2 MiB"),
              ("reserve-2m", "reserve {} pages beyond the pool"),
              ("compact", "compact memory, no pool")]
MODELLED = [("alloc-2m", "allocate 2 MiB"), ("free-2m", "free it"), ("alloc-1g", "allocate 1 GiB"),
            ("free-1g", "free it"), ("demote-1g", "demote 1 GiB")]
# The figures of the longest only grow, so that those of the last operation are of all.
LAST = "free-demoted"
WINDOW, READ_ONLY = ("ns that the longest window was open",
                     "ns that the longest entries were read only")
INVALID = "ns that the longest entries were invalid"
STATS = ("batches", "entries stepped", "pages allocated", WINDOW, READ_ONLY, INVALID)
FACTS = ("kernel", "qemu", "gcc", "accel", "memory", "host", "date", "commit")


def record(bench, results):
    """Keep what is shown."""
    with open(bench, encoding="utf-8") as f:
        data = json.load(f)
    ops = []
    for op in data["operations"]:
        if op["cpus"] == 1 and op["name"] in [n for n, _ in OPERATIONS] + [LAST]:
            kinds = {k: n for k, n in op["kinds"].items() if k.startswith("tlbi") or k == "dsb"}
            stats = {k: n for k, n in op["stats"].items() if k in STATS and n}
            ops.append({"rival": op["rival"], "cpus": 1, "name": op["name"], "pages": op["pages"],
                        "instructions": op["instructions"], "kinds": kinds, "stats": stats})
    boots = [{**{k: b[k] for k in ("rival", "gib", "pages", "more", "instructions")},
              "MemTotal kB": b["stats"]["MemTotal kB"]} for b in data["boots"]]
    with open(results, "w", encoding="utf-8") as f:
        f.write("{\n")
        for key in FACTS + ("rivals",):
            f.write(f" {json.dumps(key)}: {json.dumps(data[key])},\n")
        for key, rows in (("operations", ops), ("boots", boots), ("cases", data["cases"])):
            f.write(f" {json.dumps(key)}: [\n  " + ",\n  ".join(json.dumps(r) for r in rows))
            f.write("\n ]\n" if key == "cases" else "\n ],\n")
        f.write("}\n")
    return 0


def table(head, rows):
    """In Markdown; the first column is text."""
    return ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)] + \
        ["| " + " | ".join(row) + " |" for row in rows]


def sentences(text, indent=""):
    """Of README's width."""
    return textwrap.wrap(text, 118, subsequent_indent=indent, break_on_hyphens=False,
                         break_long_words=False)


class Figures:
    """The blocks."""

    def __init__(self, data):
        self.data = data
        self.ops = {(o["rival"], o["name"]): o for o in data["operations"]}

    def operations(self):
        """Instructions of each operation."""
        rows = []
        for name, text in OPERATIONS:
            counts = {r: self.ops[r, name]["instructions"] for r, _ in RIVALS}
            rows.append([text.format(self.ops["off", name]["pages"])] +
                        [f"{counts[r] / 1e6:.1f}" for r, _ in RIVALS] +
                        [f"{counts['shadow'] / counts['direct']:.2f}"])
        return table(["million instructions"] + [t for _, t in RIVALS] + ["ours / direct"], rows)

    def counts(self):
        """What stands in sentences."""
        def tlbis(rival):
            kinds = self.ops[rival, "alloc-2m"]["kinds"]
            return sum(n for k, n in kinds.items() if k.startswith("tlbi"))

        def in_hand(rival, name):
            # Beyond the huge pages, or beyond the seven pages of vmemmap of each.
            op = self.ops[rival, name]
            return (op["stats"].get("pages allocated", 0) -
                    op["pages"] * (512 if name == "alloc-2m" else 7))

        def boot(rival, gib, pages, more=""):
            for b in self.data["boots"]:
                if (b["rival"], b["gib"], b["pages"], b["more"]) == (rival, gib, pages, more):
                    return b
            raise KeyError(f"no boot of {rival} with {gib} GiB")

        def million(rival, gib, pages, more=""):
            return f"{boot(rival, gib, pages, more)['instructions'] / 1e6:.0f}"

        alloc, last = self.ops["shadow", "alloc-2m"], self.ops["shadow", LAST]["stats"]
        pages, stepped = alloc["pages"], alloc["stats"]["entries stepped"]
        tables = (boot("off", 64, 0, "vmemmap_pagegran=off")["MemTotal kB"] -
                  boot("off", 64, 0)["MemTotal kB"])
        return [line for text in (
            f"- To allocate the {pages} pages ours takes {tlbis('shadow')} TLBIs by range (on a "
            f"core without these {stepped / pages:.0f} for each page), those with "
            f"break-before-make {tlbis('fault')}.",
            f"- Beyond the huge pages, {in_hand('shadow', 'alloc-2m')} pages of 4 KiB were "
            f"allocated meanwhile, by `direct` {in_hand('direct', 'alloc-2m')}: more memory is "
            "never in hand. "
            "To free them takes the pages that are restored, and "
            f"{in_hand('shadow', 'free-2m')} more (`direct`: {in_hand('direct', 'free-2m')}).",
            f"- Two output addresses of ours are live for {last[WINDOW] / 1e3:.0f} thousand "
            f"instructions at most, and entries read-only for {last[READ_ONLY] / 1e6:.1f} million; "
            "with break-before-make entries are invalid for "
            f"{self.ops['fault', LAST]['stats'][INVALID] / 1e3:.0f} thousand at most.",
            "- With a pool of 1 GiB pages from the command line, a boot takes "
            f"{million('shadow', 64, 56)} million instructions with HVO and "
            f"{million('off', 64, 56)} without, with 64 GiB and 56 pages; "
            f"{million('shadow', 256, 240)} and {million('off', 256, 240)} with 256 GiB and 240 "
            "pages; from power-on to user space.",
            f"- Page granularity by itself takes {tables} kB of page tables for 64 GiB, and "
            f"{million('off', 64, 0)} million instructions to boot with them instead of "
            f"{million('off', 64, 0, 'vmemmap_pagegran=off')}.",
        ) for line in sentences(text, "  ")]

    def cases(self):
        """Does each rival work?"""
        return sentences("The cases of `tests/boot/10-main.sh`, with two vCPUs: " + "; ".join(
            f"`{c['rival']}` " + (f"fails {c['failed']}" if c["failed"] else "passes all")
            for c in self.data["cases"]) + ".")

    def model(self):
        """The model, on 64 cores."""
        found = {(r["operation"], r["rival"]): r["cores"][64] for r in model.model(self.data)}
        rivals = RIVALS[1:] + [(model.NO_RANGE, "ours, no range")]
        rows = []
        for what, text in (("updater_ns", ""), ("others_ns", ", the 63 others stopped, together")):
            for name, operation in MODELLED:
                if what == "others_ns" and name not in ("alloc-2m", "alloc-1g"):
                    continue
                rows.append([operation + text] + [model.microseconds(found[name, r][what])
                                                  for r, _ in rivals])
        return table(["us on 64 cores beyond HVO off, **on paper**"] + [t for _, t in rivals],
                     rows)

    def about(self):
        """Where it is from."""
        d = self.data
        return sentences(f"Recorded on {d['date']}: Linux {d['kernel']}, gcc {d['gcc']}, QEMU "
                         f"{d['qemu']}, `{d['accel']}`, {d['memory']}.")


def filled(results, readme):
    """README as it should be, and as it is."""
    with open(results, encoding="utf-8") as f:
        figures = Figures(json.load(f))
    with open(readme, encoding="utf-8") as f:
        text = f.read()

    def block(found):
        lines = getattr(figures, found[2])()
        return found[1] + "\n" + "\n".join(lines) + "\n" + found[3]

    new, n = re.subn(r"(<!-- bench: (\w+) -->)\n.*?(<!-- end -->)", block, text, flags=re.S)
    if not n:
        raise KeyError(f"{readme} has no place for figures")
    return new, text


def write(results, readme):
    """Fill README."""
    new, _ = filled(results, readme)
    with open(readme, "w", encoding="utf-8") as f:
        f.write(new)
    return 0


def check(results, readme, busted=""):
    """0 if README has what it should have."""
    new, text = filled(results, readme)
    if busted:
        text = re.sub(r"(\| free them \| \d+)\.", r"\g<1>0.", text)
    diff = list(difflib.unified_diff(text.splitlines(), new.splitlines(), "README.md",
                                     "bench/results.json", "", "", 0, ""))
    print("\n".join(diff))
    return bool(diff)


if __name__ == "__main__":
    sys.exit({"record": record, "write": write, "check": check}[sys.argv[1]](*sys.argv[2:]))
