// Checks the C interface of capi.h for one instruction set against an LSTM and a GRU layer in float64, forward and backward,
// under every rule, with and without each optional buffer; and that one thread and three give the same bits.
// scripts/sanitize-native.mjs and scripts/neon-native.mjs compile and run it, beside harness.cpp.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <vector>

#include "capi.h"
#include "kernels.h"

extern const Kernels ISA_TABLE;

/// In place of isas.cpp: the table under test alone.
const Kernels* const* availableKernels() {
  static const Kernels* const tables[] = {&ISA_TABLE, nullptr};
  return tables;
}

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

static int failures = 0;
static uint64_t allBits = 0xcbf29ce484222325u;
static char where[96];

static void fail(const char* what, const char* text) {
  if (failures++ < 20) printf("%s: %s %s: %s\n", ISA_TABLE.isa, where, what, text);
}

static Floats random(Size length, uint32_t seed, float scale = 1) {
  Floats x(static_cast<size_t>(length));
  uint32_t s = seed * 2654435761u + 12345;
  for (float& value : x) {
    s ^= s << 13, s ^= s >> 17, s ^= s << 5;
    value = scale * static_cast<float>(static_cast<int32_t>(s)) / 2147483648.0f;
  }
  return x;
}

/// Within `bound` of the largest; NaN fails.
static void expectClose(const char* what, const Floats& got, const Doubles& wanted, double bound = 2e-5) {
  double size = 1e-3;
  for (const double x : wanted) size = fmax(size, fabs(x));
  for (size_t i = 0; i < got.size(); i++) {
    uint32_t bits;
    memcpy(&bits, &got[i], 4);
    allBits = (allBits ^ bits) * 0x100000001b3u;
    if (fabs(static_cast<double>(got[i]) - wanted[i]) <= bound * size) continue;
    char text[96];
    snprintf(text, sizeof text, "element %zu is %.9g, expected %.9g", i, static_cast<double>(got[i]), wanted[i]);
    return fail(what, text);
  }
}

static double sigmoidOf(double x) { return 1 / (1 + exp(-x)); }

struct Case {
  Size T, B, I, H, rule;
  float tau;
  bool all;  // whether optional buffers are there
};

/// Of twelve features one is 1 in each row: a look-up.
static Floats inputOf(const Case& s) {
  const Size rows = s.T * s.B;
  if (s.I != 12) return random(rows * s.I, 1);
  Floats x(static_cast<size_t>(rows * s.I));
  for (Size r = 0; r < rows; r++) x[static_cast<size_t>(r * s.I + r * r % s.I)] = 1;
  return x;
}

/// The layer in float64. `masked`: the gate gradients after the rule, as the library left them: what is dropped is the
/// rule's business, here every product must see exactly that.
struct Reference {
  Doubles h, c, tanhC, gates, dGates, dx, dW, dU, db, dh, dc;

  Reference(const Case& s, const GatesieveLstm& l) {
    const auto& [T, B, I, H, rule, tau, all] = s;
    const size_t block = static_cast<size_t>(B * H);
    h.resize(static_cast<size_t>(T + 1) * block), c.resize(h.size()), tanhC.resize(h.size());
    gates.resize(static_cast<size_t>(T) * block * 4);
    for (size_t i = 0; i < block && l.h0; i++) h[i] = l.h0[i], c[i] = l.c0[i];
    for (Size r = 0; r < T * B; r++)
      for (Size n = 0; n < 4 * H; n++) {
        double net = (l.b_ih ? l.b_ih[n] : 0) + (l.b_hh ? l.b_hh[n] : 0);
        for (Size j = 0; j < I; j++) net += static_cast<double>(l.x[r * I + j]) * l.w_ih[n * I + j];
        for (Size j = 0; j < H; j++) net += hAt(r * H + j) * l.w_hh[n * H + j];
        gates[static_cast<size_t>(r * 4 * H + n)] = n / H == 2 ? tanh(net) : sigmoidOf(net);
        if (n != 4 * H - 1) continue;
        for (Size u = 0; u < H; u++) {
          const double* g = gates.data() + r * 4 * H + u;
          const size_t to = static_cast<size_t>((r + B) * H + u);
          c[to] = g[H] * c[to - block] + g[0] * g[2 * H];
          tanhC[to] = tanh(c[to]);
          h[to] = g[3 * H] * tanhC[to];
        }
      }
  }
  double hAt(Size i) const { return h[static_cast<size_t>(i)]; }

