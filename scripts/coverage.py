#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Judge what gcov counted for source files.

Usage: coverage.py COUNTS SOURCES TEXT LINES BRANCHES [BOOT]

COUNTS and SOURCES are directories: NAME.json is what gcov says of NAME.c.

Prints the lines and the branches that were reached, in per cent, and writes the
others to TEXT, with the source. Exits with 1 if there are fewer than LINES or
BRANCHES per cent in all, or if nothing was counted of a file.

BOOT is such a directory of a boot with next to no case. What was counted no more often there
than with all cases, nothing but the boot reaches: it is said how much that is.

What headers decide, in macros too, gcov has under their names: see coverage-cc.py.
But what patched code decides, static keys and alternatives, it takes for branches
of the line before, or of the one that the function begins with. The first figure
has them all. Left out of the second one, which is judged, are those of lines without
a condition in their text, which can be nothing else.
"""
import json
import os
import re
import sys

CONDITION = re.compile(r'\b(if|while|for|switch|for_each_\w+|list_for_each_\w+) ?\(|'
                       r'&&|\|\||\?')


def has_condition(code, n):
    """Is there a condition in line n, or one that goes on from the line before?"""
    before = code[n - 2].rstrip()
    return bool(CONDITION.search(code[n - 1])) or before.endswith(('&&', '||', '?'))


def counted(path, source):
    """{line: (count, [count of each branch])}, instances of a line put together."""
    lines = {}
    with open(path, encoding='utf-8') as f:
        files = json.load(f)['files']
    for entry in files:
        if not source.endswith('/' + entry['file'].lstrip('./')) and \
           not entry['file'].endswith(source):
            continue
        for line in entry['lines']:
            n, branches = line['line_number'], [b['count'] for b in line['branches']]
            count, known = lines.get(n, (0, []))
            if len(known) == len(branches):
                branches = [a + b for a, b in zip(known, branches)]
            else:
                branches = known + branches
            lines[n] = (count + line['count'], branches)
    return lines


def percent(part, whole):
    return 100.0 * part / whole if whole else 0.0


def main():
    counts, sources, text, want_lines, want_branches = sys.argv[1:6]
    out = []
    total = reached = judged = judged_taken = every = every_taken = 0
    booted = booted_taken = 0
    bad = 0
    for name in sorted(n[:-len('.json')] for n in os.listdir(counts) if n.endswith('.json')):
        source = os.path.join(sources, name + '.c')
        with open(source, encoding='utf-8') as f:
            code = f.read().split('\n')
        lines = counted(os.path.join(counts, name + '.json'), source)
        boot = {}
        if len(sys.argv) > 6:
            boot = counted(os.path.join(sys.argv[6], name + '.json'), source)
        if not lines:
            print(f'nothing was counted of {name}.c')
            bad = 1
        total += len(lines)
        for n in sorted(lines):
            count, branches = lines[n]
            taken = sum(1 for b in branches if b)
            reached += count > 0
            if count and n in boot and boot[n][0] == count:
                booted += 1
                booted_taken += taken
            every += len(branches)
            every_taken += taken
            is_ours = has_condition(code, n)
            if is_ours:
                judged += len(branches)
                judged_taken += taken
            where = f'{name}.c:{n}: {code[n - 1].strip()}'
            if count == 0:
                out.append(f'line   {where}')
            elif taken < len(branches):
                what = 'branch' if is_ours else 'patch '
                out.append(f'{what} {where} ({len(branches) - taken} of {len(branches)})')
    line, branch = percent(reached, total), percent(judged_taken, judged)
    said = (f'{reached} of {total} lines, {line:.1f} %\n'
            f'{every_taken} of {every} branches, {percent(every_taken, every):.1f} %, '
            f'with those of patched code\n'
            f'{judged_taken} of {judged} branches, {branch:.1f} %, without')
    if len(sys.argv) > 6:
        said += f'\n{booted} lines and {booted_taken} branches by the boot alone'
    with open(text, 'w', encoding='utf-8') as f:
        f.write('\n'.join([said, '', 'not reached:'] + out) + '\n')
    print(said)
    if line < float(want_lines):
        print(f'fewer than {want_lines} % of the lines')
        bad = 1
    if branch < float(want_branches):
        print(f'fewer than {want_branches} % of the branches')
        bad = 1
    return bad


if __name__ == '__main__':
    sys.exit(main())
