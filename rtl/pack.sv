// The compaction network: moves the items whose bit is set to the front, in order. Combinational.
//
// Item i has to go down by the number of clear bits below it, z(i): a prefix sum. Stage s moves by 2^s where bit s of
// z(i) is set. From the lowest bit up no two items meet: for kept i < j, j - i >= 1 + z(j) - z(i), so after stage s their
// places differ by at least 1 + 2^(s+1) (z(j) / 2^(s+1) - z(i) / 2^(s+1)), quotients rounded down, which is positive.
// W log2 W items of multiplexers, where a crossbar takes W^2 / 2. rtl/test tries all 2^16 patterns of 16.
//
//   bits    which items are kept
//   items   W items of SIZE bits, item 0 lowest
//   packed  the kept ones first; what lies beyond `count` means nothing
//   count   how many are kept
module pack #(
    parameter W = 16,  // a power of two
    parameter SIZE = 36
) (
    input  logic [          W-1:0] bits,
    input  logic [     W*SIZE-1:0] items,
    output logic [     W*SIZE-1:0] packed_items,
    output logic [    $clog2(W):0] count
);
  localparam STAGES = $clog2(W);
  localparam ON = 1 + STAGES + SIZE;  // an item on its way: kept, what is left of z, the item

  logic [STAGES:0] zeros;
  logic [W*ON-1:0] way;
  always_comb begin
    zeros = '0;
    for (int i = 0; i < W; i++) begin
      way[i*ON+:ON] = {bits[i], zeros[STAGES-1:0], items[i*SIZE+:SIZE]};
      if (!bits[i]) zeros = zeros + 1'b1;
    end
    // Upwards, so that a place is read before it is filled again.
    for (int s = 0; s < STAGES; s++) begin
      for (int i = 0; i < W - (1 << s); i++)
        if (way[(i+(1<<s))*ON+ON-1] && way[(i+(1<<s))*ON+SIZE+s]) way[i*ON+:ON] = way[(i+(1<<s))*ON+:ON];
        else if (way[i*ON+SIZE+s]) way[i*ON+ON-1] = 1'b0;  // has gone down
      for (int i = W - (1 << s); i < W; i++) if (way[i*ON+SIZE+s]) way[i*ON+ON-1] = 1'b0;
    end
    for (int i = 0; i < W; i++) packed_items[i*SIZE+:SIZE] = way[i*ON+:SIZE];
    count = W[STAGES:0] - zeros;
  end
endmodule
