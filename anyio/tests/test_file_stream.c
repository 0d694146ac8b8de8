/* Files as streams, and what is kept in memory until it is too much. */
#include "sockets.h"
#include <anyio/testing.h>

static char folder[96];

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int call_body(const char *path, void *arg)
{
	anyio_task_fn body = *(anyio_task_fn *)arg;

	snprintf(folder, sizeof(folder), "%s", path);
	return body(NULL);
}

/* Runs a body in a folder of its own, on the simulated disk where there is one. */
#define IN_FOLDER(name)                                                                            \
	static int name##_body(void *arg);                                                         \
	static int name(void *arg)                                                                 \
	{                                                                                          \
		anyio_task_fn body = name##_body;                                                  \
                                                                                                   \
		return anyio_temporary_directory_run(NULL, call_body, &body);                      \
	}                                                                                          \
	static int name##_body(void *arg)

static struct anyio_stream *open_stream(const char *name, int flags)
{
	struct anyio_stream *stream = NULL;

	CHECK_RC(anyio_file_stream_open(in_folder(name), flags, 0600, &stream), 0);
	return stream;
}

static void put(struct anyio_stream *stream, const char *text)
{
	CHECK_RC(anyio_stream_send(stream, text, strlen(text)), 0);
}

#define CHECK_NEXT(stream, wanted)                                                                 \
	do {                                                                                       \
		char check_next[64];                                                               \
		CHECK_RC(anyio_stream_receive_exactly(stream, check_next, sizeof(wanted) - 1), 0); \
		CHECK(memcmp(check_next, wanted, sizeof(wanted) - 1) == 0);                        \
	} while (0)
#define CHECK_END(stream) CHECK_RC(anyio_stream_receive(stream, &(char){ 0 }, 1), 0)

IN_FOLDER(writes_and_reads_from_place_to_place)
{
	struct iovec parts[] = { { "", 0 }, { "one ", 4 }, { "two", 3 }, { "", 0 }, { "!", 1 } };
	struct anyio_stream *stream = open_stream("a", O_WRONLY | O_CREAT | O_EXCL);
	size_t sent;

	CHECK_RC(anyio_stream_sendv(stream, parts, 5, &sent), 0);
	CHECK_RC(sent, 8);
	CHECK_RC(anyio_file_stream_tell(stream), 8);
	CHECK_RC(anyio_file_stream_seek(stream, 4, SEEK_SET), 4);
	put(stream, "TWO");
	CHECK_RC(anyio_stream_receive(stream, &(char){ 0 }, 1), -EBADF);
	anyio_stream_free(stream);
	stream = open_stream("a", O_RDONLY);
	CHECK_NEXT(stream, "one TWO");
	CHECK_RC(anyio_file_stream_tell(stream), 7);
	CHECK_NEXT(stream, "!");
	CHECK_END(stream);
	CHECK_END(stream);
	CHECK_RC(anyio_file_stream_seek(stream, -4, SEEK_END), 4);
	CHECK_NEXT(stream, "TW");
	CHECK_RC(anyio_file_stream_seek(stream, -5, SEEK_CUR), 1);
	CHECK_NEXT(stream, "ne");
	CHECK_RC(anyio_file_stream_seek(stream, -4, SEEK_CUR), -EINVAL);
	CHECK_RC(anyio_file_stream_seek(stream, 0, 99), -EINVAL);
	CHECK_RC(anyio_file_stream_seek(stream, INT64_MAX, SEEK_CUR), -EINVAL);
	CHECK_RC(anyio_file_stream_tell(stream), 3);
	CHECK_RC(anyio_stream_send(stream, "x", 1), -EBADF);
	anyio_stream_free(stream);
	return 0;
}

IN_FOLDER(reading_goes_on_where_a_file_grows)
{
	struct anyio_stream *writer = open_stream("a", O_WRONLY | O_CREAT);
	struct anyio_stream *reader = open_stream("a", O_RDONLY);

	put(writer, "one");
	CHECK_NEXT(reader, "one");
	CHECK_END(reader);
	put(writer, "two");
	CHECK_NEXT(reader, "two");
	CHECK_END(reader);
	anyio_stream_free(writer);
	anyio_stream_free(reader);
	return 0;
}

