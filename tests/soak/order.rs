//! What the soak is asked to do: `[MINUTES] [SEED] [--only FAULT,…]`.

/// An order that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// How long faults are played; longer where one was not played often enough by then.
    pub(crate) minutes: u64,
    /// What all chance comes from; one of this moment where none is given.
    pub(crate) seed: Option<u64>,
    /// The faults to play; all of them where none is named.
    pub(crate) only: Vec<String>,
}

/// Where nothing is said.
const MINUTES: u64 = 20;

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    /// What is wrong with it, and how it is given.
    pub(crate) fn parse(words: &str, faults: &[&str]) -> Result<Self, String> {
        let usage = || format!("just soak [MINUTES] [SEED] [--only FAULT,...]; faults are {}", faults.join(", "));
        let mut order = Self { minutes: MINUTES, seed: None, only: Vec::new() };
        let mut numbers = 0;
        let mut words = words.split_whitespace();
        while let Some(word) = words.next() {
            if word == "--only" {
                let names = words.next().ok_or_else(|| format!("--only names no fault: {}", usage()))?;
                order.only.extend(names.split(',').map(str::to_owned));
                continue;
            }
            let number = word.parse().map_err(|_| format!("\"{word}\" is not a number: {}", usage()))?;
            numbers += 1;
            match numbers {
                1 => order.minutes = number,
                2 => order.seed = Some(number),
                _ => return Err(format!("\"{word}\" is one number too many: {}", usage())),
            }
        }
        match order.only.iter().find(|name| !faults.contains(&name.as_str())) {
            Some(unknown) => Err(format!("there is no fault \"{unknown}\": {}", usage())),
            None => Ok(order),
        }
    }

    /// Whether this fault is played.
    pub(crate) fn names(&self, fault: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULTS: [&str; 2] = ["kill", "cut"];

    #[test]
    fn order_is_two_numbers_and_names_of_faults() {
        let order = |words| Order::parse(words, &FAULTS).expect("it is understood");
        assert_eq!(order(""), Order { minutes: 20, seed: None, only: vec![] });
        assert_eq!(order("5"), Order { minutes: 5, seed: None, only: vec![] });
        let only = order("2 7 --only cut");
        assert_eq!(only, Order { minutes: 2, seed: Some(7), only: vec!["cut".to_owned()] });
        assert!(only.names("cut") && !only.names("kill") && order("").names("kill"));
        assert_eq!(order("--only kill,cut 2").only, FAULTS);
    }

    #[test]
    fn wrong_order_is_refused_with_the_right_form() {
        for (words, wrong) in [
            ("x", "\"x\" is not a number"),
            ("1 2 3", "\"3\" is one number too many"),
            ("--only", "--only names no fault"),
            ("1 --only flod", "there is no fault \"flod\""),
        ] {
            let refused = Order::parse(words, &FAULTS).expect_err("it is refused");
            assert!(refused.starts_with(wrong) && refused.ends_with("faults are kill, cut"), "{refused}");
        }
    }
}
