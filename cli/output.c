/* Errors, exit codes, and the standard streams. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cli_exit_code(int code)
{
	switch (code) {
	case 0: return CLI_OK;
	case ANYIO_CANCELLED: return CLI_INTERRUPTED;
	case -ENOENT: return CLI_NOT_FOUND;
	case -EUCLEAN: return CLI_REPO;
	case -EINVAL: return CLI_USAGE;
	}
	return CLI_FAILED;
}

/* Of the last write to standard output. */
static int stdout_failure;
/* A command has ended because nobody reads that any more. */
static bool ended_unread;

bool cli_nobody_reads(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP));
}

bool cli_ended_unread(void)
{
	return ended_unread;
}

/* Text that grows in a buffer of fixed size; what does not fit is left out. */
struct sentence {
	char text[8192];
	size_t used;
};

static void put(struct sentence *out, const char *text, size_t len)
{
	size_t room = sizeof(out->text) - 1 - out->used;

	memcpy(out->text + out->used, text, len < room ? len : room);
	out->used += len < room ? len : room;
	out->text[out->used] = 0;
}

static void put_text(struct sentence *out, const char *text)
{
	put(out, text, strlen(text));
}

/* A path as a shell takes it. */
static void put_word(struct sentence *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:@%+,=-";

	if (*word && !word[strspn(word, plain)]) {
		put_text(out, word);
		return;
	}
	put_text(out, "\"");
	for (; *word; word++) {
		if (strchr("\"\\$`", *word))
			put_text(out, "\\");
		put(out, word, 1);
	}
	put_text(out, "\"");
}

/* Commands that text shows, 'ipfs-kit WORDS', are given the --repo and --api of this one. */
static void put_shown(struct sentence *out, const struct cli *cli, const char *text)
{
	static const char shown[] = "'ipfs-kit ";
	const char *command;

	while ((command = strstr(text, shown))) {
		command += sizeof(shown) - 1;
		put(out, text, (size_t)(command - text));
		if (cli->repo_said) {
			put_text(out, "--repo ");
			put_word(out, cli->repo_said);
			put_text(out, " ");
		}
		if (cli->api) {
			put_text(out, "--api ");
			put_word(out, cli->api);
			put_text(out, " ");
		}
		text = command;
	}
	put_text(out, text);
}

/* What to do next: what follows the last "; " that is not within quotes, or NULL. */
static const char *hint_of(const char *text)
{
	const char *hint = NULL;
	bool quoted = false;

	for (const char *c = text; *c; c++) {
		bool letter_before = c > text && c[-1] != ' ' && c[-1] != '(';
		if (*c == '\'' && (quoted || !letter_before))
			quoted = !quoted;
		else if (!quoted && c[0] == ';' && c[1] == ' ')
			hint = c + 2;
	}
	return hint;
}

static const char *kind_of(int exit_code)
{
	switch (exit_code) {
	case CLI_USAGE: return "usage";
	case CLI_NOT_FOUND: return "not-found";
	case CLI_REPO: return "repo";
	case CLI_TIMEOUT: return "timed-out";
	case CLI_INTERRUPTED: return "interrupted";
	}
	return "failed";
}

static void say_json(int exit_code, const char *text)
{
	const char *hint = hint_of(text);
	json_t *line = json_pack("{s:o, s:s, s:i}", "Error", cli_json_text(text), "Code",
		kind_of(exit_code), "Exit", exit_code);

	if (hint && line)
		json_object_set_new(line, "Hint", cli_json_text(hint));
	cli_put_json(stderr, line);
}

static void say(
	const struct cli *cli, int exit_code, const char *next, const char *format, va_list ap)
{
	struct sentence sentence = { .used = 0 };
	char text[4096];

	vsnprintf(text, sizeof(text), format, ap);
	put_shown(&sentence, cli, text);
	if (next && !hint_of(text)) {
		put_text(&sentence, "; ");
		put_shown(&sentence, cli, next);
	}
	if (cli->json) {
		say_json(exit_code, sentence.text);
		return;
	}
	fprintf(stderr, "ipfs-kit%s%s: ", cli->command ? " " : "",
		cli->command ? cli->command->name : "");
	cli_put_safe(stderr, sentence.text, sentence.used);
	fputc('\n', stderr);
}

int cli_refuse(const struct cli *cli, int exit_code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(cli, exit_code, NULL, format, ap);
	va_end(ap);
	return exit_code;
}

static void put_shown_format(
	struct sentence *out, const struct cli *cli, const char *format, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, ap);
	put_shown(out, cli, text);
}

void cli_print_shown(const struct cli *cli, const char *format, ...)
{
	struct sentence sentence = { .used = 0 };
	va_list ap;

	va_start(ap, format);
	put_shown_format(&sentence, cli, format, ap);
	va_end(ap);
	cli_print_text(sentence.text);
	putchar('\n');
}

