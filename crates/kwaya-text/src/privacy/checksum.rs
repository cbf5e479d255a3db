//! Check digits.

use serde::Deserialize;

/// A check of a number, as a pack names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Checksum {
    /// ISO/IEC 7812-1, annex B.
    Luhn,
    /// Verhoeff 1969.
    Verhoeff,
    /// ISO 7064, MOD 97-10, with the first four characters moved to the end,
    /// as in an IBAN.
    Mod97,
    /// A sum of products.
    Weighted(Weighted),
}

/// The sum of the first characters, each as its place in `alphabet`, times its
/// weight. The rest of the division by `modulo` chooses one of `characters`,
/// which has to be the next character of the number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weighted {
    weights: Vec<u32>,
    modulo: u32,
    /// For each rest the check character; `?` where none is right.
    characters: String,
    #[serde(default = "digits")]
    alphabet: String,
    /// Where the weights end: shorter numbers are taken to begin with zeros.
    #[serde(default)]
    pad: bool,
}

fn digits() -> String {
    "0123456789".to_owned()
}

/// More is no number of identity.
const WEIGHTS_MAX: usize = 40;

impl Checksum {
    /// What is wrong with it, if anything is.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        let Self::Weighted(weighted) = self else { return None };
        let Weighted { weights, modulo, characters, alphabet, .. } = weighted;
        if weights.is_empty() || weights.len() > WEIGHTS_MAX || weights.iter().any(|weight| *weight > 1000) {
            return Some("checksum: 1 to 40 weights of at most 1000");
        }
        if !(2..=100).contains(modulo) || characters.chars().count() != *modulo as usize {
            return Some("checksum: modulo is 2 to 100, with a character for each rest");
        }
        let plain = alphabet.chars().count() <= 100 && !alphabet.is_empty();
        (!plain).then_some("checksum: the alphabet has 1 to 100 characters")
    }

    /// Whether `value`, letters and digits alone, is right.
    pub(super) fn holds(&self, value: &str) -> bool {
        let bytes = value.as_bytes();
        match self {
            Self::Luhn => luhn(bytes),
            Self::Verhoeff => verhoeff(bytes),
            Self::Mod97 => mod97(bytes),
            Self::Weighted(weighted) => weighted.holds(value),
        }
    }
}

impl Weighted {
    fn holds(&self, value: &str) -> bool {
        let characters: Vec<char> = value.chars().flat_map(char::to_uppercase).collect();
        let count = self.weights.len();
        let missing = match self.pad {
            true => (count + 1).saturating_sub(characters.len()),
            false => 0,
        };
        let Some(check) = characters.get(count - missing.min(count)) else { return false };
        let mut sum = 0;
        for (weight, character) in self.weights[missing.min(count)..].iter().zip(&characters) {
            match self.alphabet.chars().position(|c| c == *character) {
                Some(place) => sum += weight * place as u32,
                None => return false,
            }
        }
        self.characters.chars().nth((sum % self.modulo) as usize).is_some_and(|right| right == *check && right != '?')
    }
}

pub(super) fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0;
    for (i, byte) in digits.iter().rev().enumerate() {
        if !byte.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(byte - b'0');
        sum += match (i % 2, 2 * digit) {
            (0, _) => digit,
            (_, double) => double / 10 + double % 10,
        };
    }
    !digits.is_empty() && sum % 10 == 0
}

/// Letters count as 10 to 35; the rest of the division is 1.
pub(super) fn mod97(value: &[u8]) -> bool {
    if value.len() < 5 {
        return false;
    }
    let mut rest = 0_u32;
    for byte in value[4..].iter().chain(&value[..4]) {
        rest = match byte {
            b'0'..=b'9' => 10 * rest + u32::from(byte - b'0'),
            b'A'..=b'Z' => 100 * rest + u32::from(byte - b'A') + 10,
            _ => return false,
        } % 97;
    }
    rest == 1
}

/// Products in the dihedral group of ten elements.
const DIHEDRAL: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

/// The permutation that is applied once more at each place.
const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

fn verhoeff(digits: &[u8]) -> bool {
    let mut check = 0;
    for (place, byte) in digits.iter().rev().enumerate() {
        if !byte.is_ascii_digit() {
            return false;
        }
        let digit = (0..place % 8).fold(byte - b'0', |digit, _| PERMUTATION[usize::from(digit)]);
        check = DIHEDRAL[usize::from(check)][usize::from(digit)];
    }
    !digits.is_empty() && check == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_numbers_hold_and_each_wrong_digit_shows() {
        // From the sources named: Luhn, ISO 7812-1; Verhoeff, 2363 of his
        // thesis; the IBAN registry's example for Great Britain.
        let checks = [
            (Checksum::Luhn, "4111111111111111"),
            (Checksum::Luhn, "79927398713"),
            (Checksum::Verhoeff, "2363"),
            (Checksum::Mod97, "GB29NWBK60161331926819"),
        ];
        for (check, right) in checks {
            assert!(check.holds(right), "{right}");
            for (at, old) in right.char_indices() {
                for digit in '0'..='9' {
                    let mut wrong = right.to_owned();
                    wrong.replace_range(at..=at, &digit.to_string());
                    assert!(digit == old || !check.holds(&wrong), "{wrong}");
                }
            }
            for odd in ["", "x", "12é4"] {
                assert!(!check.holds(odd), "{odd}");
            }
        }
    }

    #[test]
    fn sums_of_products_choose_the_check_character() {
        let check = |weights: &[u32], modulo, characters: &str, pad| {
            let (characters, alphabet) = (characters.to_owned(), digits());
            Checksum::Weighted(Weighted { weights: weights.to_vec(), modulo, characters, alphabet, pad })
        };
        // The example of GB 11643-1999, and one of the Chilean civil registry.
        let china = check(&[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], 11, "10X98765432", false);
        assert!(china.holds("11010519491231002X") && !china.holds("110105194912310021"));
        let chile = check(&[3, 2, 7, 6, 5, 4, 3, 2], 11, "0K987654321", true);
        assert!(chile.holds("76354771K") && chile.holds("51266633") && !chile.holds("5126663K"));
        assert!(!chile.holds("") && !chile.holds("ñ"));
        assert!(check(&[], 11, "0K987654321", false).mistake().is_some());
        assert!(check(&[1], 11, "0K9876", false).mistake().is_some());
    }
}
