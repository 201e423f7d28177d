//! Who may in, and whom we trust: passwords, certificates and names.

use gatepost::net::failure::Kind;
use secrecy::ExposeSecret;
use thingspeak_sandbox::{Authority, Device, What};

use crate::observed::{Diary, Observed};
use crate::stage::{Plan, Stage, level, until};
use crate::{HOUSE, secrets};

/// The one failure that was reported, in words.
fn only_failure(diary: &Diary) -> String {
    let observed: Vec<_> = diary.all().iter().filter_map(Observed::down).collect();
    assert_eq!(observed.len(), 1, "{observed:?}");
    observed[0].words.clone()
}

#[tokio::test]
async fn a_reset_password_is_reported_once_and_heals_when_the_file_is_replaced() {
    let stage = Stage::set(level("")).await;
    let reset = Device::generate().credentials.password;
    let mut device = stage.device.clone();
    device.credentials.password = reset.clone();
    let playing = stage.start_online().await;
    let diary = &playing.diary;
    diary.wait(0, "an entry is stored", |observed| observed.stored().is_some()).await;

    // The web page: the device gets another password, and its connection ends.
    let mark = diary.end();
    stage.sandbox.set_password(&device.credentials.client_id, reset.expose_secret());
    diary.wait(mark, "the login is refused", |observed| observed.is_down_by(Kind::Held)).await;
    until(
        || "a second refusal".to_owned(),
        || {
            let refused = |what: &What| matches!(what, What::Refused { .. });
            (stage.sandbox.records().iter().filter(|record| refused(&record.what)).count() >= 2).then_some(())
        },
    )
    .await;
    let refusals = diary.count(|observed| observed.is_down_by(Kind::Held));
    assert_eq!(refusals, 1, "reported once, however often it is tried");
    let waiting = diary.closed();

    stage.write_credentials(&device);
    diary.wait(mark, "the link is up again", Observed::is_up).await;
    stage.all_stored(&waiting, diary).await;
    let diary = stage.end(playing).await;
    let words = diary
        .find(mark, "the failure is reported", |observed| observed.down().filter(|down| down.kind == Kind::Held))
        .await
        .words;
    // The same broker accepted this password a moment ago: the two reasons that there are for that.
    assert!(words.contains("may still hold the old session"), "{words}");
    assert!(words.contains("if the password was reset on the web page, replace the credentials"), "{words}");
    secrets::assert_kept(reset.expose_secret());
}

#[tokio::test]
async fn a_missing_or_damaged_credentials_file_is_reported_and_heals() {
    let stage = Stage::set(level("")).await;
    let text = stage.device.credentials_text();
    let playing = {
        // `check` looks at the file, so it is damaged after the start.
        let settings = stage.settings();
        stage.damage_credentials(&text.replace("password", "# password"));
        stage.start_with(settings)
    };
    playing.diary.wait(0, "there is no login", |observed| observed.is_down_by(Kind::Login)).await;
    let mark = playing.diary.end();
    stage.damage_credentials(&text.replace("password = ", "password = “"));
    playing.diary.wait(mark, "the next mistake", |observed| observed.is_down_by(Kind::Login)).await;
    assert!(stage.sandbox.connects().is_empty(), "nothing is tried that is not a credential");
    stage.write_credentials(&stage.device);
    playing.diary.wait(mark, "the link is up", Observed::is_up).await;
    let diary = stage.end(playing).await;
    let words: Vec<_> = diary.all().iter().filter_map(Observed::down).map(|down| down.words.clone()).collect();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(words[0].contains("mqtt_credentials.txt holds no password"), "{words:?}");
    assert!(
        words[1].contains("mqtt_credentials.txt, line 3 (password): the value is in typographic quotes"),
        "{words:?}"
    );
}

#[tokio::test]
async fn a_broker_that_nobody_vouches_for_gets_no_password_until_the_right_root_is_there() {
    let stage = Stage::set(level("")).await;
    let other = Authority::new().expect("random numbers");
    stage.write_ca(&other.pem());
    let playing = stage.start();
    playing.diary.wait(0, "the certificate is refused", |observed| observed.is_down_by(Kind::Tls)).await;
    assert!(stage.sandbox.connects().is_empty(), "nothing is said to a stranger");
    stage.write_ca(&stage.sandbox.ca_pem());
    playing.diary.wait(0, "the link is up", Observed::is_up).await;
    let diary = stage.end(playing).await;
    let words = only_failure(&diary);
    assert!(words.contains("not signed by a CA that this machine trusts") && words.contains("ca_file"), "{words}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let stage = Stage::set(Plan { names: vec!["mqtt3.thingspeak.com".to_owned()], ..level("") }).await;
    let playing = stage.start();
    playing.diary.wait(0, "the name is refused", |observed| observed.is_down_by(Kind::Tls)).await;
    playing.diary.wait(0, "an entry waits", |observed| observed.closed().is_some()).await;
    let diary = stage.end(playing).await;
    let words = only_failure(&diary);
    assert!(words.contains("is not for localhost"), "{words}");
    assert!(stage.sandbox.connects().is_empty() && stage.sandbox.rows(HOUSE.0).is_empty());
}
