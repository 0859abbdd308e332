/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A model cut for eight cores, on the eight cores of a bare machine and on one: the same results. */
#include "net.h"
#include "nibrt_bare.h"
#include "nibrt_cluster.h"

enum { CORES = 8 };

static nibrt_cluster cluster;
static uint32_t arrived, round_number;

/* The last to arrive lets all go on. */
static void barrier(void *user) {
  (void)user;
  const uint32_t mine = __atomic_load_n(&round_number, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == CORES) {
    __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&round_number, mine + 1, __ATOMIC_RELEASE);
    return;
  }
  while (__atomic_load_n(&round_number, __ATOMIC_ACQUIRE) == mine)
    ;
}

static uint32_t ready;

void nibrt_core(uint32_t core);
void nibrt_core(uint32_t core) {
  while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
    ;
  nibrt_cluster_work(&cluster, core);
}

/* Counts on which cores parts have run, between the cluster and the model. */
static uint32_t parts_of[CORES], jobs;
typedef struct watched {
  nibrt_task *task;
  void *context;
} watched;

static void watch(void *context, uint32_t part, uint32_t parts) {
  const watched *w = context;
  uint32_t core;
  __asm__("csrr %0, mhartid" : "=r"(core));
  ++parts_of[core];
  w->task(w->context, part, parts);
}

static void parallel(void *pool, nibrt_task *task, void *context, uint32_t parts) {
  watched w = {task, context};
  ++jobs;
  nibrt_cluster_parallel(pool, watch, &w, parts);
}

static _Alignas(64) uint8_t arena[NET_ARENA_BYTES], in[NET_INPUT_0_BYTES], one[NET_OUTPUT_0_BYTES], all[NET_OUTPUT_0_BYTES];

int main(void) {
  const void *const ins[] = {in};
  void *const first[] = {one}, *const second[] = {all}, *const arenas[] = {arena};
  for (unsigned i = 0; i < sizeof in; ++i)
    in[i] = (uint8_t)(i * 2654435761u >> 24);
  nibrt_exec exec;
  nibrt_cluster_init(&cluster, CORES, barrier, NULL);
  nibrt_cluster_exec(&cluster, &exec);
  exec.parallel = parallel;
  __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
  const nibrt_status status = net_run(NULL, ins, first, arenas);
  const nibrt_status again = net_run(&exec, ins, second, arenas);
  nibrt_cluster_stop(&cluster);
  int good = status == NIBRT_OK && again == NIBRT_OK && jobs > 0;
  for (unsigned i = 0; i < sizeof one; ++i)
    good = good && one[i] == all[i];
  for (int i = 0; i < CORES; ++i)
    good = good && parts_of[i] > 0;
  nibrt_print(good ? "eight cores equal one\n" : "failed\n");
  return !good;
}
