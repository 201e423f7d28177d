use super::*;

const ID: &str = "28-0417b1fb82ff";

fn settings(id: &str) -> Settings {
    serde_json::from_value(serde_json::json!({ "id": id })).unwrap()
}

/// What is measured when the part's files say this.
fn measure(files: &[(&str, &'static str)]) -> Result<f64, Fault> {
    let sim = Sim::default();
    for (name, text) in files {
        sim.file(&settings(ID).folder().join(name), |_| Ok((*text).to_owned()));
    }
    measure_on(&sim)
}

fn measure_on(sim: &Sim) -> Result<f64, Fault> {
    measure_of(ID, sim)
}

fn measure_of(id: &str, sim: &Sim) -> Result<f64, Fault> {
    match settings(id).open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(mut sensor) => sensor.measure()?.swap_remove(0),
        Source::Stream(..) => panic!("a DS18B20 is polled"),
    }
}

#[test]
fn the_id_has_the_kernels_form() {
    for id in [ID, "10-0008039ad4ee", "22-0000001234ab", "3b-0000001921e8", "42-0000001234ab"] {
        assert_eq!(settings(id).faults(), [], "{id}");
    }
    for id in [
        "",
        "28-",
        "01-0417b1fb82ff",
        "3B-0417b1fb82ff",
        "28-0417B1FB82FF",
        "28-0417b1fb82f",
        "28-0417b1fb82f/",
        "../../etc",
    ] {
        assert_eq!(settings(id).faults().len(), 1, "{id}");
    }
}

#[test]
fn id_in_capital_letters_is_proposed_in_small_ones() {
    for id in ["28-0417B1FB82FF", "28-0417b1fb82Ff"] {
        let words = "the kernel writes ids in small letters\nwrite \"28-0417b1fb82ff\"".to_owned();
        assert_eq!(settings(id).faults(), [("id", words)]);
    }
}

#[test]
fn parts_of_one_bus_convert_together() {
    let sim = Sim::default();
    let triggers = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&triggers);
    let master = Path::new("/sys/devices/w1_bus_master1");
    sim.file(&master.join("therm_bulk_read"), |_| Ok("1\n".to_owned()));
    sim.on_write(&master.join("therm_bulk_read"), move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    });
    let ids = ["28-000000000001", "28-000000000002", "28-000000000003"];
    for id in ids {
        sim.link(&settings(id).folder(), &master.join(id));
        sim.file(&settings(id).folder().join("temperature"), |_| Ok("21437\n".to_owned()));
    }
    for _ in 0..2 {
        assert_eq!(ids.map(|id| measure_of(id, &sim)), [Ok(21.437), Ok(21.437), Ok(21.437)]);
    }
    // Of the first round the second part, of the next one it again, since the first and third find theirs ready or new.
    assert_eq!(triggers.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn thousandths_of_a_degree_are_read() {
    assert_eq!(measure(&[("temperature", "21437\n")]), Ok(21.437));
    assert_eq!(measure(&[("temperature", "-55000\n")]), Ok(-55.0));
    assert_eq!(measure(&[("temperature", "125000\n")]), Ok(125.0));
}

/// The memory for 0 °C as in Maxim's data sheet, table 1, with the other bytes of periph/devices, ds18b20/ds18b20_test.go, commit
/// 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8; the checksum is computed from them (polynomial x⁸ + x⁵ + x⁴ + 1).
const ICE: &str = "00 00 00 00 00 ff 00 10 4f : crc=4f YES\n00 00 00 00 00 ff 00 10 4f t=0\n";
const ZEROS: &str = "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n";

#[test]
fn zero_degrees_are_told_from_a_shorted_bus_by_the_parts_memory() {
    assert_eq!(measure(&[("temperature", "0\n"), ("w1_slave", ICE)]), Ok(0.0));
    assert!(matches!(measure(&[("temperature", "0\n"), ("w1_slave", ZEROS)]), Err(Fault::Absent(_))));
    let noise = ICE.replace("YES", "NO").leak();
    assert!(matches!(measure(&[("temperature", "0\n"), ("w1_slave", noise)]), Err(Fault::Checksum(_))));
    // The short went away between the two.
    let good = "e0 01 00 00 3f ff 10 10 3f : crc=3f YES\ne0 01 00 00 3f ff 10 10 3f t=30000\n";
    assert_eq!(measure(&[("temperature", "0\n"), ("w1_slave", good)]), Ok(30.0));
    // The kernel has taken the part away: nobody knows what the zero was.
    assert!(matches!(measure(&[("temperature", "0\n")]), Err(Fault::Absent(_))));
}

#[test]
fn the_memory_is_asked_for_at_exactly_zero_alone() {
    for near in ["62\n", "-62\n", "-1\n"] {
        assert!(measure(&[("temperature", near), ("w1_slave", ZEROS)]).is_ok(), "{near}");
    }
}

/// Memory of a live part in periph/devices, ds18b20/ds18b20_test.go, commit
/// 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8, in the form in which the kernel shows it.
#[test]
fn an_older_kernels_file_is_read_with_its_checksum() {
    let good = "e0 01 00 00 3f ff 10 10 3f : crc=3f YES\ne0 01 00 00 3f ff 10 10 3f t=30000\n";
    assert_eq!(measure(&[("w1_slave", good)]), Ok(30.0));
    let bad = "e0 01 00 00 3f ff 10 10 3e : crc=3f NO\ne0 01 00 00 3f ff 10 10 3e t=30000\n";
    assert!(matches!(measure(&[("w1_slave", bad)]), Err(Fault::Checksum(_))));
}

#[test]
fn a_shorted_bus_is_not_zero_degrees() {
    assert!(matches!(measure(&[("w1_slave", ZEROS)]), Err(Fault::Absent(_))));
}

#[test]
fn values_that_are_no_temperature_are_faults() {
    assert!(matches!(measure(&[("temperature", "85000\n")]), Err(Fault::Garbled(_))));
    assert!(matches!(measure(&[("temperature", "-127000\n")]), Err(Fault::Garbled(_))));
    assert!(matches!(measure(&[("temperature", "125001\n")]), Err(Fault::OutOfRange(_))));
    assert_eq!(measure(&[("temperature", "85062\n")]), Ok(85.062));
}

#[test]
fn a_part_that_is_gone_is_absent_and_comes_back() {
    assert!(matches!(measure(&[]), Err(Fault::Absent(_))));
    assert!(matches!(measure(&[("temperature", "")]), Err(Fault::Absent(_))));
    let sim = Sim::default();
    settings(ID).simulate(&sim);
    sim.break_file(&settings(ID).folder().join("temperature"), io::ErrorKind::Other);
    assert!(matches!(measure_on(&sim), Err(Fault::Bus(_))));
    sim.mend_file(&settings(ID).folder().join("temperature"));
    assert!((11.0..16.0).contains(&measure_on(&sim).unwrap()));
}

/// What is measured of a part of the family 3b with this memory, which the kernel has computed a `t` from.
fn measure_3b(memory: &str, t: i32) -> Result<f64, Fault> {
    let (id, text) = ("3b-0000001921e8", format!("{memory} 00 : crc=00 YES\n{memory} 00 t={t}\n"));
    let sim = Sim::default();
    let folder = settings(id).folder();
    sim.file(&folder.join("temperature"), move |_| Ok(format!("{t}\n")));
    sim.file(&folder.join("w1_slave"), move |_| Ok(text.clone()));
    measure_of(id, &sim)
}

#[test]
fn thermocouples_temperature_is_taken_from_the_memory() {
    // The bits of the data sheet's table 3 with the two lowest at 0, whatever the kernel makes of them.
    for (memory, degrees) in [
        ("00 64 00 19 f0", 1600.0),
        ("4c 06 00 19 f0", 100.75),
        ("90 01 00 19 f5", 25.0),
        ("fc ff 00 19 ff", -0.25),
        ("60 f0 00 19 f0", -250.0),
        ("50 05 00 19 f0", 85.0),
    ] {
        assert_eq!(measure_3b(&format!("{memory} ff ff ff"), 127_937), Ok(degrees), "{memory}");
    }
    assert!(matches!(measure_3b("00 7f 00 19 f0 ff ff ff", 0), Err(Fault::OutOfRange(_))));
}

#[test]
fn broken_thermocouple_says_what_is_wrong() {
    for (cause, words) in [("01", "not connected"), ("02", "shorted to ground"), ("04", "shorted to the supply")] {
        let fault = measure_3b(&format!("91 01 {cause} 19 f0 ff ff ff"), 25_062).expect_err("broken").to_string();
        assert!(fault.contains(words), "{cause}: {fault}");
    }
}

#[test]
fn ds1825_is_no_thermocouple() {
    assert_eq!(measure_3b("91 01 4b 46 7f ff 0c 10", 25_062), Ok(25.062));
    assert!(matches!(measure_3b("50 05 4b 46 7f ff 0c 10", 85_000), Err(Fault::Garbled(_))));
}

/// The memory after power-on as in the DS18S20's data sheet, table 1 and memory map, of which the kernel makes 85 °C too.
#[test]
fn power_on_value_of_a_ds18s20_is_85_degrees_as_well() {
    let (id, text) =
        ("10-0008039ad4ee", "aa 00 4b 46 ff ff 0c 10 87 : crc=87 YES\naa 00 4b 46 ff ff 0c 10 87 t=85000\n");
    let sim = Sim::default();
    sim.file(&settings(id).folder().join("w1_slave"), |_| Ok(text.to_owned()));
    assert!(matches!(measure_of(id, &sim), Err(Fault::Garbled(_))));
}

#[test]
fn simulated_part_of_each_family_measures() {
    for (family, _) in FAMILIES {
        let (id, sim) = (format!("{family}-0000001234ab"), Sim::default());
        settings(&id).simulate(&sim);
        assert!(measure_of(&id, &sim).is_ok_and(|degrees| (11.0..16.0).contains(&degrees)), "{id}");
    }
}

#[test]
fn memory_of_an_older_kernel_that_is_empty_is_a_part_that_does_not_answer() {
    assert!(matches!(measure(&[("w1_slave", "")]), Err(Fault::Absent(_))));
}

proptest::proptest! {
    #[test]
    fn hostile_files_never_panic(text in "[0-9a-f :=\nYESNOcrt.-]{0,80}|.{0,80}") {
        if let Ok(memory) = Memory::parse(&text) {
            let _ = memory.thermocouple();
        }
        let _ = number::parse(&text).and_then(degrees);
    }
}
