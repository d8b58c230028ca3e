//! Reading and writing the registers, in memory (xAPIC) and by MSRs (x2APIC) (SDM vol. 3, 11.4.1 and 11.12.1).

use super::message::{self, Delivery, Message, Target};
use super::{Effect, Lapic, MASKED, error, reg};

/// The register does not exist or the value is reserved: #GP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// Bits of an LVT entry that can be written.
fn lvt_bits(register: usize) -> u32 {
    const VECTOR: u32 = 0xff;
    const MODE: u32 = 7 << 8;
    match register {
        reg::LVT_TIMER => VECTOR | MASKED | 3 << 17,
        reg::LVT_THERMAL | reg::LVT_COUNTERS => VECTOR | MODE | MASKED,
        reg::LVT_LINT0 | reg::LVT_LINT1 => VECTOR | MODE | 1 << 13 | 1 << 15 | MASKED,
        _ => VECTOR | MASKED,
    }
}

/// ICR bits that can be written: vector, delivery mode, destination mode, level, trigger, shorthand.
const ICR_BITS: u32 = 0xff | 7 << 8 | 1 << 11 | 1 << 14 | 1 << 15 | 3 << 18;
/// SVR bits that can be written: vector, software enable, focus.
const SVR_BITS: u32 = 0x3ff;

impl Lapic {
    /// A 32-bit load from the register page.
    pub(crate) fn load_memory(&mut self, offset: u64, now: u64) -> u32 {
        let register = (offset >> 4) as usize & 0xff;
        if offset & 15 != 0 {
            return 0;
        }
        match register {
            reg::EOI | reg::RRD => 0,
            reg::DFR | reg::ICR_HIGH => self.regs[register],
            _ => self.value(register, now).unwrap_or_else(|Refused| {
                self.report(error::REGISTER);
                0
            }),
        }
    }

    /// A 32-bit store to the register page.
    pub(crate) fn store_memory(&mut self, offset: u64, value: u32, now: u64) -> Effect {
        let register = (offset >> 4) as usize & 0xff;
        if offset & 15 != 0 {
            return Effect::None;
        }
        match register {
            reg::ICR => {
                self.regs[reg::ICR] = value & ICR_BITS;
                let target = self.regs[reg::ICR_HIGH] >> 24;
                self.send(target, false)
            }
            reg::ICR_HIGH => {
                self.regs[reg::ICR_HIGH] = value & 0xff00_0000;
                Effect::None
            }
            reg::LDR => {
                self.regs[reg::LDR] = value & 0xff00_0000;
                Effect::None
            }
            reg::DFR => {
                self.regs[reg::DFR] = value | 0x0fff_ffff;
                Effect::None
            }
            // The ID is fixed; the others are read-only.
            reg::ID
            | reg::VERSION
            | reg::APR
            | reg::PPR
            | reg::RRD
            | reg::ISR..=reg::IRR_LAST
            | reg::CURRENT_COUNT => Effect::None,
            _ => self.set(register, value, now).unwrap_or_else(|Refused| {
                self.report(error::REGISTER);
                Effect::None
            }),
        }
    }

    /// RDMSR of an x2APIC register.
    pub(crate) fn read_msr(&self, register: usize, now: u64) -> Result<u64, Refused> {
        match register {
            reg::EOI | reg::APR | reg::SELF_IPI => Err(Refused),
            reg::ICR => {
                let high = u64::from(self.regs[reg::ICR_HIGH]);
                Ok(high << 32 | u64::from(self.regs[reg::ICR]))
            }
            _ => self.value(register, now).map(u64::from),
        }
    }

    /// WRMSR of an x2APIC register.
    pub(crate) fn write_msr(
        &mut self,
        register: usize,
        value: u64,
        now: u64,
    ) -> Result<Effect, Refused> {
        if register == reg::ICR {
            // Bit 12, the delivery status of old, is ignored.
            if value as u32 & !(ICR_BITS | 1 << 12) != 0 {
                return Err(Refused);
            }
            self.regs[reg::ICR] = value as u32 & ICR_BITS;
            self.regs[reg::ICR_HIGH] = (value >> 32) as u32;
            return Ok(self.send((value >> 32) as u32, true));
        }
        let low = u32::try_from(value).map_err(|_| Refused)?;
        let allowed = match register {
            reg::TPR => 0xff,
            reg::EOI | reg::ESR => 0,
            reg::SVR => SVR_BITS,
            reg::LVT_TIMER..=reg::LVT_ERROR => lvt_bits(register) | 1 << 12 | 1 << 14,
            reg::INITIAL_COUNT => u32::MAX,
            reg::DIVIDE => 0xb,
            reg::SELF_IPI => {
                if low > 0xff {
                    return Err(Refused);
                }
                let delivery = Delivery::Fixed {
                    vector: low as u8,
                    level: false,
                };
                return Ok(self.checked(Message {
                    target: Target::Own,
                    delivery,
                }));
            }
            _ => return Err(Refused),
        };
        if low & !allowed != 0 {
            return Err(Refused);
        }
        self.set(register, low, now)
    }

