//! The accelerator as a device: registers, memory and interrupt, and a simulator that gives its bits.
