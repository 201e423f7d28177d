//! The kinds of actuators: a new one is a file of its own, and a line here.

use minicbor::{Decode, Encode};

use super::actuator::Actuator;
use super::line::Line;
use super::pwm::Pwm;

/// Lists the kinds once: the enum, its numbers in files, and the dispatch.
macro_rules! actuators {
    ($($number:literal => $(#[doc = $doc:literal])+ $kind:ident,)+) => {
        /// What is driven.
        #[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
        #[cbor(flat)]
        pub enum Target {
            $($(#[doc = $doc])+ #[n($number)] $kind(#[n(0)] $kind),)+
        }

        impl std::ops::Deref for Target {
            type Target = dyn Actuator;

            fn deref(&self) -> &Self::Target {
                match self { $(Self::$kind(kind) => kind,)+ }
            }
        }
    };
}

actuators! {
    0 => /// A digital line.
    Line,
    1 => /// A channel of the hardware PWM.
    Pwm,
}
