/* The repo as a whole: what it holds, and whether it holds it whole. */
#include "heal.h"
#include "telling.h"

#include <errno.h>
#include <kit/problem.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kit_repo_stat(struct kit_node *node, struct kit_repo_stat *stat)
{
	struct store_stat from;
	const struct kit_config *config;
	int rc = store_stat(node->core->store, &from);

	if (rc)
		return kit_fail_code(node, rc, "repo stat");
	rc = kit_config_now(node, &config);
	if (rc)
		return rc;
	*stat = (struct kit_repo_stat){ .blocks = from.blocks,
		.bytes = from.bytes,
		.disk_bytes = from.segment_bytes + from.index_bytes,
		.segments = from.segments,
		.adopted = from.adopted,
		.linked = from.linked,
		.pins = from.pins,
		.max_bytes = kit_config_size(config, "store.max"),
		.path = node->core->dir,
		.version = STORE_VERSION };
	return 0;
}

enum { PROBLEM_MAX = MF_CID_TEXT_MAX + 200 + KIT_TIER_HOW, OBJECT_MAX = 40 };

struct verifying {
	const struct kit_verify_options *options;
	struct kit_node *node;
	struct telling telling;
	struct heal heal;
	struct store_verify_result result;
	bool segments; /* some are damaged, or missing */
	bool log;      /* the operation log is, of which nothing comes back with content */
	bool unread;   /* objects in tiers are not known yet */
};

static int on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct verifying *verifying = arg;

	if (verifying->options->progress)
		verifying->options->progress(verifying->options->arg, done, total);
	return 0;
}

/* "1 block" */
static const char *count(char out[40], uint64_t n, const char *noun)
{
	snprintf(out, 40, "%llu %s%s", (unsigned long long)n, noun, n == 1 ? "" : "s");
	return out;
}

static void describe(
	const struct kit_core *core, const struct store_fault *fault, char *out, size_t cap)
{
	unsigned long long from = fault->from, to = fault->to;
	char blocks[40], first[MF_CID_TEXT_MAX], how[KIT_TIER_HOW];
	const char *tier = fault->tier, *object = fault->object;

	switch (fault->kind) {
	case STORE_FAULT_DAMAGE:
		snprintf(out, cap,
			"segments/%08u.car: bytes %llu to %llu are damaged, where no block is known to be",
			fault->segment, from, to);
		break;
	case STORE_FAULT_BLOCK:
		snprintf(out, cap, "damaged: bytes %llu to %llu of segments/%08u.car", from, to,
			fault->segment);
		break;
	case STORE_FAULT_INDEX:
		snprintf(out, cap,
			"not known to the index: bytes %llu to %llu of segments/%08u.car", from, to,
			fault->segment);
		break;
	case STORE_FAULT_POINTERS:
		snprintf(out, cap, "the index points at %s not there",
			fault->blocks == 1 ? "1 block that is" : "blocks that are");
		break;
	case STORE_FAULT_SEGMENT:
		count(blocks, fault->blocks, "block");
		if (from == 0)
			snprintf(out, cap,
				"segments/%08u.car is missing, or nothing of it is left: %s lost with it",
				fault->segment, blocks);
		else
			snprintf(out, cap,
				"segments/%08u.car has lost its end: it has %llu bytes of %llu, %s lost with it",
				fault->segment, from, to, blocks);
		break;
	case STORE_FAULT_CHANGED:
		snprintf(out, cap,
			"segments/%08u.car, a link to an adopted file, was changed since, or is a copy of it, as in a copied repo: %s "
			"not believed until the file is imported again, or, where it is the link, has its bytes and times (cp -p onto it)",
			fault->segment, count(blocks, fault->blocks, "block"));
		break;
	case STORE_FAULT_OPERATIONS:
		if (to)
			snprintf(out, cap,
				"ops/%08u.log, the operation log, which has the pins, is damaged: bytes %llu to %llu%s",
				fault->segment, from, to,
				fault->accepted
					? ""
					: "; put a whole copy of it back, or 'ipfs-kit repo verify "
					  "--accept-loss' writes it anew with the pins that 'ipfs-kit pin ls' lists");
		else
			snprintf(out, cap,
				"the operation log (ops/), which has the pins, is missing, has lost its end, or is an older copy");
		break;
	case STORE_FAULT_TIER:
		snprintf(out, cap, "damaged, or lost%s: bytes %llu to %llu of %s in the tier %s%s",
			fault->error == -EREMOTEIO
				? " when it was read last, and cannot be read now"
				: "",
			from, to, object, tier,
			fault->cid ? ""
				   : ", its own index, needed when the repo's is lost: "
				     "'ipfs-kit tier move CID fast' saves what lies in it");
		break;
	case STORE_FAULT_UNREAD:
		if (!kit_tier_explain(core, tier, how, sizeof(how)) && fault->error != -EREMOTEIO)
			strcpy(how,
				core->unwritable
					? "is read when the repo is opened where it can be written to"
					: "was asked, and did not have it whole");
		count(blocks, fault->blocks, "block");
		if (fault->error == -EREMOTEIO)
			snprintf(out, cap,
				"%s in the tier %s could not be read, the first of %s: it %s",
				blocks, tier, object, how);
		else
			snprintf(out, cap,
				"%s in the tier %s could not be read since the index was made anew, and %s in it may be what pins "
				"lack: it %s",
				object, tier, blocks, how);
		break;
	case STORE_FAULT_PIN:
		if (fault->blocks == 1 && mf_cid_equal(fault->cid, fault->pin)) {
			snprintf(out, cap, "pinned, and missing or damaged");
			break;
		}
		mf_cid_format(fault->cid, first, sizeof(first));
		snprintf(out, cap, "pinned, and lacks %s, which %s missing or damaged: %s%s",
			count(blocks, fault->blocks, "block"), fault->blocks == 1 ? "is" : "are",
			fault->blocks == 1 ? "" : "one is ", first);
		break;
	}
}

