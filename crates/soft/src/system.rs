//! What only kernels do.

mod debug;