  void backward(const Case& s, const GatesieveLstm& l, const GatesieveLstmBackward& b, const float* masked) {
    const auto& [T, B, I, H, rule, tau, all] = s;
    const size_t block = static_cast<size_t>(B * H);
    dh.assign(block, 0), dc.assign(block, 0), dGates.assign(gates.size(), 0);
    dx.assign(static_cast<size_t>(T * B * I), 0), dW.assign(static_cast<size_t>(4 * H * I), 0);
    dU.assign(static_cast<size_t>(4 * H * H), 0), db.assign(static_cast<size_t>(4 * H), 0);
    for (size_t i = 0; i < block && all; i++) dh[i] = b.dhn[i], dc[i] = b.dcn[i];
    for (Size t = T - 1; t >= 0; t--) {
      for (size_t i = 0; i < block; i++) {
        const size_t at = static_cast<size_t>(t) * block + i, row = at / static_cast<size_t>(H);
        const size_t first = row * static_cast<size_t>(4 * H) + at % static_cast<size_t>(H);
        const auto gate = [&](int k) { return gates[first + static_cast<size_t>(k * H)]; };
        const double in = gate(0), f = gate(1), g = gate(2), o = gate(3), y = tanhC[at + block];
        const double complete = dh[i] + (b.dy ? b.dy[at] : 0);
        const double d = dc[i] + complete * o * (1 - y * y);
        const double slopes[] = {d * g * in * (1 - in), d * c[at] * f * (1 - f), d * in * (1 - g * g),
                                 complete * y * o * (1 - o)};
        for (int k = 0; k < 4; k++) dGates[first + static_cast<size_t>(k * H)] = slopes[k];
        dc[i] = d * f;
      }
      dh.assign(block, 0);
      for (Size r = t * B; r < (t + 1) * B; r++)
        for (Size n = 0; n < 4 * H; n++) {
          const double g = masked[r * 4 * H + n];
          if (g == 0) continue;
          db[static_cast<size_t>(n)] += g;
          for (Size j = 0; j < H; j++) {
            dh[static_cast<size_t>((r - t * B) * H + j)] += g * l.w_hh[n * H + j];
            dU[static_cast<size_t>(n * H + j)] += g * hAt(r * H + j);
          }
          for (Size j = 0; j < I; j++) {
            dx[static_cast<size_t>(r * I + j)] += g * l.w_ih[n * I + j];
            dW[static_cast<size_t>(n * I + j)] += g * l.x[r * I + j];
          }
        }
    }
  }
};

/// What is left of each gradient is what the rule says, given the dense one it met.
static void expectRule(const Case& s, const Doubles& before, const float* after, const double* sums, int gates = 4) {
  double kept = 0, lifted = 0, chance = 0;  // lifted: of those below tau, and how many should be
  bool good = true;
  for (size_t i = 0; i < before.size(); i++) {
    const double x = before[i], y = after[i], tau = s.tau, near = 1e-4 * tau + 1e-7;
    const bool same = fabs(x - y) <= 1e-5 * fabs(x) + 1e-6;
    kept += y != 0;
    if (s.rule == GATESIEVE_KEEP || fabs(x) > tau + near)
      good &= same;
    else if (fabs(x) < tau - near) {
      lifted += y != 0, chance += fabs(x) / tau;
      good &= y == 0 || (s.rule == GATESIEVE_STOCHASTIC && fabs(y) == tau && (x < 0) == (y < 0));
    }
  }
  if (s.rule == GATESIEVE_STOCHASTIC && fabs(lifted - chance) > 5 * sqrt(chance) + 1)
    fail("gate gradients", "other shares than chance gives");
  if (!good) fail("gate gradients", "the rule left something else");
  double counted = 0, total = 0;
  for (int gate = 0; gate < gates; gate++)
    counted += sums[gate * GATESIEVE_SUMS + GATESIEVE_KEPT], total += sums[gate * GATESIEVE_SUMS + GATESIEVE_TOTAL];
  if (counted != kept || total != static_cast<double>(before.size())) fail("sums", "they count something else");
}

