/*
 * The manual pages, made from the command table: ipfs-kit.1 of the whole, and a page of each command.
 * Text goes through put(), so that nothing in it is taken for a request of roff's, and what is to be
 * typed can be copied from the page.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Columns of a line of source, and of an example, which with its indents then has 80. */
enum { SOURCE_WIDTH = 76, EXAMPLE_WIDTH = 69 };

/* Part of a line. */
static void put(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '\\': fputs("\\e", out); break;
		case '-': fputs("\\-", out); break;
		case '\'': fputs("\\(aq", out); break;
		case '`': fputs("\\(ga", out); break;
		case '^': fputs("\\(ha", out); break;
		case '~': fputs("\\(ti", out); break;
		case '.': fputs(i ? "." : "\\&.", out); break;
		default: putc(text[i], out);
		}
	}
}

static void put_text(FILE *out, const char *text)
{
	put(out, text, strlen(text));
}

static bool ends_sentence(const char *word, size_t len)
{
	if (word[len - 1] == ')')
		len--;
	return len > 1 && word[len - 1] == '.' && word[len - 2] != '.';
}

/* Lines to be filled. A sentence begins a line, for roff to see where it does. */
static void put_prose(FILE *out, const char *text, const char *end)
{
	static const char blanks[] = " \n";
	size_t column = 0;

	for (text += strspn(text, blanks); text < end; text += strspn(text, blanks)) {
		size_t len = strcspn(text, blanks);
		if (column && column + len > SOURCE_WIDTH) {
			putc('\n', out);
			column = 0;
		}
		if (column)
			putc(' ', out);
		put(out, text, len);
		column += len + 1;
		if (ends_sentence(text, len)) {
			putc('\n', out);
			column = 0;
		}
		text += len;
	}
	if (column)
		putc('\n', out);
}

static void put_filled(FILE *out, const char *text)
{
	put_prose(out, text, text + strlen(text));
}

/* A tag and the text beside it. */
struct item {
	const char *tag, *text;
};

static void put_items(FILE *out, const struct item *items, char font)
{
	for (; items->tag; items++) {
		fprintf(out, ".TP\n.%c ", font);
		put_text(out, items->tag);
		putc('\n', out);
		put_filled(out, items->text);
	}
}

/* A command's page: "block get" has ipfs-kit-block-get; NULL is the whole, ipfs-kit. */
static void page_name(const struct cli_command *command, char *name, size_t cap)
{
	snprintf(name, cap, "ipfs-kit%s%s", command ? "-" : "", command ? command->name : "");
	for (char *c = name; *c; c++)
		if (*c == ' ')
			*c = '-';
}

static void put_reference(FILE *out, const struct cli_command *command, const char *after)
{
	char name[64];

	page_name(command, name, sizeof(name));
	fputs(".BR ", out);
	put_text(out, name);
	fprintf(out, " (1)%s\n", after);
}

/* The day of the build, or that of SOURCE_DATE_EPOCH. */
static void put_title(FILE *out, const struct cli_command *command)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
	char name[64], day[16] = "";
	struct tm when;

	if (gmtime_r(&now, &when))
		strftime(day, sizeof(day), "%Y-%m-%d", &when);
	page_name(command, name, sizeof(name));
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	fputs(".TH ", out);
	put_text(out, name);
	fprintf(out, " 1 \"%s\" \"ipfs\\-kit %s\" \"User Commands\"\n.nh\n.ad l\n", day,
		kit_version());
}

/* "KEY [VALUE]": what stands for something else is in italics. */
static void put_arguments(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (len)
			fprintf(out, "\\fI%.*s\\fR", (int)len, text);
		else
			put(out, text, len = 1);
		text += len;
	}
}

static void put_use(FILE *out, const char *before, const struct cli_command *command)
{
	fputs("\\fB", out);
	put_text(out, before);
	put_text(out, command->name);
	fputs("\\fR", out);
	if (command->options && command->options->name)
		fputs(" [\\fIOPTIONS\\fR]", out);
	if (*command->arguments)
		putc(' ', out);
	put_arguments(out, command->arguments);
	putc('\n', out);
}

