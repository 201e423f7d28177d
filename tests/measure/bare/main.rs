//! What somebody writes by hand in an hour: ten files read every second, one entry of their means every 15 s to a channel over WSS,
//! with rumqttc's own event loop. No backlog, no acknowledgement, no second try. `just measure` compares the daemon with it.
//!
//! usage: `bare PORT CA_FILE CREDENTIALS_FILE CHANNEL VALUE_FILE...`

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;
use std::{env, fs};

use rumqttc::{AsyncClient, EventLoop, MqttOptions, QoS, Transport};
use tokio::time::{interval, sleep};

const READ_EVERY: Duration = Duration::from_secs(1);
const READS_AN_ENTRY: u32 = 15;
const COLUMNS: [&str; 10] =
    ["field1", "field2", "field3", "field4", "field5", "field6", "field7", "field8", "lat", "long"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [port, ca_file, credentials_file, channel, files @ ..] = &args[..] else {
        return Err("usage: bare PORT CA_FILE CREDENTIALS_FILE CHANNEL VALUE_FILE...".into());
    };
    let credentials = fs::read_to_string(credentials_file)?;
    let secret = |key: &str| {
        let mut pairs = credentials.lines().filter_map(|line| line.split_once('='));
        let found = pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned());
        found.ok_or(format!("no {key} in {credentials_file}"))
    };

    let mut options = MqttOptions::new(secret("clientId")?, format!("wss://localhost:{port}/mqtt"), port.parse()?);
    options.set_credentials(secret("username")?, secret("password")?);
    // rumqttc asks for the process's provider.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a second provider")?;
    options.set_transport(Transport::wss(fs::read(ca_file)?, None, None));
    let (client, events) = AsyncClient::new(options, 10);
    tokio::spawn(poll(events));

    let topic = format!("channels/{channel}/publish");
    let mut clock = interval(READ_EVERY);
    loop {
        let mut sums = [0.0; COLUMNS.len()];
        for _ in 0..READS_AN_ENTRY {
            clock.tick().await;
            for (sum, file) in sums.iter_mut().zip(files) {
                *sum += fs::read_to_string(file)?.trim().parse::<f64>()?;
            }
        }
        let mut update = String::new();
        for (column, sum) in COLUMNS.iter().zip(sums).take(files.len()) {
            let gap = if update.is_empty() { "" } else { "&" };
            write!(update, "{gap}{column}={}", sum / f64::from(READS_AN_ENTRY))?;
        }
        client.publish(&topic, QoS::AtMostOnce, false, update).await?;
    }
}

/// rumqttc connects, sends, pings and connects again in here.
async fn poll(mut events: EventLoop) {
    loop {
        if let Err(error) = events.poll().await {
            eprintln!("{error}");
            sleep(Duration::from_secs(5)).await;
        }
    }
}