static void layer(GatesieveTeam* team, int threads, const Case& s) {
  const auto& [T, B, I, H, rule, tau, all] = s;
  snprintf(where, sizeof where, "(%d, %d, %d, %d), rule %d, %s buffers, %d threads,", int(T), int(B), int(I), int(H),
           int(rule), all ? "all" : "few", threads);
  const Floats x = inputOf(s), W = random(4 * H * I, 2, 0.5f), U = random(4 * H * H, 3, 0.3f);
  const Floats b1 = random(4 * H, 4), b2 = random(4 * H, 5), h0 = random(B * H, 6), c0 = random(B * H, 7);
  const Floats dy = random(T * B * H, 8), dhn = random(B * H, 9), dcn = random(B * H, 10);
  const auto room = [](Size n) { return Floats(static_cast<size_t>(n), NAN); };
  Floats h = room((T + 1) * B * H), kept = room(gatesieve_lstm_kept(T, B, H)), cn = room(B * H);
  Floats dx = room(T * B * I), dW = room(4 * H * I), dU = room(4 * H * H), db = room(4 * H), dh0 = room(B * H), dc0 = dh0;
  GatesieveLstm l = {T, B, I, H, x.data(), W.data(), U.data(), all ? b1.data() : nullptr, all ? b2.data() : nullptr,
                     all ? h0.data() : nullptr, all ? c0.data() : nullptr, h.data(), kept.data(), all ? cn.data() : nullptr};
  double sums[4 * GATESIEVE_SUMS];
  int32_t histogram[4 * GATESIEVE_BINS];
  GatesieveLstmBackward b = {};
  b.dy = dy.data(), b.dw_hh = dU.data();
  if (all) b.dhn = dhn.data(), b.dcn = dcn.data(), b.dh0 = dh0.data(), b.dc0 = dc0.data();
  if (all) b.dx = dx.data(), b.dw_ih = dW.data(), b.db = db.data();
  b.rule = rule, b.key = 7, b.sums = sums, b.histogram = histogram;
  for (float& t : b.tau) t = tau;

  Reference reference(s, l);
  if (gatesieve_lstm_forward(team, &l) != GATESIEVE_OK) return fail("forward", "refused");
  expectClose("h", h, reference.h);
  if (all) expectClose("cn", cn, Doubles(reference.c.end() - B * H, reference.c.end()));
  if (gatesieve_lstm_backward(team, &l, &b) != GATESIEVE_OK) return fail("backward", "refused");
  reference.backward(s, l, b, kept.data());
  expectRule(s, reference.dGates, kept.data(), sums);
  expectClose("dU", dU, reference.dU);
  const Size cols = 4 * H, dhRows = all ? T * B : (T - 1) * B;
  const double dense[] = {double(dhRows * cols * H), all ? double(T * B * cols * I) : 0,
                          all ? double(T * B * cols * I) : 0, double(T * B * cols * H)};
  for (int i = 0; i < GATESIEVE_PRODUCTS; i++)
    if (b.dense[i] != dense[i] || b.executed[i] > dense[i] || b.executed[i] < dense[i] - b.skipped[i])
      if (rule != GATESIEVE_KEEP || b.executed[i] != dense[i]) fail("multiply-accumulates", "impossible counts");
  double zeros = 0;
  for (Size i = 0; i < T * B * cols; i++) zeros += kept[static_cast<size_t>(i)] == 0;
  if (b.skipped[GATESIEVE_DU] != zeros * static_cast<double>(H)) fail("multiply-accumulates", "other zeros");
  if (!all) return;
  expectClose("dx", dx, reference.dx), expectClose("dW", dW, reference.dW), expectClose("db", db, reference.db);
  expectClose("dh0", dh0, reference.dh), expectClose("dc0", dc0, reference.dc);
}

/// The same of a GRU: r, z, n; what U sees of n's gradient is times r.
struct GruReference {
  Doubles h, gates, products, dGates, dx, dW, dU, dbIH, dbHH, dh;

