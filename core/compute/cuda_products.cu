/* Matrix products through cuBLASLt, which is loaded when the first device opens: it is half a
 * gigabyte that most commands never need. What the library chooses for a shape is asked once and
 * kept. One stream and one workspace, so results repeat bit for bit. */
#include "core/compute/cuda_products.cuh"

#include <cublasLt.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#define WORKSPACE_BYTES ((size_t)32 << 20)
#define PLAN_COUNT 1024 /* a power of two */
#define BIAS_ALIGNMENT 16
#define ALIGNMENT_MAX 64 /* of what shares a buffer */
#define PLAIN_THREADS 256

/* ---- the library ----------------------------------------------------------------------------- */

// clang-format off
#define FUNCTIONS(X) \
    X(Create) X(Destroy) X(GetVersion) X(GetStatusString) X(Matmul) \
    X(MatmulAlgoGetHeuristic) X(MatmulDescCreate) X(MatmulDescDestroy) \
    X(MatmulDescSetAttribute) X(MatrixLayoutCreate) X(MatrixLayoutDestroy) \
    X(MatmulPreferenceCreate) X(MatmulPreferenceDestroy) X(MatmulPreferenceSetAttribute)
// clang-format on

struct library {
#define DECLARE(name) decltype(&cublasLt##name) name;
    FUNCTIONS(DECLARE)
#undef DECLARE
    char error[256]; /* "" where it loaded */
};

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define LIBRARY_NAME "libcublasLt.so." TEXT(CUBLAS_VER_MAJOR)

static struct library load_library(void)
{
    struct library library;
    memset(&library, 0, sizeof library);
    void *handle = clv_cuda_library(LIBRARY_NAME, library.error, sizeof library.error);
    if (!handle)
        return library;
#define LOAD(name)                                                             \
    library.name = (decltype(&cublasLt##name))dlsym(handle, "cublasLt" #name); \
    if (!library.name)                                                         \
        snprintf(library.error, sizeof library.error, "%s has no cublasLt" #name, LIBRARY_NAME);
    FUNCTIONS(LOAD)
#undef LOAD
    return library;
}

/* Loaded at the first call, for the life of the process. */
static const struct library *blas(void)
{
    static const struct library library = load_library();
    return &library;
}

/* ---- state ----------------------------------------------------------------------------------- */

/* What a choice of algorithm depends on. All bytes are set, padding included. */
struct key {
    int64_t m, n, k;
    int64_t a_stride, b_stride, base_stride, out_stride;
    int32_t a_alignment, b_alignment, base_alignment, out_alignment;
    int32_t element, is_a_transposed, is_b_transposed, has_base;
    int32_t bias_alignment; /* 0: no bias */
    int32_t is_out_half;
};

struct plan {
    bool is_set;
    bool is_offered; /* the library has an algorithm for it */
    struct key key;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, base, out;
    cublasLtMatmulAlgo_t algo;
};

struct clv_cuda_products {
    cublasLtHandle_t handle;
    void *workspace;
    struct plan plans[PLAN_COUNT];
    int plan_count;
};

static bool products_ok(struct clv_device *device, cublasStatus_t status, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return true;
    clv_device_fail(device,
                    clv_fail(CLV_EDEVICE, "cuda: %s: %s", what, blas()->GetStatusString(status)));
    return false;
}

int clv_cuda_products_open(struct clv_device *device)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    if (blas()->error[0])
        return clv_fail(CLV_EDEVICE, "cuda: cuBLASLt does not load: %s", blas()->error);
    struct clv_cuda_products *products = (struct clv_cuda_products *)calloc(1, sizeof *products);
    if (!products)
        return clv_fail_memory("the CUDA backend");
    cuda->products = products;
    cublasStatus_t status = blas()->Create(&products->handle);
    if (status != CUBLAS_STATUS_SUCCESS)
        return clv_fail(CLV_EDEVICE, "cuda: opening cuBLASLt: %s", blas()->GetStatusString(status));
    cudaError_t error = cudaMalloc(&products->workspace, WORKSPACE_BYTES);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        return clv_fail(CLV_ENOMEM, "cuda: the workspace of products: %s",
                        cudaGetErrorString(error));
    }
    clv_device_hold(device, WORKSPACE_BYTES);
    return CLV_OK;
}

static void plan_release(struct plan *plan)
{
    if (plan->desc)
        (void)blas()->MatmulDescDestroy(plan->desc);
    for (cublasLtMatrixLayout_t layout : {plan->a, plan->b, plan->base, plan->out})
        if (layout)
            (void)blas()->MatrixLayoutDestroy(layout);
    memset(plan, 0, sizeof *plan);
}

static void plans_release(struct clv_cuda_products *products)
{
    for (int i = 0; i < PLAN_COUNT; i++)
        if (products->plans[i].is_set)
            plan_release(&products->plans[i]);
    products->plan_count = 0;
}

void clv_cuda_products_close(struct clv_cuda *cuda)
{
    struct clv_cuda_products *products = cuda->products;
    if (!products)
        return;
    plans_release(products);
    if (products->handle)
        (void)blas()->Destroy(products->handle);
    (void)cudaFree(products->workspace);
    free(products);
    cuda->products = NULL;
}

/* ---- plans -----------------------------------------------------------------------------------
 *
 * cuBLASLt thinks in columns. A row-major matrix is the transpose of the column-major one that lies
 * the same way, and out^T = b^T a^T: its A is our b, its B our a, and its D has n rows and m
 * columns. What is transposed stays so. */

/* No more than is sure: what a product is must not depend on where in a buffer its parts happen to
 * lie, or another arrangement of the same memory would round otherwise. */
static int32_t alignment_of(const void *data)
{
    int32_t alignment = ALIGNMENT_MAX;
    while (alignment > 1 && (uintptr_t)data % (uintptr_t)alignment != 0)
        alignment /= 2;
    return alignment;
}

static struct key key_of(const struct clv_cuda_product *p, bool has_bias)
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.m = p->out.rows;
    key.n = p->out.cols;
    key.k = p->a.is_transposed ? p->a.rows : p->a.cols;
    key.a_stride = p->a.stride;
    key.b_stride = p->b.stride;
    key.out_stride = p->out.stride;
    key.has_base = p->beta != 0.0f;
    key.base_stride = key.has_base ? p->base_stride : p->out.stride;
    key.a_alignment = alignment_of(p->a.data);
    key.b_alignment = alignment_of(p->b.data);
    key.out_alignment = alignment_of(p->out.data);
    key.base_alignment = key.has_base ? alignment_of(p->base) : key.out_alignment;
    key.element = p->element;
    key.is_a_transposed = p->a.is_transposed;
    key.is_b_transposed = p->b.is_transposed;
    key.bias_alignment = has_bias ? alignment_of(p->bias) : 0;
    key.is_out_half = p->out.type == CLV_TYPE_BF16;
    return key;
}

