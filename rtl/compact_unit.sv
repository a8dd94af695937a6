// The threshold-and-compact unit: a word of W gate gradients a cycle in, the survivors packed into a FIFO.
// Timing: src/energy/lane-cycles.ts ("compare", "pack"), to which it is compared cycle by cycle.
//
// The gradients of a word lie along the dimension of the results: for dW and dU side by side in a row, for dh and dx one
// below the other in a column. All of them meet the same row of the other operand.
//
//   in_valid, in_ready   a word is taken where both are set
//   in_values            W float32, number 0 lowest; 0 where a word is not full
//   in_tau               of the word's group
//   in_operand           the row of the other operand: the gradients' row (dW) or column (dh)
//   in_result            the result's row that number 0 adds to: the gradients' column (dW) or row (dh)
//   in_last              the block ends here: the next word waits until `drained`
//   in_stochastic, in_seed, in_step   with STOCHASTIC: the rule, and number i's seed is in_seed + i in_step
//   bitmap_valid, bitmap the bitmap word, as it is packed, for whoever stores the pattern
//   packed_items         survivors first: { value, operand, result }
//   packed_count         how many are to be stored in this cycle; never more than `room`
//   holds                there is a word in the compare register
module compact_unit #(
    parameter W = 16,
    parameter OPERAND = 13,
    parameter RESULT = 10,
    parameter ROOM = 7,  // bits of `room`
    parameter STOCHASTIC = 0
) (
    input  logic                            clk,
    input  logic                            rst,
    input  logic                            in_valid,
    output logic                            in_ready,
    input  logic [                W*32-1:0] in_values,
    input  logic [                    31:0] in_tau,
    input  logic [             OPERAND-1:0] in_operand,
    input  logic [              RESULT-1:0] in_result,
    input  logic                            in_last,
    input  logic                            in_stochastic,
    input  logic [                    31:0] in_seed,
    input  logic [                    31:0] in_step,
    input  logic                            drained,
    input  logic [                ROOM-1:0] room,
    output logic                            bitmap_valid,
    output logic [                   W-1:0] bitmap,
    output logic [W*(32+OPERAND+RESULT)-1:0] packed_items,
    output logic [         $clog2(W+1)-1:0] packed_count,
    output logic                            holds
);
  localparam C = $clog2(W + 1);
  localparam I = $clog2(W);

  // compare
  logic [W-1:0] keep;
  logic [W*32-1:0] left;
  logic [W*32-1:0] seeds;
  always_comb for (int i = 0; i < W; i++) seeds[i*32+:32] = in_seed + 32'(i) * in_step;
  genvar i;
  generate
    for (i = 0; i < W; i = i + 1) begin : slot
      compare #(
          .STOCHASTIC(STOCHASTIC)
      ) compare (
          .g(in_values[i*32+:32]),
          .tau(in_tau),
          .stochastic(in_stochastic),
          .seed(seeds[i*32+:32]),
          .keep(keep[i]),
          .value(left[i*32+:32])
      );
    end
  endgenerate

  logic [W*32-1:0] values;
  logic [OPERAND-1:0] operand;
  logic [RESULT-1:0] result;
  logic barrier;  // the word taken last ended a block
  logic goes, accepts;
  assign in_ready = barrier ? drained : !holds || goes;
  assign accepts  = in_valid && in_ready;
  always_ff @(posedge clk)
    if (rst) begin
      holds   <= 1'b0;
      barrier <= 1'b0;
    end else begin
      if (accepts) barrier <= in_last;
      if (accepts) holds <= 1'b1;
      else if (goes) holds <= 1'b0;
    end
  always_ff @(posedge clk)
    if (accepts) begin
      bitmap  <= keep;
      values  <= left;
      operand <= in_operand;
      result  <= in_result;
    end

  // pack
  logic [W*(32+I)-1:0] numbered, sorted;
  logic [C-1:0] count;
  generate
    for (i = 0; i < W; i = i + 1) begin : item
      assign numbered[i*(32+I)+:32+I] = {i[I-1:0], values[i*32+:32]};
      assign packed_items[i*(32+OPERAND+RESULT)+:32+OPERAND+RESULT] = {
        sorted[i*(32+I)+:32], operand, result + RESULT'(sorted[i*(32+I)+32+:I])
      };
    end
  endgenerate
  pack #(
      .W(W),
      .SIZE(32 + I)
  ) pack (
      .bits(bitmap),
      .items(numbered),
      .packed_items(sorted),
      .count(count)
  );
  assign goes = holds && ROOM'(count) <= room;
  assign packed_count = goes ? count : '0;
  assign bitmap_valid = goes;
endmodule
