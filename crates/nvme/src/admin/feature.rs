//! Features (5.21): settings of the controller's.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::bytes::words;
use crate::command::{Answer, Command, Status};
use crate::controller::Controller;

const ARBITRATION: u8 = 0x01;
const POWER_MANAGEMENT: u8 = 0x02;
const TEMPERATURE_THRESHOLD: u8 = 0x04;
const ERROR_RECOVERY: u8 = 0x05;
const VOLATILE_WRITE_CACHE: u8 = 0x06;
const NUMBER_OF_QUEUES: u8 = 0x07;
const INTERRUPT_COALESCING: u8 = 0x08;
const INTERRUPT_VECTOR: u8 = 0x09;
const WRITE_ATOMICITY: u8 = 0x0a;
const EVENT_CONFIGURATION: u8 = 0x0b;

/// Double word 10 of Set Features: keep the value over resets.
const SAVE: u32 = 1 << 31;
/// A warning above this many kelvins, which are never reached.
const WARM: u32 = 343;

/// What was set, by feature and by what it selects. What nobody set has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Features(BTreeMap<(u8, u32), u32>);

/// What is remembered of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FeaturesState(Vec<(u8, u32, u32)>);

impl Features {
    pub(crate) fn save(&self) -> FeaturesState {
        let entry = |(&(feature, select), &value)| (feature, select, value);
        FeaturesState(self.0.iter().map(entry).collect())
    }

    pub(crate) fn from_state(FeaturesState(list): FeaturesState) -> Self {
        let entry = |(feature, select, value)| ((feature, select), value);
        Self(list.into_iter().map(entry).collect())
    }
}

/// The bits of a value that select which of several values is meant.
fn selector(feature: u8) -> u32 {
    match feature {
        TEMPERATURE_THRESHOLD => 0x003f_0000,
        INTERRUPT_VECTOR => 0x0000_ffff,
        _ => 0,
    }
}

fn default(feature: u8, select: u32) -> u32 {
    match feature {
        // Over-temperature of the whole; other thresholds are off.
        TEMPERATURE_THRESHOLD if select == 0 => WARM,
        TEMPERATURE_THRESHOLD if select & 0x0030_0000 == 0 => 0xffff,
        INTERRUPT_VECTOR => select,
        _ => 0,
    }
}

impl Controller {
    /// The queues beside the admin queues, in the form of Number of Queues.
    fn number_of_queues(&self) -> u32 {
        let last = u32::from(self.queues.saturating_sub(1));
        last << 16 | last
    }

    pub(super) fn set_features(&mut self, command: &Command) -> Answer {
        let (ten, value) = command.parameters();
        let [feature, ..] = ten.to_le_bytes();
        if ten & SAVE != 0 {
            return Err(Status::NOT_SAVEABLE);
        }
        let select = value & selector(feature);
        match feature {
            VOLATILE_WRITE_CACHE => self.set_write_cache(value & 1 != 0)?,
            NUMBER_OF_QUEUES => {
                let [submissions, completions] = words(value);
                if submissions == u16::MAX || completions == u16::MAX {
                    return Err(Status::INVALID_FIELD);
                }
                if self.has_queues() {
                    return Err(Status::SEQUENCE);
                }
                return Ok(self.number_of_queues());
            }
            // The only power state.
            POWER_MANAGEMENT if value & 0x1f != 0 => return Err(Status::INVALID_FIELD),
            INTERRUPT_VECTOR if select > u32::from(self.queues) => {
                return Err(Status::INVALID_FIELD);
            }
            ARBITRATION
            | POWER_MANAGEMENT
            | TEMPERATURE_THRESHOLD
            | ERROR_RECOVERY
            | INTERRUPT_COALESCING
            | INTERRUPT_VECTOR
            | WRITE_ATOMICITY
            | EVENT_CONFIGURATION => {
                self.features.0.insert((feature, select), value);
            }
            _ => return Err(Status::INVALID_FIELD),
        }
        Ok(0)
    }

    /// A cache that is switched off is empty.
    fn set_write_cache(&self, on: bool) -> Result<(), Status> {
        self.io.write_back.store(on, Ordering::SeqCst);
        if on {
            return Ok(());
        }
        self.io.disk.flush().map_err(|error| {
            tracing::warn!(%error, "the disk's cache can't be emptied");
            Status::WRITE_FAULT
        })
    }

    pub(super) fn get_features(&self, command: &Command) -> Answer {
        let (ten, eleven) = command.parameters();
        let [feature, ..] = ten.to_le_bytes();
        let select = eleven & selector(feature);
        match feature {
            VOLATILE_WRITE_CACHE => Ok(self.io.write_back.load(Ordering::SeqCst).into()),
            NUMBER_OF_QUEUES => Ok(self.number_of_queues()),
            INTERRUPT_VECTOR if select > u32::from(self.queues) => Err(Status::INVALID_FIELD),
            ARBITRATION
            | POWER_MANAGEMENT
            | TEMPERATURE_THRESHOLD
            | ERROR_RECOVERY
            | INTERRUPT_COALESCING
            | INTERRUPT_VECTOR
            | WRITE_ATOMICITY
            | EVENT_CONFIGURATION => {
                let set = self.features.0.get(&(feature, select)).copied();
                Ok(set.unwrap_or_else(|| default(feature, select)))
            }
            _ => Err(Status::INVALID_FIELD),
        }
    }
}
