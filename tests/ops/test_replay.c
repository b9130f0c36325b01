/* Runs of ops that are recorded and played back: which ones (plain host code), what may stand in
 * one, and that what is played back computes what calling would. */
#include "core/compute/replay.h"

#include "core/compute/gradients.h"
#include "core/error.h"
#include "tests/devices.h"
#include "tests/ops/guarded.h"
#include "tests/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------------- */

static struct clv_replay_table table;
static int drops[CLV_REPLAY_MAX], drop_count;

static void drop(void *payload, int index)
{
    CHECK(payload == drops);
    drops[index]++;
    drop_count++;
}

static void begin_table(void)
{
    memset(drops, 0, sizeof drops);
    drop_count = 0;
    clv_replay_init(&table, drop, drops);
}

static struct clv_replay_key key_of(int count)
{
    return (struct clv_replay_key){.owner = &table, .input = drops, .pass = 1, .count = count};
}

/* One run of the key, which can be recorded; returns what was to be done. */
static enum clv_replay_step step(struct clv_replay_key key, int *index_out)
{
    int index;
    enum clv_replay_step what = clv_replay_next(&table, &index, &key);
    if (what == CLV_REPLAY_CALL)
        clv_replay_called(&table);
    else if (what == CLV_REPLAY_RECORD)
        clv_replay_recorded(&table, true);
    CHECK_INT(table.current, -1);
    if (index_out)
        *index_out = index;
    return what;
}

static void runs_are_called_recorded_and_played(void)
{
    int first, again;
    begin_table();
    CHECK_INT(step(key_of(3), &first), CLV_REPLAY_CALL);
    CHECK_INT(step(key_of(4), &again), CLV_REPLAY_CALL);
    CHECK(again != first);
    CHECK_INT(step(key_of(3), &again), CLV_REPLAY_RECORD);
    CHECK_INT(again, first);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(step(key_of(3), &again), CLV_REPLAY_PLAY);
        CHECK_INT(again, first);
    }
    CHECK_INT(step(key_of(4), NULL), CLV_REPLAY_RECORD);
    CHECK_INT(drop_count, 0);
}

static void every_part_of_a_key_tells(void)
{
    struct clv_replay_key others[4] = {key_of(3), key_of(3), key_of(3), key_of(3)};
    others[0].owner = &others[0];
    others[1].input = NULL;
    others[2].pass = 2;
    others[3].count = 2;
    begin_table();
    CHECK_INT(step(key_of(3), NULL), CLV_REPLAY_CALL);
    CHECK_INT(step(key_of(3), NULL), CLV_REPLAY_RECORD);
    for (int i = 0; i < 4; i++)
        CHECK_INT(step(others[i], NULL), CLV_REPLAY_CALL);
    CHECK_INT(step(key_of(3), NULL), CLV_REPLAY_PLAY);
    for (int i = 0; i < 4; i++)
        CHECK_INT(step(others[i], NULL), CLV_REPLAY_RECORD);
}

static void what_fails_is_called_for_good(void)
{
    const struct clv_replay_key key = key_of(1);
    int index;
    begin_table();
    CHECK_INT(step(key, NULL), CLV_REPLAY_CALL);
    CHECK_INT(clv_replay_next(&table, &index, &key), CLV_REPLAY_RECORD);
    CHECK_INT(table.current, index);
    clv_replay_recorded(&table, false);
    CHECK_INT(table.current, index); /* it is called now */
    clv_replay_called(&table);
    for (int i = 0; i < 3; i++)
        CHECK_INT(step(key, NULL), CLV_REPLAY_CALL);
    CHECK_INT(drop_count, 0);

    /* What no longer plays is dropped, and called from then on. */
    CHECK_INT(step(key_of(2), NULL), CLV_REPLAY_CALL);
    CHECK_INT(step(key_of(2), NULL), CLV_REPLAY_RECORD);
    const struct clv_replay_key second = key_of(2);
    CHECK_INT(clv_replay_next(&table, &index, &second), CLV_REPLAY_PLAY);
    clv_replay_refuse(&table, index);
    CHECK_INT(drops[index], 1);
    clv_replay_called(&table);
    CHECK_INT(step(second, NULL), CLV_REPLAY_CALL);
    CHECK_INT(drop_count, 1);
}