    /// The registers that read alike in both ways.
    fn value(&self, register: usize, now: u64) -> Result<u32, Refused> {
        Ok(match register {
            reg::PPR => u32::from(self.ppr()),
            reg::APR => u32::from(self.arbitration_priority()),
            reg::CURRENT_COUNT => self.current_count(now),
            reg::ID
            | reg::VERSION
            | reg::TPR
            | reg::LDR
            | reg::SVR
            | reg::ISR..=reg::ESR
            | reg::ICR
            | reg::LVT_TIMER..=reg::INITIAL_COUNT
            | reg::DIVIDE => self.regs[register],
            _ => return Err(Refused),
        })
    }

    /// The registers that write alike in both ways.
    fn set(&mut self, register: usize, value: u32, now: u64) -> Result<Effect, Refused> {
        match register {
            reg::TPR => self.set_tpr(value as u8),
            reg::EOI => return Ok(self.end()),
            reg::SVR => self.set_svr(value),
            reg::ESR => {
                self.regs[reg::ESR] = std::mem::take(&mut self.regs[reg::ERRORS]);
            }
            reg::LVT_TIMER => self.set_timer_entry(self.lvt_value(register, value)),
            reg::LVT_THERMAL..=reg::LVT_ERROR => {
                self.regs[register] = self.lvt_value(register, value);
            }
            reg::INITIAL_COUNT => {
                if !self.has_tsc_deadline() {
                    self.regs[register] = value;
                    self.start_timer(now);
                }
            }
            reg::DIVIDE => self.set_divider(value, now),
            _ => return Err(Refused),
        }
        Ok(Effect::None)
    }

    fn lvt_value(&self, register: usize, value: u32) -> u32 {
        let forced = if self.is_software_enabled() {
            0
        } else {
            MASKED
        };
        value & lvt_bits(register) | forced
    }

    fn set_svr(&mut self, value: u32) {
        self.regs[reg::SVR] = value & SVR_BITS;
        if !self.is_software_enabled() {
            for entry in &mut self.regs[reg::LVT_TIMER..=reg::LVT_ERROR] {
                *entry |= MASKED;
            }
        }
    }

    /// 11.6.2.4.
    fn arbitration_priority(&self) -> u8 {
        let tpr = self.tpr();
        let [serving, requested] =
            [reg::ISR, reg::IRR].map(|register| self.highest(register).unwrap_or(0));
        if tpr >> 4 >= requested >> 4 && tpr >> 4 > serving >> 4 {
            tpr
        } else {
            (tpr & serving & 0xf0).max(requested & 0xf0)
        }
    }

    /// The IPI that the ICR describes.
    fn send(&mut self, destination: u32, wide: bool) -> Effect {
        let icr = self.regs[reg::ICR];
        let (mode, level, assert) = (icr >> 8 & 7, icr & 1 << 15 != 0, icr & 1 << 14 != 0);
        if mode == message::INIT && level && !assert {
            // INIT level de-assert: of no effect since the Pentium 4.
            return Effect::None;
        }
        let target = match icr >> 18 & 3 {
            1 => Target::Own,
            2 => Target::All,
            3 => Target::Others,
            _ if icr & 1 << 11 != 0 => Target::Logical {
                set: destination,
                wide,
            },
            _ => Target::Physical {
                id: destination,
                wide,
            },
        };
        // ExtINT can't be sent, and IPIs are edge-triggered whatever they say.
        match Delivery::new(mode, icr as u8, false) {
            None | Some(Delivery::External) => Effect::None,
            Some(delivery) => self.checked(Message { target, delivery }),
        }
    }

    /// Refuses to send vectors that don't exist.
    fn checked(&mut self, message: Message) -> Effect {
        match message.delivery {
            Delivery::Fixed { vector, .. } | Delivery::Lowest { vector, .. } if vector < 16 => {
                self.report(error::SEND_VECTOR);
                Effect::None
            }
            _ => Effect::Send(message),
        }
    }
}