void cli_tell(const struct cli *cli, const char *format, ...)
{
	struct sentence sentence = { .used = 0 };
	va_list ap;

	va_start(ap, format);
	put_shown_format(&sentence, cli, format, ap);
	va_end(ap);
	cli_put_safe(stderr, sentence.text, sentence.used);
	fputc('\n', stderr);
}

void cli_warn(const struct cli *cli, const char *text)
{
	struct sentence sentence = { .used = 0 };

	put_shown(&sentence, cli, text);
	if (cli->json) {
		const char *hint = hint_of(sentence.text);
		json_t *line = json_pack("{s:o}", "Warning", cli_json_text(sentence.text));

		if (hint && line)
			json_object_set_new(line, "Hint", cli_json_text(hint));
		cli_put_json(stderr, line);
		return;
	}
	fputs("ipfs-kit: warning: ", stderr);
	cli_put_safe(stderr, sentence.text, sentence.used);
	fputc('\n', stderr);
}

int cli_fail(const struct cli *cli, int code, const char *format, ...)
{
	va_list ap;

	/* What was printed before an interruption is the caller's; the interruption says itself. */
	if (code == ANYIO_CANCELLED)
		return CLI_INTERRUPTED;
	/* Whoever read has had enough, as head has: that is no failure to tell of. */
	if (code == -EPIPE && cli->dies_of_pipe && cli_nobody_reads()) {
		ended_unread = true;
		return CLI_FAILED;
	}
	va_start(ap, format);
	say(cli, cli_exit_code(code), cli_next_step(cli, code), format, ap);
	va_end(ap);
	return cli_exit_code(code);
}

const char *cli_node_error(const struct cli *cli)
{
	const char *text = cli->remote ? cli_remote_error_text(cli->remote)
		: cli->node            ? kit_error_text(cli->node)
				       : NULL;

	return text ? text : "";
}

int cli_fail_file(const struct cli *cli, int code, const char *path)
{
	const char *said = cli_node_error(cli), *why = anyio_error_text(code);

	if (strncmp(said, "writing ", 8))
		said = "";
	return cli_fail(cli, code, "%s: %s%s", path, *said ? said : why,
		code == -ENOENT ? "; check the path" : "");
}

int cli_refuse_kubo_repo(const struct cli *cli)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/datastore_spec", cli->repo);
	if (access(path, F_OK))
		return CLI_OK;
	return cli_refuse(cli, CLI_REPO,
		"%s is a repo of Kubo, which keeps it otherwise; name another place with --repo, and "
		"'migrate-from-kubo %s' takes blocks and pins over there",
		cli->repo, cli->repo);
}

int cli_fail_repo(const struct cli *cli, int code, const char *text)
{
	const char *next = code == -ENOENT || code == -EBADMSG
		? "mend that file, or put a good copy back"
		: code == -EPROTO ? "use the ipfs-kit that made it"
				  : cli_next_step(cli, code);
	bool hints = hint_of(text) || !next;

	if (code == ANYIO_CANCELLED)
		return CLI_INTERRUPTED;
	if (cli_refuse_kubo_repo(cli))
		return CLI_REPO;
	return cli_refuse(cli, CLI_REPO, "%s%s%s%s",
		cli->homeless && code == -ENOENT ? "HOME is not set, and here is " : "", text,
		hints ? "" : "; ", hints ? "" : next);
}

/* Whether it is one of the words of text, or several of them. */
static bool is_said(const char *text, const char *subject)
{
	size_t len = strlen(subject);

	for (const char *c = text; len && (c = strstr(c, subject)); c++)
		if ((c == text || strchr(" '", c[-1])) && (!c[len] || strchr(" ':;,", c[len])))
			return true;
	return false;
}

int cli_fail_node(const struct cli *cli, int code, const char *subject)
{
	const char *text = cli_node_error(cli);

	if (code == stdout_failure && code)
		return cli_fail(
			cli, code, "writing to standard output: %s", anyio_error_text(code));
	text = *text ? text : anyio_error_text(code);
	if (subject && !is_said(text, subject))
		return cli_fail(cli, code, "%s: %s", subject, text);
	return cli_fail(cli, code, "%s", text);
}

int cli_fail_peer(const struct cli *cli, int code, const char *address)
{
	const char *text = cli_node_error(cli);

	text = *text ? text : anyio_error_text(code);
	return hint_of(text) ? cli_fail(cli, code, "%s", text)
			     : cli_fail(cli, code, "%s; %s", text, cli_next_step_to_peer(address));
}

static int write_stdout(void *arg, const void *data, size_t len)
{
	stdout_failure = anyio_write_all(1, data, len);
	return stdout_failure;
}

static ssize_t read_stdin(void *arg, void *buffer, size_t size)
{
	return anyio_read(0, buffer, size);
}

const struct kit_sink cli_stdout = { write_stdout, NULL };
const struct kit_source cli_stdin = { read_stdin, NULL };
