/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One comparison: reads a job file, loads what it names, compares results, times all in turns.
 *
 * Usage: compare JOB     prints JSON; status 1 after a message if anything is wrong
 *
 * A job is lines of a keyword and its values: cpu N, rounds N, budget SECONDS, canary BEST, input
 * FILE TYPE, expected FILE TYPE, weights FILE, bias FILE, scales FILE, and entries in the order of
 * their turns: limit NAME [BYTES [COPIES]], network NAME FILE TOLERANCE [COPIES], onednn KIND …,
 * ggml …. */
#define _GNU_SOURCE
#include "harness.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

size_t bench_type_bytes(bench_type type) {
  return type == BENCH_I8 ? 1 : type == BENCH_F16 ? 2 : 4;
}

void *bench_alloc(size_t bytes) {
  const size_t n = (bytes + 63) / 64 * 64 + 64;
  void *const p = aligned_alloc(64, n);
  if (!p) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memset(p, 0, n);
}

void *bench_read_file(const char *path, size_t *bytes) {
  FILE *const f = fopen(path, "rb");
  if (!f) {
    perror(path);
    return NULL;
  }
  fseek(f, 0, SEEK_END);
  *bytes = (size_t)ftell(f);
  rewind(f);
  void *const p = bench_alloc(*bytes);
  const bool ok = fread(p, 1, *bytes, f) == *bytes;
  fclose(f);
  if (!ok)
    fprintf(stderr, "%s: cannot be read\n", path);
  return ok ? p : NULL;
}

int bench_next_copy(int copies) {
  static unsigned turn;
  return (int)(turn++ % (unsigned)copies);
}

bench_entry *bench_add(bench_job *job, const char *name, bool (*run)(void *), void *context) {
  if (job->n_entries == BENCH_MAX_ENTRIES) {
    fprintf(stderr, "more than %d entries\n", BENCH_MAX_ENTRIES);
    return NULL;
  }
  bench_entry *const e = &job->entries[job->n_entries++];
  snprintf(e->name, sizeof e->name, "%s", name);
  e->run = run;
  e->expected = job->expected;
  e->context = context;
  return e;
}

/* ---- compiled networks ---- */

typedef struct network {
  int (*run[BENCH_MAX_COPIES])(const void *, void *);
  const void *in;
  void *out;
  int copies;
} network;

static bool run_network(void *context) {
  network *const n = context;
  return n->run[bench_next_copy(n->copies)](n->in, n->out) == 0;
}

/* The largest part of the object that holds `address` which is read, not written or run: constants.
 */
typedef struct constants {
  uintptr_t address;
  bench_constants found;
} constants;

static int find_constants(struct dl_phdr_info *object, size_t size, void *user) {
  constants *const c = user;
  (void)size;
  bool holds = false;
  const ElfW(Phdr) *largest = NULL;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr) *const p = &object->dlpi_phdr[i];
    if (p->p_type != PT_LOAD)
      continue;
    holds |= c->address - (object->dlpi_addr + p->p_vaddr) < p->p_memsz;
    if (p->p_flags == PF_R && (!largest || p->p_filesz > largest->p_filesz))
      largest = p;
  }
  if (!holds || !largest)
    return holds;
  c->found = (bench_constants){(const unsigned char *)(object->dlpi_addr + largest->p_vaddr),
                               largest->p_filesz};
  return 1;
}

/* Copies are files FILE, FILE.1, FILE.2 …: each has its own weights, which are cold in turn. */
bool bench_add_network(bench_job *job, const char *line) {
  char name[64], path[2048], file[2080];
  network *const n = bench_alloc(sizeof *n);
  double tolerance = 0;
  n->copies = 1;
  if (sscanf(line, "%63s %2047s %lf %d", name, path, &tolerance, &n->copies) < 2 ||
      n->copies > BENCH_MAX_COPIES)
    return false;
  for (int i = 0; i < n->copies; ++i) {
    snprintf(file, sizeof file, i ? "%s.%d" : "%s", path, i);
    void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library)
      *(void **)&n->run[i] = dlsym(library, "nib_bench_run");
    if (!n->run[i]) {
      fprintf(stderr, "%s\n", dlerror());
      return false;
    }
  }
  for (int i = 0; i < n->copies && job->n_constants == i; ++i) {
    constants c = {.address = (uintptr_t)n->run[i]};
    dl_iterate_phdr(find_constants, &c);
    job->constants[job->n_constants++] = c.found;
  }
  n->in = job->input;
  n->out = bench_alloc(job->outputs * bench_type_bytes(job->out_type));
  bench_entry *const e = bench_add(job, name, run_network, n);
  if (!e)
    return false;
  e->result = n->out;
  e->tolerance = tolerance;
  return true;
}

/* ---- the job ---- */

static bool read_type(const char *name, bench_type *type) {
  static const char *const NAMES[] = {"i8", "f32", "f16"};
  for (int i = 0; i < 3; ++i)
    if (strcmp(name, NAMES[i]) == 0) {
      *type = (bench_type)i;
      return true;
    }
  return false;
}

static bool read_line(bench_job *job, const char *line) {
  char key[32] = "", path[2048] = "", type[8] = "i8";
  int skip = 0;
  size_t bytes = 0;
  if (sscanf(line, "%31s %n", key, &skip) != 1)
    return true;
  const char *const rest = line + skip;
  if (strcmp(key, "limit") == 0)
    return bench_add_limit(job, rest);
  if (strcmp(key, "network") == 0)
    return bench_add_network(job, rest);
  if (strcmp(key, "onednn") == 0)
    return bench_add_onednn(job, rest);
  if (strcmp(key, "ggml") == 0)
    return bench_add_ggml(job, rest);
  if (strcmp(key, "budget") == 0)
    return sscanf(rest, "%lf", &job->budget) == 1;
  if (strcmp(key, "canary") == 0)
    return sscanf(rest, "%lf", &job->canary) == 1;
  if (strcmp(key, "rounds") == 0)
    return sscanf(rest, "%d", &job->rounds) == 1 && job->rounds > 0 &&
           job->rounds <= BENCH_MAX_ROUNDS;
  if (strcmp(key, "cpu") == 0)
    return sscanf(rest, "%d", &job->cpu) == 1 && (job->cpu = bench_pin(job->cpu)) >= 0;
  bench_type parsed;
  sscanf(rest, "%2047s %7s", path, type);
  void *const data = read_type(type, &parsed) ? bench_read_file(path, &bytes) : NULL;
  if (!data)
    return false;
  if (strcmp(key, "input") == 0) {
    job->input = data;
    job->input_bytes = bytes;
    job->in_type = parsed;
  } else if (strcmp(key, "expected") == 0) {
    job->expected = data;
    job->outputs = bytes / bench_type_bytes(parsed);
    job->out_type = parsed;
  } else if (strcmp(key, "weights") == 0) {
    job->weights = data;
  } else if (strcmp(key, "bias") == 0) {
    job->bias = data;
  } else if (strcmp(key, "scales") == 0) {
    job->scales = data;
  } else {
    return false;
  }
  return true;
}

int main(int argc, char **argv) {
  static bench_job job = {.rounds = 31, .budget = 2};
  char line[4096];
  FILE *const f = argc == 2 ? fopen(argv[1], "r") : NULL;
  if (!f) {
    fprintf(stderr, "usage: compare JOB\n");
    return 2;
  }
  while (fgets(line, sizeof line, f))
    if (!read_line(&job, line)) {
      fprintf(stderr, "%s: cannot be done: %s", argv[1], line);
      return 1;
    }
  fclose(f);
  return bench_run(&job, stdout) ? 0 : 1;
}
