// One slot of the unit: what the rule leaves of one gate gradient. Combinational.
//
// Threshold: dropped if |g| <= tau. Magnitudes of float32 are ordered as their bits are, so this is one 31-bit integer
// comparison, and NaN and infinities, whose bits are the largest, survive: src/sparse/rule.ts.
//
// STOCHASTIC adds the rule "stochastic" (src/sparse/apply.ts), bit for bit: |g| >= tau stays; below, sign * tau is left
// with probability |g| / tau, else nothing. The draw is mix(seed), mix as in src/core/random.ts, and the caller gives
// seed = position * 0x9e3779b9 + key. Two 32-bit products and one of 24 bits a slot: see the area in the README.
//
//   g       float32
//   tau     float32, not negative, finite; with STOCHASTIC 0 or at least 2^-100
//   keep    the value is not dropped
//   value   what is left, where `keep`
module compare #(
    parameter STOCHASTIC = 0
) (
    input  logic [31:0] g,
    input  logic [31:0] tau,
    input  logic        stochastic,
    input  logic [31:0] seed,
    output logic        keep,
    output logic [31:0] value
);
  generate
    if (STOCHASTIC != 0) begin : with_draw
      logic drawn;
      draw draw (.size(g[30:0]), .tau(tau[30:0]), .seed(seed), .keep(drawn));
      logic below;
      assign below = stochastic && g[30:0] < tau[30:0];
      assign keep  = below ? drawn : stochastic ? g[30:0] != 0 : g[30:0] > tau[30:0];
      assign value = below ? {g[31], tau[30:0]} : g;
    end else begin : without_draw
      assign keep  = g[30:0] > tau[30:0];
      assign value = g;
    end
  endgenerate
endmodule

// Whether a magnitude below tau is rounded up to tau: round(u tau) < size 2^24, u the upper 24 bits of mix(seed), and
// the product rounded to float32 (nearest, ties to even), as the software does. Combinational.
module draw (
    input  logic [30:0] size,
    input  logic [30:0] tau,
    input  logic [31:0] seed,
    output logic        keep
);
  // mix, src/core/random.ts
  logic [31:0] a, b, c, d, hash;
  assign a    = seed ^ (seed >> 16);
  assign b    = a * 32'h21f0aaad;
  assign c    = b ^ (b >> 15);
  assign d    = c * 32'h735a2d97;
  assign hash = d ^ (d >> 15);

  // u * tau, normalized: u up to 24 bits, so the product has 0 to 47 zeros in front.
  logic [47:0] product, normal;
  logic [ 5:0] zeros;
  assign product = hash[31:8] * {1'b1, tau[22:0]};
  always_comb begin
    normal = product;
    for (int s = 5; s >= 0; s--) begin
      zeros[s] = (normal >> (48 - (1 << s))) == 0;
      if (zeros[s]) normal = normal << (1 << s);
    end
  end
  logic up;
  assign up = normal[23] && (normal[22:0] != 0 || normal[24]);
  logic [24:0] rounded;  // a carry out of the mantissa runs into the exponent below
  assign rounded = {1'b0, normal[47:24]} + {24'd0, up};
  // tau = mantissa 2^(exponent - 23), so the exponent of the product is tau's + 24 - zeros; the same bias for both sides.
  logic [8:0] drawnExponent, sizeExponent;
  assign drawnExponent = {1'b0, tau[30:23]} + 9'd24 - {3'd0, zeros} + {8'd0, rounded[24]};
  assign sizeExponent  = {1'b0, size[30:23]} + 9'd24;
  logic [22:0] drawnMantissa;
  assign drawnMantissa = rounded[24] ? 23'd0 : rounded[22:0];

  always_comb begin
    if (product == 48'd0) keep = size != 31'd0;
    else if (size[30:23] == 8'd0) keep = 1'b0;  // a subnormal size is below every draw but 0
    else keep = {drawnExponent, drawnMantissa} < {sizeExponent, size[22:0]};
  end
endmodule