/* Where a line of an example that is too long is cut: outside quotes, before an option or a pipe if there
 * is one. */
static size_t cut(const char *line, size_t len)
{
	size_t any = 0, best = 0;
	bool quoted = false;

	if (len <= EXAMPLE_WIDTH)
		return len;
	for (size_t i = 0; i < EXAMPLE_WIDTH - 1; i++) {
		if (line[i] == '\'')
			quoted = !quoted;
		if (line[i] != ' ' || quoted)
			continue;
		any = i;
		if (line[i + 1] == '-' || line[i + 1] == '|')
			best = i;
	}
	return best ? best : any ? any : len;
}

/* Lines as they stand, without their indent. */
static void put_example(FILE *out, const char *text, const char *end)
{
	fputs(".RS 4\n.nf\n", out);
	while (text < end) {
		text += strspn(text, " ");
		size_t len = strcspn(text, "\n"), first = cut(text, len);
		put(out, text, first);
		if (first < len) {
			fputs(" \\e\n    ", out);
			put(out, text + first + 1, len - first - 1);
		}
		putc('\n', out);
		text += len + (text + len < end);
	}
	fputs(".fi\n.RE\n", out);
}

/* Paragraphs, of which those that are indented are examples. */
static void put_paragraphs(FILE *out, const char *text, const char *end)
{
	for (bool first = true; text < end; first = false) {
		const char *next = strstr(text, "\n\n");
		if (!next || next > end)
			next = end;
		if (!first)
			fputs(".PP\n", out);
		if (*text == ' ') {
			put_example(out, text, next);
		} else {
			put_prose(out, text, next);
		}
		text = next + strspn(next, "\n");
	}
}

/* Where a help's examples begin, with the sentence that leads up to them. */
static const char *find_examples(const char *help)
{
	const char *gap = strstr(help, "\n\n  ");

	if (!gap)
		return help + strlen(help);
	if (gap == help || gap[-1] != ':')
		return gap + 2;
	for (const char *at = gap; at > help + 1; at--)
		if (at[-2] == '.' && isspace((unsigned char)at[-1]))
			return at;
	return help;
}

/* What a value may be, after before; nothing where the text says all of it already. */
static void values_text(const char *(*values)(size_t i), const char *text, const char *before,
	char *out, size_t cap)
{
	const char *value;
	bool told = true;
	size_t len = 0;

	*out = 0;
	for (size_t i = 0; values && (value = values(i)); i++)
		told = told && strstr(text, value);
	for (size_t i = 0; !told && (value = values(i)) && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? ", " : before, value);
}

/* All of a table but what another one has under the same name. */
static void put_options(FILE *out, const struct cli_option *table, const struct cli_option *but)
{
	for (; table && table->name; table++) {
		char values[256], help[512];
		if (cli_has_option(but, table->name))
			continue;
		fputs(".TP\n", out);
		if (table->letter)
			fprintf(out, "\\fB\\-%c\\fR, ", table->letter);
		fputs("\\fB\\-\\-", out);
		put_text(out, table->name);
		fputs("\\fR", out);
		if (table->value)
			fprintf(out, " \\fI%s\\fR", table->value);
		putc('\n', out);
		values_text(table->values, table->help, table->any ? "; for example " : "; one of ",
			values, sizeof(values));
		snprintf(help, sizeof(help), "%s%s", table->help, values);
		put_filled(out, help);
	}
}

static void put_exit_status(FILE *out)
{
	static const struct item codes[] = {
		{ "0", "The work was done." },
		{ "1", "It was not; standard error says why." },
		{ "2", "Wrong options or arguments." },
		{ "3", "There is no such content, pin, setting, tier or peer." },
		{ "4",
			"The repo is missing, in use (for more than a second), damaged or of another version. Of a damaged repo, "
			"what is whole can be had all the same: then a line on standard error warns, and the exit status is that "
			"of the work." },
		{ "5", "The time given by --timeout has passed." },
		{ "130", "Interrupted." },
		{ 0 },
	};

	fputs(".SH EXIT STATUS\n", out);
	put_items(out, codes, 'B');
	fputs(".PP\n", out);
	put_filled(out,
		"When nobody reads standard output any more, it ends by SIGPIPE and says nothing, as other programs do; where "
		"that signal is ignored, this is a failure like any other.");
}

