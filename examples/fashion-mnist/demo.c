/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Runs the compiled Fashion-MNIST network on the 10,000 test images: accuracy, time per image, and a few
 * images with their predictions, in the terminal and as a PNG. Usage: demo DATA_DIR OUT.png */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include "fashion.h"

#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, SHOWN = 6 };

static const char *const class_names[CLASSES] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                                 "sandal",  "shirt",   "sneaker",  "bag",   "boot"};

static void die(const char *what, const char *path) {
  fprintf(stderr, "demo: %s: %s\n", what, path);
  exit(1);
}

/* Reads an IDX file of bytes (gzip): its header is `dims` big-endian counts. Returns malloc'd bytes. */
static uint8_t *read_idx(const char *folder, const char *name, int dims, size_t item_bytes,
                         size_t *out_items) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  gzFile file = gzopen(path, "rb");
  if (!file)
    die("cannot open (is the package dataset-fashion-mnist installed?)", path);
  uint8_t header[16];
  unsigned header_bytes = 4u + 4u * (unsigned)dims;
  if (gzread(file, header, header_bytes) != (int)header_bytes || header[3] != dims)
    die("not an IDX file", path);
  *out_items = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
  size_t bytes = *out_items * item_bytes;
  uint8_t *data = malloc(bytes);
  if (!data || gzread(file, data, (unsigned)bytes) != (int)bytes)
    die("file is truncated", path);
  gzclose(file);
  return data;
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int classify(const uint8_t *image, void *arena) {
  float scores[CLASSES];
  if (fashion(image, scores, arena) != NIBRT_OK)
    die("the network returned an error", "fashion");
  int best = 0;
  for (int c = 1; c < CLASSES; ++c)
    if (scores[c] > scores[best])
      best = c;
  return best;
}

/* Two image rows a line: half blocks in 24-bit greys on a terminal, else characters of growing ink. */
static void draw_pixel_pair(uint8_t top, uint8_t bottom, int colour) {
  static const char ink[] = " .:-=+*#%@";
  if (colour)
    printf("\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\u2580", top, top, top, bottom, bottom, bottom);
  else
    putchar(ink[(top + bottom) * (int)(sizeof ink - 2) / (2 * 255)]);
}

static void draw_in_terminal(const uint8_t *images, const int *predictions, const uint8_t *labels) {
  const int colour = isatty(STDOUT_FILENO);
  for (int row = 0; row < SIDE; row += 2) {
    for (int i = 0; i < SHOWN; ++i) {
      const uint8_t *top = images + i * PIXELS + row * SIDE, *bottom = top + SIDE;
      for (int x = 0; x < SIDE; ++x)
        draw_pixel_pair(top[x], bottom[x], colour);
      printf(colour ? "\033[0m " : " ");
    }
    printf("\n");
  }
  for (int i = 0; i < SHOWN; ++i) {
    char caption[64];
    snprintf(caption, sizeof caption, "%s %s", class_names[predictions[i]],
             predictions[i] == labels[i] ? "(right)" : "(wrong)");
    printf("%-*s", SIDE + 1, caption);
  }
  printf("\n");
}

/* The same images, enlarged, with a green (right) or red (wrong) frame. */
static void write_png(const char *path, const uint8_t *images, const int *predictions,
                      const uint8_t *labels) {
  enum { ZOOM = 4, FRAME = 4, CELL = SIDE * ZOOM + 2 * FRAME };
  static uint8_t rgb[CELL * CELL * SHOWN * 3];
  for (int i = 0; i < SHOWN; ++i)
    for (int y = 0; y < CELL; ++y)
      for (int x = 0; x < CELL; ++x) {
        uint8_t *p = rgb + ((size_t)y * CELL * SHOWN + (size_t)i * CELL + (size_t)x) * 3;
        int ix = (x - FRAME) / ZOOM, iy = (y - FRAME) / ZOOM;
        if (x >= FRAME && y >= FRAME && ix < SIDE && iy < SIDE)
          memset(p, images[i * PIXELS + iy * SIDE + ix], 3);
        else
          p[predictions[i] == labels[i] ? 1 : 0] = 200;
      }
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = CELL * SHOWN,
                     .height = CELL,
                     .format = PNG_FORMAT_RGB};
  if (!png_image_write_to_file(&image, path, 0, rgb, 0, NULL))
    die("cannot write the picture", path);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: demo DATA_DIR OUT.png\n");
    return 2;
  }
  size_t n = 0, n_labels = 0;
  uint8_t *images = read_idx(argv[1], "t10k-images-idx3-ubyte.gz", 3, PIXELS, &n);
  uint8_t *labels = read_idx(argv[1], "t10k-labels-idx1-ubyte.gz", 1, 1, &n_labels);
  if (n != n_labels || n < SHOWN)
    die("images and labels do not match", argv[1]);

  static _Alignas(NIBRT_ARENA_ALIGNMENT) uint8_t arena[FASHION_ARENA_BYTES];
  int *predictions = malloc(n * sizeof *predictions);
  double *times = malloc(n * sizeof *times);
  if (!predictions || !times)
    die("out of memory", "demo");
  size_t right = 0;
  for (size_t i = 0; i < n; ++i) {
    double start = now_us();
    predictions[i] = classify(images + i * PIXELS, arena);
    times[i] = now_us() - start;
    right += predictions[i] == labels[i];
  }
  qsort(times, n, sizeof *times, compare_doubles);

  draw_in_terminal(images, predictions, labels);
  write_png(argv[2], images, predictions, labels);
  printf("\n%zu images, one thread\n", n);
  printf("top-1 accuracy: %.2f %%\n", 100.0 * (double)right / (double)n);
  printf("time per image: median %.1f us, minimum %.1f us, maximum %.1f us\n", times[n / 2], times[0],
         times[n - 1]);
  printf("picture: %s\n", argv[2]);
  free(images);
  free(labels);
  free(predictions);
  free(times);
  return 0;
}
