/* Documents: dag get, dag put. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int cmd_dag_get(struct cli *cli)
{
	uint32_t codec = cli_codec(cli, "output-codec", MF_CODEC_DAG_JSON);
	struct cli_remote_query query[] = { { "output-codec", cli_value(cli, "output-codec") },
		{ 0 } };
	struct cli_remote_request request = {
		.command = "dag/get", .args = cli->args, .query = query, .answer = cli_stdout
	};

	int rc = cli->node ? kit_dag_get(cli->node, cli->args[0], codec, &cli_stdout)
			   : cli_remote_call(cli->remote, &request);
	/* One value a line; what is no JSON stays as it is. */
	if (!rc && cli->json && codec == MF_CODEC_DAG_JSON)
		rc = cli_stdout.write(cli_stdout.arg, "\n", 1);
	return rc ? cli_fail_node(cli, rc, cli->args[0]) : CLI_OK;
}

static int print_document(struct cli *cli, const char *cid)
{
	if (cli->json)
		return cli_put_json(stdout, json_pack("{s:{s:s}}", "Cid", "/", cid));
	cli_print_text(cid);
	putchar('\n');
	return 0;
}

static int on_document(void *arg, const char *text, size_t len)
{
	json_t *answer = cli_remote_json(text, len);
	const char *cid = json_string_value(json_object_get(json_object_get(answer, "Cid"), "/"));

	if (cid)
		print_document(arg, cid);
	json_decref(answer);
	return cid ? 0 : -EPROTO;
}

static int cli_remote_put(struct cli *cli, const struct cli_input *input)
{
	struct cli_remote_query query[] = { { "input-codec", cli_value(cli, "input-codec") },
		{ "store-codec", cli_value(cli, "store-codec") },
		{ "hash", cli_value(cli, "hash") },
		{ "pin", cli_flag(cli, "pin", false) ? "true" : "false" }, { 0 } };

	return cli_remote_upload(cli->remote, "dag/put", query, &input->source, on_document, cli);
}

static int local_put(
	struct cli *cli, struct cli_input *input, const struct kit_dag_put_options *options)
{
	char *data = NULL, text[MF_CID_TEXT_MAX];
	struct mf_cid cid;
	size_t len = 0;
	int rc = cli_input_read(input, &data, &len);

	if (!rc)
		rc = kit_dag_put(cli->node, options, data, len, &cid);
	free(data);
	if (rc)
		return rc;
	mf_cid_format(&cid, text, sizeof(text));
	return print_document(cli, text);
}

static int put_one(struct cli *cli, const char *path, const struct kit_dag_put_options *options)
{
	struct cli_input input;
	int rc = cli_input_open(cli, path, &input);

	if (rc)
		return rc;
	rc = cli->remote ? cli_remote_put(cli, &input) : local_put(cli, &input, options);
	cli_input_close(&input);
	if (rc == -EMSGSIZE && !*cli_node_error(cli))
		return cli_fail(cli, rc, "%s: a document is at most 2 MiB", input.name);
	return rc ? cli_fail_node(cli, rc, input.name) : CLI_OK;
}

int cmd_dag_put(struct cli *cli)
{
	struct kit_dag_put_options options = { .pin = cli_flag(cli, "pin", false),
		.input_codec = cli_codec(cli, "input-codec", MF_CODEC_DAG_JSON),
		.store_codec = cli_codec(cli, "store-codec", MF_CODEC_DAG_CBOR) };
	int code = cli_hash(cli, "hash", &options.hash);

	for (size_t i = 0; !code && (i == 0 || i < cli->count); i++)
		code = put_one(cli, cli->args[i], &options);
	return code;
}
