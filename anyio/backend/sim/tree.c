/*
 * Names on the simulated disk. A directory has its entries as they are, and as they are durable.
 * Every change lies in one journal, in order, until it is durable: that is when one of its
 * directories is synced. A crash keeps all durable changes, and of the others those before
 * some moment. The disk is the process's, and used by one thread at a time.
 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct part {
	struct sim_inode *dir, *inode;
	char *name;
};

struct change {
	struct change *next;
	struct part part[2];
	int parts;
	bool durable;
};

static struct {
	struct sim_inode *root;
	struct anyio_list inodes;
	struct change *first, **last;
	uint64_t number, generation;
} disk;

static void *sure(void *memory)
{
	if (!memory)
		anyio_die(__FILE__, __LINE__, "no memory for the simulated disk");
	return memory;
}

uint64_t sim_tree_generation(void)
{
	return disk.generation;
}

struct sim_inode *sim_inode_new(mode_t mode)
{
	struct sim_inode *inode = sure(calloc(1, sizeof(*inode)));
	inode->refs = 1;
	inode->mode = mode;
	inode->number = ++disk.number;
	sim_content_init(&inode->content);
	anyio_list_append(&disk.inodes, &inode->all);
	return inode;
}

void sim_inode_ref(struct sim_inode *inode)
{
	inode->refs++;
}

static void entries_clear(struct sim_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		free(entries->items[i].name);
		sim_inode_unref(entries->items[i].inode);
	}
	free(entries->items);
	*entries = (struct sim_entries){ 0 };
}

void sim_inode_unref(struct sim_inode *inode)
{
	if (!inode || --inode->refs > 0)
		return;
	anyio_list_remove(&inode->all);
	entries_clear(&inode->entries);
	entries_clear(&inode->durable);
	sim_content_free(&inode->content);
	free(inode);
}

struct sim_inode *sim_tree_root(void)
{
	if (!disk.root) {
		anyio_list_init(&disk.inodes);
		disk.last = &disk.first;
		disk.root = sim_inode_new(S_IFDIR | 0755);
	}
	return disk.root;
}

static struct sim_entry *entry_find(const struct sim_entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->items[i].name, name) == 0)
			return &entries->items[i];
	return NULL;
}

static void entries_set(struct sim_entries *entries, const char *name, struct sim_inode *inode)
{
	struct sim_entry *entry = entry_find(entries, name);
	if (inode)
		sim_inode_ref(inode);
	if (entry && inode) {
		sim_inode_unref(entry->inode);
		entry->inode = inode;
	} else if (entry) {
		free(entry->name);
		sim_inode_unref(entry->inode);
		*entry = entries->items[--entries->count];
	} else if (inode) {
		if (entries->count == entries->room) {
			entries->room = entries->room ? entries->room * 2 : 8;
			entries->items = sure(
				realloc(entries->items, entries->room * sizeof(*entries->items)));
		}
		entries->items[entries->count++] = (struct sim_entry){ sure(strdup(name)), inode };
	}
}

static void change_add(
	struct change *change, struct sim_inode *dir, const char *name, struct sim_inode *inode)
{
	sim_inode_ref(dir);
	if (inode)
		sim_inode_ref(inode);
	change->part[change->parts++] = (struct part){ dir, inode, sure(strdup(name)) };
	entries_set(&dir->entries, name, inode);
}

static struct change *change_new(void)
{
	struct change *change = sure(calloc(1, sizeof(*change)));
	*disk.last = change;
	disk.last = &change->next;
	return change;
}

void sim_tree_set(struct sim_inode *dir, const char *name, struct sim_inode *inode)
{
	change_add(change_new(), dir, name, inode);
	if (inode)
		inode->parent = dir;
}

void sim_tree_move(struct sim_inode *from, const char *from_name, struct sim_inode *to,
	const char *to_name, struct sim_inode *inode)
{
	struct change *change = change_new();
	change_add(change, to, to_name, inode);
	change_add(change, from, from_name, NULL);
	inode->parent = to;
}

static void change_pop(bool apply)
{
	struct change *change = disk.first;
	disk.first = change->next;
	if (!disk.first)
		disk.last = &disk.first;
	for (int i = 0; i < change->parts; i++) {
		struct part *part = &change->part[i];
		if (apply)
			entries_set(&part->dir->durable, part->name, part->inode);
		free(part->name);
		sim_inode_unref(part->inode);
		sim_inode_unref(part->dir);
	}
	free(change);
}

void sim_tree_sync(struct sim_inode *dir)
{
	for (struct change *change = disk.first; change; change = change->next)
		for (int i = 0; i < change->parts; i++)
			change->durable |= change->part[i].dir == dir;
	while (disk.first && disk.first->durable)
		change_pop(true);
}

static int walk(
	struct sim_inode *from, const char *path, bool follow, int links, struct sim_place *place);

/* Goes on through a link: its target counts from the directory it lies in. */
static int walk_link(
	struct sim_inode *dir, const struct sim_inode *link, int links, struct sim_place *place)
{
	char target[4096];
	size_t size = link->content.size;
	if (links >= 8 || size >= sizeof(target))
		return -ELOOP;
	memcpy(target, link->content.bytes, size);
	target[size] = '\0';
	return walk(dir, target, true, links + 1, place);
}

