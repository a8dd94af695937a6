// A FIFO that takes up to W items a cycle and gives up to P: W banks of DEPTH / W items, a rotation before and one behind.
//
//   write_count  0 .. W items to be stored; the caller keeps it <= room
//   room         free places at the beginning of the cycle
//   head         the first P items; meaningful up to `count`
//   read_count   how many of them leave; the caller keeps it <= min(P, count)
// What is written in a cycle can be read in the next.
module fifo #(
    parameter W = 16,  // a power of two
    parameter DEPTH = 64,  // a power of two, at least 2 W
    parameter P = 4,  // at most W
    parameter SIZE = 55
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic [       W*SIZE-1:0] items,
    input  logic [  $clog2(W+1)-1:0] write_count,
    output logic [$clog2(DEPTH+1)-1:0] room,
    output logic [       P*SIZE-1:0] head,
    output logic [$clog2(DEPTH+1)-1:0] count,
    input  logic [  $clog2(P+1)-1:0] read_count
);
  localparam A = $clog2(DEPTH);
  localparam B = $clog2(W);
  localparam ROWS = DEPTH / W;

  logic [A-1:0] first, free;  // where the head is; where the next item goes
  assign room = DEPTH[A:0] - count;

  // Item i goes to bank (free + i) mod W: upwards by free mod W, bit by bit.
  logic [W-1:0] stored;
  logic [W*SIZE-1:0] into;
  always_comb begin
    into = items;
    for (int i = 0; i < W; i++) stored[i] = (B + 1)'(i) < write_count;
    for (int s = 0; s < B; s++)
      if (free[s]) begin
        into   = (into << (SIZE << s)) | (into >> (W * SIZE - (SIZE << s)));
        stored = (stored << (1 << s)) | (stored >> (W - (1 << s)));
      end
  end

  // A bank's row is one further where the run has wrapped around.
  logic [W*SIZE-1:0] from;
  genvar i;
  generate
    for (i = 0; i < W; i = i + 1) begin : bank
      logic [SIZE-1:0] rows[0:ROWS-1];
      logic [A-B-1:0] write_row, read_row;
      assign write_row = free[A-1:B] + (A - B)'(B'(i) < free[B-1:0]);
      assign read_row  = first[A-1:B] + (A - B)'(B'(i) < first[B-1:0]);
      always_ff @(posedge clk) if (stored[i]) rows[write_row] <= into[i*SIZE+:SIZE];
      assign from[i*SIZE+:SIZE] = rows[read_row];
    end
  endgenerate

  logic [W*SIZE-1:0] turned;
  always_comb begin
    turned = from;
    for (int s = 0; s < B; s++)
      if (first[s]) turned = (turned >> (SIZE << s)) | (turned << (W * SIZE - (SIZE << s)));
  end
  assign head = turned[P*SIZE-1:0];

  always_ff @(posedge clk)
    if (rst) begin
      first <= '0;
      free  <= '0;
      count <= '0;
    end else begin
      first <= first + A'(read_count);
      free  <= free + A'(write_count);
      count <= count + (A + 1)'(write_count) - (A + 1)'(read_count);
    end
endmodule
