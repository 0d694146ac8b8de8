/*
 * What an add has done so far, so that one that was interrupted goes on where it stopped.
 *
 * DIR/adding is a file of fixed-size records, each with a checksum: files that are finished, and the
 * leaves of the large file in progress. The invariant: a record is written only after the blocks it
 * speaks of were made durable; so whatever is lost of the journal, what is left of it is true. The
 * first record that is torn or damaged ends it. A file is known by what changes whenever its bytes
 * do: device, inode, size, both times; and by the options that decide its CID.
 *
 * Records wait in memory, each with the number of a batch: journal_commit(n) writes those up to n.
 */
#ifndef KIT_JOURNAL_H
#define KIT_JOURNAL_H

#include <ipld/ipld.h>
#include <sys/stat.h>

struct journal;

struct journal_key {
	uint64_t device, inode, size;
	int64_t changed, status_changed; /* nanoseconds since 1970 */
	uint64_t options;
};

enum { JOURNAL_LARGE = 64 << 20 }; /* files from this size on have their leaves remembered */

/* Never an error worth failing an add for: on trouble *journal is NULL, which all functions take. */
void journal_open(const char *dir, struct journal **journal);
/* With done, takes the file away, unless it also speaks of another add that was interrupted. */
void journal_close(struct journal *journal, bool done);

/* The key of an open file. False when it was changed so recently that a later change could look the
 * same: such files are not remembered. */
bool journal_key_of(
	const struct stat *st, const struct unixfs_profile *profile, struct journal_key *key);
/* A finished file, or false. */
bool journal_find(
	struct journal *journal, const struct journal_key *key, struct unixfs_built *built);
/* Begins a file: what journal_leaf tells from now on is of it. Gives its leaves that are known
 * already, valid until the next call: digests and sizes, the rest follows from the profile. */
struct journal_leaf {
	uint8_t digest[32];
	uint32_t size;
};
size_t journal_begin(
	struct journal *journal, const struct journal_key *key, const struct journal_leaf **leaves);
/* Says how many of them were used, before the first journal_leaf. */
void journal_resume(struct journal *journal, size_t leaves);
void journal_leaf(
	struct journal *journal, uint64_t number, const struct mf_cid *cid, uint32_t size);
/* Ends the file; with built, it is finished and unchanged. */
void journal_end(struct journal *journal, uint64_t number, const struct journal_key *key,
	const struct unixfs_built *built);

/* Everything up to batch number is durable. May wait. */
void journal_commit(struct journal *journal, uint64_t number);

#endif
