// Checks of the cells and layers beside LSTM and GRU, of harness.cpp.
#pragma once

static size_t index(Size i) { return static_cast<size_t>(i); }

static void smallCells(Team& team, Size rows, Size H) {
  snprintf(where, sizeof where, "(%d, %d), %d threads,", int(rows), int(H), team.threads);
  const Size n = rows * H;
  Floats gates(n, 1), h(n), dh(n, 2);
  for (Size i = 0; i < n; i++) gates[i] *= 4;
  Doubles wantH, slopes;
  for (Size i = 0; i < n; i++) {
    const double y = tanh(double(gates[i]));
    wantH.push_back(y), slopes.push_back(dh[i] * (1 - y * y));
  }
  K.rnnForward(team, rows, H, gates, h);
  expectClose("rnn h", h, wantH, around(wantH, 8, 0.25));
  K.rnnBackward(team, rows, H, gates, dh);
  expectClose("rnn gate gradients", gates, slopes, around(slopes, 8, 0.25));

  Floats nets(2 * n, 3), before(n, 4);
  Doubles wantNext, wantDh, both(index(2 * n));
  for (Size i = 0; i < n; i++) {
    const Size at = i / H * 2 * H + i % H;
    const double z = sigmoidOf(nets[at]), candidate = nets[at + H], b = before[i];
    wantNext.push_back((1 - z) * b + z * candidate), wantDh.push_back(dh[i] * (1 - z));
    both[index(at)] = dh[i] * (candidate - b) * z * (1 - z), both[index(at + H)] = dh[i] * z;
  }
  K.mingruForward(team, rows, H, nets, before, h);
  expectClose("mingru h", h, wantNext, around(wantNext, 8, 0.25));
  K.mingruBackward(team, rows, H, nets, before, dh);
  expectClose("mingru gate gradients", nets, both, around(both, 8, 0.25));
  expectClose("mingru dh", dh, wantDh, around(wantDh, 8, 0.25));
}

static void pointwise(Team& team, Size n) {
  snprintf(where, sizeof where, "(%d), %d threads,", int(n), team.threads);
  Floats x(n, 5), y(n), g(n, 6), out(n);
  for (Size i = 0; i < n; i++) x[i] *= 6;
  Doubles relus, masked, products, tanhs, slopes, gelus, geluSlopes;
  for (Size i = 0; i < n; i++) {
    const double v = x[i], t = tanh(v), below = 0.5 * erfc(-v * M_SQRT1_2);
    relus.push_back(v > 0 ? v : 0), masked.push_back(v > 0 ? g[i] : 0), products.push_back(g[i] * v);
    tanhs.push_back(t), slopes.push_back(g[i] * (1 - t * t)), gelus.push_back(v * below);
    geluSlopes.push_back(below + v * exp(-0.5 * v * v) / sqrt(2 * M_PI));
  }
  K.multiply(team, out, g, x, n);
  expectClose("multiply", out, products, around(products, 1));
  K.reluGradient(team, out, g, x, n);
  expectClose("relu gradient", out, masked, around(masked, 0));
  K.tanhOf(team, y, x, n);
  expectClose("tanh", y, tanhs, around(tanhs, 2, 1e-3));
  K.tanhGradient(team, out, g, y, n);
  expectClose("tanh gradient", out, slopes, around(slopes, 8, 0.25));
  Floats again(x);
  K.relu(team, again, n);
  expectClose("relu", again, relus, around(relus, 0));
  K.gelu(team, y, x, n);
  expectClose("gelu", y, gelus, around(gelus, 8, 1e-30));
  expectClose("gelu slope", x, geluSlopes, around(geluSlopes, 8, 0.25));
}

static void norms(Team& team, Size rows, Size cols) {
  snprintf(where, sizeof where, "(%d, %d), %d threads,", int(rows), int(cols), team.threads);
  Floats x(rows * cols, 7), dy(rows * cols, 8), out(rows * cols), weight(cols, 9), bias(cols, 10);
  Floats means(rows), inverses(rows), dWeight(cols, 11), dBias(cols, 12);
  Sum sumWeight(dWeight), sumBias(dBias);
  Doubles wanted, wantDx;
  for (Size r = 0; r < rows; r++) {
    double mean = 0, squares = 0, g = 0, along = 0;
    for (Size c = 0; c < cols; c++) mean += x[r * cols + c] / double(cols);
    for (Size c = 0; c < cols; c++) squares += (x[r * cols + c] - mean) * (x[r * cols + c] - mean);
    const double inverse = 1 / sqrt(squares / double(cols) + 0.01);
    for (Size c = 0; c < cols; c++) {
      const double xhat = (x[r * cols + c] - mean) * inverse, own = double(dy[r * cols + c]) * weight[c];
      wanted.push_back(xhat * weight[c] + bias[c]);
      sumWeight.add(c, dy[r * cols + c], xhat), sumBias.add(c, dy[r * cols + c]);
      g += own / double(cols), along += own * xhat / double(cols);
    }
    for (Size c = 0; c < cols; c++) {
      const double xhat = (x[r * cols + c] - mean) * inverse;
      wantDx.push_back(inverse * (double(dy[r * cols + c]) * weight[c] - g - xhat * along));
    }
  }
  K.layerNorm(team, out, x, rows, cols, weight, bias, means, inverses, 0.01);
  expectClose("layer norm", out, wanted, around(wanted, 16, 4));
  K.layerNormGradient(team, out, dy, x, rows, cols, weight, means, inverses, dWeight, dBias);
  expectClose("layer norm dx", out, wantDx, around(wantDx, 32, 40));  // 10 is the largest inverse
  // xhat has roundings of its own: four, at the size of 10.
  for (double& size : sumWeight.size) size += 40;
  sumWeight.expect("layer norm dWeight", dWeight, rows + 4), sumBias.expect("layer norm dBias", dBias, rows);
}

