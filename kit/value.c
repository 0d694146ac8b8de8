/* Values that people and programs write: truths, times, sizes, and how safe a write is to be. */
#include <kit/call.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_one_of(const char *const *words, const char *text)
{
	for (; *words; words++)
		if (!strcmp(*words, text))
			return true;
	return false;
}

int kit_truth_parse(const char *text, bool *truth)
{
	static const char *const yes[] = { "", "1", "t", "T", "true", "TRUE", "True", "yes", NULL };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False", "no", NULL };
	bool is_yes = is_one_of(yes, text);

	if (!is_yes && !is_one_of(no, text))
		return -EINVAL;
	*truth = is_yes;
	return 0;
}

int kit_number_parse(const char *text, uint64_t *number)
{
	size_t len = strspn(text, "0123456789");

	errno = 0;
	unsigned long long value = strtoull(text, NULL, 10);
	if (len == 0 || text[len] || errno)
		return -EINVAL;
	*number = value;
	return 0;
}

/* One number, in plain digits; the end of it, or NULL. */
static const char *number(const char *text, double *value)
{
	size_t len = strspn(text, "0123456789.");
	char *end;

	*value = strtod(text, &end);
	return len && end == text + len ? end : NULL;
}

/* One number with its unit, in seconds; the end of it, or NULL. */
static const char *time_part(const char *text, double *seconds)
{
	static const struct {
		const char *unit;
		double scale;
	} units[] = { { "ns", 1e-9 }, { "us", 1e-6 }, { "µs", 1e-6 }, { "μs", 1e-6 },
		{ "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 } };
	double value;
	const char *end = number(text, &value);

	for (size_t i = 0; end && i < sizeof(units) / sizeof(*units); i++) {
		size_t unit = strlen(units[i].unit);
		if (!strncmp(end, units[i].unit, unit) &&
			(!end[unit] || strchr("0123456789.", end[unit]))) {
			*seconds += value * units[i].scale;
			return end + unit;
		}
	}
	return NULL;
}

int kit_time_parse(const char *text, anyio_time *time)
{
	const char *at = text + (*text == '-' || *text == '+'), *end;
	double seconds = 0;

	if (!*at)
		return -EINVAL;
	end = number(at, &seconds);
	if (!end || *end) { /* not a number alone */
		seconds = 0;
		while (at && *at)
			at = time_part(at, &seconds);
	}
	if (!at || seconds > 9e9)
		return -EINVAL;
	*time = *text == '-' ? 0 : (anyio_time)(seconds * 1e9);
	return 0;
}

int kit_size_parse(const char *text, uint64_t *bytes)
{
	static const struct {
		const char *unit;
		double scale;
	} units[] = { { "", 1 }, { "B", 1 }, { "K", 0x1p10 }, { "KiB", 0x1p10 }, { "kB", 1e3 },
		{ "M", 0x1p20 }, { "MiB", 0x1p20 }, { "MB", 1e6 }, { "G", 0x1p30 },
		{ "GiB", 0x1p30 }, { "GB", 1e9 }, { "T", 0x1p40 }, { "TiB", 0x1p40 },
		{ "TB", 1e12 } };
	double value;
	const char *end = number(text, &value);

	/* As Kubo reads them. */
	if (end && end[0] == ' ' && end[1])
		end++;
	for (size_t i = 0; end && i < sizeof(units) / sizeof(*units); i++) {
		if (strcasecmp(end, units[i].unit) || value * units[i].scale > 0x1p62)
			continue;
		*bytes = (uint64_t)(value * units[i].scale);
		return 0;
	}
	return -EINVAL;
}

int kit_durability_parse(const char *text, anyio_time *within)
{
	static const char batched[] = "batched:";

	if (!strcmp(text, "durable"))
		*within = 0;
	else if (!strcmp(text, "none"))
		*within = ANYIO_FOREVER;
	else if (!strcmp(text, "batched"))
		*within = 100 * ANYIO_MILLISECOND;
	else if (strncmp(text, batched, strlen(batched)) ||
		kit_time_parse(text + strlen(batched), within))
		return -EINVAL;
	return 0;
}
