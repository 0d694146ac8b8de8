/*
 * Error codes. Every function of this library returns 0 or a count on success, else a negative
 * code: the kernel's errno values (-ENOENT, -ECONNRESET, ...) or one of our own below.
 * There is no global last error. Where something was to be made and stored through a pointer, NULL is stored
 * when it fails.
 */
#ifndef ANYIO_ERROR_H
#define ANYIO_ERROR_H

#include <anyio/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All of our own, as X(name, number, text); the code ANYIO_name is minus 20000 minus the number. */
#define ANYIO_ERRORS(X)                                                                            \
	X(CANCELLED, 1, "cancelled")                                                               \
	X(TASK_CANCELLED, 2, "the task waited for was cancelled")                                  \
	X(CLOSED, 3, "the resource was closed on this side")                                       \
	X(BROKEN, 4, "the other side is gone or the resource is unusable")                         \
	X(END_OF_STREAM, 5, "end of stream")                                                       \
	X(WOULD_BLOCK, 6, "the operation would have to wait")                                      \
	X(BUSY, 7, "it is in use already, and serves one at a time")                               \
	X(INCOMPLETE_READ, 8, "the stream ended before the bytes asked for")                       \
	X(DELIMITER_NOT_FOUND, 9, "the delimiter was not found within the limit")                  \
	X(NOT_OWNER, 10, "the calling task does not hold this lock")                               \
	X(ALREADY_STARTED, 11, "started() was called twice")                                       \
	X(NOT_STARTED, 12, "the task ended without calling started()")                             \
	X(WRONG_ORDER, 13, "scopes and groups are their task's, which leaves the last one first")  \
	X(GROUP_CLOSED, 14, "the task group does not take tasks any more")                         \
	X(NO_LOOP, 15, "called from outside a running loop")                                       \
	X(LOOP_ENDED, 16, "the loop has ended")                                                    \
	X(NO_BACKEND, 17, "no event backend of that name works here")                              \
	X(TOO_MANY, 18, "a limit on their number was reached")                                     \
	X(DEADLOCK, 19, "every task waits and nothing can wake them")                              \
	X(NOT_A_FILE, 20, "a link, a folder, a pipe or a device stands where a file should be")    \
	X(PROCESS_FAILED, 21, "the process ended with another exit code than 0")                   \
	X(TLS_FAILED, 22, "TLS failed: the two sides did not agree, or one broke the protocol")    \
	X(TLS_CERTIFICATE, 23, "the other side's certificate was not accepted")                    \
	X(TLS_RAGGED_END, 24, "the connection was cut off: it ended without a close_notify")       \
	X(SERVICE_ENDED, 25, "a service ended although nobody had asked it to stop")               \
	X(STOPPED, 26, "it was stopped and takes no more")                                         \
	X(THREAD_ENDED, 27, "the function ended its thread instead of returning")

/* Their codes. */
enum anyio_error {
#define X(name, number, text) ANYIO_##name = -(20000 + (number)),
	ANYIO_ERRORS(X)
#undef X
};

/* The symbolic name ("ANYIO_CANCELLED", "ENOENT"), or "UNKNOWN". Static storage; any thread. */
ANYIO_API const char *anyio_error_name(int code);

/* One line for people, without a full stop: the system's words for its own codes, but of -ETIMEDOUT only
 * "timed out", since what is late here is seldom a connection. Static storage; any thread. */
ANYIO_API const char *anyio_error_text(int code);

#ifdef __cplusplus
}
#endif

#endif