static void the_least_recently_used_goes(void)
{
    int kept, oldest, index;
    begin_table();
    for (int i = 0; i < CLV_REPLAY_MAX; i++) {
        CHECK_INT(step(key_of(i), NULL), CLV_REPLAY_CALL);
        CHECK_INT(step(key_of(i), NULL), CLV_REPLAY_RECORD);
    }
    CHECK_INT(step(key_of(0), &kept), CLV_REPLAY_PLAY);
    CHECK_INT(step(key_of(2), NULL), CLV_REPLAY_PLAY);
    CHECK_INT(step(key_of(1000), &oldest), CLV_REPLAY_CALL); /* for 1 */
    CHECK(oldest != kept);
    CHECK_INT(drops[oldest], 1);
    CHECK_INT(drop_count, 1);
    CHECK_INT(step(key_of(1), &index), CLV_REPLAY_CALL); /* for 3 */
    CHECK_INT(drop_count, 2);
    CHECK_INT(step(key_of(0), NULL), CLV_REPLAY_PLAY);
    CHECK_INT(step(key_of(2), NULL), CLV_REPLAY_PLAY);
    CHECK_INT(step(key_of(4), NULL), CLV_REPLAY_PLAY);
    CHECK_INT(step(key_of(1000), &index), CLV_REPLAY_RECORD);
    CHECK_INT(index, oldest);
}

static void moving_memory_records_anew(void)
{
    int recorded, index;
    const struct clv_replay_key refused = key_of(3);
    begin_table();
    CHECK_INT(step(key_of(1), NULL), CLV_REPLAY_CALL);
    CHECK_INT(step(key_of(1), &recorded), CLV_REPLAY_RECORD);
    CHECK_INT(step(key_of(2), NULL), CLV_REPLAY_CALL);
    CHECK_INT(step(refused, NULL), CLV_REPLAY_CALL);
    CHECK_INT(clv_replay_next(&table, &index, &refused), CLV_REPLAY_RECORD);
    clv_replay_recorded(&table, false);
    clv_replay_moved(&table); /* by the very run that is called */
    CHECK_INT(table.current, index);
    clv_replay_called(&table);
    CHECK_INT(drops[recorded], 1);
    CHECK_INT(drop_count, 1);
    clv_replay_moved(&table);
    CHECK_INT(drop_count, 1);
    CHECK_INT(step(key_of(1), NULL), CLV_REPLAY_RECORD);
    CHECK_INT(step(key_of(1), NULL), CLV_REPLAY_PLAY);
    CHECK_INT(step(key_of(2), NULL), CLV_REPLAY_RECORD);
    CHECK_INT(step(refused, NULL), CLV_REPLAY_CALL);
    clv_replay_forget(&table);
    CHECK_INT(drop_count, 3);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(step(key_of(i), NULL), CLV_REPLAY_CALL);
        CHECK_INT(step(key_of(i), NULL), CLV_REPLAY_RECORD);
    }
}

/* ---- devices --------------------------------------------------------------------------------- */

static struct clv_device *device;

static bool is_cuda(void)
{
    return clv_device_kind(device) == CLV_DEVICE_CUDA;
}

static void only_ops_stand_in_a_run(void)
{
    const struct clv_replay_key key = {.owner = &device};
    struct guarded x = guarded_input(device, 2, 3, 1, &(uint64_t){1});
    struct clv_buffer *buffer = NULL;
    for (int round = 0; round < 4; round++) {
        float host[2] = {5, 5};
        for (bool calls = clv_device_replay_begin(device, &key); calls;
             calls = clv_device_replay_end(device)) {
            CHECK_ERROR(clv_buffer_create(&buffer, device, 16), CLV_EINVAL, "within a replay");
            CHECK(buffer == NULL);
            CHECK_ERROR(clv_device_sync(device), CLV_EINVAL, "within a replay");
            clv_device_read(device, host, x.tensor.data, sizeof host);
            clv_device_write(device, x.tensor.data, host, sizeof host);
        }
        CHECK(host[0] == 0 && host[1] == 0);
        CHECK_ERROR(clv_device_sync(device), CLV_EINVAL, "reading within a replay");
        CHECK_OK(clv_device_sync(device));
    }
    guarded_check_unchanged(&x);
    CHECK_INT(clv_device_replay_count(device), 0);
    guarded_free(&x);
}