/* What the table knows of a command beside its help. */
static void put_notes(FILE *out, const struct cli_command *command)
{
	char before[64], values[512];

	snprintf(before, sizeof(before), "%.*s is one of ", (int)strcspn(command->arguments, " "),
		command->arguments);
	values_text(command->values, command->summary, before, values, sizeof(values));
	if (*values) {
		fputs(".PP\n", out);
		strncat(values, ".", sizeof(values) - strlen(values) - 1);
		put_filled(out, values);
	}
	if (command->fetches) {
		fputs(".PP\n", out);
		put_filled(out,
			"Blocks that it needs and the repo lacks are fetched from connected peers: those of the daemon, or the one "
			"that --connect names. --timeout bounds the wait; with --offline nobody is asked.");
	}
	if (command->again && !strstr(command->help, "interrupted")) {
		fputs(".PP\n", out);
		snprintf(values, sizeof(values),
			"When it was interrupted or timed out, run it again: %s.", command->again);
		put_filled(out, values);
	}
}

/* Whether a command is of the same family as another, or that one's help speaks of it. */
static bool is_near(const struct cli_command *command, const struct cli_command *to)
{
	size_t family = strcspn(to->name, " ");
	char words[64];

	if (!strncmp(command->name, to->name, family) &&
		(!command->name[family] || command->name[family] == ' '))
		return true;
	snprintf(words, sizeof(words), "%s%s", strchr(command->name, ' ') ? "" : "ipfs-kit ",
		command->name);
	const char *at = strstr(to->help, words);
	return at && !isalnum((unsigned char)at[strlen(words)]);
}

static void put_command(FILE *out, const struct cli_command *command)
{
	const char *help = command->help, *examples = find_examples(help), *end = examples;
	char name[64];

	page_name(command, name, sizeof(name));
	fputs(".SH NAME\n", out);
	put_text(out, name);
	fputs(" \\-\n", out);
	put_filled(out, command->summary);
	fputs(".SH SYNOPSIS\n", out);
	put_use(out, "ipfs-kit ", command);
	fputs(".SH DESCRIPTION\n", out);
	while (end > help && isspace((unsigned char)end[-1]))
		end--;
	put_paragraphs(out, help, end);
	put_notes(out, command);
	fputs(".SH OPTIONS\n", out);
	if (command->options) {
		put_options(out, command->options, NULL);
		fputs(".SS Options for every command\n", out);
	}
	put_options(out, cli_global_options, command->options);
	fputs(".SH EXAMPLES\n", out);
	put_paragraphs(out, examples, help + strlen(help));
	put_exit_status(out);
	fputs(".SH SEE ALSO\n", out);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (c != command && is_near(c, command))
			put_reference(out, c, ",");
	put_reference(out, NULL, "");
}

/* The first steps, each with what it does behind it. */
static void put_first_steps(FILE *out)
{
	fputs(".SH EXAMPLES\nBegin with:\n", out);
	for (const char *line = cli_first_steps; *line; line += strcspn(line, "\n") + 1) {
		line += strspn(line, " ");
		const char *gap = strstr(line, "  ");
		fputs(".TP\n.B ", out);
		put(out, line, (size_t)(gap - line));
		putc('\n', out);
		put_prose(out, gap, gap + strcspn(gap, "\n"));
	}
}

