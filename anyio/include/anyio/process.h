/*
 * Child processes. Linux 5.9 or newer; the simulation has none and says -EOPNOTSUPP.
 *
 * A child is watched through a descriptor of its own (a pidfd): no handler for SIGCHLD is installed,
 * one of the host's is left alone, and no signal of ours ever reaches a process that has taken over
 * a number. A host that takes the status of every child itself (SIGCHLD ignored, waitpid(-1)) takes
 * ours too: Linux 6.15 or newer still tells it, before that waiting gives -ECHILD.
 *
 * A child begins with every signal's default disposition and none blocked, whatever this process
 * ignores, and with no descriptor but its three.
 */
#ifndef ANYIO_PROCESS_H
#define ANYIO_PROCESS_H

#include <sys/types.h>
#include <anyio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_process;

/* What a child gets as one of its three descriptors. */
enum anyio_stdio_kind {
	ANYIO_STDIO_DEFAULT, /* open: inherited; run: the input, and captured */
	ANYIO_STDIO_INHERIT, /* as this process has it */
	ANYIO_STDIO_NULL,    /* /dev/null */
	ANYIO_STDIO_PIPE,    /* a byte stream on this side */
	ANYIO_STDIO_FD,      /* a copy of fd, which stays the caller's */
	ANYIO_STDIO_OUT,     /* for err alone: what out is */
};

/* One of the three. */
struct anyio_stdio {
	enum anyio_stdio_kind kind; /* all zero is the default */
	int fd;                     /* for ANYIO_STDIO_FD */
};

/* All zero is the default everywhere. */
struct anyio_process_options {
	/* What is executed; NULL: argv[0]. Without a slash it is searched in this process's PATH. */
	const char *program;
	char *const *envp; /* ends with NULL; NULL: the environment of this process */
	const char *cwd;   /* NULL: as this process. A relative program is looked for from there */
	struct anyio_stdio in;  /* its stdin */
	struct anyio_stdio out; /* its stdout */
	struct anyio_stdio err; /* its stderr */
	bool new_group;         /* leads a process group of its own */
	bool new_session;       /* leads a session of its own, and so a group */
	anyio_time grace; /* between SIGTERM and SIGKILL at the close; 0: 5 seconds; negative: no
			   * SIGTERM at all */
	void *reserved[4];
};

/* Starts argv[0] with argv, which ends with NULL. What keeps it from being executed is an error of
 * this call: -ENOENT, -EACCES (a folder too), -ENOEXEC (no shell is tried), -E2BIG, -EAGAIN when there
 * are too many processes, -EMFILE; -ENOENT and -ENOTDIR for cwd too. -EINVAL for options that make no
 * sense. options may be NULL. Once 0 *process is to be closed. A worker thread does it, so that a slow
 * disk stops nobody else; cancelled meanwhile, it either has not begun or is a success. */
ANYIO_API int anyio_process_open(char *const argv[], const struct anyio_process_options *options,
	struct anyio_process **process);

/* Its number: good for messages. It may be another's once the child was waited for. */
ANYIO_API pid_t anyio_process_pid(const struct anyio_process *process);

/* The pipe to its stdin, NULL unless that is one. The three are the process's: closing one early is
 * anyio_stream_close (for in, anyio_stream_send_eof does as much), never anyio_stream_free. What is
 * sent to a child that reads no more is ANYIO_BROKEN; the wrong direction is -EBADF. */
ANYIO_API struct anyio_stream *anyio_process_in(const struct anyio_process *process);
/* The pipe from its stdout, or NULL. */
ANYIO_API struct anyio_stream *anyio_process_out(const struct anyio_process *process);
/* The pipe from its stderr, or NULL. */
ANYIO_API struct anyio_stream *anyio_process_err(const struct anyio_process *process);

/* Waits until the child has ended, whoever else holds its pipes; any number of tasks may. *code is its
 * exit code, or minus the signal that ended it; NULL when of no interest. -ECHILD when somebody else
 * took it. The child is reaped then, but one with a group of its own only at the close, to keep
 * the group's number from being another's. */
ANYIO_API int anyio_process_wait(struct anyio_process *process, int *code);
/* The same at once: ANYIO_WOULD_BLOCK while it runs. */
ANYIO_API int anyio_process_returncode(struct anyio_process *process, int *code);

/* Sends a signal to the child: -ESRCH once it has been reaped, -EPERM, -EINVAL. */
ANYIO_API int anyio_process_send_signal(struct anyio_process *process, int signal);
/* The same with SIGTERM. */
ANYIO_API int anyio_process_terminate(struct anyio_process *process);
/* The same with SIGKILL. */
ANYIO_API int anyio_process_kill(struct anyio_process *process);
/* To everyone in the child's group; -EINVAL when it was not given one of its own. */
ANYIO_API int anyio_process_send_signal_group(struct anyio_process *process, int signal);

