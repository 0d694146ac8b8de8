/*
 * A bare peer for measurements and for talking to other implementations by hand.
 *
 *	peer listen MULTIADDR            serves ping, identify and perf; prints its addresses
 *	peer ping MULTIADDR [COUNT]
 *	peer perf MULTIADDR UPLOAD DOWNLOAD
 *	peer both UPLOAD DOWNLOAD        two hosts in one process
 *	peer idle MULTIADDR COUNT        that many connections that do nothing
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libp2p/libp2p.h>

struct arguments {
	int count;
	char **texts;
};

static struct p2p_host *make_host(void)
{
	struct p2p_host_options options = { .perf = true };
	struct p2p_host *host = NULL;
	struct p2p_key key;

	options.limits.system.connections = options.limits.system.connections_in = 100000;
	options.limits.peer.connections = options.limits.peer.connections_in = 100000;
	options.limits.transient.connections = options.limits.transient.connections_in = 100000;
	options.limits.transient.memory = 1 << 30;
	p2p_key_generate(&key);
	options.key = &key;
	p2p_host_create(&options, &host);
	return host;
}

static void print_addresses(struct p2p_host *host)
{
	struct p2p_addresses addresses;
	char id[MF_PEER_ID_TEXT_MAX];

	mf_peer_id_format(p2p_host_id(host), id, sizeof id);
	if (p2p_host_addresses(host, &addresses) < 0)
		return;
	for (size_t i = 0; i < addresses.count; i++)
		printf("%s/p2p/%s\n", addresses.text[i], id);
	fflush(stdout);
	p2p_addresses_free(&addresses);
}

static int dial(struct p2p_host *host, const char *address, struct mf_peer_id *peer)
{
	int rc = p2p_host_connect(host, NULL, &address, 1, peer);

	if (rc < 0)
		fprintf(stderr, "connect: %s\n", anyio_error_name(rc));
	return rc;
}

static int ping(struct p2p_host *host, const char *address, int count)
{
	struct mf_peer_id peer;
	anyio_time rtt;
	int rc = dial(host, address, &peer);

	for (int i = 0; rc == 0 && i < count; i++) {
		rc = p2p_ping(host, &peer, &rtt);
		if (rc == 0)
			printf("%.1f us\n", (double)rtt / 1e3);
		else
			fprintf(stderr, "ping: %s\n", anyio_error_name(rc));
	}
	if (rc == 0) {
		struct p2p_peer *peers;
		size_t n;

		rc = p2p_host_wait_identified(host, &peer);
		if (rc == 0 && p2p_host_peers(host, &peers, &n) == 0) {
			printf("agent %s\n", peers[0].agent);
			anyio_free(peers);
		} else {
			fprintf(stderr, "identify: %s\n", anyio_error_name(rc));
		}
	}
	return rc;
}

static int perf(struct p2p_host *host, const char *address, uint64_t upload, uint64_t download)
{
	struct mf_peer_id peer;
	anyio_time up, down;
	int rc = dial(host, address, &peer);

	if (rc == 0)
		rc = p2p_perf(host, &peer, upload, download, &up, &down);
	if (rc < 0)
		fprintf(stderr, "perf: %s\n", anyio_error_name(rc));
	else
		printf("up %.3f GB/s, down %.3f GB/s\n", (double)upload / (double)(up + 1),
			(double)download / (double)(down + 1));
	return rc;
}

static long resident_anonymous(void)
{
	char line[256];
	long kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof line, file))
		sscanf(line, "RssAnon: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

/* Dials one listening process many times over: a connection each, by hosts that differ. */
static int idle(const char *address, int count)
{
	struct p2p_host **hosts = calloc((size_t)count, sizeof *hosts);
	struct mf_peer_id peer;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	for (int i = 0; rc == 0 && i < count; i++) {
		hosts[i] = make_host();
		rc = anyio_start(&group, p2p_host_run, hosts[i], "host", NULL);
		if (rc == 0)
			rc = dial(hosts[i], address, &peer);
		if (rc == 0)
			rc = p2p_host_wait_identified(hosts[i], &peer);
	}
	printf("%d connections\n", count);
	fflush(stdout);
	if (rc == 0)
		rc = anyio_sleep(5 * ANYIO_SECOND);
	anyio_task_group_cancel(&group, "done");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < count; i++)
		p2p_host_free(hosts[i]);
	free(hosts);
	return rc;
}

static int both(struct p2p_host *host, uint64_t upload, uint64_t download)
{
	struct p2p_host *other = make_host();
	struct p2p_addresses addresses;
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = anyio_start(&group, p2p_host_run, other, "host", NULL);
	if (rc == 0)
		rc = p2p_host_listen(other, "/ip4/127.0.0.1/tcp/0");
	if (rc == 0)
		rc = p2p_host_addresses(other, &addresses);
	if (rc == 0) {
		rc = perf(host, addresses.text[0], upload, download);
		p2p_addresses_free(&addresses);
	}
	p2p_host_close(other);
	rc = anyio_task_group_exit(&group, rc);
	p2p_host_free(other);
	return rc;
}

static int listening(struct p2p_host *host, const char *address)
{
	int rc = p2p_host_listen(host, address);

	if (rc < 0) {
		fprintf(stderr, "listen: %s\n", anyio_error_name(rc));
		return rc;
	}
	print_addresses(host);
	while (rc == 0) {
		printf("RssAnon %ld KiB\n", resident_anonymous());
		fflush(stdout);
		rc = anyio_sleep(2 * ANYIO_SECOND);
	}
	return rc;
}

static int command(struct p2p_host *host, int count, char **texts)
{
	if (count >= 2 && strcmp(texts[0], "listen") == 0)
		return listening(host, texts[1]);
	if (count >= 2 && strcmp(texts[0], "ping") == 0)
		return ping(host, texts[1], count > 2 ? atoi(texts[2]) : 3);
	if (count == 4 && strcmp(texts[0], "perf") == 0)
		return perf(
			host, texts[1], strtoull(texts[2], NULL, 0), strtoull(texts[3], NULL, 0));
	if (count == 3 && strcmp(texts[0], "both") == 0)
		return both(host, strtoull(texts[1], NULL, 0), strtoull(texts[2], NULL, 0));
	if (count == 3 && strcmp(texts[0], "idle") == 0)
		return idle(texts[1], atoi(texts[2]));
	fprintf(stderr, "usage: peer listen|ping|perf|both|idle ...\n");
	return -EINVAL;
}

static int main_task(void *arg)
{
	struct arguments *arguments = arg;
	struct p2p_host *host = make_host();
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = anyio_start(&group, p2p_host_run, host, "host", NULL);
	if (rc == 0)
		rc = command(host, arguments->count, arguments->texts);
	p2p_host_close(host);
	rc = anyio_task_group_exit(&group, rc);
	p2p_host_free(host);
	return rc;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { argc - 1, argv + 1 };

	return anyio_run(main_task, &arguments, NULL) < 0;
}
