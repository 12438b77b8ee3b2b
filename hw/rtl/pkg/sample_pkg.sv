// Numbers that the parts of the sample unit hand on: widths follow from the magnitudes of crates/spec/src/sampler.rs.
package sample_pkg;

  typedef logic signed [49:0] coefficient_t;  // Q32, -2^48 to 2^48
  typedef logic signed [89:0] shifted_t;  // times 2^0 to 2^40
  typedef logic signed [48:0] prediction_t;  // Q24, -2^47 to 2^47: x0, eps and x0 of the step before

  // The head of a step, letters as in docs/numerics.md.
  typedef struct packed {
    coefficient_t x0_state;  // a
    shifted_t x0_stream;  // b, times what brings the network's output to Q24
    logic [47:0] clip;  // 0 to 2^47
    prediction_t minus_clip;
    coefficient_t eps_state;  // c
    shifted_t eps_stream;  // d, the same
    coefficient_t next_state;  // p
    coefficient_t next_x0;  // q
    coefficient_t next_eps;  // r
    coefficient_t next_previous;  // u
    coefficient_t next_noise;  // w
  } form_t;

  // Cycles of sample_form from a value to its result.
  function automatic int unsigned form_latency(int unsigned terms);
    return terms + 9;
  endfunction

  localparam int unsigned ClampLatency = 4;
  // of sample_update: from an element to x0, and to the next state
  localparam int unsigned PredictionLatency = form_latency(2) + ClampLatency;
  localparam int unsigned UpdateLatency = PredictionLatency + form_latency(5) + 1;

endpackage
