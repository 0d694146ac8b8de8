/* The operation log that is damaged, cut short, missing or from another time, with the index and without it. */
#include "operations.h"
#include "../inner.h"

#include <unistd.h>

/* The faults that a verification finds, and how many of them it accepted. */
static long verify(struct store *store, bool accept, uint64_t *accepted)
{
	struct store_verify_options options = { .accept_loss = accept };
	struct store_verify_result result;
	int rc = store_verify(store, &options, &result);

	*accepted = result.accepted;
	return rc < 0 ? rc : (long)result.faults;
}

static int is_only_read(struct store *store, const struct store_recovery *recovery)
{
	store_ticket ticket = 0;

	CHECK(recovery->read_only && strstr(recovery->text, "ops/0000000"));
	CHECK_RC(-EUCLEAN, store_state_put(store, STORE_SPACE_ABOVE, "x", 1, "", 0, &ticket));
	CHECK_RC(-EUCLEAN, test_put(store, 999, 700, &ticket));
	return test_get_range(store, 0, 20);
}

/* Values 0 to 9, each by a batch of its own, and blocks; no index. */
static int fill(struct store **store, uint64_t end[10])
{
	CHECK_RC(0, test_open(store, NULL));
	CHECK_RC(0, test_put_range(*store, 0, 20, true));
	for (int i = 0; i < 10; i++) {
		CHECK_RC(0, ops_set(*store, i, i + 100, true));
		end[i] = (*store)->ops.end;
	}
	return 0;
}

/* Damage is told, everything around it is there, and nothing is written until the loss is accepted. */
static int damage_is_told_and_hides_nothing(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	uint64_t end[10], accepted;

	CHECK_RC(0, fill(&store, end));
	CHECK_RC(0, test_crash(store));
	test_flip(ops_path(1), (long)end[3] + 40);
	CHECK_RC(0, take_index());
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.damaged == 1);
		CHECK_RC(0, is_only_read(store, &recovery));
		for (int i = 0; i < 10; i++)
			CHECK(ops_get(store, i) == (i == 4 ? -1 : i + 100));
		CHECK_RC(1, verify(store, false, &accepted));
		if (again)
			CHECK(verify(store, true, &accepted) == 0 && accepted == 1);
		CHECK_RC(0, store_close(store));
	}
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.damaged == 0);
		for (int i = 0; i < 10; i++)
			CHECK(ops_get(store, i) == (i == 4 && !again ? -1 : i + 100));
		CHECK_RC(0, ops_set(store, 4, 104, true));
		CHECK_RC(0, verify(store, false, &accepted));
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, take_index());
	}
	return 0;
}

/* What the index has is not lost by damage before it; a verification finds that, and accepting heals it. */
static int damage_behind_the_index_is_healed(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	uint64_t end[10], accepted;

	CHECK_RC(0, fill(&store, end));
	CHECK_RC(0, store_close(store));
	test_flip(ops_path(1), (long)end[3] + 40);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(!recovery.read_only);
	CHECK_RC(1, verify(store, false, &accepted));
	CHECK(verify(store, true, &accepted) == 0 && accepted == 1);
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, take_index());
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(!recovery.read_only && store->ops.generation == 2);
	for (int i = 0; i < 10; i++)
		CHECK(ops_get(store, i) == i + 100);
	return store_close(store);
}

/* Missing, cut behind the index, or from another time: only read, until it is back or given up. */
static int a_lost_log_is_noticed(void *arg)
{
	enum { MISSING, MISSING_WITHOUT_INDEX, SHORT, OLD, WAYS };
	char command[400];

	for (int way = 0; way < WAYS; way++) {
		struct store *store;
		struct store_recovery recovery;
		uint64_t end[10], accepted;

		snprintf(command, sizeof(command), "rm -rf %s/* %s.kept", test_repo, test_repo);
		CHECK(system(command) == 0);
		CHECK_RC(0, fill(&store, end));
		CHECK_RC(0, store_close(store));
		snprintf(command, sizeof(command), "cp -a %s/ops %s.kept", test_repo, test_repo);
		CHECK(system(command) == 0);
		if (way == OLD) {
			CHECK_RC(0, test_open(&store, NULL));
			CHECK_RC(0, ops_set(store, 3, 103, true));
			CHECK_RC(0, store_close(store));
			snprintf(command, sizeof(command), "cp -a %s.kept/* %s/ops/", test_repo,
				test_repo);
			CHECK(system(command) == 0);
		} else if (way == SHORT) {
			CHECK_RC(0, truncate(ops_path(1), (long)end[9] - 1));
		} else {
			CHECK_RC(0, unlink(ops_path(1)));
		}
		if (way == MISSING_WITHOUT_INDEX)
			CHECK_RC(0, take_index());
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.gaps == 1);
		CHECK_RC(0, is_only_read(store, &recovery));
		CHECK(ops_get(store, 3) == (way == MISSING_WITHOUT_INDEX ? -1 : 103));
		CHECK_RC(1, verify(store, false, &accepted));
		if (way == MISSING) { /* put back */
			CHECK_RC(0, store_close(store));
			snprintf(command, sizeof(command), "cp -a %s.kept/* %s/ops/", test_repo,
				test_repo);
			CHECK(system(command) == 0);
			CHECK_RC(0, test_open(&store, &recovery));
			CHECK(!recovery.read_only);
		} else {
			CHECK(verify(store, true, &accepted) == 0 && accepted == 1);
		}
		CHECK_RC(0, ops_set(store, 3, 3, true));
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, take_index());
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && ops_get(store, 3) == 3);
		CHECK(ops_get(store, 4) == (way == MISSING_WITHOUT_INDEX ? -1 : 104));
		CHECK_RC(0, test_get_range(store, 0, 20));
		CHECK_RC(0, store_close(store));
	}
	snprintf(command, sizeof(command), "rm -rf %s.kept", test_repo);
	return system(command);
}

