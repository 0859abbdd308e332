/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * For tests of CUDA schedules: a suite's graph compiled for a target, its kernels emulated
 * (test/cuda), run through the runtime of compiled models. */
#ifndef NIB_TEST_CUDA_HARNESS_H
#define NIB_TEST_CUDA_HARNESS_H

#include "emit_harness.h"

#include "nibrt_cuda.h"

static struct {
  void *model, *driver;
  nibrt_cuda_session *session;
  model_run *run;
} cuda_device;

static void print_cuda_message(void *user, const char *text) {
  (void)user;
  printf("%s\n", text);
}

HARNESS_UNUSED static void *cuda_symbol(const char *format, const char *name) {
  char symbol[128];
  snprintf(symbol, sizeof symbol, format, name);
  return dlsym(cuda_device.model, symbol);
}

/* DIR/NAME.cu as a module of the emulation, and the model's other files with the runtime. */
HARNESS_UNUSED static bool open_cuda(const char *dir, const char *name) {
  char build[256] = "", path[400];
  const ssize_t n = readlink("/proc/self/exe", build, sizeof build - 1);
  char *bin = n > 0 ? strstr(build, "/bin/unit/") : NULL;
  CHECK(bin != NULL);
  if (!bin)
    return false;
  *bin = '\0';
  if (shell("python3 '%s/test/cuda/emulate.py' '%s/%s.cu' -o '%s/module.so' --build '%s' -O1 "
            "-Wno-pass-failed",
            NIB_SOURCE_DIR, dir, name, dir, build) ||
      shell("cd '%s' && rm -f *_main.c && echo 'const unsigned char %s_image[16] = {0};' > image.c "
            "&& "
            "cc -std=gnu11 -Wall -Wextra -O1 -shared -fPIC *.c -ldl -lm -o model.so",
            dir, name))
    return false;
  snprintf(path, sizeof path, "%s/module.so", dir);
  setenv("NIB_EMULATED_MODULE", path, 1);
  setenv("NIB_EMULATED_DEVICE", "90", 1);
  snprintf(path, sizeof path, "%s/lib/emulated/libcuda.so.1", build);
  cuda_device.driver = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  snprintf(path, sizeof path, "%s/model.so", dir);
  cuda_device.model = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!cuda_device.driver || !cuda_device.model) {
    printf("%s\n", dlerror());
    return false;
  }
  nibrt_status (*open)(const nibrt_cuda_model *, const nibrt_cuda_options *, nibrt_cuda_session **);
  void *found = cuda_symbol("%s", "nibrt_cuda_open");
  memcpy(&open, &found, sizeof open);
  const nibrt_cuda_options options = {.size = sizeof options, .message = print_cuda_message};
  cuda_device.run = find_run(cuda_device.model, name);
  return open(cuda_symbol("%s_cuda", name), &options, &cuda_device.session) == NIBRT_OK;
}

HARNESS_UNUSED static void close_cuda(void) {
  void (*close)(nibrt_cuda_session *);
  void *found = cuda_device.model ? cuda_symbol("%s", "nibrt_cuda_close") : NULL;
  memcpy(&close, &found, sizeof close);
  if (found)
    close(cuda_device.session);
  if (cuda_device.model)
    dlclose(cuda_device.model);
  memset(&cuda_device, 0, sizeof cuda_device);
}

/* A model_run on the session. */
HARNESS_UNUSED static nibrt_status run_on_cuda(const nibrt_exec *exec, const void *const *in,
                                               void *const *out, void *const *arenas) {
  (void)exec, (void)arenas;
  nibrt_exec e = {.size = sizeof e, .version = NIBRT_ABI_VERSION, .device = cuda_device.session};
  return cuda_device.run(&e, in, out, NULL);
}

/* DIR/NAME.cu as PTX, which has each of `words`; where ptxas is found, it neither spills nor has
 * notes that cost speed. */
HARNESS_UNUSED static void check_assembly(const char *dir, const char *name, const char *arch,
                                          const char *const *words) {
  if (shell(
          "cd '%s' && clang-22 -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=%s "
          "--cuda-feature=+ptx84 -O3 -ffp-contract=off -Wno-unknown-cuda-version -S %s.cu -o "
          "%s.ptx",
          dir, arch, name, name)) {
    ++harness_failures;
    return;
  }
  for (int i = 0; words && words[i]; ++i)
    if (shell("grep -q -e '%s' '%s/%s.ptx'", words[i], dir, name)) {
      printf("%s: no %s\n", name, words[i]);
      ++harness_failures;
    }
  if (shell("PATH=$PATH:/usr/local/cuda/bin command -v ptxas >/dev/null")) {
    printf("%s: not assembled, there is no ptxas\n", name);
    return;
  }
  CHECK(shell("cd '%s' && PATH=$PATH:/usr/local/cuda/bin ptxas -arch=%s -v %s.ptx -o %s.cubin "
              ">%s.log 2>&1",
              dir, arch, name, name, name) == 0);
  CHECK(shell("! grep -e C75 -e '[1-9][0-9]* bytes spill' '%s/%s.log'", dir, name) == 0);
}

/* For graphs that test more than importers make. */
static bool harness_any_graph;

/* Emits the suite's graph, whose kernels are selected, and compares it with the reference in
 * `rounds` rounds of each kind of input; its PTX has each of `words` (NULL: none are asked for).
 * Returns the outputs compared. */
HARNESS_UNUSED static int compare_on_cuda(suite *s, const char *target, int rounds,
                                          const char *const *words) {
  int compared = 0;
  if (!harness_any_graph && nib_graph_validate(s->g, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    ++harness_failures;
    return 0;
  }
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = target;
  if (nib_emit_graph(s->g, &o, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    ++harness_failures;
  } else if (open_cuda(dir, s->g->name)) {
    compared = compare_with_reference(s, run_on_cuda, rounds);
    if (words)
      check_assembly(dir, s->g->name, target, words);
  } else {
    ++harness_failures;
  }
  close_cuda();
  if (getenv("NIB_KEEP"))
    printf("kept %s\n", dir);
  else
    remove_folder(dir);
  return compared;
}

#endif
