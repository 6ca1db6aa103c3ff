/* MatMulNBits: y = x W with W of 4 or 8 bits, for processors with AVX-512 VNNI.

   It computes what ONNX Runtime's operator of this name does at accuracy_level 4, in the same steps:
   every block of a token's inputs is rounded to int8 by its largest value, products are added up as
   integers, and blocks as floats. Only the order differs, in which 16 columns lie side by side: one
   load of weights serves them for as many as 8 tokens, and all weights are read from first to last.
   A token's result does not depend on what else is in the batch.

   Inputs: x (…, K) float, packed (bytes) uint8 (see block_bytes).
   Output: (…, N) float.
   Attribute: shape; K, N, bits, block, and 1 if the columns have zero points of their own. */

#include "kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

enum { COLUMNS = 16, QUAD = 4, TOKENS = 8, PORTION = 16, MOST_DIMENSIONS = 8 };

typedef struct {
  int64_t k, n, bits, block, own_zeros;
} Shape;

typedef struct {
  const OrtApi *api;
  Shape shape;
} Kernel;

/* Inputs in int8 (tokens, K), and for each block of them its scale and its sum (tokens, blocks). */
typedef struct {
  Shape shape;
  int64_t tokens, blocks;
  const uint8_t *packed;
  const float *x;
  float *y, *scales;
  int32_t *sums;
  int8_t *rounded;
} Work;

/* A block of 16 columns: their scales (float), their zero points if they have any (int32), and their
   weights: 4 of each column, one column after the other. Of 4 bits, those of two steps in one. */
static int64_t block_bytes(Shape s) {
  return COLUMNS * (int64_t)(sizeof(float) + (s.own_zeros ? sizeof(int32_t) : 0)) + COLUMNS * s.block * s.bits / 8;
}

VNNI static void round_token(const Work *work, int64_t token) {
  Shape s = work->shape;
  for (int64_t b = 0; b < work->blocks; b++) {
    const float *x = work->x + token * s.k + b * s.block;
    int8_t *rounded = work->rounded + token * s.k + b * s.block;
    __m512 most = _mm512_setzero_ps();
    for (int64_t i = 0; i < s.block; i += 16) most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
    float largest = _mm512_reduce_max_ps(most);
    __m512 inverse = _mm512_set1_ps(largest > 0 ? 127 / largest : 0);
    __m512i sum = _mm512_setzero_si512(), least = _mm512_set1_epi32(-127);
    for (int64_t i = 0; i < s.block; i += 16) {
      __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), inverse));
      whole = _mm512_max_epi32(whole, least); /* what is no number is the least of all */
      sum = _mm512_add_epi32(sum, whole);
      _mm_storeu_si128((__m128i *)(rounded + i), _mm512_cvtepi32_epi8(whole));
    }
    work->scales[token * work->blocks + b] = largest / 127;
    work->sums[token * work->blocks + b] = _mm512_reduce_add_epi32(sum);
  }
}

static void round_portion(void *state, size_t portion) {
  const Work *work = state;
  for (int64_t i = 0, t = portion * PORTION; i < PORTION && t < work->tokens; i++, t++) round_token(work, t);
}

VNNI static inline __m512i quad_of(const int8_t *rounded) {
  int32_t quad;
  memcpy(&quad, rounded, sizeof quad);
  return _mm512_set1_epi32(quad);
}

/* 16 columns of `count` tokens. Few tokens have two sums each, so that none waits for the last. */
VNNI static inline __attribute__((always_inline)) void tile(
    const Work *work, int64_t group, int64_t token, int count, int bits, int own_zeros) {
  Shape s = work->shape;
  const uint8_t *at = work->packed + group * work->blocks * block_bytes(s);
  const int64_t loads = s.block * bits / 8 / QUAD, few = count <= TOKENS / 2;
  const __m512i nibble = _mm512_set1_epi8(15);
  __m512 y[TOKENS];
  for (int t = 0; t < count; t++) y[t] = _mm512_setzero_ps();
  for (int64_t b = 0; b < work->blocks; b++) {
    const int8_t *x = work->rounded + token * s.k + b * s.block;
    __m512i zeros = _mm512_set1_epi32(1 << (bits - 1)), sum[TOKENS], other[TOKENS];
    __m512 scale = _mm512_loadu_ps(at);
    at += COLUMNS * sizeof(float);
    if (own_zeros) {
      zeros = _mm512_loadu_si512(at);
      at += COLUMNS * sizeof(int32_t);
    }
    for (int t = 0; t < count; t++) sum[t] = other[t] = _mm512_setzero_si512();
    for (int64_t i = 0; i < loads; i++, at += 64) {
      __m512i weights = _mm512_loadu_si512(at);
      if (bits == 8) {
        for (int t = 0; t < count; t++) sum[t] = _mm512_dpbusd_epi32(sum[t], weights, quad_of(x + t * s.k + i * QUAD));
        continue;
      }
      __m512i low = _mm512_and_si512(weights, nibble), high = _mm512_and_si512(_mm512_srli_epi16(weights, 4), nibble);
      for (int t = 0; t < count; t++) {
        const int8_t *quads = x + t * s.k + i * 2 * QUAD;
        __m512i *second = few ? &other[t] : &sum[t];
        sum[t] = _mm512_dpbusd_epi32(sum[t], low, quad_of(quads));
        *second = _mm512_dpbusd_epi32(*second, high, quad_of(quads + QUAD));
      }
    }
    for (int t = 0; t < count; t++) {
      int64_t block = (token + t) * work->blocks + b;
      __m512i shift = _mm512_mullo_epi32(zeros, _mm512_set1_epi32(work->sums[block]));
      __m512i whole = _mm512_sub_epi32(_mm512_add_epi32(sum[t], other[t]), shift);
      y[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(scale, _mm512_set1_ps(work->scales[block])), y[t]);
    }
  }
  for (int t = 0; t < count; t++) _mm512_storeu_ps(work->y + (token + t) * s.n + group * COLUMNS, y[t]);
}

