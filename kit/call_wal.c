/* The log, by name: wal/status, wal/list, wal/verify, wal/checkpoint. Ours: Kubo has no such thing. */
#include "call.h"
#include "telling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *place_json(const struct store_wal_place *place)
{
	return json_pack("{s:I, s:I, s:I}", "Segment", (json_int_t)place->segment, "Offset",
		(json_int_t)place->offset, "Sequence", (json_int_t)place->sequence);
}

/* Of a repo that is only read the opening told what is the matter, and what to do. */
static const char *why_stopped(const struct kit_node *node, int code)
{
	return !code ? ""
		: code == -EUCLEAN && node->core->read_only && *node->core->warning
		? node->core->warning
		: anyio_error_text(code);
}

int call_wal_status(struct call *call)
{
	struct store_wal_status status;

	store_wal_status(call->node->core->store, &status);
	return call_answer(call,
		json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "Durable",
			place_json(&status.durable), "End", place_json(&status.end), "Checkpoint",
			place_json(&status.checkpoint), "PendingBytes",
			(json_int_t)status.pending_bytes, "BehindBytes",
			(json_int_t)status.behind_bytes, "BehindEntries",
			(json_int_t)status.behind_entries, "OperationsBytes",
			(json_int_t)status.operations_bytes, "OperationsPending",
			(json_int_t)status.operations_pending, "Segments",
			(json_int_t)status.segments, "Bytes", (json_int_t)status.bytes, "Stopped",
			why_stopped(call->node, status.stopped)));
}

struct listing {
	struct call *call;
	bool records; /* blocks are left out */
	bool pending; /* what is durable is */
};

static const char *kind_name(enum store_wal_kind kind)
{
	static const char *const names[] = {
		[STORE_WAL_SEGMENT] = "segment",
		[STORE_WAL_BLOCK] = "block",
		[STORE_WAL_PIN] = "pin",
		[STORE_WAL_COMMIT] = "commit",
		[STORE_WAL_VOID] = "void",
		[STORE_WAL_FILL] = "fill",
		[STORE_WAL_LOST] = "lost",
		[STORE_WAL_ADOPTED] = "adopted",
		[STORE_WAL_STATE] = "state",
	};

	return names[kind];
}

static const char *pin_name(enum store_pin_mode mode)
{
	return mode == STORE_PIN_NONE ? "none" : mode == STORE_PIN_DIRECT ? "direct" : "recursive";
}

/* What only some kinds have, into what all have. */
static json_t *more_of(const struct store_wal_entry *entry)
{
	switch (entry->kind) {
	case STORE_WAL_BLOCK:
		return json_pack(
			"{s:o, s:I}", "Cid", call_cid(&entry->cid), "Size", (json_int_t)entry->len);
	case STORE_WAL_PIN:
		return json_pack(
			"{s:o, s:s}", "Cid", call_cid(&entry->cid), "Mode", pin_name(entry->mode));
	case STORE_WAL_STATE:
		return json_pack("{s:I, s:I, s:b}", "Space", (json_int_t)entry->of, "Size",
			(json_int_t)entry->len, "Kept", entry->mode != STORE_PIN_NONE);
	case STORE_WAL_COMMIT:
		return json_pack("{s:I, s:I, s:b}", "From", (json_int_t)entry->from, "Sections",
			(json_int_t)entry->count, "Intact", entry->intact);
	case STORE_WAL_SEGMENT:
		return json_pack("{s:I, s:I}", "Before", (json_int_t)entry->of, "BeforeSize",
			(json_int_t)entry->to);
	case STORE_WAL_VOID:
		return json_pack("{s:I, s:I, s:I}", "Of", (json_int_t)entry->of, "From",
			(json_int_t)entry->from, "To", (json_int_t)entry->to);
	case STORE_WAL_ADOPTED:
		return json_pack("{s:I, s:I, s:b}", "From", (json_int_t)entry->from, "To",
			(json_int_t)entry->to, "Linked", entry->linked);
	default: return json_object();
	}
}

static int list_entry(void *arg, const struct store_wal_entry *entry)
{
	struct listing *listing = arg;

	if ((listing->records && entry->kind == STORE_WAL_BLOCK) ||
		(listing->pending && entry->durable))
		return 0;
	json_t *value = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "Type",
		kind_name(entry->kind), "Segment", (json_int_t)entry->segment, "Operations",
		(json_int_t)entry->operations, "Offset", (json_int_t)entry->offset, "End",
		(json_int_t)entry->end, "Sequence", (json_int_t)entry->sequence, "Durable",
		entry->durable);
	json_t *more = more_of(entry);
	if (!value || !more || json_object_update_new(value, more)) {
		json_decref(value);
		return -ENOMEM;
	}
	return call_answer(listing->call, value);
}

/* Who asks for more than there is has mistaken the number; one below that may have gone meanwhile, and the next is told. */
static int check_segment(struct call *call, uint32_t segment)
{
	struct store_wal_status status;
	char there[80] = "there is none";

	store_wal_status(call->node->core->store, &status);
	if (segment <= status.last)
		return 0;
	if (status.files == 1)
		snprintf(there, sizeof(there), "there is only segment %u", status.last);
	else if (status.files > 1)
		snprintf(there, sizeof(there), "there are %llu, numbered from %u to %u",
			(unsigned long long)status.files, status.first, status.last);
	return kit_fail(call->node, -ENOENT, "there is no segment %u here; %s", segment, there);
}

