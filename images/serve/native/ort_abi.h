/* The part of ONNX Runtime's C ABI that the operator uses, written down here because no package
   brings the header. The ABI is stable: functions are only ever added at the end of the table
   (ONNX Runtime, "Versioning"). The numbers are places in that table. */

#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct OrtStatus OrtStatus;
typedef struct OrtValue OrtValue;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;

typedef struct {
  void *place[400];
} OrtApi;

typedef struct {
  const OrtApi *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;

enum { ORT_ABI_VERSION = 18, ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_INT32 = 6 };

typedef struct OrtCustomOp OrtCustomOp;
struct OrtCustomOp {
  uint32_t version;
  void *CreateKernel;
  const char *(*GetName)(const OrtCustomOp *);
  const char *(*GetExecutionProviderType)(const OrtCustomOp *);
  int (*GetInputType)(const OrtCustomOp *, size_t index);
  size_t (*GetInputTypeCount)(const OrtCustomOp *);
  int (*GetOutputType)(const OrtCustomOp *, size_t index);
  size_t (*GetOutputTypeCount)(const OrtCustomOp *);
  void *KernelCompute;
  void (*KernelDestroy)(void *kernel);
  int (*GetInputCharacteristic)(const OrtCustomOp *, size_t index);
  int (*GetOutputCharacteristic)(const OrtCustomOp *, size_t index);
  int (*GetInputMemoryType)(const OrtCustomOp *, size_t index);
  void *variadic[4];
  OrtStatus *(*CreateKernelV2)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *, void **kernel);
  OrtStatus *(*KernelComputeV2)(void *kernel, OrtKernelContext *);
  void *InferOutputShapeFn;
  int (*GetStartVersion)(const OrtCustomOp *);
  int (*GetEndVersion)(const OrtCustomOp *);
  size_t (*GetMayInplace)(int **input, int **output);
  void (*ReleaseMayInplace)(int *input, int *output);
  void *alias[2];
};

#define ORT_FUNCTION(name, at, result, ...) \
  static inline result (*name(const OrtApi *api))(__VA_ARGS__) { \
    return (result(*)(__VA_ARGS__))api->place[at]; \
  }

ORT_FUNCTION(ort_create_status, 0, OrtStatus *, int code, const char *message)
ORT_FUNCTION(ort_create_domain, 26, OrtStatus *, const char *name, OrtCustomOpDomain **)
ORT_FUNCTION(ort_domain_add, 27, OrtStatus *, OrtCustomOpDomain *, const OrtCustomOp *)
ORT_FUNCTION(ort_add_domain, 28, OrtStatus *, OrtSessionOptions *, OrtCustomOpDomain *)
ORT_FUNCTION(ort_tensor_data, 51, OrtStatus *, OrtValue *, void **data)
ORT_FUNCTION(ort_dimension_count, 61, OrtStatus *, const OrtTensorTypeAndShapeInfo *, size_t *count)
ORT_FUNCTION(ort_dimensions, 62, OrtStatus *, const OrtTensorTypeAndShapeInfo *, int64_t *, size_t count)
ORT_FUNCTION(ort_shape, 65, OrtStatus *, const OrtValue *, OrtTensorTypeAndShapeInfo **)
ORT_FUNCTION(ort_input, 90, OrtStatus *, const OrtKernelContext *, size_t index, const OrtValue **)
ORT_FUNCTION(ort_output, 91, OrtStatus *, OrtKernelContext *, size_t index, const int64_t *dimensions, size_t count, OrtValue **)
ORT_FUNCTION(ort_release_shape, 99, void, OrtTensorTypeAndShapeInfo *)
ORT_FUNCTION(ort_attribute_ints, 163, OrtStatus *, const OrtKernelInfo *, const char *name, int64_t *, size_t *count)
ORT_FUNCTION(ort_parallel_for, 274, OrtStatus *, const OrtKernelContext *, void (*)(void *, size_t), size_t total, size_t batches, void *)
