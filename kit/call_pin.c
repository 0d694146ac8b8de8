/* Commands by name about pins: pin/add, pin/ls, pin/rm, pin/update. */
#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is no path is refused before the first of the others is taken: a typing error must not cost half of it. */
static int check_paths(struct call *call)
{
	struct kit_node *node = call->node;
	int rc = 0;

	for (size_t i = 0; !rc && i < call->count; i++)
		rc = kit_path_check(call->from->args[i], node->error, sizeof(node->error));
	return rc;
}

/* As Kubo, one path after the other up to the first that fails; but what became of those before it is said. */
static int tell_how_far(struct call *call, size_t done, const char *verb, int rc)
{
	char why[sizeof(call->node->error)];

	if (call->count == 1 || rc == ANYIO_CANCELLED)
		return rc;
	snprintf(why, sizeof(why), "%s",
		*call->node->error ? call->node->error : anyio_error_text(rc));
	return done ? kit_fail(call->node, rc, "%s the first %zu of %zu, then: %.440s", verb, done,
			      call->count, why)
		    : kit_fail(call->node, rc, "%s none of %zu: %.440s", verb, call->count, why);
}

static int each_pin(struct call *call, const char *verb,
	int (*one)(struct call *call, const char *path, struct mf_cid *cid))
{
	json_t *pins = json_array();
	size_t done = 0;
	int rc = pins ? check_paths(call) : -ENOMEM;

	while (!rc && done < call->count) {
		struct mf_cid cid;
		rc = one(call, call->from->args[done], &cid);
		done += !rc;
		if (!rc && json_array_append_new(pins, call_cid(&cid)))
			rc = -ENOMEM;
	}
	if (rc) {
		json_decref(pins);
		return tell_how_far(call, done, verb, rc);
	}
	return call_answer(call, json_pack("{s:o}", "Pins", pins));
}

static int pin_one(struct call *call, const char *path, struct mf_cid *cid)
{
	struct kit_pin_label label = { call_option(call, "name"), call_option(call, "meta") };
	bool recursive = true, labelled = label.name || label.meta;
	int rc = call_flag(call, "recursive", &recursive);

	return rc
		? rc
		: kit_pin_add_labelled(call->node, path, recursive, labelled ? &label : NULL, cid);
}

static int unpin_one(struct call *call, const char *path, struct mf_cid *cid)
{
	return kit_pin_rm(call->node, path, cid);
}

int call_pin_update(struct call *call)
{
	bool unpin = true;
	struct mf_cid from, to;
	int rc = call_flag(call, "unpin", &unpin);

	if (!rc)
		rc = check_paths(call);
	if (!rc)
		rc = kit_pin_update(
			call->node, call->from->args[0], call->from->args[1], unpin, &from, &to);
	return rc ? rc
		  : call_answer(
			    call, json_pack("{s:[o, o]}", "Pins", call_cid(&from), call_cid(&to)));
}

int call_pin_add(struct call *call)
{
	return each_pin(call, "pinned", pin_one);
}

int call_pin_rm(struct call *call)
{
	return each_pin(call, "unpinned", unpin_one);
}

struct pin_listing {
	struct call *call;
	json_t *keys; /* of those asked for; NULL: each is written when it is found */
	bool stream;  /* each is an answer of its own */
	const char *type;
	const struct mf_cid *only;
	const char *name; /* is part of the pin's */
	bool names;       /* are told */
	size_t found;
	bool pinned; /* only, recursively: whatever else keeps it is not told, as Kubo does not */
};

/* Type, and what else was asked for; pin NULL: it has none itself. */
static json_t *describe(
	const struct pin_listing *listing, const char *type, const struct kit_pin *pin)
{
	json_t *about = json_pack("{s:s}", "Type", type), *meta;

	if (!about || !listing->names || !pin)
		return about;
	meta = *pin->meta ? json_loads(pin->meta, 0, NULL) : NULL;
	if (json_object_set_new(about, "Name", call_text(pin->name)) ||
		(meta && json_object_set(about, "Meta", meta))) {
		json_decref(about);
		about = NULL;
	}
	json_decref(meta);
	return about;
}

