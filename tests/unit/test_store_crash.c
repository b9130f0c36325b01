/* Kills at random instants, several processes at once, locks, full disks, damaged and read-only
 * databases.
 *
 * What trains or reads vector indexes runs in processes of its own: OpenMP's threads do not survive
 * a fork, so the parent must never have started them. */
#include "storage/store.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/file.h"
#include "tests/t.h"
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VIDEO_COUNT = 24, SEGMENT_COUNT = 30, FLAT_MAX = 200 };

static void path_of(char out[64], int video)
{
    snprintf(out, 64, "/v/%03d.mp4", video);
}

static void sleep_us(long time_us)
{
    nanosleep(&(struct timespec){time_us / 1000000, time_us % 1000000 * 1000}, NULL);
}

/* What an indexing run does: puts what is not there yet, now and then refreshing. Ends the process
 * on failure. */
static void index_all(const char *directory)
{
    struct clv_store *store = NULL;
    struct clv_store_options options = {.create = true, .flat_max = FLAT_MAX};
    struct clv_model_row model = {.name = "model", .dim = FIXTURE_DIM, .frame_count = 8};
    memset(model.digest, 1, sizeof model.digest);
    int status = clv_store_open(&store, directory, &options);
    if (status == CLV_OK)
        status = clv_store_model_put(store, &model);
    for (int i = 0; i < VIDEO_COUNT && status == CLV_OK; i++) {
        char path[64];
        struct clv_video_row row = {0};
        path_of(path, i);
        if (clv_store_video_by_path(store, &row, path, model.id) != CLV_OK ||
            row.segment_count == 0)
            status = fixture_put(store, path, model.id, (uint64_t)i, SEGMENT_COUNT, NULL);
        clv_video_row_release(&row);
        if (status == CLV_OK && i % 6 == 5)
            status = clv_store_refresh(store, NULL);
    }
    if (status != CLV_OK)
        fprintf(stderr, "indexing: %s\n", clv_error_message());
    clv_store_close(store);
    _exit(status != CLV_OK);
}

/* All videos and segments without ids and times of day. */
static char *dump(const char *directory)
{
    struct clv_bytes text = {0};
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    static const char sql[] =
        "SELECT v.path || '|' || hex(v.digest) || '|' || v.size_bytes || '|' || v.status || '|' || "
        "v.duration_ticks || '|' || m.name || '|' || c.settings || '|' || s.start_ticks || '|' || "
        "s.end_ticks || '|' || s.shot || '|' || s.norm || '|' || hex(x.half) FROM video v JOIN "
        "coverage c ON c.video_id = v.id JOIN model m ON m.id = c.model_id JOIN segment s ON "
        "s.video_id = v.id AND s.model_id = m.id JOIN vector x ON x.segment_id = s.id ORDER BY 1";
    if (sqlite3_open(t_path(directory, "catalog.sqlite"), &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK)
        while (sqlite3_step(s) == SQLITE_ROW)
            clv_bytes_format(&text, "%s\n", sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return text.data;
}

/* Runs `work` in a child; its failed checks are this test's. */
static void apart(void (*work)(const char *directory), const char *directory)
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        work(directory);
        fflush(stdout);
        _exit(t_failed());
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
}

static void check_now(const char *directory)
{
    struct clv_store *store = NULL;
    struct clv_store_options options = {.create = true, .flat_max = FLAT_MAX};
    struct clv_store_status status;
    REQUIRE_OK(clv_store_open(&store, directory, &options));
    CHECK_INT(fixture_problems(store, true), 0);
    CHECK_OK(clv_store_status(store, &status));
    CHECK_INT(status.segment_count, status.video_count * SEGMENT_COUNT); /* whole videos only */
    if (status.video_count > 0)
        fixture_compare(store, 1, 7, 10, NULL);
    clv_store_close(store);
}

static void check_state(const char *directory)
{
    apart(check_now, directory);
}

/* One video of 300 segments and its index. */
static void make_small(const char *directory)
{
    struct clv_store *store = fixture_open(directory, FLAT_MAX);
    REQUIRE(store != NULL);
    CHECK_OK(fixture_put(store, "/v/a", fixture_model(store, 0, FIXTURE_DIM), 1, 300, NULL));
    CHECK_OK(clv_store_refresh(store, NULL));
    clv_store_close(store);
}

static void killed_often_equals_unbroken(void)
{
    const char *broken = t_directory(), *unbroken = t_directory();
    uint64_t seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    int kills = 0, finished = 0;
    while (kills < 50 && !t_failed()) {
        pid_t child = fork();
        if (child == 0)
            index_all(broken);
        sleep_us((long)(t_uniform(&seed) * 40000));
        kill(child, SIGKILL);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        kills += WIFSIGNALED(status);
        if (WIFEXITED(status)) { /* done before it could be killed: lose some and go on */
            struct clv_store *store = fixture_open(broken, FLAT_MAX);
            finished++;
            for (int i = 0; i < VIDEO_COUNT && store; i++) {
                char path[64];
                struct clv_video_row row = {0};
                path_of(path, i);
                if (i % 3 == finished % 3 &&
                    clv_store_video_by_path(store, &row, path, 0) == CLV_OK)
                    CHECK_OK(clv_store_video_forget(store, row.id));
                clv_video_row_release(&row);
            }
            clv_store_close(store);
        }
        if (kills % 5 == 0)
            check_state(broken);
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0)
            index_all(i ? broken : unbroken);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_INT(status, 0);
    }
    check_state(broken);
    char *a = dump(broken), *b = dump(unbroken);
    REQUIRE(a && b);
    CHECK(strcmp(a, b) == 0);
    CHECK(strlen(a) > VIDEO_COUNT * SEGMENT_COUNT * 4 * FIXTURE_DIM);
    free(a);
    free(b);
    /* One cache file; temporaries of killed writers wait for their age. */
    CHECK(fixture_cache_file(broken) != NULL);
}

