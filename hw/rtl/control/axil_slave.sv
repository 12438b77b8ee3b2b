// AXI4-Lite, the slave's side: one access of each kind at a time to 64 registers; those past them are written by nobody and read 0.
//
// A write takes address and data in any order and answers 2 cycles later, a read 2 cycles after its address.
module axil_slave #(
  parameter int unsigned Parts = 8  // copies of the address of a read
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic        s_axil_awvalid_i,
  output logic        s_axil_awready_o,
  input  logic [11:0] s_axil_awaddr_i,
  input  logic        s_axil_wvalid_i,
  output logic        s_axil_wready_o,
  input  logic [31:0] s_axil_wdata_i,
  input  logic [ 3:0] s_axil_wstrb_i,
  output logic        s_axil_bvalid_o,
  input  logic        s_axil_bready_i,
  output logic [ 1:0] s_axil_bresp_o,
  input  logic        s_axil_arvalid_i,
  output logic        s_axil_arready_o,
  input  logic [11:0] s_axil_araddr_i,
  output logic        s_axil_rvalid_o,
  input  logic        s_axil_rready_i,
  output logic [31:0] s_axil_rdata_o,
  output logic [ 1:0] s_axil_rresp_o,

  output logic        write_o,   // in this cycle, these bytes of this word
  output logic [ 9:0] waddr_o,
  output logic [31:0] wdata_o,
  output logic [ 3:0] wstrb_o,

  output logic                  read_o,   // this word is read in this cycle
  output logic [           9:0] raddr_o,
  output logic [Parts-1:0][5:0] raddr_part_o,  // its lower bits, for a part of the answer each: one would have too many readers
  input  logic [          31:0] rdata_i   // of raddr_part_o
);

  // ---------------------------------------------------------------- writes

  logic aw_full_q, w_full_q, write;
  logic [9:0] waddr_q;
  logic [31:0] wdata_q;
  logic [3:0] wstrb_q;

  assign s_axil_awready_o = !aw_full_q;
  assign s_axil_wready_o = !w_full_q;
  assign s_axil_bresp_o = 2'b00;
  assign write = aw_full_q && w_full_q && (!s_axil_bvalid_o || s_axil_bready_i);
  assign write_o = write;
  assign waddr_o = waddr_q;
  assign wdata_o = wdata_q;
  assign wstrb_o = wstrb_q;

  always_ff @(posedge clk_i) begin
    if (!aw_full_q) waddr_q <= s_axil_awaddr_i[11:2];
    if (!w_full_q) begin
      wdata_q <= s_axil_wdata_i;
      wstrb_q <= s_axil_wstrb_i;
    end
    if (!rst_ni) begin
      aw_full_q <= 1'b0;
      w_full_q <= 1'b0;
      s_axil_bvalid_o <= 1'b0;
    end else begin
      if (write) aw_full_q <= 1'b0;
      else if (s_axil_awvalid_i) aw_full_q <= 1'b1;
      if (write) w_full_q <= 1'b0;
      else if (s_axil_wvalid_i) w_full_q <= 1'b1;
      if (write) s_axil_bvalid_o <= 1'b1;
      else if (s_axil_bready_i) s_axil_bvalid_o <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- reads

  logic ar_full_q, read;
  logic [9:0] raddr_q, raddr;

  assign s_axil_arready_o = !ar_full_q;
  assign s_axil_rresp_o = 2'b00;
  assign read = ar_full_q && (!s_axil_rvalid_o || s_axil_rready_i);
  assign read_o = read;
  assign raddr_o = raddr_q;
  assign raddr = ar_full_q ? raddr_q : s_axil_araddr_i[11:2];
  copies #(
    .Width(6),
    .Copies(Parts)
  ) u_raddr (
    .clk_i,
    .d_i(raddr[5:0]),
    .q_o(raddr_part_o)
  );

  always_ff @(posedge clk_i) begin
    raddr_q <= raddr;
    if (read) s_axil_rdata_o <= raddr_q[9:6] == '0 ? rdata_i : '0;
    if (!rst_ni) begin
      ar_full_q <= 1'b0;
      s_axil_rvalid_o <= 1'b0;
    end else begin
      if (read) ar_full_q <= 1'b0;
      else if (s_axil_arvalid_i) ar_full_q <= 1'b1;
      if (read) s_axil_rvalid_o <= 1'b1;
      else if (s_axil_rready_i) s_axil_rvalid_o <= 1'b0;
    end
  end

  logic [3:0] unused_low_bits;
  assign unused_low_bits = {s_axil_awaddr_i[1:0], s_axil_araddr_i[1:0]};

endmodule
