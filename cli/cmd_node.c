/* The node and its peers: id, swarm, ping, version, shutdown. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void print_field(const char *title, const char *text)
{
	printf("%s: ", title);
	cli_print_text(text);
	putchar('\n');
}

static void print_list(json_t *object, const char *key, const char *title)
{
	json_t *list = json_object_get(object, key), *item;
	size_t i;

	printf("%s:%s\n", title, json_array_size(list) ? "" : " none");
	json_array_foreach (list, i, item) {
		fputs("  ", stdout);
		cli_print_text(json_string_value(item));
		putchar('\n');
	}
}

static int print_id(struct cli *cli, json_t *answer)
{
	print_field("ID", text_of(answer, "ID"));
	print_field("PublicKey", text_of(answer, "PublicKey"));
	print_field("AgentVersion", text_of(answer, "AgentVersion"));
	print_list(answer, "Addresses", "Addresses");
	print_list(answer, "Protocols", "Protocols");
	return 0;
}

int cmd_id(struct cli *cli)
{
	return cli_call_print(cli, "id", cli->args, NULL, print_id);
}

static int print_strings(struct cli *cli, json_t *answer)
{
	json_t *strings = json_object_get(answer, "Strings"), *item;
	size_t i;

	json_array_foreach (strings, i, item) {
		cli_print_text(json_string_value(item));
		putchar('\n');
	}
	return 0;
}

/* Peers live in the daemon; a repo opened just for this command has none. */
static int want_daemon(struct cli *cli)
{
	if (cli->remote)
		return 0;
	return cli_refuse(cli, CLI_FAILED,
		"no daemon is running on %s; start one with 'ipfs-kit daemon'", cli->repo);
}

static int connect_all(struct cli *cli, const char *address)
{
	return cli_call_print(cli, "swarm/connect", cli->args, NULL, print_strings);
}

int cmd_swarm_connect(struct cli *cli)
{
	int code = want_daemon(cli);

	return code
		? code
		: cli_tell_when_slow(cli, cli->count > 1 ? "the peers" : cli->args[0], connect_all);
}

int cmd_swarm_disconnect(struct cli *cli)
{
	int code = want_daemon(cli);

	return code ? code
		    : cli_call_print(cli, "swarm/disconnect", cli->args, NULL, print_strings);
}

static int print_peers(struct cli *cli, json_t *answer)
{
	json_t *peers = json_object_get(answer, "Peers"), *peer;
	bool verbose = cli_flag(cli, "verbose", false);
	size_t i;

	json_array_foreach (peers, i, peer) {
		cli_print_text(text_of(peer, "Addr"));
		fputs("/p2p/", stdout);
		cli_print_text(text_of(peer, "Peer"));
		if (verbose) {
			bool inbound = json_integer_value(json_object_get(peer, "Direction")) == 1;
			const char *latency = text_of(peer, "Latency");
			putchar(' ');
			cli_print_text(*latency ? latency : "n/a");
			fputs(inbound ? " inbound" : " outbound", stdout);
		}
		putchar('\n');
	}
	return 0;
}

int cmd_swarm_peers(struct cli *cli)
{
	static const struct kit_call_option verbose[] = { { "verbose", "true" }, { 0 } };
	const struct kit_call_option *options = cli_flag(cli, "verbose", false) ? verbose : NULL;
	int code = want_daemon(cli);

	return code ? code : cli_call_print(cli, "swarm/peers", cli->args, options, print_peers);
}

static int print_ping(struct cli *cli, json_t *answer)
{
	json_int_t time = json_integer_value(json_object_get(answer, "Time"));

	if (*text_of(answer, "Text")) {
		cli_print_text(text_of(answer, "Text"));
		putchar('\n');
	} else if (json_is_true(json_object_get(answer, "Success"))) {
		printf("Pong received: time=%.2f ms\n", (double)time / 1e6);
	}
	fflush(stdout);
	return 0;
}

int cmd_ping(struct cli *cli)
{
	const char *count = cli_value(cli, "count");
	struct kit_call_option options[] = { { "count", count ? count : "10" }, { 0 } };

	if (count && (!*count || count[strspn(count, "0123456789")] || !strtoul(count, NULL, 10)))
		return cli_refuse(
			cli, CLI_USAGE, "--count cannot be '%s'; give a number from 1 on", count);
	if (cli->node && !kit_is_online(cli->node))
		return cli_refuse(cli, CLI_FAILED,
			"no daemon is running on %s, so nobody knows where this peer is; start one with 'ipfs-kit daemon', "
			"or give the whole address: /ip4/ADDRESS/tcp/PORT/p2p/ID",
			cli->repo);
	/* What is wrong with the peer is told by the connection, with its code: once ping answers, only in words. */
	int code = cli_connect(cli, cli->args[0]);
	return code ? code : cli_call_print(cli, "ping", cli->args, options, print_ping);
}

static int print_version(struct cli *cli, json_t *answer)
{
	if (cli_flag(cli, "number", false)) {
		cli_print_text(text_of(answer, "Version"));
		putchar('\n');
		return 0;
	}
	print_field("ipfs-kit version", text_of(answer, "Version"));
	print_field("Repo version", text_of(answer, "Repo"));
	print_field("System", text_of(answer, "System"));
	return 0;
}

int cmd_version(struct cli *cli)
{
	if (cli->api) {
		int code = cli_open(cli);
		return code ? code : cli_call_print(cli, "version", cli->args, NULL, print_version);
	}
	if (cli->json)
		cli_put_json(
			stdout, json_pack("{s:s, s:s}", "Version", kit_version(), "Commit", ""));
	else if (cli_flag(cli, "number", false))
		puts(kit_version());
	else
		printf("ipfs-kit version: %s\n", kit_version());
	return CLI_OK;
}

int cmd_shutdown(struct cli *cli)
{
	struct cli_remote_request request = { .command = "shutdown" };
	struct cli_remote_lines lines = { 0 };
	int code = want_daemon(cli);

	if (code)
		return code;
	request.answer = cli_remote_lines_sink(&lines);
	int rc = cli_remote_call(cli->remote, &request);
	anyio_free(lines.buffer);
	if (!rc && cli->json)
		cli_put_json(stdout, json_object());
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}
