/*
 * libipfskit: a whole node, embeddable. Open a repo, add files, read them back, go online, fetch.
 *
 * Everything runs in a task of an anyio loop (anyio/run.h) and may wait there; a node belongs to
 * the loop that opened it. Returns 0 or a count, or a negative code; kit_error_text explains the
 * last failure of a node in one sentence: its cause, and most often the next step.
 */
#ifndef KIT_KIT_H
#define KIT_KIT_H

#include <anyio/anyio.h>
#include <multiformats/cid.h>

#ifdef __cplusplus
extern "C" {
/* As in anyio/sync.h: kit_repo_stat is a struct and a function. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

#define KIT_API __attribute__((visibility("default")))

struct kit_node;

/* Where bytes go and come from. write takes all of it: 0 or a negative code. read: at least 1 byte,
 * 0 at the end, or a negative code. Both may wait. */
struct kit_sink {
	int (*write)(void *arg, const void *data, size_t len);
	void *arg;
};
struct kit_source {
	ssize_t (*read)(void *arg, void *buffer, size_t size);
	void *arg;
};

/* ---- Repo and node ---- */

struct kit_init_options {
	const char *profile; /* NULL: "unixfs-v1-2025" */
	bool test;           /* listen on loopback with ports of the kernel's choice */
	void *reserved[4];
};
/* Makes a repo: version, config with comments, Ed25519 identity (0600), empty store. -EEXIST when
 * there is one already (nothing is touched). */
KIT_API int kit_init(const char *dir, const struct kit_init_options *options);

struct kit_options {
	bool create;  /* make the repo when it is missing */
	bool no_wait; /* -EBUSY at once */
	void *reserved[4];
};
/* Opens a repo and locks it. -ENOENT no repo there; -EBUSY another process has it, and still has after a second
 * (no_wait: at once; but the kernel may keep the lock of a killed process for a moment); when that is a
 * daemon, the text tells where its API is, which one can call instead; -EPROTO a repo of another
 * version; -EBADMSG a damaged key or config file. On failure *node is NULL and error, when not NULL,
 * holds one sentence (cap bytes, 256 is enough). A repo whose segments are damaged opens: what is whole can
 * be had, the rest gives -EUCLEAN. When the end of its log is lost, as of a segment that was cut short or put
 * back from an older copy, writing gives -EUCLEAN too, until that is mended or its loss accepted
 * (kit_repo_verify). kit_warning tells. One that cannot be written to, as it lies on a read-only file system or its
 * files may not be written, opens too, for any number of processes at once: writing gives -EROFS or -EACCES. */
KIT_API int kit_open(const char *dir, const struct kit_options *options, struct kit_node **node,
	char *error, size_t cap);
/* What opening found damaged, or had to make anew: one sentence for people, with what to do; "" when there
 * was nothing. Valid until the node is closed. */
KIT_API const char *kit_warning(const struct kit_node *node);
/* Where the daemon that has a repo answers: a multiaddr, which it leaves in the repo while it runs (after
 * kill -9 longer: whoever opens the repo next removes it). -ENOENT: none. Reads a file without
 * yielding; needs no loop. 256 bytes are enough. */
KIT_API int kit_api_address(const char *dir, char *address, size_t cap);
/* Makes all durable, checkpoints and unlocks; that there is no room on the disk for the checkpoint alone is no failure,
 * the next opening makes up for it. The node must be offline again. Frees it. */
KIT_API int kit_close(struct kit_node *node);
KIT_API const char *kit_error_text(const struct kit_node *node);
/* Another handle to the same node, with an error text of its own: one for each task that fails by
 * itself. Give it back by kit_unshare before kit_close. -ENOMEM. */
KIT_API int kit_share(struct kit_node *node, struct kit_node **handle);
KIT_API void kit_unshare(struct kit_node *handle);
/* Whether this handle asks peers for blocks that are not here: as it does at first, or never. */
KIT_API void kit_ask_nobody(struct kit_node *handle, bool nobody);
/* When what is written by this handle is acknowledged: 0, as at first: once it is durable. Else at once: after
 * a crash the writes of the last `within` nanoseconds may be gone (of a node that is online; another, which
 * does nothing by itself, is durable on return all the same); ANYIO_FOREVER, for caches: all since somebody
 * else's write was made durable, or the repo was closed. That blocks go in before what pins them, and that a
 * reader meets whole blocks only, is so in any case. A disk that fails is told to the next write. */
KIT_API void kit_durable_within(struct kit_node *handle, anyio_time within);
/* A bound on the bytes that tasks of one loop hold at once, for who serves many: with kit_limit, the
 * blocks and documents in memory while a handle's sinks take them count, and the buffers of what it adds; whoever
 * finds no room waits for his turn. KIT_ROOM_SMALL bytes and less do not count and never wait. */
struct kit_room;
enum { KIT_ROOM_SMALL = 64 << 10 };
/* -ENOMEM. Free it when no handle that it limits is left. */
KIT_API int kit_room_create(size_t bytes, struct kit_room **room);
KIT_API void kit_room_free(struct kit_room *room);
KIT_API void kit_limit(struct kit_node *handle, struct kit_room *room);
/* Gives back *held, 0 at first, then waits for bytes and holds them; 0 bytes only gives back. More
 * than all there is is all there is. ANYIO_CANCELLED: nothing is held. */
KIT_API int kit_room_hold(struct kit_room *room, size_t *held, size_t bytes);
/* Whether somebody waits in it. */
KIT_API bool kit_room_is_wanted(const struct kit_room *room);
/* Whether anything was held since this was asked before. */
KIT_API bool kit_room_was_used(struct kit_room *room);
KIT_API const char *kit_version(void);

struct kit_network_options {
	const char *const *listen; /* multiaddrs, NULL-terminated; NULL: the config's */
	bool perf;                 /* answer /perf/1.0.0 */
	/* Called as long as the network runs with a sentence for people, and what to do, for each block that is found
	 * damaged or lost and did not count as that before: ten times a minute at most, then, when that is over or the
	 * network ends, once for all others. In the loop's thread, and must not wait. NULL: nobody is told. */
	void (*tell)(void *arg, const char *sentence);
	void *arg; /* of tell */
	void *reserved[2];
};
/* The body of a task: listens, serves blocks and fetches until cancelled. Calls anyio_started(NULL)
 * once it listens, so start it with anyio_start(&group, kit_network_run, &network, ...). */
struct kit_network {
	struct kit_node *node;
	struct kit_network_options options;
	bool cut_off; /* out, of a service: it ended before peers had got what they had asked for */
};
KIT_API int kit_network_run(void *network);
/* The same as the body of a service (anyio/service.h). When that is asked to stop it listens no more, sends
 * peers what they have asked for so far, for as long as its grace is, and ends. */
KIT_API int kit_network_serve(struct anyio_service *service, void *network);
KIT_API bool kit_is_online(const struct kit_node *node);

/* Text forms; valid until kit_close. Addresses end with /p2p/ID and are NULL-terminated. */
KIT_API const char *kit_peer_id(const struct kit_node *node);
KIT_API const char *kit_public_key_base64(const struct kit_node *node);
/* malloc'd list and strings: kit_strings_free. */
KIT_API int kit_addresses(struct kit_node *node, char ***addresses);
KIT_API int kit_protocols(struct kit_node *node, char ***protocols);
KIT_API void kit_strings_free(char **strings);

/* Dials a multiaddr that ends with /p2p/ID, or a peer whose address is known by its ID. -EPERM: another
 * peer answered; -ENOENT: no address of it is known; -ETIMEDOUT: nothing answered; -EINVAL; -ENOTCONN:
 * this node is offline; what dialling gave. */
KIT_API int kit_connect(struct kit_node *node, const char *multiaddr);
/* -ENOENT: not connected to it. */
KIT_API int kit_disconnect(struct kit_node *node, const char *multiaddr_or_id);

struct kit_peer {
	char id[80];
	char address[256];
	char agent[80];
	anyio_time latency; /* -1: not known */
	bool inbound;
	unsigned streams;
};
KIT_API int kit_peers(
	struct kit_node *node, int (*each)(void *arg, const struct kit_peer *), void *arg);
/* One ping; dials the peer when an address was given or is known. */
KIT_API int kit_ping(struct kit_node *node, const char *peer, anyio_time *round_trip);

/* ---- Adding ---- */

struct kit_add_options {
	const char *
		profile; /* "unixfs-v1-2025", "unixfs-v0-2015", "kubo-cid-v1"; NULL: the config's */
	int cid_version; /* -1: the profile's; --cid-version=1 alone over a v0 profile means kubo-cid-v1 */
	int raw_leaves;      /* -1: the profile's; else 0 or 1 */
	const char *chunker; /* "size-262144"; NULL: the profile's */
	bool only_hash;      /* compute CIDs, store nothing */
	bool no_pin;         /* do not pin the root */
	bool hidden;         /* take names that begin with a dot */
	bool wrap;           /* put a directory around */
	bool recursive;      /* directories are allowed */
	bool dereference;    /* follow symlinks given as arguments */
	/* Called for each entry as its CID is known; for roots when all of them is durable, last. path is
	 * relative; that of an unnamed stream is its CID, and that of the directory of wrap is "". */
	int (*entry)(void *arg, const char *path, const struct mf_cid *cid, uint64_t size);
	/* Called now and then with the file bytes taken so far; total is 0 when unknown. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	const char *input_name; /* what input is called, without '/'; NULL: it has no name */
	/* What the pin of each root is called, at most 255 bytes, in place of what it may be called already; NULL: that
	 * stays. Read until the add has ended. -EMSGSIZE; -EINVAL with no_pin. */
	const char *pin_name;
	void *reserved[2];
};
/* What an options struct is to hold before anything is set: in C, and in C++ from C++11. */
#define KIT_ADD_DEFAULTS                                                                           \
	{                                                                                          \
		NULL, -1, -1, NULL, false, false, false, false, false, false, NULL, NULL, NULL,    \
			NULL, NULL,                                                                \
		{                                                                                  \
			NULL                                                                       \
		}                                                                                  \
	}

/* Adds a file, symlink or directory from disk; on return it is durable and, unless no_pin, pinned
 * recursively. An add that was interrupted goes on where it stopped: finished files that have not
 * changed are not read again. -EISDIR a directory without recursive; -ENOTSUP what is neither file, folder nor
 * symlink. Texts name what is added as entry does, by the last name of path: "notes/a", not "/home/ada/notes/a". */
KIT_API int kit_add_path(struct kit_node *node, const char *path,
	const struct kit_add_options *options, struct mf_cid *root);
/* The same for several paths, NULL-terminated, as one tree: with wrap one directory holds them all. Else
 * each is a root, and root is the last one's. input, when not NULL, is what "-" among them stands for.
 * -EEXIST with wrap: two have the same name. */
KIT_API int kit_add_paths(struct kit_node *node, const char *const *paths,
	const struct kit_source *input, const struct kit_add_options *options, struct mf_cid *root);
/* Adds one unnamed file from a source. Of one that was interrupted, all but the last blocks are
 * durable; they are hashed but not written when they come again. */
KIT_API int kit_add_source(struct kit_node *node, const struct kit_source *source,
	const struct kit_add_options *options, struct mf_cid *root);

/* Where the last name of a path begins, slashes after it left out: *len bytes, 0 when there is none, as in
 * "/". Any thread. */
KIT_API const char *kit_last_name(const char *path, size_t *len);
/* The name a path gets in a tree: its last part; "." and ".." get the name of the folder they are.
 * 256 bytes are enough. The kernel's errors, -ENAMETOOLONG. Looks at the disk without yielding. */
KIT_API int kit_name_of(const char *path, char *name, size_t cap);

/* Adds a tree piece by piece, for callers that receive it (multipart, archives). Paths are
 * relative, '/'-separated, without "." and ".."; missing parents are made. */
struct kit_adder;
/* Enters a task group: finish or abandon it in the same task, after leaving what was entered since. */
KIT_API int kit_adder_begin(
	struct kit_node *node, const struct kit_add_options *options, struct kit_adder **adder);
KIT_API int kit_adder_file(
	struct kit_adder *adder, const char *path, const struct kit_source *source);
KIT_API int kit_adder_symlink(struct kit_adder *adder, const char *path, const char *target);
KIT_API int kit_adder_directory(struct kit_adder *adder, const char *path);
/* Makes directories, root and pins durable and reports them. Frees the adder, also on failure. */
KIT_API int kit_adder_finish(struct kit_adder *adder, struct mf_cid *root);
KIT_API void kit_adder_abandon(struct kit_adder *adder);

/* ---- Reading. Paths are "CID", "CID/a/b", "/ipfs/CID/a/b". Offline, a missing block is -ENOENT;
 * online it is fetched from peers: put a deadline around it. ---- */

/* Whether it is a path at all, whatever is there: 0, -EINVAL, -ENOTSUP for /ipns, with a sentence in error. Any thread. */
KIT_API int kit_path_check(const char *path, char *error, size_t cap);
KIT_API int kit_resolve(struct kit_node *node, const char *path, struct mf_cid *cid);
/* length UINT64_MAX: to the end. -EISDIR for directories; of a symlink, its target. */
KIT_API int kit_cat(struct kit_node *node, const char *path, uint64_t offset, uint64_t length,
	const struct kit_sink *sink);

struct kit_get_options {
	/* Replace a file or symlink by something of another kind, and a symlink that leads elsewhere; otherwise
	 * -EEXIST. A file takes a file's place, and a folder's entries go among those there, in any case; a
	 * folder, a device or a pipe is never replaced. */
	bool overwrite;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	/* A file or symlink is put under this name into output when that is a directory; NULL: -EEXIST then. */
	const char *into;
	void *reserved[3];
};
/* Writes a file, symlink or directory to disk. Nothing is ever written outside output: names with
 * '/', NUL, "." or ".." are refused (-EBADMSG) and symlinks are never followed. A device such as
 * /dev/null is written to as it is. Files are written beside their place, as ".NAME." and 16 digits, and
 * renamed when whole. An interrupted get goes on where it stopped: the blocks that came are in the
 * repo. It leaves only whole files; what a killed one left beside them, the next get to the same
 * output removes, unless more than four wrote that file at once. */
KIT_API int kit_get(struct kit_node *node, const char *path, const char *output,
	const struct kit_get_options *options);
/* The same as a POSIX (ustar/pax) archive, under the last name of the path. */
KIT_API int kit_get_tar(struct kit_node *node, const char *path, const struct kit_sink *sink);

/* Unpacks such an archive under the same rules as kit_get; no node needed. What is at output is looked at
 * once, before the archive. -EBADMSG: whoever sent it is not to be trusted, for it is damaged, or holds
 * what no kit_get_tar writes: a second root, names that leave it, something in what is no folder. */
KIT_API int kit_untar(
	const struct kit_source *source, const char *output, const struct kit_get_options *options);

/* A file for an archive or anything else that is to be there whole or not at all: it is written beside its
 * place, as kit_get does, and what is in its place stays until it is closed well. Devices, pipes and what
 * is open already (/dev/stdout) are written to as they are. No node needed. */
struct kit_output;
/* -EISDIR, -EACCES, and the like; nothing is to be closed then. */
KIT_API int kit_output_open(const char *path, struct kit_output **output);
/* Valid until it is closed. */
KIT_API struct kit_sink kit_output_sink(struct kit_output *output);
/* With rc 0 makes it durable and puts it in its place; else, or when that fails, takes it away, also when
 * the caller is cancelled. Frees it. rc, or what failed. */
KIT_API int kit_output_close(struct kit_output *output, int rc);

enum kit_kind { KIT_FILE, KIT_DIRECTORY, KIT_SYMLINK, KIT_OTHER };
struct kit_entry {
	char *name; /* valid during the call */
	struct mf_cid cid;
	enum kit_kind kind; /* KIT_OTHER: a block that is not UnixFS */
	uint64_t size;      /* of the file's content; 0 for directories */
	uint64_t tsize;     /* cumulative size as the link tells it */
	const char *target; /* symlinks */
	bool has_mtime, has_mode;
	int64_t mtime;
	uint32_t mode;
};
/* With resolve, each child is looked at for its kind and size (fetching it if need be). */
KIT_API int kit_ls(struct kit_node *node, const char *path, bool resolve,
	int (*each)(void *arg, const struct kit_entry *entry), void *arg);
struct kit_stat {
	struct mf_cid cid;
	enum kit_kind kind;
	uint64_t size, cumulative_size;
	uint64_t blocks; /* links of the root */
	bool has_mtime, has_mode;
	int64_t mtime;
	uint32_t mode;
};
KIT_API int kit_stat_path(struct kit_node *node, const char *path, struct kit_stat *stat);

/* ---- Blocks, DAGs, pins ---- */

/* The block that a path leads to. *data is malloc'd. */
KIT_API int kit_block_get(struct kit_node *node, const char *path, void **data, size_t *len);
/* Writes the bytes to sink instead. */
KIT_API int kit_block_cat(struct kit_node *node, const char *path, const struct kit_sink *sink);
/* Durable on return. pin: recursively, as kit_pin_add does; when that fails the block is stored all the
 * same and cid is set. */
KIT_API int kit_block_put(struct kit_node *node, uint32_t codec, uint32_t hash, int version,
	const void *data, size_t len, bool pin, struct mf_cid *cid);
KIT_API int kit_block_stat(
	struct kit_node *node, const char *path, struct mf_cid *out, size_t *len);

/* A codec by its name, as "dag-cbor"; 0: none is called that. Any thread. */
KIT_API uint32_t kit_codec_of(const char *name);
/* The value at the end of a path, written in a codec (dag-json, dag-cbor, dag-pb, raw). Paths lead through
 * fields and links of documents, folders and names of links; "/ipld/CID/..." takes dag-pb by its fields
 * too. -ENOENT no such field; -EPROTONOSUPPORT a codec that is not read or written; -EBADMSG malformed, or
 * the value has no form in that codec. */
KIT_API int kit_dag_get(
	struct kit_node *node, const char *path, uint32_t codec, const struct kit_sink *sink);
struct kit_dag_put_options {
	uint32_t input_codec; /* 0: dag-json */
	uint32_t store_codec; /* 0: dag-cbor */
	uint32_t hash;        /* 0: sha2-256 */
	bool pin;             /* as of kit_block_put */
	void *reserved[4];
};
/* Reads a document in one codec and stores it in another, canonically. Durable on return. Errors as of
 * kit_dag_get, and -EMSGSIZE when the block would be too long. */
KIT_API int kit_dag_put(struct kit_node *node, const struct kit_dag_put_options *options,
	const void *data, size_t len, struct mf_cid *cid);

/* A CARv1 of everything under path, each block once, depth first. A CARv2 has, behind the same, an index of it
 * (MultihashIndexSorted); since what it begins with says how long it is, all is walked twice. Memory: of a CARv1
 * 16 bytes a link, of a CARv2 64 bytes a block besides. */
KIT_API int kit_dag_export_indexed(struct kit_node *node, const char *path,
	const struct kit_sink *sink, void (*progress)(void *arg, uint64_t done, uint64_t total),
	void *arg);
KIT_API int kit_dag_export(struct kit_node *node, const char *path, const struct kit_sink *sink,
	void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg);
struct kit_wal_export_options {
	/* Where the archive goes: into output, which is given nothing else; or else to sink; or else to the descriptor fd,
	 * as far as that has been written. */
	struct kit_output *output;
	const struct kit_sink *sink;
	int fd;
	bool unverified;                                            /* its bytes as they lie */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* bytes verified and copied */
	void *arg;
	void *reserved[4];
};
/* Writes segment NNNNNNNN.car of the repo up to its durable end as the CARv1 it is: with all blocks in it, also those
 * that nobody needs any more, and the log's own records. The kernel copies it where it can, but not to a sink. First every
 * block in it is verified: when one is not what it was, -EUCLEAN, and nothing is written. -ENOENT: there is no such segment
 * here, or it lies in a tier. -ESTALE: an adopted file that is linked was changed meanwhile. */
KIT_API int kit_wal_export(
	struct kit_node *node, uint32_t segment, const struct kit_wal_export_options *options);
struct kit_import_options {
	bool no_pin;
	/* pin_error: 0: pinned; else what is wrong with the DAG below it, which the node's text tells
	 * with the block. The node's own trouble (no memory, no room) ends the import. */
	int (*root)(void *arg, const struct mf_cid *cid, int pin_error);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	void *reserved[4];
};
/* What an archive held, whether it was here already or not; bytes are those of the blocks. */
struct kit_imported {
	uint64_t blocks, bytes;
};
/* Reads a CARv1 or CARv2; every block passes the gate. Durable on return. What is malformed, or a block
 * that does not pass, ends it: the text tells its CID and the byte of the archive where it starts. Then
 * nothing is pinned, and the blocks before it are kept: imported, which may be NULL, tells how many,
 * duplicates counted. */
KIT_API int kit_dag_import(struct kit_node *node, const struct kit_source *source,
	const struct kit_import_options *options, struct kit_imported *imported);
struct kit_adopt_options {
	bool link; /* by hard link, or not at all: the file stays its owner's, and must stay as it is */
	bool big_blocks; /* blocks may have up to 8 MiB; those over 2 MiB go to no peer */
	struct kit_import_options import;
	void *reserved[4];
};
/* The same of a CAR file on this machine, fd, open for reading, which becomes a part of the repo as it is: its blocks
 * are checked, but not written again. Without link the repo gets a copy, which takes no room where the file system can
 * share it. What is malformed or does not pass refuses the file whole. More: store/adopt.h. */
KIT_API int kit_dag_adopt(struct kit_node *node, int fd, const struct kit_adopt_options *options,
	struct kit_imported *imported);

/* Pinning recursively fetches what is missing. */
KIT_API int kit_pin_add(
	struct kit_node *node, const char *path, bool recursive, struct mf_cid *cid);
/* The same, and gives the pin a name (255 bytes at most) and what is to be kept with it: a JSON object of strings,
 * 700 bytes at most. What is NULL, or label, stays as the pin has it; what is "" is taken away. -EINVAL, -EMSGSIZE: they
 * are not so. */
struct kit_pin_label {
	const char *name, *meta;
};
KIT_API int kit_pin_add_labelled(struct kit_node *node, const char *path, bool recursive,
	const struct kit_pin_label *label, struct mf_cid *cid);
/* Pins `to` recursively, with the label of the recursive pin of `from`, and takes that away unless unpin is false; durable
 * together. -ENOENT: `from` is not pinned so. */
KIT_API int kit_pin_update(struct kit_node *node, const char *from, const char *to, bool unpin,
	struct mf_cid *from_cid, struct mf_cid *to_cid);
KIT_API int kit_pin_rm(struct kit_node *node, const char *path, struct mf_cid *cid);
struct kit_pin {
	struct mf_cid cid;
	bool recursive;
	const char *name, *meta; /* "" where there is none; valid during the call */
};
KIT_API int kit_pin_ls(
	struct kit_node *node, int (*each)(void *arg, const struct kit_pin *), void *arg);
/* The recursive pin that keeps cid, which is its root or below it; the first of several. Asks no peer, and
 * reads what is pinned but for raw blocks. -ENOENT: none, or, with an error text, something pinned is missing. */
KIT_API int kit_pin_holder(struct kit_node *node, const struct mf_cid *cid, struct mf_cid *root);

/* ---- Repo ---- */

struct kit_repo_stat {
	uint64_t blocks, bytes, disk_bytes, segments, pins, max_bytes;
	uint64_t adopted,
		linked; /* of the segments: files that were adopted, and those of them that are links */
	const char *path;
	unsigned version;
};
KIT_API int kit_repo_stat(struct kit_node *node, struct kit_repo_stat *stat);
struct kit_problem; /* kit/problem.h */
struct kit_verify_options {
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/* Called from one other task than the caller's, and may wait; non-zero: no more is told. */
	int (*problem)(void *arg, const struct kit_problem *problem);
	void *arg;
	/* Gives up what is damaged or lost: it is told as problems, and then forgotten; the repo goes on with
	 * what is left. Pins stay; one that needs what is lost is a problem as long as it does. */
	bool accept_loss;
	/* Then looks in tiers for what is damaged, as what was moved back lies there until a collection, and fetches from peers
	 * what they do not have, or what is missing below a pin, some of it at a time: of each it is told, as a problem of error 0,
	 * that it is healed, or why not: at once while no peer is connected. -ENOTCONN, before anything is read, where there is no
	 * tier and no peer is asked. */
	bool heal;
	anyio_time heal_timeout; /* of each; 0: half a minute */
	/* Reads what lies in tiers, too. One that fails is a problem, told once, and no loss. */
	bool tiers;
};
/* Reads every byte back and checks every block, the index and the pins. 0 when all is well, or is but for
 * what was given up or healed now; -EUCLEAN when there were, or are still, problems. A damaged copy of a block that is whole elsewhere
 * is none. */
KIT_API int kit_repo_verify(struct kit_node *node, const struct kit_verify_options *options);
/* What is to be said when that returned 0 and nothing was given up: a sentence, another one when some blocks lie in tiers, and
 * those were not read. */
KIT_API const char *kit_repo_verified(struct kit_node *node, bool tiers);

struct kit_gc_options {
	/* Nodes marked, of total 0: unknown; then bytes of segments looked at, of total. Non-zero stops with that
	 * value. All calls come from one other task than the caller's, and may wait: nobody waits for them but this call,
	 * at its end. */
	int (*progress)(void *arg, bool sweeping, uint64_t done, uint64_t total);
	/* A block that is here no more; non-zero stops with that value. Some 100,000 are kept for who takes them slowly. */
	int (*removed)(void *arg, const struct mf_cid *cid);
	void *arg;
	void *reserved[4];
};
struct kit_gc_result {
	uint64_t kept;                   /* blocks that pins need, and what is on its way */
	uint64_t removed, removed_bytes; /* blocks that went */
	uint64_t moved_bytes;            /* written anew */
	uint64_t freed_bytes;            /* on the disk */
	uint64_t
		damaged_segments; /* files kept because a block in them that a pin needs is damaged */
};
/* Removes every block that no pin needs, and gives back the space of segments where that is a fifth or
 * more. Others read and write meanwhile, and what they are writing stays. Stopped, cancelled or killed at any point, it
 * loses nothing that is kept. -EALREADY: one is under way, or a verification; -ENOENT: a pin lacks something, and nothing
 * was removed; -ENOBUFS: all is done, but not every block was told. */
KIT_API int kit_repo_gc(
	struct kit_node *node, const struct kit_gc_options *options, struct kit_gc_result *result);

struct kit_migrate_options {
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/* A file or CID that could not be taken whole, and why; the others go on. */
	void (*problem)(void *arg, const char *name, const char *text);
	void *arg;
	void *reserved[4];
};
struct kit_migrated {
	uint64_t blocks;  /* taken now */
	uint64_t present; /* were here already */
	uint64_t pins;
	uint64_t bad; /* problems told */
};
/* Takes the blocks and pins of a stopped Kubo repo (flatfs blocks, LevelDB pins), each block checked
 * against its name; the root of its mutable files is pinned too. The repo in dir is not changed.
 * Durable on return; when interrupted, run it again: what was taken is not read twice. -EBADMSG: done,
 * but there were problems. One at a time in a process. -ENOENT no Kubo repo; -EBUSY Kubo runs; -ENOTSUP another kind of store;
 * -ENOPKG the LevelDB library is not installed. */
KIT_API int kit_migrate_kubo(struct kit_node *node, const char *dir,
	const struct kit_migrate_options *options, struct kit_migrated *result);

/*
 * Tiers: colder places for leaves that are seldom read, as the config's tier.places has them (file://, s3://, sftp://).
 * Keys of S3 and passwords of SFTP come from the environment (remote/credentials.h), or from the file tier-NAME.credentials of the
 * repo; an SFTP key from its tier-NAME.key, and keys of hosts from its tier-NAME.known_hosts or ~/.ssh/known_hosts.
 */
/* Whether any are configured. */
KIT_API bool kit_has_tiers(const struct kit_node *node);
/* The body of a task: what lies in tiers can be had, and is moved by the policy, until it is cancelled. Calls anyio_started(NULL) once
 * that is so, whether the tiers answer or not. Without it what lies there is told to be so, and cannot be had. One at a time, and it
 * has ended before kit_close. */
KIT_API int kit_tiers_run(void *node);
/* Whether a tier of that name is configured, while kit_tiers_run runs. */
KIT_API bool kit_tier_is(const struct kit_node *node, const char *name);

struct kit_tier_move_options {
	/* Bytes that are moved, of all that are to be; what is written to a tier counts half until it is read back. A negative
	 * code ends it, and is returned. All calls come from one other task than the caller's, and may wait: nobody waits for
	 * them but this call, at its end. NULL saves looking first for how much there is. */
	int (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	void *reserved[4];
};
struct kit_tier_moved {
	uint64_t blocks, bytes; /* that were moved */
	uint64_t skipped;       /* raw leaves that were there already, or lie in another tier */
};
/* Moves the raw leaves below a path, those of the repo to a tier, or those of all tiers back ("fast"). What other roots share moves
 * too. When it fails, what was moved by then is. The bytes that are left behind a collection gives back, as any that are dead.
 * options may be NULL. -ENOENT: also
 * when no tier is called so, and when leaves are missing, once all others are moved. */
KIT_API int kit_tier_move(struct kit_node *node, const char *path, const char *tier,
	const struct kit_tier_move_options *options, struct kit_tier_moved *moved);

struct kit_tier_stat {
	const char *name;
	const char *kind; /* "repo", "folder", "S3", "SFTP", or "" when it is not configured */
	/* "up", "not asked yet" (by this process), "down", "unusable" (its place is not there, or is another's), "not configured" */
	const char *state;
	const char *why;                 /* what it fails with; "" once a call gets through */
	uint64_t objects, blocks, bytes; /* bytes of the files; blocks: 0 for the repo */
	uint64_t unwanted;               /* objects that are still to be removed */
	uint64_t unread; /* objects whose blocks the index, made anew, does not know yet */
	/* Since the repo was opened: */
	uint64_t reads, read_bytes, demoted, demoted_bytes, promoted, promoted_bytes, errors;
	const char *
		written_at; /* the URL it had when it was written to last, of which 199 bytes are kept; "": not known */
	void *reserved[3];
};
/* The repo itself ("fast"), and all tiers: those that are configured, while kit_tiers_run runs, else those that hold something. A
 * node without a host first looks whether folders are there: may wait. */
KIT_API int kit_tier_each(
	struct kit_node *node, int (*each)(void *arg, const struct kit_tier_stat *stat), void *arg);

struct kit_tier_policy {
	char tier[32];       /* where cold roots go; "": there is none */
	double cold, hot;    /* heat, as they count: hot is at least four times cold */
	anyio_time interval; /* 0: nothing moves by itself */
	anyio_time rest;     /* of a root that was moved */
	uint64_t
		max; /* of the repo, bytes; 0: there is no limit, and nothing leaves it by itself */
	double hot_set; /* hot, as the config has it */
	void *reserved[3];
};
/* As the config has it now; tier: of one that runs, the one it has. May wait. */
KIT_API void kit_tier_policy_get(struct kit_node *node, struct kit_tier_policy *policy);

/* Config keys are "section.name" ("add.profile", "swarm.listen", "api.listen"); lists are written
 * space-separated. get: *value is malloc'd; -ENOENT for an unknown key. set keeps the comments,
 * the file's mode and what others set at the same time; durable on return. -EBUSY when another process
 * keeps the file locked. A daemon takes add.profile with its next add, store.max with its next write or fetch, tier.cold,
 * tier.hot and tier.interval at its next look, or all at once when `config` is asked of it, as the command line does; the
 * others when it starts. */
KIT_API int kit_config_get(const char *dir, const char *key, char **value);
KIT_API int kit_config_set(
	const char *dir, const char *key, const char *value, char *error, size_t cap);
/* The whole file, malloc'd. */
KIT_API int kit_config_show(const char *dir, char **text);
/* Whether the file is there and well-formed: 0, or a negative code with the file, the line and what is
 * wrong in error. */
KIT_API int kit_config_check(const char *dir, char *error, size_t cap);
/* Bytes: what a store.max, unless it is 0, has to have for blocks of any size to fit into an empty repo. */
enum { KIT_STORE_MAX_LEAST = 4 << 20 };
/* The keys by number, from 0 on; NULL after the last. Any thread. */
KIT_API const char *kit_config_key(size_t i);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif
#endif