/* FNV-1a. */
static uint64_t hash_of(const struct key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *key; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

static cublasStatus_t describe_operation(struct plan *plan, const void *bias)
{
    const struct key *key = &plan->key;
    const struct library *lt = blas();
    const cublasComputeType_t compute =
        key->element == CLV_CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t operations[2] = {key->is_b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                                             key->is_a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N};
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    cublasStatus_t status = lt->MatmulDescCreate(&plan->desc, compute, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, &operations[0],
                                            sizeof operations[0]);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_TRANSB, &operations[1],
                                            sizeof operations[1]);
    if (status == CUBLAS_STATUS_SUCCESS && key->bias_alignment > 0)
        status = lt->MatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                            sizeof epilogue);
    if (status == CUBLAS_STATUS_SUCCESS && key->bias_alignment > 0)
        status = lt->MatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                            sizeof bias);
    return status;
}

static cublasStatus_t describe_matrices(struct plan *plan)
{
    const struct key *key = &plan->key;
    const struct library *lt = blas();
    const cudaDataType_t type = key->element == CLV_CUDA_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const cudaDataType_t out_type = key->is_out_half ? CUDA_R_16BF : CUDA_R_32F;
    const uint64_t m = (uint64_t)key->m, n = (uint64_t)key->n, k = (uint64_t)key->k;
    const bool is_a_turned = key->is_a_transposed, is_b_turned = key->is_b_transposed;
    cublasStatus_t status = lt->MatrixLayoutCreate(&plan->a, type, is_b_turned ? k : n,
                                                   is_b_turned ? n : k, key->b_stride);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatrixLayoutCreate(&plan->b, type, is_a_turned ? m : k, is_a_turned ? k : m,
                                        key->a_stride);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatrixLayoutCreate(&plan->base, out_type, n, m, key->base_stride);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatrixLayoutCreate(&plan->out, out_type, n, m, key->out_stride);
    return status;
}

static cublasStatus_t limit_choice(cublasLtMatmulPreference_t preference, const struct key *key)
{
    const size_t workspace = WORKSPACE_BYTES;
    const struct {
        cublasLtMatmulPreferenceAttributes_t attribute;
        uint32_t value;
    } limits[] = {
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, (uint32_t)key->b_alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, (uint32_t)key->a_alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, (uint32_t)key->base_alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, (uint32_t)key->out_alignment},
        /* Parts of a sum are put together in fp32, whatever the result is rounded to. */
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE},
    };
    cublasStatus_t status = blas()->MatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    for (const auto &limit : limits)
        if (status == CUBLAS_STATUS_SUCCESS)
            status = blas()->MatmulPreferenceSetAttribute(preference, limit.attribute, &limit.value,
                                                          sizeof limit.value);
    return status;
}

