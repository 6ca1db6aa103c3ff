/* LoraAdd: y = base + (x A) B with each batch row's own A and B, so that adapters mix in a batch.

   An operator for ONNX Runtime. The adapters do not travel through the graph: `lora_put` enters a pair
   of matrices for an adapter and a site, and the input `adapters` names the adapter of each row.
   ONNX Runtime's own MatMul would need one adapter for all rows, or compute each for all of them.
   A row's result does not depend on what else is in the batch.

   Inputs: base (batch, tokens, N) float, x (batch, tokens, K) float, adapters (batch) int32; -1: none.
   Output: (batch, tokens, N) float, in base's memory where ONNX Runtime allows it.
   Attributes: sites, the projections whose outputs lie side by side in base, and their widths. */

#include <stdint.h>
#include <string.h>

#include "kernel.h"

enum { LANES = 16, TOKENS = 8, MAX_SITES = 4, FEW = 64 };

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

/* A vector register, or several where the processor has none so wide. */
typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

typedef struct {
  int64_t rank;  /* in whole LANES: what an adapter lacks is zero; 0 where it has nothing here */
  float *a, *b;  /* (rank / LANES, K, LANES) and (rank, N) */
} Pair;

static Pair *pairs; /* (adapter, site) */
static int64_t adapter_total, site_total;

typedef struct {
  const OrtApi *api;
  size_t parts;
  int64_t sites[MAX_SITES], widths[MAX_SITES];
} Kernel;

/* Tokens with the same adapter, of any rows: its matrices are read once for all of them. */
typedef struct {
  int32_t count, adapter;
  int64_t tokens[TOKENS];
} Block;

typedef struct {
  const Kernel *kernel;
  const Block *blocks;
  const float *x;
  float *y;
  int64_t k, n;
} Work;

/* low (count, LANES) = x (count, k) a. Each token's sum is made in the same order for any count. */
CLONES static void times_a(const float *const *x, int64_t k, const float *a, int count, vec *low) {
  vec sum[TOKENS];
  memset(sum, 0, sizeof sum);
#define COUNT_IS(C) \
  case C: \
    for (int64_t i = 0; i < k; i++) { \
      vec row = ((const vec *)a)[i]; \
      for (int t = 0; t < C; t++) sum[t] += x[t][i] * row; \
    } \
    break;
  switch (count) { /* a constant keeps the sums in registers */
    COUNT_IS(1) COUNT_IS(2) COUNT_IS(3) COUNT_IS(4) COUNT_IS(5) COUNT_IS(6) COUNT_IS(7) COUNT_IS(8)
  }
  memcpy(low, sum, sizeof(vec) * count);
}

/* y (count, n) += low (count, LANES) b. */
CLONES static void add_times_b(const vec *low, const float *b, int64_t n, int count, float *const *y) {
  int64_t column = 0;
  for (; column + LANES <= n; column += LANES) {
    vec rows[LANES];
    for (int j = 0; j < LANES; j++) rows[j] = *(const vec *)(b + j * n + column);
    for (int t = 0; t < count; t++) {
      vec sum = {0};
      for (int j = 0; j < LANES; j++) sum += low[t][j] * rows[j];
      *(vec *)(y[t] + column) += sum;
    }
  }
  for (; column < n; column++)
    for (int t = 0; t < count; t++) {
      float sum = 0;
      for (int j = 0; j < LANES; j++) sum += low[t][j] * b[j * n + column];
      y[t][column] += sum;
    }
}

/* A block at one of the kernel's sites. */
static void compute_part(void *state, size_t index) {
  const Work *work = state;
  const Kernel *kernel = work->kernel;
  const Block *block = &work->blocks[index / kernel->parts];
  size_t part = index % kernel->parts;
  const Pair *pair = &pairs[block->adapter * site_total + kernel->sites[part]];
  const float *x[TOKENS];
  float *y[TOKENS];
  int64_t column = 0;
  for (size_t s = 0; s < part; s++) column += kernel->widths[s];
  for (int t = 0; t < block->count; t++) {
    x[t] = work->x + block->tokens[t] * work->k;
    y[t] = work->y + block->tokens[t] * work->n + column;
  }
  for (int64_t r = 0; r < pair->rank; r += LANES) {
    vec low[TOKENS];
    times_a(x, work->k, pair->a + r * work->k, block->count, low);
    add_times_b(low, pair->b + r * kernel->widths[part], kernel->widths[part], block->count, y);
  }
}

/* The last block that has room for one more token of this adapter, if it is one of the last few. */
static Block *open_block(Block *blocks, size_t count, int32_t adapter, int longest) {
  for (size_t back = 1; back <= count && back <= FEW; back++) {
    Block *block = &blocks[count - back];
    if (block->adapter == adapter) return block->count < longest ? block : NULL;
  }
  return NULL;
}

/* The blocks of a batch; their number. Few tokens go in small blocks, so that all threads have one. */
static size_t blocks_of(const int32_t *adapters, int64_t rows, int64_t tokens, Block *blocks) {
  int64_t all = rows * tokens;
  int longest = all > 2 * TOKENS ? TOKENS : all > 2 ? TOKENS / 2 : 1;
  size_t count = 0;
  for (int64_t t = 0; t < all; t++) {
    int32_t adapter = adapters[t / tokens];
    if (adapter < 0) continue;
    Block *block = open_block(blocks, count, adapter, longest);
    if (!block) {
      block = &blocks[count++];
      block->count = 0, block->adapter = adapter;
    }
    block->tokens[block->count++] = t;
  }
  return count;
}