/* ---- several processes ---- */

struct board {
    int stop; /* written before the readers are told by a signal-free poll */
    int searches[2];
    int failures;
};

/* Every hit must be whole: a segment of a video that is there, with the score it should have. */
static void search_on(const char *directory, volatile struct board *board, int reader)
{
    struct clv_store *store = NULL;
    struct clv_store_options options = {.read_only = reader == 1, .flat_max = FLAT_MAX};
    uint64_t seed = (uint64_t)reader + 40;
    int64_t lowest = 0;
    while (!board->stop) {
        struct clv_hit hits[10];
        float vector[FIXTURE_DIM];
        int count = 0;
        if (board->searches[reader] % 10 == 0) {
            clv_store_close(store);
            if (clv_store_open(&store, directory, &options) != CLV_OK) {
                fprintf(stderr, "reader %d: %s\n", reader, clv_error_message());
                board->failures++;
                _exit(1);
            }
        }
        struct clv_store_status status;
        fixture_vector(vector, FIXTURE_DIM, &seed, (int)(seed & 15));
        if (clv_store_status(store, &status) != CLV_OK ||
            clv_store_search(store, hits, &count, 1, vector, 10, NULL) != CLV_OK ||
            count != (status.segment_count < 10 ? count : 10) || status.segment_count < lowest) {
            fprintf(stderr, "reader %d: %d hits of %lld: %s\n", reader, count,
                    (long long)status.segment_count, clv_error_message());
            board->failures++;
        }
        lowest = status.segment_count;
        for (int i = 1; i < count; i++)
            board->failures += hits[i - 1].score < hits[i].score;
        board->searches[reader]++;
    }
    clv_store_close(store);
    _exit(0);
}

static void two_search_while_one_indexes(void)
{
    const char *directory = t_directory();
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(board != MAP_FAILED);
    memset(board, 0, sizeof *board);
    struct clv_store *store = fixture_open(directory, FLAT_MAX);
    REQUIRE(store != NULL);
    fixture_model(store, 0, FIXTURE_DIM);
    clv_store_close(store);
    pid_t readers[2], writer;
    for (int i = 0; i < 2; i++) {
        readers[i] = fork();
        if (readers[i] == 0)
            search_on(directory, board, i);
    }
    for (int round = 0; round < 2; round++) {
        int status = -1;
        writer = fork();
        if (writer == 0)
            index_all(directory);
        CHECK(waitpid(writer, &status, 0) == writer);
        CHECK_INT(status, 0);
    }
    while (board->searches[0] + board->searches[1] < 20 && !board->failures)
        sleep_us(1000);
    board->stop = 1;
    for (int i = 0; i < 2; i++) {
        int status = -1;
        CHECK(waitpid(readers[i], &status, 0) == readers[i]);
        CHECK_INT(status, 0);
        CHECK(board->searches[i] > 0);
    }
    CHECK_INT(board->failures, 0);
    printf("searches beside the writer: %d and %d\n", board->searches[0], board->searches[1]);
    munmap(board, sizeof *board);
    check_state(directory);
}

