/* What the files of process/ share. */
#ifndef ANYIO_PROCESS_PROCESS_H
#define ANYIO_PROCESS_PROCESS_H

#include <anyio/process.h>
#include "../core/core.h"

enum { SPAWN_KEEP = -1, SPAWN_NULL = -2 };

/* spawn.c: one child to be made; nothing here is the spawner's. */
struct anyio_spawn {
	char *const *argv, *const *envp;
	const char
		*candidates; /* the programs to try, each with its NUL, an empty one at the end */
	const char *cwd;     /* NULL: stay */
	int fds[3];          /* what becomes 0, 1 and 2: a descriptor, SPAWN_KEEP, SPAWN_NULL */
	bool new_session, new_group;
	char *stack;          /* SPAWN_STACK bytes that nobody else uses, aligned to 16 */
	volatile int refused; /* the child's: the errno that kept it from being executed */
	pid_t pid;            /* the result, and its descriptor */
	int pidfd;
};
enum { SPAWN_STACK = 32 << 10 };

/* Blocks until the child is executed or has failed: 0 or -errno. For a worker thread; arg is a struct
 * anyio_spawn. */
int anyio_spawn(void *arg);

/* pipe.c: a stream over this side of a pipe, and the child's descriptor of it. sends: this side
 * writes. -ENOMEM, -EMFILE. */
int anyio_pipe_open(bool sends, struct anyio_stream **stream, int *other);
/* The child that has the other end, once it is known. */
void anyio_pipe_attach(struct anyio_stream *stream, pid_t child);
/* Waits until there is something to receive, or the end: 0, and a receive goes on at once; the errors of
 * receiving. */
int anyio_pipe_await(struct anyio_stream *stream);
/* How many bytes are in the pipe now. */
size_t anyio_pipe_holds(const struct anyio_stream *stream);
/* What is in the pipe now, by a plain read that never waits: a count, 0 at the end, -EAGAIN. For who
 * knows that nobody is inside. */
ssize_t anyio_pipe_look(struct anyio_stream *stream, void *buffer, size_t size);

#endif
