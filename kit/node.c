/* A node's life: making a repo, opening it, going online, closing it. */
#include "migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <libp2p/ping.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *kit_version(void)
{
	return KIT_VERSION;
}

const char *kit_agent(void)
{
	return "ipfs-kit/" KIT_VERSION;
}

const char *kit_error_text(const struct kit_node *node)
{
	return node->error;
}

int kit_fail(struct kit_node *node, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(node->error, sizeof(node->error), format, ap);
	va_end(ap);
	return code;
}

_Static_assert((int)KIT_STORE_MAX_LEAST == (int)STORE_LIMIT_LEAST, "they are one limit");

/* The setting has two names, and nobody knows here which of them was set. */
static int fail_limit(struct kit_node *node, const char *what)
{
	uint64_t max = kit_config_size(node->core->config, "store.max");

	if (max < KIT_STORE_MAX_LEAST)
		return kit_fail(node, -EDQUOT,
			"%s: the repo's limit, store.max (or storage_max), is %llu bytes, into which next to nothing fits; raise it: "
			"'ipfs-kit config store.max 4MiB' is the least that is of use (0: none)",
			what, (unsigned long long)max);
	return kit_fail(node, -EDQUOT,
		"%s: the repo would grow past its limit, store.max (or storage_max), and too little of it can go, being pinned or just "
		"added; take pins away with 'ipfs-kit pin rm', or raise it: 'ipfs-kit config store.max SIZE' (0: none)",
		what);
}

int kit_fail_code(struct kit_node *node, int code, const char *what)
{
	if (code == -ENOSPC)
		return kit_fail(node, code,
			"%s: no space left on the disk of %s (nothing acknowledged is lost); make room there, and run it again",
			what, node->core->dir);
	/* Else it is the disk's own quota. */
	if (code == -EDQUOT && kit_config_size(node->core->config, "store.max"))
		return fail_limit(node, what);
	if (code == -EBADMSG)
		return kit_fail(
			node, code, "%s: the data is malformed or does not match its CID", what);
	if (code == -EUCLEAN)
		return kit_fail(node, code,
			node->core->read_only
				? "%s: nothing is written to this repo, for a part of it is missing or damaged; put a whole copy "
				  "of that back, or 'ipfs-kit repo verify --accept-loss' gives up what is lost"
				: "%s: the index of the repo is damaged; it is made anew when the repo is opened next, so run it again",
			what);
	if (code == -EROFS && node->core->unwritable)
		return kit_fail(node, code,
			"%s: the repo %s lies on a read-only file system, so it is only read", what,
			node->core->dir);
	if (code == -EACCES && node->core->unwritable)
		return kit_fail(node, code,
			"%s: the repo %s may not be written to, so it is only read", what,
			node->core->dir);
	if (code == ANYIO_BROKEN)
		return kit_fail(node, code,
			"%s: the disk of %s failed while syncing; it is read-only until the repo is opened anew",
			what, node->core->dir);
	return kit_fail(node, code, "%s: %s", what, anyio_error_text(code));
}

int kit_deep(anyio_task_fn fn, void *arg)
{
	/* Measured: under 2 KiB a folder, walking down. */
	static const struct anyio_task_options options = { .name = "tree", .stack_size = 1 << 20 };

	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon_with(&group, fn, arg, &options);
	return anyio_task_group_exit(&group, rc);
}

/* ---- Making ---- */

static int join(char *out, size_t cap, const char *dir, const char *name)
{
	return snprintf(out, cap, "%s/%s", dir, name) < (int)cap ? 0 : -ENAMETOOLONG;
}

