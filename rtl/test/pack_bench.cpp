// Tries pack.sv on every pattern of 16 bits, with two sets of items each: exits with 1 and the pattern at the first that is wrong.
#include <cstdint>
#include <cstdio>
#include "Vpack.h"
#include "verilated.h"

static const int W = 16, SIZE = 36;

static uint64_t item(uint32_t pattern, int i, int set) {
  uint64_t x = (uint64_t(pattern) << 8 | i << 2 | set) * 0x9e3779b97f4a7c15ull;
  return (x ^ (x >> 29)) & ((1ull << SIZE) - 1);
}

int main() {
  Vpack pack;
  uint32_t tried = 0;
  for (int set = 0; set < 2; set++)
    for (uint32_t pattern = 0; pattern < 1u << W; pattern++, tried++) {
      for (int i = 0; i < W * SIZE / 32; i++) pack.items[i] = 0;
      for (int i = 0; i < W; i++)
        for (int b = 0; b < SIZE; b++)
          pack.items[(i * SIZE + b) / 32] |= uint32_t(item(pattern, i, set) >> b & 1) << ((i * SIZE + b) % 32);
      pack.bits = pattern;
      pack.eval();
      int kept = 0;
      for (int i = 0; i < W; i++)
        if (pattern >> i & 1) {
          uint64_t got = 0;
          for (int b = 0; b < SIZE; b++)
            got |= uint64_t(pack.packed_items[(kept * SIZE + b) / 32] >> ((kept * SIZE + b) % 32) & 1) << b;
          if (got != item(pattern, i, set)) {
            std::printf("pattern %04x: place %d is wrong\n", pattern, kept);
            return 1;
          }
          kept++;
        }
      if (pack.count != kept) {
        std::printf("pattern %04x: count %d, expected %d\n", pattern, pack.count, kept);
        return 1;
      }
    }
  std::printf("%u patterns\n", tried);
  return 0;
}
