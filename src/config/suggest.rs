//! The word that was probably meant.

/// Longer words are not compared: no key, kind or name that people mistype is as long.
const LONGEST: usize = 48;

/// The candidate nearest to `word`, if it is near enough to be a slip of the finger: a third of its letters, at least one.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| {
            let letters: Vec<char> = candidate.chars().flat_map(char::to_lowercase).take(LONGEST).collect();
            (distance(&word, &letters), letters.len(), candidate)
        })
        .filter(|(distance, length, _)| *distance <= (word.len().max(*length) / 3).max(1))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate)
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replace = above[column] + usize::from(letter != other);
            let mut least = replace.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && from[row - 1] == *other && *letter == to[column - 1] {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let keys = ["every", "timeout", "name", "use"];
        for (typed, meant) in [("evry", "every"), ("eveyr", "every"), ("Name", "name"), ("time_out", "timeout")] {
            assert_eq!(nearest(typed, keys), Some(meant), "{typed}");
        }
    }

    #[test]
    fn another_word_is_not_taken_for_a_slip() {
        for typed in ["colour", "", "x", &"every".repeat(1000)] {
            assert_eq!(nearest(typed, ["every", "timeout"]), None, "{typed:.20}");
        }
    }

    #[test]
    fn a_swap_of_neighbours_counts_once() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("bme280"), &letters("bme820")), 1);
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
    }
}
