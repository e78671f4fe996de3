# shellcheck shell=bash
# Pages of the command line that come from CMA, and go back there.
kernel debug
machine 2 8G
append hugetlb_free_vmemmap=on hugetlb_cma=3G hugetlb_cma_only=on hugepagesz=1G hugepages=2

check "pools of the command line, from CMA" memory,boot-pools,page_ext=8