IN_FOLDER(appends_and_shares_one_place)
{
	struct anyio_stream *stream = open_stream("a", O_RDWR | O_CREAT);

	put(stream, "abc");
	CHECK_RC(anyio_file_stream_seek(stream, 1, SEEK_SET), 1);
	CHECK_NEXT(stream, "b");
	put(stream, "C");
	CHECK_END(stream);
	anyio_stream_free(stream);
	stream = open_stream("a", O_WRONLY | O_APPEND);
	CHECK_RC(anyio_file_stream_tell(stream), 3);
	put(stream, "d");
	CHECK_RC(anyio_file_stream_tell(stream), 4);
	anyio_stream_free(stream);
	stream = open_stream("a", O_RDONLY);
	CHECK_NEXT(stream, "abCd");
	CHECK_END(stream);
	anyio_stream_free(stream);
	return 0;
}

IN_FOLDER(knows_its_path_and_descriptor)
{
	struct anyio_stream *stream = open_stream("a", O_RDWR | O_CREAT);
	char path[128];
	struct stat st;
	int fd = -1;

	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_PATH, path, sizeof(path)),
		(int64_t)strlen(in_folder("a")) + 1);
	CHECK(strcmp(path, in_folder("a")) == 0);
	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	put(stream, "abc");
	CHECK_RC(anyio_fstat(fd, &st), 0);
	CHECK_RC(st.st_size, 3);
	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_PROCESS_ID, NULL, 0), -ENODATA);
	anyio_stream_free(stream);
	return 0;
}

IN_FOLDER(takes_over_a_descriptor)
{
	struct anyio_stream *stream;
	int fd = anyio_open(in_folder("a"), O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0);
	CHECK_RC(anyio_write_all(fd, "abc", 3), 0);
	CHECK_RC(anyio_file_stream_from(fd, &stream), 0);
	/* From its beginning, and what stands elsewhere is left there. */
	CHECK_NEXT(stream, "abc");
	CHECK_RC(anyio_write_all(fd, "def", 3), 0);
	CHECK_NEXT(stream, "def");
	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_PATH, NULL, 0), -ENODATA);
	anyio_stream_free(stream);
	CHECK_RC(anyio_close(fd), -EBADF);
	CHECK_RC(anyio_file_stream_from(-1, &stream), -EBADF);
	CHECK(stream == NULL);
	CHECK_RC(anyio_file_stream_open(in_folder("absent"), O_RDONLY, 0, &stream), -ENOENT);
	CHECK(stream == NULL);
	return 0;
}

struct reading {
	struct anyio_stream *stream;
	ssize_t rc;
};

static int read_one(void *arg)
{
	struct reading *self = arg;

	self->rc = anyio_stream_receive(self->stream, &(char){ 0 }, 1);
	return 0;
}

/* What was done when it closed is the answer, but of a freed one there is none. */
static int closing_takes_nothing_back(void *arg)
{
	for (int frees = 0; frees < 2; frees++) {
		struct reading self;
		ANYIO_TASK_GROUP(group);

		CHECK_RC(anyio_spool_create(100, NULL, &self.stream), 0);
		put(self.stream, "abc");
		CHECK_RC(anyio_file_stream_seek(self.stream, 0, SEEK_SET), 0);
		spawn(&group, read_one, &self, NULL);
		anyio_cancel_shielded_checkpoint();
		(frees ? anyio_stream_free : anyio_stream_close)(self.stream);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK(self.rc == 1 || (frees && self.rc == ANYIO_CLOSED));
		if (frees)
			continue;
		CHECK_RC(anyio_stream_receive(self.stream, &(char){ 0 }, 1), ANYIO_CLOSED);
		anyio_stream_free(self.stream);
	}
	return 0;
}

