use serde::Deserialize;
use serde_json::json;

use super::*;

text_keys! {
    #[derive(Deserialize)]
    struct Keys {}
}

fn text(keys: serde_json::Value) -> Text {
    serde_json::from_value::<Keys>(keys).unwrap().text().unwrap()
}

fn read(keys: serde_json::Value, said: &str) -> Result<Measured, Fault> {
    text(keys).read(said)
}

#[test]
fn a_text_without_a_form_is_one_number_or_begins_with_it() {
    for (keys, said, number) in [
        (json!({}), " 21437 \n", 21437.0),
        (json!({}), "0.52 0.58 0.59", 0.52),
        (json!({ "unit": "%" }), "45%\n", 45.0),
        (json!({ "unit": "%" }), "45 %", 45.0),
        (json!({ "decimal": "," }), "12,5", 12.5),
        (json!({ "decimal": ",", "thousands": " " }), "12 345,5", 12345.5),
        (json!({ "base": 16 }), "0x1f", 31.0),
        (json!({ "states": { "open": 1 } }), "open\n", 1.0),
    ] {
        assert_eq!(read(keys, said), Ok(vec![Ok(number)]), "{said}");
    }
    for said in ["", "12,5", "45%", "nan", "x 5"] {
        assert!(matches!(read(json!({}), said), Err(Fault::Garbled(_))), "{said}");
    }
}

#[test]
fn of_several_lines_the_last_one_with_the_form_counts() {
    let keys = json!({ "csv": { "columns": { "t": 2, "h": 3 } } });
    assert_eq!(read(keys.clone(), "time,t,h\n1,20.5,40\n2,21.5,41\n"), Ok(vec![Ok(41.0), Ok(21.5)]));
    let values = read(keys, "1,20.5,40\n2,nan,41\n").unwrap();
    assert!(values[0] == Ok(41.0) && values[1].is_err(), "an older value takes nobody's place: {values:?}");
    let keys = json!({ "match": "temp=(?<t>[0-9.]+)" });
    assert_eq!(read(keys.clone(), "x\ntemp=48.3'C\n"), Ok(vec![Ok(48.3)]));
    assert!(read(keys, "x\n").unwrap_err().to_string().contains("`match` is not found"));
    let over_lines = json!({ "match": "(?s)wlan0.*level=(?<level>-?[0-9]+)" });
    assert_eq!(read(over_lines, "wlan0:\n level=-61 dBm\n"), Ok(vec![Ok(-61.0)]));
}

#[test]
fn json_may_stand_on_one_line_on_several_or_one_a_line() {
    let keys = json!({ "json": { "t": "/air/t", "first": "/list/0" } });
    let pretty = "{\n  \"list\": [1, 2],\n  \"air\": {\n    \"t\": 21.5\n  }\n}\n";
    assert_eq!(read(keys.clone(), pretty), Ok(vec![Ok(1.0), Ok(21.5)]));
    let values = read(keys.clone(), "{\"air\":{\"t\":1}}\n{\"air\":{\"t\":2}}\n").unwrap();
    assert!(values[1] == Ok(2.0) && values[0].is_err(), "{values:?}");
    assert_eq!(read(keys.clone(), ""), Err(Fault::Garbled("the text is empty".to_owned())));
    assert!(read(keys, "{\"other\":1}").is_err());
}

#[test]
fn what_is_made_up_gives_every_quantity_and_a_text_that_does_not_is_a_fault() {
    for keys in [
        json!({}),
        json!({ "decimal": "," }),
        json!({ "base": 16 }),
        json!({ "match": "t=(?<t>[0-9.]+)" }),
        json!({ "csv": { "columns": { "t": 2 } } }),
        json!({ "json": { "t": "/a/0/t" } }),
        json!({ "unit": "%", "simulate": "45%" }),
        json!({ "match": "(?s)a.b=(?<t>[0-9]+)", "simulate": "a\nb=3" }),
    ] {
        let text = text(keys.clone());
        assert_eq!(text.fault(), None, "{keys}");
        let said = text.simulated().expect("made up")(Mono::default());
        assert!(text.read(&said).is_ok_and(|values| values.iter().all(Result::is_ok)), "{keys}: {said}");
    }
    assert_eq!(text(json!({ "simulate": "none" })).fault().unwrap().0, "simulate");
    assert_eq!(text(json!({ "unit": "5" })).fault().unwrap().0, "unit");
    assert!(
        serde_json::from_value::<Keys>(json!({ "match": "(?<t>.)", "json": { "t": "" } })).unwrap().text().is_err()
    );
}
