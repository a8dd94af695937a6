// Vectors of W floats: GCC's vector extensions, and the few intrinsics they lack. A loop's end of
// fewer than W elements goes through the same code with a partial load and store.
#pragma once
#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float V __attribute__((vector_size(4 * W)));
typedef float Unaligned __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(4 * W)));
typedef uint32_t N __attribute__((vector_size(4 * W)));
typedef double D __attribute__((vector_size(4 * W)));
typedef int64_t L __attribute__((vector_size(4 * W)));

#define INLINE static inline __attribute__((always_inline))
#define MEMBER inline __attribute__((always_inline))

INLINE Size least(Size a, Size b) { return a < b ? a : b; }
INLINE Size most(Size a, Size b) { return a > b ? a : b; }
INLINE Size ceilDiv(Size a, Size b) { return (a + b - 1) / b; }

/// All W lanes, or the first n of them, 0 < n < W.
struct All {
  static constexpr int n = W;
};
struct Some {
  int n;
};

INLINE V splat(float x) { return x - V{}; }
INLINE V load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
INLINE void store(float* p, V x) { *reinterpret_cast<Unaligned*>(p) = x; }
INLINE V load(const float* p, All) { return load(p); }
INLINE void store(float* p, V x, All) { store(p, x); }

#if defined(__AVX512F__)
INLINE __mmask16 lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }
INLINE V load(const float* p, Some s) { return V(_mm512_maskz_loadu_ps(lanes(s.n), p)); }
INLINE void store(float* p, V x, Some s) { _mm512_mask_storeu_ps(p, lanes(s.n), __m512(x)); }
INLINE V squareRoot(V x) { return V(_mm512_sqrt_ps(__m512(x))); }
INLINE uint32_t nonzeroBits(V x) { return _mm512_cmp_ps_mask(__m512(x), _mm512_setzero_ps(), _CMP_NEQ_UQ); }
#elif defined(__AVX2__)
alignas(32) static const int32_t laneTable[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
INLINE __m256i lanes(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(laneTable + 8 - n)); }
INLINE V load(const float* p, Some s) { return V(_mm256_maskload_ps(p, lanes(s.n))); }
INLINE void store(float* p, V x, Some s) { _mm256_maskstore_ps(p, lanes(s.n), __m256(x)); }
INLINE V squareRoot(V x) { return V(_mm256_sqrt_ps(__m256(x))); }
INLINE uint32_t nonzeroBits(V x) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(__m256(x), _mm256_setzero_ps(), _CMP_NEQ_UQ)));
}
#else
INLINE V load(const float* p, Some s) {
  V x = {};
  for (int i = 0; i < s.n; i++) x[i] = p[i];
  return x;
}
INLINE void store(float* p, V x, Some s) {
  for (int i = 0; i < s.n; i++) p[i] = x[i];
}
#if defined(__SSE2__)
INLINE V squareRoot(V x) { return V(_mm_sqrt_ps(__m128(x))); }
INLINE uint32_t nonzeroBits(V x) {
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpneq_ps(__m128(x), _mm_setzero_ps())));
}
#elif defined(__aarch64__)
INLINE V squareRoot(V x) { return V(vsqrtq_f32(float32x4_t(x))); }
INLINE uint32_t nonzeroBits(V x) {
  const N bits = N(x != V{}) & N{1, 2, 4, 8};
  return vaddvq_u32(uint32x4_t(bits));
}
#else
INLINE V squareRoot(V x) {
  for (int i = 0; i < W; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
}
INLINE uint32_t nonzeroBits(V x) {
  uint32_t bits = 0;
  for (int i = 0; i < W; i++) bits |= static_cast<uint32_t>(x[i] != 0) << i;
  return bits;
}
#endif
#endif

/// Calls f(i, All) for whole vectors and f(i, Some) for what is left of n.
template <class F>
INLINE void eachVector(Size n, F f) {
  Size i = 0;
  for (; i + W <= n; i += W) f(i, All{});
  if (i < n) f(i, Some{static_cast<int>(n - i)});
}

INLINE V magnitude(V x) { return V(I(x) & 0x7fffffff); }

// Halves by intrinsics: taking the address of a vector would keep it in memory.
#if defined(__AVX512F__)
INLINE D lowHalf(V x) { return D(_mm512_cvtps_pd(_mm512_castps512_ps256(__m512(x)))); }
INLINE D highHalf(V x) { return D(_mm512_cvtps_pd(_mm512_extractf32x8_ps(__m512(x), 1))); }
#elif defined(__AVX2__)
INLINE D lowHalf(V x) { return D(_mm256_cvtps_pd(_mm256_castps256_ps128(__m256(x)))); }
INLINE D highHalf(V x) { return D(_mm256_cvtps_pd(_mm256_extractf128_ps(__m256(x), 1))); }
#elif defined(__SSE2__)
INLINE D lowHalf(V x) { return D(_mm_cvtps_pd(__m128(x))); }
INLINE D highHalf(V x) { return D(_mm_cvtps_pd(_mm_movehl_ps(__m128(x), __m128(x)))); }
#elif defined(__aarch64__)
INLINE D lowHalf(V x) { return D(vcvt_f64_f32(vget_low_f32(float32x4_t(x)))); }
INLINE D highHalf(V x) { return D(vcvt_high_f64_f32(float32x4_t(x))); }
#else
INLINE D lowHalf(V x) { return D{x[0], x[1]}; }
INLINE D highHalf(V x) { return D{x[2], x[3]}; }
#endif

/// The sum of all lanes, by halves.
INLINE double total(D x) {
  L other;
#pragma GCC unroll 3
  for (int half = W / 4; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; i++) other[i] = i ^ half;
    x += __builtin_shuffle(x, other);
  }
  return x[0];
}
INLINE Size total(I x) {
  Size sum = 0;
  for (int i = 0; i < W; i++) sum += x[i];
  return sum;
}