/* A little of everything that ops take: rows picked by host indices, through a linear layer whose
 * result goes to scratch before it is added to its own residual. */
enum { ROWS_MAX = 48, WIDTH = 64 };
struct run {
    struct guarded x, weight, bias, picked, out;
    struct clv_weight prepared;
    int32_t indices[ROWS_MAX];
};

static void call(struct run *run, int count)
{
    const struct clv_tensor picked = clv_tensor_rows(run->picked.tensor, 0, count);
    const struct clv_tensor out = clv_tensor_rows(run->out.tensor, 0, count);
    for (int i = 0; i < count; i++)
        run->indices[i] = (i * 7 + count) % ROWS_MAX; /* a function of the key */
    clv_gather_rows(device, picked, run->x.tensor, run->indices);
    clv_copy(device, out, picked);
    clv_linear(device, out, picked, &run->prepared, run->bias.tensor.data, CLV_ACTIVATION_GELU,
               out);
    memset(run->indices, 0x7f, sizeof run->indices); /* read when the ops have returned */
}

/* Calls the run, or lets it be played back, and checks that both write the same bits. */
static void check_run(struct run *run, int count)
{
    const struct clv_replay_key key = {.owner = run, .pass = 9, .count = count};
    static float want[ROWS_MAX * WIDTH];
    call(run, count);
    guarded_read(&run->out);
    for (int r = 0; r < count; r++)
        memcpy(want + (size_t)r * WIDTH, guarded_at(&run->out, r, 0), WIDTH * sizeof *want);
    clv_fill(device, clv_tensor_rows(run->out.tensor, 0, count), 77);
    for (bool calls = clv_device_replay_begin(device, &key); calls;
         calls = clv_device_replay_end(device))
        call(run, count);
    guarded_read(&run->out);
    for (int r = 0; r < count; r++)
        CHECK_INT(
            memcmp(want + (size_t)r * WIDTH, guarded_at(&run->out, r, 0), WIDTH * sizeof *want), 0);
}

static void run_open(struct run *run)
{
    uint64_t seed = 3;
    run->x = guarded_input(device, ROWS_MAX, WIDTH, 1, &seed);
    run->weight = guarded_input(device, WIDTH, WIDTH, 0.2, &seed);
    run->bias = guarded_input(device, 1, WIDTH, 1, &seed);
    run->picked = guarded_output(device, ROWS_MAX, WIDTH);
    run->out = guarded_output(device, ROWS_MAX, WIDTH);
    clv_weight_prepare(device, &run->prepared, run->weight.tensor, CLV_WEIGHT_OUT_IN);
}

