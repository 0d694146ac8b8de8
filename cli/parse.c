/* Options: --name, --name=value, --name value, -x, -x=value, -x value, -xy for flags, and -- to end them. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct cli_option cli_global_options[] = {
	{ "repo", 0, "DIR", "the repo (else $IPFS_KIT_PATH, else ~/.ipfs-kit)" },
	{ "api", 0, "ADDR", "talk to the daemon at this multiaddr" },
	{ "api-auth", 0, "SECRET",
		"the secret its API demands (else $IPFS_KIT_API_AUTH, or the repo's api.secret)" },
	{ "json", 0, NULL, "print JSON, one value a line" },
	{ "timeout", 0, "TIME",
		"give up after this long: 30s, 1m30s, 1h; a number alone is seconds" },
	{ "connect", 0, "ADDR", "go online for this command and dial this peer first" },
	{ "progress", 'p', NULL,
		"a progress bar (on when standard error is a terminal; --progress=false: none)" },
	{ "help", 'h', NULL, "explain and exit" },
	{ "offline", 0, NULL, "ask no peer, even when a daemon is connected to some" },
	{ "enc", 0, "json", "the same as --json, as Kubo calls it", cli_encodings },
	{ "durability", 0, "MODE",
		"when a daemon says that it has written: durable, batched[:TIME] or none",
		cli_durabilities, true },
	{ NULL, 0, NULL, NULL },
};

/* The values of the global options, by row. */
static const char *global_values[11];

