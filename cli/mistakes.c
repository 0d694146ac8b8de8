/* What is said of a command line that cannot be: which word, and what was perhaps meant. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 40 };

/* How many letters were left out, put in, changed or swapped between two words. */
static unsigned distance(const char *a, size_t a_len, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *before = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[a_len % 3][b_len];
}

struct nearest {
	const char *word, *name;
	size_t len;
	unsigned distance;
};

static struct nearest nearest_to(const char *word, size_t len)
{
	/* Of four letters, two changed are half of the word. */
	return (struct nearest){ word, NULL, len, len > 4 ? 3 : 2 };
}

/* A name that begins with the word is as near as one with one mistake. */
static void consider(struct nearest *nearest, const char *name)
{
	bool begins = nearest->len > 1 && !strncmp(name, nearest->word, nearest->len);
	unsigned found = begins ? 1 : distance(nearest->word, nearest->len, name);

	if (found < nearest->distance) {
		nearest->distance = found;
		nearest->name = name;
	}
}

static const char *nearest_option(const struct cli *cli, const char *word, size_t len)
{
	struct nearest nearest = nearest_to(word, len);
	const struct cli_option *o = cli->command ? cli->command->options : NULL;

	for (; o && o->name; o++)
		consider(&nearest, o->name);
	for (o = cli_global_options; o->name; o++)
		consider(&nearest, o->name);
	return nearest.name;
}

int cli_unknown_option(const struct cli *cli, const char *word, size_t len)
{
	const char *near =
		len > 2 && word[1] == '-' ? nearest_option(cli, word + 2, len - 2) : NULL;
	const char *name = cli->command ? cli->command->name : "", *space = cli->command ? " " : "";

	if (near)
		return cli_refuse(cli, CLI_USAGE,
			"unknown option '%.*s'; did you mean '--%s'? 'ipfs-kit %s%s--help' lists all",
			(int)len, word, near, name, space);
	return cli_refuse(cli, CLI_USAGE, "unknown option '%.*s'; 'ipfs-kit %s%s--help' lists all",
		(int)len, word, name, space);
}

/* "a, b or c" */
static void list_values(const char *(*values)(size_t i), char *out, size_t cap)
{
	size_t used = 0;
	const char *value;

	*out = 0;
	for (size_t i = 0; (value = values(i)) && used < cap; i++)
		used += (size_t)snprintf(out + used, cap - used, "%s%s",
			i == 0                  ? ""
				: values(i + 1) ? ", "
						: " or ",
			value);
}

int cli_wrong_value(const struct cli *cli, const struct cli_option *option, const char *value)
{
	char list[512];

	if (!option->value && option->values) {
		size_t len = strlen(strcpy(list, "true, false or "));

		list_values(option->values, list + len, sizeof(list) - len);
	} else if (!option->value) {
		strcpy(list, "true or false");
	} else {
		list_values(option->values, list, sizeof(list));
	}
	return cli_refuse(
		cli, CLI_USAGE, "--%s cannot be '%s'; give %s", option->name, value, list);
}

int cli_wrong_argument(const struct cli *cli, const char *value)
{
	char list[512];

	list_values(cli->command->values, list, sizeof(list));
	return cli_refuse(
		cli, CLI_USAGE, "%s cannot be '%s'; give %s", cli->command->arguments, value, list);
}

int cli_unexpected_argument(const struct cli *cli, const char *value)
{
	return cli_refuse(cli, CLI_USAGE,
		"unexpected argument '%s'; 'ipfs-kit %s --help' shows what it takes", value,
		cli->command->name);
}

static const char *nearest_command(const char *words)
{
	struct nearest nearest = nearest_to(words, strlen(words));

	for (const struct cli_command *c = cli_commands; c->name; c++)
		consider(&nearest, c->name);
	return nearest.name;
}

/* What Kubo has and this has not, and what comes nearest. */
static const struct {
	const char *words, *instead;
} of_kubo[] = {
	{ "block rm", NULL },
	{ "bootstrap", "swarm connect" },
	{ "cid", NULL },
	{ "commands", "help" },
	{ "dag resolve", "resolve" },
	{ "dag stat", "stat" },
	{ "dht", NULL },
	{ "diag", NULL },
	{ "dns", NULL },
	{ "files stat", "stat" },
	{ "files", NULL },
	{ "filestore", NULL },
	{ "key", NULL },
	{ "log", NULL },
	{ "mount", NULL },
	{ "multibase", NULL },
	{ "name", NULL },
	{ "object", NULL },
	{ "p2p", NULL },
	{ "pin remote", NULL },
	{ "pin verify", "repo verify" },
	{ "provide", NULL },
	{ "pubsub", NULL },
	{ "refs", NULL },
	{ "repo ls", NULL },
	{ "repo migrate", NULL },
	{ "repo version", "repo stat" },
	{ "routing", NULL },
	{ "stats", "repo stat" },
	{ "swarm addrs", "id" },
	{ "swarm filters", NULL },
	{ "swarm peering", NULL },
	{ "swarm resources", NULL },
	{ "tar", NULL },
	{ "update", NULL },
	{ "urlstore", NULL },
};

/* CLI_OK when it is none of them. */
static int refuse_of_kubo(const struct cli *cli, const char *first, const char *second)
{
	bool family = cli_is_family(first);
	char two[2 * WORD_MAX];

	snprintf(two, sizeof(two), "%s %s", first, second ? second : "");
	for (size_t i = 0; i < sizeof(of_kubo) / sizeof(*of_kubo); i++) {
		const char *words = of_kubo[i].words, *instead = of_kubo[i].instead;
		if (strcmp(words, first) && strcmp(words, two))
			continue;
		if (instead)
			return cli_refuse(cli, CLI_USAGE,
				"'%s' is not in ipfs-kit yet; 'ipfs-kit %s' comes nearest", words,
				instead);
		return cli_refuse(cli, CLI_USAGE,
			"'%s' is not in ipfs-kit yet; 'ipfs-kit %s%s--help' lists what is", words,
			family ? first : "", family ? " " : "");
	}
	return CLI_OK;
}

int cli_unknown_command(const struct cli *cli, const char *first, const char *second)
{
	bool family = cli_is_family(first);
	char two[2 * WORD_MAX], meant[WORD_MAX + 40] = "";
	const char *near = NULL;
	int code = refuse_of_kubo(cli, first, second);

	if (code)
		return code;
	snprintf(two, sizeof(two), "%s %s", first, second ? second : "");
	if (second)
		near = nearest_command(two);
	if (!near && !family)
		near = nearest_command(first);
	if (near)
		snprintf(meant, sizeof(meant), "did you mean 'ipfs-kit %s'? ", near);
	if (!family)
		return cli_refuse(cli, CLI_USAGE,
			"there is no command '%s'; %s'ipfs-kit --help' lists all", first, meant);
	if (second)
		cli_refuse(cli, CLI_USAGE,
			"'%s' has no command '%s'; %s'ipfs-kit %s --help' lists all", first, second,
			meant, first);
	else
		cli_refuse(cli, CLI_USAGE,
			"'%s' wants a command after it; 'ipfs-kit %s --help' lists all", first,
			first);
	if (!cli->json)
		cli_print_family(stderr, first);
	return CLI_USAGE;
}
