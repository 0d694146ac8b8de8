/* What the kit's files share: the node, its last error, and getting blocks from wherever they are. */
#ifndef KIT_NODE_H
#define KIT_NODE_H

#include <anyio/anyio.h>
#include <exchange/bitswap.h>
#include <ipld/ipld.h>
#include <kit/kit.h>
#include <multiformats/multihash.h>
#include <libp2p/host.h>
#include <libp2p/key.h>
#include <store/store.h>

struct kit_config;

/* What all users of one open repo share. */
struct kit_core {
	char *dir;
	struct store *store;
	struct p2p_key key;
	struct p2p_host *host;   /* NULL while offline */
	struct bitswap *bitswap; /* NULL while offline */
	char peer_id[MF_PEER_ID_TEXT_MAX];
	char public_key[64];       /* base64 */
	bool journaling;           /* an add keeps the journal */
	struct kit_config *config; /* as it was last read */
	struct store_heat *heat;   /* NULL until somebody uses it */
	struct anyio_lock opening_heat;
	struct kit_tiers *tiers; /* NULL while kit_tiers_run does not run (tiering.h) */
	bool read_only;          /* the end of the store's log is lost */
	int unwritable;    /* why the repo cannot be written to: -EROFS or -EACCES; 0: it can be */
	char warning[512]; /* of what opening found, "" */
};

/* One user's handle: its last error is its own. */
struct kit_node {
	struct kit_core *core;
	struct kit_room *room;     /* of what its readers hold; NULL: no bound */
	bool offline;              /* asks no peer */
	anyio_time durable_within; /* of what it writes: see kit_durable_within */
	char error[1024];
};

