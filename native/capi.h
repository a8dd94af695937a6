/* The native kernels for any language that can call C: an LSTM or a GRU layer, forward and backward, whose gate
 * gradients are dropped by a rule. No Node, no C++ in the interface; python/gatesieve.py is its first caller.
 *
 * The layer is the one of src/nn/recurrent.ts, and gives the bits of engine native. Letters: T time, B batch,
 * I inputs, H hidden. Matrices are float32, row-major, time-major: (T*B, ...), block t = time t. Weights and
 * their order of gates are PyTorch's: (4H, I), (4H, H), gates i, f, g, o; of a GRU (3H, ...), gates r, z, n.
 *
 * Nothing is kept between calls but memory to work in: what forward leaves for backward lies in buffers of the
 * caller. A team serves one call at a time; different threads take a team each.
 */
#ifndef GATESIEVE_CAPI_H
#define GATESIEVE_CAPI_H

#include <stdint.h>

#if defined(__GNUC__)
#define GATESIEVE_API __attribute__((visibility("default")))
#else
#define GATESIEVE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Changes with every change of what is declared here. */
#define GATESIEVE_ABI 2
GATESIEVE_API int32_t gatesieve_abi(void);

/* Instruction sets this processor runs, best first, with commas between them: "avx512,avx2,plain". */
GATESIEVE_API const char* gatesieve_isas(void);

/* Threads that share each call, and the memory they work in. `isa`: a name of gatesieve_isas(), or null for the
 * best. Null where there is no such set, no memory, or `threads` is not in 1 .. 64. */
typedef struct GatesieveTeam GatesieveTeam;
GATESIEVE_API GatesieveTeam* gatesieve_open(int32_t threads, const char* isa);
GATESIEVE_API void gatesieve_close(GatesieveTeam* team);

/* Floats that lstm_forward keeps for lstm_backward: activations (T*B, 4H), c ((T+1)*B, H), tanh c (T*B, H).
 * Backward leaves the gate gradients, after the rule, where the activations were. */
GATESIEVE_API int64_t gatesieve_lstm_kept(int64_t T, int64_t B, int64_t H);

typedef struct GatesieveLstm {
  int64_t T, B, I, H;
  const float* x;                          /* (T*B, I) */
  const float *w_ih, *w_hh, *b_ih, *b_hh;  /* (4H, I), (4H, H), (4H), (4H); a bias may be null */
  const float *h0, *c0;                    /* (B, H), null for zeros; forward reads them, backward does not */
  float* h;                                /* ((T+1)*B, H): block 0 becomes h0, block t+1 is h of t */
  float* kept;                             /* gatesieve_lstm_kept(T, B, H) */
  float* cn;                               /* (B, H), c of the last t, or null */
} GatesieveLstm;

enum { GATESIEVE_OK = 0, GATESIEVE_NO_MEMORY = 1, GATESIEVE_BAD_ARGUMENT = 2 };

GATESIEVE_API int32_t gatesieve_lstm_forward(GatesieveTeam* team, const GatesieveLstm* layer);

/* keep: nothing is dropped, products run dense. threshold: drop where |g| <= tau of the gate. stochastic: below tau
 * sign(g) tau with probability |g| / tau, else 0; drawn from (key, row * 4H + column). src/sparse/rule.ts */
enum { GATESIEVE_KEEP = 0, GATESIEVE_THRESHOLD = 1, GATESIEVE_STOCHASTIC = 2 };

/* Columns of `sums`, and the products in `macs`. src/sparse/statistics.ts, src/sparse/macs.ts */
enum { GATESIEVE_TOTAL, GATESIEVE_NATURAL_ZEROS, GATESIEVE_KEPT, GATESIEVE_SQUARES, GATESIEVE_KEPT_SQUARES };
enum { GATESIEVE_DH, GATESIEVE_DX, GATESIEVE_DW, GATESIEVE_DU };
enum { GATESIEVE_SUMS = 5, GATESIEVE_BINS = 1024, GATESIEVE_PRODUCTS = 4 };

typedef struct GatesieveLstmBackward {
  const float* dy;           /* (T*B, H), or null */
  const float *dhn, *dcn;    /* (B, H), gradients of the last h and c beside dy, or null */
  float* dx;                 /* (T*B, I) */
  float *dw_ih, *dw_hh;      /* (4H, I), (4H, H) */
  float* db;                 /* (4H), the gradient of both biases */
  float *dh0, *dc0;          /* (B, H). Each of these six is overwritten; null where it is not wanted. */
  int64_t rule;              /* GATESIEVE_KEEP ... */
  float tau[4];              /* of gates i, f, g, o */
  uint32_t key;              /* of a stochastic rule's draws: another one for each layer and step */
  /* What the sweep saw, overwritten: (4, GATESIEVE_SUMS) and (4, GATESIEVE_BINS) of the rows that are sampled. */
  double* sums;
  int32_t* histogram;
  /* Multiply-accumulates, overwritten: what a dense trainer must do, what the pattern made redundant, what was done. */
  double dense[GATESIEVE_PRODUCTS], skipped[GATESIEVE_PRODUCTS], executed[GATESIEVE_PRODUCTS];
} GatesieveLstmBackward;

/* Once after each forward pass with the same `layer`: gate gradients overwrite the activations. */
GATESIEVE_API int32_t gatesieve_lstm_backward(GatesieveTeam* team, const GatesieveLstm* layer,
                                              GatesieveLstmBackward* backward);

/* The same of a GRU, reset after the product, as PyTorch's. Kept: activations (T*B, 3H), h[t-1] w_hh^T + b_hh
 * (T*B, 3H), r (T*B, H). Backward leaves the gate gradients where the activations were, and those that w_hh sees (of
 * n: times r) where the products were. Gates in `sums`, `histogram` and `tau`: r, z, n. */
GATESIEVE_API int64_t gatesieve_gru_kept(int64_t T, int64_t B, int64_t H);

typedef struct GatesieveGru {
  int64_t T, B, I, H;
  const float* x;                          /* (T*B, I) */
  const float *w_ih, *w_hh, *b_ih, *b_hh;  /* (3H, I), (3H, H), (3H), (3H); a bias may be null */
  const float* h0;                         /* (B, H), null for zeros */
  float* h;                                /* ((T+1)*B, H): block 0 becomes h0, block t+1 is h of t */
  float* kept;                             /* gatesieve_gru_kept(T, B, H) */
} GatesieveGru;

typedef struct GatesieveGruBackward {
  const float* dy;            /* (T*B, H), or null */
  const float* dhn;           /* (B, H), gradient of the last h beside dy, or null */
  float* dx;                  /* (T*B, I) */
  float *dw_ih, *dw_hh;       /* (3H, I), (3H, H) */
  float *db_ih, *db_hh;       /* (3H) each: w_hh sees another gradient of n */
  float* dh0;                 /* (B, H). Each of these six is overwritten; null where it is not wanted. */
  int64_t rule;
  float tau[3];
  uint32_t key;
  double* sums;               /* (3, GATESIEVE_SUMS) */
  int32_t* histogram;         /* (3, GATESIEVE_BINS) */
  double dense[GATESIEVE_PRODUCTS], skipped[GATESIEVE_PRODUCTS], executed[GATESIEVE_PRODUCTS];
} GatesieveGruBackward;

GATESIEVE_API int32_t gatesieve_gru_forward(GatesieveTeam* team, const GatesieveGru* layer);
GATESIEVE_API int32_t gatesieve_gru_backward(GatesieveTeam* team, const GatesieveGru* layer,
                                             GatesieveGruBackward* backward);

#ifdef __cplusplus
}
#endif

#endif
