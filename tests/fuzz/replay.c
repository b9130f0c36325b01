/* Runs a fuzz target over the files of a corpus directory, so that the corpus is part of the suite
 * and gcc can build it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return -1;
    long size = ftell(file);
    rewind(file);
    /* An exact-size copy lets ASan see reads past the end. */
    uint8_t *data = size >= 0 ? malloc(size > 0 ? (size_t)size : 1) : NULL;
    int failed = !data || fread(data, 1, (size_t)size, file) != (size_t)size;
    fclose(file);
    if (!failed)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    int count = 0, failed = 0;
    DIR *directory = argc > 1 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        failed += replay(path) != 0;
        count++;
    }
    if (directory)
        closedir(directory);
    const char *name = argc > 1 ? argv[1] : "(none)";
    if (count == 0 || failed)
        printf("FAIL corpus %s: %d files, %d unreadable\n", name, count, failed);
    else
        printf("ok corpus %s (%d files)\n", name, count);
    return count == 0 || failed;
}
