# shellcheck shell=bash
# Memory that is added while the kernel runs has a vmemmap of pages too, and is
# optimized like the other. virtio-mem brings 4 GiB to the 2 GiB of boot.
kernel guest
machine 2 2G
append hugetlb_free_vmemmap=on memhp_default_state=online
qemu_extra -m size=2048M,maxmem=8G -object memory-backend-ram,id=hot,size=4G \
	-device virtio-mem-pci,memdev=hot,requested-size=4G

check "the vmemmap of hot-added memory" cases,pagegran,total=6144,boot=2048
twin "no block is noticed" cases,pagegran,total=6144,boot=2048,busted 'no block in the vmemmap'