/* As it waits to be told: what it points to comes behind it, as much as there is, one after the other. */
struct note {
	struct kit_problem problem;
	uint8_t cid, missing; /* bytes; 0: none */
	uint8_t more[2 * MF_CID_BYTES_MAX + PROBLEM_MAX + sizeof("segments/4294967295.car") +
		STORE_TIER_NAME_MAX + OBJECT_MAX + 3];
};

static uint8_t put_cid(struct note *note, size_t *used, const struct mf_cid *cid)
{
	size_t len = cid ? mf_cid_encode(cid, note->more + *used, MF_CID_BYTES_MAX) : 0;

	*used += len;
	return (uint8_t)len;
}

static void put_text(struct note *note, size_t *used, const char *text)
{
	if (!text)
		return;
	size_t len = strnlen(text, sizeof(note->more) - 1 - *used);

	memcpy(note->more + *used, text, len);
	note->more[*used + len] = 0;
	*used += len + 1;
}

static void note_problem(struct verifying *verifying, const struct kit_problem *problem)
{
	struct note note = { .problem = *problem };
	size_t used = 0;

	note.cid = put_cid(&note, &used, problem->cid);
	note.missing = put_cid(&note, &used, problem->missing);
	put_text(&note, &used, problem->text);
	put_text(&note, &used, problem->file);
	put_text(&note, &used, problem->tier);
	put_text(&note, &used, problem->object);
	telling_note(&verifying->telling, &note, offsetof(struct note, more) + used);
}

static void take_cid(const uint8_t **at, size_t len, struct mf_cid *cid, const struct mf_cid **out)
{
	if (len)
		mf_cid_decode(cid, *at, len);
	*out = len ? cid : NULL;
	*at += len;
}

static void take_text(const uint8_t **at, const char **text)
{
	if (!*text)
		return;
	*text = (const char *)*at;
	*at += strlen(*text) + 1;
}

