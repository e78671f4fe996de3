# shellcheck shell=bash
# A CPU without TLBI by range, and on which each TLBI has to be repeated: erratum 4118414.
kernel guest
machine 2 6G
append hugetlb_free_vmemmap=on
qemu_extra -cpu neoverse-n1

logs "TLBIs are repeated" 1 'CPU features: detected: Broken broadcast TLBI completion'
check "pools of every size" pools,hvo=on
check "cycles of alloc, demote, free" cases,cycles,rounds=3
check "readers of every struct page meanwhile" cases,readers,seconds=5
