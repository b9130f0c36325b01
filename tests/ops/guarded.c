/* Guarded tensors, and opening each variant of the backends. */
#include "tests/ops/guarded.h"

#include "tests/devices.h"
#include "tests/t.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PADDING 5 /* unused floats behind each row: odd, so rows are rarely aligned */
#define MARGIN 67 /* floats before and behind the tensor */
#define UNIT 8    /* numbers of a vector load: 16 bytes of bfloat16 */
#define SENTINEL 12345.678f

static bool is_aligned;

void guarded_align(bool aligned)
{
    is_aligned = aligned;
}

static size_t whole_units(size_t count)
{
    return is_aligned ? (count + UNIT - 1) / UNIT * UNIT : count;
}

float guarded_rounded(enum clv_type type, float x)
{
    uint32_t bits;
    if (type != CLV_TYPE_BF16 || isnan(x))
        return x;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void *need(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    if (!memory) {
        printf("FAIL out of memory for a test tensor\n");
        exit(1);
    }
    return memory;
}

static struct guarded create(enum clv_type type, struct clv_device *device, int rows, int cols,
                             float around)
{
    const size_t margin = whole_units(MARGIN);
    struct guarded g = {.device = device, .first = margin};
    ptrdiff_t stride = (ptrdiff_t)whole_units((size_t)cols + PADDING);
    g.float_count = 2 * margin + (size_t)rows * (size_t)stride;
    g.host = need(g.float_count * sizeof *g.host);
    if (clv_buffer_create(&g.buffer, device, g.float_count * clv_type_bytes(type)) != 0) {
        printf("FAIL out of memory for a test tensor\n");
        exit(1);
    }
    g.tensor = clv_tensor_of(type, clv_buffer_data(g.buffer), rows, cols);
    g.tensor.data = (float *)clv_tensor_at(g.tensor, (ptrdiff_t)margin);
    g.tensor.stride = stride;
    for (size_t i = 0; i < g.float_count; i++)
        g.host[i] = guarded_rounded(type, around);
    return g;
}

struct guarded guarded_input_of(enum clv_type type, struct clv_device *device, int rows, int cols,
                                double scale, uint64_t *seed)
{
    struct guarded g = create(type, device, rows, cols, NAN);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            *guarded_at(&g, r, c) = guarded_rounded(type, (float)(scale * t_normal(seed)));
    guarded_write(&g);
    return g;
}

struct guarded guarded_input(struct clv_device *device, int rows, int cols, double scale,
                             uint64_t *seed)
{
    return guarded_input_of(CLV_TYPE_FP32, device, rows, cols, scale, seed);
}

struct guarded guarded_output_of(enum clv_type type, struct clv_device *device, int rows, int cols)
{
    struct guarded g = create(type, device, rows, cols, SENTINEL);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            *guarded_at(&g, r, c) = NAN;
    guarded_write(&g);
    return g;
}

struct guarded guarded_output(struct clv_device *device, int rows, int cols)
{
    return guarded_output_of(CLV_TYPE_FP32, device, rows, cols);
}

void guarded_free(struct guarded *g)
{
    clv_buffer_free(g->buffer);
    free(g->host);
    *g = (struct guarded){0};
}

float *guarded_at(struct guarded *g, int row, int col)
{
    return g->host + g->first + row * g->tensor.stride + col;
}

void guarded_write(struct guarded *g)
{
    const size_t bytes = clv_type_bytes(g->tensor.type);
    unsigned char *stored = need(g->float_count * bytes);
    for (size_t i = 0; i < g->float_count; i++) {
        uint32_t bits;
        memcpy(&bits, &g->host[i], sizeof bits);
        const uint16_t half = (uint16_t)(bits >> 16);
        memcpy(stored + i * bytes, bytes == sizeof half ? (const void *)&half : &bits, bytes);
    }
    clv_device_write(g->device, clv_buffer_data(g->buffer), stored, g->float_count * bytes);
    free(stored);
}

static float *read_all(struct guarded *g)
{
    const size_t bytes = clv_type_bytes(g->tensor.type);
    unsigned char *stored = need(g->float_count * bytes);
    float *now = need(g->float_count * sizeof *now);
    clv_device_read(g->device, stored, clv_buffer_data(g->buffer), g->float_count * bytes);
    CHECK_OK(clv_device_sync(g->device));
    for (size_t i = 0; i < g->float_count; i++) {
        uint32_t bits = 0;
        uint16_t half;
        memcpy(bytes == sizeof half ? (void *)&half : &bits, stored + i * bytes, bytes);
        if (bytes == sizeof half)
            bits = (uint32_t)half << 16;
        memcpy(&now[i], &bits, sizeof bits);
    }
    free(stored);
    return now;
}

void guarded_read(struct guarded *g)
{
    float *now = read_all(g);
    size_t touched = 0;
    for (size_t i = 0; i < g->float_count; i++) {
        ptrdiff_t at = (ptrdiff_t)i - (ptrdiff_t)g->first;
        bool is_inside = at >= 0 && at < g->tensor.rows * g->tensor.stride &&
                         at % g->tensor.stride < g->tensor.cols;
        if (!is_inside && memcmp(now + i, g->host + i, sizeof *now) != 0)
            touched++;
    }
    CHECK_INT(touched, 0);
    free(g->host);
    g->host = now;
}

void guarded_check_unchanged(struct guarded *g)
{
    float *now = read_all(g);
    CHECK(memcmp(now, g->host, g->float_count * sizeof *now) == 0);
    free(now);
}

void guarded_check(struct guarded *g, const double *want, double limit)
{
    guarded_read(g);
    double worst = -1.0;
    int worst_row = 0, worst_col = 0;
    for (int r = 0; r < g->tensor.rows; r++)
        for (int c = 0; c < g->tensor.cols; c++) {
            double w = want[(size_t)r * (size_t)g->tensor.cols + (size_t)c];
            double error = fabs(*guarded_at(g, r, c) - w) / (1.0 + fabs(w));
            if (!(error <= worst)) { /* NaN is the worst of all */
                worst = error;
                worst_row = r;
                worst_col = c;
            }
            if (isnan(error))
                r = g->tensor.rows - 1, c = g->tensor.cols;
        }
    if (!(worst <= limit))
        t_fail(__FILE__, __LINE__, "row %d col %d is %.9g, want %.9g: error %.3g over %.3g",
               worst_row, worst_col, (double)*guarded_at(g, worst_row, worst_col),
               want[(size_t)worst_row * (size_t)g->tensor.cols + (size_t)worst_col], worst, limit);
}

const struct variant variants[5] = {{CLV_DEVICE_CPU, CLV_VARIANT_PLAIN, false, "plain"},
                                    {CLV_DEVICE_CPU, CLV_VARIANT_AVX2, false, "avx2"},
                                    {CLV_DEVICE_CPU, CLV_VARIANT_AVX512, false, "avx512"},
                                    {CLV_DEVICE_CUDA, CLV_VARIANT_BEST, false, "cuda"},
                                    {CLV_DEVICE_CUDA, CLV_VARIANT_BEST, true, "cuda, aligned"}};

int variant_first(void)
{
    return t_cpu() ? 0 : 3;
}

int variant_count(void)
{
    return t_cuda() ? 5 : 3;
}

int variant_open(struct clv_device **device, const struct variant *variant,
                 const struct clv_device_options *options)
{
    struct clv_device_options opened = options ? *options : (struct clv_device_options){0};
    opened.kind = variant->kind;
    return clv_device_open_variant(device, &opened, variant->variant);
}

bool variant_begin(const struct variant *variant, struct clv_device **device, const char *format,
                   ...)
{
    static char name[200]; /* the harness keeps the pointer */
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(name, sizeof name, "%s (%s)", text, variant->name);
    t_begin(name);
    guarded_align(variant->is_aligned);
    if (variant->kind == CLV_DEVICE_CPU && !clv_kernels_find(variant->variant)) {
        t_skip("this processor has no %s", variant->name);
        return false;
    }
    if (!*device)
        CHECK_OK(variant_open(device, variant, NULL));
    return *device != NULL;
}