  GruReference(const Case& s, const GatesieveGru& l) {
    const auto& [T, B, I, H, rule, tau, all] = s;
    h.resize(static_cast<size_t>((T + 1) * B * H));
    gates.resize(static_cast<size_t>(T * B * 3 * H)), products.resize(gates.size());
    for (Size i = 0; i < B * H && l.h0; i++) h[static_cast<size_t>(i)] = l.h0[i];
    for (Size r = 0; r < T * B; r++) {
      double* const net = gates.data() + r * 3 * H;
      double* const hidden = products.data() + r * 3 * H;
      for (Size n = 0; n < 3 * H; n++) {
        net[n] = l.b_ih ? l.b_ih[n] : 0, hidden[n] = l.b_hh ? l.b_hh[n] : 0;
        for (Size j = 0; j < I; j++) net[n] += static_cast<double>(l.x[r * I + j]) * l.w_ih[n * I + j];
        for (Size j = 0; j < H; j++) hidden[n] += h[static_cast<size_t>(r * H + j)] * l.w_hh[n * H + j];
      }
      for (Size u = 0; u < H; u++) {
        net[u] = sigmoidOf(net[u] + hidden[u]), net[u + H] = sigmoidOf(net[u + H] + hidden[u + H]);
        net[u + 2 * H] = tanh(net[u + 2 * H] + net[u] * hidden[u + 2 * H]);
        const double z = net[u + H], before = h[static_cast<size_t>(r * H + u)];
        h[static_cast<size_t>((r + B) * H + u)] = (1 - z) * net[u + 2 * H] + z * before;
      }
    }
  }

  void backward(const Case& s, const GatesieveGru& l, const GatesieveGruBackward& b, const float* masked,
                const float* maskedHidden) {
    const auto& [T, B, I, H, rule, tau, all] = s;
    const auto zeros = [](Size n) { return Doubles(static_cast<size_t>(n)); };
    dh = zeros(B * H), dGates = zeros(T * B * 3 * H), dx = zeros(T * B * I), dW = zeros(3 * H * I);
    dU = zeros(3 * H * H), dbIH = zeros(3 * H), dbHH = zeros(3 * H);
    for (size_t i = 0; i < dh.size() && all; i++) dh[i] = b.dhn[i];
    for (Size r = T * B - 1; r >= 0; r--) {
      const double* const g = gates.data() + r * 3 * H;
      double* const lane = dh.data() + r % B * H;
      for (Size u = 0; u < H; u++) {
        const double reset = g[u], z = g[u + H], n = g[u + 2 * H], complete = lane[u] + b.dy[r * H + u];
        double* const d = dGates.data() + r * 3 * H + u;
        d[2 * H] = complete * (1 - z) * (1 - n * n);
        d[H] = complete * (h[static_cast<size_t>(r * H + u)] - n) * z * (1 - z);
        d[0] = d[2 * H] * products[static_cast<size_t>(r * 3 * H + u + 2 * H)] * reset * (1 - reset);
        lane[u] = complete * z;
        for (int k = 0; k < 3; k++) {
          const double left = masked[r * 3 * H + k * H + u] * (k == 2 ? reset : 1);
          if (fabs(left - maskedHidden[r * 3 * H + k * H + u]) > 1e-5) fail("what U sees", "is something else");
        }
      }
      for (Size n = 0; n < 3 * H; n++) {
        const double left = masked[r * 3 * H + n], seen = maskedHidden[r * 3 * H + n];
        dbIH[static_cast<size_t>(n)] += left, dbHH[static_cast<size_t>(n)] += seen;
        for (Size j = 0; j < H; j++) {
          lane[j] += seen * l.w_hh[n * H + j];
          dU[static_cast<size_t>(n * H + j)] += seen * h[static_cast<size_t>(r * H + j)];
        }
        for (Size j = 0; j < I; j++) {
          dx[static_cast<size_t>(r * I + j)] += left * l.w_ih[n * I + j];
          dW[static_cast<size_t>(n * I + j)] += left * l.x[r * I + j];
        }
      }
    }
  }
};

