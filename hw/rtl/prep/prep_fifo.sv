// First-in first-out buffer whose writers hold credits: it is never asked whether it is full.
//
// The oldest word stands at `rdata_o` while `valid_o`. Meant for distributed memory.
module prep_fifo #(
    parameter int unsigned Width = 8,
    parameter int unsigned Depth = 32  // a power of two
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic             push_i,
    input  logic [Width-1:0] wdata_i,
    input  logic             pop_i,
    output logic             valid_o,
    output logic [Width-1:0] rdata_o
);

  localparam int unsigned PtrWidth = $clog2(Depth);

  (* ram_style = "distributed" *)
  logic [Width-1:0] mem[Depth];
  logic [PtrWidth-1:0] head_q, tail_q;
  logic [PtrWidth:0] count_q;

  assign rdata_o = mem[head_q];

  always_ff @(posedge clk_i) begin
    if (push_i) mem[tail_q] <= wdata_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q  <= '0;
      tail_q  <= '0;
      count_q <= '0;
      valid_o <= 1'b0;
    end else begin
      if (push_i) tail_q <= tail_q + 1'b1;
      if (pop_i) head_q <= head_q + 1'b1;
      count_q <= count_q + (PtrWidth + 1)'(push_i) - (PtrWidth + 1)'(pop_i);
      valid_o <= push_i || count_q > (PtrWidth + 1)'(pop_i);
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(pop_i && !valid_o)) else $error("pop of an empty buffer");
      assert (!(push_i && count_q == (PtrWidth + 1)'(Depth))) else $error("push into a full buffer");
    end
  end
`endif

endmodule