static struct sim_inode *step(struct sim_inode *dir, const char *name)
{
	if (strcmp(name, ".") == 0)
		return dir;
	if (strcmp(name, "..") == 0)
		return dir->parent ? dir->parent : dir;
	struct sim_entry *entry = entry_find(&dir->entries, name);
	return entry ? entry->inode : NULL;
}

static int walk(
	struct sim_inode *from, const char *path, bool follow, int links, struct sim_place *place)
{
	if (*path == '\0')
		return -ENOENT;
	if (*path == '/') {
		if (strncmp(path, "/sim", 4) != 0 || (path[4] && path[4] != '/'))
			return -ENOENT;
		path += 4;
		from = sim_tree_root();
	}
	*place = (struct sim_place){ .found = from };
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");
		if (!place->found)
			return -ENOENT;
		if (!S_ISDIR(place->found->mode))
			return -ENOTDIR;
		if (len > SIM_NAME_MAX)
			return -ENAMETOOLONG;
		place->dir = place->found;
		memcpy(place->name, path, len);
		place->name[len] = '\0';
		place->found = step(place->dir, place->name);
		path += len;
		bool last = path[strspn(path, "/")] == '\0';
		if (place->found && S_ISLNK(place->found->mode) && (follow || !last)) {
			int rc = walk_link(place->dir, place->found, links, place);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int sim_tree_walk(struct sim_inode *from, const char *path, bool follow, struct sim_place *place)
{
	return walk(from, path, follow, 0, place);
}

static void directory_crash(struct sim_inode *dir)
{
	entries_clear(&dir->entries);
	for (size_t i = 0; i < dir->durable.count; i++) {
		struct sim_entry *entry = &dir->durable.items[i];
		entries_set(&dir->entries, entry->name, entry->inode);
		entry->inode->parent = dir;
	}
}

void anyio_sim_disk_crash(uint64_t seed)
{
	uint64_t random = seed;
	sim_tree_root();
	size_t open = 0;
	for (struct change *change = disk.first; change; change = change->next)
		open += !change->durable;
	for (size_t kept = sim_random(&random) % (open + 1); disk.first;) {
		bool apply = disk.first->durable || kept > 0;
		kept -= !disk.first->durable && kept > 0;
		change_pop(apply);
	}
	/* Clearing entries may free an inode: hold each, and its follower, while at it. */
	struct sim_inode *inode = disk.root;
	sim_inode_ref(inode);
	while (inode) {
		inode->shared = 0;
		inode->exclusive = false;
		if (S_ISDIR(inode->mode))
			directory_crash(inode);
		else if (sim_content_crash(&inode->content, &random) < 0)
			sure(NULL);
		struct anyio_list *next = inode->all.next;
		struct sim_inode *follower =
			next == &disk.inodes ? NULL : anyio_container(next, struct sim_inode, all);
		if (follower)
			sim_inode_ref(follower);
		sim_inode_unref(inode);
		inode = follower;
	}
	disk.generation++;
}

void anyio_sim_disk_reset(void)
{
	sim_tree_root();
	while (disk.first)
		change_pop(false);
	entries_clear(&disk.root->entries);
	entries_clear(&disk.root->durable);
	disk.generation++;
	disk.number = 1;
}