/* Closes the pipes and ends the child if it still runs: SIGTERM, then after the grace SIGKILL, each to
 * the group when it has one of its own, whose other members are killed as soon as the child is gone.
 * Reaps it and frees the process, whatever is returned; tasks that wait for it get its code, those at
 * its pipes ANYIO_CLOSED. Cancelled (before or while it waits) it kills at once, reaps, and returns
 * ANYIO_CANCELLED: who wants the grace nevertheless closes in a shielded scope. -ETIMEDOUT when the
 * kernel has not let go of a killed child within 5 seconds: nobody reaps that one. NULL is allowed. */
ANYIO_API int anyio_process_close(struct anyio_process *process);

/* All zero is the default. */
struct anyio_process_run_options {
	struct anyio_process_options process; /* as for opening */
	const void *input; /* for its stdin, which is /dev/null when there is none */
	size_t input_size; /* bytes of it */
	size_t max_output; /* bytes of out, and of err; 0: 16 MiB */
	bool check;        /* a code other than 0 is ANYIO_PROCESS_FAILED */
	void *reserved[4];
};

/* What became of it. */
struct anyio_process_result {
	int code;        /* as of anyio_process_wait */
	char *out;       /* what was captured of its stdout, and a NUL; NULL when it was not */
	char *err;       /* the same of its stderr */
	size_t out_size; /* bytes, without the NUL */
	size_t err_size; /* the same */
};

/* Opens a process, sends it the input, captures what it writes, waits and closes. Of input that the
 * child does not want the rest is dropped. It ends with the child: of what others who have its pipes write
 * only what is in them by then is taken. -EOVERFLOW when more was written than may be captured; the errors
 * of opening, of the pipes, of memory. Cancelled, or after an error, the child is ended as by the close,
 * with its grace, before this returns. *result is to be freed after 0 and ANYIO_PROCESS_FAILED, else it is
 * all zero: who wants what a child wrote that was too slow opens it, reads its pipes and closes it. options
 * may be NULL. */
ANYIO_API int anyio_process_run(char *const argv[], const struct anyio_process_run_options *options,
	struct anyio_process_result *result);
/* Frees what was captured, and makes it all zero. */
ANYIO_API void anyio_process_result_free(struct anyio_process_result *result);

/*
 * Work in a child of its own: for code that may crash, hang or take what it likes, and for what has to be
 * killed when it is cancelled. The child is a program that calls anyio_worker_serve, most often this
 * same one ("/proc/self/exe") given an argument by which its main knows. Both sides have to be built
 * for the same machine. A worker answers one request at a time; who wants several opens several.
 */
struct anyio_worker;

/* All zero is the default. */
struct anyio_worker_options {
	struct anyio_process_options process; /* but in and out, which carry the requests */
	size_t max_answer;                    /* bytes; 0: 16 MiB */
	void *reserved[4];
};

/* What a worker said. */
struct anyio_worker_answer {
	int result;  /* what the function in the child returned */
	void *data;  /* NULL when size is 0, else to be given to anyio_free */
	size_t size; /* bytes of it */
};

/* As anyio_process_open. -EINVAL when in or out are chosen. */
ANYIO_API int anyio_worker_open(char *const argv[], const struct anyio_worker_options *options,
	struct anyio_worker **worker);
/* Sends a request and waits for its answer. ANYIO_BUSY when another task's is being answered. When the
 * child ends before it has answered, sends what is no answer, or anything before the request is sent whole:
 * ANYIO_BROKEN; -EOVERFLOW for an answer larger than may be; -ENOMEM. After these, and when cancelled under
 * way, the child has been killed, and all further calls are ANYIO_BROKEN. ANYIO_CLOSED when closed
 * meanwhile. Without 0 *answer is all zero. */
ANYIO_API int anyio_worker_call(struct anyio_worker *worker, const void *request, size_t size,
	struct anyio_worker_answer *answer);
/* As anyio_process_close. */
ANYIO_API int anyio_worker_close(struct anyio_worker *worker);

/* Answers one request: *data (NULL at first) and *size become the answer's, by anyio_malloc or malloc;
 * what is returned becomes its result. It is not to return twice, as in a forked child. */
typedef int (*anyio_worker_fn)(const void *request, size_t size, void **data, size_t *data_size);

/* In the child, without a loop: answers the requests that come over its stdin by calling fn, and returns 0
 * when there are no more. Meanwhile stdin is /dev/null and stdout is stderr for everybody else in the
 * process, so that what is printed is no answer. -EPROTO for what is no request, -EOVERFLOW for one of more
 * than max_request bytes (0: 16 MiB), -ENOMEM, or the errors of reading and writing. */
ANYIO_API int anyio_worker_serve(anyio_worker_fn fn, size_t max_request);

#ifdef __cplusplus
}
#endif
#endif
