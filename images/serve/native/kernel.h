/* What the operators have in common. */

#pragma once
#include <stdlib.h>

#include "ort_abi.h"

#define EXPORTED __attribute__((visibility("default")))

/* Ends with the status of a call that failed. */
#define TRY(call) \
  do { \
    OrtStatus *failed_ = (call); \
    if (failed_) return failed_; \
  } while (0)

static inline OrtStatus *refuse(const OrtApi *api, const char *why) {
  enum { INVALID_ARGUMENT = 2 };
  return ort_create_status(api)(INVALID_ARGUMENT, why);
}

/* An input's memory, and its shape: at most `rank` dimensions, which then says how many. */
static inline OrtStatus *read_input(
    const OrtApi *api, OrtKernelContext *context, size_t index, size_t *rank, void **data, int64_t *shape) {
  const OrtValue *value;
  OrtTensorTypeAndShapeInfo *info;
  size_t count = 0;
  TRY(ort_input(api)(context, index, &value));
  TRY(ort_tensor_data(api)((OrtValue *)value, data));
  TRY(ort_shape(api)(value, &info));
  OrtStatus *failed = ort_dimension_count(api)(info, &count);
  if (!failed && count <= *rank) failed = ort_dimensions(api)(info, shape, count);
  ort_release_shape(api)(info);
  if (failed) return failed;
  if (count > *rank) return refuse(api, "olive: an input has more dimensions than it may have");
  *rank = count;
  return NULL;
}

/* What ONNX Runtime asks of an operator, as far as ours answer the same: one output, of floats. */
static inline const char *on_cpu(const OrtCustomOp *op) { return "CPUExecutionProvider"; }
static inline int gives_floats(const OrtCustomOp *op, size_t index) { return ORT_FLOAT; }
static inline size_t one_output(const OrtCustomOp *op) { return 1; }
static inline int plain(const OrtCustomOp *op, size_t index) { return 0; }
static inline int first_version(const OrtCustomOp *op) { return 1; }

#define OF_EVERY_OPERATOR \
  .version = ORT_ABI_VERSION, .GetExecutionProviderType = on_cpu, .GetOutputType = gives_floats, \
  .GetOutputTypeCount = one_output, .KernelDestroy = free, .GetInputCharacteristic = plain, \
  .GetOutputCharacteristic = plain, .GetInputMemoryType = plain, .GetStartVersion = first_version, \
  .GetEndVersion = first_version
