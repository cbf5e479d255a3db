//! Attention over pages has the bits of `docs/arithmetic.md`, whatever
//! conversations share a batch, however a prompt is cut, wherever the pages
//! lie, for any number of threads and any instruction set.

mod oracle;

use std::{ops::Range, process::Command};

use kwaya_math::{CacheAttention, PAGE, Pages, Pool, Row, philox::Stream};

/// The sizes of a case.
#[derive(Clone, Copy, Debug)]
struct Shape {
    kv_heads: usize,
    head_dim: usize,
    options: CacheAttention,
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize, window: Option<usize>, softcap: Option<f32>) -> Shape {
    let options = CacheAttention { heads, scale: 1.0 / (head_dim as f32).sqrt(), softcap, window };
    Shape { kv_heads, head_dim, options }
}

/// Queries, keys and values of a conversation, position after position.
#[derive(Clone, Default)]
struct Conversation {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    length: usize,
    /// How much of it is in the cache.
    done: usize,
    pages: Vec<u32>,
}

impl Conversation {
    fn extend(&mut self, stream: &mut Stream, shape: &Shape, count: usize) {
        // Wide enough that some weights are 0 and some denormal.
        let mut random =
            |n: usize, size: f32| (0..n).map(|_| (stream.next_f32() * 2.0 - 1.0) * size).collect::<Vec<f32>>();
        self.q.extend(random(count * shape.options.heads * shape.head_dim, 6.0));
        self.k.extend(random(count * shape.kv_heads * shape.head_dim, 4.0));
        self.v.extend(random(count * shape.kv_heads * shape.head_dim, 2.0));
        self.length += count;
    }

    /// What the document says that these positions give.
    fn expected(&self, positions: Range<usize>, shape: &Shape) -> Vec<Vec<f32>> {
        let Shape { kv_heads, head_dim: d, options: CacheAttention { heads, scale, softcap, window } } = *shape;
        let [keys, values] = [&self.k, &self.v].map(|x| x.iter().map(|x| oracle::f16(*x)).collect::<Vec<f32>>());
        let keys: Vec<&[f32]> = keys.chunks_exact(d).collect();
        let values: Vec<&[f32]> = values.chunks_exact(d).collect();
        let row = |i: usize| {
            let first = window.map_or(0, |w| (i + 1).saturating_sub(w));
            let head = |h: usize| {
                let (q, g) = (&self.q[(i * heads + h) * d..][..d], h / (heads / kv_heads));
                let [keys, values] =
                    [&keys, &values].map(|x| x[g..].iter().step_by(kv_heads).take(i + 1).copied().collect::<Vec<_>>());
                oracle::cached(q, &keys, &values, first, scale, softcap)
            };
            (0..heads).flat_map(head).collect()
        };
        positions.map(row).collect()
    }
}

