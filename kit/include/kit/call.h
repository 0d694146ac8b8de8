/*
 * The node's small commands by name, answering in JSON: what the HTTP RPC, the command line and
 * language bindings share. Names, arguments, options and answers are those of Kubo's RPC
 * (https://docs.ipfs.tech/reference/kubo/rpc/), so `id` answers {"ID": ..., "PublicKey": ...}.
 *
 * Here: bitswap/wantlist (with Offers: how many peers may have it, key by key), id, version,
 * ls, stat and files/stat (the same: of an immutable path), pin/add, pin/rm, pin/ls, pin/update, block/stat,
 * swarm/connect, swarm/disconnect, swarm/peers, swarm/addrs/local, ping, repo/stat, repo/gc, repo/verify, repo/version, config (get,
 * set), config/show, resolve; and, ours, wal/status, wal/list (segment, offset, records, pending), wal/verify
 * (all, progress), wal/checkpoint: store/wal.h in JSON; and heat/top (count): the content roots most in use, hottest first, an
 * answer each; and tier/list, tier/stat, tier/move (args: a path, a tier), tier/policy: kit.h's tiers; and metrics:
 * kit/metrics.h in JSON, an answer each.
 * Commands that carry bulk bytes (add, cat, get, dag/export,
 * dag/get, dag/import, dag/put, block/get, block/put) are functions of kit.h.
 */
#ifndef KIT_CALL_H
#define KIT_CALL_H

#include <kit/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kit_call_option {
	const char *name, *value;
};

struct kit_call {
	const char *command;                   /* "pin/ls" */
	const char *const *args;               /* NULL-terminated; NULL for none */
	const struct kit_call_option *options; /* ends with a NULL name; NULL for none */
	/* Called with each answer: one JSON value on one line, without a newline. A non-zero return
	 * ends the call with it. */
	int (*answer)(void *arg, const char *json, size_t len);
	void *arg;
	/* Answers come in pieces instead, so that a long one is never whole in memory: each call has the
	 * next bytes of it, and one of 0 bytes ends it. */
	bool pieces;
};

/* Runs one. 0, or a negative code with kit_error_text; -ENOSYS for an unknown command, -EINVAL for
 * wrong arguments or options. */
KIT_API int kit_call_run(struct kit_node *node, const struct kit_call *call);

/* A name or path, which are any bytes, as text that JSON can hold: each byte that is not UTF-8 becomes
 * U+FFFD. Freed with free(); NULL when memory is short. Any thread. */
KIT_API char *kit_json_text(const char *bytes);
struct json_t;
/* For json_dumps: as few digits, from 15 on, as give back each double of a value. Its default of 17 makes 0.1
 * 0.10000000000000001. Any thread. */
KIT_API size_t kit_json_digits(const struct json_t *value);

/* A flag's value: true, t, yes, 1 and "" (a flag that is given without one), or false, f, no, 0; also
 * TRUE, True, T and the like. 0, or -EINVAL for anything else, *truth being left as it is. Any thread. */
KIT_API int kit_truth_parse(const char *text, bool *truth);

/* A time: "300ms", "1m30s", "1.5h"; a number alone is seconds. One below zero has passed: 0. 0, or -EINVAL
 * for anything else and for more than 285 years, *time being left as it is. Any thread. */
KIT_API int kit_time_parse(const char *text, anyio_time *time);
/* A whole number from 0 on, in plain digits. -EINVAL, also when it is too large. Any thread. */
KIT_API int kit_number_parse(const char *text, uint64_t *number);
/* A size: "64MiB", "1.5GB", "10 gb", "4096", "512K" (as KiB). -EINVAL. Any thread. */
KIT_API int kit_size_parse(const char *text, uint64_t *bytes);
/* For kit_durable_within: "durable", "batched" (100 ms), "batched:TIME", "none". -EINVAL. Any thread. */
KIT_API int kit_durability_parse(const char *text, anyio_time *within);

#ifdef __cplusplus
}
#endif
#endif
