# shellcheck shell=bash
# Pools, memory, cpusets and a CPU come and go at once, for minutes and without lockdep:
# all those who take the locks of CPU hotplug, of memory hotplug, of a process's memory
# and of HugeTLB, in every order that there is.
kernel guest
rare
machine 2 4G
append hugetlb_free_vmemmap=on memhp_default_state=online_movable
qemu_extra -m size=4096M,maxmem=8G \
	-object memory-backend-ram,id=n0,size=2G -object memory-backend-ram,id=n1,size=2G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1 \
	-object memory-backend-ram,id=hot,size=1G \
	-device virtio-mem-pci,id=hot0,memdev=hot,requested-size=0,node=1
monitor

check "CPU, memory, cpusets and pool in loops" hotplug,loops,seconds=240
twin "a CPU that stays is noticed" hotplug,loops,seconds=1,busted 'CPU 1 was never off'