INLINE I laneNumbers() {
  I x;
  for (int i = 0; i < W; i++) x[i] = i;
  return x;
}

/// Transposes W vectors of W by log2 W perfect shuffles.
INLINE void transposeTile(V (&x)[W]) {
  I low, high;
  for (int i = 0; i < W; i++) {
    low[i] = (i >> 1) + (i & 1) * W;
    high[i] = low[i] + W / 2;
  }
#pragma GCC unroll 4
  for (int stage = 1; stage < W; stage *= 2) {
    V y[W];
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; i++) {
      y[2 * i] = __builtin_shuffle(x[i], x[i + W / 2], low);
      y[2 * i + 1] = __builtin_shuffle(x[i], x[i + W / 2], high);
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) x[i] = y[i];
  }
}

/// As in src/core/random.ts.
template <class T>
INLINE T mixBits(T z) {
  z ^= z >> 16;
  z *= 0x21f0aaadu;
  z ^= z >> 15;
  z *= 0x735a2d97u;
  return z ^ (z >> 15);
}
constexpr uint32_t GOLDEN = 0x9e3779b9u;

/// Runs f(task, thread) for every task; alone where the work, in nanoseconds of one thread, does not pay for a fork.
constexpr double FORK_NS = 6000;
template <class F>
INLINE void parallel(Team& team, Size count, double nanoseconds, const F& f) {
  if (team.threads == 1 || count == 1 || nanoseconds < FORK_NS) {
    for (Size task = 0; task < count; task++) f(task, 0);
    return;
  }
  struct Call {
    static void task(void* context, Size task, int thread) { (*static_cast<const F*>(context))(task, thread); }
  };
  team.run(count, Call::task, const_cast<F*>(&f));
}

/// As many tasks as threads, or one where the work is small: for kernels that prepare something per task.
INLINE Size shares(const Team& team, Size units, double nanoseconds) {
  return nanoseconds < FORK_NS ? 1 : least(team.threads, units);
}
