//! Sensors that fail: what is reported, and that the others go on.

use std::path::Path;
use std::time::Duration;

use gatepost::pipeline::HealthChange;
use gatepost::reading::{Fault, SensorId};
use thingspeak_sandbox::Row;

use crate::map;
use crate::observed::{Diary, Observed};
use crate::stage::{Plan, Stage, until};

const STEADY: SensorId = SensorId(0);
const SICK: SensorId = SensorId(1);

/// A channel whose status reports faults, a sensor that is always well, and another.
fn plan(sick: &str) -> Plan {
    let steady = map::file_sensor("steady", "/sim/steady", "house.field1");
    let keys = "every = \"2s\"\nstatus = \"health\"\n";
    Plan::of(&[map::HOUSE, keys, &steady, "\n[[sensor]]\nname = \"sick\"\n", sick])
}

async fn down(diary: &Diary, mark: usize) -> Fault {
    let fault = |observed: &Observed| match observed {
        Observed::Sensor(HealthChange::Down(SICK, fault)) => Some(fault.clone()),
        _ => None,
    };
    diary.find(mark, "the sensor is down", fault).await
}

async fn up(diary: &Diary, mark: usize) {
    diary
        .wait(mark, "the sensor measures again", |observed| {
            matches!(observed, Observed::Sensor(HealthChange::Up(SICK)))
        })
        .await;
}

/// Waits for a row behind those known.
async fn row(stage: &Stage, known: usize, what: &str, wanted: impl Fn(&Row) -> bool) -> Row {
    until(|| what.to_owned(), || stage.rows().into_iter().skip(known).find(|row| wanted(row))).await
}

/// The whole story: well, gone, and well again. Returns the fault and the status text.
async fn story(stage: &Stage, breaks: impl FnOnce(), mends: impl FnOnce()) -> (Fault, String) {
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    row(stage, 0, "both are well", |row| row.field(1).is_some() && row.field(2).is_some()).await;
    let mark = diary.end();
    breaks();
    let fault = down(diary, mark).await;
    let known = stage.rows().len();
    let sick = |row: &Row| row.status.is_some() && row.field(1).is_some() && row.field(2).is_none();
    let status = row(stage, known, "the status reports it, and the other sensor goes on", sick).await.status;
    let mark = diary.end();
    mends();
    up(diary, mark).await;
    let known = stage.rows().len();
    row(stage, known, "the value is back", |row| row.status.is_none() && row.field(2).is_some()).await;
    let edges = |observed: &Observed| matches!(observed, Observed::Sensor(_));
    let of_steady = |observed: &Observed| {
        matches!(observed, Observed::Sensor(HealthChange::Down(STEADY, _) | HealthChange::Up(STEADY)))
    };
    assert_eq!((diary.count(edges), diary.count(of_steady)), (2, 0), "down once, up once\n{}", diary.text(0));
    stage.end(playing).await;
    (fault, status.expect("that was looked for"))
}

#[tokio::test]
async fn an_i2c_part_that_is_unplugged_is_reported_and_comes_back() {
    let plan = plan(
        r#"
        use = "bme280"
        bus = "i2c-1"
        address = 0x76
        every = "1s"
        to.temperature = "house.field2"
        to.humidity = "house.field3"
        "#,
    );
    let stage = Stage::set(plan).await;
    let sim = &stage.sim;
    let (fault, status) = story(&stage, || sim.unplug_i2c("i2c-1", 0x76), || sim.replug_i2c("i2c-1", 0x76)).await;
    assert!(matches!(fault, Fault::Absent(_)), "{fault:?}");
    assert_eq!(status, format!("sick: {fault}"));
}

#[tokio::test]
async fn a_serial_port_that_is_unplugged_is_reported_and_comes_back() {
    let plan = plan(
        r#"
        use = "serial_line"
        port = "/dev/ttySIM"
        match = 'T=(?<temperature>-?[0-9.]+)'
        timeout = "30s"
        to.temperature = "house.field2"
        "#,
    );
    let stage = Stage::set(plan).await;
    let (sim, port) = (&stage.sim, "/dev/ttySIM");
    let (fault, status) = story(&stage, || sim.unplug_serial(port), || sim.replug_serial(port)).await;
    assert!(matches!(fault, Fault::Absent(_)), "{fault:?}");
    assert!(status.starts_with("sick: "), "{status}");
}

#[tokio::test]
async fn a_value_that_the_service_cannot_take_is_named_as_such_and_no_field_is_blamed() {
    let plan = plan(
        r#"
        use = "file"
        path = "/sim/sick"
        every = "1s"
        to.value = "house.field2"
        "#,
    );
    let stage = Stage::set(plan).await;
    let sick = |content: &'static str| stage.sim.file(Path::new("/sim/sick"), move |_| Ok(content.to_owned()));
    let (fault, status) = story(&stage, || sick("1e300\n"), || sick("7\n")).await;
    assert_eq!(fault.to_string(), status.trim_start_matches("sick: "));
    assert!(status.contains("value needs 301 characters, the service takes 255"), "{status}");
}

#[tokio::test]
async fn a_panic_in_a_driver_is_a_fault_of_its_sensor_alone() {
    // Both sensors are files, and so read by one thread.
    let plan = plan(
        r#"
        use = "file"
        path = "/sim/sick"
        every = "1s"
        to.value = "house.field2"
        "#,
    );
    let stage = Stage::set(plan).await;
    let sick = |content: fn() -> String| stage.sim.file(Path::new("/sim/sick"), move |_| Ok(content()));
    let (fault, status) = story(&stage, || sick(|| panic!("the driver's defect")), || sick(|| "7\n".to_owned())).await;
    assert_eq!(fault, Fault::Panicked("the driver's defect".to_owned()));
    assert_eq!(status, "sick: driver failed: the driver's defect");
}

#[tokio::test]
async fn a_sensor_that_hangs_holds_up_no_other_bus_and_not_the_stop() {
    let plan = plan(
        r#"
        use = "ds18b20"
        id = "28-0417b1fb82ff"
        every = "1s"
        timeout = "1s"
        to.temperature = "house.field2"
        "#,
    );
    let stage = Stage::set(plan).await;
    let playing = stage.start_online().await;
    stage.sim.file(Path::new("/sys/bus/w1/devices/28-0417b1fb82ff/temperature"), |_| {
        // Longer than the scenario; the thread is left behind at the stop, as one that hangs in the kernel would be.
        std::thread::sleep(Duration::from_secs(600));
        Ok("21437\n".to_owned())
    });
    let fault = down(&playing.diary, 0).await;
    assert_eq!(fault, Fault::NoAnswer(Duration::from_secs(1)));
    let known = stage.rows().len();
    let sick = |row: &Row| row.field(1).is_some() && row.field(2).is_none() && row.status.is_some();
    let observed = row(&stage, known, "the steady one goes on", sick).await;
    let status = observed.status.expect("that was looked for");
    assert_eq!(status, "sick: no answer for 1 s");
    stage.end(playing).await;
}
