#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What each rival would cost on silicon, on paper: model.py BENCH.json | model.py check [busted]

Arithmetic, not a measurement: what was counted under emulation, beyond what the same
operation takes with HVO off, times latencies that others have published. Each parameter
has a low and a high value, and so has each result. What it leaves out: misses of caches and
TLBs, of the updater and of whoever's entries a TLBI takes away (`tlbi vmalle1is`, that of
direct, takes all), other TLBIs on the interconnect at the same time, and waiting for grace
periods, which is time, but not work.
"""
import json
import sys

CORES = (16, 64, 192)
NO_RANGE = "shadow, no range"

YE = ("Zhenyu Ye, Re: [RFC PATCH v3 2/2] arm64: tlb: Use the TLBI RANGE feature in arm64, "
      "9 Jun 2020, <504c7588-97e5-e014-fca0-c5511ae0d256@huawei.com>")
NOROV = ("Yury Norov, [PATCH v2] IPI performance benchmark, 19 Dec 2017, "
         "lists.infradead.org/pipermail/linux-arm-kernel/2017-December/549374.html")
ZHAO = ("Yu Zhao, [PATCH v2 0/6] mm/arm64: re-enable HVO, 7 Nov 2024, "
        "<20241107202033.2721681-1-yuzhao@google.com>")

ARCANGELI = ("Andrea Arcangeli, arm64: tlb: skip tlbi broadcast, commit 78e8089e340e of "
             "kernel.googlesource.com/pub/scm/linux/kernel/git/andrea/aa")

# ns of the updater: at its lowest, at its highest, and whether low and high grow with the
# cores. What grows is for 16 cores.
PARAMETERS = {
    "instruction": (
        0.2, 0.4, False, False,
        "ASSUMPTION: one to two instructions a cycle at 2.6 GHz. No source."),
    "tlbi": (
        468, 468, False, True,
        "__flush_tlb_range() of 64 pages by single TLBIs took 30890 ns, of 128 60802 ns: 468 ns "
        "each, on a server that is not named, whose cores are not counted (" + YE + "). "
        "ASSUMPTION for the high value: it was one of 16 cores, and a broadcast takes longer in "
        "proportion to them. One by range took no longer than one by address (same mail: 11089 "
        "ns for 256 pages, 13524 ns for one, on an FPGA)."),
    "dsb": (
        989, 989, False, True,
        "The same for one page took 1457 ns: less one TLBI, 989 ns for the DSB that waits for it "
        "and the rest of the call (same mail, same assumption). Taken for every DSB that is "
        "not for stores only."),
    "pause": (
        16 * 207, 16 * 564, True, True,
        "A call on all CPUs by IPI, until all have answered: 100000 took 2323368720 ns in one "
        "output, and 2106 times as long as an empty round of the loop on a ThunderX2 with 112 "
        "CPUs, which took 30 ns in that output (" + NOROV + "). ASSUMPTION: both are of that "
        "machine, and the time goes with the CPUs: 207 to 564 ns for each of them."),
    "stop": (
        16 * 207, 5 * 16 * 564, True, True,
        "ASSUMPTION: stop_machine() is a pause, and at most five of them: a thread is woken on "
        "every CPU, and all go through four more states together. No source."),
}

# What somebody measured on silicon, beside the live remap, in s for so many folios.
MEASURED = [("allocate 1 GiB", 3.526, 3.649, 600), ("free 1 GiB", 0.880, 0.917, 600),
            ("demote to 2 MiB", 1.575, 3.640, 307200), ("free 2 MiB", 0.946, 2.921, 307200)]

OPERATIONS = [
    ("alloc-2m", "allocate a page of 2 MiB, of many at once"),
    ("free-2m", "free it"),
    ("alloc-1g", "allocate a page of 1 GiB"),
    ("free-1g", "free it"),
    ("demote-1g", "demote a page of 1 GiB to 2 MiB"),
]


def price(name, cores):
    """A parameter on so many cores, in ns: low and high."""
    low, high, low_grows, high_grows, _ = PARAMETERS[name]
    return (low * cores / 16 if low_grows else low, high * cores / 16 if high_grows else high)


def added(op, off):
    """What an operation takes beyond the one with HVO off, for each folio."""
    def tlbis(kinds):
        return sum(n for k, n in kinds.items() if k.startswith("tlbi"))

    pages = op["pages"]
    kinds, base = op["kinds"], off["kinds"]
    return {
        "instructions": (op["instructions"] - off["instructions"]) / pages,
        "tlbis": (tlbis(kinds) - tlbis(base)) / pages,
        "dsbs": (kinds["dsb"] - base["dsb"]) / pages,
        "exclusions": op["stats"].get("batches", 0) / pages,
    }


def cost(rival, counts, cores):
    """ns of the updater for a folio, and ns that all others together are stopped."""
    updater, others = [], []
    for i in (0, 1):
        work = (counts["instructions"] * price("instruction", cores)[i] +
                counts["tlbis"] * price("tlbi", cores)[i] +
                counts["dsbs"] * price("dsb", cores)[i])
        stopped = 0
        what = {"ipi-pause": "pause", "stop-machine": "stop"}.get(rival)
        if what:
            stopped = counts["exclusions"] * price(what, cores)[i]
            # Stopped as well while entries are changed: the flushes, at the least.
            held = (counts["tlbis"] * price("tlbi", cores)[i] +
                    counts["dsbs"] * price("dsb", cores)[i])
            others.append((cores - 1) * (stopped + held))
        updater.append(work + stopped)
    return updater, others


def priced(name, rival, counts):
    """What a rival adds to an operation, and what that costs."""
    row = {"operation": name, "rival": rival, "added": counts, "cores": {}}
    for cores in CORES:
        updater, others = cost(rival, counts, cores)
        row["cores"][cores] = {"updater_ns": updater, "others_ns": others}
    return row


def model(data):
    """For each operation and rival: what it adds, and what that costs."""
    ops = {(o["rival"], o["name"]): o for o in data["operations"] if o["cpus"] == 1}
    found = []
    for name, _ in OPERATIONS:
        off = ops.get(("off", name))
        for rival in data["rivals"]:
            op = ops.get((rival, name))
            if rival == "off" or not op or not off:
                continue
            counts = added(op, off)
            found.append(priced(name, rival, counts))
            if rival == "shadow":
                # Without FEAT_TLBIRANGE: no more than one for each step of an entry.
                counts = {**counts, "tlbis": op["stats"].get("entries stepped", 0) / op["pages"]}
                found.append(priced(name, NO_RANGE, counts))
    return found


def microseconds(values):
    """A range, in us."""
    def short(ns):
        us = ns / 1000
        return f"{us:.0f}" if abs(us) >= 100 else f"{us:.1f}" if abs(us) >= 10 else f"{us:.2f}"

    if not values:
        return "0"
    low, high = (short(v) for v in sorted(values))
    return low if low == high else f"{low} to {high}"


def markdown(data):
    """The model as tables."""
    rows = model(data)
    if not rows:
        return []
    lines = ["## On paper", "",
             "What each rival adds to HVO off for a page, and what that would cost on silicon: "
             "counts from above times latencies that others have published. **This is "
             "arithmetic, not a measurement; TCG is not silicon, and a range is as good as its "
             "assumptions.** Waiting for grace periods is not in it, nor are misses of caches "
             "and TLBs, though direct empties all TLBs, and other TLBIs at the same time: with "
             f"those one takes longer, 'almost linearly' ({ARCANGELI}). The last columns are the "
             "time that all other CPUs together are stopped. The cores that TCG shows have "
             f"TLBIs by range, which only shadow takes; '{NO_RANGE}' is for those that have not.",
             ""]
    head = ["rival", "instructions", "TLBIs", "DSBs", "exclusions"]
    head += [f"us, {c} cores" for c in CORES] + [f"others, us, {c} cores" for c in CORES]
    for name, text in OPERATIONS:
        mine = [r for r in rows if r["operation"] == name]
        if not mine:
            continue
        lines += [f"{text[0].upper()}{text[1:]} ({name}):", "",
                  "| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
        for r in mine:
            a = r["added"]
            cells = [r["rival"], f"{a['instructions']:.0f}", f"{a['tlbis']:.2f}",
                     f"{a['dsbs']:.2f}", f"{a['exclusions']:.3f}"]
            cells += [microseconds(r["cores"][c]["updater_ns"]) for c in CORES]
            cells += [microseconds(r["cores"][c]["others_ns"]) for c in CORES]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["Measured by others, on a machine that is not named: pausing all CPUs by "
              "broadcast IPI, in batches of its own, added to the live remap " +
              ", ".join(f"{(b - a) / n * 1e6:.1f} us ({what})" for what, a, b, n in MEASURED) +
              f" for each page ({ZHAO}).", "",
              "| ns | low | high | of 16 cores, grows with them | from |",
              "|---|---:|---:|---|---|"]
    for name, (low, high, low_grows, high_grows, source) in PARAMETERS.items():
        grows = {(False, False): "no", (False, True): "high", (True, True): "both"}
        lines.append(f"| {name} | {low} | {high} | {grows[low_grows, high_grows]} | "
                     f"{source.replace('<', '`<').replace('>', '>`')} |")
    return lines + [""]


def check(busted=False):
    """A bench.json whose costs were worked out by hand."""
    def op(rival, instructions, tlbis, dsbs, batches):
        return {"rival": rival, "cpus": 1, "name": "alloc-2m", "pages": 10,
                "instructions": instructions,
                "stats": {"batches": batches, "entries stepped": 30},
                "kinds": {"tlbi rvaale1is": tlbis, "tlbi vaale1is": 5, "dsb": dsbs, "dsb st": 99}}

    data = {"rivals": ["off", "ipi-pause", "shadow"],
            "operations": [op("off", 1000, 0, 3, 0), op("ipi-pause", 11000, 20, 23, 10),
                           op("shadow", 21000, 10, 13 + busted, 0)]}
    # ipi-pause: 1000 instructions, 2 TLBIs, 2 DSBs and a pause for each page; 16 cores, then 64:
    # 200 + 936 + 1978 + 3312 and 400 + 936 + 1978 + 9024; 200 + .. + 13248, 400 + 4 * .. + 36096.
    # Others: 15 * (3312 + 2914), 15 * (9024 + 2914); 63 * (13248 + 2914), 63 * (36096 + 11656).
    # shadow: 2000 instructions, a TLBI, a DSB; without ranges 3 TLBIs.
    expected = {
        ("ipi-pause", 16): ([6426, 12338], [93390, 179070]),
        ("ipi-pause", 64): ([16362, 48152], [1018206, 3008376]),
        ("shadow", 16): ([1857, 2257], []),
        ("shadow", 64): ([1857, 6628], []),
        (NO_RANGE, 16): ([2793, 3193], []),
        (NO_RANGE, 64): ([2793, 10372], []),
    }
    bad = 0
    for row in model(data):
        for cores in (16, 64):
            got = row["cores"][cores]
            want = expected[row["rival"], cores]
            for what, values, should in zip(("updater_ns", "others_ns"), got.values(), want):
                if [round(v) for v in values] != should:
                    print(f"{row['rival']}, {cores} cores, {what}: {values}, by hand {should}")
                    bad = 1
    if not markdown(data):
        print("no tables")
        bad = 1
    return bad


def main():
    if sys.argv[1] == "check":
        return check(sys.argv[2:] == ["busted"])
    with open(sys.argv[1], encoding="utf-8") as f:
        print("\n".join(markdown(json.load(f))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
