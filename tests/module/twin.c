// SPDX-License-Identifier: GPL-2.0
/* The twin of reference.c: what it calls is for modules that are GPL. */
#include <linux/module.h>
#include <linux/rcupdate.h>

static int __init twin_init(void)
{
	synchronize_rcu();
	return 0;
}
module_init(twin_init);

MODULE_DESCRIPTION("A call that is not for a module that is not GPL");
MODULE_LICENSE("Proprietary");