static int put_pin(struct pin_listing *listing, const struct mf_cid *cid, const char *type,
	const struct kit_pin *pin)
{
	char text[MF_CID_TEXT_MAX], key[MF_CID_TEXT_MAX + 8];
	json_t *about = describe(listing, type, pin);
	int rc;

	listing->found++;
	mf_cid_format(cid, text, sizeof(text));
	if (listing->stream) {
		if (about && json_object_set_new(about, "Cid", json_string(text))) {
			json_decref(about);
			about = NULL;
		}
		return call_answer(listing->call, about);
	}
	if (listing->keys)
		return json_object_set_new(listing->keys, text, about) ? -ENOMEM : 0;
	snprintf(key, sizeof(key), "%s\"%s\":", listing->found > 1 ? "," : "", text);
	rc = call_write(listing->call, key);
	if (!rc)
		return call_write_json(listing->call, about);
	json_decref(about);
	return rc;
}

static int list_pin(void *arg, const struct kit_pin *pin)
{
	struct pin_listing *listing = arg;
	const char *type = pin->recursive ? "recursive" : "direct";

	if (listing->only && !mf_cid_equal(listing->only, &pin->cid))
		return 0;
	listing->pinned |= listing->only && pin->recursive;
	if (strcmp(listing->type, "all") && strcmp(listing->type, type))
		return 0;
	if (listing->name && !strstr(pin->name, listing->name))
		return 0;
	return put_pin(listing, &pin->cid, type, pin);
}

static int list_all_pins(struct pin_listing *listing)
{
	struct call *call = listing->call;
	int rc = listing->stream ? 0 : call_write(call, "{\"Keys\":{");

	if (!rc)
		rc = kit_pin_ls(call->node, list_pin, listing);
	if (rc || listing->stream)
		return rc;
	rc = call_write(call, "}}");
	return rc ? rc : call_write_end(call);
}

/* What no pin names may be kept by one above it. */
static int list_indirect(struct pin_listing *listing)
{
	char type[MF_CID_TEXT_MAX + 20] = "indirect through ";
	size_t len = strlen(type);
	struct mf_cid root;
	int rc = kit_pin_holder(listing->call->node, listing->only, &root);

	if (rc)
		return rc == -ENOENT && !*kit_error_text(listing->call->node) ? 0 : rc;
	mf_cid_format(&root, type + len, sizeof(type) - len);
	return put_pin(listing, listing->only, type, NULL);
}

static int list_path(struct pin_listing *listing, const char *path)
{
	struct kit_node *node = listing->call->node;
	bool indirect = !strcmp(listing->type, "all") || !strcmp(listing->type, "indirect");
	struct mf_cid cid;
	int rc = kit_resolve(node, path, &cid);

	listing->only = &cid;
	listing->found = 0;
	listing->pinned = false;
	if (!rc)
		rc = kit_pin_ls(node, list_pin, listing);
	if (!rc && indirect && !listing->found && !listing->pinned)
		rc = list_indirect(listing);
	listing->only = NULL;
	return rc || listing->found ? rc
				    : kit_fail(node, -ENOENT, "path '%s' is not pinned%s%s", path,
					      strcmp(listing->type, "all") ? " as " : "",
					      strcmp(listing->type, "all") ? listing->type : "");
}

static int check_pin_type(struct call *call, const char *type)
{
	static const char *const types[] = { "all", "direct", "recursive", "indirect" };

	if (!strcmp(type, "indirect") && !call->count)
		return kit_fail(call->node, -EINVAL,
			"what is pinned indirectly is not listed as a whole; give the CIDs to ask about");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(type, types[i]))
			return 0;
	return kit_fail(call->node, -EINVAL,
		"no kind of pin is called '%s'; there are all, direct, recursive and indirect",
		type);
}

int call_pin_ls(struct call *call)
{
	const char *type = call_option(call, "type"), *name = call_option(call, "name");
	bool stream = false, names = name != NULL;
	int rc = call_flag(call, "stream", &stream);

	if (!rc)
		rc = call_flag(call, "names", &names);

	if (rc)
		return rc;
	struct pin_listing listing = { .call = call,
		.type = type && *type ? type : "all",
		.name = name,
		.names = names,
		.stream = stream,
		.keys = stream || !call->count ? NULL : json_object() };
	rc = check_pin_type(call, listing.type);

	for (size_t i = 0; !rc && i < call->count; i++)
		rc = list_path(&listing, call->from->args[i]);
	if (!rc && !call->count)
		return list_all_pins(&listing);
	if (rc || stream) {
		json_decref(listing.keys);
		return rc;
	}
	return call_answer(call, json_pack("{s:o}", "Keys", listing.keys));
}
