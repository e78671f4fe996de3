#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The rows of make matrix, and the table of their results.

matrix.py rows AXES           a line for each row: its number, then AXIS=VALUE...
matrix.py table AXES RESULTS  Markdown; RESULTS has lines "NUMBER kunit|boot WORD TEXT"
matrix.py write TABLE README  put it between "<!-- matrix -->" and "<!-- end -->" there
"""
import itertools
import random
import re
import sys


def read(path):
    axes, never = {}, []
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if not words or words[0] == "#":
                continue
            if words[0] == "never":
                never.append(dict(w.split("=", 1) for w in words[1:]))
            else:
                axes[words[0]] = words[1:]
    return axes, never


def allowed(row, never):
    return not any(all(row.get(k) == v for k, v in n.items()) for n in never)


def pages(shape):
    return shape.split("-")[0]


def wanted(axes, never):
    """Each value of the other axes with each base and each size of pages."""
    pairs = set()
    for axis, values in axes.items():
        if axis in ("base", "shape"):
            continue
        for value, base in itertools.product(values, axes["base"]):
            pairs.add((axis, value, "base", base))
        for value, shape in itertools.product(values, axes["shape"]):
            if allowed({axis: value, "shape": shape}, never):
                pairs.add((axis, value, "pages", pages(shape)))
    return pairs


def covered(rows):
    pairs = set()
    for row in rows:
        for axis, value in row.items():
            pairs.add((axis, value, "base", row["base"]))
            pairs.add((axis, value, "pages", pages(row["shape"])))
    return pairs


def rows(axes, never):
    """One row for each base and shape; the other values are dealt out until all pairs are
    there. Always the same, since the dealer is."""
    want = wanted(axes, never)
    frame = [{"base": b, "shape": s} for s in axes["shape"] for b in axes["base"]]
    others = [a for a in axes if a not in ("base", "shape")]
    result = frame
    for axis in others:
        mine = {p for p in want if p[0] == axis}
        for seed in range(100000):
            deal = random.Random(f"{axis} {seed}")
            dealt = [dict(row, **{axis: deal.choice(axes[axis])}) for row in result]
            if all(allowed(row, never) for row in dealt) and not mine - covered(dealt):
                result = dealt
                break
        else:
            sys.exit(f"{axis}: no rows have all its pairs")
    if want - covered(result):
        sys.exit("a pair is missing")
    return result


def table(axes, never, path):
    done = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            number, what, word, *text = line.split()
            done[int(number), what] = word if word == "ok" else " ".join([word] + text)
    head = list(axes) + ["KUnit", "boot"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for n, row in enumerate(rows(axes, never), 1):
        cells = [row[a] for a in axes] + [done.get((n, w), "not run") for w in ("kunit", "boot")]
        print("| " + " | ".join(cells) + " |")


def write(table_path, readme):
    with open(table_path, encoding="utf-8") as f:
        text = f.read()
    with open(readme, encoding="utf-8") as f:
        old = f.read()
    new, n = re.subn(r"(<!-- matrix -->\n).*?(<!-- end -->)",
                     lambda m: m[1] + text + m[2], old, flags=re.S)
    if n != 1:
        sys.exit(f"{readme}: there is no <!-- matrix -->, or more than one")
    with open(readme, "w", encoding="utf-8") as f:
        f.write(new)


def main(argv):
    if (argv[1:2], len(argv)) not in ((["rows"], 3), (["table"], 4), (["write"], 4)):
        sys.exit(__doc__)
    if argv[1] == "write":
        write(*argv[2:])
        return
    axes, never = read(argv[2])
    if argv[1] == "table":
        table(axes, never, argv[3])
        return
    for n, row in enumerate(rows(axes, never), 1):
        print(n, *(f"{a}={v}" for a, v in row.items()))


if __name__ == "__main__":
    main(sys.argv)