/* Keeps a sentence for kit_error_text and returns code. */
int kit_fail(struct kit_node *node, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for a failure of the store or of anything below that has no words of its own. */
int kit_fail_code(struct kit_node *node, int code, const char *what);

/* store_sync, as far as the handle wants it. */
int kit_sync(struct kit_node *node, uint64_t ticket);

/* ---- collect.c ---- */

/* Takes the limit as the config has it now. */
void kit_apply_limit(struct kit_node *node);
/* For who puts blocks, or finds them present, and then pins what they make: until store_lease_end no collection takes
 * them. Forgets the node's last error. */
void kit_writing_begin(struct kit_node *node, struct store_lease *lease);
/* Keeps a block that was had just now, which may have gone meanwhile: 0 or a code. */
int kit_keep(struct kit_node *node, const struct mf_cid *cid, const void *data, size_t len);

/* Name and version, as peers and callers are told. */
const char *kit_agent(void);

/* Runs fn(arg) in a task with a stack deep enough for KIT_DEPTH_MAX nested folders. */
enum { KIT_DEPTH_MAX = 200 };
int kit_deep(anyio_task_fn fn, void *arg);

/* ---- config.c ---- */

/* The whole config, or a sentence in error. */
int kit_config_load(const char *dir, struct kit_config **config, char *error, size_t cap);
void kit_config_free(struct kit_config *config);
/* The node's, read anew only when its file has changed; valid until somebody waits. */
int kit_config_now(struct kit_node *node, const struct kit_config **config);
/* A known setting's value, its default when the file does not name it. */
const char *kit_config_value(const struct kit_config *config, const char *key);
/* The same of a size, in bytes; 0 when the file holds none. */
uint64_t kit_config_size(const struct kit_config *config, const char *key);
/* Writes the first config file. */
int kit_config_create(const char *dir, const char *profile, bool test);

/* ---- blocks.c: one user's way to blocks: the store, then the peers. ---- */

struct kit_blocks {
	struct kit_node *node;
	struct bitswap_session *session; /* opened at the first block that is missing */
	uint64_t unsynced;               /* bytes fetched since the last sync */
	bool offline;                    /* ask no peer */
	bool imported; /* what is missing should have been in an archive: that is told, not how to ask peers */
	size_t held; /* of the node's room: what the last get gave, until the next one, and what is kept */
	size_t kept;        /* bytes that no get gives back; of few of them the room holds none */
	struct mf_cid root; /* where the path begins that was walked */
	bool reads;         /* the first block counts as a read of root, if this is set by then */
};
void kit_blocks_open(struct kit_blocks *blocks, struct kit_node *node);
void kit_blocks_close(struct kit_blocks *blocks);
/* Keeps so many bytes of the node's room in place of what is held, until another call or the close, for
 * what was made of blocks: gets hold theirs beside them. False, and nothing changes, when they cannot be
 * had at once. */
bool kit_blocks_keep(struct kit_blocks *blocks, size_t bytes);
/* The same, waiting for them: only for who has nothing in memory meanwhile. */
int kit_blocks_wait_to_keep(struct kit_blocks *blocks, size_t bytes);
/* A verified block; -ENOENT offline when it is not here. Release with store_block_release. */
int kit_blocks_get(struct kit_blocks *blocks, const struct mf_cid *cid, struct store_block *block);
/* Gets the first of cids and as many after it as are at hand, up to count; at least one. */
int kit_blocks_get_some(struct kit_blocks *blocks, const struct mf_cid *cids, size_t count,
	struct store_block *out, size_t *got);

/* Makes durable what was fetched through blocks. */
int kit_blocks_sync(struct kit_blocks *blocks);
/* A tier of which the index, made anew, does not know yet all that lies there: what is missing may be that. */
bool kit_find_unread(struct store *store, struct store_tier_stat *stat);

/* ---- path.c ---- */

/* Parses "CID/a/b" or "/ipfs/CID/a/b": the root and what follows, without leading '/'. */
int kit_path_parse(struct kit_node *node, const char *path, struct mf_cid *root, const char **rest);
/* Finds one name below cid in a UnixFS folder, walking shards: cid is then what it leads to. *explained:
 * the blocks have said what was wrong; else -ENOENT, -ENOTDIR, -EPROTONOSUPPORT when it is not UnixFS,
 * -EBADMSG. */
int kit_path_step(struct kit_blocks *blocks, struct mf_cid *cid, const char *name, size_t len,
	bool *explained);
/* Walks to the end of a path with blocks. */
int kit_path_walk(struct kit_blocks *blocks, const char *path, struct mf_cid *cid);

/* A call that reads what a path leads to: forgets the node's last error, opens blocks and walks there. The end
 * is due whatever comes of it. */
int kit_reading_begin(
	struct kit_node *node, const char *path, struct kit_blocks *blocks, struct mf_cid *cid);
/* Makes durable what was fetched, unless rc is a failure, and closes blocks. rc, or what failed. */
int kit_reading_end(struct kit_blocks *blocks, int rc);

/* ---- tier.c ---- */

/* How a tier that was asked for something in vain is, to be put behind its name: "fails: " and what it met last, or that it is not
 * configured. False: nothing is known against it. A command of its own has to say it, as the next one would begin without asking. */
enum { KIT_TIER_HOW = 900 };
bool kit_tier_explain(const struct kit_core *core, const char *name, char *out, size_t cap);

/* ---- tier_policy.c ---- */

/* A collection has given up objects in tiers: they are removed, by a daemon when it comes to it. 0 or ANYIO_CANCELLED. */
int kit_tiers_collected(struct kit_core *core);
/* Does what is left to do in tiers, but not for long. 0, or ANYIO_CANCELLED. */
int kit_tiers_tend(struct kit_core *core);
/* What was found damaged is looked for in all of them: store_tier_mend, whose errors it has, but for those of a tier. */
int kit_tiers_mend(struct kit_core *core);
/* Settings of it may have changed: the next look is tier.interval after the last, as it is now. */
void kit_tier_policy_changed(struct kit_core *core);

/* ---- output.c ---- */

/* Its descriptor, for who writes all of it himself; *place: it is a new regular file. */
int kit_output_descriptor(struct kit_output *output, bool *place);

/* ---- damage.c ---- */

/* The body of a task: tells of damage as a struct kit_network has it in its options. Calls anyio_started(NULL). */
int kit_tell_damage(void *network);

/* ---- heat.c ---- */

/* Takes up the heat of content roots, once; others run meanwhile. The errors of store_heat_open. */
int kit_heat_open(struct kit_core *core);
/* The root of blocks was read. */
void kit_heat_read(struct kit_blocks *blocks);
/* A peer is given a block; core->heat is open. */
void kit_heat_given(void *core, const struct mf_cid *cid);
/* Closes heat and store: as store_close, but that neither heat nor the index need find room on the disk. */
int kit_heat_close_store(struct kit_core *core);

/* ---- walk.c: everything below a root, each block once, depth first. ---- */

/* Called with each block; data is lent for the call. NULL: what matters is that each could be had. */
typedef int kit_walk_fn(void *arg, const struct mf_cid *cid, const void *data, size_t len);
int kit_walk(struct kit_blocks *blocks, const struct mf_cid *root, kit_walk_fn *fn, void *arg);
/* The same for who wants the CIDs alone: raw blocks are not read, and have data NULL. */
int kit_walk_names(
	struct kit_blocks *blocks, const struct mf_cid *root, kit_walk_fn *fn, void *arg);

/* ---- pin.c ---- */

/* For who has begun writing: pins a root recursively once all below it is here and durable: what is missing is fetched, or the
 * failure when blocks are offline. *ticket is raised: sync it. On failure, which is explained, nothing is
 * pinned. */
int kit_pin_below(struct kit_blocks *blocks, const struct mf_cid *root, store_ticket *ticket);
/* The same with a label, or NULL for the one it has. */
int kit_pin_below_labelled(struct kit_blocks *blocks, const struct mf_cid *root,
	const struct store_pin_label *label, store_ticket *ticket);
/* Whether it failed for what is below the root, or is not here of it, and not for the node's own trouble. */
bool kit_pin_is_of_content(int rc);

/* ---- file.c ---- */

/* Streams a file's bytes to sink; progress may be NULL. */
int kit_file_copy(struct kit_blocks *blocks, const struct mf_cid *root, uint64_t offset,
	uint64_t length, const struct kit_sink *sink, void (*progress)(void *arg, uint64_t done),
	void *arg);
/* Looks at a node: its kind, sizes, target (malloc'd by anyio_malloc when symlink, else NULL). */
struct kit_look {
	enum kit_kind kind;
	uint64_t size, block_size, cumulative, links;
	struct unixfs_meta meta;
	char *target;
};
int kit_look(struct kit_blocks *blocks, const struct mf_cid *cid, struct kit_look *look);

/* Calls each for every entry of a directory. */
int kit_directory_each(struct kit_blocks *blocks, const struct mf_cid *cid,
	int (*each)(void *arg, const struct unixfs_entry *entry), void *arg);

#endif
