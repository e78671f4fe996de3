# shellcheck shell=bash
# A value of vmemmap_pagegran that nobody knows is refused, the default is kept.
kernel guest
machine 2 4G
append hugetlb_free_vmemmap=on vmemmap_pagegran=nonsense

check "pools of every size" pools,hvo=on
logs "one line refuses it" 1 'vmemmap_pagegran.*nonsense'