/* One that is told of for a pin is missing; others with it were perhaps told of without their names. */
static void note_to_heal(struct verifying *verifying, const struct store_fault *fault)
{
	if (fault->accepted || fault->follows)
		return;
	if ((fault->kind == STORE_FAULT_BLOCK || fault->kind == STORE_FAULT_TIER) && fault->cid)
		heal_note(&verifying->heal, fault->cid, false);
	else if (fault->kind == STORE_FAULT_PIN)
		heal_note(&verifying->heal, fault->pin, true);
}

static const char *kind_of(const struct store_fault *fault)
{
	static const char *const names[] = {
		[STORE_FAULT_DAMAGE] = "bytes",
		[STORE_FAULT_BLOCK] = "block",
		[STORE_FAULT_INDEX] = "unindexed",
		[STORE_FAULT_POINTERS] = "pointers",
		[STORE_FAULT_SEGMENT] = "segment",
		[STORE_FAULT_OPERATIONS] = "operations",
		[STORE_FAULT_CHANGED] = "changed",
		[STORE_FAULT_PIN] = "pin",
		[STORE_FAULT_TIER] = "tier-block",
		[STORE_FAULT_UNREAD] = "unread",
	};

	return fault->kind == STORE_FAULT_TIER && !fault->cid ? "tier-index" : names[fault->kind];
}

static void note_fault(
	struct verifying *verifying, const struct store_fault *fault, const char *text)
{
	bool pin = fault->kind == STORE_FAULT_PIN, changed = fault->kind == STORE_FAULT_CHANGED;
	bool operations = fault->kind == STORE_FAULT_OPERATIONS;
	struct kit_problem problem = { .kind = kind_of(fault),
		.text = text,
		.cid = pin ? fault->pin : fault->cid,
		.missing = pin ? fault->cid : NULL,
		.from = changed ? 0 : fault->from,
		.to = changed ? 0 : fault->to,
		.blocks = fault->blocks,
		.tier = fault->tier,
		.object = fault->object,
		.error = fault->error,
		.given_up = fault->accepted };
	char file[32];

	/* Of an operation log that is lost nobody knows which. */
	if (fault->segment && !fault->tier && !(operations && !fault->to)) {
		snprintf(file, sizeof(file), operations ? "ops/%08u.log" : "segments/%08u.car",
			fault->segment);
		problem.file = file;
	}
	note_problem(verifying, &problem);
}

static void on_fault(void *arg, const struct store_fault *fault)
{
	struct verifying *verifying = arg;
	char text[PROBLEM_MAX];
	const char *given_up = fault->accepted ? "given up: " : "";
	size_t used = strlen(given_up);

	strcpy(text, given_up);
	describe(verifying->node->core, fault, text + used, sizeof(text) - used);
	if (verifying->options->heal)
		note_to_heal(verifying, fault);
	verifying->unread |= fault->kind == STORE_FAULT_UNREAD;
	verifying->log |= fault->kind == STORE_FAULT_OPERATIONS && !fault->accepted;
	verifying->segments |= fault->kind != STORE_FAULT_PIN &&
		fault->kind != STORE_FAULT_UNREAD && fault->kind != STORE_FAULT_OPERATIONS &&
		!fault->accepted;
	if (verifying->options->problem)
		note_fault(verifying, fault, text);
}

static int tell(void *arg, const void *note, size_t len)
{
	struct verifying *verifying = arg;
	struct note own;
	struct kit_problem *problem = &own.problem;
	struct mf_cid cid, missing;
	const uint8_t *at = own.more;

	if (!note)
		return 0;
	memcpy(&own, note, len);
	take_cid(&at, own.cid, &cid, &problem->cid);
	take_cid(&at, own.missing, &missing, &problem->missing);
	take_text(&at, &problem->text);
	take_text(&at, &problem->file);
	take_text(&at, &problem->tier);
	take_text(&at, &problem->object);
	return verifying->options->problem(verifying->options->arg, problem);
}

static int verify(void *arg)
{
	struct verifying *verifying = arg;
	struct store_verify_options how = { .progress = on_progress,
		.fault = on_fault,
		.arg = verifying,
		.accept_loss = verifying->options->accept_loss,
		.tiers = verifying->options->tiers };
	int rc = store_verify(verifying->node->core->store, &how, &verifying->result);

	return rc ? rc : heal_all(&verifying->heal);
}

