//! What the monitor itself has to say, on standard error.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// The variable that holds the filter where `--log` is not given.
const VARIABLE: &str = "SUZ_LOG";

/// Starts logging by `filter`, or by the environment, or warnings alone.
pub(crate) fn start(filter: Option<&str>) -> anyhow::Result<()> {
    let variable = std::env::var(VARIABLE).ok();
    let text = filter.or(variable.as_deref()).unwrap_or("warn");
    let filter = EnvFilter::try_new(text).with_context(|| format!("log filter '{text}'"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
