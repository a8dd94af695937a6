// Hands the first elements of the FIFO to the queues of their lanes, lane = result mod L, in order: stops at one whose
// queue is full or has been given an element in this cycle. Combinational.
module dispatch #(
    parameter P = 4,
    parameter L = 16,  // a power of two
    parameter OPERAND = 13,
    parameter RESULT = 10,
    parameter COUNT = 7  // bits of `count`
) (
    input  logic [P*(32+OPERAND+RESULT)-1:0] head,
    input  logic [                COUNT-1:0] count,
    input  logic [                    L-1:0] full,
    output logic [        $clog2(P+1)-1:0] sent,
    output logic [                    L-1:0] write,
    output logic [L*(32+OPERAND+RESULT)-1:0] items
);
  localparam SIZE = 32 + OPERAND + RESULT;
  localparam K = L > 1 ? $clog2(L) : 1;
  logic [P*K-1:0] lane;
  logic [P-1:0] goes;
  logic [L-1:0] taken;
  always_comb begin
    for (int i = 0; i < P; i++) lane[i*K+:K] = L > 1 ? head[i*SIZE+:K] : '0;
    taken = full;
    sent  = '0;
    for (int i = 0; i < P; i++) begin
      goes[i] = COUNT'(i) < count && !taken[lane[i*K+:K]];
      if (i > 0) goes[i] = goes[i] && goes[i > 0 ? i - 1 : 0];
      if (goes[i]) taken[lane[i*K+:K]] = 1'b1;
      if (goes[i]) sent = sent + 1'b1;
    end
    write = '0;
    items = '0;
    for (int l = 0; l < L; l++)
      for (int i = 0; i < P; i++)
        if (goes[i] && lane[i*K+:K] == K'(l)) begin
          write[l] = 1'b1;
          items[l*SIZE+:SIZE] = items[l*SIZE+:SIZE] | head[i*SIZE+:SIZE];
        end
  end
endmodule
