#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Judge what gcov counted for one source file.

Usage: coverage.py GCOV_JSON SOURCE TEXT LINES BRANCHES [BOOT_JSON]

Prints the lines and the branches that were reached, in per cent, and writes the
others to TEXT, with the source. Exits with 1 if there are fewer than LINES or
BRANCHES per cent, or if nothing was counted at all.

BOOT_JSON is of a boot with next to no case. What was counted no more often there
than with all cases, nothing but the boot reaches: it is said how much that is.

What headers decide, in macros too, gcov has under their names: see coverage-cc.py.
But what patched code decides, static keys and alternatives, it takes for branches
of the line before, or of the one that the function begins with. The first figure
has them all. Left out of the second one, which is judged, are those of lines without
a condition in their text, which can be nothing else.
"""
import json
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
    path, source, text, want_lines, want_branches = sys.argv[1:6]
    with open(source, encoding='utf-8') as f:
        code = f.read().split('\n')
    lines = counted(path, source)
    boot = counted(sys.argv[6], source) if len(sys.argv) > 6 else {}
    out = []
    reached = judged = judged_taken = every = every_taken = 0
    booted = booted_taken = 0
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
        if count == 0:
            out.append(f'line   {n:5}: {code[n - 1].strip()}')
        elif taken < len(branches):
            what = 'branch' if is_ours else 'patch '
            out.append(f'{what} {n:5}: {code[n - 1].strip()} '
                       f'({len(branches) - taken} of {len(branches)})')
    line, branch = percent(reached, len(lines)), percent(judged_taken, judged)
    said = (f'{reached} of {len(lines)} lines, {line:.1f} %\n'
            f'{every_taken} of {every} branches, {percent(every_taken, every):.1f} %, '
            f'with those of patched code\n'
            f'{judged_taken} of {judged} branches, {branch:.1f} %, without')
    if boot:
        said += f'\n{booted} lines and {booted_taken} branches by the boot alone'
    with open(text, 'w', encoding='utf-8') as f:
        f.write('\n'.join([said, '', 'not reached:'] + out) + '\n')
    print(said)
    bad = 0
    if line < float(want_lines):
        print(f'fewer than {want_lines} % of the lines')
        bad = 1
    if branch < float(want_branches):
        print(f'fewer than {want_branches} % of the branches')
        bad = 1
    return bad


if __name__ == '__main__':
    sys.exit(main())