/// One batch: the next `count` positions of each of these conversations.
fn step(
    pool: &Pool,
    pages: &mut Pages,
    shape: &Shape,
    layer: usize,
    conversations: &mut [Conversation],
    parts: &[(usize, usize)],
) -> Vec<Vec<f32>> {
    let (width, kv_width) = (shape.options.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let (mut q, mut k, mut v) = (vec![], vec![], vec![]);
    let mut rows = vec![];
    for (c, count) in parts {
        let c = &conversations[*c];
        let range = c.done..c.done + count;
        q.extend(&c.q[range.start * width..range.end * width]);
        k.extend(&c.k[range.start * kv_width..range.end * kv_width]);
        v.extend(&c.v[range.start * kv_width..range.end * kv_width]);
        rows.extend(range.map(|position| Row { pages: &c.pages, position }));
    }
    pages.write(pool, layer, &rows, &k, &v);
    let mut out = vec![f32::NAN; q.len()];
    pages.attention(pool, &mut out, &q, layer, &rows, &shape.options);
    let mut out = out.chunks_exact(width).map(<[f32]>::to_vec);
    let mut found = vec![];
    for (c, count) in parts {
        found.extend(out.by_ref().take(*count));
        conversations[*c].done += count;
    }
    found
}

/// One conversation of `length` positions, with pages from a shuffled list.
fn conversation(shape: &Shape, length: usize, seed: u64, pages: &[u32]) -> Conversation {
    let mut conversation = Conversation { pages: pages.to_vec(), ..Conversation::default() };
    conversation.extend(&mut Stream::new(seed, 7, 7), shape, length);
    conversation
}

#[track_caller]
fn same(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differs =
        found.iter().zip(expected).position(|(f, e)| f.to_bits() != e.to_bits() && !(f.is_nan() && e.is_nan()));
    if let Some(at) = differs {
        panic!("{what}: {:e} at {at}, not {:e}", found[at], expected[at]);
    }
}

fn pages_for(shape: &Shape, count: usize) -> Pages {
    let mut pages = Pages::new(2, shape.kv_heads, shape.head_dim);
    pages.grow(1);
    pages.grow(count);
    pages
}

#[expect(clippy::type_complexity, reason = "a table of arguments")]
const SHAPES: [(usize, usize, usize, Option<usize>, Option<f32>); 12] = [
    (1, 1, 16, None, None),
    (2, 2, 64, Some(5), None),
    (3, 1, 64, None, Some(30.0)),
    (9, 3, 64, None, None),
    (8, 1, 80, Some(40), None),
    (4, 4, 80, None, None),
    (8, 1, 128, None, None),
    (6, 2, 128, Some(33), Some(5.0)),
    (2, 1, 256, Some(1), None),
    (16, 2, 256, None, None),
    (5, 1, 20, Some(100), Some(1.0)),
    (7, 7, 24, None, None),
];

/// Whole, in pieces of many sizes, and one by one: always the document's.
#[test]
fn a_prompt_may_be_cut_anywhere() {
    let pools = [1, 2, 3].map(Pool::new);
    for (i, (heads, kv_heads, head_dim, window, softcap)) in SHAPES.into_iter().enumerate() {
        let shape = shape(heads, kv_heads, head_dim, window, softcap);
        let length = if heads * head_dim > 600 { 75 } else { 137 };
        let list: Vec<u32> = if i % 2 == 0 { vec![2, 0, 4, 1, 3] } else { vec![0, 1, 2, 3, 4] };
        let whole = conversation(&shape, length, i as u64, &list);
        let expected = whole.expected(0..length, &shape);
        for cut in [length, 1, 3, 4, 7, 50] {
            for (threads, pool) in (1..).zip(&pools) {
                let (mut pages, mut one) = (pages_for(&shape, 4), [whole.clone()]);
                while one[0].done < length {
                    let first = one[0].done;
                    let count = cut.min(length - first);
                    let found = step(pool, &mut pages, &shape, 1, &mut one, &[(0, count)]);
                    for (r, found) in found.iter().enumerate() {
                        let what = format!("{shape:?}, {threads} threads, cut {cut}: position {}", first + r);
                        same(&what, found, &expected[first + r]);
                    }
                }
            }
        }
    }
}

/// More than one chunk of panels, and more than a block of rows.
#[test]
fn long_conversations_have_the_same_bits() {
    let pool = Pool::new(2);
    for (window, length) in [(None, 801), (Some(390), 1000), (Some(50), 900)] {
        let shape = shape(3, 1, 16, window, None);
        let list: Vec<u32> = (0..32).map(|i| i * 7 % 32).collect();
        let whole = conversation(&shape, length, 3, &list);
        let (mut pages, mut one) = (pages_for(&shape, 31), [whole.clone()]);
        let mut found = step(&pool, &mut pages, &shape, 0, &mut one, &[(0, 300)]);
        found.extend(step(&pool, &mut pages, &shape, 0, &mut one, &[(0, length - 303)]));
        (0..3).for_each(|_| found.extend(step(&pool, &mut pages, &shape, 0, &mut one, &[(0, 1)])));
        for (i, (found, expected)) in found.iter().zip(whole.expected(0..length, &shape)).enumerate() {
            same(&format!("{window:?}, position {i}"), found, &expected);
        }
    }
}

/// What a row does not see may be anything: it does not reach the row.
#[test]
fn what_is_not_seen_changes_nothing() {
    let pool = Pool::new(2);
    for window in [None, Some(6), Some(20)] {
        let shape = shape(2, 1, 32, window, None);
        let mut whole = conversation(&shape, 70, 9, &[1, 0, 2]);
        for (place, x) in [(20, f32::INFINITY), (41, f32::NAN), (60, 1e30), (66, -1e30)] {
            whole.k[place * 32 + 3] = x;
            whole.v[place * 32 + 5] = x;
        }
        // Weights so small that products underflow to zeros of either sign.
        whole.v.iter_mut().take(19 * 32).for_each(|v| *v *= 1e-6);
        whole.q.iter_mut().for_each(|q| *q *= 10.0);
        for cut in [70, 9, 1] {
            let (mut pages, mut one) = (pages_for(&shape, 2), [whole.clone()]);
            let mut found = vec![];
            while one[0].done < 70 {
                let count = cut.min(70 - one[0].done);
                found.extend(step(&pool, &mut pages, &shape, 0, &mut one, &[(0, count)]));
            }
            for (i, (found, expected)) in found.iter().zip(whole.expected(0..70, &shape)).enumerate() {
                same(&format!("{window:?}, cut {cut}, position {i}"), found, &expected);
            }
            assert!(found[..20].iter().flatten().all(|x| x.is_finite()));
        }
    }
}

/// Pages that have left the window may have been given back.
#[test]
fn pages_before_the_window_are_not_looked_at() {
    let pool = Pool::new(2);
    let shape = shape(3, 1, 16, Some(40), None);
    let whole = conversation(&shape, 300, 2, &(0..10).collect::<Vec<_>>());
    let expected = whole.expected(0..300, &shape);
    let (mut pages, mut one) = (pages_for(&shape, 9), [whole]);
    for count in [90, 1, 1, 60, 3, 45, 99, 1] {
        let first = one[0].done;
        for page in 0..(first + 1).saturating_sub(40) / PAGE {
            one[0].pages[page] = u32::MAX;
        }
        for (i, found) in step(&pool, &mut pages, &shape, 0, &mut one, &[(0, count)]).iter().enumerate() {
            same(&format!("position {}", first + i), found, &expected[first + i]);
        }
    }
}

/// Random batches of conversations that begin, go on, and fork from one
/// another in the middle of a page, beside a model of plain lists.
#[test]
fn conversations_do_not_touch_one_another() {
    for seed in 0..12 {
        let mut stream = Stream::new(seed, 5, 5);
        let mut below = |n: usize| stream.below(n as u64) as usize;
        let (heads, kv_heads, head_dim, window, softcap) = SHAPES[below(SHAPES.len())];
        let shape = shape(heads, kv_heads, head_dim, window, softcap);
        let pool = Pool::new(1 + below(3));
        let mut numbers = Stream::new(seed, 5, 6);
        let mut pages = Pages::new(3, kv_heads, head_dim);
        let mut free: Vec<u32> = vec![];
        let mut conversations: Vec<Conversation> = vec![Conversation::default()];
        for round in 0..8 {
            match below(3) {
                0 => conversations.push(Conversation::default()),
                1 => {
                    // A fork shares whole pages and copies the last.
                    let mut fork = conversations[below(conversations.len())].clone();
                    if !fork.done.is_multiple_of(PAGE) {
                        let own = take(&mut pages, &mut free, &mut below);
                        let last = fork.done / PAGE;
                        pages.copy(fork.pages[last], own);
                        fork.pages[last] = own;
                    }
                    fork.pages.truncate(fork.done.div_ceil(PAGE));
                    conversations.push(fork);
                }
                _ => {}
            }
            let mut parts = vec![];
            for (c, conversation) in conversations.iter_mut().enumerate() {
                let count = [0, 1, 1, 2, 5, 37][below(6)];
                if count > 0 {
                    conversation.extend(&mut numbers, &shape, count);
                    while conversation.pages.len() * PAGE < conversation.length {
                        conversation.pages.push(take(&mut pages, &mut free, &mut below));
                    }
                    parts.push((c, count));
                }
            }
            if !parts.is_empty() {
                let turn = below(parts.len());
                parts.rotate_left(turn);
            }
            let mut found = step(&pool, &mut pages, &shape, 2, &mut conversations, &parts).into_iter();
            for (c, count) in parts {
                let done = conversations[c].done;
                let expected = conversations[c].expected(done - count..done, &shape);
                for (i, expected) in (done - count..done).zip(expected) {
                    let what = format!("seed {seed}, round {round}, {shape:?}, conversation {c} at {i}");
                    same(&what, &found.next().expect("a row"), &expected);
                }
            }
        }
    }
}

/// Some page that is free.
fn take(pages: &mut Pages, free: &mut Vec<u32>, below: &mut impl FnMut(usize) -> usize) -> u32 {
    if free.is_empty() {
        let first = pages.count();
        pages.grow(3);
        free.extend(first as u32..pages.count() as u32);
    }
    free.swap_remove(below(free.len()))
}

#[test]
fn mistakes_are_named() {
    let pool = Pool::new(1);
    let shape = shape(2, 1, 16, None, None);
    let message = |pages: &[u32], position: usize, layer: usize, length: usize| {
        let mut memory = pages_for(&shape, 1);
        let rows = [Row { pages, position }];
        let run = || memory.write(&pool, layer, &rows, &vec![0.0; length], &vec![0.0; length]);
        let cause = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).expect_err("a mistake");
        cause.downcast_ref::<String>().expect("a message").clone()
    };
    assert_eq!(message(&[0], PAGE, 0, 16), "pages: write: row 0 is at 32 with 1 pages of 32");
    assert_eq!(message(&[0, 2], PAGE, 0, 16), "pages: page 2 of 2");
    assert_eq!(message(&[0], 0, 2, 16), "pages: write: layer 2 of 2");
    assert_eq!(message(&[0], 0, 0, 15), "pages: write: 15 keys and 15 values of (1, 16)");
    let pages = pages_for(&shape, 1);
    let none = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let window = CacheAttention { window: Some(0), ..shape.options };
        pages.attention(&pool, &mut [0.0; 32], &[0.0; 32], 0, &[Row { pages: &[0], position: 0 }], &window);
    }));
    assert!(none.is_err());
}