IN_FOLDER(after_closing_and_after_the_end)
{
	struct anyio_stream *stream = open_stream("a", O_RDWR | O_CREAT), *memory[2];

	put(stream, "abc");
	CHECK_RC(anyio_stream_send_eof(stream), 0);
	CHECK_RC(anyio_stream_send(stream, "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_file_stream_seek(stream, 0, SEEK_SET), 0);
	CHECK_NEXT(stream, "abc");
	anyio_stream_close(stream);
	anyio_stream_close(stream);
	CHECK_RC(anyio_stream_send_eof(stream), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_receive(stream, &(char){ 0 }, 1), ANYIO_CLOSED);
	CHECK_RC(anyio_file_stream_seek(stream, 0, SEEK_SET), ANYIO_CLOSED);
	CHECK_RC(anyio_file_stream_tell(stream), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_DESCRIPTOR, NULL, 0), ANYIO_CLOSED);
	anyio_stream_free(stream);
	CHECK_RC(anyio_stream_pair(0, memory), 0);
	CHECK_RC(anyio_file_stream_seek(memory[0], 0, SEEK_SET), -ESPIPE);
	CHECK_RC(anyio_file_stream_tell(memory[0]), -ESPIPE);
	pair_free(memory);
	return 0;
}

/* The second of three writes fails: what is there is what was said. */
IN_FOLDER(cut_off_send_says_what_was_written)
{
	enum { PARTS = 3000 }; /* more than one call takes */
	static struct iovec parts[PARTS];
	struct anyio_stream *stream = open_stream("a", O_RDWR | O_CREAT);
	size_t sent;
	struct stat st;

	for (int i = 0; i < PARTS; i++)
		parts[i] = (struct iovec){ "abc", 3 };
	anyio_fault_set(ANYIO_FAULT_WRITE, 2, -EIO);
	CHECK_RC(anyio_stream_sendv(stream, parts, PARTS, &sent), -EIO);
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK(sent > 0 && sent < 3 * PARTS);
	CHECK_RC(anyio_file_stream_tell(stream), (int64_t)sent);
	CHECK_RC(anyio_fstatat(AT_FDCWD, in_folder("a"), &st, 0), 0);
	CHECK_RC(st.st_size, (int64_t)sent);
	CHECK_RC(anyio_stream_sendv(stream, parts, PARTS, &sent), 0);
	CHECK_RC(sent, 3 * PARTS);
	anyio_stream_free(stream);
	return 0;
}

IN_FOLDER(cancelled_it_does_nothing)
{
	struct anyio_stream *stream = open_stream("a", O_RDWR | O_CREAT), *spool;
	struct anyio_cancel_scope scope;
	size_t sent = 1;

	put(stream, "abc");
	CHECK_RC(anyio_spool_create(10, NULL, &spool), 0);
	put(spool, "abc");
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	for (int i = 0; i < 2; i++) {
		struct anyio_stream *one = i == 0 ? stream : spool;

		CHECK_RC(anyio_stream_sendv(one, &(struct iovec){ "x", 1 }, 1, &sent),
			ANYIO_CANCELLED);
		CHECK_RC(sent, 0);
		CHECK_RC(anyio_file_stream_seek(one, 0, SEEK_SET), ANYIO_CANCELLED);
		CHECK_RC(anyio_stream_receive(one, &(char){ 0 }, 1), ANYIO_CANCELLED);
		CHECK_RC(anyio_file_stream_tell(one), 3);
	}
	anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED);
	anyio_stream_free(spool);
	anyio_stream_free(stream);
	return 0;
}

static int no_memory_leaves_nothing_open(void *arg)
{
	struct anyio_stream *stream;
	int fd = anyio_temporary_file_unnamed(NULL);

	CHECK(fd >= 0);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_file_stream_open("/", O_RDONLY, 0, &stream), -ENOMEM);
	CHECK(stream == NULL);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_file_stream_from(fd, &stream), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_spool_create(10, NULL, &stream), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(stream == NULL);
	CHECK_RC(anyio_close(fd), 0);
	return 0;
}

/* A pipe between two streams: as it comes. */
static int make_pipe(void *arg, struct anyio_stream *ends[2])
{
	int fds[2];

	CHECK_RC(pipe(fds), 0);
	CHECK_RC(anyio_file_stream_from(fds[1], &ends[0]), 0);
	CHECK_RC(anyio_file_stream_from(fds[0], &ends[1]), 0);
	return 0;
}

static int contract_of_a_pipe(void *arg)
{
	struct anyio_stream_maker maker = { make_pipe, .seed = 1 };
	struct anyio_stream *ends[2];

	if (anyio_check_one_way_stream(&maker) < 0)
		conformance_fail(__FILE__, __LINE__, "%s", maker.failure);
	make_pipe(NULL, ends);
	CHECK_RC(anyio_file_stream_tell(ends[0]), -ESPIPE);
	CHECK_RC(anyio_file_stream_seek(ends[1], 0, SEEK_SET), -ESPIPE);
	pair_free(ends);
	return 0;
}

