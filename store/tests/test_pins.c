/* Pins, and what a recursive one needs. */
#include "support.h"
#include <ipld/dag_pb.h>

static struct mf_cid name(int n)
{
	struct mf_cid cid;
	char text[16];

	snprintf(text, sizeof(text), "pin %d", n);
	mf_cid_of(&cid, n & 1, n & 1 ? MF_CODEC_RAW : MF_CODEC_DAG_PB, text, strlen(text));
	return cid;
}

static int reopen(struct store **store)
{
	CHECK_RC(0, store_close(*store));
	return test_open(store, NULL);
}

static int one_pin_a_cid(void *arg)
{
	struct store *store;
	struct mf_cid cid = name(1);
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(STORE_PIN_NONE, store_pin_get(store, &cid));
	CHECK_RC(-ENOENT, store_pin_remove(store, &cid, &ticket));
	CHECK_RC(-EINVAL, store_pin_add(store, &cid, 3, &ticket));
	CHECK(ticket == 0);
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK(ticket > 0);
	CHECK_RC(STORE_PIN_DIRECT, store_pin_get(store, &cid));
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, reopen(&store));
	CHECK_RC(STORE_PIN_DIRECT, store_pin_get(store, &cid));
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(-EEXIST, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(STORE_PIN_RECURSIVE, store_pin_get(store, &cid));
	CHECK_RC(0, reopen(&store));
	CHECK_RC(STORE_PIN_RECURSIVE, store_pin_get(store, &cid));
	/* Another version of the same hash is another pin. */
	cid.version = 0;
	cid.codec = MF_CODEC_DAG_PB;
	CHECK_RC(STORE_PIN_NONE, store_pin_get(store, &cid));
	cid = name(1);
	CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
	CHECK_RC(STORE_PIN_NONE, store_pin_get(store, &cid));
	CHECK_RC(0, reopen(&store));
	CHECK_RC(STORE_PIN_NONE, store_pin_get(store, &cid));
	return store_close(store);
}

/* A label stays with its pin: over a crash, another mode, a pin without one; and goes with it. */
static int a_pin_keeps_its_label(void *arg)
{
	struct store *store;
	struct store_pin pin;
	struct mf_cid cid = name(1), plain = name(2);
	struct store_pin_label label = { "holidays", "{\"from\":\"camera\"}" };
	char longest[STORE_PIN_NAME_MAX + 2] = "", meta[STORE_PIN_META_MAX + 2] = "";
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(-ENOENT, store_pin_read(store, &cid, &pin));
	CHECK_RC(0, store_pin_add_labelled(store, &cid, STORE_PIN_DIRECT, &label, &ticket));
	CHECK_RC(0, store_pin_add(store, &plain, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_pin_read(store, &cid, &pin));
	CHECK(pin.mode == STORE_PIN_RECURSIVE && !strcmp(pin.name, label.name) &&
		!strcmp(pin.meta, label.meta) && mf_cid_equal(&pin.cid, &cid));
	CHECK_RC(0, store_pin_read(store, &plain, &pin));
	CHECK(pin.mode == STORE_PIN_DIRECT && !*pin.name && !*pin.meta);
	memset(longest, 'n', STORE_PIN_NAME_MAX);
	memset(meta, 'm', STORE_PIN_META_MAX);
	label = (struct store_pin_label){ longest, meta };
	CHECK_RC(0, store_pin_add_labelled(store, &plain, STORE_PIN_DIRECT, &label, &ticket));
	CHECK_RC(0, store_pin_read(store, &plain, &pin));
	CHECK(!strcmp(pin.name, longest) && !strcmp(pin.meta, meta));
	longest[STORE_PIN_NAME_MAX] = 'n';
	CHECK_RC(-EMSGSIZE,
		store_pin_add_labelled(store, &plain, STORE_PIN_DIRECT, &label, &ticket));
	label = (struct store_pin_label){ NULL, "m" };
	CHECK_RC(0, store_pin_add_labelled(store, &plain, STORE_PIN_DIRECT, &label, &ticket));
	CHECK_RC(0, reopen(&store));
	CHECK_RC(0, store_pin_read(store, &plain, &pin));
	longest[STORE_PIN_NAME_MAX] = 0;
	CHECK(!strcmp(pin.name, longest) && !strcmp(pin.meta, "m"));
	label = (struct store_pin_label){ "", NULL };
	CHECK_RC(0, store_pin_add_labelled(store, &plain, STORE_PIN_DIRECT, &label, &ticket));
	CHECK_RC(0, store_pin_read(store, &plain, &pin));
	CHECK(!*pin.name && !strcmp(pin.meta, "m"));
	label = (struct store_pin_label){ "n", "" };
	CHECK_RC(0, store_pin_add_labelled(store, &plain, STORE_PIN_DIRECT, &label, &ticket));
	CHECK_RC(0, store_pin_read(store, &plain, &pin));
	CHECK(!strcmp(pin.name, "n") && !*pin.meta);
	CHECK_RC(0, store_pin_remove(store, &plain, &ticket));
	CHECK_RC(0, store_pin_add(store, &plain, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, store_pin_read(store, &plain, &pin));
	CHECK(!*pin.name && !*pin.meta);
	return store_close(store);
}

static int all_are_listed_once(void *arg)
{
	struct store *store;
	struct store_stat stat;
	store_ticket ticket = 0;
	bool seen[300] = { 0 };
	int count = 0, rc;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 300; i++) {
		struct mf_cid cid = name(i);
		CHECK_RC(0, store_pin_add(store, &cid, 1 + i % 3 / 2, &ticket));
		if (i == 150)
			CHECK_RC(0, reopen(&store));
	}
	for (int i = 0; i < 300; i += 7) {
		struct mf_cid cid = name(i);
		CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
	}
	for (int round = 0; round < 2; round++) {
		struct store_state_cursor cursor = { 0 };
		struct store_pin pin;

		count = 0;
		memset(seen, 0, sizeof(seen));
		while ((rc = store_pin_next(store, &cursor, &pin)) > 0) {
			int i = 0;
			struct mf_cid cid = name(0);
			while (i < 300 && !mf_cid_equal(&cid, &pin.cid))
				cid = name(++i);
			CHECK(i < 300 && !seen[i] && i % 7 != 0);
			CHECK((int)pin.mode == 1 + i % 3 / 2);
			seen[i] = true;
			count++;
		}
		CHECK(rc == 0 && count == 300 - 43);
		store_stat(store, &stat);
		CHECK(stat.pins == 300 - 43);
		CHECK_RC(0, rebuild_index(store, NULL));
	}
	return store_close(store);
}

/* A dag-pb node whose links have the CIDs given. */
static size_t make_node(const struct mf_cid *links, int count, uint8_t *out, struct mf_cid *cid)
{
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		uint8_t bytes[MF_CID_BYTES_MAX];
		size_t n = mf_cid_encode(&links[i], bytes, sizeof(bytes));
		out[len++] = 0x12; /* Links */
		out[len++] = n + 2;
		out[len++] = 0x0a; /* Hash */
		out[len++] = n;
		memcpy(out + len, bytes, n);
		len += n;
	}
	mf_cid_of(cid, 1, MF_CODEC_DAG_PB, out, len);
	return len;
}

