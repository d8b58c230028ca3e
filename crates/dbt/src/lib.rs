//! dbt
