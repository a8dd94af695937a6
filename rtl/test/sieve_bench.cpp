// Runs sieve.sv over words from a file and writes what happened: test/rtl.test.ts compares it to the model in src/energy.
// All numbers in the files are 32 bits, little-endian.
//
//   in:  cost, operand rows, result rows, words, stochastic; operand memory (rows x cost x M); result memory at the
//        beginning of a block (rows x cost x M); then each word: W values, tau, operand, result, last, seed, step
//   out: each cycle: accepted, packed, sent, take mask, busy mask, bitmap (0 unless packed), first cycle of a block;
//        then the number of cycles; then the result memory at the end of each block; file ends with the number of blocks
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "Vsieve.h"
#include "verilated.h"

using Words = std::vector<uint32_t>;
static const int W = BENCH_W, L = BENCH_L, M = BENCH_M, OPERAND = BENCH_OPERAND, RESULT = BENCH_RESULT, COST = BENCH_COST;

// `bits` bits from bit `at` on, of a port of any width.
template <class T>
static uint32_t get(const T& port, int at, int bits) {
  return static_cast<uint32_t>((static_cast<uint64_t>(port) >> at) & ((1ull << bits) - 1));
}
template <std::size_t N>
static uint32_t get(const VlWide<N>& port, int at, int bits) {
  uint64_t both = port[at / 32];
  if (at / 32 + 1 < static_cast<int>(N)) both |= static_cast<uint64_t>(port[at / 32 + 1]) << 32;
  return static_cast<uint32_t>((both >> (at % 32)) & ((1ull << bits) - 1));
}
template <class T>
static void set32(T& port, int i, uint32_t value) {
  port = static_cast<T>((static_cast<uint64_t>(port) & ~(0xffffffffull << (32 * i))) | static_cast<uint64_t>(value) << (32 * i));
}
template <std::size_t N>
static void set32(VlWide<N>& port, int i, uint32_t value) {
  port[i] = value;
}

static Words read(const char* path) {
  FILE* file = std::fopen(path, "rb");
  if (!file) std::exit(3);
  std::fseek(file, 0, SEEK_END);
  Words all(std::ftell(file) / 4);
  std::rewind(file);
  if (std::fread(all.data(), 4, all.size(), file) != all.size()) std::exit(3);
  std::fclose(file);
  return all;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const Words in = read(argv[1]);
  const uint32_t cost = in[0], operandRows = in[1], resultRows = in[2], words = in[3];
  const uint32_t N = cost * M, each = W + 6;
  const uint32_t* const operands = in.data() + 5;
  const uint32_t* const initial = operands + operandRows * N;
  const uint32_t* const first = initial + resultRows * N;
  Words results(initial, initial + resultRows * N), out, ends;

  Vsieve sieve;
  auto tick = [&] { sieve.clk = 0; sieve.eval(); sieve.clk = 1; sieve.eval(); };
  sieve.cost = cost;
  sieve.in_stochastic = in[4];
  sieve.in_valid = 0;
  sieve.rst = 1;
  tick();
  tick();
  sieve.rst = 0;

  uint32_t next = 0, cycles = 0, blocks = 0;
  bool ended = false;  // the word taken last ended a block
  for (;;) {
    const uint32_t* const word = first + next * each;
    sieve.in_valid = next < words;
    if (next < words) {
      for (int i = 0; i < W; i++) set32(sieve.in_values, i, word[i]);
      sieve.in_tau = word[W];
      sieve.in_operand = word[W + 1];
      sieve.in_result = word[W + 2];
      sieve.in_last = word[W + 3];
      sieve.in_seed = word[W + 4];
      sieve.in_step = word[W + 5];
    }
    sieve.clk = 0;
    sieve.eval();
    const bool begins = ended && sieve.drained;
    if (begins) {
      ends.insert(ends.end(), results.begin(), results.end());
      results.assign(initial, initial + resultRows * N);
      blocks++;
      ended = false;
      if (next == words) break;
    }
    for (int lane = 0; lane < L; lane++)
      for (int m = 0; m < M; m++) {
        const uint32_t at = get(sieve.chunk, lane * COST, COST) * M + m;
        const uint32_t o = get(sieve.operand, lane * OPERAND, OPERAND), r = get(sieve.result, lane * RESULT, RESULT);
        const bool busy = get(sieve.busy, lane, 1);
        set32(sieve.operand_data, lane * M + m, busy ? operands[o * N + at] : 0);
        set32(sieve.result_data, lane * M + m, busy ? results[r * N + at] : 0);
      }
    sieve.eval();
    const uint32_t accepted = sieve.in_valid && sieve.in_ready;
    for (uint32_t x : {accepted, uint32_t(sieve.packed_count), uint32_t(sieve.sent_count), uint32_t(sieve.take),
                       uint32_t(sieve.busy), uint32_t(sieve.bitmap_valid ? sieve.bitmap : 0), uint32_t(begins)})
      out.push_back(x);
    for (int lane = 0; lane < L; lane++)
      if (get(sieve.busy, lane, 1))
        for (int m = 0; m < M; m++) {
          const uint32_t r = get(sieve.result, lane * RESULT, RESULT), at = get(sieve.chunk, lane * COST, COST) * M + m;
          results[r * N + at] = get(sieve.result_next, (lane * M + m) * 32, 32);
        }
    if (accepted) {
      ended = word[W + 3];
      next++;
    }
    sieve.clk = 1;
    sieve.eval();
    if (++cycles > 50000000) return 4;  // it hangs
  }
  out.push_back(cycles);
  out.insert(out.end(), ends.begin(), ends.end());
  out.push_back(blocks);
  FILE* file = std::fopen(argv[2], "wb");
  if (!file || std::fwrite(out.data(), 4, out.size(), file) != out.size()) return 3;
  std::fclose(file);
  return 0;
}