/* And by a rehearsal. */
static int is_foretold(struct store *store, long damage)
{
	struct store_wal_replay replay;

	for (int damaged = 0; damaged < 2; damaged++) {
		CHECK_RC(0,
			store_wal_replay(
				store, &(struct store_wal_replay_options){ .all = true }, &replay));
		CHECK((int)replay.damaged == damaged && replay.unfinished == 0);
		test_flip(ops_path(1), damage);
	}
	return 0;
}

/* Commits that are durable tell of operations that went with them, to an opening that has no index too. */
static int durable_operations_are_missed(void *arg)
{
	char command[300];

	for (int way = 0; way < 3; way++) {
		struct store *store;
		struct store_recovery recovery;
		uint64_t end[10];

		snprintf(command, sizeof(command), "rm -rf %s/* %s.kept", test_repo, test_repo);
		CHECK(system(command) == 0);
		CHECK_RC(0, fill(&store, end));
		CHECK_RC(0, test_put_range(store, 40, 60, true));
		CHECK_RC(0, test_put_range(store, 60, 80, true));
		CHECK_RC(0, is_foretold(store, (long)end[9] - 10));
		CHECK_RC(0, test_crash(store));
		snprintf(command, sizeof(command), "cp -a %s/ops %s.kept", test_repo, test_repo);
		CHECK(system(command) == 0);
		CHECK_RC(0, take_index());
		if (way == 0)
			CHECK_RC(0, truncate(ops_path(1), (long)end[8]));
		else
			test_flip(ops_path(1), (long)end[9] - 10);
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.gaps == 1);
		CHECK_RC(0, is_only_read(store, &recovery));
		CHECK(ops_get(store, 8) == 108 && ops_get(store, 9) == -1);
		if (way == 2) {
			uint64_t accepted;

			CHECK(verify(store, true, &accepted) == 0 && accepted == 1);
			CHECK_RC(0, ops_set(store, 9, 109, true));
			CHECK_RC(0, store_close(store));
			CHECK_RC(0, take_index());
		} else { /* put back */
			CHECK_RC(0, store_close(store));
			snprintf(command, sizeof(command), "cp -a %s.kept/* %s/ops/", test_repo,
				test_repo);
			CHECK(system(command) == 0);
		}
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && ops_get(store, 8) == 108 && ops_get(store, 9) == 109);
		CHECK_RC(0, store_close(store));
	}
	snprintf(command, sizeof(command), "rm -rf %s.kept", test_repo);
	return system(command);
}

/* A file of a higher number that is none of the repo's takes nobody's place. */
static int a_stray_file_counts_for_nothing(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	uint64_t end[10];
	char command[300];

	CHECK_RC(0, fill(&store, end));
	for (int way = 0; way < 2; way++) {
		CHECK_RC(0, test_crash(store));
		snprintf(command, sizeof(command),
			way ? "cp %s %s/ops/00000009.log" : ": %s; touch %s/ops/00000009.log",
			ops_path(1), test_repo);
		CHECK(system(command) == 0);
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.damaged == 0 && recovery.gaps == 0);
		for (int i = 0; i < 10; i++)
			CHECK(ops_get(store, i) == i + 100);
	}
	return store_close(store);
}

/* Operations may be of later commits than the last that is left of the segments: what is acknowledged after that
 * loss was accepted is not cut with them. */
static int an_accepted_loss_takes_no_later_operation(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	uint64_t accepted;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 20, true));
	CHECK_RC(0, store_checkpoint(store));
	uint64_t checkpoint = store->checkpoint.end;
	for (int i = 0; i < 30; i++)
		CHECK_RC(0, ops_set(store, 1, i, true));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, truncate(test_segment(1), checkpoint - 1));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.read_only && ops_get(store, 1) == 29);
	CHECK(verify(store, true, &accepted) == 0 && accepted > 0);
	CHECK_RC(0, ops_set(store, 2, 7, true));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, take_index());
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(!recovery.read_only && ops_get(store, 1) == 29 && ops_get(store, 2) == 7);
	return store_close(store);
}

