// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// libcuda.so.1 without its SDK.
#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

bool driver_ok(const driver *d, int error, const char *what) {
  const char *text = NULL;
  if (error == 0)
    return true;
  if (d->cuGetErrorString)
    d->cuGetErrorString(error, &text);
  printf("%s: %s (error %d)\n", what, text ? text : "unknown", error);
  return false;
}

bool driver_open(driver *d) {
  memset(d, 0, sizeof *d);
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    printf("no driver: %s\n", dlerror());
    return false;
  }
#define X(name, parameters)                                                                        \
  {                                                                                                \
    void *found = dlsym(library, #name);                                                           \
    memcpy(&d->name, &found, sizeof found);                                                        \
    if (!found) {                                                                                  \
      printf("libcuda.so.1 has no " #name "\n");                                                   \
      return false;                                                                                \
    }                                                                                              \
  }
  BENCH_DRIVER(X)
#undef X
  enum { MULTIPROCESSOR_COUNT = 16 };
  int device;
  void *context;
  return driver_ok(d, d->cuInit(0), "cuInit") &&
         driver_ok(d, d->cuDeviceGet(&device, 0), "cuDeviceGet") &&
         driver_ok(d, d->cuDeviceGetName(d->device, sizeof d->device, device), "cuDeviceGetName") &&
         driver_ok(d, d->cuDeviceGetAttribute(&d->processors, MULTIPROCESSOR_COUNT, device),
                   "cuDeviceGetAttribute") &&
         driver_ok(d, d->cuDriverGetVersion(&d->version), "cuDriverGetVersion") &&
         driver_ok(d, d->cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain") &&
         driver_ok(d, d->cuCtxSetCurrent(context), "cuCtxSetCurrent") &&
         driver_ok(d, d->cuStreamCreate(&d->stream, 1), "cuStreamCreate");
}
