//! From a quantised model to a program for the accelerator.
