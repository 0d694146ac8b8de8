/* The progress bar: one line on standard error, redrawn at most ten times a second. */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *cli_size(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	static _Thread_local char ring[4][24];
	static _Thread_local unsigned turn;
	char *out = ring[turn++ % 4];
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1024;
		unit++;
	}
	snprintf(out, sizeof(ring[0]), unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

/* How far the last one came that was shown or could have been. */
static struct {
	const char *what;
	uint64_t done, total;
	anyio_time moved;
} latest;

void cli_progress_latest(struct cli_how_far *far)
{
	*far = (struct cli_how_far){ latest.what, latest.done, latest.total,
		latest.done ? anyio_now() - latest.moved : 0 };
}

void cli_progress_start(struct cli_progress *progress, const struct cli *cli, const char *what)
{
	*progress = (struct cli_progress){
		.what = what, .started = anyio_now(), .on = cli->progress && !cli->json
	};
	latest.what = what;
	latest.done = latest.total = 0;
}

static int width(void)
{
	struct winsize size;

	return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 80;
}

static void draw(struct cli_progress *progress)
{
	double seconds = (double)(progress->shown - progress->started) / 1e9;
	double rate = seconds > 0.05 ? (double)progress->done / seconds : 0;
	char text[160], bar[32] = "";

	if (progress->total) {
		unsigned filled = (unsigned)(progress->done * 20 / progress->total);
		memset(bar, '=', filled > 20 ? 20 : filled);
		bar[filled > 20 ? 20 : filled] = 0;
		uint64_t left =
			progress->total > progress->done ? progress->total - progress->done : 0;
		snprintf(text, sizeof(text), "%s [%-20s] %3u%%  %s of %s  %s/s  %.0fs left",
			progress->what, bar, (unsigned)(progress->done * 100 / progress->total),
			cli_size(progress->done), cli_size(progress->total),
			cli_size((uint64_t)rate), rate > 0 ? (double)left / rate : 0);
		/* Where there is no room for all, the rate is what is missed least. */
		if (strlen(text) >= (size_t)width())
			snprintf(text, sizeof(text), "%s [%-20s] %3u%%  %s of %s  %.0fs left",
				progress->what, bar,
				(unsigned)(progress->done * 100 / progress->total),
				cli_size(progress->done), cli_size(progress->total),
				rate > 0 ? (double)left / rate : 0);
	} else {
		snprintf(text, sizeof(text), "%s  %s  %s/s", progress->what,
			cli_size(progress->done), cli_size((uint64_t)rate));
	}
	fprintf(stderr, "\r%.*s\033[K", width() - 1, text);
	fflush(stderr);
}

void cli_progress_update(void *arg, uint64_t done, uint64_t total)
{
	struct cli_progress *progress = arg;
	anyio_time now = anyio_now();

	if (done != latest.done)
		latest.moved = now;
	latest.done = done;
	latest.total = total;
	progress->done = done;
	progress->total = total;
	if (!progress->on || now - progress->shown < 100 * ANYIO_MILLISECOND)
		return;
	progress->shown = now;
	draw(progress);
}

void cli_progress_clear(const struct cli_progress *progress)
{
	if (!progress->on || !progress->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}

void cli_progress_end(struct cli_progress *progress)
{
	if (progress->on && progress->shown) {
		progress->shown = anyio_now();
		draw(progress);
		fputc('\n', stderr);
	}
	progress->on = false;
}
