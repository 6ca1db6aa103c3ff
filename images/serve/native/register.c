/* The operators of the domain "olive", as ONNX Runtime finds them in this library. */

#include "kernel.h"

extern const OrtCustomOp lora_add;
#if defined(__x86_64__)
extern const OrtCustomOp matmul_nbits;
#endif

EXPORTED OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base) {
  const OrtApi *api = base->GetApi(ORT_ABI_VERSION);
  OrtCustomOpDomain *domain;
  TRY(ort_create_domain(api)("olive", &domain));
  TRY(ort_domain_add(api)(domain, &lora_add));
#if defined(__x86_64__)
  TRY(ort_domain_add(api)(domain, &matmul_nbits));
#endif
  return ort_add_domain(api)(options, domain);
}
