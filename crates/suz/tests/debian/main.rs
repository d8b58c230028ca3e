//! Debian as its users have it: built from packages, started, reached by ssh, updated, rebooted, killed.
//!
//! Needs apt, what mmdebstrap needs, mke2fs and ssh. What can't be had here is skipped, and said so. The image is
//! built once and kept below the cache, where it may be removed at any time.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod compile;
#[cfg(test)]
mod gpt;
#[cfg(test)]
mod image;
#[cfg(test)]
mod import;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod next;
#[cfg(test)]
mod running;
