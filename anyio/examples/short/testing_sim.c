/*
 * The simulation: a network that delays, loses and doubles datagrams, by a seed. What a seed has brought to
 * light once it brings to light every time.
 */
#include <anyio/datagram.h>
#include <anyio/testing.h>
#include <stdio.h>
#include <string.h>

struct record {
	unsigned char came[200]; /* which of the datagrams, in their order */
	size_t count;
};

static int send_hundred(const struct anyio_address *to)
{
	struct anyio_datagram *from;
	int rc = anyio_datagram_connect(to, NULL, NULL, &from);

	if (rc < 0)
		return rc;
	for (unsigned char i = 0; i < 100 && rc == 0; i++)
		rc = anyio_datagram_send(from, &i, 1);
	anyio_datagram_free(from);
	return rc;
}

static int body(void *arg)
{
	struct record *record = arg;
	struct anyio_address address;
	struct anyio_cancel_scope scope;
	struct anyio_datagram *to;
	int rc = anyio_udp_bind("127.0.0.1", 0, NULL, &to);

	if (rc < 0)
		return rc;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, ANYIO_SECOND); /* simulated: it takes no time */
	anyio_cancel_scope_enter(&scope);
	rc = anyio_datagram_local_address(to, &address);
	if (rc == 0)
		rc = send_hundred(&address);
	for (; rc >= 0 && record->count < sizeof record->came; record->count += rc == 1)
		rc = (int)anyio_datagram_receive(to, &record->came[record->count], 1, NULL);
	rc = anyio_cancel_scope_exit(&scope, rc);
	anyio_datagram_free(to);
	return rc;
}

static int run(uint64_t seed, struct record *record)
{
	struct anyio_sim_options sim = { .datagram_loss = 100000 /* one of ten */,
		.datagram_duplicate = 50000,
		.datagram_reorder = 50000 };
	struct anyio_options options = { .backend = "sim", .seed = seed, .sim = &sim };

	return anyio_run(body, record, &options);
}

int main(void)
{
	static struct record first, again, other;
	int rc = run(1, &first);

	if (rc == 0 && (rc = run(1, &again)) == 0)
		rc = run(2, &other);
	if (rc < 0)
		fprintf(stderr, "testing_sim: %s\n", anyio_error_text(rc));
	printf("the same seed: %s\n",
		memcmp(&first, &again, sizeof first) ? "another run" : "the same run");
	printf("another seed: %s\n",
		memcmp(&first, &other, sizeof first) ? "another run" : "the same run");
	return rc < 0;
}
/* Prints:
 * the same seed: the same run
 * another seed: another run
 */
