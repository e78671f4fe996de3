# shellcheck shell=bash
# The same with memory that holds its own vmemmap, which HVO leaves alone.
kernel guest
machine 2 2G
append hugetlb_free_vmemmap=on memhp_default_state=online_movable memory_hotplug.memmap_on_memory=1
qemu_extra -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd -m size=2048M,slots=1,maxmem=4G \
	-object memory-backend-ram,id=dimm,size=256M -device pc-dimm,memdev=dimm

twin "a vmemmap that is not left alone is noticed" memory,eject,added=256,busted 'folios refused'
check "memory with its own vmemmap removed" memory,eject,added=256,hosted
