//! Products with packed weights: against the definition, to the bit, for
//! every format, and whatever the number of rows, threads and neighbours.

use kwaya_math::{Arena, Format, Packed, Pool, Rounded, blocks::dequantise, philox::Stream, project};

const CODED: [Format; 10] = [
    Format::Q8_0,
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q2K,
    Format::Q3K,
    Format::Q4K,
    Format::Q5K,
    Format::Q6K,
];

fn random(n: usize, index: u64) -> Vec<f32> {
    let mut stream = Stream::new(1, 1, index);
    (0..n).map(|_| stream.next_f32() * 2.0 - 1.0).collect()
}

/// Random blocks whose scales are small finite numbers.
fn bytes(format: Format, values: usize, index: u64) -> Vec<u8> {
    let mut stream = Stream::new(2, 1, index);
    let mut bytes: Vec<u8> =
        (0..values / format.block() * format.block_bytes()).map(|_| stream.next_u32() as u8).collect();
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        let places: &[usize] = match format {
            Format::F32 => {
                let value = stream.next_f32() - 0.5;
                block.copy_from_slice(&value.to_le_bytes());
                &[]
            }
            Format::Bf16 | Format::F16 | Format::Q8_0 | Format::Q4_0 | Format::Q5_0 => &[0],
            Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
            Format::Q2K => &[80, 82],
            Format::Q3K => &[108],
            Format::Q6K => &[208],
        };
        for at in places {
            let sign = if stream.next_u32().is_multiple_of(4) { 0x8000 } else { 0 };
            let half = sign | 0x1800 | (stream.next_u32() as u16 & 0x0bff);
            block[*at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
    }
    bytes
}

fn packed(pool: &Pool, format: Format, rows: usize, cols: usize, bytes: &[u8]) -> Packed {
    let width = cols / format.block() * format.block_bytes();
    let packed = Packed::new(pool, &mut Arena::default(), format, (rows, cols), |i| &bytes[i * width..(i + 1) * width])
        .expect("finite scales");
    // Lines and the last panel are filled up.
    let over = packed.bytes() as u64 - Packed::bytes_of(format, rows, cols);
    assert!(over <= if format.block() > 1 { 128 } else { 64 * cols as u64 * 4 }, "{}: {over}", format.name());
    packed
}

/// x rounded to whole numbers as the definition says: codes, scales.
fn rounded(x: &[f32]) -> (Vec<i32>, Vec<f32>) {
    let blocks = x.chunks(32).map(|x| {
        let largest = x.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        (x.iter().map(|x| (x * inverse).round_ties_even() as i32).collect::<Vec<_>>(), largest / 127.0)
    });
    let (codes, scales): (Vec<_>, Vec<_>) = blocks.unzip();
    (codes.concat(), scales)
}

#[test]
fn real_numbers_are_multiplied_in_order() {
    for format in [Format::F32, Format::F16, Format::Bf16] {
        for (rows, cols, n) in [(1, 2, 1), (16, 32, 1), (100, 70, 3), (33, 300, 150)] {
            let (weights, x) = (bytes(format, rows * cols, 1), random(n * cols, 2));
            let mut values = vec![0.0; rows * cols];
            dequantise(format, &weights, &mut values);
            for threads in [1, 3] {
                let pool = Pool::new(threads);
                let mut out = vec![0.0; n * rows];
                let weights = packed(&pool, format, rows, cols, &weights);
                project(&pool, &x, n, &mut Rounded::default(), &mut [(&weights, &mut out)]);
                for (i, out) in out.iter().enumerate() {
                    let (x, w) = (&x[i / rows * cols..][..cols], &values[i % rows * cols..][..cols]);
                    let expected = x.iter().zip(w).fold(0.0_f32, |sum, (x, w)| x.mul_add(*w, sum));
                    assert_eq!(out.to_bits(), expected.to_bits(), "{format:?} ({rows}, {cols}) of {n}, output {i}");
                }
            }
        }
    }
}

#[test]
fn codes_give_what_their_weights_say() {
    for format in CODED {
        let (rows, cols, n) = (37, 512, 5);
        let (weights, x) = (bytes(format, rows * cols, 1), random(n * cols, 2));
        let mut values = vec![0.0; rows * cols];
        dequantise(format, &weights, &mut values);
        let pool = Pool::new(2);
        let mut out = vec![0.0; n * rows];
        let packed = packed(&pool, format, rows, cols, &weights);
        project(&pool, &x, n, &mut Rounded::default(), &mut [(&packed, &mut out)]);
        let (codes, scales) = rounded(&x);
        for (i, out) in out.iter().enumerate() {
            let (row, w) = (i / rows, &values[i % rows * cols..][..cols]);
            let terms = (0..cols).map(|p| {
                let at = row * cols + p;
                f64::from(w[p]) * f64::from(codes[at]) * f64::from(scales[at / 32])
            });
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
            assert!((f64::from(*out) - sum).abs() <= 2e-6 * size, "{format:?}, output {i}: {out} for {sum}");
        }
    }
}

#[test]
fn rows_are_read_as_they_were_packed() {
    for format in CODED.into_iter().chain([Format::F32, Format::F16, Format::Bf16]) {
        let (rows, cols) = (107, 512);
        let weights = bytes(format, rows * cols, 4);
        let mut values = vec![0.0; rows * cols];
        dequantise(format, &weights, &mut values);
        let packed = packed(&Pool::new(2), format, rows, cols, &weights);
        let mut read = vec![0.0; cols];
        for (row, expected) in values.chunks(cols).enumerate() {
            packed.read_row(row, &mut read);
            let same = read.iter().zip(expected).all(|(read, expected)| read.to_bits() == expected.to_bits());
            assert!(same, "{format:?}, row {row}");
        }
    }
}

#[test]
fn an_output_depends_on_its_own_row_alone() {
    let (rows, cols, n) = (67, 256, 140);
    let x = random(n * cols, 2);
    for format in CODED.into_iter().chain([Format::F32, Format::Bf16]) {
        let weights = bytes(format, rows * cols, 3);
        let mut expected: Option<Vec<f32>> = None;
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            let packed = packed(&pool, format, rows, cols, &weights);
            let mut room = Rounded::default();
            for piece in [140, 1, 7, 129] {
                let mut out = vec![0.0; n * rows];
                let mut beside = vec![0.0; piece * rows];
                for (x, out) in x.chunks(piece * cols).zip(out.chunks_mut(piece * rows)) {
                    let n = x.len() / cols;
                    let beside = &mut beside[..n * rows];
                    project(&pool, x, n, &mut room, &mut [(&packed, out), (&packed, beside)]);
                    assert_eq!(out, beside);
                }
                match &expected {
                    None => expected = Some(out),
                    Some(expected) => {
                        assert!(expected == &out, "{format:?}, {threads} threads, {piece} rows at a time")
                    }
                }
            }
        }
    }
}

/// Whatever the instruction set: made on AVX-512, and equal on the others.
#[test]
fn the_bits_are_these() {
    let (rows, cols, n) = (50, 256, 9);
    let x = random(n * cols, 2);
    let pool = Pool::new(2);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for format in CODED.into_iter().chain([Format::F32, Format::F16, Format::Bf16]) {
        let packed = packed(&pool, format, rows, cols, &bytes(format, rows * cols, 3));
        let mut out = vec![0.0; n * rows];
        project(&pool, &x, n, &mut Rounded::default(), &mut [(&packed, &mut out)]);
        for value in out {
            hash = (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(format!("{hash:016x}"), "5eb2e26b68201c39");
}

#[test]
fn a_scale_that_is_no_number_is_refused() {
    let mut weights = bytes(Format::Q8_0, 64, 1);
    weights[34..36].copy_from_slice(&0x7c00_u16.to_le_bytes());
    assert!(Packed::new(&Pool::new(1), &mut Arena::default(), Format::Q8_0, (1, 64), |_| &weights).is_err());
}
