//! The formats of weight files against what other programs read and write
//! (`golden/blocks.py`), and what must hold of them whatever the values.

use kwaya_math::{
    Format, Pool,
    blocks::{bf16_to_f32, dequantise, dequantise_with, f16_to_f32, f32_to_bf16, f32_to_f16, quantise, quantise_with},
    philox::Stream,
};

const GOLDEN: &str = include_str!("golden/blocks.txt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn floats(hex: &str) -> Vec<f32> {
    bytes(hex).as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn read(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; bytes.len() / format.block_bytes() * format.block()];
    dequantise(format, bytes, &mut out);
    out
}

fn written(format: Format, values: &[f32]) -> Vec<u8> {
    let mut out = vec![0xa5; format.bytes(values.len()).unwrap()];
    quantise(format, values, &mut out);
    out
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn written_formats() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| format.is_written())
}

#[test]
fn others_read_and_write_the_same() {
    let (mut values, mut reads, mut writes) = (vec![], 0, 0);
    for line in GOLDEN.lines() {
        match *line.split(' ').collect::<Vec<_>>() {
            ["values", hex] => values = floats(hex),
            ["write", format, hex] => {
                let format = Format::from_name(format).unwrap();
                let (ours, theirs) = (written(format, &values), bytes(hex));
                let size = format.block_bytes();
                for (block, (ours, theirs)) in ours.chunks(size).zip(theirs.chunks(size)).enumerate() {
                    assert_eq!(ours, theirs, "block {block} in {}", format.name());
                }
                assert_eq!(ours.len(), theirs.len());
                writes += 1;
            }
            ["read", format, hex, theirs] => {
                let format = Format::from_name(format).unwrap();
                assert_eq!(bits(&read(format, &bytes(hex))), bits(&floats(theirs)), "{}", format.name());
                reads += 1;
            }
            _ => panic!("a line of the golden file: {line:.40}"),
        }
    }
    // All but F32, which is copied.
    assert_eq!((reads, writes), (Format::ALL.len() - 1, written_formats().count() - 1));
}

#[test]
fn every_half_is_read_and_written_back() {
    for bits in 0..=u16::MAX {
        let value = f16_to_f32(bits);
        let (exponent, fraction) = (bits >> 10 & 31, f64::from(bits & 0x3ff));
        let magnitude = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
        };
        if magnitude.is_nan() {
            assert!(value.is_nan());
            assert_eq!(f32_to_f16(value), bits & 0x8000 | 0x7e00);
        } else {
            assert_eq!(f64::from(value.abs()), magnitude, "{bits:#x}");
            assert_eq!(value.is_sign_negative(), bits & 0x8000 != 0);
            assert_eq!(f32_to_f16(value), bits);
        }
        let wide = bf16_to_f32(bits);
        assert_eq!(f32_to_bf16(wide), if wide.is_nan() { bits | 64 } else { bits });
    }
}

/// Between each two neighbours: the middle goes to the even one, all beside
/// it to the nearer.
#[test]
fn halves_are_rounded_to_the_nearest_and_ties_to_even() {
    for bits in 0..0x7bffu16 {
        let (low, high) = (f16_to_f32(bits), f16_to_f32(bits + 1));
        let middle = low + (high - low) / 2.0;
        let even = bits + bits % 2;
        assert_eq!(f32_to_f16(middle), even, "{bits:#x}");
        assert_eq!(f32_to_f16(-middle), even | 0x8000);
        assert_eq!(f32_to_f16(middle.next_down()), bits);
        assert_eq!(f32_to_f16(middle.next_up()), bits + 1);
    }
    for (x, half) in [(65519.996, 0x7bff), (65520.0, 0x7c00), (f32::MAX, 0x7c00), (f32::INFINITY, 0x7c00)] {
        assert_eq!(f32_to_f16(x), half, "{x}");
    }
    for (x, half) in [(2f32.powi(-25), 0), (2f32.powi(-25).next_up(), 1), (f32::from_bits(1), 0), (-0.0, 0x8000)] {
        assert_eq!(f32_to_f16(x), half, "{x:e}");
    }
    for (x, upper) in [(1.0 + 2f32.powi(-8), 0x3f80), (1.0 + 3.0 * 2f32.powi(-8), 0x3f82), (f32::MAX, 0x7f80)] {
        assert_eq!(f32_to_bf16(x), upper, "{x}");
    }
    assert_eq!(f32_to_bf16(f32::from_bits(0x0000_8001)), 1, "small numbers are kept");
}

