#include "program.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

char program_folder[64];

void program_begin(void)
{
	/* In memory, where there is such a place: it is synced all the time. */
	bool memory = access("/dev/shm", W_OK) == 0;
	strcpy(program_folder, memory ? "/dev/shm/anyio-XXXXXX" : "/tmp/anyio-XXXXXX");
	if (!mkdtemp(program_folder))
		abort();
}

void program_end(void)
{
	DIR *dir = opendir(program_folder);
	struct dirent *entry;
	CHECK(dir != NULL);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name,
				strcmp(entry->d_name, "sub") == 0 ? AT_REMOVEDIR : 0);
	if (dir)
		closedir(dir);
	CHECK_RC(rmdir(program_folder), 0);
}

static const char *in_folder(const char *name)
{
	static char path[2][128];
	static int turn;
	char *out = path[++turn & 1];
	snprintf(out, sizeof path[0], "%s/%s", program_folder, name);
	return out;
}

/* The first error of several calls in a row: `or` does nothing once there is one. */
#define OR(rc, call) (rc) = (rc) < 0 ? (rc) : (int)(call)

static int use_open_file(int fd)
{
	char bytes[8] = "";
	struct stat st;
	int rc = anyio_pwrite_all(fd, "program", 7, 0);
	OR(rc, anyio_pread_all(fd, bytes, 7, 0));
	OR(rc, anyio_fsync(fd));
	OR(rc, anyio_fdatasync(fd));
	OR(rc, anyio_sync_range(fd, 0, 7));
	OR(rc, anyio_flock(fd, LOCK_EX | LOCK_NB));
	OR(rc, anyio_ftruncate(fd, 3));
	OR(rc, anyio_fstat(fd, &st));
	OR(rc, anyio_pwritev_all_uncached(fd, &(struct iovec){ bytes, 3 }, 1, 0));
	return rc;
}

static int use_paths(void)
{
	char target[16];
	struct anyio_names names;
	struct stat st;
	int rc = anyio_renameat(AT_FDCWD, in_folder("one"), AT_FDCWD, in_folder("two"));
	OR(rc, anyio_symlinkat("two", AT_FDCWD, in_folder("link")));
	OR(rc, anyio_readlinkat(AT_FDCWD, in_folder("link"), target, sizeof target));
	OR(rc, anyio_mkdirat(AT_FDCWD, in_folder("sub"), 0700));
	OR(rc, anyio_fstatat(AT_FDCWD, in_folder("two"), &st, 0));
	OR(rc, anyio_plain_replace(AT_FDCWD, in_folder("plain"), 0600, &st, "kept", 4, true));
	if (rc == 0) {
		rc = anyio_listdir(AT_FDCWD, program_folder, &names);
		if (rc == 0)
			anyio_names_free(&names);
	}
	OR(rc, anyio_unlinkat(AT_FDCWD, in_folder("plain"), 0));
	OR(rc, anyio_plain_create(AT_FDCWD, in_folder("plain"), 0600, "new", 3, true));
	OR(rc, anyio_unlinkat(AT_FDCWD, in_folder("plain"), 0));
	OR(rc, anyio_unlinkat(AT_FDCWD, in_folder("link"), 0));
	OR(rc, anyio_unlinkat(AT_FDCWD, in_folder("two"), 0));
	OR(rc, anyio_unlinkat(AT_FDCWD, in_folder("sub"), AT_REMOVEDIR));
	return rc;
}

int program_files(void)
{
	int fd = anyio_open(in_folder("one"), O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fd;
	int rc = use_open_file(fd);
	int closed = anyio_close(fd);
	OR(rc, closed);
	OR(rc, use_paths());
	return rc;
}

static int echo_once(void *arg)
{
	struct anyio_stream *stream;
	char byte;
	int rc = anyio_accept(arg, &stream);
	if (rc == 0) {
		rc = (int)anyio_stream_receive(stream, &byte, 1);
		if (rc > 0)
			rc = anyio_stream_send(stream, &byte, 1);
		anyio_stream_free(stream);
	}
	return rc < 0 ? rc : 0;
}

static int ask(struct anyio_stream *stream)
{
	char byte;
	int rc = anyio_stream_send(stream, "x", 1);
	OR(rc, anyio_stream_send_eof(stream));
	OR(rc, anyio_stream_receive_exactly(stream, &byte, 1));
	return rc;
}

/* Connects to the listener, whose answerer is a child, and asks. */
static int talk_to(struct anyio_listener *listener,
	int (*connect)(void *arg, struct anyio_stream **stream), void *arg)
{
	struct anyio_stream *stream = NULL;
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, echo_once, listener, "echo");
	OR(rc, connect(arg, &stream));
	OR(rc, ask(stream));
	anyio_stream_free(stream);
	return anyio_task_group_exit(&group, rc);
}

