/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The same objects of the model are linked for Linux, or for QEMU's `virt` machine with nothing
 * under them but runtime/riscv. */
#include "riscv.h"
#include "file_io.h"
#include "message.h"
#include "toolchain.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIT NIB_FEATURE_BIT

extern const char nib_embedded_riscv_start[], nib_embedded_riscv_ld[], nib_embedded_riscv_memory[];
extern const char nib_embedded_riscv_bare_c[], nib_embedded_riscv_bare_h[],
    nib_embedded_riscv_packed[];
extern const char nib_embedded_riscv_server_c[], nib_embedded_riscv_server_h[];

/* Files of runtime/riscv, and what they are for. */
static const struct {
  const char *name, *text;
  bool compiled, bare;
} files[] = {
    {"nibrt_server.h", nib_embedded_riscv_server_h, false, false},
    {"nibrt_server.c", nib_embedded_riscv_server_c, true, false},
    {"nibrt_bare.h", nib_embedded_riscv_bare_h, false, true},
    {"nibrt_bare.c", nib_embedded_riscv_bare_c, true, true},
    {"nibrt_memory.c", nib_embedded_riscv_memory, true, true},
    {"nibrt_packed_fp16.c", nib_embedded_riscv_packed, true, true},
    {"nibrt_start.S", nib_embedded_riscv_start, true, true},
    {"nibrt_virt.ld", nib_embedded_riscv_ld, false, true},
};
enum { FILE_COUNT = sizeof files / sizeof *files };

bool nibc_riscv_is_bare(const nibc_session *s) { return s->target.bare_metal || s->options->count; }

const char *nibc_riscv_emulator_name(const nib_target *target, bool bare) {
  return !bare                ? "qemu-riscv64"
         : target->xlen == 64 ? "qemu-system-riscv64"
                              : "qemu-system-riscv32";
}

char *nibc_riscv_emulator(const nibc_session *s) {
  const bool bare = nibc_riscv_is_bare(s);
  const char *name = nibc_riscv_emulator_name(&s->target, bare);
  char *path = nibc_program_find(name);
  if (!path) {
    nibc_error("no emulator to run %s in: %s is not installed", s->target.spec, name);
    nibc_hint("QEMU 10 or newer has it: on Debian 12 'apt-get install -t bookworm-backports %s'",
              bare ? "qemu-system-misc" : "qemu-user");
  }
  return path;
}

/* ---- linking ---- */

static nib_status write_file(const char *dir, const char *name, const char *text, size_t size) {
  char *path = nibc_path_join(dir, name);
  const nib_status status = path ? nibc_file_write(path, text, size)
                                 : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  free(path);
  return status;
}

static void write_buffers(const nib_graph *g, const int32_t *tensors, int32_t n, const char *what,
                          nib_text *t) {
  for (int32_t i = 0; i < n; ++i) {
    const size_t bytes = nib_tensor_bytes(&g->tensors[tensors[i]]);
    nib_text_printf(t, "static _Alignas(64) uint8_t %s%d[%zu];\n", what, i, bytes ? bytes : 1);
  }
  nib_text_printf(t, "static const nibrt_server_buffer all_%s[] = {", what);
  for (int32_t i = 0; i < n; ++i)
    nib_text_printf(t, "{%s%d, %zu}, ", what, i, nib_tensor_bytes(&g->tensors[tensors[i]]));
  nib_text_printf(t, "{0, 0}};\n");
}

