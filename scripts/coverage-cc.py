#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A compiler for make coverage: gcov sees the code of a macro where that is written.

Usage: coverage-cc.py COMPILER [ARG...]

gcov takes the branches of a macro for those of the line that uses it, so that a
source file is charged with what the kernel's headers decide: whether KUnit replaces a
function, whether a warning was said already, what is constant when it is compiled.
What is compiled for gcov goes through here: each token of the preprocessed source is
given the file and the line in which it is written, which for those that come out of a
macro is the definition of the macro, and for its arguments the line that uses it.

A function of the source is compiled once, also one that says __always_inline: gcov counts
the branches of each copy that the compiler makes as branches of their own, of which most
are constant. Everything else is left to the compiler as it is.
"""
import os
import re
import subprocess
import sys

# What -fdebug-cpp puts before each token: the file and the line it is written in.
WHERE = re.compile(r'\{P:([^;{}]*);F:[^;{}]*;L:(\d+);C:\d+;S:\d+;M:[^;{}]*;E:\d+,'
                   r'LOC:\d+,R:\d+\}')
# What __always_inline expands to, for a function that is not to be inlined.
OUT_OF_LINE = {'inline': '', '__gnu_inline__': '__unused__', '__always_inline__': '__noinline__'}
MARKER = re.compile(r'# \d+ "((?:[^"\\]|\\.)*)"')


def spelled(text, source):
    """The preprocessed text, with each token of the source where it is written."""
    current = None
    for line in text.split('\n'):
        plain = WHERE.sub('', line)
        marker = MARKER.match(plain)
        if marker:
            current = marker.group(1)
        if plain.lstrip().startswith('#') or current != source or not plain.strip():
            yield plain
            continue
        # Empty before the first token, then file, line, token, and so on.
        parts = WHERE.split(line)
        last = '1'
        for path, number, token in zip(parts[1::3], parts[2::3], parts[3::3]):
            if path == source:
                last = number
            if '__always_inline__' in plain:
                token = OUT_OF_LINE.get(token.strip(), token)
            if token.strip():
                yield f'# {number} "{path}"'
                yield token
        # Here again: what is included next comes back to this file.
        yield f'# {int(last) + 1} "{source}"'


def main():
    args = sys.argv[1:]
    sources = [a for a in args if a.endswith('.c')]
    if '-ftest-coverage' not in args or '-c' not in args or len(sources) != 1 or \
       '-o' not in args:
        os.execvp(args[0], args)
    source, out = sources[0], args[args.index('-o') + 1]
    text = out + '.i'
    pre = [a for a in args if a not in ('-c', '-o', out)]
    said = subprocess.run(pre + ['-E', '-fdebug-cpp'], stdout=subprocess.PIPE, check=False)
    if said.returncode:
        return said.returncode
    with open(text, 'w', encoding='utf-8') as f:
        f.write('\n'.join(spelled(said.stdout.decode(), source)) + '\n')
    # Its warnings were given when the file was built for make kunit.
    rest = [a for a in args if a != source and not a.startswith('-Wp,-M')]
    rc = subprocess.run(rest + ['-w', '-fno-early-inlining', '-x', 'cpp-output', text],
                        check=False).returncode
    os.unlink(text)
    return rc


if __name__ == '__main__':
    sys.exit(main())
