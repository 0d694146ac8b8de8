#include "engines.h"

int main(int argc, char **argv)
{
	const struct engine *const engines[] = { &engine_ours, &engine_cached, &engine_lmdb,
		&engine_flat, &engine_loose, &engine_file, &engine_direct, NULL };

	return work_main(argc, argv, engines);
}