/* The server's table of this model. */
static nib_status write_model(const nibc_session *s, const char *dir) {
  const nib_graph *g = s->planned;
  const long long arena = g->arena_bytes > 0 ? (long long)g->arena_bytes : 1;
  nib_text t;
  nib_text_init(&t);
  nib_text_printf(
      &t,
      "#include \"nibrt_server.h\"\n"
      "nibrt_status %s_run(const nibrt_exec *, const void *const *, void *const *, void *const "
      "*);\n"
      "static _Alignas(NIBRT_ARENA_ALIGNMENT) uint8_t arena[%lld];\n",
      s->name, arena);
  write_buffers(g, g->inputs, g->n_inputs, "in", &t);
  write_buffers(g, g->outputs, g->n_outputs, "out", &t);
  nib_text_printf(
      &t, "const nibrt_server_model nibrt_server = {%s_run, arena, all_in, all_out, %d, %d};\n",
      s->name, g->n_inputs, g->n_outputs);
  const nib_status status = t.failed ? nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory")
                                     : write_file(dir, "nibrt_model.c", t.data, t.size);
  nib_text_free(&t);
  return status;
}

/* Folders with libc.a (picolibc keeps its libm in there) and libgcc.a for the target, where they
 * are installed: models with reals call them. */
static void write_libraries(const nibc_session *s, nib_text *t) {
  static const char *const folders[] = {"/usr/lib/picolibc/riscv64-unknown-elf/lib",
                                        "/usr/lib/gcc/riscv64-unknown-elf/*"};
  const nib_feature_set set = s->target.features;
  const char *floats = set & BIT(D) ? "afdc" : set & BIT(F) ? "afc" : "ac";
  const char *names[] = {"-lc", "-lgcc"}, *archives[] = {"libc.a", "libgcc.a"};
  nib_text_printf(t, " -Wl,--start-group");
  for (int i = 0; i < 2; ++i) {
    /* What a compiler makes by default is in no folder of its own. */
    for (int own = 1; own >= 0; --own) {
      char *pattern = own ? nibc_format("%s/rv%dim%s/%s/%s", folders[i], s->target.xlen, floats,
                                        nib_target_abi(&s->target), archives[i])
                          : nibc_format("%s/%s", folders[i], archives[i]);
      glob_t found;
      if (pattern && glob(pattern, 0, NULL, &found) == 0) {
        char *path = found.gl_pathv[found.gl_pathc - 1];
        nib_text_printf(t, " -L%.*s %s", (int)(strrchr(path, '/') - path), path, names[i]);
        globfree(&found);
        own = 0;
      }
      free(pattern);
    }
  }
  nib_text_printf(t, " -Wl,--end-group");
}

/* One call of the compiler: the runtime's sources and the model's objects. */
static nib_status link_program(const nibc_session *s, const nibc_compiler *compiler,
                               const char *flags, const char *dir, char *const *objects,
                               int n_objects) {
  const bool bare = nibc_riscv_is_bare(s);
  nib_text t;
  nib_text_init(&t);
  nib_text_printf(&t, "%s", flags);
  if (bare)
    nib_text_printf(&t, " --target=riscv%d-unknown-elf -nostdlib -T nibrt_virt.ld", s->target.xlen);
  nib_text_printf(&t, " -static -fuse-ld=lld -I. nibrt_model.c");
  for (int i = 0; i < FILE_COUNT; ++i)
    if (files[i].compiled && (bare || !files[i].bare))
      nib_text_printf(&t, " %s", files[i].name);
  for (int i = 0; i < n_objects; ++i)
    nib_text_printf(&t, " %s", objects[i]);
  if (bare)
    write_libraries(s, &t);
  nib_text_printf(&t, " %s-o model.elf", bare ? "" : "-lm ");
  const nib_status status = t.failed ? nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory")
                                     : nibc_compiler_link(compiler, t.data, dir);
  nib_text_free(&t);
  if (status != NIB_OK)
    nibc_hint(bare ? "models with reals need picolibc-riscv64-unknown-elf"
                   : "a program for Linux needs gcc-riscv64-linux-gnu and its C library");
  return status;
}

