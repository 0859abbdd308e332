/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Running the C compiler and the archiver. */
#include "toolchain.h"
#include "elf_file.h"
#include "emit/text.h"
#include "file_io.h"
#include "interrupt.h"
#include "message.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

char *nibc_program_find(const char *name) {
  if (strchr(name, '/'))
    return access(name, X_OK) == 0 ? nibc_format("%s", name) : NULL;
  const char *path = getenv("PATH");
  for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
    const int size = (int)strcspn(at, ":");
    char *candidate = nibc_format("%.*s/%s", size, at, name);
    if (candidate && size && access(candidate, X_OK) == 0)
      return candidate;
    free(candidate);
    at += size + (at[size] == ':');
  }
  return NULL;
}

nib_status nibc_compiler_find(nibc_compiler *out) {
  static const char *const names[] = {"clang-22", "clang", "cc", "gcc"};
  memset(out, 0, sizeof *out);
  const char *chosen = getenv("NIBC_CC");
  if (chosen && *chosen)
    out->path = nibc_program_find(chosen);
  for (size_t i = 0; !(chosen && *chosen) && !out->path && i < sizeof names / sizeof *names; ++i)
    out->path = nibc_program_find(names[i]);
  if (!out->path)
    return nibc_fail(NIB_ERROR_IO,
                     "no C compiler found (%s); install clang-22, or name one in "
                     "NIBC_CC",
                     chosen && *chosen ? chosen : "clang-22, clang, cc");
  const char *slash = strrchr(out->path, '/');
  out->is_clang = strstr(slash ? slash : out->path, "clang") != NULL;
  out->archiver = nibc_program_find("llvm-ar-22");
  if (!out->archiver)
    out->archiver = nibc_program_find("ar");
  return NIB_OK;
}

void nibc_compiler_free(nibc_compiler *c) {
  free(c->path);
  free(c->archiver);
  memset(c, 0, sizeof *c);
}

char *nibc_compiler_flags(const nib_target *target, bool size) {
  nib_text flags;
  nib_text_init(&flags);
  /* Of RISC-V, -Os is twice as large as -Oz, which calls what little functions do for each element. */
  const char *small = nib_target_is_riscv(target) ? "-Oz -mllvm -inline-threshold=50" : "-Os";
  nib_text_printf(&flags, "-std=c11 %s -ffp-contract=off -fno-math-errno", size ? small : "-O3");
  if (nib_target_is_riscv(target)) {
    char march[256];
    nib_target_march(target, march, sizeof march);
    nib_text_printf(&flags,
                    " --target=%s -march=%s -mabi=%s%s -fno-pic -menable-experimental-extensions "
                    "-Wno-unused-command-line-argument",
                    target->triple, march, nib_target_abi(target),
                    target->xlen == 64 ? " -mcmodel=medany" : "");
  } else if (target->cpu && !nib_target_is_cuda(target)) { // of CUDA's the host's part is plain C
    const bool native = strcmp(target->cpu, "native") == 0;
    nib_target row;
    nib_feature_set have = 0;
    if (!native) {
      nib_text_printf(&flags, " -march=%s", target->cpu);
      if (nib_target_parse(target->name, &row, NULL) == NIB_OK)
        have = row.features;
    }
    for (int f = 0; f < NIB_FEATURE_COUNT; ++f) {
      const bool was = have >> f & 1, is = target->features >> f & 1;
      if (was != is && !nib_feature_is_ours((nib_feature)f))
        nib_text_printf(&flags, is ? " -m%s" : " -mno-%s", nib_feature_name((nib_feature)f));
    }
  }
  if (flags.failed) {
    nib_text_free(&flags);
    return NULL;
  }
  return flags.data;
}

/* The compiler's own temporary files go to `dir`: whoever removes it removes them. The first string
 * and the array are to be freed. */
static char **child_environment(const char *dir) {
  size_t n = 0;
  while (environ[n])
    ++n;
  char **copy = calloc(n + 2, sizeof *copy);
  char *absolute = realpath(dir, NULL);
  char *tmpdir = absolute ? nibc_format("TMPDIR=%s", absolute) : NULL;
  free(absolute);
  if (!copy || !tmpdir) {
    free(copy);
    free(tmpdir);
    return NULL;
  }
  size_t used = 0;
  copy[used++] = tmpdir;
  for (size_t i = 0; i < n; ++i)
    if (strncmp(environ[i], "TMPDIR=", 7) != 0)
      copy[used++] = environ[i];
  return copy;
}

