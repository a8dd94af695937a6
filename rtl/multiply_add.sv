// c + a b in float32, rounded to nearest, ties to even, after the product and after the sum. Combinational and without
// pipeline registers: values and area are real, a clock rate is not claimed. Subnormal numbers are read as zero, and
// results too small to be normal become zero with their sign. Every NaN is 7fc00000.
module multiply_add (
    input  logic [31:0] a,
    input  logic [31:0] b,
    input  logic [31:0] c,
    output logic [31:0] y
);
  logic [31:0] product;
  multiply multiply (.a(a), .b(b), .y(product));
  add add (.a(product), .b(c), .y(y));
endmodule

module multiply (
    input  logic [31:0] a,
    input  logic [31:0] b,
    output logic [31:0] y
);
  logic sign, zero, infinite, nan;
  assign sign = a[31] ^ b[31];
  assign zero = a[30:23] == 0 || b[30:23] == 0;
  assign infinite = a[30:23] == 8'hff || b[30:23] == 8'hff;
  assign nan = (a[30:23] == 8'hff && a[22:0] != 0) || (b[30:23] == 8'hff && b[22:0] != 0) || (infinite && zero);

  logic [47:0] full;
  assign full = {1'b1, a[22:0]} * {1'b1, b[22:0]};
  logic [46:0] normal;  // without the leading one
  assign normal = full[47] ? full[46:0] : {full[45:0], 1'b0};
  logic signed [9:0] exponent;
  assign exponent = $signed({2'b0, a[30:23]}) + $signed({2'b0, b[30:23]}) - 10'sd127 + $signed({9'd0, full[47]});
  logic up;
  assign up = normal[23] && (normal[22:0] != 0 || normal[24]);
  logic [32:0] rounded;  // exponent and mantissa in one, so that a carry runs over
  assign rounded = {exponent, normal[46:24]} + {32'd0, up};

  always_comb
    if (nan) y = 32'h7fc00000;
    else if (infinite) y = {sign, 8'hff, 23'd0};
    else if (zero || exponent <= 0) y = {sign, 31'd0};
    else if ($signed(rounded[32:23]) >= 10'sd255) y = {sign, 8'hff, 23'd0};
    else y = {sign, rounded[30:0]};
endmodule

module add (
    input  logic [31:0] a,
    input  logic [31:0] b,
    output logic [31:0] y
);
  logic [31:0] big, little;
  assign {big, little} = a[30:0] >= b[30:0] ? {a, b} : {b, a};
  logic nan, infinite;
  assign infinite = big[30:23] == 8'hff;
  assign nan = (infinite && big[22:0] != 0) || (infinite && little[30:0] == 31'h7f800000 && a[31] != b[31]);

  // Mantissas with guard, round and sticky bit below.
  logic [26:0] high, low, shifted;
  logic [7:0] apart;
  assign high  = {big[30:23] != 0, big[22:0], 3'd0};
  assign low   = {little[30:23] != 0, little[30:23] != 0 ? little[22:0] : 23'd0, 3'd0};
  assign apart = big[30:23] - little[30:23];
  logic [53:0] spread;
  assign spread  = {low, 27'd0} >> apart;
  assign shifted = apart > 8'd26 ? {26'd0, low != 0} : {spread[53:28], spread[27:0] != 0};
  logic [27:0] sum;
  assign sum = big[31] == little[31] ? {1'b0, high} + {1'b0, shifted} : {1'b0, high} - {1'b0, shifted};

  // The leading one to the top, by powers of two: `zeros` in front of it, where there is one.
  logic [4:0] zeros;
  logic [27:0] normal;
  always_comb begin
    normal = sum;
    for (int s = 4; s >= 0; s--) begin
      zeros[s] = (normal >> (28 - (1 << s))) == 0;
      if (zeros[s]) normal = normal << (1 << s);
    end
  end
  logic signed [9:0] exponent;
  assign exponent = $signed({2'b0, big[30:23]}) + 10'sd1 - $signed({5'd0, zeros});
  logic up;
  assign up = normal[3] && (normal[2:0] != 0 || normal[4]);
  logic [32:0] rounded;
  assign rounded = {exponent, normal[26:4]} + {32'd0, up};

  always_comb
    if (nan) y = 32'h7fc00000;
    else if (infinite) y = big;
    else if (big[30:23] == 0) y = {a[31] & b[31], 31'd0};
    else if (sum == 0) y = 32'd0;
    else if (exponent <= 0) y = {big[31], 31'd0};
    else if ($signed(rounded[32:23]) >= 10'sd255) y = {big[31], 8'hff, 23'd0};
    else y = {big[31], rounded[30:0]};
endmodule