static void run_close(struct run *run)
{
    struct guarded *all[] = {&run->x, &run->weight, &run->bias, &run->picked, &run->out};
    clv_weight_release(&run->prepared);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

/* Other numbers, and other weights, at the same addresses. */
static void change(struct run *run, int round)
{
    for (int r = 0; r < ROWS_MAX; r++)
        *guarded_at(&run->x, r, round % WIDTH) += 1;
    *guarded_at(&run->weight, round % WIDTH, 3) = (float)round;
    guarded_write(&run->x);
    guarded_write(&run->weight);
}

/* A linear layer that needs more scratch than any run before, which moves it. */
enum { BIG_ROWS = 3000, BIG_WIDTH = 512 };
struct big {
    struct guarded x, weight, out;
    struct clv_weight prepared;
};

static void big_open(struct big *big)
{
    uint64_t seed = 4;
    big->x = guarded_input(device, BIG_ROWS, BIG_WIDTH, 1, &seed);
    big->weight = guarded_input(device, BIG_WIDTH, BIG_WIDTH, 1, &seed);
    big->out = guarded_output(device, BIG_ROWS, BIG_WIDTH);
    clv_weight_prepare(device, &big->prepared, big->weight.tensor, CLV_WEIGHT_OUT_IN);
}

static void big_run(struct big *big)
{
    clv_fill(device, big->out.tensor, 1);
    clv_linear(device, big->out.tensor, big->x.tensor, &big->prepared, NULL, CLV_ACTIVATION_GELU,
               big->out.tensor);
    CHECK_OK(clv_device_sync(device));
}

static void big_close(struct big *big)
{
    clv_weight_release(&big->prepared);
    guarded_free(&big->x);
    guarded_free(&big->weight);
    guarded_free(&big->out);
}

static void played_back_is_what_was_called(void)
{
    static struct run run;
    struct big big;
    const int64_t before = clv_device_replay_count(device);
    run_open(&run);
    big_open(&big);
    for (int round = 0; round < 24; round++) {
        static const int counts[] = {ROWS_MAX, 1, 17, ROWS_MAX};
        check_run(&run, counts[round % 4]);
        change(&run, round);
        if (round == 6)
            big_run(&big);
        if (round == 12)
            big_close(&big);
    }
    /* Of 7 runs of three sizes 3 are called, 3 recorded; of the 6 after scratch moved 3 are
     * recorded; freeing makes all of them new for the last 11. */
    const int64_t played = clv_device_replay_count(device) - before;
    CHECK_INT(played, is_cuda() ? (7 - 6) + (6 - 3) + (11 - 6) : 0);
    run_close(&run);
    CHECK_OK(clv_device_sync(device));
}

/* Host arrays too long for a recording: called each time, and nobody notices. */
static void what_cannot_be_recorded_is_called(void)
{
    enum { LONG = 40000 };
    const struct clv_replay_key key = {.owner = &key};
    const int64_t before = clv_device_replay_count(device);
    struct guarded x = guarded_input(device, 9, 2, 1, &(uint64_t){5});
    struct guarded out = guarded_output(device, LONG, 2);
    int32_t *indices = malloc(LONG * sizeof *indices);
    REQUIRE(indices != NULL);
    for (int i = 0; i < LONG; i++)
        indices[i] = i % 9;
    for (int round = 0; round < 4; round++) {
        clv_fill(device, out.tensor, -1);
        for (bool calls = clv_device_replay_begin(device, &key); calls;
             calls = clv_device_replay_end(device))
            clv_gather_rows(device, out.tensor, x.tensor, indices);
        guarded_read(&out);
        int wrong = 0;
        for (int i = 0; i < LONG; i++)
            wrong += *guarded_at(&out, i, 1) != *guarded_at(&x, i % 9, 1);
        CHECK_INT(wrong, 0);
        CHECK_OK(clv_device_sync(device));
    }
    CHECK_INT(clv_device_replay_count(device) - before, 0);
    free(indices);
    guarded_free(&x);
    guarded_free(&out);
}

/* A failure from before is neither lost nor taken for one of the run's. */
static void earlier_failures_are_kept(void)
{
    static struct run run;
    run_open(&run);
    for (int round = 0; round < 4; round++) {
        const struct clv_replay_key key = {.owner = &run, .pass = 8};
        clv_device_fail(device, clv_fail(CLV_ENOMEM, "the first"));
        for (bool calls = clv_device_replay_begin(device, &key); calls;
             calls = clv_device_replay_end(device))
            call(&run, 5);
        CHECK_ERROR(clv_device_sync(device), CLV_ENOMEM, "the first");
    }
    run_close(&run);
}

static void off_is_off(void)
{
    struct clv_device *mine = device;
    static struct run run;
    const struct clv_device_options options = {.kind = clv_device_kind(mine), .no_replay = true};
    REQUIRE_OK(clv_device_open(&device, &options));
    run_open(&run);
    for (int round = 0; round < 4; round++)
        check_run(&run, 6);
    CHECK_INT(clv_device_replay_count(device), 0);
    run_close(&run);
    clv_device_close(device);
    device = mine;
}

static void on_a_device(void)
{
    T_RUN(only_ops_stand_in_a_run);
    T_RUN(played_back_is_what_was_called);
    T_RUN(what_cannot_be_recorded_is_called);
    T_RUN(earlier_failures_are_kept);
    T_RUN(off_is_off);
}

int main(void)
{
    T_RUN(runs_are_called_recorded_and_played);
    T_RUN(every_part_of_a_key_tells);
    T_RUN(what_fails_is_called_for_good);
    T_RUN(the_least_recently_used_goes);
    T_RUN(moving_memory_records_anew);
    return t_each_device(&device, NULL, on_a_device);
}