static void second_writer_is_told(void)
{
    const char *directory = t_directory();
    struct clv_store *first = fixture_open(directory, 0), *second = NULL;
    REQUIRE(first != NULL);
    int64_t model = fixture_model(first, 0, FIXTURE_DIM);
    CHECK_OK(fixture_put(first, "/v/a", model, 1, 5, NULL));
    sqlite3 *db = NULL;
    REQUIRE(sqlite3_open(t_path(directory, "catalog.sqlite"), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
    struct clv_store_options impatient = {.busy_timeout_ms = 30};
    REQUIRE_OK(clv_store_open(&second, directory, &impatient));
    CHECK_ERROR(fixture_put(second, "/v/b", model, 2, 5, NULL), CLV_EBUSY, "another process");
    CHECK_ERROR(clv_store_refresh(second, NULL), CLV_EBUSY, "another process");
    fixture_compare(second, model, 1, 10, NULL);
    float vector[FIXTURE_DIM] = {1};
    CHECK_OK(clv_store_prompt_put(second, model, "x", vector, FIXTURE_DIM)); /* not worth a wait */
    CHECK(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    CHECK_OK(fixture_put(second, "/v/b", model, 2, 5, NULL));
    CHECK_INT(fixture_problems(first, true), 0);
    clv_store_close(first);
    clv_store_close(second);
}

/* ---- what goes wrong with disks ---- */

/* A file-size limit stands in for a full disk. */
static void fill_disk(const char *directory)
{
    struct clv_file_facts facts;
    REQUIRE_OK(clv_file_facts(&facts, t_path(directory, "catalog.sqlite")));
    struct rlimit limit = {(rlim_t)facts.size_bytes + 40000, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    struct clv_store *store = fixture_open(directory, FLAT_MAX);
    REQUIRE(store != NULL);
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_ERROR(fixture_put(store, "/v/b", 1, 2, 3000, NULL), CLV_EIO, "catalog.sqlite");
    limit.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_ERROR(clv_store_rebuild(store, NULL), CLV_EIO, "vectors-");
    fixture_compare(store, 1, 1, 10, NULL); /* in the same handle, still right */
    clv_store_close(store);
}

static void check_small(const char *directory)
{
    struct clv_store_status counts;
    struct clv_store *store = fixture_open(directory, FLAT_MAX);
    REQUIRE(store != NULL);
    CHECK_INT(fixture_problems(store, true), 0);
    CHECK_OK(clv_store_status(store, &counts));
    CHECK_INT(counts.segment_count, 300);
    fixture_compare(store, 1, 3, 10, NULL);
    clv_store_close(store);
}

static void full_disk_loses_nothing(void)
{
    const char *directory = t_directory();
    apart(make_small, directory);
    apart(fill_disk, directory);
    apart(check_small, directory);
}

static void use_read_only(const char *directory)
{
    for (int i = 0; i < 2; i++) {
        struct clv_store *store = NULL;
        struct clv_store_options options = {.read_only = i == 1, .flat_max = FLAT_MAX};
        REQUIRE_OK(clv_store_open(&store, directory, &options));
        fixture_compare(store, 1, 1, 10, NULL);
        CHECK_ERROR(fixture_put(store, "/v/b", 1, 2, 3, NULL), CLV_EIO, "reading only");
        CHECK_INT(fixture_problems(store, true), 0);
        clv_store_close(store);
    }
    struct clv_store *store = NULL;
    struct clv_store_options create = {.create = true};
    CHECK_ERROR(clv_store_open(&store, t_path(directory, "sub"), &create), CLV_EIO, "sub");
}

static void read_only_folders_can_be_searched(void)
{
    const char *directory = t_directory();
    apart(make_small, directory);
    CHECK(chmod(directory, 0555) == 0);
    CHECK(chmod(t_path(directory, "catalog.sqlite"), 0444) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        /* Modes do not bind root. */
        bool bound = geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
        if (!bound || access(directory, R_OK | X_OK) != 0)
            _exit(77);
        use_read_only(directory);
        fflush(stdout);
        _exit(t_failed());
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(chmod(directory, 0755) == 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        t_skip("cannot become a user that file modes bind");
    else
        CHECK_INT(status, 0);
}

static int64_t catalog_size(const char *directory)
{
    struct clv_file_facts facts = {0};
    CHECK_OK(clv_file_facts(&facts, t_path(directory, "catalog.sqlite")));
    return facts.size_bytes;
}

static void damaged_catalogs_are_named(void)
{
    for (int part = 0; part < 4; part++) {
        const char *directory = t_directory();
        const char *path = t_path(directory, "catalog.sqlite");
        struct clv_store *store = fixture_open(directory, FLAT_MAX);
        REQUIRE(store != NULL);
        int64_t model = fixture_model(store, 0, FIXTURE_DIM);
        CHECK_OK(fixture_put(store, "/v/a", model, 1, 600, NULL));
        clv_store_close(store);
        int64_t size = catalog_size(directory);
        int descriptor = open(path, O_RDWR);
        REQUIRE(descriptor >= 0);
        static const char junk[16384];
        if (part == 0)
            CHECK(ftruncate(descriptor, size / 2) == 0);
        else if (part == 1)
            CHECK(ftruncate(descriptor, 16384) == 0);
        else if (part == 2)
            CHECK(ftruncate(descriptor, 90) == 0);
        else
            for (int64_t at = 16384; at < size; at += 16384)
                CHECK(pwrite(descriptor, junk, sizeof junk, at) == sizeof junk);
        close(descriptor);
        store = NULL;
        int status = clv_store_open(&store, directory, NULL);
        struct clv_hit hits[10];
        int count = 0;
        float vector[FIXTURE_DIM] = {1};
        if (status == CLV_OK) {
            int64_t problems = fixture_problems(store, false);
            CHECK(problems != 0);
            status = clv_store_search(store, hits, &count, model, vector, 10, NULL);
        }
        CHECK_ERROR(status, CLV_ECORRUPT, path);
        clv_store_close(store);
    }
}

int main(void)
{
    T_RUN(killed_often_equals_unbroken);
    T_RUN(two_search_while_one_indexes);
    T_RUN(second_writer_is_told);
    T_RUN(full_disk_loses_nothing);
    T_RUN(read_only_folders_can_be_searched);
    T_RUN(damaged_catalogs_are_named);
    return t_end();
}