fn fingerprint() -> u64 {
    let pool = Pool::new(2);
    let mut bits: Vec<f32> = vec![];
    for (i, (heads, kv_heads, head_dim, window, softcap)) in SHAPES.into_iter().enumerate() {
        let shape = shape(heads, kv_heads, head_dim, window, softcap);
        let mut both = [conversation(&shape, 81, i as u64, &[3, 0, 2]), conversation(&shape, 81, 77, &[1, 5, 4])];
        let mut pages = pages_for(&shape, 5);
        for parts in [[(0, 60), (1, 3)], [(1, 50), (0, 20)], [(0, 1), (1, 1)]] {
            bits.extend(step(&pool, &mut pages, &shape, 0, &mut both, &parts).concat());
        }
    }
    // FNV-1a, as in reference.rs.
    bits.iter()
        .flat_map(|x| x.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Not a check by itself: prints for the next one.
#[test]
#[ignore = "run by every_instruction_set_gives_the_same_bits"]
fn print_the_fingerprint() {
    println!("fingerprint {} {:016x}", kwaya_math::isa(), fingerprint());
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let run = |isa: &str| {
        let output = Command::new(std::env::current_exe().expect("a test has a path"))
            .args(["--exact", "print_the_fingerprint", "--ignored", "--nocapture"])
            .env("KWAYA_ISA", isa)
            .output()
            .expect("a test can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|l| l.split("fingerprint ").nth(1)).expect(&text);
        let (name, bits) = line.split_once(' ').expect("a name and bits");
        assert_eq!(name, isa);
        bits.to_owned()
    };
    let portable = run("portable");
    for isa in kwaya_math::isas() {
        assert_eq!(run(isa), portable, "{isa} and portable");
    }
}
