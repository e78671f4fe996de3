// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's TCG that counts what an arm64 guest executes between marks:
 * instructions, and of them the kinds that cost other CPUs something. The guest makes
 * the marks: `hint #112` begins a record, `hint #113` ends it; both are NOPs to it. The
 * first record begins at power-on if no mark does.
 * What it does in between is counted, asleep or not: time that passes while no
 * instruction is executed is not in any count, unlike in the guest's clock.
 *
 *	-plugin count.so,out=FILE[,profile=FILE][,vcpus=N]
 *
 * out gets a line of JSON for each record, in the order of their beginnings. profile
 * gets, for each, "record N" and lines of "ADDRESS INSTRUCTIONS EXECUTIONS" for every
 * translation block; see profile.py. With more than one vCPU the counts are for each
 * of them.
 *
 * What is declared here is of QEMU's documented plugin API, version 1, whose header
 * Debian's packages lack. A block counts when it begins, so that one which is left by
 * an exception counts in full.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { QEMU_PLUGIN_CB_NO_REGS };
enum { QEMU_PLUGIN_INLINE_ADD_U64 };

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int, void *), int flags, void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
					      uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int, void *), int flags,
					    void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, void *),
				    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

#define MAX_VCPUS 16
#define MARK_BEGIN 112
#define MARK_END 113

/* The kinds; those of TLBI follow, by CRm and op2, where op1 is 0 (EL1). */
enum kind {
	INSNS, USER, DSB, DSB_ST, DMB, ISB, CAS, ATOMIC, LDX, STX, ACQUIRE, RELEASE, SGI, WFI, WFE,
	TLBI, TLBI_OTHER = TLBI + 16 * 8, NR_KINDS
};

static const char * const kind_name[TLBI] = {
	[INSNS] = "instructions", [USER] = "user", [DSB] = "dsb", [DSB_ST] = "dsb st",
	[DMB] = "dmb", [ISB] = "isb", [CAS] = "cas", [ATOMIC] = "atomic", [LDX] = "ldx",
	[STX] = "stx", [ACQUIRE] = "acquire", [RELEASE] = "release", [SGI] = "sgi",
	[WFI] = "wfi", [WFE] = "wfe",
};

static const struct {
	uint32_t mask, value;
	enum kind kind;
} patterns[] = {
	{ 0xfffff3ff, 0xd503329f, DSB_ST },	/* for stores only: it waits for no TLBI */
	{ 0xfffff0ff, 0xd503309f, DSB },
	{ 0xfffff3ff, 0xd503323f, DSB },	/* nXS */
	{ 0xfffff0ff, 0xd50330bf, DMB },
	{ 0xfffff0ff, 0xd50330df, ISB },
	{ 0xffffffff, 0xd503207f, WFI },
	{ 0xffffffff, 0xd503205f, WFE },
	{ 0xffffffe0, 0xd518cba0, SGI },	/* MSR ICC_SGI1R_EL1 */
	{ 0x3fa07c00, 0x08a07c00, CAS },
	{ 0xbfa07c00, 0x08207c00, CAS },	/* CASP */
	{ 0x3ffffc00, 0x38bfc000, ACQUIRE },	/* LDAPR */
	{ 0x3b200c00, 0x38200000, ATOMIC },	/* LDADD and the like, SWP */
	{ 0x3fe00000, 0x08400000, LDX },
	{ 0xbfe00000, 0x88600000, LDX },	/* LDXP */
	{ 0x3fe00000, 0x08000000, STX },
	{ 0xbfe00000, 0x88200000, STX },	/* STXP */
	{ 0x3fe08000, 0x08c08000, ACQUIRE },	/* LDAR */
	{ 0x3fe08000, 0x08808000, RELEASE },	/* STLR */
};

/* A translation block, kept for ever: it may be translated again, but not changed. */
struct block {
	struct block *next;
	uint64_t va, execs;
	uint32_t insns, nr_kinds;
	struct { uint16_t kind, nr; } kinds[];
};

static uint64_t counts[MAX_VCPUS][NR_KINDS];
static struct block *blocks;
static FILE *out, *profile;
static unsigned int vcpus = 1;
static long records;
static bool open_record = true;

static const char *tlbi_name(unsigned int crm_op2)
{
	static const char * const what[] = {
		"vmalle1", "vae1", "aside1", "vaae1", "?4", "vale1", "?6", "vaale1"
	};
	static const char * const where[16] = {
		[1] = "os", [2] = "is", [3] = "is", [5] = "os", [6] = "", [7] = ""
	};
	const unsigned int crm = crm_op2 >> 3;
	static char name[32];

	if (!where[crm])
		snprintf(name, sizeof(name), "tlbi c%u_%u", crm, crm_op2 & 7);
	else
		snprintf(name, sizeof(name), "tlbi %s%s%s",
			 crm == 2 || crm == 5 || crm == 6 ? "r" : "", what[crm_op2 & 7], where[crm]);
	return name;
}

