//! Questions on a terminal, one line each: the default in brackets, a wrong answer explained and asked again.

use std::io::{BufRead, Write};

use anyhow::{Context as _, bail};

/// A talk with a person.
pub(super) struct Talk<R, W> {
    input: R,
    output: W,
}

impl<R: BufRead, W: Write> Talk<R, W> {
    pub(super) fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    /// Says something.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        super::line(&mut self.output, text)
    }

    /// Asks until the answer can be read. Enter alone is the default, where there is one.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        loop {
            let answer = self.answer(question, default)?;
            match read(&answer) {
                Ok(read) => return Ok(read),
                Err(why) => self.say(&format!("  {why}"))?,
            }
        }
    }

    /// Asks for a yes or no.
    pub(super) fn yes(&mut self, question: &str, default: bool) -> anyhow::Result<bool> {
        let default = if default { "yes" } else { "no" };
        self.ask(question, Some(default), |answer| match answer.to_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("answer yes or no".to_owned()),
        })
    }

    fn answer(&mut self, question: &str, default: Option<&str>) -> anyhow::Result<String> {
        let hint = default.filter(|default| !default.is_empty()).map(|default| format!(" [{default}]"));
        write!(self.output, "{question}{}: ", hint.unwrap_or_default()).context("cannot ask")?;
        self.output.flush().context("cannot ask")?;
        let mut bytes = Vec::new();
        if self.input.read_until(b'\n', &mut bytes).context("cannot read the answer")? == 0 {
            self.say("")?;
            bail!("stopped: nothing was written");
        }
        let answer = String::from_utf8_lossy(&bytes).trim().to_owned();
        Ok(match default {
            Some(default) if answer.is_empty() => default.to_owned(),
            _ => answer,
        })
    }
}