static bool has_descriptor(struct anyio_stream *stream)
{
	ssize_t rc = anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_DESCRIPTOR, NULL, 0);

	CHECK(rc == sizeof(int) || rc == -ENODATA);
	return rc > 0;
}

static int spool_goes_to_a_file_when_it_is_too_much(void *arg)
{
	struct anyio_stream *spool;

	CHECK_RC(anyio_spool_create(10, NULL, &spool), 0);
	put(spool, "01234");
	CHECK_RC(anyio_file_stream_seek(spool, 3, SEEK_CUR), 8);
	put(spool, "89");
	CHECK(!has_descriptor(spool));
	CHECK_END(spool);
	CHECK_RC(anyio_file_stream_seek(spool, -5, SEEK_END), 5);
	CHECK_NEXT(spool,
		"\0\0\0"
		"89");
	put(spool, "a");
	CHECK(has_descriptor(spool));
	CHECK_RC(anyio_stream_attribute(spool, ANYIO_ATTRIBUTE_PATH, NULL, 0), -ENODATA);
	put(spool, "bcd");
	CHECK_RC(anyio_file_stream_tell(spool), 14);
	CHECK_RC(anyio_file_stream_seek(spool, 0, SEEK_SET), 0);
	CHECK_NEXT(spool,
		"01234\0\0\0"
		"89abcd");
	CHECK_END(spool);
	CHECK_RC(anyio_file_stream_seek(spool, 0, SEEK_END), 14);
	anyio_stream_free(spool);
	return 0;
}

/* A place past what may be in memory is reached by no bytes there. */
static int spool_far_out(void *arg)
{
	struct anyio_stream *spool;

	CHECK_RC(anyio_spool_create(10, NULL, &spool), 0);
	CHECK_RC(anyio_file_stream_seek(spool, 1000, SEEK_SET), 1000);
	CHECK_END(spool);
	put(spool, "x");
	CHECK(has_descriptor(spool));
	CHECK_RC(anyio_file_stream_seek(spool, -2, SEEK_CUR), 999);
	CHECK_NEXT(spool, "\0x");
	CHECK_END(spool);
	anyio_stream_free(spool);
	return 0;
}

/* Whatever fails, what was written before is there, and it goes on. */
static int spool_survives_failures(void *arg)
{
	struct anyio_stream *spool;

	CHECK_RC(anyio_spool_create(10, NULL, &spool), 0);
	put(spool, "01234");
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_stream_send(spool, "56789", 5), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	for (uint64_t at = 1; at <= 3; at++) {
		anyio_fault_set(ANYIO_FAULT_OPERATION, at, -ENOSPC);
		CHECK_RC(anyio_stream_send(spool, "56789a", 6), -ENOSPC);
		anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
		CHECK(!has_descriptor(spool));
		CHECK_RC(anyio_file_stream_tell(spool), 5);
	}
	put(spool, "56789a");
	CHECK(has_descriptor(spool));
	CHECK_RC(anyio_file_stream_seek(spool, 0, SEEK_SET), 0);
	CHECK_NEXT(spool, "0123456789a");
	anyio_stream_free(spool);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(writes_and_reads_from_place_to_place, 0),
		CONFORM(reading_goes_on_where_a_file_grows, 0),
		CONFORM(appends_and_shares_one_place, 0),
		CONFORM(knows_its_path_and_descriptor, 0),
		CONFORM(takes_over_a_descriptor, 0),
		CONFORM(closing_takes_nothing_back, CONFORM_ORDERED),
		CONFORM(after_closing_and_after_the_end, 0),
		CONFORM(cut_off_send_says_what_was_written, 0),
		CONFORM(cancelled_it_does_nothing, 0),
		CONFORM(no_memory_leaves_nothing_open, 0),
		CONFORM(contract_of_a_pipe, CONFORM_NO_SIM),
		CONFORM(spool_goes_to_a_file_when_it_is_too_much, 0),
		CONFORM(spool_far_out, 0),
		CONFORM(spool_survives_failures, 0),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
