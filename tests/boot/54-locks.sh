# shellcheck shell=bash
# Locks, and memory for the vmemmap that cannot be had: two nodes, the second with
# memory that virtio-mem brings when the guest asks for it.
kernel debug
machine 2 4G
append hugetlb_free_vmemmap=on memhp_default_state=online_movable
qemu_extra -m size=4096M,maxmem=8G \
	-object memory-backend-ram,id=n0,size=2G -object memory-backend-ram,id=n1,size=2G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1 \
	-object memory-backend-ram,id=hot,size=1G \
	-device virtio-mem-pci,id=hot0,memdev=hot,requested-size=0,node=1
monitor

twin "memory that does not fail is noticed" hotplug,add-fails,page_ext=8,busted 'no memory failed after 0 pages'
check "memory that cannot be added" hotplug,add-fails,page_ext=8
twin "a CPU that stays is noticed" hotplug,cpuset,busted 'CPU 1 was never off'
check "huge pages made below locks" hotplug,cpuset