int kit_init(const char *dir, const struct kit_init_options *options)
{
	const char *profile = options ? options->profile : NULL;
	struct store_options store_options = { .create = true };
	struct store_recovery recovery;
	struct store *store;
	struct p2p_key key;
	char path[4200];
	struct stat st;
	int rc;

	if (profile && !unixfs_profile_find(profile))
		return -EINVAL;
	if (sodium_init() < 0)
		return -ENOSYS;
	rc = join(path, sizeof(path), dir, "config");
	if (rc)
		return rc;
	if (lstat(path, &st) == 0)
		return -EEXIST;
	rc = anyio_make_directories(AT_FDCWD, dir, 0700);
	if (rc == -EEXIST)
		rc = -ENOTDIR; /* a file; what is there already is for a repo alone */
	if (!rc)
		rc = store_open(dir, &store_options, &store, &recovery);
	if (rc)
		return rc;
	/* The config comes last: without it there is no repo yet, and init can be run again. */
	rc = join(path, sizeof(path), dir, "identity");
	if (!rc) {
		p2p_key_generate(&key);
		rc = p2p_key_save(&key, path);
		p2p_key_wipe(&key);
		if (rc == -EEXIST)
			rc = 0;
	}
	if (!rc)
		rc = kit_config_create(dir, profile, options && options->test);
	int closed = store_close(store);
	return rc ? rc : closed;
}

/* ---- Opening ---- */

static int load_key(struct kit_node *node, char *error, size_t cap)
{
	char path[4200];
	uint8_t public_key[64];
	struct mf_peer_id id;
	int rc = join(path, sizeof(path), node->core->dir, "identity");

	if (!rc)
		rc = p2p_key_load(&node->core->key, path);
	if (rc) {
		const char *why = rc == -EPERM
			? "others may read it; make it private with chmod 600"
			: rc == -EINVAL
			? "it is damaged; restore it from a copy. No new identity is made by itself"
			: anyio_error_text(rc);
		snprintf(error, cap, "%s: %s", path, why);
		return rc == -EINVAL ? -EBADMSG : rc;
	}
	p2p_key_peer_id(&node->core->key, &id);
	mf_peer_id_format(&id, node->core->peer_id, sizeof(node->core->peer_id));
	ssize_t len = p2p_key_public(&node->core->key, public_key, sizeof(public_key));
	if (len > 0)
		sodium_bin2base64(node->core->public_key, sizeof(node->core->public_key),
			public_key, (size_t)len, sodium_base64_VARIANT_ORIGINAL);
	return 0;
}

static void node_free(struct kit_node *node)
{
	if (node && node->core) {
		p2p_key_wipe(&node->core->key);
		kit_config_free(node->core->config);
		anyio_free(node->core->dir);
		anyio_free(node->core);
	}
	anyio_free(node);
}

static struct kit_node *node_new(const char *dir)
{
	struct kit_node *node = anyio_calloc(1, sizeof(*node));

	if (node && (node->core = anyio_calloc(1, sizeof(*node->core))) &&
		(node->core->dir = anyio_strdup(dir))) {
		anyio_lock_init(&node->core->opening_heat);
		return node;
	}
	node_free(node);
	return NULL;
}

int kit_share(struct kit_node *node, struct kit_node **handle)
{
	*handle = anyio_calloc(1, sizeof(**handle));
	if (!*handle)
		return -ENOMEM;
	(*handle)->core = node->core;
	return 0;
}

void kit_limit(struct kit_node *handle, struct kit_room *room)
{
	handle->room = room;
}

void kit_ask_nobody(struct kit_node *handle, bool nobody)
{
	handle->offline = nobody;
}

void kit_durable_within(struct kit_node *handle, anyio_time within)
{
	handle->durable_within = within;
}

int kit_sync(struct kit_node *node, uint64_t ticket)
{
	if (node->durable_within == ANYIO_FOREVER)
		return 0;
	return store_sync_within(node->core->store, ticket, node->durable_within);
}

void kit_unshare(struct kit_node *handle)
{
	anyio_free(handle);
}

int kit_api_address(const char *dir, char *address, size_t cap)
{
	char path[4200];
	int fd = join(path, sizeof(path), dir, "api");

	if (!fd)
		fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? fd : read(fd, address, cap - 1);
	if (fd >= 0)
		close(fd);
	address[n > 0 ? n : 0] = 0;
	address[strcspn(address, "\r\n")] = 0;
	return *address ? 0 : -ENOENT;
}

static void explain_busy(const char *dir, char *error, size_t cap)
{
	char address[256];

	if (kit_api_address(dir, address, sizeof(address)) == 0)
		snprintf(error, cap,
			"the repo %s is in use by a daemon; call its API at %s, or end it with 'ipfs-kit shutdown'",
			dir, address);
	else
		snprintf(error, cap,
			"the repo %s is in use by another process, which serves no API; try again when it has ended",
			dir);
}

