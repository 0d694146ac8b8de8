/* A segment of the log as a CAR file: what the store's wal_export.c does, in words. */
#include "node.h"

#include <errno.h>
#include <stdio.h>

enum { WINDOW_SIZE = 256 << 10 }; /* of the store, for what goes to a sink */

struct exporting {
	const struct kit_wal_export_options *options;
	uint32_t segment;
	char first[MF_CID_TEXT_MAX + 80]; /* place that is damaged */
};

static int write_sink(void *arg, const void *data, size_t len)
{
	const struct kit_sink *sink = ((struct exporting *)arg)->options->sink;

	return sink->write(sink->arg, data, len);
}

static void note_fault(void *arg, uint64_t from, uint64_t to, const struct mf_cid *cid)
{
	struct exporting *exporting = arg;
	char name[MF_CID_TEXT_MAX] = "";

	if (*exporting->first)
		return;
	if (cid)
		mf_cid_format(cid, name, sizeof(name));
	snprintf(exporting->first, sizeof(exporting->first), "%s%s%sbytes %llu to %llu%s",
		cid ? "block " : "", name, cid ? " (" : "", (unsigned long long)from,
		(unsigned long long)to, cid ? ")" : "");
}

static int on_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct kit_wal_export_options *options = ((struct exporting *)arg)->options;

	if (options->progress)
		options->progress(options->arg, done, total);
	return 0;
}

static int explain(struct kit_node *node, const struct exporting *exporting,
	const struct store_wal_exported *exported, int rc)
{
	uint32_t segment = exporting->segment;

	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc == -ENOENT && exported->remote)
		return kit_fail(node, rc,
			"segment %u lies in a tier, and only files are exported; 'ipfs-kit tier move' brings its blocks "
			"back",
			segment);
	if (rc == -ENOENT)
		return kit_fail(node, rc,
			"there is no segment %u here: it never was, a collection has taken it away, or it is an adopted "
			"file that is missing or not what was adopted; 'ipfs-kit wal list --records' tells which there "
			"are",
			segment);
	if (rc == -EBADMSG)
		return kit_fail(node, -EUCLEAN,
			"segment %u is not what was written in %llu place%s, first in %s; nothing was exported: "
			"--no-verify exports it as it lies",
			segment, (unsigned long long)exported->faults,
			exported->faults == 1 ? "" : "s", exporting->first);
	if (rc == -ESTALE)
		return kit_fail(node, rc,
			"segment %u is somebody else's file, and was changed while it was exported",
			segment);
	return kit_fail_code(node, rc, "exporting");
}

int kit_wal_export(
	struct kit_node *node, uint32_t segment, const struct kit_wal_export_options *options)
{
	struct exporting exporting = { .options = options, .segment = segment };
	struct store_wal_export_options how = { .fd = options->fd,
		.unverified = options->unverified,
		.write = write_sink,
		.fault = note_fault,
		.progress = on_progress,
		.arg = &exporting };
	struct store_wal_exported exported = { 0 };
	size_t held = 0;
	int rc = 0;

	node->error[0] = 0;
	if (options->output)
		how.fd = kit_output_descriptor(options->output, &how.place);
	else if (options->sink)
		how.fd = -1;
	if (how.fd < 0 && node->room)
		rc = kit_room_hold(node->room, &held, WINDOW_SIZE);
	if (rc == 0)
		rc = store_wal_export(node->core->store, segment, &how, &exported);
	if (node->room)
		kit_room_hold(node->room, &held, 0);
	return rc ? explain(node, &exporting, &exported, rc) : 0;
}
