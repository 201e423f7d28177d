//! What to write instead of a value that has another type than the key wants, where the value tells what was meant.

use toml::de::DeValue;

/// `message` says what is wanted; what is written is never repeated but as a number or a level.
pub(super) fn of(message: &str, key: &str, value: &DeValue<'_>) -> Option<String> {
    if message.contains("needs its unit") {
        return Some(format!("write \"{}s\" for seconds", number(value)?));
    }
    if message.contains("\"on\", \"off\"") {
        return Some(format!("write \"{}\"", level(value)?));
    }
    if message.starts_with("expected a whole number") || message.starts_with("expected a number") {
        return without_quotes(value.as_str()?);
    }
    if message.starts_with("expected true or false") {
        return Some(format!("write {}", level(value)? == "on"));
    }
    if message.starts_with("expected a text") {
        let number = number(value)?;
        return Some(if key == "bus" { format!("write \"i2c-{number}\"") } else { format!("write \"{number}\"") });
    }
    None
}

/// The range that the map means, where the message has that of the integer's type.
pub(super) fn with_range(message: &str, key: &str) -> String {
    let range = match key {
        "pin" => "a BCM number from 0 to 53",
        "address" => "an I2C address from 0x03 to 0x77",
        _ => return message.to_owned(),
    };
    message.replace("a whole number from 0 to 255", range)
}

fn number<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    value.as_integer().filter(|integer| integer.radix() == 10).map(toml::de::DeInteger::as_str)
}

/// `"0x76"`, `"GPIO17"`, `"1 234"`
fn without_quotes(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|_| format!("write {text}, without quotes"));
    }
    let digits = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    number.is_finite().then(|| format!("write {digits}, without quotes"))
}

fn level(value: &DeValue<'_>) -> Option<&'static str> {
    let written = match value {
        DeValue::Boolean(true) => "on".to_owned(),
        DeValue::Boolean(false) => "off".to_owned(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::String(text) => text.trim().to_ascii_lowercase(),
        _ => return None,
    };
    match written.as_str() {
        "on" | "true" | "yes" | "high" | "1" => Some("on"),
        "off" | "false" | "no" | "low" | "0" => Some("off"),
        _ => None,
    }
}
