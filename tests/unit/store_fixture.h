/* What the store's tests share: models, videos and vectors made up from seeds, and an exact search
 * in float64 to compare with. */
#ifndef CLV_TESTS_UNIT_STORE_FIXTURE_H
#define CLV_TESTS_UNIT_STORE_FIXTURE_H

#include "storage/store.h"

#include <stdint.h>

#define FIXTURE_DIM 32

/* A unit vector near cluster `cluster`. */
void fixture_vector(float *out, int dim, uint64_t *seed, int cluster);
/* Opens (makes) a database in `directory`; NULL after a failed check. */
struct clv_store *fixture_open(const char *directory, int64_t flat_max);
/* The id of model number `number`, put if needed; 0 after a failed check. */
int64_t fixture_model(struct clv_store *store, int number, int dim);

/* Puts a video of `count` segments of 2 s every second, vectors from `seed` in clusters, time base
 * 1/1000, start at 500 ticks. Returns its status. */
int fixture_put(struct clv_store *store, const char *path, int64_t model_id, uint64_t seed,
                int count, int64_t *id_out);

/* Float64 search over every segment of all indexed videos by the same filter rules; fills ids and
 * scores best first and returns how many. */
int fixture_search(struct clv_store *store, int64_t *ids_out, double *scores_out, int64_t model_id,
                   const float *vector, int hit_max, const struct clv_search_filter *filter);

/* Searches both ways and checks that they agree. */
void fixture_compare(struct clv_store *store, int64_t model_id, uint64_t seed, int hit_max,
                     const struct clv_search_filter *filter);

/* Number of problems clv_store_check() finds, each printed where `loud`; -1 where it fails. */
int64_t fixture_problems(struct clv_store *store, bool loud);

/* Runs `sql` on the catalog behind the store's back; returns SQLite's code. */
int fixture_sql(const char *directory, const char *sql);
/* Holds the catalog's write lock, as another process that writes does, until it is let go; NULL
 * after a failed check. */
struct fixture_lock *fixture_lock(const char *directory);
void fixture_unlock(struct fixture_lock *lock);
/* The name of the only file in `directory` that begins with "vectors-", or NULL. */
const char *fixture_cache_file(const char *directory);

#endif
