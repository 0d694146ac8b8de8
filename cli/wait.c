/*
 * What a command waits for. Beside a command that fetches runs a task that asks the node, once a
 * second, for the blocks it wants and the peers it has. When the same block is wanted and offered by
 * nobody for a while, a line on standard error says so. The task has a handle of its own, so that a
 * question that fails never speaks for the command.
 */
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Looks that find the same want, before it is told: on a terminal, and to a file or pipe, which get it once. */
enum { PATIENCE = 2, PATIENCE_UNSEEN = 5 };

static const anyio_time first_look = 250 * ANYIO_MILLISECOND, next_look = ANYIO_SECOND;

struct waiting {
	struct cli *cli;
	char cid[400];     /* wanted, "" for none */
	char damaged[360]; /* its copy here is: how */
	size_t offers, peers;
	unsigned looks; /* that found it */
	char told[880]; /* the last line */
};

/* What cli_waited_for and its like give. */
static char text[880];
static bool moved, offered;

const char *cli_waited_for(void)
{
	return text;
}

bool cli_wants_moved(void)
{
	return moved;
}

bool cli_somebody_may_have_it(void)
{
	return offered;
}

static const char *key_of(json_t *keys, size_t i)
{
	const char *cid = json_string_value(json_object_get(json_array_get(keys, i), "/"));

	return cid ? cid : "";
}

/* A daemon may want blocks for others too: one that the command's paths name goes first. */
static size_t choose(const struct cli *cli, json_t *keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++)
		for (size_t arg = 0; arg < cli->count; arg++)
			if (strstr(cli->args[arg], key_of(keys, i)))
				return i;
	return 0;
}

static int take_wants(void *arg, json_t *answer)
{
	struct waiting *waiting = arg;
	json_t *keys = json_object_get(answer, "Keys");
	size_t i = choose(waiting->cli, keys);
	const char *cid = key_of(keys, i);
	const char *damaged =
		json_string_value(json_array_get(json_object_get(answer, "Damaged"), i));

	moved = *cid && *waiting->cid && strcmp(cid, waiting->cid);
	waiting->looks = strcmp(cid, waiting->cid) ? 1 : waiting->looks + 1;
	snprintf(waiting->cid, sizeof(waiting->cid), "%s", cid);
	snprintf(waiting->damaged, sizeof(waiting->damaged), "%s", damaged ? damaged : "");
	waiting->offers =
		(size_t)json_integer_value(json_array_get(json_object_get(answer, "Offers"), i));
	return 0;
}

static int take_peers(void *arg, json_t *answer)
{
	((struct waiting *)arg)->peers = json_array_size(json_object_get(answer, "Peers"));
	return 0;
}

static void put_text(const struct waiting *waiting)
{
	size_t peers = waiting->peers;
	char what[800], offers[40] = "none has it";

	offered = peers && waiting->offers;
	if (waiting->offers)
		snprintf(offers, sizeof(offers), "%zu may have it", waiting->offers);
	snprintf(what, sizeof(what), "%s%s%s", waiting->cid,
		*waiting->damaged ? ", which here " : "", waiting->damaged);
	if (!*waiting->cid)
		*text = 0;
	else if (!peers)
		snprintf(text, sizeof(text), "%s: no peer is connected", what);
	else
		snprintf(text, sizeof(text), "%s: %zu peer%s connected, %s", what, peers,
			peers == 1 ? "" : "s", offers);
}

static void tell(struct waiting *waiting)
{
	const struct cli *cli = waiting->cli;

	bool seen = cli->progress, stuck = *text && !waiting->offers;

	if (cli->silent || cli->json || !stuck || !strcmp(text, waiting->told) ||
		waiting->looks < (seen ? PATIENCE : PATIENCE_UNSEEN) || (!seen && *waiting->told))
		return;
	snprintf(waiting->told, sizeof(waiting->told), "%s", text);
	if (seen)
		fputc('\r', stderr);
	cli_tell(cli, "waiting for %s%s", text,
		waiting->peers ? ""
			       : "; 'ipfs-kit swarm connect ADDR' connects to a peer that has it");
}

static int look(struct waiting *waiting, struct cli *aside)
{
	static const char *const none[] = { NULL };
	anyio_time pause = first_look;
	int rc = 0;

	for (; !rc; pause = next_look) {
		rc = anyio_sleep(pause);
		if (!rc)
			rc = cli_call(aside, "bitswap/wantlist", none, NULL, take_wants, waiting);
		if (!rc)
			rc = cli_call(aside, "swarm/peers", none, NULL, take_peers, waiting);
		if (!rc) {
			put_text(waiting);
			tell(waiting);
		}
	}
	return rc;
}

/* Ends quietly when the node cannot be asked: the command itself says what is wrong. */
static int watch(void *arg)
{
	struct waiting waiting = { .cli = arg };
	struct cli aside;
	int rc = cli_open_aside(waiting.cli, &aside);

	if (rc)
		return 0;
	rc = look(&waiting, &aside);
	cli_close_aside(&aside);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* ---- Peers that are dialled ---- */

struct dialling {
	const struct cli *cli;
	const char *address;
};

static int say_slow(void *arg)
{
	struct dialling *dialling = arg;
	int rc = anyio_sleep(PATIENCE * ANYIO_SECOND);

	if (!rc)
		cli_tell(dialling->cli, "waiting for %s: nothing has answered yet",
			dialling->address);
	return rc;
}

int cli_tell_when_slow(
	struct cli *cli, const char *address, int (*body)(struct cli *cli, const char *address))
{
	struct dialling dialling = { cli, address };

	ANYIO_TASK_GROUP(group);
	if (cli->progress && !cli->json)
		anyio_try_start_soon(&group, say_slow, &dialling, "what it waits for");
	int code = body(cli, address);
	anyio_task_group_cancel(&group, "done");
	return anyio_task_group_exit(&group, 0) == ANYIO_CANCELLED ? CLI_INTERRUPTED : code;
}

static int ignore(void *arg, json_t *answer)
{
	return 0;
}

static int dial(struct cli *cli, const char *address)
{
	const char *args[] = { address, NULL };
	int rc = cli_call(cli, "swarm/connect", args, NULL, ignore, NULL);

	return rc ? cli_fail_peer(cli, rc, address) : CLI_OK;
}

int cli_connect(struct cli *cli, const char *address)
{
	return cli_tell_when_slow(cli, address, dial);
}

int cli_run_telling(struct cli *cli)
{
	if (!cli->command->fetches || !(cli->remote || cli->connect))
		return cli->command->run(cli);
	ANYIO_TASK_GROUP(group);
	anyio_try_start_soon(&group, watch, cli, "what it waits for");
	int code = cli->command->run(cli);
	anyio_task_group_cancel(&group, "done");
	return anyio_task_group_exit(&group, 0) == ANYIO_CANCELLED ? CLI_INTERRUPTED : code;
}