/// The root of the mean squared error over that of the values, and the largest
/// error, of values between -0.1 and 0.1: as measured, and a twentieth more.
#[test]
fn what_is_written_is_read_back_nearly() {
    const BUDGET: [(Format, f64, f64); 10] = [
        (Format::F32, 0.0, 0.0),
        (Format::F16, 2.2e-4, 3.2e-5),
        (Format::Bf16, 1.8e-3, 2.6e-4),
        (Format::Q8_0, 4.9e-3, 4.3e-4),
        (Format::Q4_0, 7.9e-2, 1.2e-2),
        (Format::Q4_1, 7.5e-2, 6.8e-3),
        (Format::Q5_0, 3.9e-2, 5.8e-3),
        (Format::Q5_1, 3.7e-2, 3.2e-3),
        (Format::Q4K, 6.8e-2, 9.1e-3),
        (Format::Q6K, 1.7e-2, 1.7e-3),
    ];
    assert!(written_formats().eq(BUDGET.map(|(format, ..)| format)));
    for (format, relative_max, most_max) in BUDGET {
        let (mut most, mut error, mut energy) = (0.0f64, 0.0f64, 0.0f64);
        for case in 0..50 {
            let mut stream = Stream::new(3, 7, case);
            let values: Vec<f32> = (0..512).map(|_| (stream.next_f32() + stream.next_f32() - 1.0) * 0.1).collect();
            for (x, y) in values.iter().zip(read(format, &written(format, &values))) {
                let difference = f64::from((x - y).abs());
                most = most.max(difference);
                error += difference * difference;
                energy += f64::from(*x).powi(2);
            }
        }
        let relative = (error / energy).sqrt();
        println!("{:5} {relative:.2e} {most:.2e}", format.name());
        assert!(relative <= relative_max && most <= most_max, "{}", format.name());
    }
}

/// Whatever the bits, nothing panics, and the same input gives the same.
#[test]
fn any_bits_are_read_and_written() {
    const SPECIAL: [f32; 12] = [
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-38,
        65504.0,
        1e-15,
    ];
    for case in 0..500 {
        let mut stream = Stream::new(5, 7, case);
        let mut values: Vec<f32> = (0..512).map(|_| f32::from_bits(stream.next_u32())).collect();
        if case % 2 == 0 {
            values.iter_mut().for_each(|x| *x = SPECIAL[stream.below(12) as usize]);
        }
        for format in written_formats() {
            assert_eq!(written(format, &values), written(format, &values));
        }
        for format in Format::ALL {
            let bytes: Vec<u8> = (0..format.bytes(512).unwrap()).map(|_| stream.next_u32() as u8).collect();
            assert_eq!(bits(&read(format, &bytes)), bits(&read(format, &bytes)));
        }
    }
}

/// A block knows nothing of its neighbours, and noughts come back as noughts.
#[test]
fn blocks_stand_alone() {
    let mut stream = Stream::new(6, 7, 0);
    let values: Vec<f32> = (0..1024).map(|_| stream.next_f32() - 0.3).collect();
    for format in written_formats() {
        let whole = written(format, &values);
        let parts: Vec<u8> = values.chunks(256).flat_map(|part| written(format, part)).collect();
        assert_eq!(whole, parts, "{}", format.name());
        let noughts = read(format, &written(format, &[0.0; 256]));
        assert!(noughts.iter().all(|&x| x == 0.0), "{}", format.name());
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut stream = Stream::new(8, 7, 0);
    let values: Vec<f32> = (0..3 * (1 << 13) + 256).map(|_| stream.next_f32() - 0.5).collect();
    let pool = Pool::new(3);
    for format in written_formats() {
        let whole = written(format, &values);
        let mut shared = vec![0; whole.len()];
        quantise_with(&pool, format, &values, &mut shared);
        assert!(shared == whole, "{}", format.name());
        let mut back = vec![0.0; values.len()];
        dequantise_with(&pool, format, &shared, &mut back);
        assert!(back == read(format, &whole), "{}", format.name());
    }
}

#[test]
#[should_panic(expected = "dequantise: 256 values of Q4_K in 143 bytes")]
fn lengths_that_do_not_agree_are_refused() {
    dequantise(Format::Q4K, &[0; 143], &mut [0.0; 256]);
}

#[test]
#[should_panic(expected = "quantise: 31 values of Q8_0 in 34 bytes")]
fn blocks_that_are_not_filled_are_refused() {
    quantise(Format::Q8_0, &[0.0; 31], &mut [0; 34]);
}
