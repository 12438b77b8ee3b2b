// Takes the program's descriptors in order, checks each, and puts it with the sums of its waits into its unit's queue;
// executes `loop` and `end` itself.
//
// Eight cycles a descriptor; `fetch` needs five to put one together.
module sequencer
  import diffuser_isa_pkg::*;
  import control_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input logic start_i,  // pulse: from descriptor 0, step 0
  input logic stop_i,  // dispatch nothing more; the place is kept for whoever asks
  input logic clear_i,  // step to 0
  input logic [31:0] length_i,
  input logic [31:0] steps_i,

  output logic         jump_o,
  output logic [ 23:0] jump_index_o,
  input  logic         desc_valid_i,
  output logic         desc_ready_o,
  input  logic [511:0] desc_i,
  input  logic         desc_error_i,

  output logic   [NumUnits-1:0] push_valid_o,
  input  logic   [NumUnits-1:0] push_ready_i,
  output entry_t                push_entry_o,

  input  logic   idle_i,  // every queue is empty and every unit idle
  output logic   end_o,  // level: `end` is reached and all before it has retired
  output logic   fault_o,  // pulse
  output error_e fault_code_o,
  output logic [23:0] fault_index_o,
  output logic [23:0] index_o,  // of the present descriptor
  output logic [31:0] step_o
);

  typedef enum logic [3:0] {
    Halted,
    Settle,  // the index is new: a cycle to compare it with the length
    Next,
    Check,  // three cycles for the checks
    Check2,
    Check3,
    Verdict,
    Sum,
    Push,
    End
  } state_e;

  state_e state_q;
  logic [511:0] desc_q;
  logic [24:0] index_q;
  logic [23:0] loop_index_q;
  logic [31:0] step_q, step_next_q;
  logic more_q;  // another pass after this one
  logic jumped_q;  // the present descriptor is a loop's target
  logic at_end_q;
  logic [NumUnits-1:0][15:0] dispatched_q, base_q, sums_q, waits;

  // verilator lint_off UNUSEDSIGNAL
  common_t common;  // of a descriptor these look at a few fields
  loop_desc_t loop;
  // verilator lint_on UNUSEDSIGNAL
  error_e verdict;
  logic is_end, is_loop, wrong, wrong_q, target_ok_q;
  logic fault;
  error_e fault_code;
  logic [23:0] fault_index;
  unit_e owner, owner_q;

  assign common = common_t'(desc_q);
  assign loop = loop_desc_t'(desc_q);
  assign waits = {
    common.wait_sample, common.wait_array, common.wait_prep, common.wait_norm, common.wait_dma
  };

  decode u_decode (
    .clk_i,
    .desc_i(desc_q),
    .error_o(verdict),
    .is_end_o(is_end),
    .is_loop_o(is_loop),
    .owner_o(owner)
  );

  assign wrong = verdict != ErrorNone || (jumped_q && !common.first) || (is_loop && !target_ok_q);
  assign desc_ready_o = state_q == Next && !at_end_q && !stop_i;

  always_comb begin
    jump_o = 1'b0;
    jump_index_o = loop.target;
    if (start_i) begin
      jump_o = 1'b1;
      jump_index_o = '0;
    end else if (state_q == Verdict && !stop_i && !wrong_q && is_loop && more_q) begin
      jump_o = 1'b1;
    end
  end

  always_comb begin
    fault = 1'b0;
    fault_code = ErrorNone;
    fault_index = index_q[23:0];
    if (!stop_i && state_q == Next) begin
      if (at_end_q) begin
        fault = 1'b1;
        fault_code = ErrorLength;
      end else if (desc_valid_i && desc_error_i) begin
        fault = 1'b1;
        fault_code = ErrorRead;
      end
    end else if (!stop_i && state_q == Verdict && wrong_q) begin
      fault = 1'b1;
      fault_code = verdict == ErrorNone ? ErrorField : verdict;
      // A target without `first` is the loop's fault.
      if (verdict == ErrorNone && !(is_loop && !target_ok_q)) fault_index = loop_index_q;
    end
  end

  for (genvar u = 0; u < NumUnits; u++) begin : gen_push
    assign push_valid_o[u] = state_q == Push && owner_q == unit_e'(u) && !stop_i;
  end
  assign push_entry_o = '{sums: sums_q, index: index_q[23:0], step: step_q, desc: desc_q};
  assign end_o = state_q == End && idle_i;
  assign step_o = step_q;
  assign index_o = index_q[23:0];

  always_ff @(posedge clk_i) begin
    if (state_q == Next) desc_q <= desc_i;
    step_next_q <= step_q + 1'b1;
    more_q <= step_next_q < steps_i;
    at_end_q <= 32'(index_q) == length_i || index_q[24];
    target_ok_q <= {1'b0, loop.target} < index_q;
    wrong_q <= wrong;
    fault_code_o <= fault_code;
    fault_index_o <= fault_index;
    if (state_q == Verdict) begin
      owner_q <= owner;
      if (is_loop) loop_index_q <= index_q[23:0];
    end
    for (int unsigned u = 0; u < NumUnits; u++) begin
      sums_q[u] <= common.waits[u] ? base_q[u] + waits[u] : '0;
    end
  end

  always_ff @(posedge clk_i) begin
    fault_o <= rst_ni && fault;
    if (!rst_ni) begin
      state_q <= Halted;
      index_q <= '0;
      step_q <= '0;
      jumped_q <= 1'b0;
      dispatched_q <= '0;
      base_q <= '0;
    end else if (start_i) begin
      state_q <= Settle;
      index_q <= '0;
      step_q <= '0;
      jumped_q <= 1'b0;
      dispatched_q <= '0;
      base_q <= '0;
    end else if (stop_i) begin
      state_q <= Halted;
      if (clear_i) step_q <= '0;
    end else begin
      if (clear_i) step_q <= '0;
      unique case (state_q)
        Settle: state_q <= Next;
        Next: begin
          if (fault) state_q <= Halted;
          else if (desc_valid_i) state_q <= Check;
        end
        Check: state_q <= Check2;
        Check2: state_q <= Check3;
        Check3: state_q <= Verdict;
        Verdict: begin
          jumped_q <= 1'b0;
          if (wrong_q) state_q <= Halted;
          else begin
            if (common.first) base_q <= dispatched_q;
            if (is_end) state_q <= End;
            else if (is_loop) begin
              state_q <= Settle;
              if (more_q) begin
                step_q <= step_next_q;
                index_q <= {1'b0, loop.target};
                jumped_q <= 1'b1;
              end else begin
                index_q <= index_q + 1'b1;
              end
            end else begin
              state_q <= Sum;
            end
          end
        end
        Sum: state_q <= Push;
        Push:
        if ((push_valid_o & push_ready_i) != '0) begin
          state_q <= Settle;
          index_q <= index_q + 1'b1;
          for (int unsigned u = 0; u < NumUnits; u++) begin
            if (push_valid_o[u]) dispatched_q[u] <= dispatched_q[u] + 1'b1;
          end
        end
        default: ;
      endcase
    end
  end

endmodule
