# shellcheck shell=bash
# The same with blocks, which cannot be mapped to what tails share.
kernel guest
machine 2 6G
append hugetlb_free_vmemmap=on vmemmap_pagegran=off hugepagesz=1G hugepages=2

twin "a pool that is not optimized is noticed" memory,boot-pools 'the vmemmap has 98304 kB of 98304, expected 65544'
check "a pool of the command line, not optimized" memory,boot-pools,off
check "the vmemmap has blocks" cases,pagegran,blocks