/* The last batch, too, when it is known to be durable; by a verification that comes in time nothing is lost. */
static int damage_at_its_end_is_told(void *arg)
{
	struct store *store;
	uint64_t end[10], accepted;

	CHECK_RC(0, fill(&store, end));
	test_flip(ops_path(1), (long)end[9] - 10);
	CHECK_RC(1, verify(store, false, &accepted));
	CHECK(verify(store, true, &accepted) == 0 && accepted == 1);
	CHECK_RC(0, verify(store, false, &accepted));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, take_index());
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 10; i++)
		CHECK(ops_get(store, i) == i + 100);
	return store_close(store);
}

/* To an opening it may be what a crash left: it goes, and that is told. */
static int what_may_be_torn_is_told(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	struct store_wal_replay replay;
	uint64_t end[10];

	CHECK_RC(0, fill(&store, end));
	test_flip(ops_path(1), (long)end[9] - 10);
	CHECK_RC(0,
		store_wal_replay(
			store, &(struct store_wal_replay_options){ .all = true }, &replay));
	CHECK_RC(1, (int)replay.unfinished);
	CHECK_RC(0, test_crash(store));
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.unfinished == !again && recovery.damaged == 0 &&
			!recovery.read_only);
		CHECK(again || strstr(recovery.text, "pins"));
		CHECK(ops_get(store, 8) == 108 && ops_get(store, 9) == -1);
		CHECK_RC(0, test_crash(store));
	}
	return 0;
}

/* What is written after a loss was accepted counts, whether the segments have a commit of its number or not. */
static int an_accepted_loss_needs_no_index(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	uint64_t end[10], accepted;

	CHECK_RC(0, fill(&store, end));
	CHECK_RC(0, test_crash(store));
	/* The last commit is gone, and an operation before it. */
	CHECK_RC(0, truncate(test_segment(1), test_file_size(test_segment(1)) - 10));
	test_flip(ops_path(1), (long)end[2] - 10);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(0, is_only_read(store, &recovery));
	CHECK(verify(store, true, &accepted) == 0 && accepted == 2);
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 10; i++)
			CHECK(ops_get(store, i) == (i == 2 ? -1 : i + 100));
		CHECK_RC(0, test_crash(store));
		CHECK_RC(0, take_index());
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.unfinished == 0);
	}
	return store_close(store);
}

/* Of a file that was written anew, the only batch of what it says has no other behind it but an empty one, to tell by. */
static int damage_of_a_new_file_is_told(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	int value = 0;

	test_options.operations_bytes = 400;
	CHECK_RC(0, test_open(&store, NULL));
	while (store->ops.generation < 2) {
		for (int i = 0; i < 20; i++)
			CHECK_RC(0, ops_set(store, i % 3, value++, true));
		CHECK_RC(0, store_checkpoint(store));
	}
	CHECK_RC(0, test_crash(store));
	test_options.operations_bytes = 0;
	test_flip(ops_path(2), 64 + 40);
	CHECK_RC(0, take_index());
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 1 && recovery.read_only && ops_get(store, 0) == -1);
	CHECK_RC(0, test_crash(store));
	test_flip(ops_path(2), 64 + 40);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 0 && !recovery.read_only && ops_get(store, 0) >= 0);
	return store_close(store);
}

ON_BACKENDS(damage_is_told_and_hides_nothing)
ON_BACKENDS(damage_behind_the_index_is_healed)
ON_BACKENDS(a_lost_log_is_noticed)
ON_BACKENDS(durable_operations_are_missed)
ON_BACKENDS(a_stray_file_counts_for_nothing)
ON_BACKENDS(an_accepted_loss_takes_no_later_operation)
ON_BACKENDS(damage_at_its_end_is_told)
ON_BACKENDS(what_may_be_torn_is_told)
ON_BACKENDS(an_accepted_loss_needs_no_index)
ON_BACKENDS(damage_of_a_new_file_is_told)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage_is_told_and_hides_nothing),
		cmocka_unit_test(test_damage_behind_the_index_is_healed),
		cmocka_unit_test(test_a_lost_log_is_noticed),
		cmocka_unit_test(test_durable_operations_are_missed),
		cmocka_unit_test(test_a_stray_file_counts_for_nothing),
		cmocka_unit_test(test_an_accepted_loss_takes_no_later_operation),
		cmocka_unit_test(test_damage_at_its_end_is_told),
		cmocka_unit_test(test_what_may_be_torn_is_told),
		cmocka_unit_test(test_an_accepted_loss_needs_no_index),
		cmocka_unit_test(test_damage_of_a_new_file_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
