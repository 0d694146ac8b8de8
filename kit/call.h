/* What the commands by name share. */
#ifndef KIT_CALL_PRIVATE_H
#define KIT_CALL_PRIVATE_H

#include "node.h"
#include <jansson.h>
#include <kit/call.h>

struct call {
	struct kit_node *node;
	const struct kit_call *from;
	size_t count; /* arguments */
	char *text;   /* of an answer that is being written */
	size_t text_len, text_size;
};

/* Gives one answer; takes the reference. NULL is -ENOMEM. */
int call_answer(struct call *call, json_t *value);
/* A long one bit by bit: text, or a value, which is taken; then its end. */
int call_write(struct call *call, const char *text);
int call_write_json(struct call *call, json_t *value);
int call_write_end(struct call *call);
/* An option's value, NULL when absent. */
const char *call_option(const struct call *call, const char *name);
/* A flag's value into *flag, which holds the one of a flag that is absent. 0 or a negative code. */
int call_flag(const struct call *call, const char *name, bool *flag);
/* A number that an option has, at most `most`; when it is absent *number stays. 0 or a negative code. */
int call_number(const struct call *call, const char *name, uint64_t most, uint64_t *number);
/* The text form of a CID as JSON. */
json_t *call_cid(const struct mf_cid *cid);
/* A name or path as JSON; NULL when memory is short. */
json_t *call_text(const char *bytes);

int call_bitswap_wantlist(struct call *call);
int call_config(struct call *call);
int call_config_show(struct call *call);
int call_heat_top(struct call *call);
int call_id(struct call *call);
int call_metrics(struct call *call);
int call_pin_add(struct call *call);
int call_pin_ls(struct call *call);
int call_pin_rm(struct call *call);
int call_pin_update(struct call *call);
int call_ping(struct call *call);
int call_repo_gc(struct call *call);
int call_repo_stat(struct call *call);
int call_repo_verify(struct call *call);
int call_repo_version(struct call *call);
int call_swarm_addrs_local(struct call *call);
int call_swarm_connect(struct call *call);
int call_swarm_disconnect(struct call *call);
int call_swarm_peers(struct call *call);
int call_tier_list(struct call *call);
int call_tier_move(struct call *call);
int call_tier_policy(struct call *call);
int call_tier_stat(struct call *call);
int call_version(struct call *call);
int call_wal_checkpoint(struct call *call);
int call_wal_list(struct call *call);
int call_wal_status(struct call *call);
int call_wal_verify(struct call *call);

#endif
