/* Sums over rows on CUDA, for the gradients of what every row shares: partial sums of blocks of
 * rows, then the sum of those in their order. Bound by reading x once. */
#include "core/compute/cuda_rows.cuh"

#define COLS 32 /* of a block: a row's share is one 128-byte line */
#define LANES 8 /* rows of a block that are read at once */
#define PARTS_MAX 128
#define PART_ROWS_MIN 64
#define ADD_THREADS 128

/* Rows of a part, so that `parts` of them cover all rows. */
static int part_rows(int rows)
{
    int each = (rows + PARTS_MAX - 1) / PARTS_MAX;
    return each < PART_ROWS_MIN ? PART_ROWS_MIN : each;
}

static int part_count(int rows)
{
    return (rows + part_rows(rows) - 1) / part_rows(rows);
}

size_t clv_cuda_column_sums_bytes(int rows, int cols)
{
    return clv_cuda_padded((size_t)part_count(rows) * (size_t)cols * sizeof(float));
}

/* parts [gridDim.y, cols]: row y is the sum of rows [y * each, (y + 1) * each) of x. Block (COLS,
 * LANES), grid (cols / COLS, parts). */
template <typename Rows>
static __global__ void sum_parts(float *parts, Rows x, int rows, int cols, int each)
{
    __shared__ float sums[LANES][COLS];
    const int col = blockIdx.x * COLS + threadIdx.x;
    const int first = blockIdx.y * each;
    const int end = min(first + each, rows);
    float sum = 0.0f;
    if (col < cols)
        for (int r = first + threadIdx.y; r < end; r += LANES)
            sum += clv_load<1>(clv_row(x, r) + col).at[0];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || col >= cols)
        return;
    for (int lane = 1; lane < LANES; lane++)
        sum += sums[lane][threadIdx.x];
    parts[(ptrdiff_t)blockIdx.y * cols + col] = sum;
}

/* out [cols] += the sum of the rows of parts, a thread a column. */
static __global__ void add_parts(float *out, const float *parts, int count, int cols,
                                 ptrdiff_t stride)
{
    const int col = blockIdx.x * blockDim.x + threadIdx.x;
    if (col >= cols)
        return;
    float sum = 0.0f;
    for (int i = 0; i < count; i++)
        sum += parts[i * stride + col];
    out[col] += sum;
}

void clv_cuda_add_parts(struct clv_device *device, float *out, const float *parts, int count,
                        int cols, ptrdiff_t stride)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (count == 0 || cols == 0)
        return;
    add_parts<<<clv_cuda_blocks(cols, ADD_THREADS), ADD_THREADS, 0, cuda->work>>>(out, parts, count,
                                                                                  cols, stride);
    clv_cuda_check(device, "sums over rows");
}

void clv_cuda_add_column_sums(struct clv_device *device, float *out, struct clv_tensor x,
                              void *scratch)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    float *parts = (float *)scratch;
    if (x.rows == 0)
        return;
    dim3 grid(clv_cuda_blocks(x.cols, COLS), part_count(x.rows)), block(COLS, LANES);
    if (clv_is_half(x))
        sum_parts<clv_half_rows><<<grid, block, 0, cuda->work>>>(parts, clv_half_rows_of(x), x.rows,
                                                                 x.cols, part_rows(x.rows));
    else
        sum_parts<clv_rows><<<grid, block, 0, cuda->work>>>(parts, clv_rows_of(x), x.rows, x.cols,
                                                            part_rows(x.rows));
    if (clv_cuda_check(device, "sums over rows"))
        clv_cuda_add_parts(device, out, parts, part_count(x.rows), x.cols, x.cols);
}
