//! The report that is made of the tracker when somebody asks.

use std::time::Duration;

use super::{Asked, Phase, StatusTracker, seconds};
use crate::daemon::messages;
use crate::status::{Clock, Report, Spool, counted};
use crate::time::{Mono, Now};

/// A clock that was set is remarked on for so long.
const STEP_SHOWN: Duration = Duration::from_secs(86_400);

impl StatusTracker {
    /// How things stand.
    pub fn report(&self, now: Now, asked: &Asked) -> Report {
        let at = now.mono;
        let uptime = at.since(self.started);
        let channels = self.channels.iter().map(|channel| {
            let (waiting, echoes) = asked.channels.get(&channel.id).copied().unwrap_or_default();
            channel.report(at, uptime, waiting, echoes)
        });
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            asked_at: now.utc.to_string(),
            uptime_s: seconds(uptime),
            simulated: self.is_simulated,
            summary: self.summary(),
            down: self.down(at),
            remarks: self.remarks(at, asked),
            clock: Clock {
                synchronised: asked.is_synchronised,
                steps: self.clock_steps,
                last_step_s: self
                    .clock_step
                    .map(|(_, step)| if step.is_forward { 1.0 } else { -1.0 } * seconds(step.by)),
                last_step_age_s: self.clock_step.map(|(since, _)| seconds(at.since(since))),
            },
            devices: self.links.iter().map(|link| link.report(at)).collect(),
            channels: channels.collect(),
            sensors: self.sensors.iter().map(|sensor| sensor.report(at)).collect(),
            outputs: self.outputs.iter().map(|output| output.report(at)).collect(),
            spool: Spool::default(),
        };
        report.spool = Spool {
            on_disk: self.disk.exists,
            runtime_fault: self.disk.runtime.as_ref().map(|fault| fault.report(at)),
            state_fault: self.disk.state.as_ref().map(|fault| fault.report(at)),
            waiting: report.channels.iter().map(|channel| channel.backlog.entries).sum(),
            bytes: report.channels.iter().map(|channel| channel.backlog.bytes).sum(),
            groups: self.disk.groups,
            written: self.disk.written,
            taken: asked.counts.pushed,
            acknowledged: asked.counts.acknowledged,
            merged: asked.counts.merged,
            dropped_for_age: asked.counts.dropped_for_age,
            dropped_for_size: asked.counts.dropped_for_size,
            unconfirmed: asked.counts.unconfirmed,
            unreadable: asked.counts.unreadable,
        };
        report
    }

    /// How things stand, in one line.
    pub(super) fn summary(&self) -> String {
        let phase = match self.phase {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
        };
        let mut parts = vec![phase.to_owned()];
        if self.is_simulated {
            parts[0].push_str(", SIMULATED");
        }
        if self.refuses_map {
            parts[0].push_str(" with the old map (the new one has faults)");
        }
        parts.extend(self.links.iter().filter_map(super::DeviceLink::describe));
        let silent: Vec<&str> = self.down.iter().map(|place| self.sensors[*place].name.as_str()).collect();
        if !silent.is_empty() {
            parts.push(format!("no reading from {}", silent.join(", ")));
        }
        parts.join("; ")
    }

    /// What is down, each in a sentence.
    fn down(&self, now: Mono) -> Vec<String> {
        let mut down: Vec<String> = self.links.iter().filter_map(super::DeviceLink::trouble).collect();
        down.extend(self.outputs.iter().filter_map(super::Output::trouble));
        down.extend(self.sensors.iter().filter_map(super::Sensor::trouble));
        down.extend(self.channels.iter().flat_map(super::Channel::trouble));
        if self.clock_is_late {
            down.push("the clock is not set: entries wait for it (`timedatectl` shows why)".to_owned());
        }
        for (directory, fault) in [("runtime", &self.disk.runtime), ("state", &self.disk.state)] {
            down.extend(
                fault.as_ref().map(|fault| format!("the {directory} directory cannot be written: {}", fault.words)),
            );
        }
        if self.refuses_map {
            down.push("the new map has faults and is not used: `gatepost check` shows them".to_owned());
        }
        let hanging = self.stuck.iter().map(|(who, since)| (who, now.since(*since).as_secs()));
        down.extend(hanging.map(|(who, seconds)| format!("{who} hangs: {seconds} s over its limit")));
        let listen_errors = self.listen_errors.iter();
        down.extend(listen_errors.map(|(at, fault)| messages::not_served(at, &fault.words).text));
        down
    }

    /// What is worth knowing, each in a sentence.
    fn remarks(&self, now: Mono, asked: &Asked) -> Vec<String> {
        let mut remarks: Vec<String> = self.channels.iter().flat_map(super::Channel::remarks).collect();
        if let Some((at, step)) = self.clock_step.filter(|(at, _)| now.since(*at) < STEP_SHOWN) {
            let ago = humantime::format_duration(Duration::from_secs(now.since(at).as_secs()));
            remarks.push(format!("the clock was set {step} {ago} ago: earlier entries have the time it showed then"));
        }
        remarks.extend(self.outputs.iter().filter_map(super::Output::remark));
        remarks.extend(self.sensors.iter().filter_map(super::Sensor::remark));
        if !asked.is_synchronised && !self.clock_is_late {
            remarks.push("the clock is not set yet: entries wait for it".to_owned());
        }
        if !self.disk.exists {
            remarks.push("entries wait in memory: they are lost when the daemon ends".to_owned());
        }
        if asked.counts.unconfirmed > 0 {
            remarks.push(format!(
                "{}: it is not known whether the service has stored them; `gatepost spool list` shows them",
                counted(asked.counts.unconfirmed, "unconfirmed entry", "unconfirmed entries")
            ));
        }
        remarks
    }
}
