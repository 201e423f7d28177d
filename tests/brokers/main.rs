//! The program as shipped against brokers of other makes than Mosquitto: RabbitMQ, by itself and as a cluster, aedes and amqtt.
//! `just brokers` fetches them and calls these tests.
//!
//! Each runs in a network of the test's own, on the ports of ThingSpeak. None of them echoes an entry to its channel, so that
//! the map takes an entry for delivered when the broker has received it. What arrived is written down by a `mosquitto_sub`, which
//! plays the service.
#![cfg(target_os = "linux")]

mod aedes;
mod amqtt;
mod books;
#[path = "../mosquitto/certificates.rs"]
mod certificates;
mod checks;
mod cluster;
#[path = "../program/fetched.rs"]
mod fetched;
mod gateway;
#[path = "../program/namespace.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod namespace;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;
mod rabbitmq;
mod rights;
mod room;
