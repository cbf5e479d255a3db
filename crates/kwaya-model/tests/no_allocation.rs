//! A step of training takes no memory: all of it was taken before the first.
//! Alone in this file, for it counts what the whole process takes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use kwaya_math::{AdamW, Pool, sum_squares};
use kwaya_model::{
    Activations, Adapters, Batch, Config, Frozen, Keep, Lora, Model, Network, Precision, Source, Target, Tokens,
    forward_backward, loss,
};

/// The system's allocator, counting.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's, unchanged.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The tables of the ropes, and windows, are in lists.
const LISTS: u64 = 300;

#[test]
fn a_step_takes_no_memory() {
    let config = Config {
        vocab_size: 300,
        hidden_size: 96,
        intermediate_size: 200,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 24,
        ..Config::default()
    };
    let (rows, length) = (3, 70);
    let n = rows * length;
    let tokens: Vec<u32> = (0..n as u32).map(|i| i * 7 % 300).collect();
    let (starts, positions) = (vec![0; n], (0..n).map(|i| (i % length) as u32).collect::<Vec<_>>());
    let batch = Batch {
        rows,
        tokens_per_row: length,
        tokens: &tokens,
        targets: &tokens,
        starts: &starts,
        positions: &positions,
    };
    let mut counted = 0;
    for (threads, precision, keep) in [
        (1, Precision::F32, Keep::Everything),
        (1, Precision::Bf16, Keep::Inputs),
        (2, Precision::F32, Keep::Inputs),
        (2, Precision::Bf16, Keep::Everything),
    ] {
        let pool = Pool::new(threads);
        let mut model = Model::random(config.clone(), 1, &pool);
        let mut activations = Activations::new(model.architecture(), rows, length, precision, keep);
        let (mut losses, mut gradients) = (vec![0.0; n], vec![0.0; model.weights().len()]);
        let (mut first, mut second) = (gradients.clone(), gradients.clone());
        let mut step = |number| {
            let before = TAKEN.load(Ordering::Relaxed);
            forward_backward(&model, &batch, &mut activations, &mut losses, &mut gradients, 1e-3, &pool);
            let norm = sum_squares(&pool, &gradients).sqrt();
            let rule = AdamW {
                learning_rate: 1e-3,
                beta1: 0.9,
                beta2: 0.95,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step: number,
                gradient_scale: 1.0 / norm,
            };
            rule.update(&pool, model.weights_mut(), &gradients, &mut first, &mut second);
            loss(&model, &batch, &mut activations, &mut losses, &pool);
            TAKEN.load(Ordering::Relaxed) - before
        };
        // In the first steps each thread takes its room for packing.
        let taken: Vec<usize> = (1..=20).map(&mut step).collect();
        counted += taken[0];
        assert_eq!(taken[15..], [0; 5], "{threads} threads, {precision:?}, {keep:?}: {taken:?}");

        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let source = Source::open(folder.path()).unwrap();
        let frozen = Frozen::new(&source, &pool).unwrap();
        let tokens = Some(Tokens { first: 50, count: 20 });
        let lora = Lora { rank: 7, alpha: 8.0, targets: Target::ALL.to_vec(), tokens };
        let planned = Activations::adapted_bytes(frozen.architecture(), &lora, rows, length, keep);
        let adapters = Adapters::fresh(&frozen, lora, 1);
        let network = Network::Adapted(&frozen, &adapters);
        let before = HELD.load(Ordering::Relaxed);
        let mut activations = network.activations(rows, length, precision, keep);
        let held = (HELD.load(Ordering::Relaxed) - before) as u64;
        assert!((planned..planned + LISTS).contains(&held), "{keep:?}: {held}, planned {planned}");
        gradients.truncate(adapters.weights().len());
        let mut step = |_| {
            let before = TAKEN.load(Ordering::Relaxed);
            forward_backward(network, &batch, &mut activations, &mut losses, &mut gradients, 1e-3, &pool);
            loss(network, &batch, &mut activations, &mut losses, &pool);
            TAKEN.load(Ordering::Relaxed) - before
        };
        let taken: Vec<usize> = (1..=20).map(&mut step).collect();
        assert_eq!(taken[15..], [0; 5], "adapters, {threads} threads, {precision:?}, {keep:?}: {taken:?}");
    }
    // What other families keep beside that is in the plan too.
    for (name, keep) in
        [("qwen2", Keep::Inputs), ("qwen3", Keep::Everything), ("gemma3", Keep::Everything), ("gemma3", Keep::Inputs)]
    {
        let pool = Pool::new(2);
        let source =
            Source::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name)).unwrap();
        let before = HELD.load(Ordering::Relaxed);
        let frozen = Frozen::new(&source, &pool).unwrap();
        let taken = HELD.load(Ordering::Relaxed) - before;
        let a = frozen.architecture();
        assert!(taken >= Frozen::bytes(a) as usize && taken < Frozen::bytes(a) as usize + 10_000, "{name}: {taken}");
        let tokens: Vec<u32> = (0..n as u32).map(|i| i * 7 % a.vocab as u32).collect();
        let batch = Batch { tokens: &tokens, targets: &tokens, ..batch };
        let lora = Lora { rank: 7, alpha: 8.0, targets: Target::ALL.to_vec(), tokens: None };
        let planned = Activations::adapted_bytes(a, &lora, rows, length, keep);
        let adapters = Adapters::fresh(&frozen, lora, 1);
        let network = Network::Adapted(&frozen, &adapters);
        let before = HELD.load(Ordering::Relaxed);
        let mut activations = network.activations(rows, length, Precision::F32, keep);
        let held = HELD.load(Ordering::Relaxed) - before;
        assert!((planned..planned + LISTS).contains(&(held as u64)), "{name} {keep:?}: {held}, planned {planned}");
        let (mut losses, mut gradients) = (vec![0.0; n], vec![0.0; adapters.weights().len()]);
        let mut step = |_| {
            let before = TAKEN.load(Ordering::Relaxed);
            forward_backward(network, &batch, &mut activations, &mut losses, &mut gradients, 1e-3, &pool);
            loss(network, &batch, &mut activations, &mut losses, &pool);
            TAKEN.load(Ordering::Relaxed) - before
        };
        let taken: Vec<usize> = (1..=20).map(&mut step).collect();
        assert_eq!(taken[15..], [0; 5], "{name}, {keep:?}: {taken:?}");
    }
    assert!(counted > 0, "the counting works");
}
