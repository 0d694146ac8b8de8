/* A metric as text. Pure. */
#include <kit/call.h>
#include <kit/metrics.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A help text ends with its line, the value of a label with its quote. */
static void put_escaped(FILE *out, const char *text, bool quoted)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || (quoted && *text == '"'))
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

/* Not by %g: what separates digits there is the locale's. */
static void put_value(FILE *out, double value)
{
	double whole, part = round(modf(fabs(value), &whole) * 1e6);

	if (part >= 1e6) {
		whole++;
		part = 0;
	}
	fprintf(out, "%s%.0f", value < 0 ? "-" : "", whole);
	if (part > 0) {
		char digits[8];
		int len = snprintf(digits, sizeof(digits), "%06u", (unsigned)part);

		while (digits[len - 1] == '0')
			len--;
		fprintf(out, ".%.*s", len, digits);
	}
}

static void put(FILE *out, const struct kit_metric *metric, const char *of)
{
	if (metric->first) {
		fprintf(out, "# HELP %s ", metric->name);
		put_escaped(out, metric->help, false);
		fprintf(out, "\n# TYPE %s %s\n", metric->name,
			metric->kind == KIT_COUNTER ? "counter" : "gauge");
	}
	fputs(metric->name, out);
	if (metric->label) {
		fprintf(out, "{%s=\"", metric->label);
		put_escaped(out, of, true);
		fputs("\"}", out);
	}
	putc(' ', out);
	put_value(out, metric->value);
	putc('\n', out);
}

char *kit_metric_text(const struct kit_metric *metric)
{
	char *of = kit_json_text(metric->label ? metric->of : ""), *text = NULL;
	size_t len;
	FILE *out = of ? open_memstream(&text, &len) : NULL;

	if (out) {
		put(out, metric, of);
		bool failed = ferror(out);
		if (fclose(out) || failed) {
			free(text);
			text = NULL;
		}
	}
	free(of);
	return text;
}