static void note_recovery(struct kit_core *core, const struct store_recovery *recovery)
{
	char more[80] = "";

	core->read_only = recovery->read_only;
	core->unwritable = recovery->unwritable;
	if (recovery->gaps > 1)
		snprintf(more, sizeof(more), ", and %llu other files are missing or short",
			(unsigned long long)recovery->gaps - 1);
	if (recovery->gaps || core->read_only)
		snprintf(core->warning, sizeof(core->warning),
			"%s%s%s; put a whole copy of it back, or see with 'ipfs-kit repo verify' what is lost, and give that "
			"up with 'ipfs-kit repo verify --accept-loss'",
			recovery->text, more,
			core->read_only ? ", so nothing is written to this repo" : "");
	else if (recovery->damaged)
		snprintf(core->warning, sizeof(core->warning),
			"%s; 'ipfs-kit repo verify' tells what is lost", recovery->text);
	else if (recovery->rebuilt || recovery->unfinished)
		snprintf(core->warning, sizeof(core->warning), "%s", recovery->text);
}

const char *kit_warning(const struct kit_node *node)
{
	return node->core->warning;
}

static int open_in(struct kit_node *node, bool no_wait, char *error, size_t cap)
{
	struct store_options options = { .no_wait = no_wait };
	struct store_recovery recovery = { 0 };
	char path[4200];
	struct stat st;
	int rc = join(path, sizeof(path), node->core->dir, "config");

	if (!rc && lstat(path, &st))
		rc = -errno;
	if (rc) {
		snprintf(error, cap,
			rc == -ENOENT ? "no repo in %s; make one with 'ipfs-kit init'" : "%s: %s",
			node->core->dir, anyio_error_text(rc));
		return rc;
	}
	rc = kit_config_load(node->core->dir, &node->core->config, error, cap);
	if (!rc)
		rc = load_key(node, error, cap);
	if (rc)
		return rc;
	rc = store_open(node->core->dir, &options, &node->core->store, &recovery);
	/* Whoever has the repo knows that no daemon has it: an address left behind by one that was
	 * killed may be another's by now. */
	if (!rc && !recovery.unwritable && !join(path, sizeof(path), node->core->dir, "api"))
		unlink(path);
	if (!rc)
		note_recovery(node->core, &recovery);
	if (!rc)
		kit_apply_limit(node);
	if (!rc && !recovery.unwritable)
		migrate_remove_copy(node->core->dir);
	if (rc == -EBUSY)
		explain_busy(node->core->dir, error, cap);
	else if (rc)
		snprintf(error, cap, "%s", recovery.text[0] ? recovery.text : anyio_error_text(rc));
	return rc;
}

int kit_open(const char *dir, const struct kit_options *options, struct kit_node **out, char *error,
	size_t cap)
{
	char scratch[256];
	struct kit_node *node;
	int rc = 0;

	*out = NULL;
	if (!error || !cap) {
		error = scratch;
		cap = sizeof(scratch);
	}
	error[0] = 0;
	if (sodium_init() < 0)
		return -ENOSYS;
	if (options && options->create) {
		rc = kit_init(dir, NULL);
		if (rc && rc != -EEXIST) {
			snprintf(error, cap, "no repo could be made in %s: %s", dir,
				anyio_error_text(rc));
			return rc;
		}
	}
	node = node_new(dir);
	rc = node ? open_in(node, options && options->no_wait, error, cap) : -ENOMEM;
	if (!rc) {
		*out = node;
		return 0;
	}
	if (rc == -ENOMEM && !*error)
		snprintf(error, cap, "out of memory");
	node_free(node);
	return rc;
}

int kit_close(struct kit_node *node)
{
	int rc = kit_heat_close_store(node->core);

	node_free(node);
	return rc;
}

const char *kit_peer_id(const struct kit_node *node)
{
	return node->core->peer_id;
}

const char *kit_public_key_base64(const struct kit_node *node)
{
	return node->core->public_key;
}

bool kit_is_online(const struct kit_node *node)
{
	return node->core->host != NULL;
}
