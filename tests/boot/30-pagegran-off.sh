# shellcheck shell=bash
# vmemmap_pagegran=off keeps blocks, and HVO stays off however often it is asked for.
kernel guest
machine 2 4G
append hugetlb_free_vmemmap=on vmemmap_pagegran=off

check "HVO stays off" cases,off
check "the vmemmap has blocks" cases,pagegran,blocks
logs "one line says so" 1 'HVO.*off|vmemmap_pagegran=off'
