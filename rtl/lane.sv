// A lane: adds value * operand row to a result row, M numbers a cycle, `cost` = ceil(N / M) cycles an element.
// Timing: src/energy/lane-cycles.ts ("lane"). The memories are outside: a read is answered within the cycle.
//
//   some, element       the head of its queue: { value, operand, result }
//   take                the lane takes it; works on it from the next cycle on
//   busy                it works in this cycle, on the numbers [M chunk, M chunk + M)
//   operand, result     rows of the two memories; `operand_data` and `result_data` M numbers of each
//   result_next         what is to be stored in place of result_data at the end of a busy cycle
module lane #(
    parameter M = 4,
    parameter OPERAND = 13,
    parameter RESULT = 10,
    parameter COST = 8  // bits of `cost`
) (
    input  logic                         clk,
    input  logic                         rst,
    input  logic [             COST-1:0] cost,
    input  logic                         some,
    input  logic [32+OPERAND+RESULT-1:0] element,
    output logic                         take,
    output logic                         busy,
    output logic [             COST-1:0] chunk,
    output logic [          OPERAND-1:0] operand,
    output logic [           RESULT-1:0] result,
    input  logic [             M*32-1:0] operand_data,
    input  logic [             M*32-1:0] result_data,
    output logic [             M*32-1:0] result_next
);
  logic [COST-1:0] left;
  logic [31:0] value;
  assign busy = left != '0;
  assign take = some && left <= COST'(1);
  always_ff @(posedge clk)
    if (rst) left <= '0;
    else if (take) left <= cost;
    else if (busy) left <= left - 1'b1;
  always_ff @(posedge clk)
    if (take) begin
      {value, operand, result} <= element;
      chunk <= '0;
    end else chunk <= chunk + 1'b1;

  genvar i;
  generate
    for (i = 0; i < M; i = i + 1) begin : number
      multiply_add multiply_add (
          .a(value),
          .b(operand_data[i*32+:32]),
          .c(result_data[i*32+:32]),
          .y(result_next[i*32+:32])
      );
    end
  endgenerate
endmodule
