// Control unit: registers, descriptor fetch, sequencer, the queues of the units, errors.
//
// A program runs from `start` to `end`, to its first error or to a reset. Then nothing more is issued, `flush_o` tells the
// units to come to an end, the queues are emptied, and `busy` falls when the last unit has retired.
module control
  import diffuser_isa_pkg::*;
  import control_pkg::*;
#(
  parameter int unsigned P = 8,
  parameter int unsigned O = 32,
  parameter int unsigned I = 16,
  parameter int unsigned QueueDepth = 4,  // descriptors that wait for each unit; a LUTRAM of 650 x QueueDepth bits a unit
  parameter int unsigned DmaInFlight = 8  // transfers that `dma` may have taken and not retired
) (
  input logic clk_i,
  input logic rst_ni,

  // registers: AXI4-Lite
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
  output logic        irq_o,

  // descriptors: AXI4, reads alone, INCR bursts of 16-byte beats, one ID
  output logic                    m_axi_arvalid_o,
  input  logic                    m_axi_arready_i,
  output logic [BusAddrWidth-1:0] m_axi_araddr_o,
  output logic [             7:0] m_axi_arlen_o,
  output logic [             2:0] m_axi_arsize_o,
  output logic [             1:0] m_axi_arburst_o,
  output logic [             3:0] m_axi_arcache_o,
  output logic [             2:0] m_axi_arprot_o,
  input  logic                    m_axi_rvalid_i,
  output logic                    m_axi_rready_o,
  input  logic [    BeatBits-1:0] m_axi_rdata_i,
  input  logic [             1:0] m_axi_rresp_i,
  input  logic                    m_axi_rlast_i,

  // the units, in the order of unit_e
  output logic      [NumUnits-1:0]        desc_valid_o,
  input  logic      [NumUnits-1:0]        desc_ready_i,
  output logic      [NumUnits-1:0][511:0] desc_o,
  output logic      [NumUnits-1:0][ 31:0] step_o,
  input  logic      [NumUnits-1:0]        done_i,
  input  logic      [NumUnits-1:0]        error_i,
  input  logic      [NumUnits-1:0][  3:0] error_code_i,  // error_e
  input  logic      [NumUnits-1:0]        range_error_i,  // an access of the unit left its memory: pulse, a few cycles late at most
  output logic                            flush_o,
  output settings_t                       settings_o,

  // a chained `conv` follows `prep`
  input  logic [23:0] prep_progress_i,
  output logic [23:0] chain_groups_o,

  // events to count
  input logic       array_busy_i,
  input logic       stall_operand_i,  // the running `conv` waits for the `prep` it is chained to
  input logic       stall_bank_i,
  input logic       stall_store_i,
  input logic [2:0] dma_read_beats_i,

  // for traces: what counts in this cycle, in the order of the registers CYCLES, ARRAY_BUSY, STALL_WEIGHT, _OPERAND, _BANK, _STORE
  output logic [5:0] counted_o
);

  typedef enum logic [2:0] {
    Idle,
    Start,  // registers are compared
    Judge,
    Run,
    Settle,  // `end`: errors that come late still count, and descriptors that were read ahead must come
    Drain,
    Finish
  } state_e;

  state_e state_q;
  logic start, soft_reset, take, clear, run_start;
  logic resetting_q, done_q, error_q, faulted_q;
  logic raise_done, raise_error, raised_q;
  logic [2:0] settle_q;
  settings_t settings;
  logic [31:0] timeout, step;
  logic busy_q;
  logic [NumUnits:0] flush_q;  // for each queue, and for units and here: one for all would have too many readers
  logic fetch_beat;
  logic [3:0] read_beats_q;
  logic stall_weight_q, stall_operand_q;
  fault_t fault_q;

  registers #(
    .P(P),
    .O(O),
    .I(I)
  ) u_registers (
    .clk_i, .rst_ni,
    .s_axil_awvalid_i, .s_axil_awready_o, .s_axil_awaddr_i,
    .s_axil_wvalid_i, .s_axil_wready_o, .s_axil_wdata_i, .s_axil_wstrb_i,
    .s_axil_bvalid_o, .s_axil_bready_i, .s_axil_bresp_o,
    .s_axil_arvalid_i, .s_axil_arready_o, .s_axil_araddr_i,
    .s_axil_rvalid_o, .s_axil_rready_i, .s_axil_rdata_o, .s_axil_rresp_o,
    .irq_o,
    .start_o(start),
    .reset_o(soft_reset),
    .take_i(take),
    .clear_i(clear),
    .settings_o(settings),
    .timeout_o(timeout),
    .busy_i(busy_q),
    .done_i(done_q),
    .error_i(error_q),
    .raise_done_i(raise_done),
    .raise_error_i(raise_error),
    .fault_i(fault_q),
    .step_i(step),
    .array_busy_i,
    .stall_weight_i(stall_weight_q),
    .stall_operand_i(stall_operand_q),
    .stall_bank_i,
    .stall_store_i,
    .read_beats_i(read_beats_q)
  );

  assign settings_o = settings;
  assign counted_o = {stall_store_i, stall_bank_i, stall_operand_q, stall_weight_q, array_busy_i, busy_q};
  always_ff @(posedge clk_i) read_beats_q <= {1'b0, dma_read_beats_i} + 4'(fetch_beat);

  // ---------------------------------------------------------------- fetch and sequencer

  logic stopped;  // nothing is dispatched
  logic jump, fetch_idle, fetch_idle_q, fetch_valid, fetch_ready, fetch_error;
  logic [23:0] jump_index, sequencer_index;
  logic [511:0] fetch_desc;
  logic [NumUnits-1:0] push_valid, push_ready, empty;
  entry_t push_entry;
  logic idle_q, at_end, sequencer_fault;
  error_e sequencer_code;
  logic [23:0] fault_index;

  assign stopped = state_q != Run;

  fetch u_fetch (
    .clk_i, .rst_ni,
    .jump_i(jump),
    .jump_index_i(jump_index),
    .stop_i(stopped && !run_start),
    .idle_o(fetch_idle),
    .base_i(settings.program_base),
    .length_i(settings.program_length),
    .desc_valid_o(fetch_valid),
    .desc_ready_i(fetch_ready),
    .desc_o(fetch_desc),
    .desc_error_o(fetch_error),
    .m_axi_arvalid_o, .m_axi_arready_i, .m_axi_araddr_o, .m_axi_arlen_o,
    .m_axi_rvalid_i, .m_axi_rready_o, .m_axi_rdata_i, .m_axi_rresp_i,
    .beat_o(fetch_beat)
  );

  assign m_axi_arsize_o = 3'd4;
  assign m_axi_arburst_o = 2'b01;
  assign m_axi_arcache_o = 4'b0011;  // normal memory, not cached
  assign m_axi_arprot_o = 3'b000;
  logic unused_rlast;
  assign unused_rlast = m_axi_rlast_i;

  sequencer u_sequencer (
    .clk_i, .rst_ni,
    .start_i(run_start),
    .stop_i(stopped),
    .clear_i(clear),
    .length_i(settings.program_length),
    .steps_i(settings.steps),
    .jump_o(jump),
    .jump_index_o(jump_index),
    .desc_valid_i(fetch_valid),
    .desc_ready_o(fetch_ready),
    .desc_i(fetch_desc),
    .desc_error_i(fetch_error),
    .push_valid_o(push_valid),
    .push_ready_i(push_ready),
    .push_entry_o(push_entry),
    .idle_i(idle_q),
    .end_o(at_end),
    .fault_o(sequencer_fault),
    .fault_code_o(sequencer_code),
    .fault_index_o(fault_index),
    .index_o(sequencer_index),
    .step_o(step)
  );

  // ---------------------------------------------------------------- queues

  logic [NumUnits-1:0][15:0] retired_q;
  logic [NumUnits-1:0] running;
  logic [NumUnits-1:0][23:0] running_index;
  // verilator lint_off UNUSEDSIGNAL
  // Only the array's are looked at.
  logic [NumUnits-1:0] taken, chained;
  logic [NumUnits-1:0][15:0] chain_sum;
  logic [NumUnits-1:0][NumUnits-1:0] waiting;
  // verilator lint_on UNUSEDSIGNAL

  for (genvar u = 0; u < NumUnits; u++) begin : gen_unit
    unit_queue #(
      .Depth(QueueDepth),
      .MaxInFlight(u == int'(UnitDma) ? DmaInFlight : 4)
    ) u_queue (
      .clk_i, .rst_ni,
      .flush_i(flush_q[u]),
      .in_valid_i(push_valid[u]),
      .in_ready_o(push_ready[u]),
      .in_entry_i(push_entry),
      .retired_i(retired_q),
      .prep_started_i(running[UnitPrep]),
      .desc_valid_o(desc_valid_o[u]),
      .desc_ready_i(desc_ready_i[u]),
      .desc_o(desc_o[u]),
      .step_o(step_o[u]),
      .done_i(done_i[u]),
      .empty_o(empty[u]),
      .running_o(running[u]),
      .running_index_o(running_index[u]),
      .taken_o(taken[u]),
      .chained_o(chained[u]),
      .chain_sum_o(chain_sum[u]),
      .waiting_o(waiting[u])
    );

    always_ff @(posedge clk_i) begin
      if (!rst_ni || run_start) retired_q[u] <= '0;
      else if (done_i[u]) retired_q[u] <= retired_q[u] + 1'b1;
    end
  end

  always_ff @(posedge clk_i) idle_q <= &empty;

  // What the operand of the `conv` that was handed over last has. It is 0 in the cycle after that, so that no `conv` sees the
  // number of the one before; the array takes no other while it still looks at it.
  logic prep_running_q;
  logic [15:0] chain_ahead;

  assign chain_ahead = retired_q[UnitPrep] - chain_sum[UnitArray];

  always_ff @(posedge clk_i) begin
    prep_running_q <= running[UnitPrep];
    if (taken[UnitArray]) chain_groups_o <= '0;
    else if (!chained[UnitArray] || !chain_ahead[15] || flush_o) chain_groups_o <= '1;
    else if (chain_ahead == 16'hffff && running[UnitPrep] && prep_running_q) chain_groups_o <= prep_progress_i;
    else chain_groups_o <= '0;
  end

  // The array stands still for want of data; what its own controller waits for, it says itself.
  always_ff @(posedge clk_i) begin
    stall_weight_q <= !running[UnitArray] && waiting[UnitArray][UnitDma];
    stall_operand_q <= stall_operand_i || (!running[UnitArray] && !waiting[UnitArray][UnitDma]
        && (waiting[UnitArray][UnitPrep] || waiting[UnitArray][UnitNorm]));
  end

  // ---------------------------------------------------------------- errors

  // The oldest descriptor in flight when a unit complains; of a late complaint about a memory's range, the last one.
  logic [NumUnits-1:0] complaint_q;
  logic [NumUnits-1:0][3:0] complaint_code_q;
  logic [NumUnits-1:0][23:0] complaint_index_q;

  for (genvar u = 0; u < NumUnits; u++) begin : gen_complaint
    always_ff @(posedge clk_i) begin
      complaint_q[u] <= error_i[u] || range_error_i[u];
      complaint_code_q[u] <= error_i[u] ? error_code_i[u] : ErrorField;
      if (running[u]) complaint_index_q[u] <= running_index[u];
    end
  end

  // Cycles since the last retirement; while draining, since the error. The comparisons are a register late.
  logic [31:0] quiet_q;
  logic overdue_q, stuck_q, quiet_clear, stop;
  logic [NumUnits-1:0] retiring_q;

  assign quiet_clear = retiring_q != '0 || stop || !(state_q inside {Run, Settle, Drain});

  always_ff @(posedge clk_i) begin
    retiring_q <= done_i;
    if (quiet_clear) quiet_q <= '0;
    else if (!(&quiet_q)) quiet_q <= quiet_q + 1'b1;
    overdue_q <= !quiet_clear && quiet_q >= timeout && timeout != '0;
    stuck_q <= !quiet_clear && quiet_q[DrainLog];
  end

  // A stuck program: blame a unit that holds a descriptor, else the sequencer.
  fault_t fault, found_q;
  logic register_fault_q, fault_now, found_valid_q;

  always_comb begin
    fault_now = 1'b1;
    fault = '{descriptor: fault_index, who: UnitSequencer, code: sequencer_code};
    if (complaint_q != '0) begin
      for (int u = NumUnits - 1; u >= 0; u--) begin
        if (complaint_q[u]) begin
          fault = '{
              descriptor: complaint_index_q[u],
              who: unit_e'(u[2:0]),
              code: error_e'(complaint_code_q[u])
          };
        end
      end
    end else if (state_q == Judge && register_fault_q) begin
      fault = '{descriptor: '0, who: UnitSequencer, code: ErrorRegister};
    end else if (overdue_q) begin
      fault.code = ErrorTimeout;
      fault.descriptor = sequencer_index;
      for (int u = NumUnits - 1; u >= 0; u--) begin
        if (running[u]) begin
          fault.descriptor = running_index[u];
          fault.who = unit_e'(u[2:0]);
        end
      end
    end else if (!sequencer_fault) begin
      fault_now = 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    found_valid_q <= rst_ni && fault_now;
    found_q <= fault;
  end
  // Behind the first one, and in a program that is being reset, there is nothing to keep.
  assign stop = found_valid_q && (state_q == Run || state_q == Settle);

  // ---------------------------------------------------------------- the program's course

  logic drained_q;
  logic [4:0] bad_q;

  assign run_start = state_q == Judge && !register_fault_q && !soft_reset;
  assign take = state_q == Idle && start;
  assign clear = take || (state_q == Idle && soft_reset) || (state_q == Finish && resetting_q);
  assign raise_done = state_q == Finish && !resetting_q && !faulted_q;
  // A unit or a bus that never answers keeps `busy` for ever; the host hears of the error all the same. `TIMEOUT` has no say in
  // it: one that is shorter than the units take to stop would tell of the error while the program is still under way.
  assign raise_error = faulted_q && !resetting_q && !raised_q && (state_q == Finish || (state_q == Drain && stuck_q));

  always_ff @(posedge clk_i) begin
    bad_q <= {
      settings.program_base[5:0] != '0 || settings.data[5:0] != '0,
      settings.step_base[5:0] != '0,
      settings.step_stride[5:0] != '0,
      settings.steps == '0,
      settings.program_length == '0
    };
    register_fault_q <= bad_q != '0;
    fetch_idle_q <= fetch_idle;
    drained_q <= state_q == Drain && (&empty) && fetch_idle_q && flush_o;
    if (state_q != Settle) settle_q <= '0;
    else if (settle_q != '1) settle_q <= settle_q + 1'b1;
  end

  logic flush;
  assign flush = rst_ni && (state_q == Drain ? !drained_q : flush_o);
  copies #(
    .Copies(NumUnits + 1)
  ) u_flush (
    .clk_i,
    .d_i(flush),
    .q_o(flush_q)
  );
  assign flush_o = flush_q[NumUnits];

  logic [1:0] start_wait_q;
  always_ff @(posedge clk_i) start_wait_q <= state_q == Start ? start_wait_q + 1'b1 : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      busy_q <= 1'b0;
      resetting_q <= 1'b0;
      done_q <= 1'b0;
      error_q <= 1'b0;
      faulted_q <= 1'b0;
      raised_q <= 1'b0;
      fault_q <= '{descriptor: '0, who: UnitDma, code: ErrorNone};
    end else begin
      if (clear) begin
        done_q <= 1'b0;
        error_q <= 1'b0;
        faulted_q <= 1'b0;
        raised_q <= 1'b0;
        fault_q <= '{descriptor: '0, who: UnitDma, code: ErrorNone};
      end else if (stop) begin
        faulted_q <= 1'b1;
        fault_q <= found_q;
      end
      if (raise_error) begin
        raised_q <= 1'b1;
        error_q  <= 1'b1;
      end

      unique case (state_q)
        Idle: begin
          resetting_q <= 1'b0;
          busy_q <= take;
          if (take) state_q <= Start;
        end
        Start: if (start_wait_q == 2'd2) state_q <= Judge;
        Judge: state_q <= Run;  // a fault of the registers stops it there, before anything has begun
        Run: if (stop) state_q <= Drain;
             else if (at_end) state_q <= Settle;
        Settle: if (stop) state_q <= Drain;
                else if (settle_q == '1 && fetch_idle_q) state_q <= Finish;
        Drain: if (drained_q) state_q <= Finish;
        Finish: begin
          state_q <= Idle;
          busy_q <= soft_reset;
          if (!resetting_q && !faulted_q) done_q <= 1'b1;
        end
        default: state_q <= Idle;
      endcase

      if (soft_reset && state_q != Idle) begin
        resetting_q <= 1'b1;
        if (state_q != Drain) state_q <= Drain;
      end
    end
  end

endmodule