static OrtStatus *compute(void *state, OrtKernelContext *context) {
  const Kernel *kernel = state;
  const OrtApi *api = kernel->api;
  void *base, *x, *adapters, *y;
  int64_t of_base[3], of_x[3], rows;
  size_t ranks[] = {3, 3, 1};
  OrtValue *output;
  TRY(read_input(api, context, 0, &ranks[0], &base, of_base));
  TRY(read_input(api, context, 1, &ranks[1], &x, of_x));
  TRY(read_input(api, context, 2, &ranks[2], &adapters, &rows));
  if (ranks[0] < 3 || ranks[1] < 3 || ranks[2] < 1)
    return refuse(api, "LoraAdd: an input has not the number of dimensions that it must have");
  if (rows != of_base[0]) return refuse(api, "LoraAdd: there is not one adapter for each row");
  for (int64_t row = 0; row < rows; row++)
    if (((int32_t *)adapters)[row] >= adapter_total) return refuse(api, "LoraAdd: no such adapter");
  TRY(ort_output(api)(context, 0, of_base, 3, &output));
  TRY(ort_tensor_data(api)(output, &y));
  int64_t tokens = rows * of_base[1];
  if (y != base) memcpy(y, base, sizeof(float) * tokens * of_base[2]);
  Block few[FEW], *blocks = tokens <= FEW ? few : malloc(tokens * sizeof *blocks);
  if (!blocks) return refuse(api, "LoraAdd: no memory");
  size_t total = kernel->parts * blocks_of(adapters, rows, of_base[1], blocks);
  Work work = {kernel, blocks, x, y, of_x[2], of_base[2]};
  OrtStatus *failed = NULL;
  if (total > 1) failed = ort_parallel_for(api)(context, compute_part, total, 0, &work);
  else if (total == 1) compute_part(&work, 0);
  if (blocks != few) free(blocks);
  return failed;
}

static OrtStatus *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel) {
  size_t widths = MAX_SITES;
  Kernel *made = calloc(1, sizeof *made);
  if (!made) return refuse(api, "LoraAdd: no memory");
  made->api = api, made->parts = MAX_SITES;
  OrtStatus *failed = ort_attribute_ints(api)(info, "sites", made->sites, &made->parts);
  if (!failed) failed = ort_attribute_ints(api)(info, "widths", made->widths, &widths);
  if (!failed && widths != made->parts) failed = refuse(api, "LoraAdd: not one width for each site");
  for (size_t s = 0; !failed && s < made->parts; s++)
    if (made->sites[s] < 0 || made->sites[s] >= site_total) failed = refuse(api, "LoraAdd: no such site");
  if (failed) free(made);
  else *kernel = made;
  return failed;
}

/* What ONNX Runtime asks of an operator. */

static const char *name(const OrtCustomOp *op) { return "LoraAdd"; }
static int input_type(const OrtCustomOp *op, size_t index) { return index == 2 ? ORT_INT32 : ORT_FLOAT; }
static size_t inputs(const OrtCustomOp *op) { return 3; }
static size_t in_place(int **input, int **output) {
  static int base = 0, result = 0;
  *input = &base, *output = &result;
  return 1;
}
static void keep(int *input, int *output) {}

const OrtCustomOp lora_add = {
    OF_EVERY_OPERATOR,
    .GetName = name,
    .GetInputType = input_type,
    .GetInputTypeCount = inputs,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute,
    .GetMayInplace = in_place,
    .ReleaseMayInplace = keep,
};

/* What Python calls. Never for an adapter that a running session uses. */

/* A table for so many adapters and sites, before any session is made; 0, or -1 without memory. */
EXPORTED int lora_table(int64_t adapters, int64_t sites) {
  free(pairs);
  pairs = calloc(adapters * sites + 1, sizeof *pairs);
  adapter_total = pairs ? adapters : 0, site_total = sites;
  return pairs ? 0 : -1;
}

static float *zeros(int64_t count) {
  size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
  float *memory = aligned_alloc(64, bytes);
  return memory ? memset(memory, 0, bytes) : NULL;
}

/* Copy a (k, rank) and b (rank, n) to a place that is empty; 0, or -1 without memory. */
EXPORTED int lora_put(int64_t adapter, int64_t site, const float *a, const float *b, int64_t k, int64_t n, int64_t rank) {
  int64_t whole = (rank + LANES - 1) / LANES * LANES;
  Pair pair = {whole, zeros(k * whole), zeros(whole * n)};
  if (!pair.a || !pair.b) {
    free(pair.a), free(pair.b);
    return -1;
  }
  for (int64_t r = 0; r < rank; r++)
    for (int64_t i = 0; i < k; i++) pair.a[r / LANES * LANES * k + i * LANES + r % LANES] = a[i * rank + r];
  memcpy(pair.b, b, sizeof(float) * rank * n);
  pairs[adapter * site_total + site] = pair;
  return 0;
}

/* Free what an adapter has at all sites. */
EXPORTED void lora_drop(int64_t adapter) {
  for (int64_t site = 0; site < site_total; site++) {
    Pair *pair = &pairs[adapter * site_total + site];
    free(pair->a), free(pair->b);
    *pair = (Pair){0};
  }
}