static void put_whole(FILE *out)
{
	static const struct item environment[] = {
		{ "IPFS_KIT_PATH", "The repo, unless --repo names one." },
		{ "IPFS_KIT_API_AUTH",
			"The secret of the daemon's API; that of the repo's own daemon is read from its config." },
		{ "ANYIO_BACKEND", "The event backend: uring or uv." },
		{ 0 },
	};
	static const struct item files[] = {
		{ "~/.ipfs-kit/config", "The settings, with their explanations." },
		{ "~/.ipfs-kit/identity", "The private key. Keep it, and keep it to yourself." },
		{ "~/.ipfs-kit/segments",
			"The blocks, in CAR files; some may be adopted ones, or links to them." },
		{ "~/.ipfs-kit/ops",
			"The log of all that is no block: pins, and what was given up." },
		{ "~/.ipfs-kit/index", "Where each block lies. Made anew when it is missing." },
		{ 0 },
	};

	fputs(".SH NAME\nipfs\\-kit \\- add, keep, find and exchange content\\-addressed data\n.SH SYNOPSIS\n"
	      "\\fBipfs\\-kit\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n",
		out);
	put_filled(out,
		"A node of IPFS. It keeps blocks in a repo, gives them to peers and fetches them from peers. With a daemon "
		"running, commands talk to it; without one they open the repo themselves. One that cannot be written to, as it lies on a "
		"read-only file system, is only read.");
	fputs(".SH COMMANDS\nEach has a page of its own,\n"
	      ".BR ipfs\\-kit\\-block\\-get (1)\nfor block get, with its options and examples.\n"
	      "\\fBipfs\\-kit\\fR \\fICOMMAND\\fR \\fB\\-\\-help\\fR says the same.\n",
		out);
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		fputs(".TP\n", out);
		put_use(out, "", c);
		put_filled(out, c->summary);
	}
	fputs(".SH OPTIONS\nThese may be given to every command, before or after its name.\n", out);
	put_options(out, cli_global_options, NULL);
	put_first_steps(out);
	fputs(".SH JSON\n", out);
	put_filled(out,
		"With --json every answer is JSON, one value a line, but for content (cat, block get, dag get, dag export) and "
		"text (help, completion). A failure is one line on standard error, an object with Error, what failed and why, "
		"and what to do; Code, one of failed, usage, not-found, repo, timed-out, interrupted; Exit, the exit status; "
		"and Hint, what to do, when there is something. What is warned of, as what opening the repo found damaged or had to "
		"make anew, and what a daemon finds damaged later, is another such line, with Warning and Hint.");
	fputs(".SH TERMINALS\n", out);
	put_filled(out,
		"Names of content and what peers and daemons say of themselves are chosen by strangers. On a terminal, and "
		"always on standard error, control characters, bytes that are not UTF-8, marks of direction and separators of "
		"lines are shown as \\xHH or \\uHHHH. Into a pipe or a file standard output has the bytes as they are.");
	put_exit_status(out);
	fputs(".SH ENVIRONMENT\n", out);
	put_items(out, environment, 'B');
	fputs(".SH FILES\n", out);
	put_items(out, files, 'I');
	fputs(".SH SEE ALSO\n", out);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		put_reference(out, c, c[1].name ? "," : "");
}

void cli_print_man(FILE *out, const struct cli_command *command)
{
	put_title(out, command);
	if (command)
		put_command(out, command);
	else
		put_whole(out);
}

static int write_page(
	const struct cli *cli, const char *directory, const struct cli_command *command)
{
	char name[64], path[4200];

	page_name(command, name, sizeof(name));
	if (snprintf(path, sizeof(path), "%s/%s.1", directory, name) >= (int)sizeof(path))
		return cli_fail_file(cli, -ENAMETOOLONG, directory);
	FILE *file = fopen(path, "w");
	if (!file)
		return cli_fail_file(cli, -errno, path);
	cli_print_man(file, command);
	int rc = fflush(file) ? -errno : ferror(file) ? -EIO : 0;
	if (fclose(file) && !rc)
		rc = -errno;
	return rc ? cli_fail_file(cli, rc, path) : CLI_OK;
}

int cli_write_man(const struct cli *cli, const char *directory)
{
	int code = write_page(cli, directory, NULL);

	for (const struct cli_command *c = cli_commands; !code && c->name; c++)
		code = write_page(cli, directory, c);
	return code;
}