static nib_status compile_and_link(const nibc_session *s, const nibc_compiler *compiler,
                                   const char *flags, const char *dir) {
  char *names[NIBC_MOST_SOURCES], *objects[NIBC_MOST_SOURCES] = {NULL};
  const int n = nibc_session_sources(s, names);
  const char *sources[NIBC_MOST_SOURCES] = {names[0], names[1], names[2]};
  bool ok = true;
  for (int i = 0; i < n; ++i) {
    objects[i] = names[i] ? nibc_artifact_name(names[i], NIBC_OBJECT) : NULL;
    ok = ok && objects[i];
  }
  nib_status status = ok ? nibc_compiler_run(compiler, NIBC_OBJECT, flags, dir, sources, n, NULL)
                         : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  if (status == NIB_OK)
    status = link_program(s, compiler, flags, dir, objects, n);
  for (int i = 0; i < NIBC_MOST_SOURCES; ++i)
    free(names[i]);
  for (int i = 0; i < n; ++i)
    free(objects[i]);
  return status;
}

nib_status nibc_riscv_link(const nibc_session *s, const char *dir) {
  nib_status status = write_model(s, dir);
  for (int i = 0; i < FILE_COUNT && status == NIB_OK; ++i)
    status = write_file(dir, files[i].name, files[i].text, strlen(files[i].text));
  NIB_RETURN_IF_ERROR(status);
  nibc_compiler compiler;
  NIB_RETURN_IF_ERROR(nibc_compiler_find(&compiler));
  char *flags = nibc_compiler_flags(&s->target, s->options->size);
  const double begin = nibc_step_begin("compile and link");
  if (!compiler.is_clang)
    status = nibc_fail(NIB_ERROR_IO, "code for %s is compiled by clang-22, not by %s",
                       s->target.spec, compiler.path);
  else
    status = flags ? compile_and_link(s, &compiler, flags, dir)
                   : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  nibc_step_end(begin, status);
  free(flags);
  nibc_compiler_free(&compiler);
  return status;
}

/* ---- the emulator's command line ---- */

/* Exactly the target's features: what else a program used would be an illegal instruction. */
static void write_processor(const nibc_session *s, nib_text *t) {
  static const struct {
    nib_feature feature;
    const char *property;
  } properties[] = {
      {NIB_FEATURE_F, "f"},           {NIB_FEATURE_D, "d"},
      {NIB_FEATURE_ZFHMIN, "zfhmin"}, {NIB_FEATURE_ZFH, "zfh"},
      {NIB_FEATURE_ZFINX, "zfinx"},   {NIB_FEATURE_ZHINX, "zhinx"},
      {NIB_FEATURE_V, "v"},           {NIB_FEATURE_ZVFHMIN, "zvfhmin"},
      {NIB_FEATURE_ZVFH, "zvfh"},
  };
  const int64_t fixed = nib_target_vlen(&s->target);
  const int64_t vlen = s->options->vlen ? s->options->vlen : fixed ? fixed : 128;
  nib_text_printf(t, "-cpu\nrv%d,zfa=false,zba=false,zbb=false,zbc=false,zbs=false",
                  s->target.xlen);
  for (size_t i = 0; i < sizeof properties / sizeof *properties; ++i)
    nib_text_printf(t, ",%s=%s", properties[i].property,
                    s->target.features >> properties[i].feature & 1 ? "true" : "false");
  if (s->target.features & BIT(V))
    nib_text_printf(t, ",vlen=%lld,elen=64", (long long)vlen);
  nib_text_printf(t, "\n");
}

void nibc_riscv_command(const nibc_session *s, const char *emulator, const char *dir,
                        const char *plugin, nib_text *t) {
  nib_text_printf(t, "%s\n", emulator);
  write_processor(s, t);
  if (plugin)
    nib_text_printf(t, "-plugin\n%s\n", plugin);
  if (nibc_riscv_is_bare(s))
    nib_text_printf(
        t,
        "-M\nvirt\n-bios\nnone\n-m\n1G\n-display\nnone\n-monitor\nnone\n-serial\nnone\n"
        "-semihosting-config\nenable=on,target=native\n-icount\nshift=0\n-kernel\n%s/model.elf\n",
        dir);
  else
    nib_text_printf(t, "%s/model.elf\n", dir);
}
