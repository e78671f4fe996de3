# shellcheck shell=bash
# Two nodes, a pool on each, and a page of the largest size from CMA.
kernel guest
machine 2 4G
append hugetlb_free_vmemmap=on hugetlb_cma=1:1G
qemu_extra -object memory-backend-ram,id=n0,size=2G -object memory-backend-ram,id=n1,size=2G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1

check "a pool of each node" memory,nodes
twin "a pool of another node is noticed" memory,nodes,busted 'SHARED entries, and'
check "gigantic pages from CMA" memory,cma
twin "pages that are not from CMA are noticed" memory,cma,busted 'CMA gave'
check "pages moved between nodes" memory,migrate
twin "pages that do not move are noticed" memory,migrate,rounds=1,busted 'is on node'
