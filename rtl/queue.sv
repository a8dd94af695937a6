// The queue before a lane: one in, one out. What is written in a cycle can be read in the next.
module queue #(
    parameter DEPTH = 8,
    parameter SIZE = 53
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            write,  // only where not full
    input  logic [SIZE-1:0] item,
    output logic            full,   // at the beginning of the cycle
    output logic            some,   // `head` is an item
    output logic [SIZE-1:0] head,
    input  logic            read    // only where `some`
);
  localparam A = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam C = $clog2(DEPTH + 1);
  logic [SIZE-1:0] items[0:DEPTH-1];
  logic [A-1:0] first, free;
  logic [C-1:0] count;
  assign full = count == C'(DEPTH);
  assign some = count != '0;
  assign head = items[first];
  always_ff @(posedge clk) if (write) items[free] <= item;
  always_ff @(posedge clk)
    if (rst) begin
      first <= '0;
      free  <= '0;
      count <= '0;
    end else begin
      if (read) first <= first == A'(DEPTH - 1) ? '0 : first + 1'b1;
      if (write) free <= free == A'(DEPTH - 1) ? '0 : free + 1'b1;
      count <= count + C'(write) - C'(read);
    end
endmodule