static void gruLayer(GatesieveTeam* team, int threads, const Case& s) {
  const auto& [T, B, I, H, rule, tau, all] = s;
  snprintf(where, sizeof where, "gru (%d, %d, %d, %d), rule %d, %s buffers, %d threads,", int(T), int(B), int(I),
           int(H), int(rule), all ? "all" : "few", threads);
  const Floats x = inputOf(s), W = random(3 * H * I, 2, 0.5f), U = random(3 * H * H, 3, 0.3f);
  const Floats b1 = random(3 * H, 4), b2 = random(3 * H, 5), h0 = random(B * H, 6), dy = random(T * B * H, 8);
  const Floats dhn = random(B * H, 9);
  const auto room = [](Size n) { return Floats(static_cast<size_t>(n), NAN); };
  Floats h = room((T + 1) * B * H), kept = room(gatesieve_gru_kept(T, B, H));
  Floats dx = room(T * B * I), dW = room(3 * H * I), dU = room(3 * H * H), dbIH = room(3 * H), dbHH = room(3 * H);
  Floats dh0 = room(B * H);
  GatesieveGru l = {T, B, I, H, x.data(), W.data(), U.data(), all ? b1.data() : nullptr, all ? b2.data() : nullptr,
                    all ? h0.data() : nullptr, h.data(), kept.data()};
  double sums[3 * GATESIEVE_SUMS];
  int32_t histogram[3 * GATESIEVE_BINS];
  GatesieveGruBackward b = {};
  b.dy = dy.data(), b.dw_hh = dU.data();
  if (all) b.dhn = dhn.data(), b.dh0 = dh0.data(), b.dx = dx.data(), b.dw_ih = dW.data();
  if (all) b.db_ih = dbIH.data(), b.db_hh = dbHH.data();
  b.rule = rule, b.key = 7, b.sums = sums, b.histogram = histogram;
  for (float& t : b.tau) t = tau;

  GruReference reference(s, l);
  if (gatesieve_gru_forward(team, &l) != GATESIEVE_OK) return fail("forward", "refused");
  expectClose("h", h, reference.h);
  if (gatesieve_gru_backward(team, &l, &b) != GATESIEVE_OK) return fail("backward", "refused");
  reference.backward(s, l, b, kept.data(), kept.data() + T * B * 3 * H);
  expectRule(s, reference.dGates, kept.data(), sums, 3);
  expectClose("dU", dU, reference.dU);
  if (!all) return;
  expectClose("dx", dx, reference.dx), expectClose("dW", dW, reference.dW), expectClose("dh0", dh0, reference.dh);
  expectClose("db_ih", dbIH, reference.dbIH), expectClose("db_hh", dbHH, reference.dbHH);
}

int main() {
  uint64_t first = 0;
  for (const int threads : {1, 3}) {
    allBits = 0xcbf29ce484222325u;
    GatesieveTeam* team = gatesieve_open(threads, gatesieve_isas());
    const Size shapes[][4] = {{1, 1, 1, 1}, {4, 3, 5, 7}, {3, 20, 33, 64}, {9, 60, 12, 17}, {2, 130, 40, 130}, {30, 40, 3, 9}};
    for (const auto& [T, B, I, H] : shapes)
      for (const bool all : {true, false}) {
        layer(team, threads, {T, B, I, H, GATESIEVE_KEEP, 0, all});
        gruLayer(team, threads, {T, B, I, H, GATESIEVE_KEEP, 0, all});
        for (const float tau : {0.01f, 0.1f, 3.0f}) {
          layer(team, threads, {T, B, I, H, GATESIEVE_THRESHOLD, tau, all});
          layer(team, threads, {T, B, I, H, GATESIEVE_STOCHASTIC, tau, all});
          gruLayer(team, threads, {T, B, I, H, GATESIEVE_THRESHOLD, tau, all});
          gruLayer(team, threads, {T, B, I, H, GATESIEVE_STOCHASTIC, tau, all});
        }
      }
    GatesieveLstm bad = {};
    if (gatesieve_lstm_forward(team, &bad) != GATESIEVE_BAD_ARGUMENT) fail("forward", "takes no sizes");
    if (gatesieve_open(0, nullptr) || gatesieve_open(1, "abacus")) fail("open", "takes anything");
    gatesieve_close(team);
    if (first == 0) first = allBits;
    if (allBits != first) fail("all results", "other bits than with one thread");
  }
  printf("%s, C interface: %s\n", ISA_TABLE.isa, failures ? "FAILED" : "no finding");
  return failures ? 1 : 0;
}
