//! The way to the broker's hosts, step by step: DNS, TCP, a proxy, TLS, WebSocket. It is the way that the daemon goes.

use std::time::Duration;

use super::{Conclusion, Verdict};
use crate::hal::Clock;
use crate::net::dial::{Memory, Obstacle, Passed, Step};
use crate::net::failure::Kind;
use crate::net::{Broker, Peer, Trust, dial, proxy};
use crate::time::Utc;

/// A certificate that ends within this time is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Looks at the way to each host. Whether one of them can be logged in to.
pub(super) async fn look(broker: &Broker, clock: &dyn Clock, tell: &mut impl FnMut(Conclusion)) -> bool {
    let trust = match trust(broker).await {
        Ok(trust) => trust,
        Err(line) => {
            tell(line);
            let steps = todo(broker).into_iter().filter(|step| *step > Step::Tls);
            steps.for_each(|step| tell(Conclusion::skipped(name(step), "an earlier step failed")));
            return false;
        }
    };
    let mut ways = Vec::new();
    for host in &broker.hosts {
        ways.push(host_lines(&broker.only(host), trust.as_ref(), clock).await);
    }
    let reached = ways.iter().any(|way| way.reached);
    for (host, way) in broker.hosts.iter().zip(ways) {
        for mut line in way.lines {
            if broker.hosts.len() > 1 {
                line.found = format!("{host}: {}", line.found);
            }
            // One host of several that is away is why there are several.
            if reached && line.verdict == Verdict::Wrong {
                line.verdict = Verdict::Warning;
            }
            tell(line);
        }
    }
    reached
}

/// What certificates are held against; nothing for a transport in the clear.
async fn trust(broker: &Broker) -> Result<Option<Trust>, Conclusion> {
    if !broker.transport.is_encrypted() {
        return Ok(None);
    }
    let ca_file = broker.ca_file.clone();
    let read = tokio::task::spawn_blocking(move || Trust::read(ca_file.as_deref())).await;
    read.expect("reading files does not panic").map(Some).map_err(|failure| Conclusion::wrong("TLS", failure.words, ""))
}

/// The way to one host.
struct HostLines {
    lines: Vec<Conclusion>,
    reached: bool,
}

async fn host_lines(broker: &Broker, trust: Option<&Trust>, clock: &dyn Clock) -> HostLines {
    let mut lines = Vec::new();
    if trust.is_none() {
        let found = format!("none over {}", broker.transport);
        lines.push(Conclusion::warning("TLS", found, "passwords and readings are sent unencrypted"));
    }
    let roots = trust.map_or("", Trust::roots);
    let mut memory = Memory::default();
    let mut tries = 0;
    loop {
        tries += 1;
        let before = lines.len();
        let dialled =
            dial(broker, trust, &mut memory, clock, |passed| lines.push(made(&passed, broker, roots, clock.now().utc)));
        let Err(obstacle) = dialled.await else { return HostLines { lines, reached: true } };
        let (failed, is_silent) = (obstacle.step, obstacle.failure.kind == Kind::Network);
        if is_silent && failed > Step::Tcp && tries < memory.places(broker) {
            // As the daemon does: whoever takes a connection and says nothing is tried last the next time.
            let line = stopped(obstacle, broker, roots);
            lines.truncate(before);
            lines.push(Conclusion {
                verdict: Verdict::Warning,
                advice: "the next attempt uses another address".to_owned(),
                ..line
            });
            memory.failed();
            continue;
        }
        lines.push(stopped(obstacle, broker, roots));
        let rest = todo(broker).into_iter().filter(|step| *step > failed);
        lines.extend(rest.map(|step| Conclusion::skipped(name(step), "an earlier step failed")));
        return HostLines { lines, reached: false };
    }
}

/// The steps behind the name, as far as this broker has them.
fn todo(broker: &Broker) -> Vec<Step> {
    let tls = broker.transport.is_encrypted().then_some(Step::Tls);
    let websocket = broker.transport.is_websocket().then_some(Step::WebSocket);
    [Some(Step::Tcp), tls, websocket].into_iter().flatten().collect()
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Dns => "DNS",
        Step::Tcp => "TCP",
        Step::Proxy => "proxy",
        Step::Tls => "TLS",
        Step::WebSocket => "WebSocket",
    }
}

/// A step that was made.
fn made(passed: &Passed, broker: &Broker, roots: &str, now: Utc) -> Conclusion {
    match passed {
        Passed::Resolved { host, addresses } => {
            let words: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            Conclusion::ok("DNS", format!("{host} is {}", words.join(", ")))
        }
        Passed::Reached { address, took, failed } => {
            let found = format!("{address} answered after {} ms", took.as_millis());
            if failed.is_empty() {
                return Conclusion::ok("TCP", found);
            }
            let failed: Vec<_> = failed.iter().map(|failure| failure.words.as_str()).collect();
            Conclusion::warning("TCP", found, format!("earlier attempts: {}", failed.join("; ")))
        }
        Passed::Tunnelled { proxy: through, named_by } => {
            let found = format!("{through} ({named_by}) connects to {}:{}", broker.hosts.join(", "), broker.port);
            if matches!(broker.proxy, proxy::Choice::Configured(_)) {
                return Conclusion::ok("proxy", found);
            }
            let advice = format!(
                "{named_by} is set in this shell, but perhaps not in the service's unit: write `proxy = \
                 \"http://{through}\"` into the map's [broker]"
            );
            Conclusion::warning("proxy", found, advice)
        }
        Passed::Secured { peer, small_segments } => {
            let whose = peer.as_ref().map_or_else(String::new, |peer| format!("{}, ", whose(peer)));
            let found = format!("{whose}checked against {roots}");
            let left = peer.as_ref().map(|peer| peer.until.since(now));
            match left {
                _ if *small_segments => Conclusion::warning(
                    "TLS",
                    found,
                    "only small packets arrive; packets of the usual size are lost on the way (MTU): set a smaller \
                     MTU on this machine or its router (`sudo ip link set dev … mtu 1400`)",
                ),
                Some(left) if left < SOON => {
                    let days = left.as_secs() / 86_400;
                    Conclusion::warning(
                        "TLS",
                        found,
                        format!("it expires in {days} days: the broker's operator must renew it"),
                    )
                }
                _ => Conclusion::ok("TLS", found),
            }
        }
        Passed::Upgraded => {
            let found = format!("{}{} answered 101 with the sub-protocol mqtt", broker.hosts.join(", "), broker.path);
            Conclusion::ok("WebSocket", found)
        }
    }
}

/// The step that failed.
fn stopped(obstacle: Obstacle, broker: &Broker, roots: &str) -> Conclusion {
    let advice = match (obstacle.step, obstacle.peer) {
        (Step::Dns | Step::Tcp, _) if obstacle.proxy.is_some() => {
            format!("check {}, and that the proxy is running", obstacle.proxy.unwrap_or_default())
        }
        (Step::Tcp, _) => {
            format!("check broker.port ({}), the network, and whether a firewall blocks that port", broker.port)
        }
        (_, Some(peer)) => format!("{}, checked against {roots}", whose(&peer)),
        _ => String::new(),
    };
    Conclusion::wrong(name(obstacle.step), obstacle.failure.words, advice)
}

fn whose(peer: &Peer) -> String {
    format!("the certificate is for {peer}")
}
