//! The report for Prometheus, in its text exposition format 0.0.4.
//!
//! Names follow Prometheus' rules: `gatepost_`, base units, `_total` for what only grows. What is not known is left out, as a
//! gap says more than a zero.

use std::fmt::Write as _;

use super::{Channel, Device, Link, Output, Receipt, Report, Sensor, Spool};

/// What the text is, for the header of an answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of a report.
pub fn render(report: &Report) -> String {
    let mut page = Page::default();
    page.gauge("gatepost_build_info", "gatepost's version.", [([("version", &*report.version)], 1.0)]);
    page.gauge("gatepost_uptime_seconds", "How long the daemon has run.", one(report.uptime_s));
    let simulated = one(truth(report.simulated));
    page.gauge("gatepost_simulated", "1 with simulated hardware: no value is measured.", simulated);
    page.gauge(
        "gatepost_down",
        "Number of links, sensors, outputs and directories that are down.",
        one(count(report.down.len() as u64)),
    );
    let is_right = truth(report.clock.synchronised);
    page.gauge("gatepost_clock_synchronised", "1 when the wall clock is set.", one(is_right));
    let steps = one(count(report.clock.steps));
    page.counter("gatepost_clock_steps_total", "How often the wall clock was changed by more than a few slots.", steps);
    let last = report.clock.last_step_s.into_iter().flat_map(one);
    page.gauge(
        "gatepost_clock_last_step_seconds",
        "Size of the last change of the wall clock; negative: backwards.",
        last,
    );
    devices(&mut page, &report.devices);
    channels(&mut page, &report.channels);
    backlogs(&mut page, &report.channels);
    sensors(&mut page, &report.sensors);
    outputs(&mut page, &report.outputs);
    spool(&mut page, &report.spool);
    page.text
}

fn devices(page: &mut Page, devices: &[Device]) {
    let used: Vec<&Device> = devices.iter().filter(|device| device.link != Link::Unused).collect();
    let of = |value: fn(&Device) -> Option<f64>| {
        used.iter().filter_map(move |device| Some(([("device", &*device.name)], value(device)?))).collect::<Vec<_>>()
    };
    let up = of(|device| Some(truth(device.link == Link::Up)));
    page.gauge("gatepost_link_up", "1 while the MQTT device is logged in.", up);
    page.gauge("gatepost_session_age_seconds", "Age of the MQTT session.", of(|device| device.session_age_s));
    page.counter("gatepost_reconnects_total", "How often the link was restored.", of(|it| Some(count(it.reconnects))));
    page.counter("gatepost_renewals_total", "How often the session was renewed.", of(|it| Some(count(it.renewals))));
    let gap = of(|device| device.last_gap_s);
    page.gauge("gatepost_renewal_gap_seconds", "How long commands could not arrive at the last renewal.", gap);
}

