/*
 * Pins are state: the key is the CID, the value its mode and, where there is a label, the length of its name, the
 * name, and the rest.
 */
#include <errno.h>
#include <string.h>
#include "inner.h"

enum { LABEL_AT = 2, VALUE_MAX = LABEL_AT + (int)STORE_PIN_NAME_MAX + (int)STORE_PIN_META_MAX };
_Static_assert((int)VALUE_MAX <= (int)STORE_STATE_VALUE_MAX, "a pin is a value");

struct value {
	uint8_t bytes[VALUE_MAX + 1];
	size_t len;
};

struct part {
	const void *bytes;
	size_t len;
};

/* The mode of a pin, or a negative code. */
static int read_value(struct store *store, const uint8_t *key, size_t key_len, struct value *value,
	store_ticket *ticket)
{
	uint8_t *bytes = value->bytes;
	ssize_t len = store_state_get(
		store, STORE_SPACE_PINS, key, key_len, bytes, sizeof(value->bytes), ticket);

	value->len = 0;
	if (len == -ENOENT)
		return STORE_PIN_NONE;
	if (len < 0)
		return len;
	if (len >= 1 && len <= VALUE_MAX &&
		(*bytes == STORE_PIN_DIRECT || *bytes == STORE_PIN_RECURSIVE) &&
		(len == 1 || LABEL_AT + bytes[1] <= len)) {
		value->len = len;
		return *bytes;
	}
	store->index.doubtful = true;
	return -EUCLEAN;
}

/* Both within value: of a pin without a label, and of none, "". */
static struct part name_of(const struct value *value)
{
	return (struct part){ value->bytes + LABEL_AT, value->len > 1 ? value->bytes[1] : 0 };
}

static struct part meta_of(const struct value *value)
{
	size_t before = LABEL_AT + name_of(value).len;

	return (struct part){ value->bytes + before, value->len > 1 ? value->len - before : 0 };
}

static struct part given_or(const char *given, struct part now)
{
	return given ? (struct part){ given, strlen(given) } : now;
}

/* What label does not give stays as it is now. */
static int make_value(
	struct value *value, int mode, const struct store_pin_label *label, const struct value *now)
{
	struct part name = given_or(label ? label->name : NULL, name_of(now));
	struct part meta = given_or(label ? label->meta : NULL, meta_of(now));

	if (name.len > STORE_PIN_NAME_MAX || meta.len > STORE_PIN_META_MAX)
		return -EMSGSIZE;
	value->bytes[0] = mode;
	value->len = 1;
	if (name.len + meta.len == 0)
		return 0;
	value->bytes[1] = name.len;
	memcpy(value->bytes + LABEL_AT, name.bytes, name.len);
	memcpy(value->bytes + LABEL_AT + name.len, meta.bytes, meta.len);
	value->len = LABEL_AT + name.len + meta.len;
	return 0;
}

int store_pin_get(struct store *store, const struct mf_cid *cid)
{
	uint8_t key[MF_CID_BYTES_MAX];

	struct value value;

	return read_value(store, key, mf_cid_encode(cid, key, sizeof(key)), &value, NULL);
}

/* With the lock held. */
static int change_pin(struct store *store, const struct mf_cid *cid, int mode,
	const struct store_pin_label *label, store_ticket *ticket)
{
	uint8_t key[MF_CID_BYTES_MAX];
	size_t len = mf_cid_encode(cid, key, sizeof(key));
	struct value before, value;
	store_ticket since = 0;
	int now = read_value(store, key, len, &before, &since);

	if (now < 0)
		return now;
	if (store->broken)
		return store->broken;
	if (mode == STORE_PIN_NONE && now == STORE_PIN_NONE)
		return -ENOENT;
	if (mode == STORE_PIN_DIRECT && now == STORE_PIN_RECURSIVE)
		return -EEXIST;
	if (mode == STORE_PIN_NONE) {
		store->limit.stuck = 0;
		return store_state_put_locked(store, STORE_SPACE_PINS, key, len, NULL, 0, ticket);
	}
	int rc = make_value(&value, mode, label, &before);
	if (rc < 0)
		return rc;
	if (value.len != before.len || memcmp(value.bytes, before.bytes, value.len) != 0)
		return store_state_put_locked(
			store, STORE_SPACE_PINS, key, len, value.bytes, value.len, ticket);
	if (*ticket < since)
		*ticket = since;
	return 0;
}

static int change_pin_locked(struct store *store, const struct mf_cid *cid, int mode,
	const struct store_pin_label *label, store_ticket *ticket)
{
	int rc;

	do {
		rc = anyio_lock_acquire(&store->writing);
		if (rc < 0)
			return rc;
		rc = change_pin(store, cid, mode, label, ticket);
		uint64_t sequence = store->log.sequence;
		anyio_lock_release(&store->writing);
		if (rc == -EAGAIN && (rc = store_sync(store, sequence)) == 0)
			rc = -EAGAIN;
	} while (rc == -EAGAIN);
	return rc < 0 ? rc : store_checkpoint_if_due(store);
}

int store_pin_add_labelled(struct store *store, const struct mf_cid *cid, enum store_pin_mode mode,
	const struct store_pin_label *label, store_ticket *ticket)
{
	if (mode != STORE_PIN_DIRECT && mode != STORE_PIN_RECURSIVE)
		return -EINVAL;
	return change_pin_locked(store, cid, mode, label, ticket);
}

int store_pin_add(struct store *store, const struct mf_cid *cid, enum store_pin_mode mode,
	store_ticket *ticket)
{
	return store_pin_add_labelled(store, cid, mode, NULL, ticket);
}

int store_pin_remove(struct store *store, const struct mf_cid *cid, store_ticket *ticket)
{
	return change_pin_locked(store, cid, STORE_PIN_NONE, NULL, ticket);
}

static void take_label(const struct value *value, struct store_pin *pin)
{
	struct part name = name_of(value), meta = meta_of(value);

	memcpy(pin->name, name.bytes, name.len);
	memcpy(pin->meta, meta.bytes, meta.len);
	pin->name[name.len] = pin->meta[meta.len] = 0;
}

int store_pin_read(struct store *store, const struct mf_cid *cid, struct store_pin *pin)
{
	uint8_t key[MF_CID_BYTES_MAX];
	struct value value;
	int mode = read_value(store, key, mf_cid_encode(cid, key, sizeof(key)), &value, NULL);

	if (mode <= 0)
		return mode < 0 ? mode : -ENOENT;
	pin->cid = *cid;
	pin->mode = mode;
	take_label(&value, pin);
	return 0;
}

int store_pin_next(struct store *store, struct store_state_cursor *cursor, struct store_pin *pin)
{
	struct value value;
	int rc;

	while ((rc = store_state_next(store, STORE_SPACE_PINS, cursor)) > 0) {
		if (mf_cid_decode(&pin->cid, cursor->key, cursor->key_len) != cursor->key_len) {
			store->index.doubtful = true;
			return -EUCLEAN;
		}
		int mode = read_value(store, cursor->key, cursor->key_len, &value, NULL);
		if (mode < 0)
			return mode;
		pin->mode = mode;
		take_label(&value, pin);
		if (mode != STORE_PIN_NONE)
			return 1;
	}
	return rc;
}