static int connect_by_name(void *arg, struct anyio_stream **stream)
{
	return anyio_connect_tcp("localhost", *(uint16_t *)arg, stream);
}

/* Two addresses of which nobody listens on the first. */
static int connect_one_of_two(void *arg, struct anyio_stream **stream)
{
	struct anyio_address address;
	uint16_t port = *(uint16_t *)arg;
	int rc = anyio_address_parse(&address, "127.0.0.2", port);
	OR(rc, anyio_connect_address(&address, stream));
	return rc == -ECONNREFUSED ? connect_by_name(arg, stream) : rc;
}

int program_streams(void)
{
	struct anyio_address address;
	struct anyio_listener *listener = NULL;
	int rc = anyio_address_parse(&address, "127.0.0.1", 0);
	OR(rc, anyio_listen_several(&address, 1, NULL, &listener));
	OR(rc, anyio_listener_address(listener, &address));
	uint16_t port = ntohs(address.ip4.sin_port);
	OR(rc, talk_to(listener, connect_by_name, &port));
	OR(rc, talk_to(listener, connect_one_of_two, &port));
	anyio_listener_free(listener);
	return rc;
}

int program_datagrams(void)
{
	struct anyio_datagram *server = NULL, *client = NULL;
	struct anyio_address address;
	struct anyio_datagram_info info;
	char byte;
	int rc = anyio_udp_bind("localhost", 0, NULL, &server);
	OR(rc, anyio_datagram_local_address(server, &address));
	OR(rc, anyio_datagram_connect(&address, NULL, NULL, &client));
	OR(rc, anyio_datagram_send(client, "x", 1));
	OR(rc, anyio_datagram_receive(server, &byte, 1, &info));
	OR(rc, anyio_datagram_send_to(server, "y", 1, &info.from));
	OR(rc, anyio_datagram_receive(client, &byte, 1, NULL));
	OR(rc, anyio_datagram_remote_address(client, &address));
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	return rc < 0 ? rc : 0;
}

static int connect_path(void *arg, struct anyio_stream **stream)
{
	return anyio_connect_unix(arg, stream);
}

static int pass_descriptor(void *arg)
{
	struct anyio_stream *stream;
	struct anyio_descriptors gift = { .fds = { 2 }, .count = 1 };
	int rc = anyio_connect_unix(arg, &stream);
	char byte;
	OR(rc, anyio_stream_send_descriptors(stream, "x", 1, &gift, NULL));
	/* Where accepting lost the connection, who waits for the next one is told by our failing. */
	OR(rc, anyio_stream_receive_exactly(stream, &byte, 1));
	anyio_stream_free(stream);
	return rc;
}

static int receive_descriptor(struct anyio_listener *listener, const char *path)
{
	struct anyio_stream *stream = NULL;
	struct anyio_descriptors gift;
	char byte;
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, pass_descriptor, (void *)path, "pass");
	OR(rc, anyio_accept(listener, &stream));
	if (rc == 0) {
		rc = (int)anyio_stream_receive_descriptors(stream, &byte, 1, &gift);
		anyio_descriptors_close(&gift);
		OR(rc, anyio_stream_send(stream, "y", 1));
	}
	anyio_stream_free(stream);
	return anyio_task_group_exit(&group, rc < 0 ? rc : 0);
}

int program_unix(void)
{
	struct anyio_listener *listener = NULL;
	struct anyio_datagram *datagram = NULL;
	struct anyio_address address;
	char path[128];
	snprintf(path, sizeof path, "%s", in_folder("socket"));
	const struct anyio_listen_options taking = { .descriptors = true };
	int rc = anyio_listen_unix(path, &taking, &listener);
	OR(rc, talk_to(listener, connect_path, path));
	OR(rc, receive_descriptor(listener, path));
	anyio_listener_free(listener);
	/* The file is stale now, and replaced. */
	listener = NULL;
	OR(rc, anyio_listen_unix(path, NULL, &listener));
	anyio_listener_free(listener);
	OR(rc, anyio_address_unix(&address, in_folder("talk")));
	OR(rc, anyio_datagram_bind(&address, NULL, &datagram));
	anyio_datagram_free(datagram);
	return rc;
}

