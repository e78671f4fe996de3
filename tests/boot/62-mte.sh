# shellcheck shell=bash
# Memory tagging, and KASAN by it: moving a huge page resets the tag in the flags
# of each of its struct pages, most of which are one and the same with HVO.
kernel mte
broken_qemu 7.2 "one STG tags 128 granules, so that KASAN_HW_TAGS does not come up"
machine 2 8G
append hugetlb_free_vmemmap=on
qemu_extra -machine mte=on \
	-object memory-backend-ram,id=n0,size=4G -object memory-backend-ram,id=n1,size=4G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1

logs "KASAN tags memory" 1 'KernelAddressSanitizer initialized \(hw-tags'
check "pools of every size" pools,hvo=on
check "pages moved between nodes" memory,migrate,rounds=20
twin "pages that do not move are noticed" memory,migrate,rounds=1,busted 'is on node'
check "cycles of alloc, demote, free" cases,cycles,rounds=1
