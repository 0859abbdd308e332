/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The whole is counted by the processor (minstret), the kernels by the plugin tools/qemu-count, and
 * the two have to agree. */
#include "count.h"
#include "elf_file.h"
#include "emit/model.h"
#include "emit/text.h"
#include "file_io.h"
#include "message.h"
#include "report.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* nib_qemu_count.so beside this program, as it is built and installed; NULL if it is not there. */
static char *find_plugin(void) {
  char self[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
  if (size <= 0)
    return NULL;
  self[size] = 0;
  char *slash = strrchr(self, '/');
  if (slash)
    *slash = 0;
  char *path = nibc_format("%s/../lib/nib_qemu_count.so", self);
  if (path && access(path, R_OK) == 0)
    return path;
  free(path);
  return NULL;
}

static void write_range(const nibc_elf *elf, const char *word, const char *begin, const char *end,
                        nib_text *t) {
  nibc_elf_symbol a, b;
  if (nibc_elf_find(elf, begin, &a) && nibc_elf_find(elf, end, &b))
    nib_text_printf(t, "%s %" PRIx64 " %" PRIx64 "\n", word, a.address, b.address);
}

/* False if the program has not the symbols: its kernels are not functions of their own. */
static bool write_plan(const nibc_session *s, const nibc_elf *elf, nib_text *t) {
  nibc_elf_symbol symbol;
  char name[256];
  snprintf(name, sizeof name, "%s_run", s->name);
  if (!nibc_elf_find(elf, name, &symbol))
    return false;
  nib_text_printf(t, "entry %" PRIx64 "\nbody %" PRIx64 " %" PRIx64 "\n", symbol.address,
                  symbol.address, symbol.address + symbol.size);
  if (!nibc_elf_find(elf, "nibrt_call_returned", &symbol))
    return false;
  nib_text_printf(t, "return %" PRIx64 "\n", symbol.address);
  write_range(elf, "skip", "nibrt_trap_text_begin", "nibrt_trap_text_end", t);
  for (int32_t i = 0; i < s->planned->n_kernels; ++i) {
    nib_model_kernel_symbol(s->planned, s->name, i, name, sizeof name);
    if (!nibc_elf_find(elf, name, &symbol))
      return false;
    nib_text_printf(t, "part %" PRIx64 "\n", symbol.address);
  }
  return true;
}

nib_status nibc_count_plan(const nibc_session *s, const char *dir, char **out_plugin) {
  *out_plugin = NULL;
  char *plugin = find_plugin(), *program = nibc_path_join(dir, "model.elf");
  char *plan = nibc_path_join(dir, "plan");
  nib_text t;
  nib_text_init(&t);
  nibc_elf elf;
  nib_status status =
      program && plan ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  if (status == NIB_OK && plugin && nibc_elf_open(program, &elf)) {
    if (write_plan(s, &elf, &t) && !t.failed) {
      status = nibc_file_write(plan, t.data, t.size);
      *out_plugin = nibc_format("%s,plan=%s,counts=%s/counts", plugin, plan, dir);
    }
    nibc_elf_close(&elf);
  }
  nib_text_free(&t);
  free(plan);
  free(program);
  free(plugin);
  return status;
}

nib_status nibc_count_read(const nibc_session *s, const char *dir, nibc_counts *c) {
  char *path = nibc_path_join(dir, "counts");
  FILE *file = path ? fopen(path, "r") : NULL;
  free(path);
  if (!file)
    return NIB_OK;
  uint64_t total = 0, n, weighted;
  int part;
  c->n_kernels = s->planned->n_kernels;
  c->kernels = calloc((size_t)c->n_kernels * 2 + 1, sizeof *c->kernels);
  c->has_parts =
      c->kernels && fscanf(file, "total %" SCNu64 " %" SCNu64 "\n", &total, &c->weighted) == 2;
  while (c->has_parts &&
         fscanf(file, "part %d %" SCNu64 " %" SCNu64 "\n", &part, &n, &weighted) == 3)
    if (part >= 1 && part <= c->n_kernels) {
      c->kernels[2 * (part - 1)] = n;
      c->kernels[2 * (part - 1) + 1] = weighted;
    }
  fclose(file);
  if (c->has_parts && total != c->instructions)
    return nibc_fail(NIB_ERROR_INTERNAL,
                     "the processor counts %" PRIu64 " instructions, the emulator %" PRIu64,
                     c->instructions, total);
  return NIB_OK;
}

void nibc_counts_free(nibc_counts *c) {
  free(c->kernels);
  *c = (nibc_counts){0};
}

static double per(uint64_t n, int64_t macs) { return macs > 0 ? (double)n / (double)macs : 0; }

static void print_json(const nibc_session *s, const nibc_counts *c, int64_t runs) {
  const nib_graph *g = s->planned;
  const int64_t macs = nib_model_macs(s->planned);
  printf("{\"instructions\":%" PRIu64 ",", c->instructions);
  if (c->has_parts)
    printf("\"weighted_instructions\":%" PRIu64 ",", c->weighted);
  printf("\"macs\":%" PRId64 ",\"instructions_per_mac\":%.6f,\"stack_bytes\":%" PRIu64
         ",\"runs\":%" PRId64,
         macs, per(c->instructions, macs), c->stack_bytes, runs);
  for (int32_t i = 0; c->has_parts && i < g->n_kernels; ++i) {
    int64_t work, bytes;
    nibc_count_work(g, g->kernels[i].nodes, g->kernels[i].n_nodes, &work, &bytes);
    printf("%s{\"kernel\":\"%s\",\"instructions\":%" PRIu64 ",\"weighted_instructions\":%" PRIu64
           ",\"macs\":%" PRId64 "}",
           i ? "," : ",\"kernels\":[", g->kernels[i].name ? g->kernels[i].name : "",
           c->kernels[2 * i], c->kernels[2 * i + 1], work);
  }
  printf("%s}\n", c->has_parts && g->n_kernels ? "]" : "");
}

void nibc_count_print(const nibc_session *s, const nibc_counts *c, int64_t runs) {
  const nib_graph *g = s->planned;
  const int64_t macs = nib_model_macs(g);
  if (s->options->json) {
    print_json(s, c, runs);
    return;
  }
  if (c->has_parts)
    printf("%-28s %-20s %14s %9s %14s %9s\n", "kernel", "schedule/vocabulary", "instructions",
           "per MAC", "weighted", "per MAC");
  for (int32_t i = 0; c->has_parts && i < g->n_kernels; ++i) {
    const nib_kernel *k = &g->kernels[i];
    int64_t work, bytes;
    nibc_count_work(g, k->nodes, k->n_nodes, &work, &bytes);
    char how[64];
    snprintf(how, sizeof how, "%s/%s", k->schedule ? k->schedule : "-", k->vocab ? k->vocab : "-");
    printf("%-28.28s %-20.20s %14s", k->name ? k->name : "-", how,
           nibc_number((int64_t)c->kernels[2 * i]).text);
    if (work > 0)
      printf(" %9.4f", per(c->kernels[2 * i], work));
    else
      printf(" %9s", "-");
    printf(" %14s", nibc_number((int64_t)c->kernels[2 * i + 1]).text);
    if (work > 0)
      printf(" %9.4f\n", per(c->kernels[2 * i + 1], work));
    else
      printf(" %9s\n", "-");
  }
  printf("instructions: %s, %.4f per MAC (%s MACs)\n", nibc_number((int64_t)c->instructions).text,
         per(c->instructions, macs), nibc_number(macs).text);
  if (c->has_parts)
    printf("weighted:     %s, %.4f per MAC: a vector instruction counts as the registers that it "
           "works on\n",
           nibc_number((int64_t)c->weighted).text, per(c->weighted, macs));
  printf("stack:        %s bytes deep\n", nibc_number((int64_t)c->stack_bytes).text);
}