static int kind_of(uint32_t w)
{
	/* SYS, CRn 8, or 9 for nXS */
	if ((w & 0xfff8e000) == 0xd5088000)
		return w & 0x70000 ? TLBI_OTHER : TLBI + ((w >> 5) & 127);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		if ((w & patterns[i].mask) == patterns[i].value)
			return patterns[i].kind;
	return -1;
}

static void print_kinds(const uint64_t *c)
{
	fprintf(out, "{");
	for (int k = 0; k < NR_KINDS; k++) {
		const char *name;

		if (!c[k] && k >= TLBI)
			continue;
		if (k < TLBI)
			name = kind_name[k];
		else if (k == TLBI_OTHER)
			name = "tlbi other";
		else
			name = tlbi_name(k - TLBI);
		fprintf(out, "%s\"%s\": %" PRIu64, k ? ", " : "", name, c[k]);
	}
	fprintf(out, "}");
}

static void begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	memset(counts, 0, sizeof(counts));
	for (struct block *b = blocks; b && profile; b = b->next)
		b->execs = 0;
	open_record = true;
}

static void end(unsigned int vcpu, void *data)
{
	(void)data;
	if (!open_record)
		return;
	open_record = false;
	fprintf(out, "{\"record\": %ld, \"by\": %u, \"vcpus\": [", records, vcpu);
	for (unsigned int i = 0; i < vcpus; i++) {
		fprintf(out, "%s", i ? ", " : "");
		print_kinds(counts[i]);
	}
	fprintf(out, "]}\n");
	fflush(out);
	if (profile) {
		fprintf(profile, "record %ld\n", records);
		for (struct block *b = blocks; b; b = b->next)
			if (b->execs)
				fprintf(profile, "%" PRIx64 " %u %" PRIu64 "\n", b->va, b->insns,
					b->execs);
		fflush(profile);
	}
	records++;
}

static bool is_user(const struct block *b)
{
	return !(b->va >> 63);
}

/* With more than one vCPU; QEMU runs them in turn, in one thread. */
static void executed(unsigned int vcpu, void *data)
{
	struct block *b = data;
	uint64_t *c;

	if (vcpu >= MAX_VCPUS)
		return;
	c = counts[vcpu];
	b->execs++;
	c[INSNS] += b->insns;
	for (uint32_t i = 0; i < b->nr_kinds; i++)
		c[b->kinds[i].kind] += b->kinds[i].nr;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const size_t n = qemu_plugin_tb_n_insns(tb);
	struct block *b = calloc(1, sizeof(*b) + (n + 1) * sizeof(b->kinds[0]));
	uint16_t nr[NR_KINDS] = { 0 };

	(void)id;
	if (!b)
		abort();
	b->va = qemu_plugin_tb_vaddr(tb);
	b->insns = n;
	b->next = blocks;
	blocks = b;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t w;
		int kind;

		memcpy(&w, qemu_plugin_insn_data(insn), sizeof(w));
		if (w == (0xd503201f | MARK_BEGIN << 5))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS,
							       NULL);
		if (w == (0xd503201f | MARK_END << 5))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS,
							       NULL);
		kind = kind_of(w);
		if (kind >= 0)
			nr[kind]++;
	}
	if (is_user(b))
		nr[USER] = n;
	for (int k = 0; k < NR_KINDS; k++) {
		if (!nr[k])
			continue;
		b->kinds[b->nr_kinds].kind = k;
		b->kinds[b->nr_kinds++].nr = nr[k];
	}
	if (vcpus > 1) {
		qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, b);
		return;
	}
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &counts[0][INSNS], n);
	for (uint32_t i = 0; i < b->nr_kinds; i++)
		qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
							 &counts[0][b->kinds[i].kind],
							 b->kinds[i].nr);
	if (profile)
		qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
							 &b->execs, 1);
}

static void done(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	fclose(out);
	if (profile)
		fclose(profile);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "profile=", 8))
			profile = fopen(argv[i] + 8, "w");
		else if (!strncmp(argv[i], "vcpus=", 6))
			vcpus = strtoul(argv[i] + 6, NULL, 10);
		else
			return -1;
	}
	if (!out || !vcpus || vcpus > MAX_VCPUS)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, done, NULL);
	return 0;
}
