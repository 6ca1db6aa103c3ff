/* What the operators have in common. */

#pragma once
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
