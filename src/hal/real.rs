//! The hardware of this machine as a [`Hal`].
//!
//! Nothing is opened here: a machine without a single GPIO chip runs every map that names no pin, and says what is missing
//! when one is requested.

use std::sync::Arc;

use super::files::MachineFiles;
use super::programs::MachinePrograms;
use super::serial::MachinePorts;
use crate::hal::{Gpio, GpioBackend, Hal, HalError, I2cBuses, PwmOutputs, SpiBuses, SystemClock};

impl Hal {
    /// The hardware of this machine.
    ///
    /// # Errors
    /// [`HalError::Unsupported`] when the GPIO back end that was asked for by name can never work here: another back end
    /// is needed, or another machine. Everything that may heal comes when a line is requested.
    pub fn real(gpio: GpioBackend) -> Result<Self, HalError> {
        let Board { gpio, pwm, i2c, spi } = board(gpio)?;
        Ok(Self {
            gpio,
            pwm,
            i2c,
            spi,
            serial: Arc::new(MachinePorts),
            files: Arc::new(MachineFiles),
            one_wire: Arc::default(),
            programs: Arc::new(MachinePrograms::default()),
            clock: Arc::new(SystemClock::watched()),
            is_simulated: false,
        })
    }
}

/// What hangs on the board itself.
struct Board {
    gpio: Arc<dyn Gpio>,
    pwm: Arc<dyn PwmOutputs>,
    i2c: Arc<dyn I2cBuses>,
    spi: Arc<dyn SpiBuses>,
}

#[cfg(not(target_os = "linux"))]
use self::elsewhere::board;
#[cfg(target_os = "linux")]
use self::linux::board;

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;

    use super::{Arc, Board, Gpio, GpioBackend, HalError};
    use crate::hal::background_pwm::BackgroundPwm;
    use crate::hal::cdev::CdevGpio;
    use crate::hal::linux::KernelBuses;
    use crate::hal::rppal::{self, RppalGpio, RppalPwm};
    use crate::hal::spi::KernelSpi;
    use crate::hal::{Active, EdgeSink, GpioChip, InputConfig, InputLine, Level, LineId, OutputLine};

    pub(super) fn board(gpio: GpioBackend) -> Result<Board, HalError> {
        let gpio: Arc<dyn Gpio> = match gpio {
            GpioBackend::Auto => Arc::new(Auto::default()),
            GpioBackend::Cdev => Arc::new(CdevGpio),
            GpioBackend::Rppal => {
                // Missing rights may be granted, and a node may still appear; a board does not change its model.
                if let Err(unknown @ HalError::Unsupported(_)) = rppal::probe() {
                    return Err(unknown);
                }
                Arc::new(RppalGpio)
            }
        };
        Ok(Board {
            gpio,
            pwm: Arc::new(BackgroundPwm::new(RppalPwm)),
            i2c: Arc::new(KernelBuses),
            spi: Arc::new(KernelSpi),
        })
    }

    /// Whichever back end works, decided at the first use and never again: they leave different levels behind.
    #[derive(Default)]
    struct Auto(OnceLock<Box<dyn Gpio>>);

    impl Auto {
        fn chosen(&self) -> &dyn Gpio {
            let chosen = self.0.get_or_init(|| match rppal::probe() {
                Ok(()) => Box::new(RppalGpio),
                Err(error) => {
                    log::info!(error:%; "GPIO goes through the character device");
                    Box::new(CdevGpio)
                }
            });
            chosen.as_ref()
        }
    }

    impl Gpio for Auto {
        fn name(&self) -> &'static str {
            self.chosen().name()
        }

        fn chips(&self) -> Vec<GpioChip> {
            CdevGpio.chips()
        }

        fn input(&self, config: &InputConfig, sink: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
            self.chosen().input(config, sink)
        }

        fn output(&self, line: LineId, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError> {
            self.chosen().output(line, active, initial)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Arc, Board, Gpio, GpioBackend, HalError, I2cBuses, PwmOutputs, SpiBuses};
    use crate::hal::{
        Active, EdgeSink, I2cBus, InputConfig, InputLine, Level, LineId, OutputLine, PwmId, PwmOutput, SpiConfig,
        SpiPort,
    };

    pub(super) fn board(gpio: GpioBackend) -> Result<Board, HalError> {
        match gpio {
            GpioBackend::Auto => Ok(Board {
                gpio: Arc::new(NoBoard),
                pwm: Arc::new(NoBoard),
                i2c: Arc::new(NoBoard),
                spi: Arc::new(NoBoard),
            }),
            GpioBackend::Rppal | GpioBackend::Cdev => Err(only_on_linux("GPIO")),
        }
    }

    /// A machine whose system gives nobody its pins.
    struct NoBoard;

    impl Gpio for NoBoard {
        fn name(&self) -> &'static str {
            "none"
        }

        fn input(&self, _: &InputConfig, _: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
            Err(only_on_linux("GPIO"))
        }

        fn output(&self, _: LineId, _: Active, _: Level) -> Result<Box<dyn OutputLine>, HalError> {
            Err(only_on_linux("GPIO"))
        }
    }

    impl PwmOutputs for NoBoard {
        fn open(&self, _: PwmId, _: f64, _: f64) -> Result<Box<dyn PwmOutput>, HalError> {
            Err(only_on_linux("PWM"))
        }
    }

    impl I2cBuses for NoBoard {
        fn open(&self, _: &str) -> Result<Box<dyn I2cBus>, HalError> {
            Err(only_on_linux("I2C"))
        }
    }

    impl SpiBuses for NoBoard {
        fn open(&self, _: u8, _: u8, _: SpiConfig) -> Result<Box<dyn SpiPort>, HalError> {
            Err(only_on_linux("SPI"))
        }
    }

    fn only_on_linux(what: &str) -> HalError {
        HalError::Unsupported(format!("{what} works only on Linux; use --simulate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_without_pins_runs_a_map_without_pins() {
        let hal = Hal::real(GpioBackend::Auto).expect("nothing is opened yet");
        assert!(hal.clock.now().utc.seconds() > 0);
    }
}
