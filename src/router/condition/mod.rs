//! Placeholder until the conditions land.

use crate::api::{FieldPath, Problems};

/// A parsed condition.
#[derive(Clone, Debug, Default)]
pub struct Condition(());

impl Condition {
    pub fn parse(_: Option<&str>, _: &[&str], _: &FieldPath, _: &mut Problems) -> Self {
        Self(())
    }
}
