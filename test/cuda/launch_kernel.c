// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// launch_kernel MODULE KERNEL THREADS SHARED_BYTES: launches a kernel with one argument, 4096 bytes
// of device memory, in two blocks; prints what the driver says of it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef unsigned long long address;

int main(int argc, char **argv) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW), *context, *module, *function;
  address memory;
  unsigned words[1024], sum = 0;
  int device, code;
  const char *text = "";
  if (!library || argc != 5)
    return 2;
#define F(name, ...) ((int (*)(__VA_ARGS__))dlsym(library, #name))
#define CALL(f, ...)                                                                               \
  if ((code = f(__VA_ARGS__)) != 0)                                                                \
  goto failed
  CALL(F(cuInit, unsigned), 0);
  CALL(F(cuDeviceGet, int *, int), &device, 0);
  CALL(F(cuDevicePrimaryCtxRetain, void **, int), &context, device);
  CALL(F(cuCtxPushCurrent_v2, void *), context);
  CALL(F(cuModuleLoadDataEx, void **, const void *, unsigned, int *, void **), &module, argv[1], 0,
       NULL, NULL);
  CALL(F(cuModuleGetFunction, void **, void *, const char *), &function, module, argv[2]);
  CALL(F(cuMemAlloc_v2, address *, size_t), &memory, 4096);
  CALL(F(cuLaunchKernel, void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
         unsigned, void *, void **, void **),
       function, 2, 1, 1, (unsigned)atoi(argv[3]), 1, 1, (unsigned)atoi(argv[4]), NULL,
       (void *[]){&memory}, NULL);
  CALL(F(cuMemcpyDtoH_v2, void *, address, size_t), words, memory, sizeof words);
  for (int i = 0; i < 1024; ++i)
    sum = 31 * sum + words[i];
  printf("%s ran: %08x\n", argv[2], sum);
  return 0;
failed:
  F(cuGetErrorString, int, const char **)(code, &text);
  printf("error: %s\n", text);
  return 1;
}
