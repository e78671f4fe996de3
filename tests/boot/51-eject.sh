# shellcheck shell=bash
# Memory that ACPI adds and takes away again while pools come and go on it, and
# while one is there: hot-remove finds its vmemmap OWNED. With lockdep, since memory
# offline holds the lock of CPU hotplug. The memmap counters of this kernel have
# page_ext in them: page_table_check's 8 bytes for each page.
kernel debug
machine 2 2G
append hugetlb_free_vmemmap=on memhp_default_state=online_movable
qemu_extra -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd -m size=2048M,slots=1,maxmem=4G \
	-object memory-backend-ram,id=dimm,size=256M -device pc-dimm,memdev=dimm

twin "memory that stays is noticed" memory,eject,added=256,page_ext=8,busted 'are there still'
check "memory removed under a pool" memory,eject,added=256,page_ext=8