fn channels(page: &mut Page, channels: &[Channel]) {
    let ids: Vec<String> = channels.iter().map(|channel| channel.id.to_string()).collect();
    let of = |value: fn(&Channel) -> Option<f64>| {
        let labelled = channels.iter().zip(&ids);
        labelled.filter_map(|(it, id)| Some((labels(it, id), value(it)?))).collect::<Vec<_>>()
    };
    let mut total = |name: &str, help: &str, value: fn(&Channel) -> Option<f64>| page.counter(name, help, of(value));
    total("gatepost_entries_made_total", "Entries made.", |it| Some(count(it.counts.made)));
    total("gatepost_updates_sent_total", "Updates sent, including those sent again.", |it| Some(count(it.counts.sent)));
    total("gatepost_updates_resent_total", "Entries sent again.", |it| Some(count(it.counts.resent)));
    total("gatepost_updates_received_total", "Updates that the broker has read.", |it| Some(count(it.counts.received)));
    total("gatepost_entries_stored_total", "Entries acknowledged by echo.", |it| Some(count(it.counts.stored)));
    total("gatepost_entries_retimed_total", "Entries sent with another second because theirs was taken.", |it| {
        Some(count(it.counts.retimed))
    });
    total("gatepost_entries_unconfirmed_total", "Entries sent several times without an echo.", |it| {
        Some(count(it.counts.unconfirmed))
    });
    let dropped = channels.iter().zip(&ids).flat_map(|(it, id)| {
        let labels = |reason| [("channel", &*it.name), ("id", &**id), ("reason", reason)];
        let counts = &it.counts;
        [(labels("age"), count(counts.dropped_for_age)), (labels("size"), count(counts.dropped_for_size))]
    });
    page.counter("gatepost_entries_dropped_total", "Entries dropped: too old, or backlog full.", dropped);
    let acts = of(|it| Some(truth(it.confirmed_by == Receipt::Stored)));
    page.gauge("gatepost_confirmed_by_echo", "1 when entries are kept until their echo arrives.", acts);
    let age = of(|it| it.ack.as_ref().map(|ack| ack.age_s));
    page.gauge("gatepost_ack_age_seconds", "Time since the last acknowledgement.", age);
    let took = of(|it| it.ack.as_ref().and_then(|ack| ack.took_s));
    page.gauge(
        "gatepost_ack_delay_seconds",
        "Time from sending to acknowledgement of the last acknowledged entry.",
        took,
    );
    let license = of(|it| Some(count(it.quota.license_a_year)));
    page.gauge(
        "gatepost_license_updates",
        "Updates a year that the license allows, for all of its channels together.",
        license,
    );
    let projected = of(|it| it.quota.projected_a_year.map(count));
    page.gauge("gatepost_projected_updates", "Updates a year at the rate since the start.", projected);
}

fn backlogs(page: &mut Page, channels: &[Channel]) {
    let ids: Vec<String> = channels.iter().map(|channel| channel.id.to_string()).collect();
    let of = |value: fn(&Channel) -> Option<f64>| {
        let labelled = channels.iter().zip(&ids);
        labelled.filter_map(|(it, id)| Some((labels(it, id), value(it)?))).collect::<Vec<_>>()
    };
    let mut gauge = |name: &str, help: &str, value: fn(&Channel) -> Option<f64>| page.gauge(name, help, of(value));
    gauge("gatepost_backlog_entries", "Entries waiting for acknowledgement.", |it| {
        Some(count(it.backlog.entries as u64))
    });
    gauge("gatepost_backlog_disk_entries", "Waiting entries that are on the disk.", |it| {
        Some(count(it.backlog.on_disk as u64))
    });
    gauge("gatepost_backlog_bytes", "Size of the waiting entries.", |it| Some(count(it.backlog.bytes)));
    gauge("gatepost_backlog_drain_seconds", "Time to send the backlog while the link is up.", |it| {
        it.backlog.drains_in_s
    });
}

fn sensors(page: &mut Page, sensors: &[Sensor]) {
    let up = sensors.iter().map(|it| ([("sensor", &*it.name), ("kind", &*it.kind)], truth(it.fault.is_none())));
    page.gauge("gatepost_sensor_up", "1 when the sensor gives readings.", up);
    let slow = sensors.iter().filter_map(|it| Some(([("sensor", &*it.name)], it.slow_read_s?)));
    page.gauge("gatepost_sensor_slow_read_seconds", "Duration of the last read of a slow sensor.", slow);
    let quantities = || sensors.iter().flat_map(|sensor| sensor.quantities.iter().map(move |one| (sensor, one)));
    let values = quantities().filter_map(|(sensor, it)| {
        Some(([("sensor", &*sensor.name), ("quantity", &*it.name), ("unit", &*it.unit)], it.value?))
    });
    page.gauge("gatepost_sensor_value", "Last value as read, in its unit.", values);
    let labels = |sensor, quantity| [("sensor", sensor), ("quantity", quantity)];
    let ages = quantities().filter_map(|(sensor, it)| Some((labels(&*sensor.name, &*it.name), it.age_s?)));
    page.gauge("gatepost_sensor_value_age_seconds", "Age of the last value.", ages);
    let reads = quantities().map(|(sensor, it)| (labels(&*sensor.name, &*it.name), count(it.values)));
    page.counter("gatepost_sensor_values_total", "Values read.", reads);
    let faults = quantities().map(|(sensor, it)| (labels(&*sensor.name, &*it.name), count(it.faults)));
    page.counter("gatepost_sensor_faults_total", "Reads that failed.", faults);
}

