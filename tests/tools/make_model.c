/* Writes a random model of a named size.
 *   make_model OUT --arch vit-b-32 [--frames 8] [--mask kmt|kmct] [--clip] [--dtype f32|f16|bf16]
 *              [--seed 1] [--vocab-size N] */
#include "core/error.h"
#include "tests/model/random_model.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct option options[] = {
    {"arch", required_argument, NULL, 'a'},       {"frames", required_argument, NULL, 'f'},
    {"mask", required_argument, NULL, 'm'},       {"clip", no_argument, NULL, 'c'},
    {"dtype", required_argument, NULL, 'd'},      {"seed", required_argument, NULL, 's'},
    {"vocab-size", required_argument, NULL, 'v'}, {NULL, 0, NULL, 0},
};

static int usage(void)
{
    fprintf(stderr, "usage: make_model OUT --arch vit-b-32|vit-b-16|vit-l-14|tiny [--frames N]"
                    " [--mask kmt|kmct] [--clip] [--dtype f32|f16|bf16] [--seed N]"
                    " [--vocab-size N]\n");
    return 2;
}

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcasecmp(names[i], name) == 0)
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    static const char *const masks[] = {"kmt", "kmct"}, *const dtypes[] = {"f32", "f16", "bf16"};
    struct clv_model_config config;
    struct random_model_options model = {.seed = 1};
    const char *arch = "tiny";
    int frames = 8, mask = 0, dtype = 0, vocabulary = 0, letter;
    bool is_clip = false;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (letter) {
        case 'a':
            arch = optarg;
            break;
        case 'f':
            frames = (int)strtol(optarg, NULL, 10);
            break;
        case 'm':
            mask = find(masks, 2, optarg);
            break;
        case 'c':
            is_clip = true;
            break;
        case 'd':
            dtype = find(dtypes, 3, optarg);
            break;
        case 's':
            model.seed = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            vocabulary = (int)strtol(optarg, NULL, 10);
            break;
        default:
            return usage();
        }
    }
    if (optind != argc - 1 || mask < 0 || dtype < 0 || frames < 1 || vocabulary < 0 ||
        !random_model_arch(&config, arch, frames, mask ? CLV_MASK_KMCT : CLV_MASK_KMT, is_clip))
        return usage();
    model.dtype = (enum clv_dtype[]){CLV_F32, CLV_F16, CLV_BF16}[dtype];
    if (vocabulary)
        config.vocabulary_size = vocabulary;
    if (random_model_write(argv[optind], &config, &model) != CLV_OK) {
        fprintf(stderr, "make_model: %s\n", clv_error_message());
        return 1;
    }
    return 0;
}
