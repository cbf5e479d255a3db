//! Figures as people read them.

use kwaya_base::messages;
use kwaya_text::privacy::Counts;

/// Bytes with a unit: `1.5 MB` (10^6 bytes).
pub fn bytes(n: u64) -> String {
    let value = n as f64;
    match n {
        0..1_000 => format!("{n} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

/// What was replaced, by kind: `e-mail addresses: 12, names: 3`.
pub fn replaced(counts: &Counts) -> String {
    let kinds = counts.iter().map(|(kind, number)| {
        let words = messages::format(&format!("privacy-{kind}"), &[]);
        format!("{words}: {}", count(*number))
    });
    kinds.collect::<Vec<_>>().join(", ")
}

/// A whole number with its thousands apart: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A figure of which two digits say enough: `1.9`, `12`, `340`, `1,200`.
pub fn rounded(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.1}");
    }
    let unit = 10_f64.powi(value.log10() as i32 - 1);
    count(((value / unit).round() * unit) as u64)
}

/// Seconds since 1970 as a day and a time, in UTC.
pub fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    time.map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// Seconds since 1970 as a day, in UTC.
pub fn day(seconds: u64) -> String {
    date(seconds).chars().take_while(|character| *character != ' ').collect()
}

/// Seconds with a unit: `45 s`, `12 min`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..100 if seconds < 10.0 => format!("{seconds:.1} s"),
        0..100 => format!("{whole} s"),
        100..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// A length of time as people type it: `90s`, `30m`, `2h`, `1d`, or seconds.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let seconds = number * unit;
    (seconds > 0.0 && seconds < 1e8).then(|| std::time::Duration::from_secs_f64(seconds))
}

/// Bytes as people type them: `200MB`, `1.5 GB`, `512MiB`, or a plain number.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => return None,
    };
    let bytes = number * unit;
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_written() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1_540_000), "1.5 MB");
        assert_eq!(
            (count(0), count(999), count(1_000), count(12_345_678)),
            ("0".into(), "999".into(), "1,000".into(), "12,345,678".into())
        );
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_868_799), "2000-02-29 23:59 UTC");
        date(u64::MAX);
        assert_eq!(day(951_868_799), "2000-02-29");
        assert_eq!(duration(4.25), "4.2 s");
        assert_eq!(duration(125.0), "2 min 5 s");
        assert_eq!(duration(7_290.0), "2 h 1 min");
        assert_eq!(parse_duration("30m").unwrap().as_secs(), 1_800);
        assert_eq!(parse_duration("1.5h").unwrap().as_secs(), 5_400);
        assert_eq!(parse_duration("90").unwrap().as_secs(), 90);
        assert_eq!(parse_bytes("200MB"), Some(200_000_000));
        assert_eq!(parse_bytes(" 1.5 GB "), Some(1_500_000_000));
        assert_eq!((parse_bytes("2 GiB"), parse_bytes("77")), (Some(2 << 30), Some(77)));
        for wrong in ["", "MB", "-3MB", "0", "3 sacks", "1e9GB", "99999999999GB"] {
            assert!(parse_bytes(wrong).is_none(), "{wrong}");
        }
        for wrong in ["", "m", "-3s", "3 weeks", "0", "1e9d", "infs"] {
            assert!(parse_duration(wrong).is_none(), "{wrong}");
        }
    }
}
