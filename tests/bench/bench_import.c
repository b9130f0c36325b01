/* An import of a full-size ViT-L/14 checkpoint (0.9 GB, as OpenAI publishes it), each run in a
 * process of its own, against the limit: a plain copy of as many bytes with fsync, in the same run.
 * Says the peak memory of the import over the file's size.
 *
 *   bench_import [CHECKPOINT [RUNS]]
 *
 * Without a checkpoint tests/bench/import_torch.py writes one with PyTorch and is timed reading it
 * (torch.load); where that is not installed the benchmark says so and measures nothing. */
#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"
#include "core/model/import.h"
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define RUN_COUNT 3
#define COPY_BYTES ((size_t)4 << 20)

struct place {
    char folder[PATH_SIZE - 64];
    char checkpoint[PATH_SIZE], target[PATH_SIZE];
    bool is_ours; /* the checkpoint was written here */
};

static bool say(const char *what)
{
    fprintf(stderr, "bench_import: %s: %s\n", what, clv_error_message());
    return false;
}

/* ---- the two things measured ----------------------------------------------------------------- */

static bool import(const struct place *place)
{
    return clv_import(place->checkpoint, place->target, NULL, NULL) == CLV_OK || say("import");
}

static bool copy(const struct place *place)
{
    int source = open(place->checkpoint, O_RDONLY | O_CLOEXEC);
    int target = open(place->target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char *piece = malloc(COPY_BYTES);
    bool ok = source >= 0 && target >= 0 && piece;
    for (ssize_t size = 1; ok && size > 0;) {
        size = read(source, piece, COPY_BYTES);
        ok = size >= 0 && write(target, piece, (size_t)size) == size;
    }
    ok = ok && fsync(target) == 0;
    close(source);
    close(target);
    free(piece);
    return ok;
}

/* Runs `work` in a child; false where it failed. */
static bool run(bool (*work)(const struct place *place), const struct place *place,
                double *seconds_out, double *peak_bytes_out)
{
    struct rusage usage;
    int status = 0;
    (void)unlink(place->target);
    double started = clv_clock_seconds();
    pid_t child = fork();
    if (child == 0)
        _exit(work(place) ? 0 : 1);
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return false;
    *seconds_out = clv_clock_seconds() - started;
    *peak_bytes_out = 1024.0 * (double)usage.ru_maxrss;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool measure(const char *name, bool (*work)(const struct place *place),
                    const struct place *place, int run_count, double size_bytes, double *best)
{
    struct bench bench;
    double seconds, peak_bytes, peak_max = 0;
    bench_begin(&bench, "import", name);
    /* The first run brings the file into the page cache. */
    for (int i = 0; i <= run_count; i++) {
        if (!run(work, place, &seconds, &peak_bytes)) {
            bench_text(&bench, "failed", "yes");
            bench_end(&bench);
            return false;
        }
        if (i > 0)
            bench_sample(&bench, seconds);
        peak_max = peak_bytes > peak_max ? peak_bytes : peak_max;
    }
    bench_number(&bench, "file_mb", size_bytes / 1e6);
    bench_number(&bench, "mb_per_s", size_bytes / 1e6 / bench_min(&bench));
    bench_number(&bench, "peak_mb", peak_max / 1e6);
    bench_number(&bench, "peak_over_file", peak_max / size_bytes);
    if (*best > 0)
        bench_number(&bench, "over_plain_copy", bench_min(&bench) / *best);
    *best = bench_min(&bench);
    bench_end(&bench);
    return true;
}

/* ---- the checkpoint -------------------------------------------------------------------------- */

/* Runs the script; false where it or PyTorch is missing. */
static bool script(const char *flag, const char *path)
{
    fflush(stdout);
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        execlp("python3", "python3", "tests/bench/import_torch.py", flag, path, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool settle(struct place *place, const char *checkpoint)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(place->folder, sizeof place->folder, "%.3000s/claverdb-import-XXXXXX",
             temporary ? temporary : "/tmp");
    if (!mkdtemp(place->folder))
        return say(place->folder);
    snprintf(place->target, sizeof place->target, "%s/model.safetensors", place->folder);
    if (checkpoint) {
        snprintf(place->checkpoint, sizeof place->checkpoint, "%s", checkpoint);
        return true;
    }
    snprintf(place->checkpoint, sizeof place->checkpoint, "%s/ViT-L-14.pt", place->folder);
    place->is_ours = true;
    return script("--write", place->checkpoint);
}

static void clear(const struct place *place)
{
    (void)unlink(place->target);
    if (place->is_ours)
        (void)unlink(place->checkpoint);
    (void)rmdir(place->folder);
}

int main(int argc, char **argv)
{
    struct place place = {.is_ours = false};
    struct clv_file_facts facts;
    int run_count = argc > 2 ? atoi(argv[2]) : RUN_COUNT;
    double copied = 0, imported;
    if (run_count < 1) {
        fprintf(stderr, "usage: bench_import [CHECKPOINT [RUNS]]\n");
        return 2;
    }
    if (!settle(&place, argc > 1 ? argv[1] : NULL)) {
        fprintf(stderr, "bench_import: no PyTorch to write a checkpoint with; name one\n");
        clear(&place);
        return 0;
    }
    bool ok = clv_file_facts(&facts, place.checkpoint) == CLV_OK || say("the checkpoint");
    ok = ok && measure("plain copy with fsync", copy, &place, run_count, (double)facts.size_bytes,
                       &copied);
    imported = copied;
    ok = ok && measure("import", import, &place, run_count, (double)facts.size_bytes, &imported);
    if (ok && place.is_ours)
        ok = script("--load", place.checkpoint);
    clear(&place);
    return ok ? 0 : 1;
}