int program_names(void)
{
	struct anyio_address *addresses, address;
	char host[NI_MAXHOST], service[NI_MAXSERV];
	size_t count;
	int rc = anyio_getaddrinfo("localhost", 80, AF_INET, &addresses, &count);
	if (rc == 0)
		free(addresses);
	OR(rc, anyio_address_parse(&address, "127.0.0.1", 80));
	OR(rc,
		anyio_getnameinfo(
			&address, host, sizeof host, service, sizeof service, NI_NUMERICSERV));
	return rc;
}

static int add_one(void *arg)
{
	return ++*(int *)arg;
}

static void add_index(void *arg, size_t index)
{
	__atomic_fetch_add((size_t *)arg, index, __ATOMIC_SEQ_CST);
}

int program_threads(void)
{
	struct anyio_limiter limiter;
	struct anyio_thread_options options = { .limiter = &limiter };
	int value = 0;
	size_t sum = 0;
	anyio_limiter_init(&limiter, 1);
	int rc = anyio_to_thread(add_one, &value, NULL);
	OR(rc, anyio_to_thread(add_one, &value, &options));
	OR(rc, anyio_cpu_map(add_index, &sum, 10));
	anyio_limiter_destroy(&limiter);
	return rc < 0 ? rc : 0;
}

static int feed(void *arg)
{
	int rc = 0;
	for (int i = 0; i < 3; i++)
		OR(rc, anyio_send(arg, &i));
	anyio_sender_close(arg);
	return rc;
}

static int use_channel(void)
{
	struct anyio_sender *sender;
	struct anyio_receiver *receiver, *clone = NULL;
	int item, rc = anyio_channel_create(sizeof(int), 1, NULL, &sender, &receiver);
	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	rc = anyio_start_soon(&group, feed, sender, "feed");
	if (rc < 0)
		anyio_sender_close(sender);
	OR(rc, anyio_receiver_clone(receiver, &clone));
	while (rc == 0)
		rc = anyio_receive(receiver, &item);
	anyio_receiver_close(receiver);
	anyio_receiver_close(clone);
	return anyio_task_group_exit(&group, rc == ANYIO_END_OF_STREAM ? 0 : rc);
}

static int use_reader(void)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	char line[8];
	int rc = anyio_stream_pair(16, ends);
	if (rc < 0)
		return rc;
	anyio_reader_init(&reader, ends[1], 16);
	rc = anyio_stream_send(ends[0], "ab\ncd", 5);
	OR(rc, anyio_reader_receive_until(&reader, "\n", 1, line, sizeof line));
	OR(rc, anyio_reader_receive_exactly(&reader, line, 2));
	anyio_reader_destroy(&reader);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	return rc < 0 ? rc : 0;
}

int program_memory(void)
{
	int rc = use_channel();
	OR(rc, use_reader());
	void *pages = rc == 0 ? anyio_pages_alloc(1 << 20) : NULL;
	if (rc == 0 && !pages)
		rc = -ENOMEM;
	anyio_pages_free(pages, 1 << 20);
	return rc;
}

int program_process(void)
{
	char *const argv[] = { "cat", NULL };
	struct anyio_process_run_options options = { .input = "x", .input_size = 1 };
	struct anyio_process_result result;
	struct anyio_process *process = NULL;
	char byte;
	int rc = anyio_process_run(argv, &options, &result);
	anyio_process_result_free(&result);
	options.process.in.kind = ANYIO_STDIO_PIPE;
	options.process.out.kind = ANYIO_STDIO_PIPE;
	OR(rc, anyio_process_open(argv, &options.process, &process));
	OR(rc, anyio_stream_send(anyio_process_in(process), "x", 1));
	OR(rc, anyio_stream_send_eof(anyio_process_in(process)));
	OR(rc, anyio_stream_receive_exactly(anyio_process_out(process), &byte, 1));
	int closed = anyio_process_close(process);
	return rc < 0 ? rc : closed;
}

int program_signals(void)
{
	static const int both[] = { SIGUSR1, SIGUSR2, 0 };
	struct anyio_signal_receiver *receiver;
	int rc = anyio_signal_open(both, &receiver);
	if (rc == 0)
		anyio_signal_close(receiver);
	return rc;
}

int program_all(void *arg)
{
	bool simulated = strcmp(anyio_backend_name(), "sim") == 0;
	int rc = program_files();
	OR(rc, program_streams());
	OR(rc, program_datagrams());
	OR(rc, program_names());
	OR(rc, program_threads());
	OR(rc, program_memory());
	OR(rc, program_signals());
	OR(rc, program_unix());
	if (!simulated)
		OR(rc, program_process());
	return rc;
}
