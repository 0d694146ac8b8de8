/*
 * A node inside a program: opens a repo, adds a file, serves it, and fetches another by its CID,
 * which goes to standard output.
 *
 *	embed DIR FILE                  two nodes in this process: the second fetches what the first added
 *	embed DIR FILE ADDRESS CID      one node: fetches CID from the peer at ADDRESS (/ip4/.../p2p/ID)
 */
#include <kit/kit.h>
#include <stdio.h>
#include <unistd.h>

static int argument_count;
static char **arguments;

static int say(struct kit_node *node, const char *what, int rc)
{
	if (rc)
		fprintf(stderr, "%s: %s\n", what, kit_error_text(node));
	return rc;
}

static int write_out(void *arg, const void *data, size_t len)
{
	return anyio_write_all(STDOUT_FILENO, data, len);
}

/* Connects to a peer and writes a file that it has. */
static int fetch(struct kit_node *node, const char *address, const char *cid)
{
	struct kit_sink sink = { .write = write_out };
	int rc = say(node, "connect", kit_connect(node, address));

	return rc ? rc : say(node, "fetch", kit_cat(node, cid, 0, UINT64_MAX, &sink));
}

static int open_node(const char *dir, const char *name, struct kit_node **node)
{
	struct kit_options options = { .create = true };
	char path[4096], error[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int rc = kit_open(path, &options, node, error, sizeof(error));
	if (rc)
		fprintf(stderr, "%s: %s\n", path, error);
	return rc;
}

/* Both nodes are open; when this returns they are offline again. */
static int talk(struct kit_node *one, struct kit_node *two)
{
	static const char *const listen[] = { "/ip4/127.0.0.1/tcp/0", NULL };
	struct kit_network first = { .node = one, .options.listen = listen };
	struct kit_network second = { .node = two, .options.listen = listen };
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	char text[MF_CID_TEXT_MAX], **addresses = NULL;
	struct mf_cid root;
	int rc = say(one, "add", kit_add_path(one, arguments[2], &options, &root));

	if (rc)
		return rc;
	mf_cid_format(&root, text, sizeof(text));
	fprintf(stderr, "added %s\n", text);
	ANYIO_TASK_GROUP(online);
	rc = say(one, "listen", anyio_start(&online, kit_network_run, &first, "first node", NULL));
	if (!rc && two)
		rc = say(two, "listen",
			anyio_start(&online, kit_network_run, &second, "second node", NULL));
	if (!rc && !two)
		rc = fetch(one, arguments[3], arguments[4]);
	else if (!rc && !(rc = say(one, "addresses", kit_addresses(one, &addresses))))
		rc = fetch(two, addresses[0], text);
	kit_strings_free(addresses);
	anyio_task_group_cancel(&online, "done");
	return anyio_task_group_exit(&online, rc);
}

static int body(void *arg)
{
	struct kit_node *one = NULL, *two = NULL;
	int rc = open_node(arguments[1], "one", &one);

	if (!rc && argument_count == 3)
		rc = open_node(arguments[1], "two", &two);
	if (!rc)
		rc = talk(one, two);
	int closed = two ? kit_close(two) : 0, closed_too = one ? kit_close(one) : 0;
	return rc ? rc : closed ? closed : closed_too;
}

int main(int argc, char **argv)
{
	argument_count = argc;
	arguments = argv;
	if (argc == 3 || argc == 5)
		return anyio_run(body, NULL, NULL) ? 1 : 0;
	fprintf(stderr, "usage: %s DIR FILE [ADDRESS CID]\n", argv[0]);
	return 2;
}
