# shellcheck shell=bash
# The same with memory that holds its own vmemmap, which HVO leaves alone.
kernel guest
machine 2 2G
append hugetlb_free_vmemmap=on memhp_default_state=online_movable memory_hotplug.memmap_on_memory=1
qemu_extra -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd -m size=2048M,slots=1,maxmem=4G \
	-object memory-backend-ram,id=dimm,size=256M -device pc-dimm,memdev=dimm

twin "a vmemmap that is not left alone is noticed" memory,eject,added=256,busted 'folios refused'
# shellcheck disable=SC2154 # boot.sh sets it
if [ "$base" = 6.12 ]; then
	check "memory with its own vmemmap removed" memory,eject,added=256,hosted
else
	# It stays: 7.3 refuses to take it offline where that vmemmap has blocks, with HVO
	# off and vmemmap_pagegran=off, too ("splits a leaf entry in vmemmap": what is asked
	# about starts behind the vmemmap, in the middle of a block). So removing it must
	# fail, and it must be for that.
	twin "memory with its own vmemmap stays" memory,eject,added=256,hosted '2490368 kB of memory are there still'
	logs "the kernel refuses to take it offline" 3 'splits a leaf entry in vmemmap'
fi