/* No signal blocked; a closed pipe ends the child as usual. */
static void child_signals(posix_spawnattr_t *out) {
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_init(out);
  posix_spawnattr_setsigmask(out, &none);
  posix_spawnattr_setsigdefault(out, &usual);
  posix_spawnattr_setflags(out, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

nib_status nibc_program_run(const char *dir, const char *const *argv, char **out_messages) {
  int ends[2];
  *out_messages = NULL;
  if (pipe(ends))
    return nibc_fail(NIB_ERROR_IO, "%s: %s", argv[0], strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, dir);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawnattr_t attributes;
  child_signals(&attributes);
  char **environment = child_environment(dir);
  pid_t child = -1;
  nibc_interrupt_hold();
  const int failure =
      environment ? posix_spawn(&child, argv[0], &actions, &attributes, (char *const *)argv, environment) : ENOMEM;
  nibc_interrupt_child(failure ? 0 : child);
  nibc_interrupt_release();
  if (environment)
    free(environment[0]);
  free(environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failure) {
    close(ends[0]);
    return nibc_fail(NIB_ERROR_IO, "%s: %s", argv[0], strerror(failure));
  }
  const size_t capacity = 1 << 20;
  char *messages = calloc(1, capacity + 1), discard[4096];
  for (size_t used = 0;;) {
    const bool keep = messages && used < capacity;
    const ssize_t n =
        read(ends[0], keep ? messages + used : discard, keep ? capacity - used : sizeof discard);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    used += keep ? (size_t)n : 0;
  }
  close(ends[0]);
  int result = 0;
  siginfo_t ended;
  while (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
    ;
  nibc_interrupt_hold(); // its number may be another process's once it has been waited for
  waitpid(child, &result, 0);
  nibc_interrupt_child(0);
  nibc_interrupt_release();
  *out_messages = messages;
  return WIFEXITED(result) && WEXITSTATUS(result) == 0 ? NIB_OK : NIB_ERROR_IO;
}

enum { MAX_ARGS = 96 };

/* Splits `flags` at spaces into argv, in place. */
static int split(char *flags, const char **argv, int n) {
  for (char *word = strtok(flags, " "); word && n < MAX_ARGS - 8; word = strtok(NULL, " "))
    argv[n++] = word;
  return n;
}

static nib_status run_compiler(const char *dir, const char **argv) {
  char *messages = NULL;
  nib_status status = nibc_program_run(dir, argv, &messages);
  if (status != NIB_OK) {
    if (messages && *messages)
      fprintf(stderr, "%s", messages);
    status = nibc_fail(status, "%s failed on the generated sources", argv[0]);
  }
  free(messages);
  return status;
}

static const struct {
  const char *extension, *flags[2];
} artifacts[] = {
    [NIBC_LLVM] = {"ll", {"-S", "-emit-llvm"}},
    [NIBC_ASM] = {"s", {"-S", NULL}},
    [NIBC_OBJECT] = {"o", {"-c", NULL}},
    [NIBC_SHARED] = {"so", {"-shared", "-fPIC"}},
};

char *nibc_artifact_name(const char *source, nibc_artifact artifact) {
  const char *dot = strrchr(source, '.');
  const int size = dot ? (int)(dot - source) : (int)strlen(source);
  return nibc_format("%.*s.%s", size, source, artifacts[artifact].extension);
}

nib_status nibc_compiler_run(const nibc_compiler *compiler, nibc_artifact artifact,
                             const char *flags, const char *dir, const char *const *sources,
                             int n_sources, const char *output) {
  if (artifact == NIBC_LLVM && !compiler->is_clang)
    return nibc_fail(NIB_ERROR_IO, "--emit=llvm needs clang-22, which is not installed");
  const char *dot = n_sources ? strrchr(sources[0], '.') : NULL;
  const bool is_ir = dot && strcmp(dot, ".ll") == 0;
  if (is_ir && !compiler->is_clang)
    return nibc_fail(NIB_ERROR_IO, "LLVM IR is compiled by clang-22, which is not installed");
  char *copy = nibc_format("%s", flags);
  if (!copy)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const char *argv[MAX_ARGS] = {compiler->path};
  int n = split(copy, argv, 1);
  if (is_ir)
    argv[n++] = "-Wno-override-module";
  for (int i = 0; i < 2 && artifacts[artifact].flags[i]; ++i)
    argv[n++] = artifacts[artifact].flags[i];
  nib_status status = NIB_OK;
  if (artifact == NIBC_SHARED) {
    for (int i = 0; i < n_sources; ++i)
      argv[n++] = sources[i];
    argv[n++] = "-o";
    argv[n++] = output;
    argv[n++] = "-lm";
    argv[n++] = "-ldl";
    status = run_compiler(dir, argv);
  }
  for (int i = 0; artifact != NIBC_SHARED && status == NIB_OK && i < n_sources; ++i) {
    char *to = nibc_artifact_name(sources[i], artifact);
    argv[n] = sources[i];
    argv[n + 1] = "-o";
    argv[n + 2] = to;
    status = to ? run_compiler(dir, argv) : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
    free(to);
  }
  free(copy);
  return status;
}

nib_status nibc_compiler_link(const nibc_compiler *compiler, const char *arguments, const char *dir) {
  char *copy = nibc_format("%s", arguments);
  if (!copy)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const char *argv[MAX_ARGS] = {compiler->path};
  argv[split(copy, argv, 1)] = NULL;
  const nib_status status = run_compiler(dir, argv);
  free(copy);
  return status;
}

nib_status nibc_archive(const nibc_compiler *compiler, const char *dir, const char *archive,
                        const char *const *sources, int n_sources) {
  if (!compiler->archiver)
    return nibc_fail(NIB_ERROR_IO, "--emit=lib needs ar, which is not installed");
  const char *argv[16] = {compiler->archiver, "rcsD", archive};
  char *objects[8] = {NULL};
  int n = 3;
  for (int i = 0; i < n_sources && i < 8; ++i)
    argv[n++] = objects[i] = nibc_artifact_name(sources[i], NIBC_OBJECT);
  const nib_status status = run_compiler(dir, argv);
  for (int i = 0; i < 8; ++i)
    if (objects[i]) {
      char *path = nibc_path_join(dir, objects[i]);
      if (path)
        unlink(path);
      free(path);
      free(objects[i]);
    }
  return status;
}

bool nibc_object_size(const char *path, int64_t *out_code, int64_t *out_rodata) {
  nibc_elf elf;
  int64_t data;
  if (!nibc_elf_open(path, &elf))
    return false;
  nibc_elf_sizes(&elf, out_code, out_rodata, &data);
  nibc_elf_close(&elf);
  return true;
}