/* The library's first choice; a shape it does not offer is remembered as that. */
static cublasStatus_t choose(struct clv_cuda_products *products, struct plan *plan)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t choice;
    int count = 0;
    cublasStatus_t status = blas()->MatmulPreferenceCreate(&preference);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = limit_choice(preference, &plan->key);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status =
            blas()->MatmulAlgoGetHeuristic(products->handle, plan->desc, plan->a, plan->b,
                                           plan->base, plan->out, preference, 1, &choice, &count);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
            status = CUBLAS_STATUS_SUCCESS;
            count = 0;
        }
    }
    if (preference)
        (void)blas()->MatmulPreferenceDestroy(preference);
    plan->is_offered =
        status == CUBLAS_STATUS_SUCCESS && count > 0 && choice.state == CUBLAS_STATUS_SUCCESS;
    if (plan->is_offered)
        plan->algo = choice.algo;
    return status;
}

/* NULL after a sticky failure. */
static struct plan *plan_find(struct clv_device *device, const struct clv_cuda_product *product,
                              bool has_bias)
{
    struct clv_cuda_products *products = ((struct clv_cuda *)device->state)->products;
    struct key key = key_of(product, has_bias);
    size_t at = (size_t)hash_of(&key) % PLAN_COUNT;
    while (products->plans[at].is_set) {
        if (memcmp(&products->plans[at].key, &key, sizeof key) == 0)
            return &products->plans[at];
        at = (at + 1) % PLAN_COUNT;
    }
    /* cuBLASLt does not choose while a stream is captured. */
    if (!clv_cuda_may_wait(device, "planning a product"))
        return NULL;
    if (products->plan_count >= PLAN_COUNT / 4 * 3) {
        plans_release(products);
        at = (size_t)hash_of(&key) % PLAN_COUNT;
    }
    struct plan *plan = &products->plans[at];
    plan->key = key;
    cublasStatus_t status = describe_operation(plan, product->bias);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = describe_matrices(plan);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = choose(products, plan);
    if (!products_ok(device, status, "planning a product")) {
        plan_release(plan);
        return NULL;
    }
    plan->is_set = true;
    products->plan_count++;
    return plan;
}

/* ---- running --------------------------------------------------------------------------------- */

template <typename T>
static __device__ float factor_at(const struct clv_cuda_factor &f, int64_t row, int64_t col)
{
    const T *data = (const T *)f.data;
    return (float)(f.is_transposed ? data[col * f.stride + row] : data[row * f.stride + col]);
}

/* A product that the library does not offer, a thread an element: for the odd shapes of tests, not
 * for speed. */
template <typename T> static __global__ void multiply_plainly(struct clv_cuda_product p, int k)
{
    const int64_t index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t row = index / p.out.cols, col = index % p.out.cols;
    if (row >= p.out.rows)
        return;
    float sum = 0.0f;
    for (int i = 0; i < k; i++)
        sum = fmaf(factor_at<T>(p.a, row, i), factor_at<T>(p.b, i, col), sum);
    sum *= p.alpha;
    if (p.beta != 0.0f)
        sum = fmaf(p.beta, p.base[row * p.base_stride + col], sum);
    if (p.out.type == CLV_TYPE_BF16)
        ((__nv_bfloat16 *)(void *)p.out.data)[row * p.out.stride + col] = __float2bfloat16_rn(sum);
    else
        p.out.data[row * p.out.stride + col] = sum;
}

static bool run_plainly(struct clv_device *device, const struct clv_cuda_product *product, int k)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    const unsigned blocks =
        clv_cuda_blocks((int64_t)product->out.rows * product->out.cols, PLAIN_THREADS);
    if (product->element == CLV_CUDA_BF16)
        multiply_plainly<__nv_bfloat16><<<blocks, PLAIN_THREADS, 0, cuda->work>>>(*product, k);
    else
        multiply_plainly<float><<<blocks, PLAIN_THREADS, 0, cuda->work>>>(*product, k);
    return clv_cuda_check(device, "a product");
}

bool clv_cuda_multiply(struct clv_device *device, const struct clv_cuda_product *product,
                       bool *bias_added_out)
{
    struct clv_cuda *cuda = (struct clv_cuda *)device->state;
    struct clv_cuda_products *products = cuda->products;
    bool has_bias = product->bias && (uintptr_t)product->bias % BIAS_ALIGNMENT == 0;
    struct plan *plan = plan_find(device, product, has_bias);
    if (plan && !plan->is_offered && has_bias) {
        has_bias = false;
        plan = plan_find(device, product, false);
    }
    *bias_added_out = false;
    if (!plan)
        return false;
    if (!plan->is_offered)
        return run_plainly(device, product, (int)plan->key.k);
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    if (has_bias)
        status = blas()->MatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                &product->bias, sizeof product->bias);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = blas()->Matmul(products->handle, plan->desc, &product->alpha, product->b.data,
                                plan->a, product->a.data, plan->b, &product->beta,
                                product->beta != 0.0f ? product->base : product->out.data,
                                plan->base, product->out.data, plan->out, &plan->algo,
                                products->workspace, WORKSPACE_BYTES, cuda->work);
    *bias_added_out = has_bias;
    return products_ok(device, status, "a product");
}