/// The first `length` columns have shares.
static void softmaxes(Team& team, Size rows, Size cols, Size length) {
  snprintf(where, sizeof where, "(%d, %d, %d), %d threads,", int(rows), int(cols), int(length), team.threads);
  Floats x(rows * cols, 13), g(rows * cols, 14);
  Doubles shares(index(rows * cols)), wanted(index(rows * cols));
  for (Size r = 0; r < rows; r++) {
    double total = 0, sum = 0;
    for (Size c = 0; c < length; c++) total += exp(8.0 * x[r * cols + c]);
    for (Size c = 0; c < length; c++) {
      shares[index(r * cols + c)] = exp(8.0 * x[r * cols + c]) / total;
      sum += shares[index(r * cols + c)] * g[r * cols + c];
    }
    for (Size c = 0; c < cols; c++) wanted[index(r * cols + c)] = shares[index(r * cols + c)] * (g[r * cols + c] - sum);
  }
  for (Size i = 0; i < rows * cols; i++) x[i] *= 8;
  K.softmaxRows(team, x, rows, cols, length);
  expectClose("softmax", x, shares, around(shares, 40));
  K.softmaxGradientRows(team, g, x, rows, cols);
  expectClose("softmax gradient", g, wanted, around(wanted, 8, 1));
}

static void attentions(Team& team, Size T, Size B, Size heads, Size d, Size steps) {
  snprintf(where, sizeof where, "(%d, %d, %d, %d, %d), %d threads,", int(T), int(B), int(heads), int(d), int(steps),
           team.threads);
  const Size width = heads * d;
  const Size room = steps * steps + (panels(steps) * d > panels(d) * steps ? panels(steps) * d : panels(d) * steps);
  Floats x(T * B * 3 * width, 15), dy(T * B * width, 16), out(T * B * width), dx(T * B * 3 * width);
  Floats shares(B * heads * steps * steps), scratch(team.threads * room);
  Doubles wanted(index(T * B * width)), wantDx(index(T * B * 3 * width)), p(index(T)), dP(index(T));
  const double scale = 1 / sqrt(double(d));
  for (Size b = 0; b < B; b++)
    for (Size head = 0; head < heads; head++)
      for (Size q = 0; q < T; q++) {
        const auto at = [&](Size t, Size part) { return (t * B + b) * 3 * width + part * width + head * d; };
        const Size own = (q * B + b) * width + head * d;
        double total = 0, sum = 0;
        for (Size k = 0; k <= q; k++) {
          double score = 0;
          for (Size i = 0; i < d; i++) score += double(x[at(q, 0) + i]) * x[at(k, 1) + i];
          total += p[index(k)] = exp(scale * score);
        }
        for (Size k = 0; k <= q; k++) {
          p[index(k)] /= total;
          dP[index(k)] = 0;
          for (Size i = 0; i < d; i++) {
            wanted[index(own + i)] += p[index(k)] * x[at(k, 2) + i];
            wantDx[index(at(k, 2) + i)] += p[index(k)] * dy[own + i];
            dP[index(k)] += double(dy[own + i]) * x[at(k, 2) + i];
          }
          sum += p[index(k)] * dP[index(k)];
        }
        for (Size k = 0; k <= q; k++) {
          const double dS = scale * p[index(k)] * (dP[index(k)] - sum);
          for (Size i = 0; i < d; i++)
            wantDx[index(at(q, 0) + i)] += dS * x[at(k, 1) + i], wantDx[index(at(k, 1) + i)] += dS * x[at(q, 0) + i];
        }
      }
  K.attention(team, out, shares, x, T, B, heads, width, steps, scratch, room);
  expectClose("attention", out, wanted, around(wanted, 4.0 * double(d + T + 16), 1));
  K.attentionGradient(team, dx, dy, shares, x, T, B, heads, width, steps, scratch, room);
  expectClose("attention gradient", dx, wantDx, around(wantDx, 4.0 * double(d + T + 16), 1));
}

