/* Single blocks: block get, put, stat. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int cmd_block_get(struct cli *cli)
{
	void *data = NULL;
	size_t len = 0;
	int rc;

	if (cli->remote) {
		struct cli_remote_request request = {
			.command = "block/get", .args = cli->args, .answer = cli_stdout
		};
		rc = cli_remote_call(cli->remote, &request);
	} else {
		rc = kit_block_get(cli->node, cli->args[0], &data, &len);
		if (!rc)
			rc = cli_stdout.write(cli_stdout.arg, data, len);
		free(data);
	}
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

static int print_block(struct cli *cli, const char *key, uint64_t size)
{
	if (cli->json)
		return cli_put_json(
			stdout, json_pack("{s:s, s:I}", "Key", key, "Size", (json_int_t)size));
	cli_print_text(key);
	putchar('\n');
	return 0;
}

static int on_put(void *arg, const char *text, size_t len)
{
	json_t *answer = cli_remote_json(text, len);
	const char *key = json_string_value(json_object_get(answer, "Key"));

	if (key)
		print_block(
			arg, key, (uint64_t)json_integer_value(json_object_get(answer, "Size")));
	json_decref(answer);
	return key ? 0 : -EPROTO;
}

static int cli_remote_put(struct cli *cli, const struct cli_input *input)
{
	struct cli_remote_query query[] = { { "cid-codec", cli_value(cli, "cid-codec") },
		{ "mhtype", cli_value(cli, "mhtype") },
		{ "pin", cli_flag(cli, "pin", false) ? "true" : "false" }, { 0 } };

	return cli_remote_upload(cli->remote, "block/put", query, &input->source, on_put, cli);
}

static int local_put(struct cli *cli, struct cli_input *input, uint32_t codec, uint32_t hash)
{
	char *data = NULL, text[MF_CID_TEXT_MAX];
	struct mf_cid cid;
	size_t len = 0;
	int rc = cli_input_read(input, &data, &len);

	if (!rc)
		rc = kit_block_put(
			cli->node, codec, hash, 1, data, len, cli_flag(cli, "pin", false), &cid);
	free(data);
	if (rc)
		return rc;
	mf_cid_format(&cid, text, sizeof(text));
	return print_block(cli, text, len);
}

int cmd_block_put(struct cli *cli)
{
	uint32_t codec = cli_codec(cli, "cid-codec", MF_CODEC_RAW), hash;
	struct cli_input input;
	int rc = cli_hash(cli, "mhtype", &hash);

	if (!rc)
		rc = cli_input_open(cli, cli->args[0], &input);
	if (rc)
		return rc;
	rc = cli->remote ? cli_remote_put(cli, &input) : local_put(cli, &input, codec, hash);
	cli_input_close(&input);
	if (rc == -EMSGSIZE)
		return cli_fail(cli, rc, "a block is at most 2 MiB; 'ipfs-kit add' splits files");
	return rc ? cli_fail_node(cli, rc, input.name) : CLI_OK;
}

static int print_block_stat(struct cli *cli, json_t *answer)
{
	fputs("Key: ", stdout);
	cli_print_text(json_string_value(json_object_get(answer, "Key")));
	printf("\nSize: %lld\n", (long long)json_integer_value(json_object_get(answer, "Size")));
	return 0;
}

int cmd_block_stat(struct cli *cli)
{
	return cli_call_print(cli, "block/stat", cli->args, NULL, print_block_stat);
}