fn outputs(page: &mut Page, outputs: &[Output]) {
    let of = |value: fn(&Output) -> Option<f64>| {
        outputs.iter().filter_map(move |it| Some(([("output", &*it.name)], value(it)?))).collect::<Vec<_>>()
    };
    page.gauge("gatepost_output_ratio", "Level of the output: 0 is off, 1 is on.", of(|it| it.fraction));
    let up = of(|it| Some(truth(it.fault.is_none())));
    page.gauge("gatepost_output_up", "1 when the output can be driven.", up);
    page.gauge("gatepost_output_level_age_seconds", "Time at the present level.", of(|it| it.since_s));
    page.counter("gatepost_output_driven_total", "How often the output was driven.", of(|it| Some(count(it.driven))));
    let refusals = of(|it| Some(count(it.refusals)));
    page.counter("gatepost_output_refused_commands_total", "Commands that were refused.", refusals);
}

fn spool(page: &mut Page, spool: &Spool) {
    let directories = [("runtime", &spool.runtime_fault), ("state", &spool.state_fault)];
    let up = directories.into_iter().filter(|_| spool.on_disk);
    let up = up.map(|(name, fault)| ([("directory", name)], truth(fault.is_none())));
    page.gauge("gatepost_directory_up", "1 when the directory is writable.", up);
    page.counter("gatepost_card_groups_total", "Groups of entries written to the disk.", one(count(spool.groups)));
    page.counter("gatepost_card_entries_total", "Entries written to the disk.", one(count(spool.written)));
    page.counter("gatepost_spool_taken_total", "Entries taken into the spool.", one(count(spool.taken)));
    page.counter(
        "gatepost_spool_acknowledged_total",
        "Entries removed on acknowledgement.",
        one(count(spool.acknowledged)),
    );
    page.counter("gatepost_spool_merged_total", "Entries merged into a neighbour.", one(count(spool.merged)));
    page.counter("gatepost_spool_unreadable_total", "Entries in unreadable files.", one(count(spool.unreadable)));
}

fn labels<'a>(channel: &'a Channel, id: &'a str) -> [(&'static str, &'a str); 2] {
    [("channel", &channel.name), ("id", id)]
}

/// One value without a label.
const fn one(value: f64) -> [([(&'static str, &'static str); 0], f64); 1] {
    [([], value)]
}

fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats alone")]
const fn count(number: u64) -> f64 {
    number as f64
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, &'a str); N], f64)>,
    ) {
        self.family(name, "gauge", help, samples);
    }

    fn counter<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, &'a str); N], f64)>,
    ) {
        self.family(name, "counter", help, samples);
    }

    /// A metric with its samples; nothing at all where there is none.
    fn family<'a, const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, &'a str); N], f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        // Writing to a string succeeds.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            self.text.push_str(name);
            for (place, (label, text)) in labels.into_iter().enumerate() {
                let _ = write!(self.text, "{}{label}=\"", if place == 0 { '{' } else { ',' });
                self.escaped(text);
                self.text.push('"');
            }
            let end = if N > 0 { "}" } else { "" };
            let _ = writeln!(self.text, "{end} {value}");
        }
    }

    /// A label's value may be any text; three of its characters need an escape.
    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests;