/// Whole time loops of the small cells give the bits of their steps.
static void smallLoops(Team& team, Size steps, Size rows, Size H) {
  snprintf(where, sizeof where, "(%d, %d, %d), %d threads,", int(steps), int(rows), int(H), team.threads);
  const Size block = rows * H;
  Floats w(H * H, 31), nt(panels(H) * H), nn(panels(H) * H), dy(steps * block, 34);
  K.packTransposedPanels(team, H, H, w, nt), K.packPanels(team, H, H, w, nn);
  const auto same = [](const char* what, const auto& x, const auto& y) {
    addBits(x.data, index(x.length));
    expectTrue(what, memcmp(x.data, y.data, index(x.length) * sizeof *x.data) == 0, "the whole loop has other bits");
  };
  for (const Size flags : {BEFORE | AFTER | INDEX | LISTS, BEFORE | AFTER | INDEX, Size{0}})
    for (const Size gates : {1, 2}) {
      Site a(steps * rows, gates * H, gates), b(steps * rows, gates * H, gates);
      for (Size i = 0; i < gates; i++) a.tau[i] = b.tau[i] = flags & LISTS ? 0.05f : -1;
      Floats h((steps + 1) * block, 33), hWhole(h), dh(block, 35), dhWhole(dh);
      const Size n = gates * block;
      for (Size t = 0; t < steps; t++) {
        if (gates == 1) {
          K.product(team, rows, H, H, h + t * block, nt, a.g + t * n);
          K.rnnForward(team, rows, H, a.g + t * n, h + (t + 1) * block);
        } else {
          K.mingruForward(team, rows, H, a.g + t * n, h + t * block, h + (t + 1) * block);
        }
      }
      for (Size t = steps - 1; t >= 0; t--) {
        K.addInto(team, dh, dy + t * block, block);
        if (gates == 1)
          K.rnnBackward(team, rows, H, a.g + t * n, dh);
        else
          K.mingruBackward(team, rows, H, a.g + t * n, h + t * block, dh);
        if (flags) a.sweep(team, THRESHOLD, t * rows, rows, flags);
        if (gates == 2) continue;
        memset(dh, 0, index(block) * 4);
        if (flags & LISTS)
          K.sparseProduct(team, rows, H, H, a.g + t * n, a.counts + t * rows, a.starts + t * rows * (a.tiles + 1),
                          a.values, a.offsets, nn, dh, 0.45);
        else
          K.product(team, rows, H, H, a.g + t * n, nn, dh);
      }
      if (gates == 1) {
        K.rnnForwardLoop(team, steps, rows, H, b.g, nt, 0, hWhole);
        K.rnnBackwardLoop(team, steps, rows, H, 0, 0, b.g, dhWhole, dy, 1, THRESHOLD, b.tau, KEY, b.sums, b.histogram,
                          flags, b.bitmap, b.counts, b.values, b.offsets, b.starts, b.partials, nullptr, nullptr, nn,
                          0.45);
      } else {
        K.mingruForwardLoop(team, steps, rows, H, b.g, hWhole);
        K.mingruBackwardLoop(team, steps, rows, H, 0, 0, b.g, hWhole, dhWhole, dy, THRESHOLD, b.tau, KEY, b.sums,
                             b.histogram, flags, b.bitmap, b.counts, b.values, b.offsets, b.starts, b.partials,
                             nullptr, nullptr);
      }
      same("h", h, hWhole), same("gate gradients", a.g, b.g), same("dh", dh, dhWhole);
      same("sums", a.sums, b.sums), same("histogram", a.histogram, b.histogram);
      same("bitmap", a.bitmap, b.bitmap), same("counts", a.counts, b.counts);
      if (flags) b.expectPattern(flags & LISTS);
    }
}

static void layers(Team& team) {
  for (Size n = 1; n <= 33; n++) {
    smallCells(team, 3, n), pointwise(team, n), norms(team, 5, n), softmaxes(team, 5, n, (n + 1) / 2);
    softmaxes(team, 3, n, n);
  }
  smallCells(team, 50, 130), pointwise(team, 100003), norms(team, 300, 130), softmaxes(team, 90, 300, 257);
  for (Size d = 1; d <= 17; d++) attentions(team, 3, 2, 2, d, 4), attentions(team, d, 1, 2, 3, d);
  attentions(team, 70, 2, 2, 9, 70), attentions(team, 12, 2, 1, 70, 13), attentions(team, 130, 3, 2, 33, 131);
  for (Size H = 1; H <= 17; H++) smallLoops(team, 2, 3, H);
  smallLoops(team, 3, 50, 64), smallLoops(team, 2, 9, 130), smallLoops(team, 2, 270, 192);
}
