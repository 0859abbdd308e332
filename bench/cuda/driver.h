/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The driver's functions that the benchmark calls, found at run time. */
#ifndef NIB_BENCH_CUDA_DRIVER_H
#define NIB_BENCH_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t device_pointer;
typedef struct device_map {
  _Alignas(64) uint64_t word[16];
} device_map;

typedef struct launch_attribute {
  int id, pad;
  union {
    unsigned value[3]; /* id CLUSTER_DIMENSION: blocks along x, y, z */
    uint64_t all[8];
  };
} launch_attribute;

typedef struct launch_config {
  unsigned grid[3], block[3], shared_bytes;
  void *stream;
  launch_attribute *attributes;
  unsigned n_attributes;
} launch_config;

#define BENCH_DRIVER(X)                                                                            \
  X(cuInit, (unsigned flags))                                                                      \
  X(cuDeviceGet, (int *device, int ordinal))                                                       \
  X(cuDeviceGetName, (char *name, int size, int device))                                           \
  X(cuDeviceGetAttribute, (int *value, int attribute, int device))                                 \
  X(cuDevicePrimaryCtxRetain, (void **context, int device))                                        \
  X(cuCtxSetCurrent, (void *context))                                                              \
  X(cuCtxSynchronize, (void))                                                                      \
  X(cuDriverGetVersion, (int *version))                                                            \
  X(cuModuleLoadData, (void **module, const void *image))                                          \
  X(cuModuleUnload, (void *module))                                                                \
  X(cuModuleGetFunction, (void **function, void *module, const char *name))                        \
  X(cuFuncSetAttribute, (void *function, int attribute, int value))                                \
  X(cuLaunchKernelEx, (const launch_config *config, void *function, void **params, void **extra))  \
  X(cuMemAlloc_v2, (device_pointer * p, size_t bytes))                                             \
  X(cuMemFree_v2, (device_pointer p))                                                              \
  X(cuMemcpyHtoD_v2, (device_pointer to, const void *from, size_t bytes))                          \
  X(cuMemcpyDtoH_v2, (void *to, device_pointer from, size_t bytes))                                \
  X(cuMemcpyDtoDAsync_v2, (device_pointer to, device_pointer from, size_t bytes, void *stream))    \
  X(cuMemsetD8_v2, (device_pointer p, unsigned char value, size_t bytes))                          \
  X(cuStreamCreate, (void **stream, unsigned flags))                                               \
  X(cuStreamSynchronize, (void *stream))                                                           \
  X(cuEventCreate, (void **event, unsigned flags))                                                 \
  X(cuEventRecord, (void *event, void *stream))                                                    \
  X(cuEventElapsedTime, (float *ms, void *start, void *end))                                       \
  X(cuGetErrorString, (int error, const char **text))                                              \
  X(cuTensorMapEncodeTiled,                                                                        \
    (device_map * map, int type, uint32_t rank, void *address, const uint64_t *dims,               \
     const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,          \
     int swizzle, int promotion, int fill))

typedef struct driver {
#define X(name, parameters) int(*name) parameters;
  BENCH_DRIVER(X)
#undef X
  void *stream;
  char device[128];
  int processors, version;
} driver;

/** Loads libcuda.so.1 and makes the first device's primary context current; false after a message.
 */
bool driver_open(driver *d);
/** False after a message that names `what` where `error` is one. */
bool driver_ok(const driver *d, int error, const char *what);

#endif