/* The fault was told before. */
static void note_healed(void *arg, const struct mf_cid *cid, const char *why)
{
	struct verifying *verifying = arg;
	char text[PROBLEM_MAX], tier[STORE_TIER_NAME_MAX + 1];

	if (!verifying->options->problem)
		return;
	if (why)
		snprintf(text, sizeof(text), "not healed: %s", why);
	else if (store_where(verifying->node->core->store, cid, tier) > 0 && *tier)
		snprintf(text, sizeof(text), "healed: the tier %s had it", tier);
	else
		strcpy(text, "healed: a peer had it");
	note_problem(verifying,
		&(struct kit_problem){
			.kind = why ? "unhealed" : "healed", .text = text, .cid = cid });
}

static int refuse_to_heal(struct kit_node *node)
{
	return kit_fail(node, -ENOTCONN,
		"what is damaged is healed by peers, and none is asked here; start 'ipfs-kit daemon', and connect to one that has it");
}

static const char *next_step(const struct verifying *verifying)
{
	if (!verifying->segments && !verifying->log)
		return verifying->unread
			? "see to the tier ('ipfs-kit config tier.places' tells where it is), then run it again"
			: "'ipfs-kit pin add' fetches what a pin needs through a daemon, 'ipfs-kit pin rm' takes the pin away";
	if (!verifying->options->heal && verifying->segments && kit_has_tiers(verifying->node))
		return "'ipfs-kit repo verify --heal' looks for what is damaged in tiers; or put a whole copy of that file back, or add or "
		       "fetch the content again, or 'ipfs-kit repo verify --accept-loss' gives up what is lost";
	return verifying->node->core->read_only || !verifying->segments
		? "put a whole copy of that file back, or 'ipfs-kit repo verify --accept-loss' gives up what is lost"
		: "put a whole copy of that file back, or add or fetch the content again, or "
		  "'ipfs-kit repo verify --accept-loss' gives up what is lost";
}

int kit_repo_verify(struct kit_node *node, const struct kit_verify_options *options)
{
	static const struct kit_verify_options none;
	struct verifying verifying = { .options = options ? options : &none,
		.node = node,
		.telling = { .tell = tell, .arg = &verifying, .room = node->room },
		.heal = { .node = node,
			.timeout = 30 * ANYIO_SECOND,
			.told = note_healed,
			.arg = &verifying } };
	const struct store_verify_result *result = &verifying.result;
	char problems[40];

	bool asks_peers = node->core->bitswap && !node->offline;
	if (verifying.options->heal && !asks_peers && !kit_has_tiers(node))
		return refuse_to_heal(node);
	if (verifying.options->heal_timeout)
		verifying.heal.timeout = verifying.options->heal_timeout;
	/* What a tier has is known first. */
	int rc = kit_tiers_tend(node->core);

	if (rc == 0)
		rc = telling_run(&verifying.telling, verify, &verifying);
	heal_free(&verifying.heal);
	node->error[0] = 0;
	if (verifying.options->accept_loss && !rc)
		node->core->read_only = false;
	if (rc)
		return rc == ANYIO_CANCELLED ? rc : kit_fail_code(node, rc, "repo verify");
	if (result->faults > verifying.heal.healed)
		return kit_fail(node, -EUCLEAN, "%s found%s, every other block is whole; %s",
			count(problems, result->faults - verifying.heal.healed, "problem"),
			verifying.telling.lost ? ", more than could be told" : "",
			next_step(&verifying));
	return 0;
}

const char *kit_repo_verified(struct kit_node *node, bool tiers)
{
	struct store_tier_stat stat = { 0 };

	while (!tiers && store_tier_next(node->core->store, stat.name, &stat) > 0)
		if (stat.objects > 0)
			return "verify complete, all blocks validated that lie in the repo; those in tiers are, whenever they are read, "
			       "or now by 'ipfs-kit repo verify --tiers'.";
	return "verify complete, all blocks validated.";
}
