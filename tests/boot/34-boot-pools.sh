# shellcheck shell=bash
# Pools that the command line asks for, the commonest use; and what is to be seen
# of HVO in tracefs and debugfs; and a limit on huge pages. One CPU, for the order of
# the pages: with two, HVO off, 211 of 255 steps were seen to ascend, with one 254. Pools
# that several threads fill are in 37-zone-border and 61-numa.
kernel guest
granule 4k 16k
machine 1 4G
append hugetlb_free_vmemmap=on hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=256

check "their pages are in order" users,order-boot
twin "pages upside down are noticed" users,order-boot,busted 'a pool of the command line: [0-9] steps of 255 ascend'
check "pools of the command line" memory,boot-pools
twin "pools that are not there are noticed" memory,boot-pools 'the command line asked for'
check "tracepoints agree with the counters" watch,trace
twin "tracepoints that are off are noticed" watch,trace,busted 'no line of vmemmap_shadow_optimize'
check "state agrees with the pool" watch,state
twin "an entry too few is noticed" watch,state,busted 'SHARED entries, full: '
check "a limit of the hugetlb controller" memory,limit
twin "no limit is noticed" memory,limit,busted 'could be had, the limit is'