static int find(const struct cli_option *table, const char *name, size_t len)
{
	for (int i = 0; table && table[i].name; i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
			return i;
	return -1;
}

static int find_letter(const struct cli_option *table, char letter)
{
	for (int i = 0; table && table[i].name; i++)
		if (table[i].letter == letter)
			return i;
	return -1;
}

const char *cli_value(const struct cli *cli, const char *name)
{
	int i = find(cli->command->options, name, strlen(name));
	return i < 0 ? NULL : cli->values[i];
}

/* Of a value that may_be. */
static bool truth(const char *text)
{
	bool on = true;

	kit_truth_parse(text, &on);
	return on;
}

bool cli_flag(const struct cli *cli, const char *name, bool dflt)
{
	const char *value = cli_value(cli, name);
	return value ? truth(value) : dflt;
}

static bool may_be(const struct cli_option *option, const char *value)
{
	bool on;

	if (!option->value) /* a value is only given with "=", and nothing after that is a mistake */
		return *value &&
			(!kit_truth_parse(value, &on) ||
				(option->values && cli_is_value(option->values, value)));
	return !option->values || option->any || cli_is_value(option->values, value);
}

/* Stores a value into the row of whichever table knows the option. */
static int store(struct cli *cli, int row, bool global, const char *value)
{
	const struct cli_option *option =
		global ? &cli_global_options[row] : &cli->command->options[row];

	if (!may_be(option, value))
		return cli_wrong_value(cli, option, value);
	if (global) {
		global_values[row] = value;
		return 0;
	}
	cli->values[row] = value;
	if (row == 0 && cli->command->repeats) {
		if (cli->repeat_count + 1 == CLI_REPEAT_MAX)
			return cli_refuse(cli, CLI_USAGE,
				"--%s was given too often; %d times is most", option->name,
				CLI_REPEAT_MAX - 1);
		cli->repeats[cli->repeat_count++] = value;
	}
	return 0;
}

static int parse_long(struct cli *cli, char ***argv)
{
	const char *name = (**argv) + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *table = cli->command ? cli->command->options : NULL;
	bool global = false;
	int row = find(table, name, len);

	if (row < 0) {
		table = cli_global_options;
		global = true;
		row = find(table, name, len);
	}
	if (row < 0)
		return cli_unknown_option(cli, **argv, len + 2);
	if (equals)
		return store(cli, row, global, equals + 1);
	if (!table[row].value)
		return store(cli, row, global, "true");
	if (!(*argv)[1])
		return cli_refuse(cli, CLI_USAGE, "a value is missing after %s; give --%s %s",
			**argv, table[row].name, table[row].value);
	++*argv;
	return store(cli, row, global, **argv);
}

static int parse_letters(struct cli *cli, char ***argv)
{
	for (const char *letter = (**argv) + 1; *letter; letter++) {
		const struct cli_option *table = cli->command ? cli->command->options : NULL;
		bool global = false;
		int row = find_letter(table, *letter);
		if (row < 0) {
			table = cli_global_options;
			global = true;
			row = find_letter(table, *letter);
		}
		if (row < 0)
			return cli_unknown_option(cli, (char[3]){ '-', *letter, 0 }, 2);
		if (!table[row].value && letter[1] == '=')
			return store(cli, row, global, letter + 2);
		if (!table[row].value) {
			int rc = store(cli, row, global, "true");
			if (rc)
				return rc;
			continue;
		}
		if (letter[1] == '=')
			return store(cli, row, global, letter + 2);
		if (letter[1])
			return store(cli, row, global, letter + 1);
		if (!(*argv)[1])
			return cli_refuse(cli, CLI_USAGE,
				"a value is missing after -%c; give -%c %s", *letter, *letter,
				table[row].value);
		++*argv;
		return store(cli, row, global, **argv);
	}
	return 0;
}

/* Names have one word or two; the longer match wins. Returns the words taken. */
static int find_command(struct cli *cli, const char *first, const char *second)
{
	char two[64];

	snprintf(two, sizeof(two), "%s %s", first, second ? second : "");
	for (int pass = second ? 2 : 1; pass >= 1; pass--)
		for (const struct cli_command *c = cli_commands; c->name; c++)
			if (!strcmp(c->name, pass == 2 ? two : first)) {
				cli->command = c;
				return pass;
			}
	return 0;
}

static bool asks_for_help(char **argv)
{
	for (; *argv; argv++)
		if (!strcmp(*argv, "--help") || !strcmp(*argv, "-h"))
			return true;
	return false;
}

/* A word that is no command: the first of two, alone; or a mistake. Returns as cli_parse does. */
static int no_command(const struct cli *cli, char **argv)
{
	const char *first = argv[0], *second = argv[1] && argv[1][0] != '-' ? argv[1] : NULL;
	bool help = global_values[7] || asks_for_help(argv);

	if (help && cli_is_family(first) && !second) {
		cli_print_family(stdout, first);
		return -1;
	}
	return cli_unknown_command(cli, first, second);
}

/* An option that the command has as well is the command's, on whichever side of its name it stands: the
 * --api of daemon says where it is to listen. */
static int hand_down(struct cli *cli)
{
	int rc = 0;

	for (int i = 0; !rc && cli_global_options[i].name; i++) {
		const char *name = cli_global_options[i].name, *value = global_values[i];
		int row = value ? find(cli->command->options, name, strlen(name)) : -1;
		if (row < 0)
			continue;
		global_values[i] = NULL;
		if (!cli->values[row])
			rc = store(cli, row, false, value);
	}
	return rc;
}

static int apply_globals(struct cli *cli)
{
	static char home_repo[4096];

	cli->repo = cli->repo_said = global_values[0];
	if (!cli->repo)
		cli->repo = getenv("IPFS_KIT_PATH");
	if (!cli->repo || !*cli->repo) {
		const char *home = getenv("HOME");
		cli->homeless = !home || !*home;
		snprintf(home_repo, sizeof(home_repo), "%s/.ipfs-kit", cli->homeless ? "." : home);
		cli->repo = home_repo;
	}
	cli->api = global_values[1];
	cli->api_auth = global_values[2] ? global_values[2] : getenv("IPFS_KIT_API_AUTH");
	cli->json = global_values[3] ? truth(global_values[3])
				     : global_values[9] && !strcmp(global_values[9], "json");
	if (global_values[4] &&
		(kit_time_parse(global_values[4], &cli->timeout) || cli->timeout == 0))
		return cli_refuse(cli, CLI_USAGE,
			"--timeout cannot be '%s'; give a time like 30s, 5m or 1h",
			global_values[4]);
	if (global_values[10] && kit_durability_parse(global_values[10], &cli->durable_within))
		return cli_refuse(cli, CLI_USAGE,
			"--durability cannot be '%s'; it is durable, batched, batched:TIME or none",
			global_values[10]);
	cli->durability = global_values[10];
	cli->connect = global_values[5];
	cli->progress = global_values[6] ? truth(global_values[6]) : isatty(2);
	cli->silent = global_values[6] && !cli->progress;
	cli->offline = global_values[8] && truth(global_values[8]);
	return 0;
}

static int check_count(const struct cli *cli)
{
	const struct cli_command *command = cli->command;

	if (cli->count < (size_t)command->min_args)
		return cli_refuse(cli, CLI_USAGE, "%s is missing; 'ipfs-kit %s --help' explains it",
			command->arguments, command->name);
	if (command->max_args >= 0 && cli->count > (size_t)command->max_args)
		return cli_unexpected_argument(cli, cli->args[command->max_args]);
	return 0;
}

/* Mistakes are told in JSON too, wherever in the line it is asked for. */
static bool asks_for_json(char **argv)
{
	bool json = false;

	for (argv++; *argv && strcmp(*argv, "--"); argv++) {
		if (!strcmp(*argv, "--json"))
			json = true;
		else if (!strncmp(*argv, "--json=", 7))
			json = truth(*argv + 7);
		else if (!strcmp(*argv, "--enc=json") ||
			(!strcmp(*argv, "--enc") && argv[1] && !strcmp(argv[1], "json")))
			json = true;
	}
	return json;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
	static const char *args[4096];
	bool options_end = false;
	int rc;

	cli->args = args;
	cli->json = asks_for_json(argv);
	for (argv++; *argv; argv++) {
		const char *word = *argv;
		if (!cli->command && !strcmp(word, "--version"))
			word = "version";
		if (!options_end && !strcmp(word, "--")) {
			options_end = true;
		} else if (!options_end && word[0] == '-' && word[1] == '-') {
			if ((rc = parse_long(cli, &argv)))
				return rc;
		} else if (!options_end && word[0] == '-' && word[1]) {
			if ((rc = parse_letters(cli, &argv)))
				return rc;
		} else if (!cli->command) {
			int words = find_command(cli, word, argv[1]);
			if (!words)
				return no_command(cli, argv);
			argv += words - 1;
		} else if (cli->count + 1 < sizeof(args) / sizeof(*args)) {
			args[cli->count++] = word;
		} else {
			return cli_refuse(cli, CLI_USAGE,
				"too many arguments, from '%s' on; give at most %zu", word,
				sizeof(args) / sizeof(*args) - 1);
		}
	}
	if (global_values[7] || (!cli->command && !cli->json)) {
		cli_print_help(cli->command);
		return cli->command || global_values[7] ? -1 : CLI_USAGE;
	}
	if (!cli->command)
		return cli_refuse(
			cli, CLI_USAGE, "no command was given; 'ipfs-kit --help' lists all");
	if ((rc = hand_down(cli)) || (rc = apply_globals(cli)))
		return rc;
	return check_count(cli);
}
