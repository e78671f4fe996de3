# shellcheck shell=bash
# Two nodes, a pool on each from the command line, and a page of the largest size from
# CMA. Memory for the second node by virtio-mem when the guest asks for it, which fails
# or does not; cpusets, and a CPU that goes and comes; all of it with lockdep.
kernel debug
machine 2 4G
append hugetlb_free_vmemmap=on hugetlb_cma=1:1G hugepagesz=2M hugepages=0:64,1:64 \
	memhp_default_state=online_movable
qemu_extra -m size=4096M,maxmem=8G \
	-object memory-backend-ram,id=n0,size=2G -object memory-backend-ram,id=n1,size=2G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1 \
	-object memory-backend-ram,id=hot,size=1G \
	-device virtio-mem-pci,id=hot0,memdev=hot,requested-size=0,node=1
monitor

# 7.3 waits for none, so that none is noticed there.
# shellcheck disable=SC2154 # boot.sh sets it
[ "$base" != 6.12 ] ||
	twin "grace periods are noticed" memory,boot-pools,page_ext=8,grace=0 'grace periods for 128 pages, expected at most 0'
check "pools of each node on the command line" memory,boot-pools,page_ext=8,grace=16
check "a pool of each node" memory,nodes
twin "a pool of another node is noticed" memory,nodes,busted 'SHARED entries, and'
check "gigantic pages from CMA" memory,cma,rounds=2
twin "pages that are not from CMA are noticed" memory,cma,busted 'CMA gave'
check "pages moved between nodes" memory,migrate
twin "pages that do not move are noticed" memory,migrate,rounds=1,busted 'is on node'
twin "memory that does not fail is noticed" hotplug,add-fails,page_ext=8,busted 'no memory failed after 0 pages'
check "memory that cannot be added" hotplug,add-fails,page_ext=8
twin "a CPU that stays is noticed" hotplug,cpuset,busted 'CPU 1 was never off'
check "huge pages made below locks" hotplug,cpuset
check "CPU, memory, cpusets and pool in loops" hotplug,loops,seconds=15
twin "a CPU that stays is noticed, in loops" hotplug,loops,seconds=1,busted 'CPU 1 was never off'
