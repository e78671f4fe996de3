# shellcheck shell=bash
# The short suite of make matrix, on the machine and the kernel of one row.
# shellcheck disable=SC2154 # matrix.sh sets them
kernel shape
machine "$SHAPE_CPUS" 4G
limit 900
append "hugetlb_free_vmemmap=on $SHAPE_APPEND"
# shellcheck disable=SC2086
qemu_extra $SHAPE_QEMU
[ "$SHAPE_NODES" = 1 ] || qemu_extra \
	-object memory-backend-ram,id=n0,size=2G -object memory-backend-ram,id=n1,size=2G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1

check "pools of every size" pools,hvo=on
twin "pools without HVO are noticed" pools,hvo=on,busted 'freed 0 kB of vmemmap, expected'
check "cycles of alloc, demote, free" cases,cycles,rounds=3
check "readers of every struct page meanwhile" cases,readers,seconds=5
check "surplus pages at run time" cases,overcommit
[ "$SHAPE_NODES" = 1 ] || check "pages moved between nodes" memory,migrate
