// Numbers that the parts of the sample unit hand on: widths follow from the magnitudes of crates/spec/src/sampler.rs.
package sample_pkg;

  typedef logic signed [49:0] coefficient_t;  // Q32, -2^48 to 2^48
  typedef logic signed [48:0] prediction_t;  // Q24, -2^47 to 2^47: x0, eps and x0 of the step before

  // The head of a step, letters as in docs/numerics.md.
  typedef struct packed {
    coefficient_t x0_state;  // a
    coefficient_t x0_stream;  // b
    logic [47:0] clip;  // 0 to 2^47
    coefficient_t eps_state;  // c
    coefficient_t eps_stream;  // d
    coefficient_t next_state;  // p
    coefficient_t next_x0;  // q
    coefficient_t next_eps;  // r
    coefficient_t next_previous;  // u
    coefficient_t next_noise;  // w
    logic [5:0] shift;  // 24 - exponent: the network's output to Q24, 0 to 40
    prediction_t minus_clip;
  } form_t;

endpackage
