//! What a diffusion model is: its U-Net as a graph, its weights, its noise schedule and sampler,
//! and the quantised file. Knows nothing of how any of it is executed.

pub mod file;
pub mod graph;
pub mod prepare;
pub mod quantised;
pub mod scale;
pub mod step;
pub mod timestep;
