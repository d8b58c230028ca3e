//! The program as users meet it: what it says, how it ends, and what it leaves of their terminal.

#[cfg(test)]
mod background;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod debug;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod images;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod support;
#[cfg(test)]
mod terminal;
