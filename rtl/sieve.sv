// The whole: threshold-and-compact unit, FIFO, dispatch, L queues and L lanes of M multipliers. The memories of operands
// and results are outside. Ports as in compact_unit.sv and lane.sv; those of the lanes side by side, lane 0 lowest.
//
// Timing is that of src/energy/lane-cycles.ts, compared cycle by cycle in test/rtl.test.ts through the outputs named
// there: in_ready (with in_valid: a word is accepted), packed_count, sent_count, take and busy.
module sieve #(
    parameter W = 16,
    parameter DEPTH = 64,  // of the FIFO
    parameter P = 4,
    parameter L = 16,
    parameter D = 8,  // of a queue
    parameter M = 16,
    parameter OPERAND = 13,
    parameter RESULT = 10,
    parameter COST = 8,
    parameter STOCHASTIC = 0
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic [       COST-1:0] cost,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  logic [       W*32-1:0] in_values,
    input  logic [           31:0] in_tau,
    input  logic [    OPERAND-1:0] in_operand,
    input  logic [     RESULT-1:0] in_result,
    input  logic                   in_last,
    input  logic                   in_stochastic,
    input  logic [           31:0] in_seed,
    input  logic [           31:0] in_step,
    output logic                   drained,
    output logic                   bitmap_valid,
    output logic [          W-1:0] bitmap,
    output logic [$clog2(W+1)-1:0] packed_count,
    output logic [$clog2(P+1)-1:0] sent_count,
    output logic [          L-1:0] take,
    output logic [          L-1:0] busy,
    output logic [     L*COST-1:0] chunk,
    output logic [  L*OPERAND-1:0] operand,
    output logic [   L*RESULT-1:0] result,
    input  logic [     L*M*32-1:0] operand_data,
    input  logic [     L*M*32-1:0] result_data,
    output logic [     L*M*32-1:0] result_next
);
  localparam SIZE = 32 + OPERAND + RESULT;
  localparam COUNT = $clog2(DEPTH + 1);

  logic [W*SIZE-1:0] packed_items;
  logic [P*SIZE-1:0] head;
  logic [COUNT-1:0] room, waiting;
  logic [L-1:0] full, some, write;
  logic [L*SIZE-1:0] items, elements;
  logic holds;
  assign drained = !holds && waiting == '0 && some == '0 && busy == '0;

  compact_unit #(
      .W(W),
      .OPERAND(OPERAND),
      .RESULT(RESULT),
      .ROOM(COUNT),
      .STOCHASTIC(STOCHASTIC)
  ) unit (
      .clk(clk),
      .rst(rst),
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_values(in_values),
      .in_tau(in_tau),
      .in_operand(in_operand),
      .in_result(in_result),
      .in_last(in_last),
      .in_stochastic(in_stochastic),
      .in_seed(in_seed),
      .in_step(in_step),
      .drained(drained),
      .room(room),
      .bitmap_valid(bitmap_valid),
      .bitmap(bitmap),
      .packed_items(packed_items),
      .packed_count(packed_count),
      .holds(holds)
  );
  fifo #(
      .W(W),
      .DEPTH(DEPTH),
      .P(P),
      .SIZE(SIZE)
  ) fifo (
      .clk(clk),
      .rst(rst),
      .items(packed_items),
      .write_count(packed_count),
      .room(room),
      .head(head),
      .count(waiting),
      .read_count(sent_count)
  );
  dispatch #(
      .P(P),
      .L(L),
      .OPERAND(OPERAND),
      .RESULT(RESULT),
      .COUNT(COUNT)
  ) dispatch (
      .head(head),
      .count(waiting),
      .full(full),
      .sent(sent_count),
      .write(write),
      .items(items)
  );
  genvar i;
  generate
    for (i = 0; i < L; i = i + 1) begin : each
      queue #(
          .DEPTH(D),
          .SIZE(SIZE)
      ) queue (
          .clk(clk),
          .rst(rst),
          .write(write[i]),
          .item(items[i*SIZE+:SIZE]),
          .full(full[i]),
          .some(some[i]),
          .head(elements[i*SIZE+:SIZE]),
          .read(take[i])
      );
      lane #(
          .M(M),
          .OPERAND(OPERAND),
          .RESULT(RESULT),
          .COST(COST)
      ) lane (
          .clk(clk),
          .rst(rst),
          .cost(cost),
          .some(some[i]),
          .element(elements[i*SIZE+:SIZE]),
          .take(take[i]),
          .busy(busy[i]),
          .chunk(chunk[i*COST+:COST]),
          .operand(operand[i*OPERAND+:OPERAND]),
          .result(result[i*RESULT+:RESULT]),
          .operand_data(operand_data[i*M*32+:M*32]),
          .result_data(result_data[i*M*32+:M*32]),
          .result_next(result_next[i*M*32+:M*32])
      );
    end
  endgenerate
endmodule