struct faults {
	int pins;
	struct mf_cid cid, pin;
};

static void note_fault(void *arg, const struct store_fault *fault)
{
	struct faults *faults = arg;

	if (fault->kind == STORE_FAULT_PIN) {
		faults->pins++;
		faults->cid = *fault->cid;
		faults->pin = *fault->pin;
	}
}

static int what_a_recursive_pin_needs_is_checked(void *arg)
{
	struct store *store;
	struct store_verify_result result;
	struct faults faults = { 0 };
	struct store_verify_options options = { .fault = note_fault, .arg = &faults };
	store_ticket ticket = 0;
	struct mf_cid leaves[3], inner, root;
	uint8_t node[512];
	size_t len;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 3; i++)
		mf_cid_of(&leaves[i], 1, MF_CODEC_RAW, "abc" + i, 1);
	len = make_node(leaves, 3, node, &inner);
	CHECK_RC(0, store_put(store, &inner, node, len, 0, &ticket));
	len = make_node(&inner, 1, node, &root);
	CHECK_RC(0, store_put(store, &root, node, len, 0, &ticket));
	CHECK_RC(0, store_put(store, &leaves[0], "a", 1, 0, &ticket));
	CHECK_RC(0, store_put(store, &leaves[2], "c", 1, 0, &ticket));
	CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, store_verify(store, &options, &result));
	CHECK(result.faults == 0 && result.pins == 1 && result.blocks == 4);
	CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(0, store_verify(store, &options, &result));
	CHECK(result.faults == 1 && faults.pins == 1);
	CHECK(mf_cid_equal(&faults.cid, &leaves[1]) && mf_cid_equal(&faults.pin, &root));
	CHECK_RC(0, store_put(store, &leaves[1], "b", 1, 0, &ticket));
	CHECK_RC(0, store_verify(store, &options, &result));
	CHECK(result.faults == 0);
	return store_close(store);
}

ON_BACKENDS(one_pin_a_cid)
ON_BACKENDS(a_pin_keeps_its_label)
ON_BACKENDS(all_are_listed_once)
ON_BACKENDS(what_a_recursive_pin_needs_is_checked)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_pin_a_cid),
		cmocka_unit_test(test_a_pin_keeps_its_label),
		cmocka_unit_test(test_all_are_listed_once),
		cmocka_unit_test(test_what_a_recursive_pin_needs_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