/* A constant count keeps the sums in registers. */
VNNI static void tile_of(const Work *work, int64_t group, int64_t token, int count) {
#define COUNT_IS(C) \
  case C: \
    if (work->shape.bits == 8 && work->shape.own_zeros) tile(work, group, token, C, 8, 1); \
    else if (work->shape.bits == 8) tile(work, group, token, C, 8, 0); \
    else if (work->shape.own_zeros) tile(work, group, token, C, 4, 1); \
    else tile(work, group, token, C, 4, 0); \
    break;
  switch (count) {
    COUNT_IS(1) COUNT_IS(2) COUNT_IS(3) COUNT_IS(4) COUNT_IS(5) COUNT_IS(6) COUNT_IS(7) COUNT_IS(8)
  }
}

static void multiply_group(void *state, size_t group) {
  const Work *work = state;
  for (int64_t token = 0; token < work->tokens; token += TOKENS) {
    int64_t left = work->tokens - token;
    tile_of(work, group, token, left < TOKENS ? left : TOKENS);
  }
}

static OrtStatus *compute(void *state, OrtKernelContext *context) {
  const Kernel *kernel = state;
  const OrtApi *api = kernel->api;
  Shape s = kernel->shape;
  void *x, *packed, *y;
  int64_t shape[MOST_DIMENSIONS], bytes, blocks = s.k / s.block, groups = s.n / COLUMNS, tokens = 1;
  size_t rank = MOST_DIMENSIONS, one = 1;
  OrtValue *output;
  TRY(read_input(api, context, 0, &rank, &x, shape));
  TRY(read_input(api, context, 1, &one, &packed, &bytes));
  if (!rank || !one || shape[rank - 1] != s.k || bytes != groups * blocks * block_bytes(s))
    return refuse(api, "MatMulNBits: an input has not the size that it must have");
  for (size_t d = 0; d + 1 < rank; d++) tokens *= shape[d];
  shape[rank - 1] = s.n;
  TRY(ort_output(api)(context, 0, shape, rank, &output));
  TRY(ort_tensor_data(api)(output, &y));
  if (!tokens) return NULL;
  int8_t *memory = malloc(tokens * (s.k + blocks * (sizeof(float) + sizeof(int32_t))));
  if (!memory) return refuse(api, "MatMulNBits: no memory");
  float *scales = (float *)(memory + tokens * s.k);
  Work work = {s, tokens, blocks, packed, x, y, scales, (int32_t *)(scales + tokens * blocks), memory};
  OrtStatus *failed = NULL;
  size_t portions = (tokens + PORTION - 1) / PORTION;
  if (portions > 1) failed = ort_parallel_for(api)(context, round_portion, portions, 0, &work);
  else round_portion(&work, 0);
  if (!failed) failed = ort_parallel_for(api)(context, multiply_group, groups, 0, &work);
  free(memory);
  return failed;
}

static OrtStatus *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel) {
  Kernel *made = calloc(1, sizeof *made);
  size_t count = sizeof made->shape / sizeof(int64_t);
  if (!made) return refuse(api, "MatMulNBits: no memory");
  made->api = api;
  OrtStatus *failed = ort_attribute_ints(api)(info, "shape", &made->shape.k, &count);
  if (failed) free(made);
  else *kernel = made;
  return failed;
}

/* What ONNX Runtime asks of an operator. */

static const char *name(const OrtCustomOp *op) { return "MatMulNBits"; }
static int input_type(const OrtCustomOp *op, size_t index) { return index ? ORT_UINT8 : ORT_FLOAT; }
static size_t inputs(const OrtCustomOp *op) { return 2; }

const OrtCustomOp matmul_nbits = {
    OF_EVERY_OPERATOR,
    .GetName = name,
    .GetInputType = input_type,
    .GetInputTypeCount = inputs,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute,
};
#endif

/* What Python calls: whether this processor can run it. */
EXPORTED int nbits_runs(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#else
  return 0;
#endif
}
