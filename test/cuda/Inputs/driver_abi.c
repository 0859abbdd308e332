/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The numbers, layouts and names of nibrt_cuda.c against CUDA's own header. */
#include <cuda.h>

#include "nibrt_cuda.c"

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs)
#define SAME_PLACE(our_type, our_field, their_type, their_field)                                   \
  SAME(offsetof(our_type, our_field), offsetof(their_type, their_field))

SAME(SUCCESS, CUDA_SUCCESS);
SAME(ATTRIBUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(ATTRIBUTE_CAPABILITY_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(FUNCTION_MAX_DYNAMIC_SHARED, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER);
SAME(JIT_ERROR_LOG_BUFFER_BYTES, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
SAME(POINTER_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(POINTER_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(MEMORY_HOST, CU_MEMORYTYPE_HOST);
SAME(STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED);
SAME(MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_INTERLEAVE_NONE);
SAME(MAP_FILL_ZEROS, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
SAME(LAUNCH_CLUSTER_DIMENSION, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
SAME(LAUNCH_BEFORE_THE_LAST_ENDS, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);

SAME(sizeof(address), sizeof(CUdeviceptr));
SAME(sizeof(device), sizeof(CUdevice));
SAME(sizeof(tensor_map), sizeof(CUtensorMap));
SAME(sizeof(update_info), sizeof(CUgraphExecUpdateResultInfo));
SAME(sizeof(launch_attribute), sizeof(CUlaunchAttribute));
SAME_PLACE(launch_attribute, value, CUlaunchAttribute, value);
SAME(sizeof(launch_config), sizeof(CUlaunchConfig));
SAME_PLACE(launch_config, block, CUlaunchConfig, blockDimX);
SAME_PLACE(launch_config, shared_bytes, CUlaunchConfig, sharedMemBytes);
SAME_PLACE(launch_config, in, CUlaunchConfig, hStream);
SAME_PLACE(launch_config, attributes, CUlaunchConfig, attrs);
SAME_PLACE(launch_config, n_attributes, CUlaunchConfig, numAttrs);

/* The header calls the versions of functions that we call: cuMemAlloc is cuMemAlloc_v2 there. */
#define UNVERSIONED(X)                                                                             \
  X(cuMemAlloc, cuMemAlloc_v2)                                                                     \
  X(cuMemFree, cuMemFree_v2) X(cuMemAllocHost, cuMemAllocHost_v2)                                  \
      X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2) X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2)        \
          X(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2) X(cuStreamDestroy, cuStreamDestroy_v2)        \
              X(cuCtxPushCurrent, cuCtxPushCurrent_v2) X(cuCtxPopCurrent, cuCtxPopCurrent_v2)      \
                  X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2)                       \
                      X(cuStreamBeginCapture, cuStreamBeginCapture_v2)                             \
                          X(cuGraphExecUpdate, cuGraphExecUpdate_v2)                               \
                              X(cuGraphInstantiate, cuGraphInstantiateWithFlags)
#define WORD_(x) #x
#define WORD(x) WORD_(x)

int main(void) {
#define X(name, version)                                                                           \
  if (strcmp(WORD(name), #version) != 0)                                                           \
    return printf("%s is %s\n", #version, WORD(name));
  UNVERSIONED(X)
#undef X
  printf("as in cuda.h of %d\n", CUDA_VERSION);
  return 0;
}
