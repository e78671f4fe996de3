# shellcheck shell=bash
# A pool of the command line, and nobody asked for HVO: its vmemmap is there in full.
kernel guest
machine 2 6G
append hugetlb_free_vmemmap=off hugepagesz=1G hugepages=2

twin "a pool that is not optimized is noticed" memory,boot-pools 'the vmemmap has 98304 kB of 98304, expected 65544'
check "a pool of the command line, not optimized" memory,boot-pools,off
