//! Topic filters (MQTT 3.1.1, section 4.7).

/// A topic that may have wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter(String);

impl Filter {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is subscribed to.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn has_wildcard(&self) -> bool {
        self.0.contains(['+', '#'])
    }

    /// Why it is none, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let levels: Vec<&str> = self.0.split('/').collect();
        let is_whole = |level: &&str| level.len() == 1 || !level.contains(['+', '#']);
        if self.0.is_empty() {
            Some("a topic is needed, such as zigbee2mqtt/kitchen")
        } else if self.0.len() > 65_535 || self.0.contains('\0') {
            Some("a topic has at most 65535 bytes, and no NUL")
        } else if !levels.iter().all(is_whole) {
            Some("+ and # stand for whole levels, as in tele/+/SENSOR")
        } else if levels.iter().rev().skip(1).any(|level| *level == "#") {
            Some("# stands at the end")
        } else {
            None
        }
    }

    /// What stands in a topic where the filter has wildcards, with slashes between. `None`: the topic is another one.
    pub(super) fn matched(&self, topic: &str) -> Option<String> {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return None;
        }
        let mut parts = Vec::new();
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                // It stands for its parent, too.
                ("#", level) => {
                    parts.extend(level);
                    parts.extend(levels);
                    return Some(parts.join("/"));
                }
                ("+", Some(level)) => parts.push(level),
                (wanted, Some(level)) if wanted == level => {}
                _ => return None,
            }
        }
        levels.next().is_none().then(|| parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_levels_and_say_which() {
        for (filter, topic, matched) in [
            ("a/b", "a/b", Some("")),
            ("a/b", "a/b/c", None),
            ("a/+/c", "a/b/c", Some("b")),
            ("a/+/c/+", "a/b/c/d", Some("b/d")),
            ("a/+", "a", None),
            ("a/+", "a/", Some("")),
            ("a/#", "a/b/c", Some("b/c")),
            ("a/#", "a", Some("")),
            ("#", "a/b", Some("a/b")),
            ("#", "$SYS/load", None),
            ("$SYS/#", "$SYS/load", Some("load")),
        ] {
            assert_eq!(Filter::new(filter).matched(topic).as_deref(), matched, "{filter} {topic}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for text in ["", "a+/b", "a/#/b", "#a", "a\0"] {
            assert!(Filter::new(text).fault().is_some(), "{text}");
        }
        for text in ["a", "+", "#", "a/+/b/#", "/a/"] {
            assert_eq!(Filter::new(text).fault(), None, "{text}");
        }
    }
}
