// From a descriptor to where its bytes lie: checks the range of the on-chip memory, adds up the DDR address.
//
// About 12 cycles, 34 where the address depends on the step; others are under way meanwhile. Sums and the product of step and
// stride have 64 bits, in halves of 32: one multiplier of 16 x 16 bits, one adder of 32.
module dma_setup
  import diffuser_isa_pkg::*;
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned O = 32,
  parameter int unsigned I = 16,
  // words of the memories: a transfer that leaves them is an error, and nothing of it is moved
  parameter int unsigned WeightDepth = 1 << 24,
  parameter int unsigned ParamDepth = 1 << 16,
  parameter int unsigned StreamDepth = 1 << 24,
  parameter int unsigned StateDepth = 1 << 24
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,  // forget it

  input  logic         valid_i,
  output logic         ready_o,
  input  logic [511:0] desc_i,
  input  logic [ 31:0] step_i,

  input logic [63:0] data_base_i,
  input logic [63:0] step_base_i,
  input logic [31:0] step_stride_i,
  input logic [31:0] steps_i,

  output logic valid_o,  // for one cycle: there is a place
  output job_t job_o
);

  localparam int unsigned BytesWidth = BeatsWidth + 4;
  localparam int unsigned WeightShift = $clog2(O * I);
  localparam int unsigned StreamShift = $clog2(2 * O);

  typedef enum logic [3:0] {
    Idle,
    Sizes,  // bytes, last word of the memory, the step that counts
    Choose,
    Factors,  // one of four partial products
    Product,
    Register,
    ProductLow,
    ProductHigh,
    BaseLow,
    BaseHigh,
    OffsetLow,
    OffsetHigh,
    EndLow,
    EndHigh,
    Far,  // the end against the last address of the bus
    Issue
  } state_e;

  state_e state_q;
  load_desc_t load;
  // verilator lint_off UNUSEDSIGNAL
  load_desc_t desc_q;  // of a store as well: the fields of both stand alike
  // verilator lint_on UNUSEDSIGNAL
  logic store_q;
  logic [31:0] step_q, next_q, last_q;
  logic [1:0] part_q;
  logic [BytesWidth-1:0] bytes_q;
  logic [24:0] end_q, depth_q;
  logic outside_q;  // of the on-chip memory
  logic [31:0] low_q, high_q;
  logic carry_q;
  logic [15:0] a_q, b_q;
  logic [31:0] m_q, p_q;
  logic [47:0] shifted;
  logic [31:0] add_low, add_high, sum_low, sum_high;
  logic sum_carry;
  logic [63:0] base;

  assign load = load_desc_t'(desc_i);
  assign ready_o = state_q == Idle && !stop_i;
  assign base = desc_q.per_step == 2'd0 || store_q ? data_base_i : step_base_i;
  assign shifted = part_q[0] ^ part_q[1] ? {p_q, 16'd0} : {16'd0, p_q};

  // The one adder: what is added in this state.
  always_comb begin
    add_low  = '0;
    add_high = '0;
    unique case (state_q)
      ProductLow: add_low = part_q == 2'd3 ? '0 : shifted[31:0];
      ProductHigh: add_high = part_q == 2'd3 ? p_q : {16'd0, shifted[47:32]};
      BaseLow: add_low = base[31:0];
      BaseHigh: add_high = base[63:32];
      OffsetLow: add_low = {desc_q.ddr[25:0], 6'd0};
      OffsetHigh: add_high = {26'd0, desc_q.ddr[31:26]};
      EndLow: add_low = bytes_q[31:0];
      EndHigh: add_high = 32'(bytes_q[BytesWidth-1:32]);
      default: ;
    endcase
    {sum_carry, sum_low} = {1'b0, low_q} + {1'b0, add_low};
    sum_high = high_q + add_high + 32'(carry_q);
  end

  logic [BeatAddrWidth-1:0] beat_address_q;
  logic far_q;  // the address, or the end, is beyond the bus

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      Idle: begin
        desc_q <= load;
        store_q <= load.opcode == OpcodeStore;
        step_q <= step_i;
        part_q <= '0;
        low_q <= '0;
        high_q <= '0;
        carry_q <= 1'b0;
      end
      Sizes: begin
        unique case (desc_q.space)
          SpaceWeight: bytes_q <= BytesWidth'(desc_q.words) << WeightShift;
          SpaceWeight4: bytes_q <= BytesWidth'(desc_q.words) << (WeightShift - 1);
          SpaceParam: bytes_q <= BytesWidth'(desc_q.words) << 3;
          SpaceStream: bytes_q <= BytesWidth'(desc_q.words) << StreamShift;
          SpaceState: bytes_q <= BytesWidth'(desc_q.words) << 4;
          default: bytes_q <= BytesWidth'(desc_q.words) << 2;
        endcase
        unique case (desc_q.space)
          SpaceWeight, SpaceWeight4: depth_q <= 25'(WeightDepth);
          SpaceParam: depth_q <= 25'(ParamDepth);
          SpaceStream: depth_q <= 25'(StreamDepth);
          default: depth_q <= 25'(StateDepth);
        endcase
        end_q <= {1'b0, desc_q.address} + {1'b0, desc_q.words};
        next_q <= step_q + 1'b1;
        last_q <= steps_i - 1'b1;
      end
      Choose: begin
        outside_q <= end_q > depth_q;
        if (desc_q.per_step == 2'd2) step_q <= next_q < last_q ? next_q : last_q;
      end
      Factors: begin
        a_q <= part_q[0] ? step_q[31:16] : step_q[15:0];
        b_q <= part_q[1] ? step_stride_i[31:16] : step_stride_i[15:0];
      end
      Product: m_q <= {16'd0, a_q} * {16'd0, b_q};
      Register: p_q <= m_q;
      ProductLow, BaseLow, OffsetLow, EndLow: {carry_q, low_q} <= {sum_carry, sum_low};
      ProductHigh: begin
        high_q <= sum_high;
        carry_q <= 1'b0;
        part_q <= part_q + 1'b1;
      end
      BaseHigh, OffsetHigh, EndHigh: begin
        high_q  <= sum_high;
        carry_q <= 1'b0;
      end
      default: ;
    endcase
    if (state_q == EndLow) begin
      beat_address_q <= {high_q[BusAddrWidth-33:0], low_q[31:4]};
      far_q <= high_q[31:BusAddrWidth-32] != '0;
    end
    // The byte behind the last one may be the first that the bus does not have.
    if (state_q == Far) begin
      far_q <= far_q || high_q[31:BusAddrWidth-31] != '0
          || (high_q[BusAddrWidth-32] && (low_q != '0 || high_q[BusAddrWidth-33:0] != '0));
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop_i) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle: if (valid_i) state_q <= Sizes;
        Sizes: state_q <= Choose;
        Choose: state_q <= store_q || desc_q.per_step == 2'd0 ? BaseLow : Factors;
        Factors: state_q <= Product;
        Product: state_q <= Register;
        Register: state_q <= ProductLow;
        ProductLow: state_q <= ProductHigh;
        ProductHigh: state_q <= part_q == 2'd3 ? BaseLow : Factors;
        BaseLow: state_q <= BaseHigh;
        BaseHigh: state_q <= OffsetLow;
        OffsetLow: state_q <= OffsetHigh;
        OffsetHigh: state_q <= EndLow;
        EndLow: state_q <= EndHigh;
        EndHigh: state_q <= Far;
        Far: state_q <= Issue;
        default: state_q <= Idle;
      endcase
    end
  end

  assign valid_o = state_q == Issue && !stop_i;
  always_comb begin
    job_o = '{
        store: store_q,
        space: space_e'(desc_q.space),
        code: ErrorNone,
        address: desc_q.address,
        words: desc_q.words,
        beat_address: beat_address_q,
        beats: bytes_q[BytesWidth-1:4] + BeatsWidth'(bytes_q[3:0] != '0),
        tail: bytes_q[3:0]
    };
    if (outside_q) job_o.code = ErrorField;
    else if (far_q) job_o.code = store_q ? ErrorWrite : ErrorRead;
  end

endmodule
