/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Requests come on file 3, answers go to file 4: by Linux's own calls, or by semihosting. */
#include "nibrt_server.h"

#if defined(__linux__)

#include <unistd.h>

enum { IN = 3, OUT = 4 };

static int transfer_in(void *bytes, size_t size) {
  for (uint8_t *at = bytes; size;) {
    const ssize_t n = read(IN, at, size);
    if (n <= 0)
      return -1;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

static int transfer_out(const void *bytes, size_t size) {
  for (const uint8_t *at = bytes; size;) {
    const ssize_t n = write(OUT, at, size);
    if (n <= 0)
      return -1;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

static void begin(void) {}

static void run(const void *const *in, void *const *out, void *const *arenas,
                nibrt_server_answer *answer) {
  answer->status = (int32_t)nibrt_server.run(NULL, in, out, arenas);
}

#else

#include "nibrt_bare.h"

static long in_file, out_file;

static int transfer_in(void *bytes, size_t size) { return nibrt_read(in_file, bytes, size); }
static int transfer_out(const void *bytes, size_t size) {
  return nibrt_write(out_file, bytes, size);
}

static void begin(void) {
  in_file = nibrt_open("/proc/self/fd/3", 0);
  out_file = nibrt_open("/proc/self/fd/4", 1);
  if (in_file < 0 || out_file < 0) {
    nibrt_print("the files of requests cannot be opened\n");
    nibrt_exit(2);
  }
  nibrt_count_begin();
}

typedef long function(const void *, const void *, const void *, const void *);

static long nothing(const void *a, const void *b, const void *c, const void *d) {
  (void)b, (void)c, (void)d;
  return (long)(uintptr_t)a;
}

__attribute__((noinline)) static uint64_t count(function *f, const void *in, const void *out,
                                                const void *arenas, int32_t *out_status) {
  const uint64_t before = nibrt_instructions();
  const long status = nibrt_call(f, NULL, in, out, arenas);
  const uint64_t after = nibrt_instructions();
  *out_status = (int32_t)status;
  return after - before;
}

/* Beside the call itself `nothing` takes one instruction, its return. */
static void run(const void *const *in, void *const *out, void *const *arenas,
                nibrt_server_answer *answer) {
  int32_t status;
  function *volatile none = nothing;
  function *model = (function *)(uintptr_t)nibrt_server.run;
  count(none, in, out, arenas, &status);
  const uint64_t call = count(none, in, out, arenas, &status) - 1;
  static int painted;
  if (!painted++)
    nibrt_stack_paint();
  answer->instructions = count(model, in, out, arenas, &answer->status) - call;
  answer->stack_bytes = nibrt_stack_depth();
}

#endif

int main(void) {
  const nibrt_server_model *m = &nibrt_server;
  const void *in[NIBRT_SERVER_MOST_BUFFERS];
  void *out[NIBRT_SERVER_MOST_BUFFERS];
  void *const arenas[NIBRT_SPACE_COUNT] = {m->arena};
  for (uint32_t i = 0; i < m->n_in; ++i)
    in[i] = m->in[i].bytes;
  for (uint32_t i = 0; i < m->n_out; ++i)
    out[i] = m->out[i].bytes;
  begin();
  for (;;) {
    for (uint32_t i = 0; i < m->n_in; ++i)
      if (transfer_in(m->in[i].bytes, m->in[i].size))
        return 0; /* no more requests */
    nibrt_server_answer answer = {0};
    run(in, out, arenas, &answer);
    if (transfer_out(&answer, sizeof answer))
      return 1;
    for (uint32_t i = 0; i < m->n_out; ++i)
      if (transfer_out(m->out[i].bytes, m->out[i].size))
        return 1;
  }
}
