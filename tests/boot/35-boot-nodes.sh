# shellcheck shell=bash
# Pools that the command line asks for on each of two nodes: optimized as lists, not
# one by one. (Who asks for pages of a node gets them upside down, with HVO and without.)
kernel guest
machine 2 6G
append hugetlb_free_vmemmap=on hugepagesz=1G hugepages=0:1,1:1 hugepagesz=2M hugepages=0:256,1:256
qemu_extra -object memory-backend-ram,id=n0,size=3G -object memory-backend-ram,id=n1,size=3G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1

twin "grace periods are noticed" memory,boot-pools,grace=0 'grace periods for 514 pages, expected at most 0'
check "pools of each node on the command line" memory,boot-pools,grace=16