int call_wal_list(struct call *call)
{
	struct listing listing = { .call = call };
	uint64_t segment = 0, offset = 0;
	int rc = call_number(call, "segment", UINT32_MAX, &segment);

	if (!rc)
		rc = call_number(call, "offset", UINT64_MAX, &offset);
	if (!rc)
		rc = call_flag(call, "records", &listing.records);
	if (!rc)
		rc = call_flag(call, "pending", &listing.pending);
	if (!rc)
		rc = check_segment(call, (uint32_t)segment);
	if (rc)
		return rc;
	rc = store_wal_each(
		call->node->core->store, (uint32_t)segment, offset, list_entry, &listing);
	return rc < 0 && !*call->node->error ? kit_fail_code(call->node, rc, "reading the log")
					     : rc;
}

enum { TELL_EVERY = ANYIO_SECOND / 10 };

struct replaying {
	struct call *call;
	bool all, progress; /* asked for */
	struct store_wal_replay result;
	uint64_t done, total, told; /* bytes; of done */
	anyio_time when;
	struct telling telling;
};

struct damage {
	uint32_t segment;
	uint64_t from, to;
};

static int on_passed(void *arg, uint64_t done, uint64_t total)
{
	struct replaying *replaying = arg;

	replaying->done = done;
	replaying->total = total;
	if (done == total || anyio_now() - replaying->when >= TELL_EVERY) {
		replaying->when = anyio_now();
		telling_wake(&replaying->telling);
	}
	return replaying->telling.failed;
}

static int on_damage(void *arg, uint32_t segment, uint64_t from, uint64_t to)
{
	struct replaying *replaying = arg;
	const struct damage damage = { segment, from, to };

	telling_note(&replaying->telling, &damage, sizeof(damage));
	int rc = telling_pace(&replaying->telling);
	return rc ? rc : replaying->telling.failed;
}

static int replay(void *arg)
{
	struct replaying *replaying = arg;
	const struct store_wal_replay_options options = { .all = replaying->all,
		.fault = on_damage,
		.progress = replaying->progress ? on_passed : NULL,
		.arg = replaying };

	return store_wal_replay(replaying->call->node->core->store, &options, &replaying->result);
}

static int tell_passed(struct replaying *replaying)
{
	if (replaying->done == replaying->told)
		return 0;
	replaying->told = replaying->done;
	return call_answer(replaying->call,
		json_pack("{s:I, s:I}", "Progress", (json_int_t)replaying->done, "Total",
			(json_int_t)replaying->total));
}

/* Of the operation log, Operations is the number of its file. */
static int tell_damage(struct call *call, const struct damage *damage)
{
	struct store_wal_status status;
	uint32_t segment = damage->segment;

	store_wal_status(call->node->core->store, &status);
	return call_answer(call,
		json_pack("{s:s, s:I, s:I, s:I, s:I}", "Type", "damage", "Segment",
			(json_int_t)segment, "Operations",
			(json_int_t)(segment ? 0 : status.operations), "From",
			(json_int_t)damage->from, "To", (json_int_t)damage->to));
}

static int tell(void *arg, const void *note, size_t len)
{
	struct replaying *replaying = arg;
	struct damage damage;

	if (!note)
		return tell_passed(replaying);
	memcpy(&damage, note, len);
	return tell_damage(replaying->call, &damage);
}

/* progress: answers without a Type come before. */
int call_wal_verify(struct call *call)
{
	struct replaying replaying = { .call = call,
		.telling = { .tell = tell, .arg = &replaying, .room = call->node->room } };
	const struct store_wal_replay *found = &replaying.result;
	int rc = call_flag(call, "all", &replaying.all);

	if (!rc)
		rc = call_flag(call, "progress", &replaying.progress);
	if (rc)
		return rc;
	rc = telling_run(&replaying.telling, replay, &replaying);
	if (!rc)
		rc = replaying.telling.failed;
	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc)
		return *call->node->error ? rc : kit_fail_code(call->node, rc, "reading the log");
	rc = call_answer(call,
		json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "Type", "replay", "Bytes",
			(json_int_t)found->bytes, "Blocks", (json_int_t)found->blocks, "Operations",
			(json_int_t)found->operations, "Unfinished", (json_int_t)found->unfinished,
			"Damaged", (json_int_t)found->damaged, "Cut", (json_int_t)found->cut));
	return rc || !found->damaged
		? rc
		: kit_fail(call->node, -EUCLEAN,
			  "%llu damaged place%s in durable log%s; 'ipfs-kit repo verify' tells what is lost",
			  (unsigned long long)found->damaged, found->damaged == 1 ? "" : "s",
			  replaying.telling.lost ? ", more than could be told" : "");
}

int call_wal_checkpoint(struct call *call)
{
	int rc = store_checkpoint(call->node->core->store);
	struct store_wal_status status;

	if (rc)
		return kit_fail_code(call->node, rc, "writing the index");
	store_wal_status(call->node->core->store, &status);
	return call_answer(call, json_pack("{s:o}", "Checkpoint", place_json(&status.checkpoint)));
}
