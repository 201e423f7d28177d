//! Expressions, whatever is in them.

use super::Formula;

/// What is wrong is told with a place in the text; what is read has a finite value for any inputs, or says why not.
pub(crate) fn expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Formula::parse(&text) {
        Ok(formula) => {
            for input in [0.0, 1.0, -40.0, 101.325, 1e300, -1e-300] {
                match formula.value(&|place| Ok(input + f64::from(u8::try_from(place).unwrap_or(0))), &|why| why) {
                    Ok(value) => assert!(value.is_finite(), "{text}"),
                    Err(why) => assert!(!why.is_empty(), "{text}"),
                }
            }
            for input in formula.inputs() {
                assert!(
                    text.get(input.place.clone()).is_some_and(|written| written.contains(&input.quantity)),
                    "{text}"
                );
            }
        }
        Err(mistake) => {
            assert!(text.get(mistake.place.clone()).is_some() && !mistake.message.is_empty(), "{text}: {mistake:?}");
        }
    }
}
