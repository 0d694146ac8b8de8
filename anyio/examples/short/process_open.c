/*
 * A program to talk to while it runs, over its pipes; and one that is ended with all that it has started,
 * because it leads a process group.
 */
#include <anyio/process.h>
#include <anyio/text.h>
#include <signal.h>
#include <stdio.h>

static int converse(struct anyio_process *process)
{
	struct anyio_text text;
	char line[100];
	ssize_t size = 0;
	int rc = anyio_stream_send(anyio_process_in(process), "20+22\n6*7\n", 10);

	if (rc == 0) /* what it waits for is no more to come */
		rc = anyio_stream_send_eof(anyio_process_in(process));
	anyio_text_init(&text, anyio_process_out(process), ANYIO_TEXT_STRICT);
	while (rc == 0 && (size = anyio_text_receive_line(&text, line, sizeof line)) >= 0)
		printf("%s\n", line);
	anyio_text_destroy(&text);
	return rc || size == ANYIO_END_OF_STREAM ? rc : (int)size;
}

static int body(void *arg)
{
	char *calculator[] = { "sh", "-c", "while read sum; do echo $sum=$(($sum)); done", NULL };
	char *nest[] = { "sh", "-c", "sleep 1000 & wait", NULL };
	struct anyio_process_options piped = { .in = { ANYIO_STDIO_PIPE, 0 },
		.out = { ANYIO_STDIO_PIPE, 0 } };
	struct anyio_process *process;
	int code, closed, rc = anyio_process_open(calculator, &piped, &process);

	if (rc < 0)
		return rc;
	rc = converse(process);
	closed = anyio_process_close(process);
	if (rc < 0 || (rc = closed) < 0)
		return rc;
	rc = anyio_process_open(
		nest, &(struct anyio_process_options){ .new_group = true }, &process);
	if (rc < 0)
		return rc;
	rc = anyio_process_send_signal_group(process, SIGTERM);
	if (rc == 0 && (rc = anyio_process_wait(process, &code)) == 0)
		printf("ended by signal %d\n", -code);
	closed = anyio_process_close(process);
	return rc ? rc : closed;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "process_open: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 20+22=42
 * 6*7=42
 * ended by signal 15
 */
