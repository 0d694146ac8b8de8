/* Errors, exit codes, and the standard streams. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cli_exit_code(int code)
{
	switch (code) {
	case 0: return CLI_OK;
	case ANYIO_CANCELLED: return CLI_INTERRUPTED;
	case -ETIMEDOUT: return CLI_TIMEOUT;
	case -ENOENT: return CLI_NOT_FOUND;
	case -EINVAL: return CLI_USAGE;
	}
	return CLI_FAILED;
}

/* A path as a shell takes it. */
static void put_word(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:@%+,=-";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, stderr);
		return;
	}
	fputc('"', stderr);
	for (; *word; word++) {
		if (strchr("\"\\$`", *word))
			fputc('\\', stderr);
		fputc(*word, stderr);
	}
	fputc('"', stderr);
}

static void say(const struct cli *cli, const char *format, va_list ap)
{
	static const char shown[] = "'ipfs-kit ";
	char text[4096];
	const char *at = text, *command;

	vsnprintf(text, sizeof(text), format, ap);
	fprintf(stderr, "ipfs-kit %s: ", cli->command->name);
	while ((command = strstr(at, shown))) {
		command += sizeof(shown) - 1;
		fwrite(at, 1, (size_t)(command - at), stderr);
		if (cli->repo_said) {
			fputs("--repo ", stderr);
			put_word(cli->repo_said);
			fputc(' ', stderr);
		}
		if (cli->api) {
			fputs("--api ", stderr);
			put_word(cli->api);
			fputc(' ', stderr);
		}
		at = command;
	}
	fprintf(stderr, "%s\n", at);
}

void cli_say(const struct cli *cli, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(cli, format, ap);
	va_end(ap);
}

int cli_fail(struct cli *cli, int code, const char *format, ...)
{
	va_list ap;

	/* What was printed before an interruption is the caller's; the interruption says itself. */
	if (code == ANYIO_CANCELLED)
		return CLI_INTERRUPTED;
	va_start(ap, format);
	say(cli, format, ap);
	va_end(ap);
	return cli_exit_code(code);
}

int cli_fail_node(struct cli *cli, int code)
{
	const char *text = cli->remote ? remote_error_text(cli->remote)
		: cli->node            ? kit_error_text(cli->node)
				       : NULL;

	return cli_fail(cli, code, "%s", text && *text ? text : anyio_error_text(code));
}

void cli_print_name(const char *name)
{
	if (!isatty(1)) {
		fputs(name, stdout);
		return;
	}
	for (const char *c = name; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			printf("\\x%02X", (unsigned)*c);
		else
			putchar(*c);
	}
}

static int write_stdout(void *arg, const void *data, size_t len)
{
	return anyio_write_all(1, data, len);
}

static ssize_t read_stdin(void *arg, void *buffer, size_t size)
{
	return anyio_read(0, buffer, size);
}

const struct kit_sink cli_stdout = { write_stdout, NULL };
const struct kit_source cli_stdin = { read_stdin, NULL };
